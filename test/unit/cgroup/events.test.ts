/** What counts as an event, of the counters and states that a cgroup's files of events have. */
import { expect, test } from "bun:test";
import { changes, joinWatches } from "../../../drivers/cgroup-common/event-files.ts";
import type { CgroupEvent, EventWatch } from "../../../src/driver.ts";

function watchOf(...takes: (readonly CgroupEvent[] | undefined)[]): EventWatch {
  return { fds: [], take: () => takes.shift(), close: () => undefined };
}

test("a counter tells by how much it rose, and nothing where it did not", () => {
  expect(changes({ max: 3, high: 1 }, { max: 5, high: 1, oom: 2 }, false)).toEqual({ max: 2, oom: 2 });
  expect(changes({ max: 18446744073709551610n }, { max: 18446744073709551615n }, false)).toEqual({ max: 5 });
  expect(changes({ max: 5 }, {}, false)).toEqual({});
});

test("a state tells what it is now, if it is another", () => {
  expect(changes({ populated: 1, frozen: 0 }, { populated: 1, frozen: 1 }, true)).toEqual({ frozen: 1 });
  expect(changes({ populated: 1, frozen: 1 }, { populated: 0, frozen: 0 }, true)).toEqual({
    populated: 0,
    frozen: 0,
  });
});

test("the last events of a cgroup that has gone are told before its end", () => {
  const oom = [{ type: "oom" }];
  const watch = joinWatches([watchOf(undefined, undefined), watchOf(oom, undefined)]);
  expect(watch.take()).toEqual(oom);
  expect(watch.take()).toBeUndefined();
});
