# The agent for arm64, built by a newer Debian's cross compilers in a folder of the cache. Sourced by `run`; `cache` is this
# test's folder there, `project` the checkout.
#
# Nothing of it is installed on this machine: a Rust toolchain often comes without the standard library of other
# architectures, and the libraries must fit the compiler.

# A release whose `rustc` is not older than Cargo.toml asks for.
RELEASE=forky
BUILD_PACKAGES="rustc cargo libstd-rust-dev:arm64 gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev:arm64 libelf-dev:arm64 zlib1g-dev:arm64 libelf-dev zlib1g-dev clang make pkg-config"
TARGET=aarch64-unknown-linux-gnu

# Where this machine has its Debian from.
mirror() { cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null | grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1; }

in_toolchain() { chroot "$cache/toolchain${NEW:-}" env -i HOME=/root PATH=/usr/sbin:/usr/bin DEBIAN_FRONTEND=noninteractive "$@"; }

toolchain() {
    [ ! -d "$cache/toolchain" ] || return 0
    say "making a Debian with compilers for arm64 (2.5 GB)"
    local folder=$cache/toolchain.new NEW=.new try
    # What was fetched before a connection failed is not fetched again.
    for try in 1 2 3; do
        # shellcheck disable=SC2046
        debootstrap --variant=minbase --include=ca-certificates $RELEASE "$folder" $(mirror) /usr/share/debootstrap/scripts/sid >&2 && break
        [ "$try" -lt 3 ] || return 1
    done
    cp /etc/resolv.conf "$folder/etc/"
    printf '#!/bin/sh\nexit 101\n' >"$folder/usr/sbin/policy-rc.d"
    chmod 755 "$folder/usr/sbin/policy-rc.d"
    # A mirror may stand still; what it has is signed all the same.
    printf 'Acquire::Check-Valid-Until "false";\nAcquire::Retries "5";\n' >"$folder/etc/apt/apt.conf.d/90limpid"
    in_toolchain dpkg --add-architecture arm64
    in_toolchain apt-get update -q >&2
    # shellcheck disable=SC2086
    in_toolchain apt-get install -y -q --no-install-recommends $BUILD_PACKAGES >&2
    rm -rf "$folder"/var/cache/apt/archives/*.deb "$folder"/usr/share/{doc,man,locale}
    mkdir -p "$folder"/{project,cargo,target}
    mv "$folder" "$cache/toolchain"
}

# Prints the path of the binary. The mounts are seen by the build alone and end with it.
build_agent() {
    local root=$cache/toolchain
    toolchain
    mkdir -p "$cache/target" "${CARGO_HOME:-$HOME/.cargo}"
    say "building the agent for arm64"
    unshare --mount bash -euc '
        mount --bind "$1" "$0/project"
        mount --bind "$2" "$0/cargo"
        mount --bind "$3" "$0/target"
        mount -t proc proc "$0/proc"
        mount --bind /dev "$0/dev"
        exec chroot "$0" env -i HOME=/root PATH=/usr/bin CARGO_HOME=/cargo CARGO_TARGET_DIR=/target \
            CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
            cargo build --manifest-path /project/Cargo.toml --locked --release --quiet -p limpid --no-default-features --features agent --target "$4"
    ' "$root" "$project" "${CARGO_HOME:-$HOME/.cargo}" "$cache/target" $TARGET >&2
    echo "$cache/target/$TARGET/release/limpid"
}
