// Terminals: ctr-bun's own passed through to a container, and one that is sent to a console socket.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle } from "../support/bundle.ts";
import { type ConsoleSocket, listenForConsole } from "../support/console-socket.ts";
import { runOnTerminal, type TerminalRun } from "../support/terminal.ts";

type Change = Parameters<Bundle["run"]>[1];

let bundle: Bundle;
let run: TerminalRun | undefined;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());
afterEach(() => {
  run?.close();
  run = undefined;
  for (const id of bundle.ctr("list", "-q").out.split("\n").filter(Boolean))
    bundle.ctr("delete", "--force", id);
});

const withTerminal =
  (change?: Change): Change =>
  (config) => {
    config.process.terminal = true;
    change?.(config);
  };

/** Runs a line of shell on a terminal. */
function onTerminal(line: string, change?: Change, columns?: number, rows?: number): TerminalRun {
  bundle.configure(["sh", "-c", line], withTerminal(change));
  run = runOnTerminal(
    [CTR_BUN, "--root", bundle.state, "run", "--bundle", bundle.path, freshID()],
    columns,
    rows,
  );
  return run;
}

const lines = (text: string) => text.replaceAll("\r", "").trimEnd().split("\n");

describe("run on a terminal", () => {
  test("is a terminal inside, of the same size from the first moment, and /dev/console is it", async () => {
    const terminal = onTerminal(
      "stty size; tty; test -t 0 && test -t 1 && test -t 2 && echo all three; stat -c '%F %a %t' /dev/console; ls -1 /dev/pts; echo on the console >/dev/console; exit 7",
      undefined,
      111,
      33,
    );
    expect(await terminal.ended()).toBe(7);
    expect(lines(terminal.shown())).toEqual([
      "33 111",
      "/dev/pts/0",
      "all three",
      "character special file 620 88",
      "0",
      "ptmx",
      "on the console",
    ]);
  });

  test("process.consoleSize gives way to a real terminal's size", async () => {
    const terminal = onTerminal("stty size", ({ process }) => {
      process.consoleSize = { height: 5, width: 6 };
    });
    await terminal.ended();
    expect(terminal.shown()).toBe("24 80\r\n");
  });

  test("the outer one is raw meanwhile, and as it was afterwards", async () => {
    const terminal = onTerminal("echo ready; read line; echo got $line");
    await terminal.until("ready");
    expect(terminal.isRaw()).toBe(true);
    terminal.type("words\r");
    expect(await terminal.ended()).toBe(0);
    expect(terminal.shown()).toBe("ready\r\nwords\r\ngot words\r\n");
    expect(terminal.isRaw()).toBe(false);
  });

  test("it is given back when the container is killed", async () => {
    const terminal = onTerminal("echo ready; exec sleep 100");
    const before = terminal.flags();
    await terminal.until("ready");
    expect(terminal.flags()).not.toEqual(before);
    const [id = ""] = readdirSync(bundle.state);
    bundle.ctr("kill", id, "KILL");
    expect(await terminal.ended()).toBe(137);
    expect(terminal.flags()).toEqual(before);
  });

  test("Ctrl-C reaches the program, not ctr-bun", async () => {
    const terminal = onTerminal(
      "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.05; done",
    );
    await terminal.until("ready");
    terminal.type("\x03");
    expect(await terminal.ended()).toBe(5);
    expect(terminal.shown()).toContain("interrupted");
  });

  test("a new window size is followed", async () => {
    const terminal = onTerminal("trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done");
    await terminal.until("ready");
    terminal.resize(132, 50);
    expect(await terminal.ended()).toBe(0);
    expect(lines(terminal.shown()).at(-1)).toBe("50 132");
  });

  test("signals to ctr-bun are passed on", async () => {
    const terminal = onTerminal("trap 'echo usr1; exit 6' USR1; echo ready; while :; do sleep 0.05; done");
    await terminal.until("ready");
    terminal.signal("SIGUSR1");
    expect(await terminal.ended()).toBe(6);
  });

  test("all of a burst arrives, though the program ends at once", async () => {
    const terminal = onTerminal("dd if=/dev/zero bs=64k count=32 2>/dev/null | tr '\\0' x; echo; echo end");
    expect(await terminal.ended()).toBe(0);
    const shown = terminal.shown();
    expect(shown.endsWith("x\r\nend\r\n")).toBe(true);
    expect(shown.replaceAll("x", "")).toBe("\r\nend\r\n");
    expect(shown.length).toBe(32 * 65536 + 7);
  });

  test("belongs to the program's user and the group of terminals", async () => {
    const terminal = onTerminal(
      "stat -c '%u:%g %a' $(tty) /dev/console; echo open >$(tty)",
      ({ process }) => {
        process.user = { uid: 1000, gid: 1000 };
      },
    );
    await terminal.ended();
    expect(lines(terminal.shown())).toEqual(["1000:5 620", "1000:5 620", "open"]);
  });

  test("works in a user namespace", async () => {
    const terminal = onTerminal("stty size; tty; stat -c %u:%g $(tty); echo c >/dev/console", ({ linux }) => {
      linux.namespaces.push({ type: "user" });
      linux.uidMappings = linux.gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
    });
    expect(await terminal.ended()).toBe(0);
    expect(lines(terminal.shown())).toEqual(["24 80", "/dev/pts/0", "0:5", "c"]);
  });

  test("is the controlling terminal of the program's session", async () => {
    const terminal = onTerminal(
      "echo through >/dev/tty; set -m; sleep 0.01 & wait; echo over",
      ({ linux }) => {
        linux.devices = [{ path: "/dev/tty", type: "c", major: 5, minor: 0, fileMode: 0o666 }];
      },
    );
    expect(await terminal.ended()).toBe(0);
    expect(lines(terminal.shown())[0]).toBe("through");
    expect(terminal.shown()).not.toContain("job control turned off");
  });
});

describe("exec on a terminal", () => {
  test("has one of its own, and its code", async () => {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
    try {
      run = runOnTerminal(
        [CTR_BUN, "--root", bundle.state, "exec", "-t", id, "sh", "-c", "stty size; tty; read a; exit $a"],
        70,
        20,
      );
      await run.until("/dev/pts/0");
      run.type("9\r");
      expect(await run.ended()).toBe(9);
      expect(lines(run.shown())).toEqual(["20 70", "/dev/pts/0", "9"]);
      const without = bundle.ctr("exec", "-t", id, "true");
      expect(without.code).toBe(255);
      expect(without.err).toContain("--tty: standard input is not a terminal");
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  });
});

describe("a console socket", () => {
  let socket: ConsoleSocket | undefined;
  afterEach(() => {
    socket?.close();
    socket = undefined;
  });
  function listen(): string {
    const path = join(bundle.path, `console-${freshID()}`);
    socket = listenForConsole(path);
    return path;
  }

  test("gets the terminal of a created container, before it starts", () => {
    const path = listen();
    const id = freshID();
    bundle.configure(
      ["sh", "-c", "stty size; echo ready; read line; echo got $line"],
      withTerminal(({ process }) => {
        process.consoleSize = { height: 12, width: 34 };
      }),
    );
    const made = bundle.ctr("create", "--bundle", bundle.path, "--console-socket", path, id);
    expect(made).toEqual({ code: 0, out: "", err: "" });
    try {
      const console = socket?.accept();
      expect(console?.name).toBe("/dev/ptmx");
      expect(bundle.ctr("start", id)).toEqual({ code: 0, out: "", err: "" });
      expect(console?.readUntil("ready\r\n")).toBe("12 34\r\nready\r\n");
      console?.write("words\r");
      expect(console?.readUntil("got words\r\n")).toEndWith("got words\r\n");
      console?.close();
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  });

  test("gets that of a detached exec, with --process too", async () => {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
    try {
      const file = join(bundle.path, "process.json");
      await Bun.write(file, JSON.stringify({ terminal: true, cwd: "/", args: ["tty"], env: ["PATH=/bin"] }));
      for (const what of [
        ["--tty", id, "tty"],
        ["--process", file, id],
      ]) {
        const path = listen();
        const pidFile = join(bundle.path, "exec.pid");
        const options = ["--detach", "--console-socket", path, "--pid-file", pidFile];
        expect(bundle.ctr("exec", ...options, ...what)).toEqual({ code: 0, out: "", err: "" });
        const console = socket?.accept();
        expect(console?.readUntil("\n")).toMatch(/^\/dev\/pts\/\d\r\n$/);
        console?.close();
        socket?.close();
        socket = undefined;
        expect(Number(await Bun.file(pidFile).text())).toBeGreaterThan(1);
      }
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  });

  test("that nobody listens at is an error, as is one for a container without a terminal", () => {
    bundle.configure(["true"], withTerminal());
    const nobody = bundle.ctr("run", "--bundle", bundle.path, "--console-socket", "/nowhere/s", freshID());
    expect(nobody.code).toBe(1);
    expect(nobody.err).toContain("--console-socket: cannot connect to the console socket");
    bundle.configure(["true"]);
    const none = bundle.ctr("create", "--bundle", bundle.path, "--console-socket", listen(), freshID());
    expect(none.code).toBe(1);
    expect(none.err).toContain("cannot use a console socket where the container has no terminal");
    expect(bundle.ctr("list", "-q").out).toBe("");
  });
});

test("without a terminal on standard input, or anybody to hold it, the error says what to do", () => {
  bundle.configure(["true"], withTerminal());
  const foreground = bundle.ctr("run", "--bundle", bundle.path, freshID());
  expect(foreground.code).toBe(1);
  expect(foreground.err).toContain(
    "process.terminal: the container wants a terminal, and standard input is none",
  );
  for (const verb of [["create"], ["run", "--detach"]]) {
    const background = bundle.ctr(...verb, "--bundle", bundle.path, freshID());
    expect(background.code).toBe(1);
    expect(background.err).toContain(
      "process.terminal: a container in the background needs somebody to hold its terminal",
    );
  }
  expect(bundle.ctr("list", "-q").out).toBe("");
});
