/** Looks at the host once and says what it is, as a value (driver.ts, Host). What is rarely asked is read when asked. */
import type { Host } from "../driver.ts";
import { CAPABILITIES } from "../kernel/capabilities.ts";
import { LINUX_CAPABILITY_VERSION_3, PR_CAPBSET_READ } from "../kernel/constants.ts";
import { readTextIfAny } from "../kernel/file.ts";
import { textOf } from "../kernel/memory.ts";
import { inUserNamespace } from "../kernel/namespaces.ts";
import { sys } from "../kernel/raw.ts";
import { probeCgroups } from "./host-cgroup.ts";
import { activeModules } from "./host-lsm.ts";

/** Size of each of the six fields of struct utsname (uname(2)). */
const UTS_FIELD = 65;

/** Highest capability number that the kernel knows. */
export function lastCapability(): number {
  // 40 since Linux 5.9; a newer kernel may know more, and says EINVAL beyond.
  let last = 40;
  while (sys("prctl", PR_CAPBSET_READ, last + 1, 0, 0, 0) >= 0) last++;
  return last;
}

/** Whether CAP_SYS_ADMIN is among our effective capabilities (capget(2)). */
function mayAdministrate(): boolean {
  const header = new Uint32Array([LINUX_CAPABILITY_VERSION_3, 0]);
  const sets = new Uint32Array(6);
  const result = sys("capget", new Uint8Array(header.buffer), new Uint8Array(sets.buffer));
  return result === 0 && ((sets[0] ?? 0) & (1 << CAPABILITIES.indexOf("CAP_SYS_ADMIN"))) !== 0;
}

/** What is looked up once, when it is first asked for; an error stays the answer, too. */
export function once<T>(look: () => T): () => T {
  let found: (() => T) | undefined;
  return () => {
    if (found === undefined) {
      try {
        const value = look();
        found = () => value;
      } catch (error) {
        found = () => {
          throw error;
        };
      }
    }
    return found();
  };
}

/** Probes this host. */
export function probeHost(): Host {
  const uts = new Uint8Array(UTS_FIELD * 6);
  sys("uname", uts);
  const kernel = textOf(uts.subarray(UTS_FIELD * 2, UTS_FIELD * 3));
  const [major = 0, minor = 0] = kernel.split(/[.-]/, 2).map(Number);
  const systemd = once(() =>
    (require("./host-systemd.ts") as typeof import("./host-systemd.ts")).probeSystemd(),
  );
  const uid = sys("geteuid");
  const userNamespace = once(inUserNamespace);
  return {
    kernel,
    kernelVersion: [major, minor],
    arch: process.arch === "arm64" ? "aarch64" : "x86_64",
    uid,
    gid: sys("getegid"),
    cgroup: probeCgroups(uid !== 0 || userNamespace()),
    get userNamespace() {
      return userNamespace();
    },
    get unprivileged() {
      return uid !== 0 && !mayAdministrate();
    },
    get setgroupsDenied() {
      return (uid !== 0 || userNamespace()) && readTextIfAny("/proc/self/setgroups")?.trim() === "deny";
    },
    get systemd() {
      return systemd();
    },
    get capabilities() {
      let bits = 0n;
      const last = lastCapability();
      for (let number = 0; number <= last; number++) {
        if (sys("prctl", PR_CAPBSET_READ, number, 0, 0, 0) === 1) bits |= 1n << BigInt(number);
      }
      return bits;
    },
    get lsm() {
      return activeModules();
    },
  };
}
