# Kernel and root file system of an arm64 machine from Debian's packages. Sourced by `run` after toolchain.sh.

MACHINE_PACKAGES="redis-server redis-tools nginx-light dnsmasq-base apache2-utils busybox-static libelf1t64 libgcc-s1 zlib1g"

# Packages of another architecture by lists of their own: what this machine has of apt is not changed.
apt_arm64() { # COMMAND ARGUMENT…
    local apt=$cache/apt command=$1
    shift
    mkdir -p "$apt"/{lists/partial,cache/archives/partial}
    : >"$apt/status"
    "$command" -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::Lists="$apt/lists" -o Dir::State::status="$apt/status" \
        -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}

# A kernel of the table in vm.sh: prints its path.
arm64_kernel() { # VERSION
    local image=$cache/vmlinuz-$1 pattern package
    if [ ! -f "$image" ]; then
        say "fetching kernel $1 for arm64"
        pattern=$(awk -v version="$1" '$1 == version {print $2}' <<<"$KERNELS" | sed 's/-amd64\$$/-arm64$/')
        apt_arm64 apt-get update >&2
        package=$(apt_arm64 apt-cache search --names-only "$pattern" | awk '{print $1}' | sort -V | tail -n 1)
        [ -n "$package" ] || { echo "kernels: no Debian package matches $pattern" >&2; return 1; }
        (cd "$cache" && apt_arm64 apt-get download "$package" >&2 && dpkg-deb --fsys-tarfile "$package"_*.deb | tar -xO --wildcards './boot/vmlinuz-*' >"$image.new")
        rm -f "$cache/$package"_*.deb
        mv "$image.new" "$image"
    fi
    echo "$image"
}

# The programs and all that they need, unpacked and not installed: prints the folder. They are of the toolchain's release,
# with whose C library the agent is linked.
arm64_programs() {
    local folder=$cache/programs debs=$cache/toolchain/arm64 deb
    if [ ! -d "$folder" ]; then
        say "fetching programs for arm64"
        mkdir -p "$debs/partial" "$folder.new"
        : >"$debs/status"
        # shellcheck disable=SC2086
        in_toolchain apt-get -q -y --no-install-recommends -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::status=/arm64/status \
            -o Dir::Cache::archives=/arm64 --download-only install $MACHINE_PACKAGES >&2
        # The links of the merged /usr are not in these packages; a package's own `lib` goes through them.
        mkdir -p "$folder.new"/usr/{bin,lib,sbin}
        for link in bin lib sbin; do ln -s usr/$link "$folder.new/$link"; done
        for deb in "$debs"/*.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder.new" --keep-directory-symlink; done
        rm -rf "$debs" "$folder.new"/usr/share "$folder.new"/usr/lib/systemd "$folder.new"/usr/lib/aarch64-linux-gnu/{systemd,gconv,perl}
        mv "$folder.new" "$folder"
    fi
    echo "$folder"
}

# The same test as on the other kernels runs in it.
arm64_initramfs() { # BINARY
    local root=$cache/root kernels=$here/..
    rm -rf "$root"
    cp -a "$(arm64_programs)" "$root"
    mkdir -p "$root"/{proc,sys,dev,tmp,run,etc,var/log/nginx,var/lib/nginx,var/lib/limpid}
    cp "$1" "$root/bin/limpid"
    mv "$root"/usr/sbin/{nginx,dnsmasq} "$root/usr/bin/"
    printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nwww-data:x:33:33::/:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\nwww-data:x:33:\n' >"$root/etc/group"
    head -c 1024 /dev/zero | tr '\0' x >"$root/etc/page"
    cp "$kernels/nginx.conf" "$root/etc/"
    make_certificate "$root/etc"
    install -m755 "$kernels/init" "$root/init"
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$cache/initramfs.gz"
}
