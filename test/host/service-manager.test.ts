// What a service manager gives, and is told: NOTIFY_SOCKET for run, create and start, and descriptors by LISTEN_FDS.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sys } from "../../src/kernel/raw.ts";
import { bindDatagram, connectDatagram, receive } from "../../src/kernel/socket.ts";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";
import { leftOf } from "../support/left.ts";

let bundle: Bundle;
let manager: number;
let address: string;
beforeAll(() => {
  bundle = makeBundle();
  address = join(bundle.path, "manager.sock");
  manager = bindDatagram(address);
});
afterAll(() => {
  sys("close", manager);
  bundle.dispose();
});

const DONTWAIT = 0x40;
/** What the manager was told since; the descriptor of a barrier is closed, which acknowledges it. */
function told(socket = manager): string[] {
  const texts: string[] = [];
  const data = new Uint8Array(4096);
  for (;;) {
    const { length, fd } = receive(socket, data, DONTWAIT);
    if (length <= 0) return texts;
    texts.push(new TextDecoder().decode(data.subarray(0, length)));
    if (fd !== undefined) sys("close", fd);
  }
}

/** All that the manager is told, up to the barrier. */
function toldAll(socket = manager): Promise<string[]> {
  const texts: string[] = [];
  return until(() => {
    texts.push(...told(socket));
    return texts.includes("BARRIER=1") ? texts : undefined;
  });
}

async function until<T>(look: () => T | undefined): Promise<T> {
  for (let tries = 0; tries < 500; tries++) {
    const found = look();
    if (found !== undefined) return found;
    await Bun.sleep(20);
  }
  throw new Error("nothing came");
}

/** Starts `ctr-bun --root STATE ARGS` and does not wait. */
function begin(socket: string, ...args: string[]) {
  return Bun.spawn([CTR_BUN, "--root", bundle.state, ...args], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
    env: { ...process.env, NOTIFY_SOCKET: socket },
  });
}

const pidOf = (id: string) =>
  until(() => {
    const { code, out } = bundle.ctr("state", id);
    const { status, pid } = code === 0 ? JSON.parse(out) : {};
    return status === "running" ? (pid as number) : undefined;
  });

/** Says it on the socket that the container sees. */
function say(pid: number, text: string): void {
  const socket = connectDatagram(`/proc/${pid}/root/run/notify/notify.sock`);
  const bytes = new TextEncoder().encode(text);
  expect(sys("write", socket, bytes, bytes.byteLength)).toBe(bytes.byteLength);
  sys("close", socket);
}

const program = [
  "sh",
  "-c",
  'test "$NOTIFY_SOCKET" = /run/notify/notify.sock && test -S $NOTIFY_SOCKET && sleep 100',
];
function writable({ root }: Config): void {
  root.readonly = false;
}
const configure = () => bundle.configure(program, writable);
/** Of what the container says only that it is ready is passed on. */
const READY = "STATUS=about to\nREADY=1\nMAINPID=1";

describe("NOTIFY_SOCKET", () => {
  test("run in the background returns when the container is ready, and names its process", async () => {
    const id = freshID();
    configure();
    const run = begin(address, "run", "--detach", "--bundle", bundle.path, id);
    const pid = await pidOf(id);
    say(pid, "STATUS=not yet");
    await Bun.sleep(100);
    expect([run.exitCode, told()]).toEqual([null, []]);
    say(pid, READY);
    const texts = await toldAll();
    expect(texts).toEqual(["READY=1\n", `MAINPID=${pid}\n`, "BARRIER=1"]);
    expect(await run.exited).toBe(0);
    expect(bundle.ctr("delete", "--force", id).code).toBe(0);
    expect(leftOf(bundle, id)).toEqual([]);
  });

  test("start does so for create, and an abstract socket works too", async () => {
    const id = freshID();
    const name = `@ctr-bun-test-${process.pid}`;
    const abstract = bindDatagram(name);
    try {
      configure();
      expect(await begin(name, "create", "--bundle", bundle.path, id).exited).toBe(0);
      const start = begin(name, "start", id);
      const pid = await pidOf(id);
      say(pid, READY);
      const texts = await toldAll(abstract);
      expect(texts).toEqual(["READY=1\n", `MAINPID=${pid}\n`, "BARRIER=1"]);
      expect(await start.exited).toBe(0);
    } finally {
      sys("close", abstract);
      bundle.ctr("delete", "--force", id);
    }
  });

  test("run in the foreground names itself: it is what the manager has started", async () => {
    const id = freshID();
    configure();
    const run = begin(address, "run", "--bundle", bundle.path, id);
    say(await pidOf(id), READY);
    const texts = await toldAll();
    expect(texts).toEqual(["READY=1\n", `MAINPID=${run.pid}\n`, "BARRIER=1"]);
    bundle.ctr("kill", id, "KILL");
    expect(await run.exited).toBe(137);
    expect(leftOf(bundle, id)).toEqual([]);
  });

  test("a container that ends without a word is waited for no longer", async () => {
    const id = freshID();
    bundle.configure(["true"], writable);
    expect(await begin(address, "run", "--detach", "--bundle", bundle.path, id).exited).toBe(0);
    expect(told()).toEqual([]);
    bundle.ctr("delete", "--force", id);
  });

  test("a create that fails leaves nothing of it", async () => {
    const id = freshID();
    bundle.configure(["/nowhere"], writable);
    expect(await begin(address, "create", "--bundle", bundle.path, id).exited).not.toBe(0);
    bundle.configure(["true"], (config) => void config.mounts.push({ destination: "/x" }));
    expect(await begin(address, "create", "--bundle", bundle.path, id).exited).not.toBe(0);
    expect(existsSync(join(bundle.state, id))).toBe(false);
  });
});

/** Says that it is ready, on the socket that it is told of, and stays. */
const SERVICE = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(void) {
  struct sockaddr_un to = { .sun_family = AF_UNIX };
  strncpy(to.sun_path, getenv("NOTIFY_SOCKET"), sizeof to.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (sendto(fd, "READY=1", 7, 0, (struct sockaddr *)&to, sizeof to) < 0) { perror(to.sun_path); return 1; }
  sleep(100);
}
`;

describe("a program reaches its socket", () => {
  const identity = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  const cases: Record<string, (config: Config) => void> = {
    "as an ordinary user": ({ process }) => {
      process.user = { uid: 1000, gid: 1000 };
    },
    "in a user namespace": ({ linux }) => {
      linux.namespaces.push({ type: "user" });
      linux.uidMappings = linux.gidMappings = identity;
    },
    "as an ordinary user of a user namespace": ({ linux, process }) => {
      process.user = { uid: 1000, gid: 1000 };
      linux.namespaces.push({ type: "user" });
      linux.uidMappings = linux.gidMappings = identity;
    },
  };
  beforeAll(() => {
    const source = join(bundle.path, "service.c");
    writeFileSync(source, SERVICE);
    const made = runCommand(["gcc", "-static", "-o", join(bundle.rootfs, "bin/service"), source]);
    expect(made).toEqual({ code: 0, out: "", err: "" });
    chmodSync(bundle.path, 0o755);
  });

  for (const [name, change] of Object.entries(cases)) {
    test(name, async () => {
      const id = freshID();
      bundle.configure(["service"], (config) => {
        writable(config);
        change(config);
      });
      const run = begin(address, "run", "--detach", "--bundle", bundle.path, id);
      try {
        const pid = await pidOf(id);
        expect(await toldAll()).toEqual(["READY=1\n", `MAINPID=${pid}\n`, "BARRIER=1"]);
        expect(await run.exited).toBe(0);
        // What exec runs is another service, or none.
        expect(bundle.ctr("exec", id, "env").out).not.toContain("NOTIFY_SOCKET");
      } finally {
        bundle.ctr("delete", "--force", id);
      }
    });
  }
});

describe("LISTEN_FDS", () => {
  const show = ["sh", "-c", "env | grep LISTEN; cat <&3; cat <&4; cat <&5 2>/dev/null || echo no more"];
  const run = (script: string, ...args: string[]) => {
    bundle.configure(show);
    const command = [CTR_BUN, "--root", bundle.state, "run", ...args, "--bundle", bundle.path, freshID()];
    const files = ["one", "two", "three"].map((name) => `${bundle.path}/${name}`);
    for (const [index, file] of files.entries()) void runCommand(["sh", "-c", `echo ${index + 3} >${file}`]);
    return runCommand([
      "sh",
      "-c",
      `exec 3<${files[0]} 4<${files[1]} 5<${files[2]}; ${script} exec "$@"`,
      "sh",
      ...command,
    ]);
  };

  test("are the program's, which is the first process of its container", () => {
    const { out } = run("export LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=web:api;");
    expect(out.split("\n").toSorted().join("\n").trim()).toBe(
      ["3", "4", "LISTEN_FDNAMES=web:api", "LISTEN_FDS=2", "LISTEN_PID=1", "no more"].join("\n"),
    );
  });

  test("come before those of --preserve-fds", () => {
    const { out } = run("export LISTEN_FDS=2 LISTEN_PID=$$;", "--preserve-fds", "1");
    expect(out.split("\n").toSorted().join("\n").trim()).toBe("3\n4\n5\nLISTEN_FDS=2\nLISTEN_PID=1");
  });

  test("are not told of to what exec runs, which has no such descriptors", () => {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    const command = [CTR_BUN, "--root", bundle.state, "run", "--detach", "--bundle", bundle.path, id];
    const script = 'export LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=web; exec 3</dev/null "$@"';
    expect(runCommand(["sh", "-c", script, "sh", ...command]).code).toBe(0);
    try {
      const { pid } = JSON.parse(bundle.ctr("state", id).out);
      expect(readFileSync(`/proc/${pid}/environ`, "utf8")).toContain("LISTEN_FDNAMES=web\0");
      expect(bundle.ctr("exec", id, "env").out).not.toContain("LISTEN");
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  });

  test("of another process are not ctr-bun's to pass on", () => {
    const { out, err } = run("export LISTEN_FDS=2 LISTEN_PID=1;");
    expect(out).not.toContain("LISTEN");
    expect(out).not.toContain("3\n");
    expect(err).toContain("sh: 3: Bad file descriptor");
  });
});
