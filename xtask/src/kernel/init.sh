#!/bin/busybox sh
# The first process before the root is there: loads the modules that reach it, and lays memory over it.
export PATH=/bin
busybox mkdir -p /proc /dev /lower /over /root
busybox mount -t proc proc /proc
busybox mount -t devtmpfs dev /dev
while read -r module; do busybox insmod "/modules/$module"; done </modules/order
busybox mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=524288 host /lower || busybox poweroff -f
busybox mount -t tmpfs -o size=2g over /over
busybox mkdir -p /over/upper /over/work
busybox mount -t overlay -o lowerdir=/lower,upperdir=/over/upper,workdir=/over/work over /root || busybox poweroff -f
for word in $(busybox cat /proc/cmdline); do
    case $word in netlab.guest=*) folder=${word#netlab.guest=} ;; esac
done
. "/root$folder/environment"
busybox umount /proc
busybox umount /dev
exec busybox switch_root /root /bin/bash "$folder/guest.sh"
