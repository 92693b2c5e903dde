// A pids limit of 0: nothing in older documents, where engines wrote it for "no limit"; a limit since runtime-spec 1.3.
import { expect, test } from "bun:test";
import { makePlan } from "../../../src/plan/plan.ts";
import { planInput, smallConfig } from "./inputs.ts";

function written(ociVersion: string, limit: number): string[] {
  const config = { ...smallConfig({ linux: { resources: { pids: { limit } } } }), ociVersion };
  return makePlan(planInput(config)).steps.flatMap((step) =>
    step.on === "host" && step.action.do === "write" && step.action.path.endsWith("/pids.max")
      ? [step.action.data]
      : [],
  );
}

test("0 is a limit since 1.3", () => {
  expect(
    ["1.0.2", "1.0.2-dev", "1.2.1", "1.3.0", "1.4.0-rc.1", "1.10.0"].map((version) => written(version, 0)),
  ).toEqual([[], [], [], ["0"], ["0"], ["0"]]);
});

test("any other is one in every version", () => {
  expect(written("1.0.2", 7)).toEqual(["7"]);
  expect(written("1.0.2", -1)).toEqual(["max"]);
});
