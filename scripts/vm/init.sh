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
ln -s /proc/self/fd /dev/fd
for stream in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${stream%:*}" "/dev/${stream#*:}"; done
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=755 run /run
dmesg -n 1
for module in /modules/*.ko; do insmod "$module"; done

# v1 NAME OPTIONS: mounts a hierarchy of cgroup v1.
v1() {
  mkdir "/sys/fs/cgroup/$1"
  mount -t cgroup -o "$2" "$1" "/sys/fs/cgroup/$1"
}
if [ "$vm_cgroup" = unified ]; then
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  # As an init does that manages the whole machine: what can be limited, is.
  for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
  done
  mkdir /sys/fs/cgroup/test
  echo $$ >/sys/fs/cgroup/test/cgroup.procs
else
  # As systemd mounts them: two together in some, with a link for each.
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  if [ "$vm_cgroup" = hybrid ]; then
    mkdir /sys/fs/cgroup/unified
    mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
  fi
  v1 systemd none,name=systemd
  for together in cpu,cpuacct net_cls,net_prio; do
    v1 $together $together
    for one in ${together%,*} ${together#*,}; do ln -s $together /sys/fs/cgroup/$one; done
  done
  for one in blkio cpuset devices freezer hugetlb memory misc perf_event pids rdma; do v1 $one $one; done
fi
ip link set lo up
hostname vm

sh /test.sh </dev/null
echo "::end $?"
poweroff -f
