#!/bin/sh
# Makes the Fluentd of this instance flush, and says what is left of its buffers.
#
# The module's SSM document sets the variables below from its parameters and runs this file on the
# instance, as root, with /bin/sh. One line of JSON on the standard output is the answer:
#
#   {"version":1,"service":"fluentd","signalled":true,"chunks":0,"bytes":0,"set_aside":0,
#    "quiet":true,"monitor":null}
#
# where "monitor", if monitor_agent answered, is
#
#   {"staged":0,"queued":0,"bytes":0,"retrying":0,"retry_next_at":null,"emit_records":9}
#
# "Nothing left" is never said for want of looking: a folder that is not there or cannot be read
# ends the script with status 1 and the reason on the standard error output. What cannot be told
# from a log is counted as one: better an instance that a person must look at than a log lost.
#
# Needed: a POSIX shell, find, stat, date, sleep; systemctl for METHOD=signal; curl for METHOD=rpc;
# curl, grep and awk for monitor_agent. Tested on its own by tests/flush_document.

set -u
LC_ALL=C
export LC_ALL

fail() {
  printf 'flush: %s\n' "$*" >&2
  exit 1
}

remark() {
  printf 'flush: %s\n' "$*" >&2
}

# ---- What the document says ----

# The systemd unit, and how Fluentd is asked to flush: by signal, or by its rpc_endpoint.
: "${SERVICE:?}" "${METHOD:?}" "${RPC_PORT:?}"
# Where chunks are, and where chunks end up that no retry will send; blanks between the paths.
: "${BUFFER_PATHS:?}" "${BACKUP_PATHS?}"
# monitor_agent of the first worker (0: do not ask), how many workers there are, and whether its
# silence is an error.
: "${MONITOR_AGENT_PORT:?}" "${WORKERS:?}" "${MONITOR_AGENT_REQUIRED:?}"
# How long to wait for the flush to end, and how far apart the two last looks are.
: "${WAIT_SECONDS:?}" "${QUIET_SECONDS:?}"
# Where monitor_agent and RPC listen: not a parameter, since it can differ from host to host.
address=${FLUENTD_ADDRESS:-127.0.0.1}

case $SERVICE in
  -* | *[!A-Za-z0-9@._:-]*) fail "SERVICE is not the name of a unit" ;;
esac
for number in "$RPC_PORT" "$MONITOR_AGENT_PORT" "$WORKERS" "$WAIT_SECONDS" "$QUIET_SECONDS"; do
  case $number in
    *[!0-9]* | ??????*) fail "not a number: $number" ;;
  esac
done

for tool in find stat date sleep; do
  command -v "$tool" >/dev/null || fail "$tool is missing on this machine"
done

# ---- Ask for the flush ----

main_process=

find_main_process() {
  property=$(systemctl show --property=MainPID "$SERVICE" 2>/dev/null)
  case ${property#MainPID=} in
    '' | 0 | *[!0-9]*) ;;
    *) printf '%s\n' "${property#MainPID=}" ;;
  esac
}

# The main process alone, Fluentd's supervisor: it tells its workers. `systemctl kill` would by
# default signal everything in the unit, and SIGUSR1 ends a gzip that is compressing a chunk; the
# option that narrows it has two spellings, neither of which every systemd knows.
signal_service() {
  main_process=$(find_main_process)
  if [ -z "$main_process" ]; then
    remark "$SERVICE is not running"
    return 1
  fi
  kill -s USR1 "$main_process"
}

call_rpc() {
  ask_http 10 "http://$address:$RPC_PORT/api/plugins.flushBuffers" >/dev/null
}

ask_http() {
  curl -q --silent --show-error --fail --noproxy '*' --max-time "$1" "$2"
}

request_flush() {
  case $METHOD in
    signal) signal_service ;;
    rpc) call_rpc ;;
    *) fail "METHOD must be signal or rpc" ;;
  esac
}

# A Fluentd that ended, or was started anew, has not done what it was asked.
is_still_the_same() {
  [ "$METHOD" != signal ] || [ "$(find_main_process)" = "$main_process" ]
}

# ---- Look at the disk ----

newline='
'
# 16 hexadecimal digits: half of the id that is in the name of every chunk file.
digits='[0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
digits=$digits$digits$digits$digits

# Sets `folders`, one a line, from BUFFER_PATHS. Everything below them is looked through, so a
# `path` with workers, and a whole root_dir, are covered by one entry.
find_folders() {
  folders=
  set -f
  for path in $BUFFER_PATHS; do
    case $path in
      /*) ;;
      *) fail "not an absolute path: $path" ;;
    esac
    # `path /DIR/PREFIX.*` of a buffer: the folder counts, so that a wrong prefix hides nothing.
    case ${path##*/} in
      *'.*'*) path=${path%/*} ;;
    esac
    add_folders "$path"
  done
  set +f
}

add_folders() {
  matches=0
  set +f
  # Not quoted: wildcards are wanted.
  # shellcheck disable=SC2086
  for match in $1; do
    [ -d "$match" ] || continue
    matches=$((matches + 1))
    folder=$(cd -P "$match" && pwd -P) || fail "cannot be entered: $match"
    folders=$folders$(widen "$folder")$newline
  done
  set -f
  [ "$matches" -gt 0 ] || fail "no such folder: $1 (for the prefix of file names write $1.*)"
}

# ROOT_DIR/worker0/out_s3/buffer stands for ROOT_DIR, where Fluentd also keeps what it sets aside.
widen() {
  case $1 in
    /*/worker[0-9]*/*/buffer) printf '%s\n' "${1%/worker[0-9]*/*/buffer}" ;;
    *) printf '%s\n' "$1" ;;
  esac
}

# Sets `found` to lines "DEVICE:INODE BYTES", one a file. A chunk that is flushed while one looks
# makes find fail, so look again; what goes on failing must not pass for an empty folder.
look_for() {
  attempts=3
  until found=$(find -L "$@" -exec stat -L -c '%d:%i %s' {} + 2>&1); do
    attempts=$((attempts - 1))
    if [ "$attempts" -eq 0 ]; then
      case $(keep_measured "$found") in
        '') fail "cannot look everywhere: ${found%%"$newline"*}" ;;
      esac
      break
    fi
    sleep 1
  done
  found=$(keep_measured "$found")
}

# The lines of that form alone, without what find and stat complained of.
keep_measured() {
  while read -r inode length rest; do
    case $inode=$length=$rest in
      *[!0-9:=]* | =* | *==* | *=*=?*) ;;
      *) printf '%s %s\n' "$inode" "$length" ;;
    esac
  done <<LINES
$1
LINES
}

# Sets `files` and `size` for such lines; a file that is there twice counts once.
count() {
  files=0
  size=0
  seen=' '
  while read -r inode length; do
    case $seen in
      *" $inode "*) continue ;;
    esac
    [ -n "$inode" ] || continue
    seen="$seen$inode "
    files=$((files + 1))
    size=$((size + length))
  done <<LINES
$1
LINES
}

# Sets `chunks` and `bytes`. Names: "buffer.b<id>.log" and "buffer.q<id>.log" of buf_file,
# "<prefix>.b<id>.<suffix>" of its other form, "fsb.<key>.b<id>.buf" of buf_file_single.
count_chunks() {
  IFS=$newline
  set -f
  # shellcheck disable=SC2086
  set -- $folders
  set +f
  unset IFS
  set -- "$@" -type f -name "*.[bq]$digits*.*" ! -name '*.meta'
  for backup in $BACKUP_PATHS; do
    set -- "$@" ! -path "$backup/*"
  done
  look_for "$@"
  count "$found$newline$(find_open_chunks)"
  chunks=$files
  bytes=$size
}

# Chunk files that Fluentd itself holds open: it may buffer where BUFFER_PATHS do not point.
find_open_chunks() {
  for process in $(list_processes); do
    find "/proc/$process/fd" -lname "*.[bq]$digits*.*" ! -lname '*.meta' ! -lname '* (deleted)' \
      -exec stat -L -c '%d:%i %s' {} + 2>/dev/null
  done
}

# The main process and its descendants, the workers.
list_processes() {
  generation=$main_process
  while [ -n "$generation" ]; do
    printf '%s\n' "$generation"
    set --
    for process in $generation; do
      for file in "/proc/$process/task/"*/children; do
        # Its one line does not end with a newline.
        { read -r children <"$file" || :; } 2>/dev/null
        # shellcheck disable=SC2086
        set -- "$@" ${children:-}
        children=
      done
    done
    generation=$*
  done
}

# Sets `set_aside`. Fluentd makes these folders when it sets the first chunk aside, so one may be
# missing, but not the folder it would be made in: that would be a wrong path.
count_set_aside() {
  IFS=$newline
  set -f
  # shellcheck disable=SC2086
  set -- $folders
  set +f
  unset IFS
  look_for "$@" -type f -path '*/backup/worker[0-9]*/*' ! -name '*.meta'
  all=$found
  for backup in $BACKUP_PATHS; do
    if [ -e "$backup" ]; then
      look_for "$backup" -type f ! -name '*.meta'
      all=$all$newline$found
    elif [ ! -d "${backup%/*}/" ] && [ "${backup#/tmp/fluent}" = "$backup" ]; then
      fail "no such folder: ${backup%/*}, in which $backup would be made"
    fi
  done
  count "$all"
  set_aside=$files
}

# ---- Ask monitor_agent ----

# Reads /api/plugins.json; writes "buffer STAGED QUEUED BYTES EMITTED" for each output that has a
# buffer, "retry TIME" for each one in back-off, and "complete" if the document was.
read_plugins() {
  grep -oE '"([^"\\]|\\.)*"|[][{}:,]|[^][{}:," ]+' | awk '
    function in_plugin() {
      return depth >= 3 && name[1] == "\"plugins\"" && kind[2] == "[" && kind[3] == "{"
    }
    $0 == "{" || $0 == "[" {
      kind[++depth] = $0
      name[depth] = ""
      is_value = 0
      next
    }
    $0 == "}" || $0 == "]" {
      if (depth == 3 && in_plugin()) {
        if (total != "") {
          print "buffer", (staged == "" ? 0 : staged), (queued == "" ? 0 : queued), total, (emitted == "" ? 0 : emitted)
        }
        staged = queued = total = emitted = ""
      }
      if (depth == 2 && name[1] == "\"plugins\"" && kind[2] == "[") {
        listed = 1
      }
      depth--
      next
    }
    $0 == ":" {
      name[depth] = last
      is_value = 1
      next
    }
    $0 == "," {
      is_value = 0
      next
    }
    {
      if (is_value && depth == 3 && in_plugin()) {
        if (name[3] == "\"buffer_stage_length\"") staged = $0
        if (name[3] == "\"buffer_queue_length\"") queued = $0
        if (name[3] == "\"buffer_total_queued_size\"") total = $0
        if (name[3] == "\"emit_records\"") emitted = $0
      }
      if (is_value && depth == 4 && in_plugin() && name[3] == "\"retry\"" && name[4] == "\"next_time\"" && $0 ~ /^"/) {
        print "retry", substr($0, 2, length($0) - 2)
      }
      last = $0
      is_value = 0
    }
    END {
      if (depth == 0 && listed) print "complete"
    }
  '
}

# Sets `monitor` to its JSON, and `staged`, `queued`, `buffered`, `emitted`; "null" if it does not
# answer. With several workers, all of them or none.
ask_monitor() {
  monitor=null
  staged=0 queued=0 buffered=0 emitted=0 retrying=0 retry_next_at=null
  [ "$MONITOR_AGENT_PORT" -gt 0 ] || return 0
  answers=0
  worker=0
  while [ "$worker" -lt "$WORKERS" ]; do
    port=$((MONITOR_AGENT_PORT + worker))
    if plugins=$(ask_http 5 "http://$address:$port/api/plugins.json" 2>&1); then
      add_worker "$(printf '%s\n' "$plugins" | read_plugins)" "$port" && answers=$((answers + 1))
    fi
    worker=$((worker + 1))
  done
  if [ "$answers" -eq "$WORKERS" ]; then
    monitor="{\"staged\":$staged,\"queued\":$queued,\"bytes\":$buffered,\"retrying\":$retrying"
    monitor="$monitor,\"retry_next_at\":$retry_next_at,\"emit_records\":$emitted}"
  elif [ "$answers" -gt 0 ]; then
    fail "monitor_agent answers for $answers of $WORKERS workers"
  elif [ "$MONITOR_AGENT_REQUIRED" = true ]; then
    fail "monitor_agent does not answer on $address:$MONITOR_AGENT_PORT"
  fi
}

add_worker() {
  case $1 in
    *complete) ;;
    *)
      remark "port $2 does not answer as monitor_agent does"
      return 1
      ;;
  esac
  while read -r kind first second third fourth; do
    case $kind in
      buffer) add_output "$first" "$second" "$third" "$fourth" ;;
      retry) add_retry "$first $second $third" ;;
    esac
  done <<LINES
$1
LINES
}

add_output() {
  for number in "$1" "$2" "${3#-}" "$4"; do
    case $number in
      '' | *[!0-9]*) fail "monitor_agent counts in no whole numbers: $*" ;;
    esac
  done
  staged=$((staged + $1))
  queued=$((queued + $2))
  # Without the sign: Fluentd's counter can drift below zero and must not hide another output's.
  buffered=$((buffered + ${3#-}))
  emitted=$((emitted + $4))
}

# The latest of the times: before that, something is left.
add_retry() {
  retrying=$((retrying + 1))
  at=$(date -d "$1" +%s 2>/dev/null) || return 0
  if [ "$retry_next_at" = null ] || [ "$at" -gt "$retry_next_at" ]; then
    retry_next_at=$at
  fi
}

# ---- Wait, and answer ----

look() {
  find_folders
  count_chunks
  count_set_aside
  ask_monitor
}

is_nothing_left() {
  [ "$((chunks + bytes + staged + queued + buffered))" -eq 0 ]
}

is_answer() {
  [ "$1" != null ]
}

signalled=false
if request_flush; then
  signalled=true
fi

deadline=$(($(date +%s) + WAIT_SECONDS))
look
while ! is_nothing_left && [ "$(date +%s)" -lt "$deadline" ]; do
  sleep 1
  look
done

quiet=false
if is_nothing_left; then
  monitor_before=$monitor
  emitted_before=$emitted
  sleep "$QUIET_SECONDS"
  look
  if is_nothing_left && [ "$emitted" = "$emitted_before" ]; then
    quiet=true
  fi
  # It answered and then did not, or the other way round: two looks that cannot be compared.
  if is_answer "$monitor" && ! is_answer "$monitor_before"; then quiet=false; fi
  if is_answer "$monitor_before" && ! is_answer "$monitor"; then quiet=false; fi
fi
if [ "$signalled" = true ] && ! is_still_the_same; then
  remark "$SERVICE ended or was started anew after it was asked to flush"
  signalled=false
fi

printf '{"version":1,"service":"%s","signalled":%s,"chunks":%d,"bytes":%d,"set_aside":%d,"quiet":%s,"monitor":%s}\n' \
  "$SERVICE" "$signalled" "$chunks" "$bytes" "$set_aside" "$quiet" "$monitor"
