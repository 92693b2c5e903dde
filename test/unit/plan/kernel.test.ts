// An old kernel is named before anything is looked at.
import { expect, test } from "bun:test";
import hybrid from "../../../spec-fixtures/hosts/hybrid.json";
import { builtinRegistry } from "../../../src/builtin-drivers.ts";
import type { Host } from "../../../src/driver.ts";
import { preparePlan } from "../../../src/runtime/prepare.ts";
import { defaultSpec } from "../../../src/spec/runtime/defaults.ts";

test("a kernel before 5.14 is refused in one line", () => {
  const host = { ...hybrid, kernel: "5.10.0-1-amd64", kernelVersion: [5, 10] } as unknown as Host;
  const request = {
    root: "/nowhere",
    id: "x",
    bundle: "/nowhere",
    config: defaultSpec(),
    registry: builtinRegistry(),
    host,
  };
  expect(() => preparePlan(request)).toThrow("ctr-bun needs Linux 5.14 or later, and this is 5.10.0-1-amd64");
});
