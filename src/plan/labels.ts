/**
 * Labels that security modules go by: `process.apparmorProfile` and `process.selinuxLabel`, which the kernel takes from
 * files of /proc/self/attr, and `linux.mountLabel`, an option of the file systems that are mounted. Pure.
 *
 * The files are opened below a handle on the host's own /proc, taken before anything of the container's is mounted and
 * checked to be procfs; nothing that is mounted in it and no magic link is passed (rule R2; CVE-2019-16884,
 * CVE-2025-52881). A label counts from execve on, so it may be written before the rights to do so are given up.
 */
import type { Host } from "../driver.ts";
import { fail } from "../error.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  PROC_SUPER_MAGIC,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_XDEV,
  S_IFREG,
  STATX_BASIC_STATS,
} from "../kernel/constants.ts";
import { ERRNO } from "../kernel/errno.ts";
import type { Process } from "../spec/runtime/config.ts";
import type { PlanInput } from "./input.ts";
import { row, slot, struct } from "./rows.ts";
import type { InitStep, Row } from "./step.ts";

/** Slot of the handle on the host's /proc. */
const PROC = "proc.host";
const APPARMOR = "process.apparmorProfile";
const SELINUX = "process.selinuxLabel";
const COVERED =
  "something else is mounted at /proc or in it: labels are written to the kernel's own procfs alone";

/** What of a process has to do with labels. */
type Labelled = Pick<Process, "apparmorProfile" | "selinuxLabel">;

/** Whether a process has a label. */
export function isLabelled({ apparmorProfile, selinuxLabel }: Labelled): boolean {
  return (apparmorProfile ?? "") !== "" || (selinuxLabel ?? "") !== "";
}

/** Refuses labels that nothing on this host goes by; runc fails as well. */
export function refuseLabels({ apparmorProfile = "", selinuxLabel = "" }: Labelled, host: Host): void {
  if (apparmorProfile !== "" && !host.lsm.includes("apparmor")) {
    throw fail({
      code: "UNSUPPORTED",
      field: APPARMOR,
      message: `cannot apply the AppArmor profile ${apparmorProfile}: AppArmor is not enabled on this host`,
      hint: "boot with apparmor=1 security=apparmor, or leave the profile out",
    });
  }
  if (selinuxLabel !== "") needSelinux(host, SELINUX);
}

/**
 * Refuses a label beside --init: it counts from execve on, and the init that stays PID 1 executes nothing. Unlabelled it
 * would be a way out for whoever in the container may trace it.
 */
export function refuseLabelledInit(process: Labelled): void {
  if (!isLabelled(process)) return;
  throw fail({
    code: "UNSUPPORTED",
    field: (process.apparmorProfile ?? "") === "" ? SELINUX : APPARMOR,
    message: "cannot be had with --init: the label would not be that of process 1",
    hint: "leave --init out, or have an init of the image's own as the program",
  });
}

function needSelinux(host: Host, field: string): void {
  if (host.lsm.includes("selinux")) return;
  throw fail({
    code: "UNSUPPORTED",
    field,
    message: "selinux label is specified in config, but selinux is disabled or not supported",
    hint: "boot with security=selinux and load a policy, or leave the label out",
  });
}

/** Takes the handle, while `/proc` still is the host's: before anything of the container's is mounted or joined. */
export function openProcSteps(process: Labelled): InitStep[] {
  if (!isLabelled(process)) return [];
  return [
    {
      on: "init",
      field: (process.apparmorProfile ?? "") === "" ? SELINUX : APPARMOR,
      about: "take hold of the host's /proc, to write labels through",
      path: "/proc",
      buffers: { "proc.statfs": 120, "attr.statx": 256 },
      rows: [
        row("openat", [AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0], { store: PROC }),
        // f_type is the first word of struct statfs (statfs(2)).
        row("fstatfs", [slot(PROC), { at: "proc.statfs" }], { label: "proc.statfs" }),
        row("test", [slot("proc.statfs"), 0xffffffff, PROC_SUPER_MAGIC], { onZero: "proc.good" }),
        row("fail", [-ERRNO.EXDEV, { label: "proc.statfs" }]),
        row("getpid", [], { label: "proc.good" }),
      ],
      hints: { EXDEV: COVERED },
    },
  ];
}

/** Writes the labels through the handle and lets go of it. `keyring`: the session keyring, made later, gets one too. */
export function labelSteps(process: Labelled, keyring: boolean): InitStep[] {
  if (!isLabelled(process)) return [];
  const { apparmorProfile: profile = "", selinuxLabel: label = "" } = process;
  const steps: InitStep[] = [];
  if (profile !== "") {
    steps.push({
      on: "init",
      field: APPARMOR,
      about: `apply the AppArmor profile ${profile}`,
      path: "/proc/self/attr/apparmor/exec",
      // attr/exec alone, from before Linux 5.8, would be the file of whichever module comes first.
      rows: writeRows("apparmor/exec", `exec ${profile}`),
      hints: {
        ENOENT:
          "no profile of that name is loaded (/sys/kernel/security/apparmor/profiles): load it with apparmor_parser",
        EACCES: "the profile that ctr-bun itself runs under does not let it change to this one",
        EXDEV: COVERED,
      },
    });
  }
  if (label !== "") {
    steps.push({
      on: "init",
      field: SELINUX,
      about: `set the SELinux label ${label}`,
      path: "/proc/self/attr/exec",
      rows: [...(keyring ? writeRows("keycreate", label) : []), ...writeRows("exec", label)],
      hints: {
        EINVAL: "the loaded policy has no such context",
        EACCES: "the policy does not let ctr-bun's own domain set this label",
        EXDEV: COVERED,
      },
    });
  }
  steps.push({
    on: "init",
    field: profile === "" ? SELINUX : APPARMOR,
    about: "let go of the host's /proc",
    rows: [row("close", [slot(PROC)])],
  });
  return steps;
}

/** One write(2) to a file of /proc/self/attr: it must be a regular file of that very procfs. */
function writeRows(file: string, text: string): Row[] {
  const bytes = new TextEncoder().encode(text);
  const how = struct(O_WRONLY | O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
  const [opened, good] = [`attr.opened ${file}`, `attr.good ${file}`];
  return [
    row("openat2", [slot(PROC), `self/attr/${file}`, { bytes: how }, how.byteLength], {
      store: "attr",
      label: opened,
    }),
    row("statx", [slot("attr"), "", AT_EMPTY_PATH, STATX_BASIC_STATS, { at: "attr.statx" }]),
    // stx_mode is the u16 at 28 (linux/stat.h).
    row("test", [{ slot: "attr.statx", offset: 28 }, 0o170000, S_IFREG], { onZero: good }),
    row("fail", [-ERRNO.EXDEV, { label: opened }]),
    row("write", [slot("attr"), { bytes }, bytes.byteLength], { label: good }),
    row("close", [slot("attr")]),
  ];
}

/** The label of what is mounted, for those of the mounts that carry it; throws where SELinux is not there. */
function neededMountLabel({ config, host }: PlanInput): string | undefined {
  const label = config.linux?.mountLabel ?? "";
  if (label === "") return undefined;
  needSelinux(host, "linux.mountLabel");
  return label;
}

/**
 * `context=LABEL` for a new file system of this type. As in runc, procfs, sysfs and cgroups keep the policy's own
 * labels, mqueue is labelled by {@link labelRootRows}, and an option of the mount itself wins.
 */
export function contextOption(input: PlanInput, type: string, options: readonly string[] = []): string[] {
  if (/^(proc|sysfs|mqueue|cgroup2?)$/.test(type)) return [];
  if (options.some((option) => option.startsWith("context="))) return [];
  const label = neededMountLabel(input);
  return label === undefined ? [] : [`context=${label}`];
}

/** Whether a label stands in quotation marks, which mount(2) understands and fsconfig(2) does not. */
export function isQuoted(option: string): boolean {
  return /^(fs|def|root)?context="/.test(option);
}

/** Options as one text for mount(2), where a label's commas must not end it. */
export function joinOptions(options: readonly string[]): string {
  return options.map((option) => option.replace(/^context=([^"].*)$/, 'context="$1"')).join(",");
}

/** Labels the root of a message queue file system, which takes no option: by its attribute. */
export function labelRootRows(input: PlanInput, type: string, of: string): Row[] {
  const label = type === "mqueue" ? neededMountLabel(input) : undefined;
  if (label === undefined) return [];
  const bytes = new TextEncoder().encode(label);
  return [
    row("openat", [slot(of), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0], { store: "labelled" }),
    row("fsetxattr", [slot("labelled"), "security.selinux", { bytes }, bytes.byteLength, 0]),
    row("close", [slot("labelled")]),
  ];
}
