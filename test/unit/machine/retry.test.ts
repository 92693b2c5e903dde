/** The machine's one retry: openat2 on EAGAIN (openat2(2)), and that it ends. The other rules: stub.test.ts. */
import { expect, test } from "bun:test";
import { AT_FDCWD, O_CREAT, O_WRONLY } from "../../../src/kernel/constants.ts";
import type { Row } from "../../../src/plan/step.ts";
import { exit, native, run } from "./runner.ts";

/** RESOLVE_CACHED (linux/openat2.h): with O_CREAT the kernel always says EAGAIN. */
const RESOLVE_CACHED = 0x20;
const how = new Uint8Array(
  new BigUint64Array([BigInt(O_WRONLY | O_CREAT), 0o600n, BigInt(RESOLVE_CACHED)]).buffer,
);
const again: Row = { call: "openat2", args: [AT_FDCWD, "/nowhere", { bytes: how }, 24] };

test("openat2 that never stops saying EAGAIN is given up, and reported", () => {
  const { code, report } = run(native, [exit(0, "unused"), again].reverse());
  expect(code).toBe(1);
  expect([...new Uint32Array(report.slice().buffer)]).toEqual([3, 11, 0]);
});

test("given up, it takes the way of EAGAIN where the row has one", () => {
  const { code } = run(native, [{ ...again, allow: "EAGAIN", onError: "busy" }, exit(1), exit(7, "busy")]);
  expect(code).toBe(7);
});

test("any other call's EAGAIN is not tried again", () => {
  // An empty pipe that does not block: the one read leaves the way out at once.
  const { code } = run(
    native,
    [
      { call: "pipe2", args: [{ at: "pipe" }, 0o4000] },
      { call: "read", args: [{ slot: "pipe" }, { at: "byte" }, 1], allow: "EAGAIN", onError: "empty" },
      exit(1),
      exit(8, "empty"),
    ],
    { buffers: { pipe: 8, byte: 8 } },
  );
  expect(code).toBe(8);
});
