/**
 * Annotations of config.json that mean something: crun's `run.oci.*`. Those that ask for what is not there are refused
 * where leaving them out would change what the container is, or what it may do; all others are for somebody else
 * (config.md, "Annotations": an unknown key is no error). Pure.
 */
import { fail } from "../error.ts";
import type { RuntimeConfig } from "../spec/runtime/config.ts";

/** What annotations ask for. */
export interface Wishes {
  /** Unix socket that gets a pidfd of the container's process. */
  readonly pidfdReceiver?: string;
  /** Files to which hooks write. */
  readonly hooksStdout?: string;
  readonly hooksStderr?: string;
  /** Processes keep the supplementary groups of ctr-bun's caller. */
  readonly keepGroups?: true;
  /** A system call in the seccomp profile that nobody knows is an error. */
  readonly failUnknownSyscalls?: true;
  /** Unix socket of whoever answers SCMP_ACT_NOTIFY. */
  readonly seccompReceiver?: string;
  /** Shared objects that are to do so. */
  readonly seccompPlugins?: string;
}

const NOTHING: Wishes = {};
const PREFIX = "run.oci.";
/** Names the socket of a seccomp agent. */
export const RECEIVER_ANNOTATION = "run.oci.seccomp.receiver";

/** Those that are carried out. What is present counts, but where it is the path that matters an empty one is none. */
const DONE: Readonly<Record<string, (value: string) => Wishes>> = {
  "run.oci.keep_original_groups": () => ({ keepGroups: true }),
  "run.oci.seccomp_fail_unknown_syscall": () => ({ failUnknownSyscalls: true }),
  "run.oci.pidfd_receiver": (pidfdReceiver) => ({ pidfdReceiver }),
  [RECEIVER_ANNOTATION]: (seccompReceiver) => ({ seccompReceiver }),
  // Refused where a call is to be answered (seccomp-listener.ts).
  "run.oci.seccomp.plugins": (seccompPlugins) => ({ seccompPlugins }),
  "run.oci.hooks.stdout": (hooksStdout) => ({ hooksStdout }),
  "run.oci.hooks.stderr": (hooksStderr) => ({ hooksStderr }),
};

/** Those that are refused, with the way out. */
const REFUSED: Readonly<Record<string, string>> = {
  "run.oci.handler": "ctr-bun executes programs of Linux alone, no virtual machines and no WebAssembly",
  "run.oci.seccomp_bpf_data": "give the profile in linux.seccomp",
  "run.oci.timens_offset": "give the offsets in linux.timeOffsets",
  "run.oci.systemd.force_cgroup_v1": "mount the hierarchy with an entry of mounts",
};

/** Which option of a mount a label is given as. */
const CONTEXT = "run.oci.mount_context_type";

/** Those that a cgroup driver reads (cgroup.ts); `org.systemd.property.` stands for all that begin so. */
const OF_CGROUPS = ["run.oci.delegate-cgroup", "run.oci.systemd.subgroup", "org.systemd.property."];

/** The keys that change something, for `features`. */
export const MEANINGFUL_ANNOTATIONS: readonly string[] = [
  ...Object.keys(DONE),
  ...Object.keys(REFUSED),
  ...OF_CGROUPS,
  CONTEXT,
].sort();

/** Reads the annotations of a config. Throws UNSUPPORTED for one that is refused. */
export function readAnnotations({ annotations, hooks, linux }: Partial<RuntimeConfig>): Wishes {
  let wishes = NOTHING;
  for (const key in annotations) {
    const value = key.startsWith(PREFIX) ? annotations[key] : undefined;
    if (value === undefined) continue;
    if (key === CONTEXT && value !== "context" && linux?.mountLabel !== undefined)
      throw unsupported(key, "not supported: only context is", "leave it out, or give context");
    const hint = Object.hasOwn(REFUSED, key) ? REFUSED[key] : undefined;
    if (hint !== undefined && value !== "") throw unsupported(key, "not supported", hint);
    const done = Object.hasOwn(DONE, key) ? DONE[key] : undefined;
    if (done !== undefined) wishes = { ...wishes, ...done(value) };
  }
  const writes = wishes.hooksStdout ?? wishes.hooksStderr;
  if (writes === undefined) return wishes;
  const inside = (hooks?.createContainer ?? []).length + (hooks?.startContainer ?? []).length;
  if (inside > 0) {
    const key = wishes.hooksStdout === undefined ? "run.oci.hooks.stderr" : "run.oci.hooks.stdout";
    throw unsupported(key, "not supported for hooks in the container's namespaces", "leave it out");
  }
  return wishes;
}

function unsupported(key: string, message: string, hint: string) {
  return fail({ code: "UNSUPPORTED", field: `annotations["${key}"]`, message, hint });
}
