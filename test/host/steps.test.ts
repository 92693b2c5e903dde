// ctr-bun killed (SIGKILL) right before one of the calls of a verb, or of the init that it has made: `list` and `state`
// still work, and `delete --force` leaves nothing. CTR_BUN_SEED repeats a run, `npm run soak` plays more of it.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Bundle, makeBundle } from "../support/bundle.ts";
import { playScenes } from "../support/killed-steps.ts";
import { playRaces } from "../support/races.ts";
import { chooseSeed, seeded } from "../support/random.ts";

const ROUNDS = Number(process.env.CTR_BUN_STEPS ?? 10);

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

test(
  "a verb killed at a step leaves nothing that delete --force does not take away",
  async () => {
    const seed = chooseSeed();
    expect({ seed, faults: await playScenes(bundle, ROUNDS, seeded(seed)) }).toEqual({ seed, faults: [] });
  },
  ROUNDS * 10_000 + 60_000,
);

test(
  "verbs that meet at one container end well or say what came in between, and nothing is done twice",
  async () => {
    const seed = chooseSeed();
    expect({ seed, faults: await playRaces(bundle, ROUNDS, seeded(seed)) }).toEqual({ seed, faults: [] });
  },
  ROUNDS * 10_000 + 60_000,
);
