/**
 * `linux.seccomp.flags` as SECCOMP_FILTER_FLAG_* of seccomp(2). Not here: the filter.
 */
import type { Host } from "../../src/driver.ts";
import { fail } from "../../src/error.ts";
import {
  SECCOMP_FILTER_FLAG_LOG,
  SECCOMP_FILTER_FLAG_NEW_LISTENER,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW,
  SECCOMP_FILTER_FLAG_TSYNC,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
} from "../../src/kernel/seccomp.ts";
import type { SeccompFlag } from "../../src/spec/runtime/seccomp.ts";

/**
 * Flags for seccomp(2). Left out altogether they are SPEC_ALLOW, as in runc (since Linux 5.16 the kernel's own
 * default comes to the same); an empty list is no flags. WAIT_KILLABLE_RECV says something about a listener and
 * the kernel takes it only with one: without, it is dropped, as in libseccomp. With a listener TSYNC is dropped: the
 * one other thread of the init hands the listener over, and the filter must not bind it.
 * @param listens whether a rule notifies, so that the call gives a listener
 */
export function filterFlags(
  flags: readonly SeccompFlag[] = ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
  listens: boolean,
  [major, minor]: Host["kernelVersion"],
): number {
  let all = listens ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
  if (flags.includes("SECCOMP_FILTER_FLAG_LOG")) all |= SECCOMP_FILTER_FLAG_LOG;
  if (flags.includes("SECCOMP_FILTER_FLAG_SPEC_ALLOW")) all |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  if (!listens && flags.includes("SECCOMP_FILTER_FLAG_TSYNC")) all |= SECCOMP_FILTER_FLAG_TSYNC;
  if (listens && flags.includes("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")) {
    if (major < 5 || (major === 5 && minor < 19)) {
      throw fail({
        code: "SECCOMP",
        field: "linux.seccomp.flags",
        message: `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs Linux 5.19, this is ${major}.${minor}`,
      });
    }
    all |= SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
  }
  return all;
}
