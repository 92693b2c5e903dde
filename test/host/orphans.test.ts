// Containers without a pid namespace: who inherits their orphans, and what kill does to them.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { readTextIfAny } from "../../src/kernel/file.ts";
import { type Bundle, CTR_BUN, freshID, makeBundle } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

const hostPids = (config: Config) => {
  config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== "pid");
  config.root.readonly = false;
};

async function until<T>(what: () => T | undefined): Promise<T> {
  for (let tries = 0; tries < 500; tries++) {
    const found = what();
    if (found !== undefined) return found;
    await Bun.sleep(20);
  }
  throw new Error("it did not happen within ten seconds");
}

function stat(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

/** Whether a process has a handler for a signal. */
function catches(pid: number, signal: number): boolean {
  const caught = /^SigCgt:\t([0-9a-f]+)$/m.exec(readTextIfAny(`/proc/${pid}/status`) ?? "")?.[1];
  return caught !== undefined && ((BigInt(`0x${caught}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

/** Leaves an orphan whose pid it writes to /orphan, and ends with 7 when /end is there. */
const LEAVE = "sh -c 'sleep 100 & echo $! > /orphan'; while [ ! -e /end ]; do sleep 0.05; done; exit 7";

/** The orphan's parent, with the run that it belongs to; whether a dead one is taken away. */
async function orphan(...flags: string[]) {
  const [file, end, id] = [join(bundle.rootfs, "orphan"), join(bundle.rootfs, "end"), freshID()];
  await Bun.$`rm -f ${file} ${end}`;
  bundle.configure(["sh", "-c", LEAVE], hostPids);
  const run = Bun.spawn([CTR_BUN, "--root", bundle.state, "run", ...flags, "--bundle", bundle.path, id], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const pid = await until(() => {
    try {
      return statSync(file).size > 0 ? Number(readFileSync(file, "utf8")) : undefined;
    } catch {
      return undefined;
    }
  });
  // Its parent ends right after it has written the number.
  const parent = await until(() => {
    const ppid = Number(stat(pid)?.[1]);
    return ppid === run.pid || ppid === 1 ? ppid : undefined;
  });
  process.kill(pid, "SIGKILL");
  await until(() => (stat(pid) === undefined ? true : undefined));
  await Bun.write(end, "");
  return { adopted: parent === run.pid, code: await run.exited };
}

test("run adopts and reaps them, and still ends with the program's code", async () => {
  expect(await orphan()).toEqual({ adopted: true, code: 7 });
});

test("run --no-subreaper leaves them to the host's init", async () => {
  expect(await orphan("--no-subreaper")).toEqual({ adopted: false, code: 7 });
});

test("kill KILL ends all of them with the container, and delete finds nothing", async () => {
  const id = freshID();
  bundle.configure(["sh", "-c", "sleep 100 & sleep 100 & exec sleep 100"], hostPids);
  bundle.ctr("run", "--detach", "--bundle", bundle.path, id);
  const record = JSON.parse(readFileSync(join(bundle.state, id, "state.json"), "utf8"));
  const procs = () => readFileSync(join(record.cgroupPaths.pids, "cgroup.procs"), "utf8").trim().split("\n");
  await until(() => (procs().length === 3 ? true : undefined));
  expect(bundle.ctr("kill", id, "9").code).toBe(0);
  await until(() => (procs().join() === "" ? true : undefined));
  expect(bundle.ctr("delete", id).code).toBe(0);
});

test("what has ended never kills another container that has its cgroup by then", async () => {
  const [first, second] = [freshID(), freshID()];
  const status = (id: string): string => JSON.parse(bundle.ctr("state", id).out).status;
  const path = `/ctr-bun/${first}`;
  const start = (id: string) => {
    bundle.configure(["sleep", "100"], ({ linux }) => {
      linux.cgroupsPath = path;
    });
    expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
  };
  start(first);
  bundle.ctr("kill", first, "KILL");
  await until(() => (status(first) === "stopped" ? true : undefined));
  start(second);
  const { pid } = JSON.parse(bundle.ctr("state", second).out);
  expect(bundle.ctr("kill", "--all", first, "KILL").code).toBe(0);
  const { code, err } = bundle.ctr("delete", first);
  expect(code).toBe(0);
  expect(err).toContain(`the cgroup of container ${first} is left alone`);
  expect(err).toContain(`${path}: ${pid}\n`);
  expect(bundle.ctr("state", first).err).toContain("does not exist");
  expect(status(second)).toBe("running");
  expect(bundle.ctr("delete", "--force", second)).toEqual({ code: 0, out: "", err: "" });
});

test("kill takes a signal in any form", async () => {
  for (const signal of ["9", "KILL", "SIGKILL", "kill", "sigkill"]) {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    bundle.ctr("run", "--detach", "--bundle", bundle.path, id);
    expect(bundle.ctr("kill", id, signal)).toEqual({ code: 0, out: "", err: "" });
    await until(() => (JSON.parse(bundle.ctr("state", id).out).status === "stopped" ? true : undefined));
    bundle.ctr("delete", id);
  }
  const id = freshID();
  bundle.configure(["sh", "-c", "trap 'exit 5' 37; while :; do sleep 0.05; done"]);
  const run = Bun.spawn([CTR_BUN, "--root", bundle.state, "run", "--bundle", bundle.path, id]);
  // What the first process of a pid namespace has no handler for does not reach it.
  await until(() => {
    const { code, out } = bundle.ctr("state", id);
    return code === 0 && catches(JSON.parse(out).pid, 37) ? true : undefined;
  });
  expect(bundle.ctr("kill", id, "0").code).toBe(0);
  expect(bundle.ctr("kill", id, "SIGRTMIN+3").code).toBe(0);
  expect(await run.exited).toBe(5);
});
