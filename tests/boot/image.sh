#!/bin/sh
# Makes what the guests boot: a small Debian system like its cloud images, with cloud-init, and nothing of seedkit.
#
#   image.sh FOLDER SOURCES...     writes FOLDER/disk, FOLDER/vmlinuz and FOLDER/initrd
#
# SOURCES are files that say where apt gets the packages. Must be run as root.
set -eu

folder=$1
shift

# What Debian's own cloud image has of its base, its boot, its network and its first steps, without what only a
# real machine or a person needs.
packages="
    linux-image-cloud-amd64 initramfs-tools kmod udev
    systemd systemd-sysv systemd-resolved libnss-resolve dbus
    cloud-init cloud-guest-utils e2fsprogs fdisk locales tzdata
    netplan.io iproute2 iputils-ping openssh-server ca-certificates openssl
    sudo procps mount python3 apparmor
"

# shellcheck disable=SC2016  # $1 is the hook's
finish='
    set -e
    # The real containerd, where only the stand-in for k3s finds it: k3s carries its own, and the node has no other.
    cd "$1/tmp"
    APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -qq -o APT::Sandbox::User=root download containerd runc
    for package in containerd_*.deb runc_*.deb; do dpkg-deb --extract "$package" "$1/opt/containerd"; done
    rm containerd_*.deb runc_*.deb
    # As in the cloud image.
    chroot "$1" systemctl --quiet enable systemd-networkd
    # One kind of host key: an RSA one takes an emulated processor half a minute.
    echo "ssh_genkeytypes: [ed25519]" >"$1/etc/cloud/cloud.cfg.d/50-emulated.cfg"
    echo LANG=C.UTF-8 >"$1/etc/default/locale"
    # An emulated machine on a busy one is many times slower than what the defaults are made for.
    mkdir "$1/etc/systemd/system.conf.d"
    printf "[Manager]\nDefaultTimeoutStartSec=15min\nDefaultDeviceTimeoutSec=15min\n" \
        >"$1/etc/systemd/system.conf.d/slow.conf"
'

# shellcheck disable=SC2086  # the packages are words
mmdebstrap --quiet --mode=root --format=directory --variant=minbase --include="$(echo $packages | tr ' ' ,)" \
    --aptopt='Acquire::Languages "none"' \
    --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="$finish" \
    bookworm "$folder/root" "$@"

cp "$folder"/root/boot/vmlinuz-* "$folder/vmlinuz"
cp "$folder"/root/boot/initrd.img-* "$folder/initrd"
mke2fs -q -t ext4 -L root -E root_owner=0:0 -d "$folder/root" "$folder/disk" 4G
rm -rf "$folder/root"
