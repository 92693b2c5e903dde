// Many containers: one after another, and at the same time over one state root and one bundle. All succeed, nothing is
// left. CTR_BUN_STORM is how many run one after another (npm run soak: more).

import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Bundle, CTR_BUN, freshID, makeBundle } from "../support/bundle.ts";
import { childrenOf, leftAfter } from "../support/left.ts";
import { lifeOf, STORM_ARGS, storm } from "../support/storm.ts";

const COUNT = Number(process.env.CTR_BUN_STORM ?? 80);
const WIDTH = 20;

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

test(
  `${COUNT} containers one after another`,
  async () => {
    bundle.configure(STORM_ARGS);
    const prefix = freshID();
    expect(await storm(bundle, prefix, COUNT, 1)).toEqual([]);
    expect(await leftAfter(bundle, prefix, new Map())).toEqual([]);
  },
  COUNT * 1000 + 60_000,
);

test(`${WIDTH} containers at the same time`, async () => {
  bundle.configure(STORM_ARGS);
  const prefix = freshID();
  expect(await storm(bundle, prefix, WIDTH, WIDTH)).toEqual([]);
  expect(await leftAfter(bundle, prefix, new Map())).toEqual([]);
});

test("whole lives at the same time, each by many processes", async () => {
  bundle.configure(["sleep", "100"]);
  const faults = await Promise.all(Array.from({ length: WIDTH / 2 }, () => lifeOf(bundle)));
  expect(faults.flat()).toEqual([]);
  expect(await leftAfter(bundle, `test-${process.pid}-`, new Map())).toEqual([]);
});

test("of those that want the same ID at the same time, one gets it", async () => {
  bundle.configure(["sleep", "100"]);
  const id = freshID();
  const children = Array.from({ length: 6 }, () =>
    Bun.spawn([CTR_BUN, "--root", bundle.state, "create", "--bundle", bundle.path, id], {
      stdio: ["ignore", "ignore", "ignore"],
    }),
  );
  const codes = await Promise.all(children.map(({ exited }) => exited));
  expect(codes.toSorted()).toEqual([0, 1, 1, 1, 1, 1]);
  expect(JSON.parse(bundle.ctr("state", id).out).status).toBe("created");
  expect(bundle.ctr("start", id).code).toBe(0);
  expect(bundle.ctr("delete", "--force", id).code).toBe(0);
  expect(await leftAfter(bundle, id, new Map())).toEqual([]);
});

test("what a program without a pid namespace leaves to others is not kept as zombies", async () => {
  bundle.configure(["sh", "-c", "for i in 1 2 3; do (sleep 0.01 &); done; sleep 2"], ({ linux }) => {
    linux.namespaces = linux.namespaces.filter(({ type }) => type !== "pid");
  });
  const id = freshID();
  const child = Bun.spawn([CTR_BUN, "--root", bundle.state, "run", "--bundle", bundle.path, id], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  while (!bundle.ctr("list", "-q").out.includes(id)) await Bun.sleep(20);
  await Bun.sleep(1000);
  expect(childrenOf(child.pid).length).toBe(1);
  expect(await child.exited).toBe(0);
});
