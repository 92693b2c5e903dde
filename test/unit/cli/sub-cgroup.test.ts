// exec --cgroup, as runc takes it.
import { expect, test } from "bun:test";
import { asCtrError, errorLine } from "../../../src/error.ts";
import { parseSubCgroups, subCgroupPaths } from "../../../src/runtime/sub-cgroup.ts";

const paths = { cpu: "/c/cpu,cpuacct/x", cpuacct: "/c/cpu,cpuacct/x", pids: "/c/pids/x", unified: "/c/u/x" };

function place(...given: string[]): string {
  try {
    const wanted = parseSubCgroups(given);
    if (wanted === undefined) return "none";
    return Object.entries(subCgroupPaths(paths, wanted))
      .map(([controller, below]) => `${controller}:${below}`)
      .join(" ");
  } catch (error) {
    return errorLine(asCtrError(error));
  }
}

test("one path is for all, and a controller's is also that of what is mounted with it", () => {
  expect(place()).toBe("none");
  expect(place("a/b")).toBe("cpu:a/b cpuacct:a/b pids:a/b unified:a/b");
  expect(place("/")).toBe("");
  expect(place("pids:a")).toBe("pids:a");
  expect(place("cpu,pids:a", "unified:b")).toBe("cpu:a cpuacct:a pids:a unified:b");
});

test("a path that leads out of the container's cgroup is refused, however it is written", () => {
  for (const path of ["..", "../x2", "a/../../x", "/..", "a/./../.."])
    expect(place(path)).toBe(`--cgroup: ${path} is not a sub cgroup path`);
  expect(place("a/../b")).toBe("cpu:b cpuacct:b pids:b unified:b");
});

test("what makes no sense is refused", () => {
  expect(place("a", "b")).toBe('--cgroup: "a": the controller is missing');
  expect(place("pids:a", "b")).toBe('--cgroup: "b": the controller is missing');
  expect(place("pids,:a")).toBe('--cgroup: "pids,:a": empty controller');
  expect(place("pids:a", "pids:b")).toBe("--cgroup: controller pids specified multiple times");
  expect(place("io:a")).toBe('--cgroup: unknown controller "io"');
  expect(place("__proto__:a")).toBe('--cgroup: unknown controller "__proto__"');
});
