# How the shop's programs are started and ended. Sourced by demo/run.

pids=()
# Breaks are undone first: a process that waits for a throttled disk does not hear a signal.
stop() {
    trap - EXIT INT TERM
    for switch in "$work"/broken/*; do
        [ ! -e "$switch" ] || ./break "$(basename "$switch")" off >/dev/null 2>&1 || true
    done
    kill -TERM "${pids[@]}" 2>/dev/null || true
    for _ in $(seq 50); do
        kill -0 "${pids[@]}" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}

# What shops that were killed could not take away themselves: their folders, and the slow disk's control group.
remove_remains() {
    local old
    for old in /tmp/limpid-demo.*; do
        [ -d "$old" ] || continue
        kill -0 "$(cat "$old/run.pid" 2>/dev/null || echo none)" 2>/dev/null || [ ! -e "$old/run.pid" ] || rm -rf "$old"
    done
    rmdir /sys/fs/cgroup/limpid-demo /sys/fs/cgroup/blkio/limpid-demo 2>/dev/null || true
}

# start NAME COMMAND…: a program of the shop, its output in a file of its own. It ends with this script, however that ends.
start() {
    local name=$1
    shift
    setpriv --pdeathsig TERM "$@" >"$work/$name.log" 2>&1 </dev/null &
    pids+=($!)
    echo $! >"$work/$name.pid"
}

# ready NAME PORT [COMMAND…]: waits until somebody listens; COMMAND is what leads into another network namespace. It asks the
# kernel: a connection to try it out would be on the map.
ready() {
    local name=$1 port=$2
    shift 2
    for _ in $(seq 300); do
        [ -z "$("$@" ss -Hltn "sport = :$port")" ] || return 0
        sleep 0.05
    done
    echo "demo: $name does not listen on port $port; its last words:" >&2
    tail -n 5 "$work/$name.log" >&2
    exit 1
}

# Work that others need not wait for; wait_for_background fails when one of it has failed.
background=()
in_background() {
    "$@" &
    pids+=($!)
    background+=($!)
}
wait_for_background() {
    local one
    for one in "${background[@]}"; do wait "$one"; done
    background=()
}

# fill FROM TO: a file of the checkout, with this run's folder and addresses in it.
fill() {
    sed -e "s|@WORK@|$work|g" -e "s|@CARRIER@|${carrier_address:-}|g" "$1" >"$2"
}
