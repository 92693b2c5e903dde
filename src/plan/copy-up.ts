/**
 * `tmpcopyup`: a new tmpfs gets what it covers (config.md, "Linux mount options"). The init sends ctr-bun descriptors of
 * both and waits: copying is nothing for rows. Pure. Not here: the copy (runtime/copy-up.ts).
 */
import { F_DUPFD_CLOEXEC } from "../kernel/constants.ts";
import { listsNamespace, type PlanInput } from "./input.ts";
import { mountSlot } from "./mount-rows.ts";
import { descriptorBuffers, descriptorPlace, row, sendDescriptor, slot, syncRows } from "./rows.ts";
import type { HostStep, InitStep, Step } from "./step.ts";

/** Fills the tmpfs of mount `index`; the slot `destination` still stands for what it covers. */
export function copyUpSteps({ config }: PlanInput, destination: string, index: number): Step[] {
  const field = `mounts[${index}]`;
  const key = ` ${index}`;
  const point = `copy-up ${index}` as const;
  const send = (which: "tmpfs" | "covered", from: string) => [
    row("fcntl", [slot(from), F_DUPFD_CLOEXEC, 3], { store: descriptorPlace(which, key) }),
    sendDescriptor(which, key),
  ];
  const wait: InitStep = {
    on: "init",
    field,
    about: `wait until the tmpfs for ${destination} is filled`,
    path: destination,
    sync: point,
    rows: [...send("tmpfs", mountSlot(index)), ...send("covered", "destination"), ...syncRows(point)],
    buffers: { ...descriptorBuffers("tmpfs", key), ...descriptorBuffers("covered", key) },
  };
  const user = listsNamespace(config, "user");
  const copy: HostStep = {
    on: "host",
    field,
    about: `copy what is in ${destination} into the tmpfs that covers it`,
    action: { do: "copy-up", user },
    hints: { ENOSPC: "the tmpfs is too small for what it covers: raise its option size, or nr_inodes" },
  };
  return [wait, copy];
}
