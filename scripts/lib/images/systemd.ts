// The image systemd.cpio: a small Debian with systemd as its init and an ordinary user, as an initramfs for the virtual
// machine. How it is booted, and what runs in it, is in scripts/vm.

import { appendFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeCpio } from "../cpio.ts";
import { run } from "../run.ts";
import { install } from "./debootstrap.ts";

const packages = ["systemd", "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd"];

/** What no test needs, as patterns of the shell. Every byte is unpacked at every boot. */
const unneeded = [
  "usr/share/{doc,man,locale,info,zoneinfo,perl5,bash-completion,i18n,bug,lintian,doc-base,common-licenses}",
  "usr/share/{keyrings,polkit-1,zsh,debconf,gcc,gdb,mime,pixmaps,menu}",
  "usr/lib/x86_64-linux-gnu/{gconv,perl-base,libapt-*,libdb-5.3.so,libstdc++.so.*,libgnutls.so.*,libsepol.so.*}",
  "usr/lib/x86_64-linux-gnu/{libunistring.so.*,libp11-kit.so.*,libhogweed.so.*,libnettle.so.*,libmvec.so.*}",
  "usr/bin/{perl*,apt*,dpkg*,debconf*,localedef,deb-systemd-*,gpgv,tar,cpan,systemd-cryptenroll,systemd-repart}",
  "usr/lib/{apt,dpkg,init,mime,udev,locale}",
  "usr/lib/systemd/systemd-{networkd*,network-generator,cryptsetup*,pcrphase,growfs,pull,sysext,localed,timedated}",
  // Each is run at boot and at every daemon-reload.
  "usr/lib/systemd/{system-generators,user-generators,user-environment-generators}/*",
  "usr/sbin/{ldconfig,mkfs*,fsck*,mke2fs,e2*,tune2fs,debugfs,resize2fs,cfdisk,fdisk,sfdisk,dumpe2fs,badblocks}",
  "{etc,var/lib}/{apt,dpkg}",
  "{boot,home,media,mnt,opt,srv}/*",
];

/** Units that take time at boot, or wait for what the virtual machine does not have. */
const masked = [
  "apt-daily.timer",
  "apt-daily-upgrade.timer",
  "dpkg-db-backup.timer",
  "e2scrub_all.timer",
  "e2scrub_reap.service",
  "fstrim.timer",
  "getty.target",
  "getty-static.service",
  "hwclock.service",
  "kmod-static-nodes.service",
  "modprobe@.service",
  "proc-sys-fs-binfmt_misc.automount",
  "remote-fs.target",
  "systemd-ask-password-console.path",
  "systemd-ask-password-wall.path",
  "systemd-binfmt.service",
  "systemd-firstboot.service",
  "systemd-journal-flush.service",
  "systemd-machine-id-commit.service",
  "systemd-modules-load.service",
  "systemd-network-generator.service",
  "systemd-pcrphase.service",
  "systemd-pcrphase-sysinit.service",
  "systemd-pstore.service",
  "systemd-random-seed.service",
  "systemd-remount-fs.service",
  "systemd-repart.service",
  "systemd-sysusers.service",
  "systemd-tmpfiles-clean.timer",
  "systemd-tmpfiles-setup-dev.service",
  "systemd-update-utmp.service",
  "systemd-update-utmp-runlevel.service",
  "sys-fs-fuse-connections.mount",
  "sys-kernel-config.mount",
  "sys-kernel-debug.mount",
  "sys-kernel-tracing.mount",
];

const files: Readonly<Record<string, string>> = {
  "etc/fstab": "",
  // Without one, every boot would be a first boot, which looks through all units.
  "etc/machine-id": `${"1".padStart(32, "0")}\n`,
  "etc/hostname": "vm\n",
  "etc/hosts": "127.0.0.1 localhost vm\n",
  // All that an ordinary user can be given, on demand: systemctl start user@1000, or loginctl enable-linger.
  "etc/systemd/system/user@.service.d/delegate.conf": "[Service]\nDelegate=cpu cpuset io memory pids\n",
  "etc/systemd/journald.conf.d/vm.conf": "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n",
};

/** Makes the archive `out` from the minimal system `base`; packages are kept in `cache`. */
export function systemdCpio(out: string, work: string, base: string, cache: string): void {
  const rootfs = join(work, "rootfs");
  run(["cp", "-aT", base, rootfs]);
  install(rootfs, cache, packages);
  appendFileSync(join(rootfs, "etc/passwd"), "user:x:1000:1000:User:/home/user:/bin/sh\n");
  appendFileSync(join(rootfs, "etc/shadow"), "user:*:20000:0:99999:7:::\n");
  appendFileSync(join(rootfs, "etc/group"), "user:x:1000:\n");
  run(["bash", "-c", `shopt -s nullglob; rm -rf ${unneeded.join(" ")}`], { cwd: rootfs });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(rootfs, path)), { recursive: true });
    rmSync(join(rootfs, path), { force: true });
    writeFileSync(join(rootfs, path), text);
  }
  for (const unit of masked) {
    const path = join(rootfs, "etc/systemd/system", unit);
    rmSync(path, { force: true, recursive: true });
    symlinkSync("/dev/null", path);
  }
  mkdirSync(join(rootfs, "home/user"));
  run(["chown", "1000:1000", join(rootfs, "home/user")]);
  writeCpio(out, { "/": { from: rootfs } });
}
