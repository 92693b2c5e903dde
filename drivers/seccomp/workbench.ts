/**
 * What people look at profiles with: the contract of src/driver.ts, put together. Not here: the work.
 */
import type { SeccompSource, SeccompWorkbench } from "../../src/driver.ts";
import { hostOf } from "./architecture.ts";
import { causeOf } from "./cause.ts";
import { diff } from "./diff.ts";
import { disasm, instructionsOf } from "./disasm.ts";
import { chooseRules } from "./docker-profile.ts";
import { explain } from "./explain.ts";
import { record } from "./record.ts";

export const workbench: SeccompWorkbench = {
  read(document, capabilities, arch, kernel, prefix): SeccompSource {
    const { profile, from, left } = chooseRules(document, capabilities, arch, kernel);
    const place = (index: number): string => `${prefix}syscalls[${index}]`;
    return {
      profile,
      places: from.map(place),
      left: left.map(({ index, names, action, why }) => ({ place: place(index), names, action, why })),
    };
  },
  disassemble: disasm,
  instructions: instructionsOf,
  explain,
  hostOf,
  cause: causeOf,
  diff,
  record,
};
