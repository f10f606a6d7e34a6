# What the tests that boot a kernel have in common; sourced by them. The kernels of the matrix come from Debian's packages
# and stay in `cache`.

# Version and the pattern of its package's name; the newest that matches is taken.
KERNELS="
6.1   ^linux-image-6\.1\.[0-9]+-[0-9]+-amd64$
6.12  ^linux-image-6\.12\.[0-9]+\+deb12-amd64$
"

fetch() { # VERSION PATTERN: prints the path of the kernel
    local image=$cache/vmlinuz-$1 package
    if [ ! -f "$image" ]; then
        say "fetching kernel $1"
        package=$(apt-cache search --names-only "$2" | awk '{print $1}' | sort -V | tail -n 1)
        [ -n "$package" ] || { echo "kernels: no Debian package matches $2; run apt-get update" >&2; return 1; }
        (cd "$cache" && apt-get download -q "$package" >&2 && dpkg-deb --fsys-tarfile "$package"_*.deb | tar -xO --wildcards './boot/vmlinuz-*' >"$image.new")
        rm -f "$cache/$package"_*.deb
        mv "$image.new" "$image"
    fi
    echo "$image"
}

# The kernel of a version of the table: prints its path.
kernel_of() { # VERSION
    fetch "$1" "$(awk -v version="$1" '$1 == version {print $2}' <<<"$KERNELS")"
}

# Emulated processors fall over now and then. Where a BPF program has part in it, it says something of Limpid.
panicked_by_itself() { # LOG
    local panic
    grep -aq 'Kernel panic' "$1" || return 1
    panic=$(grep -a -B 60 'Kernel panic' "$1" | tr -d '\r')
    sed 's/^/  /' <<<"$panic"
    ! grep -qi 'bpf' <<<"$panic"
}
