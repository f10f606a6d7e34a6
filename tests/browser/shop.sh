# The full demo shop with Limpid beside it, for pictures of them. Sourced, with `binary`, `root` and `port` set.
work=$(mktemp -d /tmp/limpid-pictures.XXXXXX)
chmod 711 "$work"
pids=()
stop() {
    trap - EXIT INT TERM
    kill -TERM "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM

start_shop() { # SECONDS for which it runs before the first picture
    "$root/demo/run" >"$work/demo.log" 2>&1 &
    pids+=($!)
    until grep -q "runs:" "$work/demo.log"; do
        kill -0 "${pids[0]}" 2>/dev/null || { cat "$work/demo.log" >&2; exit 1; }
        sleep 0.5
    done
    "$binary" up --data "$work/data" --listen "127.0.0.1:$port" --otlp-listen off --otlp-http-listen off --agent-listen off \
        >"$work/limpid.log" 2>&1 &
    pids+=($!)
    sleep "$1"
    kill -0 "${pids[1]}" 2>/dev/null || { cat "$work/limpid.log" >&2; exit 1; }
}
