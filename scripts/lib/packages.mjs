// Which Debian packages the demo and the tests need, and what for. Installing them is setup.mjs.

/** What `npm run demo` runs: it makes an image and pushes it to a registry. */
export const demoPackages = [
  "ca-certificates",
  "debootstrap", // a Debian root file system
  "skopeo", // pushes images
  "umoci", // makes layers
];

/** What `npm test` runs on top of that. */
export const testPackages = [
  ...demoPackages,
  "attr", // extended attributes in test images
  "binutils", // the init's stub is assembled again and compared
  "binutils-aarch64-linux-gnu",
  "busybox-static", // the smallest root file system
  "catatonit", // podman's --init
  "crun", // peers to compare with
  "dbus-daemon", // a bus for the client of D-Bus
  "gcc", // small C programs that a test runs inside
  "gcc-multilib", // 32-bit ones
  "iptables", // what dockerd, unpacked below, needs of the host
  "libc6-dev",
  "libdevmapper1.02.1",
  "libseccomp-dev", // its filters are compared with ours
  "podman", // an engine that uses ctr-bun as its runtime
  "qemu-system-x86", // the virtual machine with pure cgroup v2
  "qemu-user", // the aarch64 stub
  "runc",
  "secilc", // compiles the SELinux policy of a test
  "strace",
  "tini", // docker's --init
  "zstd",
];

/**
 * Unpacked below build/tools instead of installed, since their packages would set up services: where the host has no
 * such file. What is in /etc of these is not used.
 */
const registry = { package: "docker-registry", file: "usr/bin/docker-registry" };
export const demoTools = [registry];
export const testTools = [
  registry,
  { package: "apparmor", file: "sbin/apparmor_parser" }, // compiles the profiles of a test
  { package: "containerd", file: "usr/bin/containerd" }, // engines that use ctr-bun as their runtime
  { package: "docker.io", file: "usr/sbin/dockerd" },
  // Docker's default seccomp profile, which ours is compared with
  {
    package: "golang-github-docker-docker-dev",
    file: "usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json",
  },
];
