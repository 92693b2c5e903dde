/** Kills for memory in a cgroup that goes with its last process, told by its own counter and by those above. */
import { expect, test } from "bun:test";
import { countKills } from "../../../drivers/cgroup-systemd/kills.ts";

/** A unit in two slices: each is what it has counted, or undefined once it is gone; and the time, in milliseconds. */
function makeTree() {
  const tree = {
    unit: 0 as number | undefined,
    slice: 3 as number | undefined,
    upper: 7 as number | undefined,
    told: false,
    now: 0,
  };
  const count = countKills(
    {
      own: () => tree.unit,
      above() {
        const { slice, upper } = tree;
        const counts = Object.entries({ slice, upper }).filter(([, kills]) => kills !== undefined);
        return new Map(counts as [string, number][]);
      },
      takeChange() {
        const { told } = tree;
        tree.told = false;
        return told;
      },
    },
    () => tree.now,
  );
  return Object.assign(tree, { count });
}

test("its own counter counts while it is there, and what it had said holds when it is gone", () => {
  const tree = makeTree();
  expect(tree.count()).toBe(0);
  Object.assign(tree, { unit: 1, slice: 4, upper: 8, told: true });
  expect(tree.count()).toBe(1);
  tree.unit = undefined;
  expect(tree.count()).toBe(1);
});

test("what came since the last reading is told by the cgroup above, or the next one that is left", () => {
  const first = makeTree();
  Object.assign(first, { unit: undefined, slice: 4, upper: 9, told: true });
  expect(first.count()).toBe(1);
  const second = makeTree();
  Object.assign(second, { unit: undefined, slice: undefined, upper: 9, told: true });
  expect(second.count()).toBe(2);
  const third = makeTree();
  Object.assign(third, { unit: undefined, slice: undefined, upper: undefined, told: true });
  expect(third.count()).toBe(0);
});

test("a change that was told of shortly before belongs to the end", () => {
  const tree = makeTree();
  tree.told = true;
  expect(tree.count()).toBe(0);
  Object.assign(tree, { unit: undefined, slice: 4, now: 900 });
  expect(tree.count()).toBe(1);
});

test("kills of others, of whom nothing was told here, are none of its own", () => {
  const never = makeTree();
  Object.assign(never, { unit: undefined, slice: 5 });
  expect(never.count()).toBe(0);
  const longAgo = makeTree();
  longAgo.told = true;
  expect(longAgo.count()).toBe(0);
  Object.assign(longAgo, { unit: undefined, slice: 5, now: 1000 });
  expect(longAgo.count()).toBe(0);
  const before = makeTree();
  Object.assign(before, { slice: 5, told: true });
  expect(before.count()).toBe(0);
  Object.assign(before, { unit: undefined, told: true });
  expect(before.count()).toBe(0);
});

test("kills of its own and what came last add up, and what was said at the end stays", () => {
  const tree = makeTree();
  Object.assign(tree, { unit: 2, slice: 5, told: true });
  expect(tree.count()).toBe(2);
  Object.assign(tree, { unit: undefined, slice: 6, told: true });
  expect(tree.count()).toBe(3);
  tree.slice = 9;
  expect(tree.count()).toBe(3);
});
