// Looks for what happens once in a thousand times: containers by the hundred, one after another and at once, and the
// init or ctr-bun killed at random moments, every verb killed right before one of its steps, verbs that meet at one
// container. The same rounds as in test/host/killed, storm and steps.test.ts, more of them. With --seccomp only generated
// seccomp profiles, N of each kind and host, whose filters are compared with libseccomp's, as in
// test/interop/seccomp-libseccomp.test.ts. Ends with 1 when anything failed, was left, or differs without a reason.
//
//   npm run soak -- [--seccomp] [--rounds N] [--seed N]

import { parseArgs } from "node:util";
import { writeJson } from "../src/spec/json.ts";
import { freshID, makeBundle } from "../test/support/bundle.ts";
import { playScenes } from "../test/support/killed-steps.ts";
import { killAtRandom } from "../test/support/killing.ts";
import { leftAfter } from "../test/support/left.ts";
import { playRaces } from "../test/support/races.ts";
import { chooseSeed, seeded } from "../test/support/random.ts";
import { compareAll, newTally } from "../test/support/seccomp/compare.ts";
import { KINDS, sampleProfiles } from "../test/support/seccomp/profiles.ts";
import { STORM_ARGS, storm } from "../test/support/storm.ts";

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    rounds: { type: "string", default: "1000" },
    seed: { type: "string" },
    seccomp: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds);
const seed = values.seed === undefined ? chooseSeed() : Number(values.seed);
let failed = 0;

function tell(what: string, faults: readonly string[]): void {
  failed += faults.length;
  console.log(`${what}: ${faults.length === 0 ? "all well" : `${faults.length} faults`}`);
  for (const fault of faults) console.log(`  ${fault}`);
}

async function soakContainers(): Promise<void> {
  const bundle = makeBundle();
  try {
    bundle.configure(STORM_ARGS, ({ process }) => {
      process.rlimits = [];
    });
    for (const width of [1, 20, 50]) {
      const prefix = freshID();
      const faults = await storm(bundle, prefix, rounds, width);
      faults.push(...(await leftAfter(bundle, prefix, new Map())));
      tell(`${rounds} containers, ${width} at a time`, faults);
    }
    const { outcomes, faults } = await killAtRandom(bundle, rounds, seeded(seed));
    tell(`${rounds} kills`, faults);
    for (const [outcome, count] of Object.entries(outcomes).sort())
      console.log(`  ${`${count}`.padStart(6)} ${outcome}`);
    tell(`${rounds} verbs killed at a step`, await playScenes(bundle, rounds, seeded(seed)));
    tell(`${rounds} races`, await playRaces(bundle, rounds, seeded(seed)));
  } finally {
    bundle.dispose();
  }
}

/** So many at a time that what is found is told before long. */
const AT_ONCE = 100;

function soakSeccomp(): void {
  for (const kind of KINDS) {
    for (const arch of ["x86_64", "aarch64"] as const) {
      const tally = newTally();
      const profiles = sampleProfiles(kind, arch, rounds, seed);
      for (let at = 0; at < profiles.length; at += AT_ONCE)
        compareAll(profiles.slice(at, at + AT_ONCE), arch, tally);
      const { unexplained, examples: _, ...counts } = tally;
      tell(
        `${kind}, ${arch}: ${Bun.inspect(counts, { compact: true })}`,
        unexplained.map((each) => writeJson(each)),
      );
    }
  }
}

console.log(`seed ${seed}`);
if (values.seccomp) soakSeccomp();
else await soakContainers();
process.exitCode = failed === 0 ? 0 : 1;
