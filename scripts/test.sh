# The parts of ./x test, in order. Sourced by ./x. A part is a function test_NAME; one line in PARTS adds it:
# NAME, whether it belongs to --fast, what it is.
PARTS="
format    fast  the code is formatted
unit      fast  unit and integration tests of every crate
console   fast  types and unit tests of the console
e2e       fast  real programs, the real agent and server
runtimes  full  TLS of the runtimes that people use, against the number of requests sent
demo      full  the full demo shop: its counts, its switches, and what it leaves behind
browser   full  the console in Chromium on the running demo
truth     full  the protocol engine against foreign captures
kernels   full  the release binary on other kernels, with systemd and containers, and on arm64
package   full  the Debian package: installed, booted with systemd, purged
harm      full  the agent comes and goes under load of every TLS runtime, and odd targets: nobody notices
fuzz      full  every parser, three minutes in all
"

test_format() {
    cargo fmt --all --check
    git ls-files '*.bpf.c' '*.bpf.h' | xargs -r clang-format-19 --dry-run --Werror 2>/dev/null || true
}
test_unit() {
    need_root "the test of the collectors"
    need_packages build e2e
    cargo test --workspace --no-fail-fast --quiet
}
test_console() {
    need_packages console
    build_console
    (cd "$CACHE/console/work" && npm run --silent check && npm test --silent)
}
test_e2e() {
    need_root "e2e"
    need_packages build console e2e
    build
    tests/e2e/run "$BINARY"
}
test_runtimes() {
    need_root "the test of runtimes"
    need_packages build console runtimes
    build
    tests/runtimes/run "$BINARY"
}
test_demo() {
    need_root "the demo"
    need_packages build console e2e demo
    build
    tests/e2e/run "$BINARY" demo_full
}
test_browser() {
    need_root "the browser test"
    need_packages build console e2e browser
    build
    tests/browser/run "$BINARY"
}
test_truth() {
    need_packages truth
    build
    tests/truth/run "$BINARY"
}
test_kernels() {
    need_root "the test on other kernels"
    need_packages kernels e2e
    build
    tests/kernels/all "$BINARY"
}
test_package() {
    need_root "the test of the package"
    need_packages kernels package
    build
    . scripts/package.sh
    tests/package/run "$(package "$BINARY" | tail -n 1)"
}
test_harm() {
    need_root "the test that nobody is harmed"
    need_packages build console e2e demo harm
    build
    tests/harm/run "$BINARY" --cycles 20 --minutes 2 --starts 50
}
test_fuzz() { cargo run --release --quiet -p limpid-fuzz -- --seconds 180; }

run_tests() {
    local fast= wanted=() name kind text passed=0 failed=() times=()
    for argument in "$@"; do
        case $argument in
            --fast) fast=1 ;;
            --list) printf '%s\n' "$PARTS"; return ;;
            *) wanted+=("$argument") ;;
        esac
    done
    while read -r name kind text; do
        [ -n "$name" ] || continue
        [ -z "$fast" ] || [ "$kind" = fast ] || continue
        if [ ${#wanted[@]} -gt 0 ] && [[ " ${wanted[*]} " != *" $name "* ]]; then continue; fi
        say "$name: $text"
        local start=$SECONDS
        # A subshell of its own with `set -e`: inside `if` it would not end at the first failure.
        set +e
        (set -e; "test_$name") </dev/null
        local status=$?
        set -e
        times+=("$(printf '%-10s %5d s  %s' "$name" $((SECONDS - start)) "$([ $status -eq 0 ] && echo passed || echo FAILED)")")
        if [ $status -eq 0 ]; then passed=$((passed + 1)); else failed+=("$name"); fi
    done <<<"$PARTS"
    printf '\n%s\n' "time by part"
    printf '%s\n' "${times[@]}"
    [ ${#failed[@]} -eq 0 ] || echo "failed: ${failed[*]}"
    echo
    echo "$passed passed, ${#failed[@]} failed"
    [ ${#failed[@]} -eq 0 ]
}
