// Podman with ctr-bun as its runtime: what conmon asks of it (pid files, a console socket, exit codes, JSON errors).

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CTR_BUN, type Result, runCommand } from "../support/bundle.ts";
import { imagePath } from "../support/images.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ctr-bun-podman-"));
  // Podman's own limits are above what a host without CAP_SYS_RESOURCE may set.
  const limits = 'default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]';
  writeFileSync(join(folder, "containers.conf"), `[containers]\n${limits}\n`);
  const archive = join(folder, "rootfs.tar");
  expect(runCommand(["tar", "-C", imagePath("busybox-rootfs"), "-cf", archive, "."]).code).toBe(0);
  expect(podman("import", "--quiet", archive, "box").code).toBe(0);
});
afterAll(() => {
  podman("rm", "--all", "--force", "--time", "0");
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n").reverse()) {
    const point = line.split(" ")[4];
    if (point?.startsWith(folder)) runCommand(["umount", point]);
  }
  // Podman keeps the parent of its containers' cgroups and conmon's; one that others use is not empty.
  for (const path of parents()) for (const each of [join(path, "conmon"), path]) rmdirIfEmpty(each);
  rmSync(folder, { recursive: true, force: true });
});

/** The cgroups in which podman makes those of containers. */
function parents(): string[] {
  return readdirSync("/sys/fs/cgroup")
    .map((hierarchy) => join("/sys/fs/cgroup", hierarchy, "libpod_parent"))
    .filter((path) => existsSync(path));
}

function rmdirIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Somebody else's.
  }
}

function command(...args: string[]): string[] {
  const places = [
    "--root",
    join(folder, "root"),
    "--runroot",
    join(folder, "run"),
    "--tmpdir",
    join(folder, "tmp"),
  ];
  const ways = ["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "file"];
  return ["podman", ...places, ...ways, "--runtime", CTR_BUN, ...args];
}

function podman(...args: string[]): Result {
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: folder,
    CONTAINERS_CONF: join(folder, "containers.conf"),
  };
  // conmon leaves an empty file named oom in its working directory.
  return runCommand(command(...args), { env, cwd: folder });
}

const run = (...args: string[]) => podman("run", "--rm", "--network", "none", ...args);

describe("run", () => {
  test("passes output and exit code on", () => {
    const { code, out, err } = run("box", "sh", "-c", "echo out; echo err >&2; exit 7");
    expect({ code, out, err }).toEqual({ code: 7, out: "out\n", err: "err\n" });
  });

  test("takes user, directory, environment, volumes, tmpfs, a read-only root", () => {
    const { code, out, err } = run(
      ...["--user", "1000:100", "--workdir", "/tmp", "--env", "A=b c", "--read-only"],
      ...["--volume", `${folder}/containers.conf:/conf:ro`, "--tmpfs", "/scratch", "box", "sh", "-c"],
      "id -u; id -g; pwd; echo $A; head -1 /conf; touch /scratch/x /tmp/x && echo both; touch /x || echo read-only",
    );
    expect({ code, out }).toEqual({
      code: 0,
      out: "1000\n100\n/tmp\nb c\n[containers]\nboth\nread-only\n",
    });
    expect(err).toBe("touch: /x: Read-only file system\n");
  });

  test("holds limits", () => {
    const eat = ["box", "dd", "if=/dev/zero", "of=/dev/null", "bs=48M", "count=1"];
    expect(run("--memory", "16m", ...eat).code).toBe(137);
    const { err } = run("--pids-limit", "3", "box", "sh", "-c", "for i in 1 2 3 4; do sleep 0.1 & done");
    expect(err).toContain("can't fork");
  });

  test("works in a user namespace", () => {
    const line = "id -u; cat /proc/self/uid_map | tr -s ' '; touch /x && echo made";
    const { out } = run("--uidmap", "0:100000:65536", "box", "sh", "-c", line);
    expect(out).toBe("0\n 0 100000 65536\nmade\n");
  });

  test("has podman's exit codes for a program that is not there, or is none", () => {
    const missing = run("box", "nowhere");
    expect(missing.code).toBe(127);
    expect(missing.err).toContain("executable file not found in $PATH");
    expect(run("box", "/etc").code).toBe(126);
  });

  test("--tty gives a terminal", () => {
    const { code, out } = run("--tty", "box", "sh", "-c", "tty; exit 4");
    expect({ code, out }).toEqual({ code: 4, out: "/dev/pts/0\r\n" });
  });
});

test("a container in the background: exec, logs, top, kill, wait, restart, rm", () => {
  const started = podman(
    "run",
    "--detach",
    "--tty",
    "--name",
    "one",
    "--network",
    "none",
    "box",
    "sh",
    "-c",
    "tty; sleep 100",
  );
  expect(started.code).toBe(0);
  expect(podman("exec", "one", "sh", "-c", "echo inside; exit 3")).toMatchObject({
    code: 3,
    out: "inside\n",
  });
  expect(podman("exec", "--tty", "one", "tty").out).toBe("/dev/pts/1\r\n");
  expect(podman("logs", "one").out).toBe("/dev/pts/0\r\n");
  expect(podman("top", "one").out).toContain("sleep 100");
  expect(podman("kill", "--signal", "KILL", "one").code).toBe(0);
  expect(podman("wait", "one").out).toBe("137\n");
  expect(podman("start", "one").code).toBe(0);
  expect(podman("inspect", "--format", "{{.State.Status}}", "one").out).toBe("running\n");
  expect(podman("rm", "--force", "--time", "0", "one").code).toBe(0);
  expect(podman("ps", "--all", "--quiet").out).toBe("");
});

test("nothing is left: no state, no cgroup", () => {
  const state = "/run/ctr-bun/oci";
  const ids = existsSync(state) ? readdirSync(state) : [];
  expect(ids.filter((id) => readFileSync(join(state, id, "state.json"), "utf8").includes(folder))).toEqual(
    [],
  );
  const cgroups = parents().flatMap((path) => readdirSync(path).filter((name) => name.startsWith("libpod-")));
  expect(cgroups).toEqual([]);
});
