// What the virtual machine's systemd is given to do: run the test's script once everything is up, turn the machine off,
// and do so too when the machine does not come up. The system itself is made in scripts/lib/images/systemd.ts.

import type { CpioFile } from "../lib/cpio.ts";

const onConsole = ["StandardInput=null", "StandardOutput=tty", "StandardError=tty", "TTYPath=/dev/ttyS0"];

const unit = (...lines: string[]): { text: string } => ({ text: `${lines.join("\n")}\n` });

const off = "systemctl --force --force poweroff";

/** By their paths in the virtual machine. */
export const systemdFiles: Readonly<Record<string, CpioFile>> = {
  "/etc/systemd/system/default.target": unit(
    "[Unit]",
    "Requires=multi-user.target",
    "Wants=vm-test.service",
    "After=multi-user.target",
  ),
  "/etc/systemd/system/vm-test.service": unit(
    "[Unit]",
    "After=multi-user.target",
    "[Service]",
    "ExecStart=/bin/sh -c 'dmesg -n 1; /bin/busybox ip link set lo up; cd /; sh /test.sh; echo \"::end $?\"'",
    `ExecStopPost=${off}`,
    "Environment=PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root",
    "KillMode=process",
    "TasksMax=infinity",
    // All controllers are on in system.slice for as long as it runs, as where there are other containers. Else systemd
    // turns them on and off with each one, which takes all other units in there a third of a second.
    "Delegate=yes",
    ...onConsole,
  ),
  "/etc/systemd/system/emergency.service": unit(
    "[Unit]",
    "DefaultDependencies=no",
    "[Service]",
    `ExecStart=/bin/sh -c 'systemctl --failed --no-pager; journalctl --boot --no-pager --lines=60; ${off}'`,
    ...onConsole,
  ),
  "/etc/systemd/system.conf.d/vm.conf": unit(
    "[Manager]",
    "DefaultTimeoutStartSec=30s",
    "DefaultTimeoutStopSec=10s",
  ),
};
