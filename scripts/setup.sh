# What the routines need and how it is had. Sourced by ./x.

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }

# Debian packages by purpose. A package is written as NAME or NAME:COMMAND when another way to have the command will do.
PACKAGES_build="gcc:cc make:make pkg-config:pkg-config clang-19:clang-19 libelf-dev zlib1g-dev libc6-dev"
PACKAGES_console="nodejs:node npm:npm"
PACKAGES_e2e="nginx-light:nginx redis-server:redis-server redis-tools:redis-benchmark postgresql wrk:wrk apache2-utils:ab python3:python3 python3-psycopg2 libpq-dev iproute2:ip iptables:iptables golang-go:go socat:socat curl:curl nghttp2-client:h2load nghttp2-server:nghttpd python3-grpcio bind9:named bind9-dnsutils:dig mariadb-server:mariadbd mariadb-client:mariadb libmariadb-dev python3-pymysql groff-base:groff"
PACKAGES_demo="default-jdk-headless:javac nodejs:node node-mysql mariadb-server:mariadbd unbound:unbound iptables:iptables e2fsprogs:mkfs.ext4"
PACKAGES_runtimes="nginx-light:nginx postgresql python3:python3 python3-pip:pip3 wget:wget curl:curl golang-go:go nodejs:node npm:npm default-jdk-headless:javac maven:mvn"
PACKAGES_browser="chromium:chromium fonts-dejavu-core"
PACKAGES_kernels="qemu-system-x86:qemu-system-x86_64 dnsmasq-base:dnsmasq busybox-static cpio:cpio zstd:zstd xz-utils:xz debootstrap:debootstrap kmod:depmod e2fsprogs:mkfs.ext4"
PACKAGES_arm64="qemu-system-arm:qemu-system-aarch64"
PACKAGES_package="binutils:strip"
PACKAGES_harm="wget:wget strace:strace gdb:gdb"
PACKAGES_truth="python3:python3"
PACKAGES_bench="sysbench:sysbench dnsperf:dnsperf"

have_package() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'install ok installed'; }

# need_packages PURPOSE…
need_packages() {
    local purpose list entry name command missing=()
    for purpose in "$@"; do
        list=PACKAGES_$purpose
        for entry in ${!list}; do
            name=${entry%%:*} command=${entry#*:}
            if [ "$command" != "$entry" ] && PATH=$PATH:/usr/sbin:/sbin command -v "$command" >/dev/null; then continue; fi
            have_package "$name" || missing+=("$name")
        done
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "installing Debian packages: ${missing[*]}"
    local sudo=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { echo "x: root is needed to install: apt-get install ${missing[*]}" >&2; exit 1; }
        sudo=sudo
    fi
    # Services that a package would start are not wanted: the tests start their own.
    $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get update -q >&2
    $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
}

# The console is built in the cache, so that the checkout stays clean and node modules survive a fresh clone.
build_console() {
    local work=$CACHE/console/work sum
    sum=$(cd web && git ls-files -z --cached --others --exclude-standard . | xargs -0 sha256sum | sha256sum)
    if [ -f "$LIMPID_CONSOLE/index.html" ] && [ "$(cat "$CACHE/console/sum" 2>/dev/null)" = "$sum" ]; then return; fi
    say "building the console"
    mkdir -p "$work"
    (cd "$work" && find . -mindepth 1 -maxdepth 1 ! -name node_modules -exec rm -rf {} +)
    (cd web && git ls-files -z --cached --others --exclude-standard . | xargs -0 cp --parents -t "$work")
    (cd "$work" && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build) >&2
    rm -rf "$LIMPID_CONSOLE"
    cp -r "$work/dist" "$LIMPID_CONSOLE"
    echo "$sum" >"$CACHE/console/sum"
}

need_root() {
    [ "$(id -u)" -eq 0 ] && return
    echo "x: $1 needs root, for BPF and network namespaces: run sudo ./x $command" >&2
    exit 1
}
