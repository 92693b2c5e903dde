/**
 * Letting go of descriptors while the init is still at work (rules R3 and R8): whoever gets into the container before
 * its program starts finds none in /proc/1/fd that leads further than the program may go.
 */
import { row } from "./rows.ts";
import type { InitStep } from "./step.ts";

const ALL = 0xffffffff;

/**
 * Closes all descriptors but 0 to 2, the preserved ones above them, the start socket (where there is one) and the
 * report channel. `runtime/apply.ts` gives the start socket the lower number of the two.
 */
export function closeStep(preserveFds: number, start: boolean): InitStep {
  const from = 3 + preserveFds;
  const report = (plus: number) => ({ fd: "report", plus });
  const ranges = start
    ? [
        [from, { fd: "start", plus: -1 }],
        [{ fd: "start", plus: 1 }, report(-1)],
      ]
    : [[from, report(-1)]];
  return {
    on: "init",
    field: "process",
    about: "let go of the descriptors that are not needed any more",
    // EINVAL: there is nothing between the two.
    rows: [
      ...ranges.map(([first = 0, last = 0]) => row("close_range", [first, last, 0], { allow: "EINVAL" })),
      row("close_range", [report(1), ALL, 0]),
    ],
  };
}
