// config.json, state and features: what is accepted, what is refused and in which words.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CtrError, errorLine } from "../../../src/error.ts";
import { readJson, writeJson } from "../../../src/spec/json.ts";
import { parseDocument, parseJson } from "../../../src/spec/parse.ts";
import { RuntimeConfig } from "../../../src/spec/runtime/config.ts";
import { defaultSpec, rootlessSpec } from "../../../src/spec/runtime/defaults.ts";
import { Features } from "../../../src/spec/runtime/features.ts";
import { Process } from "../../../src/spec/runtime/process.ts";
import { LinuxResources } from "../../../src/spec/runtime/resources.ts";
import { ContainerProcessState, State } from "../../../src/spec/runtime/state.ts";
import { change, fixture, fixtureValue, keysOf, refusal } from "./support.ts";

const full = () => structuredClone(fixtureValue("config/full.json"));
const minimal = { ociVersion: "1.0.2-dev", root: { path: "rootfs" } };
const config = (value: unknown) => parseDocument(RuntimeConfig, value, "config.json");

/** Every path in a document, containers and leaves. */
function paths(value: unknown, at: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== "object" || value === null) return [at];
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return [at, ...entries.flatMap(([key, part]) => paths(part, [...at, key]))].filter(
    (path) => path.length > 0,
  );
}

describe("a good config.json", () => {
  test("keeps every property of the specification, and every digit", () => {
    const text = fixture("config/full.json");
    const parsed = parseJson(RuntimeConfig, text, "config.json");
    expect(parsed).toEqual(readJson(text) as RuntimeConfig);
    expect(parsed.process?.rlimits?.[0]?.hard).toBe(18446744073709551615n);
    expect(parsed.process?.rlimits?.[1]?.soft).toBe(9007199254740993n);
    expect(parsed.linux?.timeOffsets?.boottime?.secs).toBe(-9223372036854775808n);
    expect(parsed.linux?.seccomp?.syscalls?.[0]?.args?.[0]?.value).toBe(18446744073709551615n);
    expect(writeJson(parsed)).toContain('"hard":18446744073709551615');
  });

  test("may be as small as a version and a root", () => {
    expect(config(minimal)).toEqual(minimal as RuntimeConfig);
  });

  test("may have unknown properties anywhere, which are ignored", () => {
    const document = full();
    for (const path of [
      "process",
      "root",
      "mounts[0]",
      "hooks",
      "hooks.prestart[0]",
      "linux",
      "linux.resources.cpu",
    ]) {
      change(document, [...keysOf(path), "x-unknown"], { any: ["thing"] });
    }
    change(document, ["windows"], { layerFolders: 7 });
    expect(config(document)).toEqual(full() as RuntimeConfig);
  });

  test("may say null, or an empty string, for what is not set, as Go programs do", () => {
    const document = {
      ...minimal,
      process: null,
      hostname: "",
      mounts: null,
      linux: {
        namespaces: [{ type: "pid", path: "" }],
        cgroupsPath: "",
        seccomp: null,
        rootfsPropagation: "",
      },
    };
    const parsed = config(document);
    expect(parsed.process).toBeUndefined();
    expect(parsed.hostname).toBeUndefined();
    expect(parsed.linux?.namespaces?.[0]?.path).toBeUndefined();
    expect(parsed.linux?.cgroupsPath).toBeUndefined();
    expect(JSON.parse(JSON.stringify(parsed))).toEqual({
      ...minimal,
      linux: { namespaces: [{ type: "pid" }] },
    });
  });

  test("runs as root where no user is given, as in runc", () => {
    const process = { args: ["true"], cwd: "/" };
    expect(config({ ...minimal, process }).process?.user).toEqual({ uid: 0, gid: 0 });
    expect(
      config({ ...minimal, process: { ...process, user: { gid: 5, uid: null } } }).process?.user,
    ).toEqual({ uid: 0, gid: 5 });
  });

  test.each(["1.0.0", "1.0.2-dev", "1.2.1", "1.99.0", "1.1.0-rc.1", "1.3.0+build.7"])(
    "may state version %s",
    (ociVersion) => {
      expect(config({ ...minimal, ociVersion }).ociVersion).toBe(ociVersion);
    },
  );

  test.each(["rslave", "rshared", "rprivate", "runbindable"])(
    "may use %s for the root, as Docker does",
    (rootfsPropagation) => {
      expect(config({ ...minimal, linux: { rootfsPropagation } }).linux?.rootfsPropagation as string).toBe(
        rootfsPropagation,
      );
    },
  );

  test.each(["config/runc-1.1.json", "config/runc-1.1-rootless.json"])("is what runc writes: %s", (name) => {
    expect(config(fixtureValue(name))).toEqual(fixtureValue(name) as RuntimeConfig);
  });
});

describe("a bad config.json is refused with its path", () => {
  interface Case {
    readonly at: string;
    readonly value?: unknown;
    readonly field?: string;
    readonly message: string;
  }
  /** bad.json: what a property's meaning forbids; bad-types.json: the plain wrong type of the others. */
  const cases = ["config/bad.json", "config/bad-types.json"].flatMap((name) => fixtureValue(name) as Case[]);

  test("of every property that the specification has", () => {
    /** Strings under keys of the user's: one stands for all. */
    const ofTheUser = /^(annotations|linux\.sysctl|linux\.resources\.unified)(\.|\[").*/;
    const property = (path: string) => path.replace(ofTheUser, "$1.*");
    const anyIndex = (path: string) => path.replace(/\[\d+\]/g, "[]");
    const written = (path: readonly (string | number)[]) =>
      path.map((key, at) => (typeof key === "number" ? "[]" : at === 0 ? key : `.${key}`)).join("");
    const covered = new Set(
      cases.flatMap(({ at, field = at }) => [at, field].map((path) => property(anyIndex(path)))),
    );
    const all = new Set(paths(full()).map((path) => property(written(path))));
    expect([...all].filter((path) => !covered.has(path))).toEqual([]);
  });

  test.each(cases.map((entry) => [entry.at, entry.message, entry] as const))(
    "%s: %s",
    (at, message, entry) => {
      const document = full();
      change(document, keysOf(at), entry.value);
      const error = refusal(() => config(document));
      expect(errorLine(error)).toBe(`${entry.field ?? at}: ${message}`);
      expect([error.code, error.step]).toEqual(["INVALID_CONFIG", "read config.json"]);
      // The same out of text, where the first reading is inexact.
      expect(errorLine(refusal(() => parseJson(RuntimeConfig, writeJson(document), "config.json")))).toBe(
        errorLine(error),
      );
    },
  );

  test.each([[[]], [null], ["x"], [7], [undefined]])("as a whole: %p", (value) => {
    const error = refusal(() => config(value));
    expect(error.field).toBeUndefined();
    expect(error.message).toStartWith("config.json: expected object, got ");
  });

  test("in one line, however long or odd the text is", () => {
    const error = refusal(() =>
      config({ ...minimal, linux: { sysctl: { [`a/../${"b\n".repeat(10_000)}`]: "1" } } }),
    );
    expect(errorLine(error).split("\n")).toHaveLength(1);
    expect(errorLine(error).length).toBeLessThan(500);
  });
});

describe("whatever the document, the outcome is a value or a CtrError", () => {
  const schemas = { RuntimeConfig, Process, LinuxResources, State, ContainerProcessState, Features };
  test.each(Object.entries(schemas))("%s of any JSON", (_name, schema) => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        try {
          parseDocument(schema, value, "it");
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(CtrError);
        }
      }),
    );
  });

  test("a fault is reported at, above or beside the place that was changed", () => {
    const places = paths(full());
    fc.assert(
      fc.property(
        fc.nat(places.length - 1),
        fc.oneof(fc.jsonValue(), fc.constant(undefined)),
        (index, value) => {
          const document = full();
          const place = places[index] ?? [];
          change(document, place, value);
          try {
            config(document);
          } catch (thrown) {
            if (!(thrown instanceof CtrError)) throw thrown;
            expect(thrown.code).toBe("INVALID_CONFIG");
            const field = keysOf(thrown.field ?? "");
            const depth = Math.min(place.length - 1, field.length);
            if (place.length > 1)
              expect(field.slice(0, Math.min(depth, 2))).toEqual(place.slice(0, Math.min(depth, 2)));
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("the configuration that the spec verb writes", () => {
  const powercap = "/sys/devices/virtual/powercap";
  const asRunc = (spec: RuntimeConfig): unknown => {
    expect(spec.ociVersion).toBe("1.3.0");
    expect(spec.linux?.maskedPaths).toContain(powercap);
    const maskedPaths = spec.linux?.maskedPaths?.filter((path) => path !== powercap);
    return { ...spec, ociVersion: "1.0.2-dev", linux: { ...spec.linux, maskedPaths } };
  };

  test("is runc's, but for the version and one more masked path", () => {
    expect(asRunc(defaultSpec())).toEqual(fixtureValue("config/runc-1.1.json"));
    expect(asRunc(rootlessSpec({ uid: 1000, gid: 1001 }))).toEqual(
      fixtureValue("config/runc-1.1-rootless.json"),
    );
  });

  test("has a cgroup namespace where it is asked for", () => {
    expect(defaultSpec({ cgroupNamespace: true }).linux?.namespaces?.map(({ type }) => type)).toEqual([
      "pid",
      "network",
      "ipc",
      "uts",
      "mount",
      "cgroup",
    ]);
    expect(
      rootlessSpec({ uid: 1, gid: 1 }, { cgroupNamespace: true }).linux?.namespaces?.map(({ type }) => type),
    ).toEqual(["pid", "ipc", "uts", "mount", "cgroup", "user"]);
  });

  test("is accepted unchanged, and made anew every time", () => {
    const spec = defaultSpec();
    expect(config(spec)).toEqual(spec);
    spec.linux?.maskedPaths?.pop();
    spec.process?.capabilities?.bounding?.pop();
    expect(defaultSpec()).toEqual(config(defaultSpec()));
    expect(defaultSpec().process?.capabilities?.bounding).toHaveLength(3);
    expect(defaultSpec().linux?.maskedPaths).toHaveLength(11);
  });
});

describe("state and features", () => {
  const state = {
    ociVersion: "0.2.0",
    id: "c1",
    status: "running",
    pid: 4422,
    bundle: "/b",
    annotations: { k: "v" },
  };

  test("a state is kept as it is, and may have no pid", () => {
    expect(parseDocument(State, state, "state")).toEqual(state as State);
    const { pid: _pid, ...stopped } = state;
    expect(parseDocument(State, { ...stopped, status: "stopped" }, "state").pid).toBeUndefined();
  });

  test("a state with another status, or a pid that is none, is refused", () => {
    expect(refusal(() => parseDocument(State, { ...state, status: "dead" }, "state")).field).toBe("status");
    expect(refusal(() => parseDocument(State, { ...state, pid: -1 }, "state")).field).toBe("pid");
  });

  test("a seccomp agent's state holds the container's", () => {
    const sent = { ociVersion: "1.3.0", fds: ["seccompFd"], pid: 7, metadata: "m", state };
    expect(parseDocument(ContainerProcessState, sent, "state")).toEqual(sent as ContainerProcessState);
    const bad = { ...sent, state: { ...state, id: "" } };
    expect(refusal(() => parseDocument(ContainerProcessState, bad, "state")).field).toBe("state.id");
  });

  test("features of a later runtime are read, those without versions are not", () => {
    const features = {
      ociVersionMin: "1.0.0",
      ociVersionMax: "1.9.0",
      linux: { namespaces: ["pid", "future"], seccomp: { enabled: true, archs: ["SCMP_ARCH_NEW"] } },
    };
    expect(parseDocument(Features, features, "features")).toEqual(features);
    const error = refusal(() => parseDocument(Features, { ociVersionMin: "1.0.0" }, "features"));
    expect(errorLine(error)).toBe("ociVersionMax: is required");
  });
});
