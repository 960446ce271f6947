#!/bin/sh
# Furnish a small world with the units in directory $1 and the files in $2 laid over /, then become the rest of the arguments.
# Called in fresh PID, mount, IPC, UTS and cgroup namespaces; nothing done here is seen outside them.
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
mount --bind /tmp /run/tmp # for units, whose own /tmp is another
for directory in /etc /var /opt /usr; do
    mkdir -p "/run/over$directory" "/run/work$directory"
    mount -t overlay overlay -o "lowerdir=$directory,upperdir=/run/over$directory,workdir=/run/work$directory" "$directory"
done
mount -t tmpfs tmpfs /etc/systemd/system # none of this machine's own services
mount -t tmpfs tmpfs /sys/fs/cgroup
if [ "$(awk '$1 == "memory" { print $2 }' /proc/cgroups)" -eq 0 ]; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
else # limits on memory are with version 1 here: systemd's hybrid arrangement
    mkdir /sys/fs/cgroup/unified /sys/fs/cgroup/systemd /sys/fs/cgroup/memory
    mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
    mount -t cgroup -o memory cgroup /sys/fs/cgroup/memory
fi
cp -r "$units/." /etc/systemd/system/
cp -r "$files/." /
mount --make-rshared / # systemd passes credentials on by way of shared mounts
exec "$@"
