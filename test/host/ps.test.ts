// ps at the OCI level: runc's JSON, the lines of the host's ps(1), and the table that is made where there is none.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readTextIfAny } from "../../src/kernel/file.ts";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";

let bundle: Bundle;
const id = freshID();
beforeAll(() => {
  bundle = makeBundle();
  bundle.configure(["sh", "-c", "sleep 301 & sleep 302; true"]);
  expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
  // A process that has been forked is a shell until it has become sleep.
  for (let tries = 0; tries < 500 && sleepers() < 2; tries++) Bun.sleepSync(20);
});
afterAll(() => bundle.dispose());

const sleepers = (): number =>
  (JSON.parse(bundle.ctr("ps", "-f", "json", id).out) as number[]).filter((pid) =>
    readTextIfAny(`/proc/${pid}/cmdline`)?.startsWith("sleep\0"),
  ).length;

const lines = (text: string): string[] => text.trimEnd().split("\n");
const commands = (text: string): (string | undefined)[] =>
  lines(text)
    .slice(1)
    .map((line) => /sleep \d+$|sh -c/.exec(line)?.[0])
    .sort();

describe("ps", () => {
  test("gives JSON with the host's PIDs", () => {
    const pids: number[] = JSON.parse(bundle.ctr("ps", "--format", "json", id).out);
    expect(pids).toHaveLength(3);
    expect(pids).toContain(JSON.parse(bundle.ctr("state", id).out).pid);
  });

  test("shows ps -ef of the container's processes alone", () => {
    const { code, out } = bundle.ctr("ps", id);
    expect(code).toBe(0);
    expect(lines(out)[0]).toMatch(/^UID +PID +PPID +C STIME TTY +TIME CMD$/);
    expect(commands(out)).toEqual(["sh -c", "sleep 301", "sleep 302"]);
  });

  test("hands options behind the ID to ps", () => {
    const { out } = bundle.ctr("ps", id, "-A", "-o", "pid,args");
    expect(lines(out)[0]).toMatch(/^ *PID COMMAND$/);
    expect(lines(out)).toHaveLength(4);
    const without = bundle.ctr("ps", id, "-o", "args");
    expect(without).toMatchObject({
      code: 1,
      err: expect.stringContaining("couldn't find PID field in ps output"),
    });
    expect(bundle.ctr("ps", id, "-Q").err).toMatch(/ps -Q: exit status 1: error: /);
  });

  test("makes the table itself where the host has no ps", () => {
    const ask = (...options: string[]) =>
      runCommand([CTR_BUN, "--root", bundle.state, "ps", id, ...options], { env: { PATH: "/nonexistent" } });
    const [own, theirs] = [ask().out, bundle.ctr("ps", id).out];
    const fields = (text: string) =>
      lines(text).map((line) => {
        // How much of a CPU it used changes meanwhile.
        const [user, pid, parent, , start, tty, , ...command] = line.trim().split(/ +/);
        return [user, pid, parent, start, tty, command.join(" ")];
      });
    expect(fields(own)).toEqual(fields(theirs));
    expect(ask("aux")).toMatchObject({
      code: 1,
      err: expect.stringContaining('exec: "ps": executable file not found in $PATH'),
    });
  });

  test("refuses another format, and an unknown container", () => {
    expect(bundle.ctr("ps", "-f", "xml", id)).toMatchObject({
      code: 1,
      err: expect.stringContaining("invalid format option"),
    });
    expect(bundle.ctr("ps", "nope")).toMatchObject({
      code: 1,
      err: expect.stringContaining("container does not exist"),
    });
  });
});
