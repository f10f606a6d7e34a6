# What the tests that boot a kernel have in common; sourced by them. The kernels of the matrix come from Debian's packages
# and stay in `cache`.

# Version, the pattern of its package's name (the newest that matches is taken), the Debian release that has it, and the
# front ends that exist there, best first.
KERNELS="
5.10  ^linux-image-5\.10\.0-[0-9]+-amd64$           bullseye  fentry,kprobe,syscall
6.1   ^linux-image-6\.1\.[0-9]+-[0-9]+-amd64$       bookworm  fentry,kprobe,syscall
6.12  ^linux-image-6\.12\.[0-9]+\+deb12-amd64$      bookworm  tp_btf,fentry,kprobe,syscall
"

# apt with the sources of another release: those of the machine, with that release's name. The machine's own stay as they are.
apt_of() { # RELEASE COMMAND ARGUMENT…
    local release=$1 folder=$cache/apt-$1 command=$2 own
    shift 2
    own=$(. /etc/os-release && echo "$VERSION_CODENAME")
    if [ "$release" = "$own" ]; then
        "apt-$command" "$@"
        return
    fi
    local options=(-o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder/cache" -o APT::Sandbox::User=root)
    if [ ! -f "$folder/sources.list" ]; then
        mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
        apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) main' 'Created-By: Packages' |
            grep -E " $own(-security)? main\$" | sed "s/ $own/ $release/" | sort -u >"$folder/sources.new"
        apt-get -q "${options[@]}" -o Dir::Etc::SourceList="$folder/sources.new" update >&2
        mv "$folder/sources.new" "$folder/sources.list"
    fi
    "apt-$command" "${options[@]}" "$@"
}

fetch() { # VERSION PATTERN RELEASE: prints the path of the kernel
    local image=$cache/vmlinuz-$1 package
    if [ ! -f "$image" ]; then
        say "fetching kernel $1"
        package=$(apt_of "$3" cache search --names-only "$2" | awk '{print $1}' | sort -V | tail -n 1)
        [ -n "$package" ] || { echo "kernels: no Debian package matches $2; run apt-get update" >&2; return 1; }
        (cd "$cache" && apt_of "$3" get download -q "$package" >&2 && dpkg-deb --fsys-tarfile "$package"_*.deb | tar -xO --wildcards './boot/vmlinuz-*' >"$image.new")
        rm -f "$cache/$package"_*.deb
        mv "$image.new" "$image"
    fi
    echo "$image"
}

# For servers of the test machine.
make_certificate() { # FOLDER
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -keyout "$1/key.pem" \
        -out "$1/certificate.pem" 2>/dev/null
}

# The kernel of a version of the table: prints its path.
kernel_of() { # VERSION
    local version pattern release front_ends
    read -r version pattern release front_ends < <(awk -v version="$1" '$1 == version' <<<"$KERNELS")
    fetch "$version" "$pattern" "$release"
}

# Emulated processors fall over now and then. Where a BPF program has part in it, it says something of Limpid.
panicked_by_itself() { # LOG
    local panic
    grep -aq 'Kernel panic' "$1" || return 1
    panic=$(grep -a -B 60 'Kernel panic' "$1" | tr -d '\r')
    sed 's/^/  /' <<<"$panic"
    ! grep -qi 'bpf' <<<"$panic"
}
