// The client of D-Bus against a real bus, and against others at the end of a socket that hang, close or lie.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { asCtrError, type CtrError } from "../../src/error.ts";
import { connectDbus, type DbusConnection, THE_BUS } from "../../src/kernel/dbus.ts";
import { probeHost } from "../../src/runtime/host.ts";

const directory = mkdtempSync(join(tmpdir(), "ctr-bun-dbus-"));
const children: Bun.Subprocess[] = [];

/** Starts a process and waits for the first line that it writes. */
async function start(command: string[]): Promise<void> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  children.push(child);
  const { value } = await child.stdout.getReader().read();
  if (value === undefined) throw new Error(`${command.join(" ")} said nothing`);
}

afterAll(async () => {
  for (const child of children) {
    child.kill();
    await child.exited;
  }
  rmSync(directory, { recursive: true });
});

/** What a test has to wait for when nothing goes wrong: far more than it takes. */
const PATIENCE = 20_000;

function errorOf(run: () => unknown): CtrError {
  try {
    run();
  } catch (error) {
    return asCtrError(error);
  }
  throw new Error("nothing was thrown");
}

describe("a real bus", () => {
  const path = join(directory, "bus");
  let connection: DbusConnection;

  beforeAll(async () => {
    const config = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
      "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
      <busconfig><listen>unix:path=${path}</listen><auth>EXTERNAL</auth><policy context="default">
      <allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>`;
    writeFileSync(join(directory, "bus.conf"), config);
    await start(["dbus-daemon", "--nofork", "--print-address=1", `--config-file=${directory}/bus.conf`]);
    connection = connectDbus(path, true, PATIENCE);
  });
  afterAll(() => connection.close());

  test("answers calls", () => {
    const { body } = connection.call({ ...THE_BUS, member: "ListNames" }, PATIENCE);
    expect(body).toEqual([expect.arrayContaining(["org.freedesktop.DBus"])]);
    const [id] = connection.call(
      { ...THE_BUS, member: "GetConnectionUnixUser", signature: "s", body: [THE_BUS.destination] },
      PATIENCE,
    ).body;
    expect(id).toBe(process.getuid?.() ?? -1);
  });

  test("answers with errors by name, which only a call that must not fail throws", () => {
    const call = { ...THE_BUS, member: "GetNameOwner", signature: "s", body: ["no.such.name"] };
    const reply = connection.tryCall(call, PATIENCE);
    expect(reply.error).toBe("org.freedesktop.DBus.Error.NameHasNoOwner");
    const error = errorOf(() => connection.call(call, PATIENCE));
    expect(error.code).toBe("DBUS");
    expect(error.message).toMatch(
      /^GetNameOwner: .*no\.such\.name.* \(org\.freedesktop\.DBus\.Error\.NameHasNoOwner\)$/,
    );
  });

  test("sends signals, among others that are not waited for, with who they are from", () => {
    const rule = "type='signal',interface='org.freedesktop.DBus',member='NameOwnerChanged'";
    connection.call({ ...THE_BUS, member: "AddMatch", signature: "s", body: [rule] }, PATIENCE);
    const others = [1, 2, 3].map(() => connectDbus(path, true, PATIENCE));
    const name = "org.example.Wanted";
    others[1]?.call({ ...THE_BUS, member: "RequestName", signature: "su", body: [name, 0] }, PATIENCE);
    const isWanted = ({ body }: { readonly body: readonly unknown[] }) => body[0] === name;
    const signal = connection.signal("NameOwnerChanged", isWanted, PATIENCE, "the name");
    expect(signal.sender).toBe("org.freedesktop.DBus");
    for (const other of others) other.close();
  });

  test("takes and gives more than a socket holds at once", () => {
    const long = "x".repeat(1 << 20);
    const call = { ...THE_BUS, member: "NameHasOwner", signature: "s", body: [long] };
    expect(connection.call(call, PATIENCE).body).toEqual([false]);
  });

  test("leaves a signal that does not come to its deadline", () => {
    const error = errorOf(() => connection.signal("Never", () => true, 50, "something that never happens"));
    expect(error.code).toBe("TIMEOUT");
    expect(error.message).toBe("D-Bus: no answer in time: something that never happens");
  });
});

describe("another that", () => {
  const peer = resolve(import.meta.dir, "../support/dbus-peer.ts");
  /** How long one that will never answer is waited for. */
  const SHORT = 300;

  /** Whoever does answer has all the time for it: what is waited for in vain alone is cut short. */
  async function against(mode: string, code: string): Promise<CtrError> {
    const path = join(directory, mode);
    await start([process.execPath, peer, path, mode]);
    const limit = code === "TIMEOUT" ? SHORT : PATIENCE;
    return errorOf(() => {
      const connection = connectDbus(path, false, mode === "silent" ? SHORT : PATIENCE);
      try {
        connection.call({ ...THE_BUS, member: "Hello" }, limit);
      } finally {
        connection.close();
      }
    });
  }

  for (const [what, mode, code, message] of [
    ["says nothing", "silent", "TIMEOUT", /no answer in time: while saying who we are/],
    ["hangs up at once", "closes", "DBUS", /has closed the connection|while saying who we are/],
    ["speaks another protocol", "chatter", "DBUS", /does not speak its protocol/],
    ["does not let us in", "rejects", "DBUS", /does not let us in: "REJECTED KERBEROS_V4"/],
    ["does not answer calls", "mute", "TIMEOUT", /no answer in time: org.freedesktop.DBus.Hello/],
    ["hangs up when it is called", "hangup", "DBUS", /has closed the connection|Hello/],
    ["answers with garbage", "garbage", "DBUS", /broken D-Bus message: it begins with byte 127/],
    ["announces a gigabyte", "huge", "DBUS", /broken D-Bus message: of 1073741840 bytes/],
    ["sends a message byte by byte without end", "drip", "TIMEOUT", /no answer in time/],
    ["sends signals without end, and no answer", "noise", "TIMEOUT", /no answer in time/],
    ["answers what nobody asked", "stranger", "TIMEOUT", /no answer in time/],
  ] as const) {
    test(`${what} is an error that says so`, async () => {
      const error = await against(mode, code);
      expect(error.message).toMatch(message);
      // A connection that is torn down while data is under way is an error of the socket's.
      expect(["SYSCALL", code]).toContain(error.code);
      expect(error.path).toBe(join(directory, mode));
    });
  }

  test("falls over a call keeps nobody from removing the cgroup of a unit", async () => {
    const path = join(directory, "falls");
    await start([process.execPath, peer, path, "falls"]);
    const { unified, controllers } = probeHost().cgroup;
    const cgroup = `${unified ?? controllers.pids}/ctr-bun-falls-${process.pid}.scope`;
    mkdirSync(cgroup);
    const remove = `
      import { removeUnit } from "${resolve(import.meta.dir, "../../drivers/cgroup-systemd/remove.ts")}";
      removeUnit({ unified: ${JSON.stringify(cgroup)} });`;
    const env = { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${path}` };
    const { exitCode, stderr } = Bun.spawnSync([process.execPath, "-e", remove], { env, timeout: PATIENCE });
    expect([exitCode, existsSync(cgroup)]).toEqual([0, false]);
    expect(stderr.toString()).toMatch(
      /^ctr-bun: warning: the cgroup of ctr-bun-falls-\d+\.scope was removed without systemd: D-Bus: /,
    );
  });

  test("is not there is an error of the kernel's", () => {
    const error = errorOf(() => connectDbus(join(directory, "nobody"), false, SHORT));
    expect([error.code, error.errno, error.syscall]).toEqual(["SYSCALL", "ENOENT", "connect"]);
  });
});
