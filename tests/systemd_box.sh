#!/bin/sh
# Set up a root with the units in directory $1 and the files in $2 overlaid on /, then exec the remaining arguments.
# Runs in new PID, mount, IPC, UTS and cgroup namespaces; nothing done here is visible outside them.
set -eu
units=$1
files=$2
shift 2

mount --make-rprivate /
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -t tmpfs tmpfs /run
mkdir /run/lock /run/tmp
mount --bind /tmp /run/tmp # for units, which have a private /tmp
for directory in /etc /var /opt /usr; do
    mkdir -p "/run/over$directory" "/run/work$directory"
    mount -t overlay overlay -o "lowerdir=$directory,upperdir=/run/over$directory,workdir=/run/work$directory" "$directory"
done
mount -t tmpfs tmpfs /etc/systemd/system # hides the machine's own services
mount -t tmpfs tmpfs /sys/fs/cgroup
if [ "$(awk '$1 == "memory" { print $2 }' /proc/cgroups)" -eq 0 ]; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
else # memory limits are in version 1 here: systemd's hybrid layout
    mkdir /sys/fs/cgroup/unified /sys/fs/cgroup/systemd /sys/fs/cgroup/memory
    mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
    mount -t cgroup -o memory cgroup /sys/fs/cgroup/memory
fi
cp -r "$units/." /etc/systemd/system/
cp -r "$files/." /
mount --make-rshared / # systemd passes credentials through shared mounts
exec "$@"
