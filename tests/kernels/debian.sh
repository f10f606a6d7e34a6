# A whole Debian with systemd on a disk of its own, for the tests that need more than a kernel. Sourced after vm.sh; `cache`
# is the folder of all caches here.

# What a container, a bridge and the disk itself need of the kernel; what they ask for comes with them.
MODULES="virtio_pci virtio_blk crc32c_generic ext4 overlay veth bridge"

# A plain Debian: prints its folder. Nobody writes into it.
plain_debian() {
    local plain=$cache/package/plain
    if [ ! -f "$plain/etc/debian_version" ]; then
        say "making a plain Debian"
        mkdir -p "$cache/package"
        rm -rf "$plain.new"
        debootstrap --variant=minbase --include=systemd-sysv,libelf1,curl,ca-certificates,nginx-light bookworm "$plain.new" >&2
        rm -rf "$plain.new"/var/cache/apt/archives/*.deb
        mv "$plain.new" "$plain"
    fi
    echo "$plain"
}

# The same with more packages: prints its folder. Made anew when the list changes.
debian_with() { # NAME PACKAGE…
    local folder=$cache/package/$1 packages=${*:2} plain
    if [ "$(cat "$folder/etc/limpid-test-packages" 2>/dev/null)" != "$packages" ]; then
        plain=$(plain_debian)
        say "adding $packages"
        rm -rf "$folder" "$folder.new"
        cp -a "$plain" "$folder.new"
        cp /etc/resolv.conf "$folder.new/etc/resolv.conf"
        # No service is started in a folder.
        printf '#!/bin/sh\nexit 101\n' >"$folder.new/usr/sbin/policy-rc.d"
        chmod 755 "$folder.new/usr/sbin/policy-rc.d"
        local inside=(chroot "$folder.new" env PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive)
        # shellcheck disable=SC2086
        "${inside[@]}" sh -c "apt-get update -q && apt-get install -y -q --no-install-recommends $packages" >&2
        rm -rf "$folder.new"/var/cache/apt/archives/*.deb "$folder.new"/var/lib/apt/lists/* "$folder.new"/usr/share/{doc,man,locale}
        echo "$packages" >"$folder.new/etc/limpid-test-packages"
        mv "$folder.new" "$folder"
    fi
    echo "$folder"
}

# A kernel of the table in vm.sh with the modules above, from one package: prints the folder that holds `vmlinuz`, the
# modules and an initial file system that mounts the disk.
kernel_with_modules() { # VERSION
    local folder=$cache/kernels/whole-$1
    if [ ! -f "$folder/initramfs.gz" ]; then
        say "fetching kernel $1 with its modules"
        rm -rf "$folder" "$folder.new"
        mkdir -p "$folder.new/all"
        local package deb
        package=$(apt-cache search --names-only "$(awk -v version="$1" '$1 == version {print $2}' <<<"$KERNELS")" | awk '{print $1}' | sort -V | tail -n 1)
        [ -n "$package" ] || { echo "kernels: no Debian package of kernel $1; run apt-get update" >&2; return 1; }
        (cd "$folder.new" && apt-get download -q "$package" >&2)
        dpkg-deb -x "$folder.new/$package"_*.deb "$folder.new/all"
        cp "$folder.new"/all/boot/vmlinuz-* "$folder.new/vmlinuz"
        wanted_modules "$folder.new/all" "$folder.new/modules"
        disk_initramfs "$folder.new"
        rm -rf "$folder.new/all" "$folder.new/$package"_*.deb
        mv "$folder.new" "$folder"
    fi
    echo "$folder"
}

wanted_modules() { # FROM TO
    local version file
    version=$(ls "$1/lib/modules")
    /sbin/depmod -b "$1" "$version"
    mkdir -p "$2/lib/modules/$version"
    cp "$1/lib/modules/$version"/modules.{builtin,order,builtin.modinfo} "$2/lib/modules/$version/"
    for file in $(for module in $MODULES; do /sbin/modprobe -d "$1" -S "$version" --show-depends "$module"; done | awk '$1 == "insmod" {print $2}' | sort -u); do
        install -Dm644 "$file" "$2/${file#"$1"}"
    done
    find "$2" -name '*.xz' -exec xz -d {} +
    /sbin/depmod -b "$2" "$version"
}

# Mounts the first disk and goes on with the init that is there.
disk_initramfs() { # FOLDER
    local root=$1/initramfs
    mkdir -p "$root"/{bin,proc,sys,dev,new}
    cp /bin/busybox "$root/bin/"
    cp -a "$1/modules/lib" "$root/"
    cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
modprobe -a virtio_pci virtio_blk crc32c_generic ext4
mount -t ext4 /dev/vda /new || poweroff -f
for folder in proc sys dev; do umount /$folder; done
exec switch_root /new /lib/systemd/systemd
INIT
    chmod 755 "$root/init"
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$1/initramfs.gz"
    rm -rf "$root"
}

# Boots a Debian with systemd, runs a script in it and prints what it says. The folder is changed and may go afterwards.
boot_debian() { # ROOT KERNEL_FOLDER SCRIPT LOG
    local root=$1 kernel=$2 log=$4 here
    here=$(dirname "${BASH_SOURCE[0]}")
    install -Dm755 "$3" "$root/usr/local/bin/limpid-test"
    install -Dm644 "$here/limpid-test.service" "$root/etc/systemd/system/limpid-test.service"
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    ln -sf /etc/systemd/system/limpid-test.service "$root/etc/systemd/system/multi-user.target.wants/limpid-test.service"
    cp -a "$kernel/modules/lib/modules" "$root/usr/lib/"
    rm -rf "$root"/usr/share/{doc,man,locale} "$root"/var/lib/apt/lists/*
    rm -f "$log.disk"
    /sbin/mkfs.ext4 -q -O ^has_journal -d "$root" "$log.disk" 1600M >/dev/null
    for _ in 1 2 3; do
        timeout 900 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1536 -nographic -no-reboot -nic none \
            -kernel "$kernel/vmlinuz" -initrd "$kernel/initramfs.gz" -drive "file=$log.disk,format=raw,if=virtio,cache=unsafe,snapshot=on" \
            -append "console=ttyS0 quiet panic=-1 systemd.log_level=warning systemd.show_status=0 systemd.mask=serial-getty@ttyS0.service" \
            >"$log" 2>&1 </dev/null || true
        panicked_by_itself "$log" || break
        say "the kernel has panicked by itself, once more"
    done
    rm -f "$log.disk"
    grep -a '^limpid-test:' "$log" | tr -d '\r' | sed 's/^limpid-test: /  /' || true
    if ! grep -aq '^limpid-test: all passed' "$log"; then
        tail -n 60 "$log" >&2
        return 1
    fi
}
