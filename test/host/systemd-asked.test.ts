// What is asked of systemd when it does not answer as it should, told by a peer in its place: nobody else's unit is
// stopped, a manager that is away for a moment is asked again, and a job whose signal is lost is looked after.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startUnit } from "../../drivers/cgroup-systemd/act.ts";
import type { Start } from "../../drivers/cgroup-systemd/plan.ts";
import { needNoGuests } from "../../drivers/cgroup-systemd/remove.ts";
import { asCtrError } from "../../src/error.ts";
import { connectSystemd } from "../../src/kernel/systemd.ts";
import { once } from "../../src/runtime/host.ts";
import type { Answer } from "../support/systemd-peer.ts";

const directory = mkdtempSync(join(tmpdir(), "ctr-bun-systemd-"));
const children: Bun.Subprocess[] = [];
const address = process.env.DBUS_SYSTEM_BUS_ADDRESS;

beforeAll(() => mkdirSync(join(directory, "system.slice")));
afterAll(async () => {
  if (address === undefined) delete process.env.DBUS_SYSTEM_BUS_ADDRESS;
  else process.env.DBUS_SYSTEM_BUS_ADDRESS = address;
  for (const child of children) {
    child.kill();
    await child.exited;
  }
  rmSync(directory, { recursive: true });
});

const JOB = "/org/freedesktop/systemd1/job/7";
const UNIT = "/org/freedesktop/systemd1/unit/a";
const away: Answer = {
  error: "org.freedesktop.DBus.Error.NoReply",
  text: "Message recipient disconnected from message bus without replying",
};
const absent: Answer = { error: "org.freedesktop.systemd1.NoSuchUnit", text: "Unit not loaded." };
const there: Answer = { signature: "o", body: [UNIT] };
const accepted: Answer = { signature: "o", body: [JOB] };
const started: Answer = { ...accepted, signal: [7, JOB, "a.scope", "done"] };
const value = (signature: string, inner: unknown): Answer => ({
  signature: "v",
  body: [{ signature, value: inner } as never],
});

/** Has a peer that answers so stand in for systemd; what it was asked since, one call a word. */
async function answering(
  answers: Readonly<Record<string, readonly Answer[]>>,
  path = join(directory, `${children.length}`),
): Promise<() => string[]> {
  const peer = resolve(import.meta.dir, "../support/systemd-peer.ts");
  const command = [process.execPath, peer, path, `${path}.log`, JSON.stringify(answers)];
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  children.push(child);
  if ((await child.stdout.getReader().read()).value === undefined) throw new Error("the peer said nothing");
  process.env.DBUS_SYSTEM_BUS_ADDRESS = `unix:path=${path}`;
  return () =>
    readFileSync(`${path}.log`, "utf8")
      .trim()
      .split("\n")
      .map((line) => line.split(" ")[0] ?? "");
}

function start(kind: Start["kind"]): Start {
  const unit = kind === "Slice" ? "system-a.slice" : "ctr-bun-a.scope";
  const directories = [join(directory, "system.slice")];
  return { unit, kind, properties: [], directories, expected: `/system.slice/${unit}` };
}

/** The error of starting a unit with a process that is in none. */
function errorOfStart(kind: Start["kind"]): string {
  try {
    startUnit(start(kind), { pid: undefined, stage0: process.pid });
  } catch (thrown) {
    return asCtrError(thrown).message;
  }
  return "";
}

describe("a start that comes to nothing stops no unit", () => {
  for (const [what, kind, answers, message] of [
    ["where systemd's signals are not to be had", "Scope", { AddMatch: [away] }, /AddMatch/],
    ["where it is unknown what is there", "Slice", { GetUnit: [{ error: "a.b.Broken" }] }, /GetUnit.*Broken/],
    ["where it answers too late", "Scope", { StartTransientUnit: [{ error: "a.b.Late" }] }, /Late/],
    [
      "where the name is taken",
      "Scope",
      {
        StartTransientUnit: [{ error: "org.freedesktop.systemd1.UnitExists", text: "it was already loaded" }],
      },
      /already loaded/,
    ],
    [
      "where the unit has another process than ours",
      "Scope",
      { StartTransientUnit: [started] },
      /has put ctr-bun-a.scope elsewhere/,
    ],
    [
      "where others are in the slice by now",
      "Slice",
      {
        GetUnit: [absent, there],
        StartTransientUnit: [{ ...accepted, signal: [7, JOB, "a", "failed"] }],
        "Get SliceOf": [value("as", ["guest.scope"])],
        "Get Job": [value("(uo)", [0, "/"])],
        "Get ActiveState": [value("s", "active")],
      },
      /ended with "failed"/,
    ],
  ] as const) {
    test(what, async () => {
      const calls = await answering(answers);
      expect(errorOfStart(kind)).toMatch(message);
      expect(calls()).not.toContain("StopUnit");
    });
  }

  test("but a slice that systemd has begun to make, and that is empty, is taken back", async () => {
    const calls = await answering({
      GetUnit: [absent, there],
      StartTransientUnit: [{ ...accepted, signal: [7, JOB, "a", "failed"] }],
      "Get SliceOf": [value("as", [])],
      StopUnit: [{ ...accepted, signal: [7, JOB, "a", "done"] }],
    });
    expect(errorOfStart("Slice")).toMatch(/ended with "failed"/);
    expect(calls()).toContain("StopUnit");
  });
});

describe("a manager that executes itself anew", () => {
  test("is asked again what may be asked twice", async () => {
    const calls = await answering({ "Get Version": [away, away, value("s", "252.1")] });
    const systemd = connectSystemd("system");
    expect(systemd.version()).toBe(252);
    systemd.close();
    expect(calls().filter((call) => call === "Get")).toHaveLength(3);
  });

  test("takes a start that was lost on its way", async () => {
    await answering({ StartTransientUnit: [away, started] });
    const systemd = connectSystemd("system");
    expect(systemd.tryStart("a.scope", []).error).toBeUndefined();
    systemd.close();
  });

  test("is asked again for a unit whose process it has forgotten", async () => {
    const failed = { ...accepted, signal: [7, JOB, "a.scope", "failed"] };
    const calls = await answering({ StartTransientUnit: [failed, started] });
    // Our own process is in no unit: that the second start went well is told by what is wrong then.
    expect(errorOfStart("Scope")).toMatch(/has put ctr-bun-a.scope elsewhere/);
    expect(calls().filter((call) => call === "StartTransientUnit")).toHaveLength(2);
  });

  test("ends a job under the name that it has on the bus then, which no other can", async () => {
    const signal = [7, JOB, "a.scope", "done"];
    const other = { ...accepted, signal, signalSender: ":1.2" };
    await answering({ StartTransientUnit: [other], GetNameOwner: [{ signature: "s", body: [":1.2"] }] });
    const systemd = connectSystemd("system");
    expect(systemd.tryStart("a.scope", []).error).toBeUndefined();
    systemd.close();
    await answering({
      StartTransientUnit: [{ ...other, signal: [7, JOB, "a.scope", "forged"] }],
      GetNameOwner: [{ signature: "s", body: [":1.1"] }],
      GetUnit: [there],
      "Get Job": [value("(uo)", [0, "/"])],
      "Get ActiveState": [value("s", "active")],
    });
    const second = connectSystemd("system");
    expect(second.tryStart("a.scope", []).error).toBeUndefined();
    second.close();
  }, 60_000);

  test("may lose the signal of a job: its unit says what became of it", async () => {
    await answering({
      StartTransientUnit: [accepted],
      StopUnit: [accepted],
      GetUnit: [there, there, there, absent],
      "Get Job": [value("(uo)", [7, JOB]), value("(uo)", [0, "/"])],
      "Get ActiveState": [value("s", "activating"), value("s", "failed")],
    });
    const systemd = connectSystemd("system");
    expect(systemd.tryStart("a.scope", []).text).toBe('the job ended with "failed"');
    expect(systemd.stop("a.scope")).toBe(true);
    systemd.close();
  }, 60_000);
});

describe("a manager without a bus that executes itself anew", () => {
  const { XDG_RUNTIME_DIR, DBUS_SESSION_BUS_ADDRESS } = process.env;
  beforeAll(() => {
    process.env.XDG_RUNTIME_DIR = directory;
    process.env.DBUS_SESSION_BUS_ADDRESS = "unix:path=/nowhere";
    mkdirSync(join(directory, "systemd"));
  });
  afterAll(() => {
    const restore = (name: string, old: string | undefined) => {
      if (old === undefined) delete process.env[name];
      else process.env[name] = old;
    };
    restore("XDG_RUNTIME_DIR", XDG_RUNTIME_DIR);
    restore("DBUS_SESSION_BUS_ADDRESS", DBUS_SESSION_BUS_ADDRESS);
  });
  const path = join(directory, "systemd", "private");
  const gone: Answer = { away: 300 };

  test("is waited for when it hangs up, and asked again", async () => {
    const calls = await answering(
      {
        "Get Version": [gone, value("s", "252.1")],
        StartTransientUnit: [gone, started],
        StopUnit: [gone, absent],
        SetUnitProperties: [gone, {}],
      },
      path,
    );
    const systemd = connectSystemd("user");
    expect(systemd.version()).toBe(252);
    expect(systemd.tryStart("a.scope", []).error).toBeUndefined();
    systemd.setProperties("a.scope", [["Delegate", { signature: "b", value: true }]]);
    expect(systemd.stop("a.scope")).toBe(false);
    systemd.close();
    expect(calls().filter((call) => call === "connected")).toHaveLength(5);
  }, 30_000);

  test("may take the signal of a job with it: its unit says what became of it", async () => {
    children.at(-1)?.kill();
    await children.at(-1)?.exited;
    rmSync(path, { force: true });
    // It answers, and hangs up when it is asked the next thing.
    await answering(
      {
        StartTransientUnit: [accepted],
        GetUnit: [gone, there],
        "Get Job": [value("(uo)", [0, "/"])],
        "Get ActiveState": [value("s", "active")],
      },
      path,
    );
    const systemd = connectSystemd("user");
    expect(systemd.tryStart("a.scope", []).error).toBeUndefined();
    systemd.close();
  }, 30_000);

  test("is waited for by who comes while nobody listens", async () => {
    children.at(-1)?.kill();
    await children.at(-1)?.exited;
    rmSync(path, { force: true });
    const stale = Bun.listen({ unix: `${path}.0`, socket: { data() {} } });
    renameSync(`${path}.0`, path);
    stale.stop(true);
    const command = ["sh", "-c", `sleep 0.5; exec "$@"`, "sh", process.execPath];
    const peer = resolve(import.meta.dir, "../support/systemd-peer.ts");
    const answers = JSON.stringify({ "Get Version": [value("s", "252.1")] });
    const child = Bun.spawn([...command, peer, path, `${path}.log`, answers], { stdin: "ignore" });
    children.push(child);
    const systemd = connectSystemd("user");
    expect(systemd.version()).toBe(252);
    systemd.close();
  }, 30_000);
});

describe("units of others in a container that is a slice", () => {
  const paths = { unified: "/sys/fs/cgroup/system.slice/system-a.slice" };
  function refusal(): string {
    try {
      needNoGuests(paths);
    } catch (thrown) {
      return asCtrError(thrown).message;
    }
    return "";
  }

  test("are told by what needs the slice where systemd has no list of its members", async () => {
    await answering({
      GetUnit: [there],
      "Get SliceOf": [{ error: "org.freedesktop.DBus.Error.UnknownProperty" }],
      "Get RequiredBy": [value("as", ["guest.scope", "ended.scope"])],
      "Get Job": [value("(uo)", [0, "/"])],
      "Get ActiveState": [value("s", "active"), value("s", "failed")],
    });
    expect(refusal()).toMatch(/would be killed with it: guest\.scope$/);
  });

  test("are none where the slice is gone", async () => {
    await answering({ GetUnit: [absent] });
    expect(refusal()).toBe("");
  });
});

test("what is looked up once is asked for once, an error too", () => {
  let asked = 0;
  const look = (outcome: () => number) =>
    once(() => {
      asked++;
      return outcome();
    });
  const good = look(() => 1);
  const bad = look(() => {
    throw new Error("no");
  });
  for (const _ of [1, 2]) {
    expect(good()).toBe(1);
    expect(bad).toThrow("no");
  }
  expect(asked).toBe(2);
});
