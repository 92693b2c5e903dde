/** How many instructions a filter executes. */
import { nativeAbi } from "../../../drivers/seccomp/abi.ts";
import type { LinuxSeccomp } from "../../../src/spec/runtime/seccomp.ts";
import { argumentsFor } from "./arguments.ts";
import { dataOf, executed, filterOf, run } from "./bpf.ts";

/**
 * Over these numbers of x86-64: the average with arguments that are all 0, and the worst of all arguments worth trying
 * against the profile.
 */
export function measure(
  program: Uint8Array,
  profile: LinuxSeccomp,
  numbers: readonly number[],
): { readonly average: number; readonly worst: number } {
  const filter = filterOf(program);
  const abi = nativeAbi("x86_64");
  const tried = argumentsFor(profile, abi);
  let [sum, worst] = [0, 0];
  for (const number of numbers) {
    run(filter, dataOf(number, abi.audit, []));
    sum += executed;
    for (const args of tried.get(number) ?? [[]]) {
      run(filter, dataOf(number, abi.audit, args));
      worst = Math.max(worst, executed);
    }
  }
  return { average: sum / numbers.length, worst };
}
