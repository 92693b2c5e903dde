// -v, --tmpfs, --mount, and the mounts of config.json that come of them.

import { describe, expect, test } from "bun:test";
import {
  type MountRequest,
  parseMountFlag,
  parseTmpfsFlag,
  parseVolumeFlag,
} from "../../../src/engine/config/mount-flags.ts";
import { buildMounts } from "../../../src/engine/config/mounts.ts";
import { imageVolumes } from "../../../src/engine/image-volumes.ts";

const bind = (source: string, target: string, more: Partial<MountRequest> = {}): MountRequest => ({
  type: "bind",
  source,
  target,
  readonly: false,
  propagation: "rprivate",
  options: [],
  field: "--volume",
  ...more,
});

describe("-v", () => {
  test("takes absolute and relative directories, and ro", () => {
    expect(parseVolumeFlag("/a:/b", "/cwd")).toEqual(bind("/a", "/b"));
    expect(parseVolumeFlag("./a/../c:/b/:ro", "/cwd")).toEqual(bind("/cwd/c", "/b", { readonly: true }));
    expect(parseVolumeFlag(".:/b", "/cwd")).toEqual(bind("/cwd", "/b"));
    expect(parseVolumeFlag("../x:/b:rshared,z", "/cwd")).toEqual(
      bind("/x", "/b", { propagation: "rshared" }),
    );
  });

  test("with a path alone is an anonymous volume", () => {
    expect(parseVolumeFlag("/data", "/cwd")).toMatchObject({
      type: "volume",
      source: undefined,
      target: "/data",
    });
  });

  test("with a name is refused until there are named volumes", () => {
    expect(() => parseVolumeFlag("data:/x", "/cwd")).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED", hint: expect.stringContaining("./data") }),
    );
  });

  test("that makes no sense is refused", () => {
    for (const text of ["", "/a:", "/a:b", "/a:/", "/a:/b/..", "/a:/b:wx", "/a:/b:ro:x", ":/b"]) {
      expect(() => parseVolumeFlag(text, "/cwd")).toThrow();
    }
  });
});

describe("--tmpfs", () => {
  test("takes options of mount", () => {
    expect(parseTmpfsFlag("/run:size=64m,mode=755,ro")).toMatchObject({
      type: "tmpfs",
      target: "/run",
      readonly: true,
      options: ["size=64m", "mode=755"],
    });
    expect(() => parseTmpfsFlag("/run:a b")).toThrow("bad option");
    expect(() => parseTmpfsFlag("run")).toThrow("relative");
  });

  test("is noexec, nosuid, nodev unless told otherwise", () => {
    const options = (text: string) =>
      buildMounts({ requests: [parseTmpfsFlag(text)], files, privileged: false, readonlyRoot: false }).find(
        ({ destination }) => destination === "/t",
      )?.options;
    expect(options("/t")).toEqual(["noexec", "nosuid", "nodev"]);
    expect(options("/t:exec,size=1k")).toEqual(["nosuid", "nodev", "exec", "size=1k"]);
  });
});

describe("--mount", () => {
  test("has Docker's keys", () => {
    expect(parseMountFlag("type=bind,source=/a,target=/b,readonly", "/cwd")).toMatchObject(
      bind("/a", "/b", { readonly: true, field: "--mount" }),
    );
    expect(
      parseMountFlag('type=bind,"src=/a,b",dst=/c,bind-propagation=rslave,ro=false', "/cwd"),
    ).toMatchObject(bind("/a,b", "/c", { propagation: "rslave", field: "--mount" }));
    expect(parseMountFlag("type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=1777", "/cwd")).toMatchObject({
      options: ["size=1048576", "mode=1777"],
    });
    expect(parseMountFlag("target=/v", "/cwd")).toMatchObject({ type: "volume", target: "/v" });
  });

  test("with a fault says which", () => {
    const cases: [string, string][] = [
      ["type=bind,target=/b", "has no source"],
      ["type=bind,source=/a", "no path inside"],
      ["type=bind,source=/a,target=/b,size=1", '"size"'],
      ["type=tmpfs,target=/t,source=/a", "has a source"],
      ["type=npipe,target=/t", "npipe"],
      ["type=volume,source=name,target=/t", "named volumes"],
      ['type=bind,"source=/a', "quote"],
      ["type=bind,source=/a,target=/b,readonly=maybe", "readonly=maybe"],
    ];
    for (const [text, words] of cases) expect(() => parseMountFlag(text, "/cwd")).toThrow(words);
  });
});

const files = {
  "/etc/hosts": "/c/hosts",
  "/etc/hostname": "/c/hostname",
  "/etc/resolv.conf": "/c/resolv.conf",
};

describe("mounts of config.json", () => {
  const targets = (requests: MountRequest[]) =>
    buildMounts({ requests, files, privileged: false, readonlyRoot: false }).map(
      ({ destination }) => destination,
    );

  test("are Docker's and the provided files", () => {
    expect(targets([])).toEqual([
      "/proc",
      "/dev",
      "/dev/pts",
      "/sys",
      "/sys/fs/cgroup",
      "/dev/mqueue",
      "/dev/shm",
      "/etc/hosts",
      "/etc/hostname",
      "/etc/resolv.conf",
    ]);
  });

  test("stand with those nearer to the root first", () => {
    expect(targets([bind("/a", "/x/y/z"), bind("/b", "/x")]).slice(7)).toEqual([
      "/x",
      "/etc/hosts",
      "/etc/hostname",
      "/etc/resolv.conf",
      "/x/y/z",
    ]);
  });

  test("give way to what is asked for at their place", () => {
    const mounts = buildMounts({
      requests: [bind("/mine", "/etc/hosts"), bind("/shm", "/dev/shm")],
      files,
      privileged: false,
      readonlyRoot: false,
    });
    expect(
      mounts.filter(({ destination }) => destination === "/etc/hosts").map(({ source }) => source),
    ).toEqual(["/mine"]);
    expect(mounts.find(({ destination }) => destination === "/dev/shm")?.type).toBe("bind");
  });

  test("are not two at one place", () => {
    expect(() => targets([bind("/a", "/x"), bind("/b", "/x")])).toThrow("two mounts for /x");
  });

  test("leave /sys read-only except with --privileged", () => {
    const sys = (privileged: boolean) =>
      buildMounts({ requests: [], files, privileged, readonlyRoot: false })
        .filter(({ destination }) => destination.startsWith("/sys"))
        .map(({ options = [] }) => options.includes("ro"));
    expect([sys(false), sys(true)]).toEqual([
      [true, true],
      [false, false],
    ]);
  });
});

test("an image's volumes are made clean, once, and give way to what a person mounts", () => {
  const asked = [bind("/mine", "/data")];
  const targets = imageVolumes({ "/data": {}, "/a/../b": {}, b: {}, "/": {}, "/c/": {} }, asked).map(
    ({ target }) => target,
  );
  expect(targets).toEqual(["/b", "/c"]);
});
