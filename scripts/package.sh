# ./x package: a Debian package of the release binary, with dpkg-deb alone. The same binary and the same commit make the
# same file, byte for byte. Sourced by ./x.

# What the binary is linked with, as packages; the version of the C library by the newest symbol that is asked for.
package_depends() {
    local newest
    newest=$(objdump -T "$1" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
    printf 'libc6 (>= %s), libgcc-s1, libelf1, zlib1g, passwd' "${newest#GLIBC_}"
}

# What the commands say of themselves, where this binary has them.
package_texts() { # BINARY ROOT
    local shell file
    while read -r shell file; do
        if "$1" completion "$shell" >"$2/text" 2>/dev/null; then install -Dm644 "$2/text" "$2/$file"; fi
    done <<'TEXT'
bash usr/share/bash-completion/completions/limpid
zsh usr/share/zsh/vendor-completions/_limpid
fish usr/share/fish/vendor_completions.d/limpid.fish
TEXT
    if "$1" man >"$2/text" 2>/dev/null; then
        gzip -9n <"$2/text" >"$2/text.gz"
        install -Dm644 "$2/text.gz" "$2/usr/share/man/man1/limpid.1.gz"
    fi
    rm -f "$2/text" "$2/text.gz"
}

package_tree() { # BINARY ROOT
    local root=$2 doc=$2/usr/share/doc/limpid
    install -Dm755 "$1" "$root/usr/bin/limpid"
    strip --strip-unneeded --remove-section=.comment "$root/usr/bin/limpid"
    install -Dm644 -t "$root/lib/systemd/system" deploy/systemd/*.service
    mkdir -p "$root/etc/limpid"
    # A user of its own in place of `nobody`.
    "$1" config | sed 's/^#user: nobody$/user: limpid/' >"$root/etc/limpid/limpid.yaml"
    grep -q '^user: limpid$' "$root/etc/limpid/limpid.yaml"
    package_texts "$1" "$root"
    install -Dm644 -t "$doc" docs/install.md docs/security.md docs/metrics.md docs/server-metrics.md NOTICE
    install -Dm644 deploy/debian/copyright "$doc/copyright"
    printf 'limpid (%s) stable; urgency=medium\n\n  * This version.\n\n -- The Limpid authors <limpid@localhost>  %s\n' \
        "$VERSION" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$doc/changelog.gz"
}

package_control() { # BINARY ROOT
    local root=$2
    install -Dm755 -t "$root/DEBIAN" deploy/debian/postinst deploy/debian/prerm deploy/debian/postrm
    echo /etc/limpid/limpid.yaml >"$root/DEBIAN/conffiles"
    sed -e "s/@VERSION@/$VERSION/" -e "s/@ARCH@/$(dpkg --print-architecture)/" -e "s/@DEPENDS@/$(package_depends "$1")/" \
        -e "s/@SIZE@/$(du -sk --apparent-size --exclude=DEBIAN "$root" | cut -f1)/" deploy/debian/control.in >"$root/DEBIAN/control"
    (cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
}

# package BINARY [FOLDER]: prints the package's path last.
package() {
    local binary=$1 out=${2:-$CACHE/package} root
    VERSION=$("$binary" --version | cut -d ' ' -f 2)
    export VERSION SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
    root=$(mktemp -d)
    umask 022
    chmod 755 "$root"
    package_tree "$binary" "$root"
    package_control "$binary" "$root"
    find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    mkdir -p "$out"
    dpkg-deb --root-owner-group -Zxz --build "$root" "$out" >&2
    rm -rf "$root"
    echo "$out/limpid_${VERSION}_$(dpkg --print-architecture).deb"
}
