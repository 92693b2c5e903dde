/** What a plan does for linux.intelRdt, by what there is in resctrl: the rules of config-linux.md, one by one. */
import { describe, expect, test } from "bun:test";
import { errorLine } from "../../../src/error.ts";
import type { ResctrlFact } from "../../../src/plan/input.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import { hasSchema } from "../../../src/plan/resctrl.ts";
import type { LinuxIntelRdt } from "../../../src/spec/runtime/config.ts";
import { goldenPlans } from "./golden.ts";
import { errorOf, planInput, smallConfig } from "./inputs.ts";

const ROOT = "/sys/fs/resctrl";
const NOTHING: ResctrlFact = { root: ROOT, schemata: undefined, monitored: false };
const THERE: ResctrlFact = { ...NOTHING, schemata: "    MB:0=100;1=70\n    L3:0=7ff;1=01f\n" };

function plan(intelRdt: LinuxIntelRdt, resctrl: ResctrlFact | undefined, id = "box") {
  const config = smallConfig({ linux: { namespaces: [{ type: "mount" }], intelRdt } });
  return makePlan(planInput(config, { facts: { resctrl }, options: { id, start: "go" } }));
}
/** What is done in resctrl, in order. */
function done(...args: Parameters<typeof plan>): string[] {
  return plan(...args).steps.flatMap((step) => {
    if (step.on !== "host" || !("path" in step.action) || !step.action.path.startsWith(ROOT)) return [];
    const { action } = step;
    const path = action.path.slice(ROOT.length);
    if (action.do === "write") return [`write ${path} ${JSON.stringify(action.data)}`];
    return [action.do === "write-pid" ? `pid ${path}` : `${action.do} ${path}`];
  });
}
const refusal = (...args: Parameters<typeof plan>) => errorLine(errorOf(() => plan(...args)));
const made = (...args: Parameters<typeof plan>) => plan(...args).resctrl?.made;

describe("a class", () => {
  test("of the container's own name is made where no closID is given, and goes with the container", () => {
    expect(done({}, NOTHING)).toEqual(["mkdir /box", "pid /box/tasks"]);
    expect(made({}, NOTHING)).toEqual([`${ROOT}/box`]);
  });

  test("that is there already under that name is used, and stays", () => {
    expect(done({}, THERE)).toEqual(["pid /box/tasks"]);
    expect(made({}, THERE)).toEqual([]);
  });

  test("that is named is made where it has a schema, and stays", () => {
    expect(done({ closID: "gold", l3CacheSchema: "L3:0=f" }, NOTHING)).toEqual([
      "mkdir /gold",
      'write /gold/schemata "L3:0=f\\n"',
      "pid /gold/tasks",
    ]);
    expect(made({ closID: "gold", l3CacheSchema: "L3:0=f" }, NOTHING)).toEqual([]);
  });

  test("may be the default one", () => {
    expect(done({ closID: "/" }, THERE)).toEqual(["pid /tasks"]);
    expect(done({ closID: "/", enableMonitoring: true }, THERE)).toEqual([
      "mkdir /mon_groups/box",
      "pid /tasks",
      "pid /mon_groups/box/tasks",
    ]);
  });

  test("gets its schemata in one write, l3CacheSchema first and schemata last", () => {
    const rdt = {
      l3CacheSchema: "L3:0=7f0;1=1f",
      memBwSchema: "MB:0=20;1=70",
      schemata: ["L2:0=f", "L3:0=3"],
    };
    expect(done(rdt, NOTHING)[1]).toBe(
      'write /box/schemata "L3:0=7f0;1=1f\\nMB:0=20;1=70\\nL2:0=f\\nL3:0=3\\n"',
    );
  });

  test("has a monitoring group of the container's name, which goes first", () => {
    const rdt = { closID: "gold", enableMonitoring: true };
    expect(done(rdt, THERE)).toEqual([
      "mkdir /gold/mon_groups/box",
      "pid /gold/tasks",
      "pid /gold/mon_groups/box/tasks",
    ]);
    expect(made(rdt, THERE)).toEqual([`${ROOT}/gold/mon_groups/box`]);
    expect(made({ enableMonitoring: true }, NOTHING)).toEqual([`${ROOT}/box`, `${ROOT}/box/mon_groups/box`]);
  });
});

describe("an error is", () => {
  const cases: readonly (readonly [words: string, rdt: LinuxIntelRdt, fact: ResctrlFact | undefined])[] = [
    [
      "linux.intelRdt: intelRdt is specified in config, but Intel RDT is not enabled: no resctrl file system is mounted",
      {},
      undefined,
    ],
    [
      "linux.intelRdt.closID: clos dir not accessible (must be pre-created when l3CacheSchema, memBwSchema and schemata are empty)",
      { closID: "gold" },
      NOTHING,
    ],
    [
      "linux.intelRdt.l3CacheSchema: the class gold is there with another schema than L3:0=7fe",
      { closID: "gold", l3CacheSchema: "L3:0=7fe" },
      THERE,
    ],
    [
      "linux.intelRdt.memBwSchema: the class gold is there with another schema than MB:0=10",
      { closID: "gold", l3CacheSchema: "L3:0=7FF", memBwSchema: "MB:0=10" },
      THERE,
    ],
    [
      "linux.intelRdt.closID: a class cannot be called mon_groups: the kernel has that name",
      { closID: "mon_groups", l3CacheSchema: "L3:0=f" },
      NOTHING,
    ],
    [
      "linux.intelRdt.enableMonitoring: there is a monitoring group box already, and the container's must be its own",
      { closID: "gold", enableMonitoring: true },
      { ...THERE, monitored: true },
    ],
  ];
  test.each(cases)("%s", (words, rdt, fact) => {
    expect(refusal(rdt, fact)).toBe(words);
  });

  test("a container whose name is the kernel's", () => {
    expect(refusal({}, THERE, "info")).toBe(
      "linux.intelRdt: a class cannot be called info: the kernel has that name",
    );
  });
});

test("a schema is had where each of its caches has the value that it asks for", () => {
  const { schemata = "" } = THERE;
  for (const line of ["L3:0=7ff;1=1f", "L3:1=1F", "L3: 0 = 007ff ;", "MB:1=70", "MB:0=100;1=70", "L3:"]) {
    expect(hasSchema(schemata, line)).toBe(true);
  }
  for (const line of [
    "L3:0=7ff;1=1e",
    "L3:2=1f",
    "L2:0=1",
    "MB:0=10",
    "L3CODE:0=7ff",
    "L3:0",
    "L3:=1",
    "x",
  ]) {
    expect(hasSchema(schemata, line)).toBe(false);
  }
});

goldenPlans({
  resctrl: () =>
    plan({ l3CacheSchema: "L3:0=7f0;1=1f", memBwSchema: "MB:0=20;1=70", enableMonitoring: true }, NOTHING),
});
