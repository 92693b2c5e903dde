// `run` of an image as a person types it: what the program sees, what is left, and the exit codes.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { until } from "../support/until.ts";
import { executable, newWorld, type World } from "./engine-setup.ts";

let world: World;
beforeAll(async () => {
  world = await newWorld();
});
afterAll(async () => {
  await world.end();
});

const nothing = { mounts: [], processes: [], directories: [], states: [] };

describe("run", () => {
  test("pulls the image and runs its command", async () => {
    const first = await world.ctr("run", "--rm", world.full);
    expect(first.stdout).toBe("default command\n");
    expect(first.stderr).toEndWith("entrypoint: sh -c echo default command\n");
    expect(first.code).toBe(0);
    const again = await world.ctr("run", "--rm", "--pull", "never", world.full, "echo", "mine", "-l");
    expect(again).toEqual({ code: 0, stdout: "mine -l\n", stderr: "entrypoint: echo mine -l\n" });
  });

  test("ends with the program's code, 128 + N for a signal, 127 and 126 where it could not be started", async () => {
    expect((await world.sh([], "exit 7")).code).toBe(7);
    expect((await world.sh(["--security-opt", "no-new-privileges", "--init"], "kill -9 $$")).code).toBe(137);
    const missing = await world.ctr("run", "--rm", world.plain, "nosuch");
    expect(missing.code).toBe(127);
    expect(missing.stderr).toContain("nosuch");
    const directory = await world.ctr("run", "--rm", world.plain, "/etc/passwd");
    expect(directory.code).toBe(126);
    expect((await world.ctr("run", "--nosuchflag", world.plain)).code).toBe(125);
    expect(world.leftovers()).toMatchObject(nothing);
  });

  test("passes standard input with -i only", async () => {
    const args = ["run", "--rm", "--quiet", world.plain, "cat"];
    expect(await world.call(args, { input: "hello" })).toMatchObject({ code: 0, stdout: "" });
    const withInput = ["run", "--rm", "--quiet", "-i", world.plain, "cat"];
    expect(await world.call(withInput, { input: "hello" })).toMatchObject({ code: 0, stdout: "hello" });
  });

  test("keeps standard output and error apart, and all bytes", async () => {
    const { stdout, stderr } = await world.sh([], "head -c 3000000 /dev/zero; echo error >&2");
    expect(stdout.length).toBe(3000000);
    expect(stderr).toBe("error\n");
  });

  test("passes SIGTERM on", async () => {
    const child = world.start(
      "run",
      "--rm",
      "--quiet",
      world.plain,
      "sh",
      "-c",
      "trap 'echo got; exit 5' TERM; echo up; while :; do sleep 0.1; done",
    );
    const reader = child.stdout.getReader();
    await reader.read();
    child.kill("SIGTERM");
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("got\n");
    expect(await child.exited).toBe(5);
    expect(world.leftovers()).toMatchObject(nothing);
  });

  test("refuses what does not exist yet, and says why", async () => {
    const cases: [string[], string][] = [
      [["-d"], "monitor"],
      [["-p", "80:80"], "bridges"],
      [["-v", "data:/x"], "named volumes"],
      [["--network", "bridge"], "bridge"],
      [["-it"], "not a TTY"],
    ];
    for (const [flags, words] of cases) {
      const { code, stderr } = await world.ctr("run", ...flags, world.plain, "true");
      expect([code, stderr.split("\n").length - 1]).toEqual([125, 2]);
      expect(stderr).toContain(words);
    }
  });
});

describe("a container without --rm", () => {
  test("stays until rm, with how it ended", async () => {
    expect(
      (await world.ctr("run", "--name", "kept", "--label", "a=b", world.plain, "sh", "-c", "exit 3")).code,
    ).toBe(3);
    expect((await world.ctr("ps", "-q")).stdout).toBe("");
    const { stdout } = await world.ctr(
      "ps",
      "-a",
      "--format",
      "{{.Names}} {{.State}} {{.Status}} {{.Labels}}",
    );
    expect(stdout).toMatch(/^kept exited Exited \(3\) .* ago a=b\n$/);
    const [inspected] = JSON.parse((await world.ctr("inspect", "kept")).stdout);
    expect(inspected).toMatchObject({
      Name: "/kept",
      Path: "sh",
      Args: ["-c", "exit 3"],
      State: { Status: "exited", ExitCode: 3, Running: false, OOMKilled: false, Pid: 0 },
      Config: { Labels: { a: "b" }, Image: world.plain },
    });
    const taken = await world.ctr("run", "--name", "kept", world.plain);
    expect([taken.code, taken.stderr]).toEqual([125, expect.stringContaining(inspected.Id.slice(0, 12))]);
    expect(await world.ctr("rm", inspected.Id.slice(0, 4))).toMatchObject({ code: 0 });
    expect(world.leftovers()).toMatchObject(nothing);
  });

  test("can be looked into, killed and removed while it runs", async () => {
    const child = world.start("run", "--name", "alive", "--user", "demo", world.full, "sleep", "100");
    await until(async () => (await world.ctr("ps", "-q")).stdout !== "");
    expect((await world.ctr("exec", "alive", "id", "-un")).stdout).toBe("demo\n");
    expect(
      (
        await world.ctr(
          "exec",
          "-u",
          "0",
          "-w",
          "/etc",
          "-e",
          "X=1",
          "alive",
          "sh",
          "-c",
          "id -u; pwd; echo $X $HOME",
        )
      ).stdout,
    ).toBe("0\n/etc\n1 /root\n");
    expect((await world.ctr("exec", "alive", "nosuch")).code).toBe(127);
    expect((await world.ctr("exec", "alive", "sh", "-c", "exit 9")).code).toBe(9);
    expect(await world.call(["exec", "-i", "alive", "cat"], { input: "in" })).toMatchObject({ stdout: "in" });
    const refused = await world.ctr("rm", "alive");
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("rm -f alive")]);
    const pid = Number((await world.ctr("inspect", "-f", "{{.State.Pid}}", "alive")).stdout);
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toContain("sleep");
    expect(await world.ctr("kill", "-s", "KILL", "alive")).toMatchObject({ code: 0, stdout: "alive\n" });
    expect(await child.exited).toBe(137);
    expect((await world.ctr("kill", "alive")).stderr).toContain("not running");
    expect((await world.ctr("exec", "alive", "true")).stderr).toContain("not running");
    expect((await world.ctr("rm", "alive")).stdout).toBe("alive\n");
    expect(world.leftovers()).toMatchObject(nothing);
  });

  test("is removed by rm -f while it runs, and its run ends with 137", async () => {
    const child = world.start("run", "--name", "forced", world.plain, "sleep", "100");
    await until(async () => (await world.ctr("ps", "-q")).stdout !== "");
    expect((await world.ctr("rm", "-f", "forced")).stdout).toBe("forced\n");
    expect(await child.exited).toBe(137);
    expect(world.leftovers()).toMatchObject(nothing);
    expect((await world.ctr("rm", "-f", "forced")).code).toBe(0);
    expect(await world.ctr("rm", "forced")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("No such container: forced"),
    });
  });
});

test("nothing of ctr-bun is to be seen from inside", async () => {
  const { stdout } = await world.sh(
    [],
    "readlink /proc/1/exe; ls -l /proc/self/fd | grep -c -v -E 'pipe|/dev/null|/proc|total'; cat /proc/1/maps",
  );
  expect(stdout).not.toContain("ctr-bun");
  expect(stdout.split("\n")[0]).toBe("/bin/busybox");
});

describe("-t", () => {
  /** A terminal of 77 by 33 characters, which script(1) makes. */
  const onTerminal = (...args: string[]) => {
    const words = [executable, "--store", world.store, "run", "--rm", "--quiet", ...args].map(
      (word) => `'${word}'`,
    );
    const command = `stty cols 77 rows 33; exec ${words.join(" ")}`;
    return Bun.spawn(["script", "-qec", command, "/dev/null"], { stdin: "pipe", stdout: "pipe" });
  };

  test("gives the program a terminal of the caller's size, and passes input on", async () => {
    const child = onTerminal(
      "-it",
      world.plain,
      "sh",
      "-c",
      "tty; stty size; echo $TERM; read line; echo got $line",
    );
    child.stdin.write("typed\n");
    await child.stdin.flush();
    const text = await new Response(child.stdout).text();
    expect(text).toContain("/dev/pts/0\r\n33 77\r\nxterm\r\n");
    expect(text).toContain("got typed\r\n");
    await child.stdin.end();
    expect(await child.exited).toBe(0);
  });

  test("turns keys into signals of the program, and passes its exit code on", async () => {
    const script = 'trap "echo interrupted; exit 5" INT; echo ready; while :; do sleep 0.1; done';
    const child = onTerminal("-it", world.plain, "sh", "-c", script);
    let text = "";
    for await (const chunk of child.stdout) {
      text += new TextDecoder().decode(chunk);
      if (!/ready\r\n$/.test(text)) continue;
      child.stdin.write("\u0003");
      await child.stdin.flush();
    }
    expect(text).toEndWith("interrupted\r\n");
    expect(await child.exited).toBe(5);
  });
});

test("a container outlives a ctr-bun that is killed, and is still listed, reached and removed", async () => {
  const child = world.start("run", "--name", "orphan", world.plain, "sleep", "100");
  await until(async () => (await world.ctr("ps", "-q")).stdout !== "");
  child.kill("SIGKILL");
  await child.exited;
  expect((await world.ctr("ps", "--format", "{{.Names}} {{.State}}")).stdout).toBe("orphan running\n");
  expect((await world.ctr("exec", "orphan", "echo", "here")).stdout).toBe("here\n");
  await world.ctr("kill", "orphan");
  await until(async () => (await world.ctr("ps", "-q")).stdout === "");
  expect((await world.ctr("ps", "-a", "--format", "{{.Names}} {{.Status}}")).stdout).toStartWith(
    "orphan Exited (255)",
  );
  expect((await world.ctr("rm", "orphan")).code).toBe(0);
  expect(world.leftovers()).toMatchObject(nothing);
});
