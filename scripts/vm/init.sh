#!/bin/busybox sh
# PID 1 of the virtual machine, under busybox. Makes an ordinary root, mounts what a system has, runs /test.sh, and
# turns the machine off. It knows nothing about the tests.
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root

if [ "$1" != moved ]; then
  /bin/busybox mkdir -p /proc /sys /dev /tmp /run /root /var/lib /usr/sbin /usr/bin /sbin /n
  /bin/busybox --install -s /bin
  # pivot_root fails while the root is the initramfs: mount the same tree over it and live there.
  mount --rbind / /n
  cd /n
  mount --move . /
  exec chroot . /init moved
fi

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=755 run /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
dmesg -n 1
for module in /modules/*.ko; do insmod "$module"; done
# As an init does that manages the whole machine: what can be limited, is.
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
  echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
done
mkdir /sys/fs/cgroup/test
echo $$ >/sys/fs/cgroup/test/cgroup.procs
ip link set lo up
hostname vm

sh /test.sh </dev/null
echo "::end $?"
poweroff -f
