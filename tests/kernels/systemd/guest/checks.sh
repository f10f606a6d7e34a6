# Questions to the agent and to the server, with what they have to answer. Sourced by `inside`.

failed=0
say() { echo "limpid-test: $*"; }
check() { # WHAT IS EXPECTED
    if [ "$2" = "$3" ]; then say "$1: $3"; else
        say "$1: ${2:-nothing}, NOT ${3:-nothing}"
        failed=1
    fi
}
# On an emulated processor everything takes its time.
until_true() { for _ in $(seq 90); do "$@" >/dev/null 2>&1 && return 0; sleep 1; done; return 1; }
ready() { curl -sf "http://127.0.0.1:$1/-/ready"; }

# The agent's counts of requests, as lines of SIDE CLIENT SERVER PROTOCOL OPERATION COUNT.
counted() {
    curl -s http://127.0.0.1:7118/metrics | awk '
        function label(name) {
            if (!match($0, "[{,]" name "=\"[^\"]*\"")) return ""
            return substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 4)
        }
        /^limpid_request_duration_seconds_count{/ {
            side = label("side")
            ends = side == "client" ? label("service") " " label("peer") : label("peer") " " label("service")
            sums[side " " ends " " label("protocol") " " label("operation")] += $NF
        }
        END { for (flow in sums) print flow, sums[flow] }'
}

# Lines of CLIENT SERVER PROTOCOL OPERATION COUNT, each of which both sides have to tell exactly.
check_counts() {
    local side line flow count seen
    while read -r flow; do
        for side in client server; do echo "$side $flow"; done
    done <<<"$1" | sort >/tmp/expected
    for _ in $(seq 40); do
        counted >/tmp/counted
        [ "$(sort /tmp/counted | comm -13 - /tmp/expected | wc -l)" -eq 0 ] && break
        sleep 1
    done
    while read -r line; do
        count=${line##* }
        flow=${line% *}
        seen=$(sed -n "s/^$flow \([0-9]*\)$/\1/p" /tmp/counted)
        check "$flow" "$seen" "$count"
    done </tmp/expected
}

entity() { curl -sf "http://127.0.0.1:7117/api/entities/$1"; }
# As the agent names it.
process_id() { echo "process:$(cat /etc/machine-id)/$(sed 's/.*) //' "/proc/$1/stat" | cut -d ' ' -f 20)-$1"; }

# Attributes of a process, as lines of NAME VALUE.
check_process() { # WHAT PID LINES
    local id name value
    local -A have=()
    id=$(process_id "$2")
    until_true entity "$id"
    while IFS=$'\t' read -r name value; do have[$name]=$value; done \
        < <(entity "$id" | jq -r '.attributes | to_entries[] | "\(.key)\t\(.value)"')
    while read -r name value; do check "$1, $name" "${have[$name]:-}" "$value"; done <<<"process.pid $2
$3"
}
