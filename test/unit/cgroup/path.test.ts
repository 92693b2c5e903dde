/** From cgroupsPath to directories. */
import { describe, expect, test } from "bun:test";
import { cgroupV1Driver } from "../../../drivers/cgroup-v1/driver.ts";
import { cgroupV2Driver } from "../../../drivers/cgroup-v2/driver.ts";
import { levelsAbove } from "../../../drivers/cgroup-v2/enable.ts";
import type { Host } from "../../../src/driver.ts";
import { hybrid, legacy, unified } from "./fixtures.ts";

function paths(host: Host, cgroupsPath: string | undefined, id = "c1"): Readonly<Record<string, string>> {
  const driver = host.cgroup.mode === "unified" ? cgroupV2Driver : cgroupV1Driver;
  return driver.plan({ id, cgroupsPath, resources: undefined, ownNamespace: true }, host).paths;
}

describe("the container's cgroup", () => {
  test("is /ctr-bun/ID in every hierarchy without a path", () => {
    expect(paths(hybrid, undefined)).toEqual({
      cpu: "/sys/fs/cgroup/cpu/ctr-bun/c1",
      cpuacct: "/sys/fs/cgroup/cpuacct/ctr-bun/c1",
      cpuset: "/sys/fs/cgroup/cpuset/ctr-bun/c1",
      memory: "/sys/fs/cgroup/memory/ctr-bun/c1",
      devices: "/sys/fs/cgroup/devices/ctr-bun/c1",
      freezer: "/sys/fs/cgroup/freezer/ctr-bun/c1",
      blkio: "/sys/fs/cgroup/blkio/ctr-bun/c1",
      pids: "/sys/fs/cgroup/pids/ctr-bun/c1",
      "name=systemd": "/sys/fs/cgroup/systemd/ctr-bun/c1",
      unified: "/sys/fs/cgroup/unified/ctr-bun/c1",
    });
    expect(paths(unified, "")).toEqual({ unified: "/sys/fs/cgroup/ctr-bun/c1" });
  });

  test("is below the mount point for an absolute path", () => {
    expect(paths(legacy, "/docker/c1").memory).toBe("/sys/fs/cgroup/memory/docker/c1");
    expect(paths(unified, "/docker/c1").unified).toBe("/sys/fs/cgroup/docker/c1");
  });

  test("is below our own on v1, and beside it on v2, for a relative path", () => {
    expect(paths(legacy, "a/c1").memory).toBe(
      "/sys/fs/cgroup/memory/user.slice/user-0.slice/session-1.scope/a/c1",
    );
    expect(paths(legacy, "a/c1").freezer).toBe("/sys/fs/cgroup/freezer/a/c1");
    expect(paths(unified, "a/c1").unified).toBe("/sys/fs/cgroup/user.slice/user-0.slice/a/c1");
    expect(paths({ ...unified, uid: 1000 }, undefined).unified).toBe(
      "/sys/fs/cgroup/user.slice/user-0.slice/ctr-bun/c1",
    );
  });

  test("never leaves its place", () => {
    expect(paths(unified, "/../../etc").unified).toBe("/sys/fs/cgroup/etc");
    expect(paths(unified, "/a//./b/../c").unified).toBe("/sys/fs/cgroup/a/c");
    expect(paths(legacy, "../../../x").freezer).toBe("/sys/fs/cgroup/freezer/x");
    expect(paths(legacy, "../../../x").memory).toBe(
      "/sys/fs/cgroup/memory/user.slice/user-0.slice/session-1.scope/x",
    );
    for (const bad of ["/", "..", "a/..", "/a\0b", "/a\nb"]) expect(() => paths(unified, bad)).toThrow();
    expect(() => paths(unified, `/${"a/".repeat(2100)}`)).toThrow("has 4201 characters, more than");
    for (const bad of ["..", "a/b", "."]) expect(() => paths(unified, undefined, bad)).toThrow();
  });

  test("is refused where it is relative to what our cgroup namespace hides", () => {
    const hidden = {
      ...legacy,
      cgroup: { ...legacy.cgroup, own: { ...legacy.cgroup.own, freezer: "/../" } },
    };
    expect(paths(hidden, "/x").freezer).toBe("/sys/fs/cgroup/freezer/x");
    expect(() => paths(hidden, "x")).toThrow("is relative to ctr-bun's own cgroup, which cannot be told");
  });

  test("is a plain path for systemd's form, and says so", () => {
    const request = {
      id: "c1",
      cgroupsPath: "system.slice:docker:c1",
      resources: undefined,
      ownNamespace: true,
    };
    const part = cgroupV2Driver.plan(request, unified);
    expect(part.paths.unified).toEndWith("/system.slice:docker:c1");
    expect(part.warnings.join()).toContain("--systemd-cgroup");
  });
});

test("the cgroups above are found from the mount point down", () => {
  expect(levelsAbove("/sys/fs/cgroup", "/sys/fs/cgroup/a/b/c")).toEqual([
    "/sys/fs/cgroup",
    "/sys/fs/cgroup/a",
    "/sys/fs/cgroup/a/b",
  ]);
  expect(levelsAbove("/sys/fs/cgroup", "/sys/fs/cgroup/a")).toEqual(["/sys/fs/cgroup"]);
});
