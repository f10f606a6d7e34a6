#!/usr/bin/env bash
# Runs `limpid up`, with the demo beside it if asked for; both end together.
set -euo pipefail
binary=$1
shift
demo=
options=()
for option in "$@"; do
    if [ "$option" = --demo ]; then demo=1; else options+=("$option"); fi
done
if [ "$(id -u)" -ne 0 ]; then
    echo "x: watching a machine needs root: run sudo ./x up" >&2
    exit 1
fi
[ -n "$demo" ] || exec "$binary" up "${options[@]}"
# When this script is killed, the kernel tells both.
setpriv --pdeathsig TERM "$(dirname "$0")/../demo/run" &
demo=$!
# Either may have ended by itself, which is no failure of this script.
trap 'kill -TERM $demo 2>/dev/null || true; wait $demo 2>/dev/null || true' EXIT
setpriv --pdeathsig TERM "$binary" up "${options[@]}" &
limpid=$!
trap 'kill -TERM $limpid 2>/dev/null || true' INT TERM
wait $limpid || wait $limpid
