#!/bin/sh
# systemctl of a simulated instance. A unit is a file in $SANDBOX_UNITS with the number of its main
# process; nothing else is known of systemd here, and asking for more is an error.

set -u

main_process() {
  number=$(cat "$SANDBOX_UNITS/${1%.service}" 2>/dev/null) || return 1
  kill -0 "$number" 2>/dev/null || return 1
  printf '%s\n' "$number"
}

case "$*" in
  'show --property=MainPID '*)
    printf 'MainPID=%s\n' "$(main_process "$3" || echo 0)"
    ;;
  'is-active --quiet '*)
    main_process "$3" >/dev/null || exit 3
    ;;
  *)
    printf 'systemctl: not known on a simulated instance: %s\n' "$*" >&2
    exit 1
    ;;
esac
