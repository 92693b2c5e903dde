// Who gets a pidfd: --pidfd-socket of create, run and exec, and crun's annotation.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { close } from "../../src/kernel/file.ts";
import { poll } from "../../src/kernel/poll.ts";
import { trySignal } from "../../src/kernel/process.ts";
import { type Bundle, freshID, makeBundle } from "../support/bundle.ts";
import { receiveDescriptor } from "../support/receive-descriptor.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

const KILL = 9;

/** The process ID in a pidfd's fdinfo. */
async function pidOf(pidfd: number): Promise<number> {
  const text = await Bun.file(`/proc/self/fdinfo/${pidfd}`).text();
  return Number(/^Pid:\t(-?\d+)$/m.exec(text)?.[1]);
}

function ended(pidfd: number): boolean {
  return poll([{ fd: pidfd, events: 1 }], 10_000)[0] !== 0;
}

test("create and run send that of the container's init, with whose it is as the message", async () => {
  const path = join(bundle.path, "pidfd");
  for (const verb of [["create"], ["run", "--detach"]]) {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    const receiver = receiveDescriptor(path);
    expect(bundle.ctr(...verb, "--pidfd-socket", path, "--bundle", bundle.path, id)).toEqual({
      ...{ code: 0, out: "", err: "" },
    });
    const { message, fd } = receiver.take();
    expect(message).toBe("standard");
    expect(await pidOf(fd)).toBe(JSON.parse(bundle.ctr("state", id).out).pid);
    trySignal(fd, KILL);
    expect(ended(fd)).toBe(true);
    close(fd);
    expect(JSON.parse(bundle.ctr("state", id).out).status).toBe("stopped");
    expect(bundle.ctr("delete", id).code).toBe(0);
  }
});

test("exec sends that of its own process", async () => {
  const [path, pidFile, id] = [join(bundle.path, "pidfd"), join(bundle.path, "pid"), freshID()];
  bundle.configure(["sleep", "100"]);
  bundle.ctr("run", "--detach", "--bundle", bundle.path, id);
  const receiver = receiveDescriptor(path);
  const exec = ["exec", "--detach", "--pidfd-socket", path, "--pid-file", pidFile, id, "sleep", "50"];
  expect(bundle.ctr(...exec).code).toBe(0);
  const { message, fd } = receiver.take();
  expect({ message, pid: `${await pidOf(fd)}` }).toEqual({
    message: "setns",
    pid: await Bun.file(pidFile).text(),
  });
  bundle.ctr("delete", "--force", id);
  expect(ended(fd)).toBe(true);
  close(fd);
});

test("the annotation run.oci.pidfd_receiver has one sent too", async () => {
  const [path, id] = [join(bundle.path, "pidfd"), freshID()];
  bundle.configure(["sleep", "100"], (config) => {
    config.annotations = { "run.oci.pidfd_receiver": path };
  });
  const receiver = receiveDescriptor(path);
  expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
  const { fd } = receiver.take();
  expect(await pidOf(fd)).toBe(JSON.parse(bundle.ctr("state", id).out).pid);
  close(fd);
  bundle.ctr("delete", "--force", id);
});

test("a socket that nobody listens on is an error, and nothing is made", () => {
  const path = join(bundle.path, "nobody");
  bundle.configure(["sleep", "100"]);
  const { code, err } = bundle.ctr("create", "--pidfd-socket", path, "--bundle", bundle.path, freshID());
  expect(code).toBe(1);
  expect(err).toContain("--pidfd-socket: cannot connect to the socket for the pidfd: no such file");
  expect(bundle.ctr("list", "-q").out).toBe("");
});
