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
  "cpio", // initramfs of the virtual machine
  "crun", // peers to compare with
  "gcc", // small C programs that a test runs inside
  "libc6-dev",
  "libseccomp-dev", // its filters are compared with ours
  "podman", // an engine that uses ctr-bun as its runtime
  "qemu-system-x86", // the virtual machine with pure cgroup v2
  "qemu-user", // the aarch64 stub
  "runc",
  "strace",
  "zstd",
];

/** Unpacked below build/tools instead of installed: its package would set up a service. */
export const unpackedTools = ["docker-registry"];
