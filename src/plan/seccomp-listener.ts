/**
 * Who gets the listener of a filter that notifies: the agent at linux.seccomp.listenerPath (config-linux.md, "Seccomp"),
 * at crun's annotation or variable, or ctr-bun itself. Pure. Not here: loading the filter (seccomp-load.ts), sending the
 * listener (runtime/seccomp-listener.ts).
 */
import type { SeccompProgram } from "../driver.ts";
import { fail } from "../error.ts";
import type { LinuxSeccomp } from "../spec/runtime/config.ts";
import { RECEIVER_ANNOTATION, type Wishes } from "./annotations.ts";
import type { SeccompAgent } from "./step.ts";

/** As in crun. */
export const RECEIVER_VARIABLE = "RUN_OCI_SECCOMP_RECEIVER";

/** Where a listener may go, besides what the profile says. */
export interface ListenerWishes {
  readonly wishes: Pick<Wishes, "seccompReceiver" | "seccompPlugins">;
  /** Of the variable {@link RECEIVER_VARIABLE}. */
  readonly receiver: string | undefined;
  /** ctr-bun answers the calls itself. */
  readonly own: boolean;
}

/**
 * The agent; undefined where no call is to be answered: what names one is then ignored. As in crun the profile comes
 * before the annotation, and that before the variable.
 * @throws CtrError INVALID_CONFIG where nobody would answer, UNSUPPORTED for an agent as a plugin
 */
export function agentOf(
  { listenerPath, listenerMetadata }: LinuxSeccomp,
  { notify }: Pick<SeccompProgram, "notify">,
  { wishes, receiver, own }: ListenerWishes,
): SeccompAgent | undefined {
  if (notify.length === 0) return undefined;
  if (own) return "own";
  if (wishes.seccompPlugins !== undefined) {
    throw fail({
      code: "UNSUPPORTED",
      field: 'annotations["run.oci.seccomp.plugins"]',
      message: "not supported: ctr-bun loads no plugins of seccomp agents",
      hint: "run the agent as a process of its own, and name its socket in linux.seccomp.listenerPath",
    });
  }
  const metadata = listenerMetadata === undefined ? {} : { metadata: listenerMetadata };
  if (listenerPath !== undefined) {
    return { path: listenerPath, field: "linux.seccomp.listenerPath", ...metadata };
  }
  const [path = "", field] =
    (wishes.seccompReceiver ?? "") === ""
      ? [receiver, RECEIVER_VARIABLE]
      : [wishes.seccompReceiver, `annotations["${RECEIVER_ANNOTATION}"]`];
  if (path === "") {
    throw fail({
      code: "INVALID_CONFIG",
      field: "linux.seccomp.listenerPath",
      message: `missing: nobody would answer to SCMP_ACT_NOTIFY: ${notify.join(", ")}`,
      hint: "name the unix socket of a seccomp agent there, or give these calls another action",
    });
  }
  if (!path.startsWith("/")) {
    throw fail({ code: "INVALID_CONFIG", field, message: "must be an absolute path", path });
  }
  return { path, field, ...metadata };
}
