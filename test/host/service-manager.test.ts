// What a service manager gives, and is told: NOTIFY_SOCKET for run, create and start, and descriptors by LISTEN_FDS.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, closeSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LOCK_EX } from "../../src/kernel/constants.ts";
import { sys } from "../../src/kernel/raw.ts";
import { bindDatagram, connectDatagram, receive } from "../../src/kernel/socket.ts";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";
import { leftOf } from "../support/left.ts";

/** Says that it is ready, on the socket that it is told of, and stays; with CHATTY talks on, whoever hears it, and ends. */
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
#ifdef CHATTY
  for (int i = 0; i < 10000; i++) sendto(fd, "WATCHDOG=1", 10, 0, (struct sockaddr *)&to, sizeof to);
  return 5;
#endif
  sleep(100);
}
`;

let bundle: Bundle;
let manager: number;
let address: string;
beforeAll(() => {
  bundle = makeBundle();
  address = join(bundle.path, "manager.sock");
  manager = bindDatagram(address);
  const source = join(bundle.path, "service.c");
  writeFileSync(source, SERVICE);
  for (const [name, ...flags] of [["service"], ["chatty", "-DCHATTY"]]) {
    const made = runCommand(["gcc", "-static", ...flags, "-o", join(bundle.rootfs, `bin/${name}`), source]);
    expect(made).toEqual({ code: 0, out: "", err: "" });
  }
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

/** Starts `ctr-bun --root STATE ARGS` and does not wait; `errors` is the file of what it says. */
function begin(socket: string, ...args: string[]) {
  const errors = join(bundle.path, `errors-${freshID()}`);
  const child = Bun.spawn([CTR_BUN, "--root", bundle.state, ...args], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: Bun.file(errors),
    env: { ...process.env, NOTIFY_SOCKET: socket },
  });
  return Object.assign(child, { errors });
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

  for (const detach of [true, false]) {
    test(`a manager that is gone is warned of: ${detach ? "the background" : "the foreground"}`, async () => {
      const id = freshID();
      configure();
      const gone = join(bundle.path, `gone-${id}.sock`);
      sys("close", bindDatagram(gone));
      const run = begin(gone, "run", ...(detach ? ["--detach"] : []), "--bundle", bundle.path, id);
      const pid = await pidOf(id);
      say(pid, READY);
      if (detach) expect(await run.exited).toBe(0);
      else await Bun.sleep(200);
      expect(await pidOf(id)).toBe(pid);
      bundle.ctr("kill", id, "KILL");
      if (!detach) expect(await run.exited).toBe(137);
      expect(readFileSync(run.errors, "utf8")).toBe(
        `ctr-bun: warning: the service manager at ${gone} may not know that the container is ready: connect: connection refused\n`,
      );
      if (detach) expect(bundle.ctr("delete", "--force", id).code).toBe(0);
      expect(leftOf(bundle, id)).toEqual([]);
    });
  }

  test("a manager that does not read holds up neither signals nor the end", async () => {
    const id = freshID();
    const deaf = join(bundle.path, `deaf-${id}.sock`);
    const socket = bindDatagram(deaf);
    try {
      // The program of a pid namespace needs a handler for the signal to reach it.
      bundle.configure(["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done"], writable);
      const run = begin(deaf, "run", "--bundle", bundle.path, id);
      const pid = await pidOf(id);
      say(pid, READY);
      await Bun.sleep(300);
      run.kill("SIGTERM");
      expect(await Promise.race([run.exited, Bun.sleep(10_000)])).toBe(7);
      const texts = told(socket);
      expect(texts).toEqual(["READY=1\n", `MAINPID=${run.pid}\n`, "BARRIER=1"]);
      expect(leftOf(bundle, id)).toEqual([]);
    } finally {
      sys("close", socket);
    }
  });

  test("what is said later does not block the program", async () => {
    const id = freshID();
    bundle.configure(["chatty"], writable);
    const run = begin(address, "run", "--bundle", bundle.path, id);
    // It says far more than a queue holds (net.unix.max_dgram_qlen).
    expect(await Promise.race([run.exited, Bun.sleep(10_000)])).toBe(5);
    expect(await toldAll()).toEqual(["READY=1\n", `MAINPID=${run.pid}\n`, "BARRIER=1"]);
    expect(leftOf(bundle, id)).toEqual([]);
  });

  test("a mount namespace that is joined, or none, gets nothing mounted, and that is warned of", async () => {
    const warning =
      "ctr-bun: warning: NOTIFY_SOCKET is left out: the container has no mount namespace of its own\n";
    const changes: ((config: Config) => void)[] = [
      ({ linux }) => {
        linux.namespaces = linux.namespaces.filter(({ type }) => type !== "mount");
      },
      ({ linux }) => {
        for (const one of linux.namespaces) if (one.type === "mount") one.path = "/proc/self/ns/mnt";
      },
    ];
    for (const change of changes) {
      bundle.configure(
        ["/bin/busybox", "sh", "-c", 'test -z "$NOTIFY_SOCKET" && test ! -e /run/notify/notify.sock'],
        (config) => {
          config.root.readonly = false;
          config.mounts = [];
          for (const name of ["devices", "maskedPaths", "readonlyPaths", "rootfsPropagation"])
            delete (config.linux as Record<string, unknown>)[name];
          change(config);
        },
      );
      const before = readFileSync("/proc/self/mountinfo", "utf8");
      const run = begin(address, "run", "--bundle", bundle.path, freshID());
      expect({ code: await run.exited, err: readFileSync(run.errors, "utf8") }).toEqual({
        code: 0,
        err: warning,
      });
      expect(readFileSync("/proc/self/mountinfo", "utf8")).toBe(before);
    }
    expect(told()).toEqual([]);
  });

  test("a start that was killed does not stand in the way of the next; one that is at it does", async () => {
    const id = freshID();
    configure();
    expect(await begin(address, "create", "--bundle", bundle.path, id).exited).toBe(0);
    const directory = join(bundle.state, id, "notify");
    sys("close", bindDatagram(join(directory, "notify.sock")));
    const other = openSync(directory, "r");
    expect(sys("flock", other, LOCK_EX)).toBe(0);
    const refused = begin(address, "start", id);
    expect(await refused.exited).toBe(1);
    expect(readFileSync(refused.errors, "utf8")).toContain("somebody else is starting the container");
    closeSync(other);
    const start = begin(address, "start", id);
    const pid = await pidOf(id);
    say(pid, READY);
    expect(await toldAll()).toEqual(["READY=1\n", `MAINPID=${pid}\n`, "BARRIER=1"]);
    expect(await start.exited).toBe(0);
    expect(bundle.ctr("delete", "--force", id).code).toBe(0);
    expect(leftOf(bundle, id)).toEqual([]);
  });

  test("delete leaves a create alone that is still making its plan", async () => {
    const id = freshID();
    configure();
    const create = begin(address, "create", "--bundle", bundle.path, id);
    const directory = join(bundle.state, id);
    // Stopped between the note and the plan: the directory is made first thing in between.
    const end = Date.now() + 10_000;
    while (!existsSync(join(directory, "notify")) && Date.now() < end);
    create.kill("SIGSTOP");
    try {
      expect(readFileSync(join(directory, "creating.json"), "utf8")).toContain(`"pid":${create.pid}`);
      if (!existsSync(join(directory, "state.json"))) {
        const { code, err } = bundle.ctr("delete", id);
        expect({ code, err }).toMatchObject({
          code: 1,
          err: expect.stringContaining("not stopped: creating"),
        });
      }
    } finally {
      create.kill("SIGCONT");
    }
    expect(await create.exited).toBe(0);
    expect(bundle.ctr("delete", "--force", id).code).toBe(0);
    expect(leftOf(bundle, id)).toEqual([]);
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
