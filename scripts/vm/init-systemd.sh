#!/bin/busybox sh
# /init of the virtual machine where systemd is PID 1: makes an ordinary root, as init.sh does, and becomes systemd.
# What systemd then starts is in systemd.ts.
if [ "$1" != moved ]; then
  /bin/busybox mount --rbind / /mnt
  cd /mnt
  /bin/busybox mount --move . /
  exec /bin/busybox chroot . /init moved
fi

for module in /modules/*.ko; do /bin/busybox insmod "$module"; done
exec /lib/systemd/systemd
