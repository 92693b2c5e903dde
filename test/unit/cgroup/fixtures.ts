/**
 * What the tests of the cgroup drivers share: recorded hosts, and carrying out host steps outside of a plan.
 */

import hybridJson from "../../../spec-fixtures/hosts/hybrid.json";
import legacyJson from "../../../spec-fixtures/hosts/legacy.json";
import unifiedJson from "../../../spec-fixtures/hosts/unified.json";
import type { CgroupDriver, Host } from "../../../src/driver.ts";
import { errnoName } from "../../../src/kernel/errno.ts";
import { open, openBeneath, tryMkdir, tryWriteFile } from "../../../src/kernel/file.ts";
import type { HostStep } from "../../../src/plan/step.ts";

type Recorded = Omit<Host, "capabilities"> & { readonly capabilities: number };

function host(json: unknown): Host {
  const recorded = json as Recorded;
  return { ...recorded, capabilities: BigInt(recorded.capabilities) };
}

export const hybrid = host(hybridJson);
export const legacy = host(legacyJson);
export const unified = host(unifiedJson);

/** A step as one line. */
export function line(step: HostStep): string {
  const { action } = step;
  switch (action.do) {
    case "mkdir":
      return `mkdir ${action.path}`;
    case "write":
      return `write ${action.path} ${action.data}`;
    case "open":
      return `open ${action.as} ${action.path}`;
    case "driver":
      return `driver ${action.call}`;
    default:
      return action.do;
  }
}

/** Carries out host steps as the runtime does; the opened descriptors by name. */
export function apply(driver: CgroupDriver, steps: readonly HostStep[], pid?: number): Map<string, number> {
  const opened = new Map<string, number>();
  for (const { action } of steps) {
    if (action.do === "mkdir") {
      const result = tryMkdir(action.path, action.mode);
      if (result < 0 && result !== -17) throw new Error(`mkdir ${action.path}: ${errnoName(-result)}`);
    } else if (action.do === "write") {
      const result = tryWriteFile(action.path, action.data);
      const name = errnoName(-result);
      if (result < 0 && !action.allow?.includes(name)) throw new Error(`${action.path}: ${name}`);
    } else if (action.do === "open") {
      const { path, below, flags } = action;
      opened.set(action.as, below === undefined ? open(path, flags) : openBeneath(path, below, flags));
    } else if (action.do === "driver") {
      driver.act?.(action.call, action.args, { pid });
    }
  }
  return opened;
}
