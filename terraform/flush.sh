#!/bin/sh
# Makes the Fluentd of this instance flush, and says what is left of its buffers.
#
# The module's SSM document sets the variables below from its parameters and runs this file on the
# instance, as root, with /bin/sh. One line of JSON on the standard output is the answer:
#
#   {"version":1,"service":"fluentd","signalled":true,"chunks":0,"bytes":0,"set_aside":0,
#    "quiet":true,"restartable":true,"looked_at":["..."],"outputs_before":{},"monitor":null}
#
# where "monitor", if monitor_agent answered, is
#
#   {"staged":0,"queued":0,"bytes":0,"retrying":0,"retry_next_at":null,"emit_records":9,"secondary":0,
#    "outputs":{"out_s3":9} }
#
# "outputs" say how many records each has emitted, "outputs_before" the same at the look before.
# A chunk that Fluentd has loaded is a file that it holds open. Any other file in its folders is one
# that no flush sends: backed up, evacuated, of a worker or an @id that is no more. "restartable" says
# that all that Fluentd holds is in files. What cannot be looked at ends the script with status 1 and the
# reason on the standard error output: "nothing left" is never said for want of looking.
#
# Needed: a POSIX shell, GNU find, awk, curl for monitor_agent and METHOD=rpc, systemctl for
# METHOD=signal, and what every Linux has. Tested on its own by tests/flush_document.

set -uf
newline='
'
IFS=$newline
LC_ALL=C
export LC_ALL

remark() {
  printf 'flush: %s\n' "$*" >&2
}

fail() {
  remark "$@"
  exit 1
}

# ---- What the document says ----

# The systemd unit, how Fluentd is asked to flush: by signal, or by its rpc_endpoint; and whether it is
# (true), or this only looks once (false): then "signalled" is false.
: "${SERVICE:?}" "${METHOD:?}" "${RPC_PORT:?}" "${SIGNAL:?}"
# Where chunks are, and where a <secondary> puts chunks; blanks between the paths. Of the latter, empty
# means that it is not known, and "none" that it is not on this instance.
: "${BUFFER_PATHS:?}" "${BACKUP_PATHS?}"
# monitor_agent of the first worker (0: do not ask), how many workers there are, and whether its
# silence is an error.
: "${MONITOR_AGENT_PORT:?}" "${WORKERS:?}" "${MONITOR_AGENT_REQUIRED:?}"
# How long to wait for the flush to end, and how far apart the two last looks are.
: "${WAIT_SECONDS:?}" "${QUIET_SECONDS:?}"
# Where monitor_agent and RPC listen, and the program that runs Fluentd: not parameters, since they
# differ on a simulated host only.
address=${FLUENTD_ADDRESS:-127.0.0.1}
program=${FLUENTD_PROGRAM:-ruby}
# Where fluent-package's own configuration puts its <secondary>.
shipped='/var/log/fluent/failed_records /var/log/td-agent/failed_records'

case $SERVICE in
  -* | *[!A-Za-z0-9@._:-]*) fail "SERVICE is not the name of a unit" ;;
esac
[ "$SIGNAL" = true ] || WAIT_SECONDS=0 QUIET_SECONDS=0
for number in "$RPC_PORT" "$MONITOR_AGENT_PORT" "$WORKERS" "$WAIT_SECONDS" "$QUIET_SECONDS"; do
  case $number in
    *[!0-9]* | ??????*) fail "not a number: $number" ;;
  esac
done
for tool in awk date find grep readlink sleep stat tr; do
  command -v "$tool" >/dev/null || fail "$tool is missing on this machine"
done
buffer_paths=$(printf '%s' "$BUFFER_PATHS" | tr ' ' '\n')
case $BACKUP_PATHS in
  none) backup_paths= ;;
  *) backup_paths=$(printf '%s' "${BACKUP_PATHS:-$shipped}" | tr ' ' '\n') ;;
esac

# ---- Find Fluentd, and ask it to flush ----

find_main_process() {
  property=$(systemctl show --property=MainPID "$SERVICE" 2>/dev/null)
  case ${property#MainPID=} in
    '' | 0 | *[!0-9]*) ;;
    *) printf '%s\n' "${property#MainPID=}" ;;
  esac
}

# SIGUSR1 ends most programs that are not Fluentd, and what wraps Fluentd has other open files.
is_fluentd() {
  case $(readlink "/proc/$1/exe")=$(tr '\0' ' ' <"/proc/$1/cmdline") in
    */"$program"*=*fluent* | */"$program"*=*td-agent* | */"$program"*=supervisor:* | */"$program"*=worker:*) ;;
    *) return 1 ;;
  esac
}

# These processes and their descendants.
list_processes() {
  for process in "$@"; do
    printf '%s\n' "$process"
    # shellcheck disable=SC2046
    list_processes $(find "/proc/$process/task" -maxdepth 2 -name children -exec cat {} + 2>/dev/null | tr ' ' '\n')
  done
}

# The main process alone, Fluentd's supervisor: it tells its workers. `systemctl kill` would signal
# everything in the unit, and SIGUSR1 ends a gzip that is compressing a chunk.
signal_service() {
  main_process=$(find_main_process)
  if [ -z "$main_process" ]; then
    remark "$SERVICE is not running"
    return 1
  fi
  if ! is_fluentd "$main_process" 2>/dev/null; then
    remark "the main process of $SERVICE, $main_process, is not Fluentd itself: it gets no signal"
    main_process=
    return 1
  fi
  [ "$SIGNAL" = false ] || kill -s USR1 "$main_process"
}

ask_http() {
  curl -q --silent --fail --noproxy '*' --max-time "$1" "$2"
}

request_flush() {
  case $METHOD in
    signal) signal_service ;;
    rpc) [ "$SIGNAL" = false ] || ask_http 10 "http://$address:$RPC_PORT/api/plugins.flushBuffers" >/dev/null ;;
    *) fail "METHOD must be signal or rpc" ;;
  esac
}

# A Fluentd that hangs, ended or was started anew has not done what it was asked.
has_taken_it() {
  if [ "$workers" != "$workers_at_first" ] || { [ "$METHOD" = signal ] && [ "$(find_main_process)" != "$main_process" ]; }; then
    remark "$SERVICE ended or was started anew after it was asked to flush"
    return 1
  fi
  [ "$METHOD" = signal ] || return 0
  # shellcheck disable=SC2086
  for process in $(list_processes $main_process); do
    # SIGUSR1 is signal 10, the second bit of the third digit from the right.
    if grep -q '^ShdPnd:.*[2367abef]..$' "/proc/$process/status" 2>/dev/null; then
      remark "process $process hangs: it has not taken the signal"
      return 1
    fi
  done
}

# ---- Ask monitor_agent ----

# Reads /api/plugins and /api/config, where a line is a plugin, or the process, in fields NAME:VALUE. Prints
# "STAGED QUEUED BYTES EMITTED SECONDARY" of the outputs that have a buffer, what each has emitted as JSON,
# root_dir, and a line for each process; only "broken" if a number is missing.
read_monitor() {
  awk -F '\t' '
    {
      split("", value)
      for (field = 1; field <= NF; field++) {
        colon = index($field, ":")
        value[substr($field, 1, colon - 1)] = substr($field, colon + 1)
      }
    }
    "pid" in value { processes = processes "\n" value["pid"]; root = value["root_dir"] }
    "buffer_total_queued_size" in value {
      size = value["buffer_total_queued_size"]
      numbers = value["buffer_stage_length"] " " value["buffer_queue_length"] " " size " " value["emit_records"]
      if (numbers !~ /^[0-9]+ [0-9]+ -?[0-9]+ [0-9]+$/) broken = 1
      staged += value["buffer_stage_length"]
      queued += value["buffer_queue_length"]
      # Without the sign: the counter can drift below zero and must not hide another output.
      bytes += size + 0 < 0 ? -size : size
      emitted += value["emit_records"]
      gsub(/[\\"]/, "?", value["plugin_id"])
      emissions[value["plugin_id"]] += value["emit_records"]
      secondary += value["write_secondary_count"]
    }
    END {
      for (id in emissions) list = list (list == "" ? "" : ",") sprintf("\"%s\":%.0f", id, emissions[id])
      if (broken) print "broken"
      else printf "%.0f %.0f %.0f %.0f %.0f\n{%s}\n%s%s\n", staged, queued, bytes, emitted, secondary, list, root, processes
    }
  '
}

# The process here that has the number $1 in its own namespace: of the main process, or the only Fluentd.
find_worker() {
  # shellcheck disable=SC2086
  family=$newline$(list_processes $main_process)$newline
  set +f
  for process in $(grep -lE "^NSpid:.*[[:space:]]$1\$" /proc/[0-9]*/status 2>/dev/null | tr -dc '0-9\n'); do
    case $METHOD$family in
      *"$newline$process$newline"*) printf '%s\n' "$process" ;;
      rpc*) if is_fluentd "$process" 2>/dev/null; then printf '%s\n' "$process"; fi ;;
      *) ;;
    esac
  done
  set -f
}

# Sets `monitor` to its JSON, and `staged`, `queued`, `buffered`, `emitted`, `root_dir` and the `workers`,
# processes; "null" if it does not answer. With several workers, all of them or none.
ask_monitor() {
  monitor=null workers='' root_dir='' said='' times=''
  staged=0 queued=0 buffered=0 emitted='' outputs='{}' answers=0 worker=0
  while [ "$MONITOR_AGENT_PORT" -gt 0 ] && [ "$worker" -lt "$WORKERS" ]; do
    url=http://$address:$((MONITOR_AGENT_PORT + worker))/api
    worker=$((worker + 1))
    if answer=$(ask_http 5 "$url/plugins" && ask_http 5 "$url/config"); then
      answers=$((answers + 1))
      said=$said$answer$newline
      times=$times$(ask_http 5 "$url/plugins.json" | grep -oE '"next_time": *"[^"]*"')$newline
    fi
  done
  if [ "$answers" -eq "$WORKERS" ]; then
    use_answers
  elif [ "$answers" -gt 0 ]; then
    fail "monitor_agent answers for $answers of $WORKERS workers"
  elif [ "$MONITOR_AGENT_REQUIRED$signalled" = truetrue ]; then
    fail "monitor_agent does not answer on $address:$MONITOR_AGENT_PORT"
  elif [ "$METHOD$signalled" = rpctrue ]; then
    fail "only monitor_agent could say which process is Fluentd, and it does not answer"
  fi
}

use_answers() {
  said=$(printf '%s' "$said" | read_monitor)
  [ "$said" != broken ] || fail "monitor_agent counts in no whole numbers"
  { IFS=' ' read -r staged queued buffered emitted secondary; read -r outputs; read -r root_dir; numbers=$(cat); } <<SAID
$said
SAID
  [ "$(printf '%s\n' "$numbers" | grep -c '^[0-9][0-9]*$')" -eq "$WORKERS" ] || fail "what answers on $address:$MONITOR_AGENT_PORT is no monitor_agent"
  if [ "$METHOD" = rpc ] || [ -n "$main_process" ]; then
    for number in $numbers; do
      found=$(find_worker "$number")
      case $found in
        '' | *"$newline"*) fail "monitor_agent belongs to process $number, which is not one of $SERVICE on this host" ;;
        *) workers=$workers$found$newline ;;
      esac
    done
  fi
  # The latest of the times at which an output tries again: before that, something is left.
  retrying=0 retry_next_at=null
  for time in $times; do
    retrying=$((retrying + 1))
    time=${time%'"'}
    at=$(date -d "${time##*'"'}" +%s 2>/dev/null) || continue
    if [ "$retry_next_at" = null ] || [ "$at" -gt "$retry_next_at" ]; then retry_next_at=$at; fi
  done
  # Where BACKUP_PATHS say where a <secondary> writes, its files count, and not its past.
  [ -z "$BACKUP_PATHS" ] || secondary=0
  monitor="{\"staged\":$staged,\"queued\":$queued,\"bytes\":$buffered,\"retrying\":$retrying"
  monitor="$monitor,\"retry_next_at\":$retry_next_at,\"emit_records\":$emitted,\"secondary\":$secondary,\"outputs\":$outputs}"
}

# ---- Look at the disk ----

# 16 hexadecimal digits: half of the id that is in the name of every chunk file.
digits='[0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
digits=$digits$digits$digits$digits

# Sets `roots`, what "/" is here and for Fluentd, and `own`, where Fluentd keeps chunks unasked:
# DEFAULT_BACKUP_DIR of its lib/fluent/env.rb.
find_places() {
  [ "$METHOD" = signal ] || main_process=$workers
  roots=/
  own=/tmp/fluent
  first=${main_process%%"$newline"*}
  if ! ls "/proc/$first/fd/" "/proc/$first/root/" >/dev/null 2>&1; then
    [ -z "$first" ] || remark "$SERVICE ended or was started anew after it was asked to flush"
    main_process='' signalled=false
    return 0
  fi
  if [ "$(readlink "/proc/$first/ns/mnt")=$(stat -L -c '%d:%i' "/proc/$first/root/")" != "$(readlink /proc/self/ns/mnt)=$(stat -c '%d:%i' /)" ]; then
    roots=/$newline/proc/$first/root/
  fi
  own=$(tr '\0' '\n' <"/proc/$first/environ" | awk 'BEGIN { own = "/tmp/fluent" } sub(/^FLUENT_BACKUP_DIR=/, "") { own = $0 } END { print own }')
  case $own in
    /* | '') ;;
    *) own=/proc/$first/cwd/$own ;;
  esac
}

# Lists the files that may hold logs below $2, a path that may have wildcards; $1: whether it must be there.
look_below() {
  need=$1
  pattern=${2#/}
  shift 2
  for root in $roots; do
    set +f
    # Not quoted: wildcards are wanted.
    for folder in $root$pattern; do
      [ -d "$folder" ] || { [ "$need" = optional ] && [ -e "$folder" ]; } || continue
      need=optional
      find -L "$folder" -type f ! -name '*.meta' "$@"
    done
    set -f
  done
  [ "$need" = optional ] || printf 'no such folder: /%s (for the prefix of file names write /%s.*)\n' "$pattern" "$pattern"
}

look_for_chunks() {
  look_below "$1" "$2" \( -path '*/backup/worker[0-9]*/*' -printf 'backup %D:%i %s\n' -o \
    -name "*.[bq]$digits*.*" -printf 'buffer %D:%i %s\n' \)
}

# Prints "backup DEVICE:INODE BYTES" or "buffer DEVICE:INODE BYTES" for each file.
list_files() {
  for path in $buffer_paths $root_dir; do
    look_for_chunks needed "$(folder_of "$path")"
  done
  for path in "$own/backup" "$own/buffer" "$own/source-only-buffer"; do
    look_for_chunks optional "$path"
  done
  for path in $backup_paths; do
    # It is made with the first chunk, and may be the beginning of file names.
    case ${BACKUP_PATHS:+stated}$path in
      stated/tmp/fluent/*) ;;
      stated*) look_below needed "${path%/*}" -printf '' -quit ;;
      *) ;;
    esac
    look_below optional "$path" -printf 'backup %D:%i %s\n'
    look_below optional "$path.*" -printf 'backup %D:%i %s\n'
  done
}

# `path /DIR/PREFIX.*` of a buffer: the folder counts, so that a wrong prefix hides nothing.
# ROOT_DIR/worker0/out_s3/buffer stands for ROOT_DIR, where Fluentd also keeps what it backs up.
folder_of() {
  folder=$1
  case ${1##*/} in
    *'.*'*) folder=${1%/*} ;;
  esac
  printf '%s\n' "${folder%/worker[0-9*?]*/*/buffer}"
}

# Chunk files that Fluentd itself holds open, wherever they are.
list_open_files() {
  # shellcheck disable=SC2086
  for process in $(list_processes $main_process); do
    find "/proc/$process/fd" -lname "*.[bq]$digits*.*" ! -lname '*.meta' ! -lname '* (deleted)' \
      -exec stat -L -c 'open %d:%i %s' {} + 2>/dev/null
  done
}

# Prints "CHUNKS BYTES SET_ASIDE", the first thing that cannot be looked at, and the files that are not open.
# One is backed up if it was not open at the last look either: until then it may just have been flushed.
count_files() {
  awk -v running="${main_process:+1}" '
    NF != 3 || $3 !~ /^[0-9]+$/ { if ($0 != "" && trouble == "") trouble = $0; next }
    $1 == "open" { if (!($2 in open)) { open[$2]; chunks++; bytes += $3 }; next }
    $1 == "unopened" { before[$2]; next }
    { size[$2] = $3; if ($1 == "backup") backup[$2] }
    END {
      for (file in size) {
        if (file in open) continue
        if (file in backup || (running && file in before)) { aside++; continue }
        chunks++
        bytes += size[file]
      }
      printf "%.0f %.0f %.0f\n%s\n", chunks, bytes, aside, trouble
      for (file in size) if (!(file in open)) print "unopened", file, 0
    }
  '
}

look() {
  ask_monitor
  find_places
  counted=$({ printf '%s\n' "$unopened"; list_files; list_open_files; } 2>&1 | count_files)
  { IFS=' ' read -r chunks bytes set_aside; read -r trouble; unopened=$(cat); } <<COUNTED
$counted
COUNTED
  case $trouble in
    'no such folder'*) fail "$trouble" ;;
  esac
}

# ---- Wait, and answer ----

is_nothing_left() {
  [ "$((chunks + bytes + staged + queued + buffered))=$trouble" = 0= ]
}

list_places() {
  for path in $buffer_paths $root_dir "$own" $backup_paths; do
    for root in $roots; do
      printf '%s%s\n' "$root" "${path#/}"
    done
  done
  for process in $main_process; do
    printf 'the open files of process %s\n' "$process"
  done
  [ "$monitor" = null ] || printf 'monitor_agent on %s:%s\n' "$address" "$MONITOR_AGENT_PORT"
}

write_list() {
  tr -d '\001-\011\013-\037' | awk '!listed[$0]++ { gsub(/[\\"]/, "\\\\&"); printf "%s\"%s\"", (NR > 1 ? "," : ""), $0 }'
}

for path in $buffer_paths $backup_paths; do
  case $path in
    /*) ;;
    *) fail "not an absolute path: $path" ;;
  esac
done

main_process='' unopened='' outputs_before='{}' signalled=false quiet=false restartable=false
request_flush && signalled=true

deadline=$(($(date +%s) + WAIT_SECONDS))
look
workers_at_first=$workers
looks=1
while [ "$SIGNAL" = true ] && ! is_nothing_left && { [ "$looks" -eq 1 ] || [ "$(date +%s)" -lt "$deadline" ]; }; do
  sleep 1
  look
  looks=2
done
if is_nothing_left; then
  # Empty if monitor_agent does not answer: once with it and once without cannot be compared.
  emitted_before=$emitted
  outputs_before=$outputs
  sleep "$QUIET_SECONDS"
  look
  is_nothing_left && [ "$emitted" = "$emitted_before" ] && quiet=true
fi
if [ -n "$trouble" ] && [ "$((chunks + set_aside))" -eq 0 ]; then
  fail "cannot look everywhere: $trouble"
fi
[ "$signalled" = false ] || has_taken_it || signalled=false
if [ "$signalled" = true ] && [ "$monitor" != null ] && [ "$((staged + queued))" -le "$chunks" ] && [ "$buffered" -le "$bytes" ]; then
  restartable=true
fi
if [ "$SIGNAL" = false ]; then
  [ "$signalled" = true ] || fail "no Fluentd that could be asked to flush"
  signalled=false
fi

printf '{"version":1,"service":"%s","signalled":%s,"chunks":%d,"bytes":%d,"set_aside":%d,"quiet":%s,"restartable":%s,"looked_at":[%s],"outputs_before":%s,"monitor":%s}\n' \
  "$SERVICE" "$signalled" "$chunks" "$bytes" "$set_aside" "$quiet" "$restartable" "$(list_places | write_list)" "$outputs_before" "$monitor"
