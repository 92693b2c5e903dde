// What must hold against somebody who is in the container already, or who made its image: descriptors of the waiting
// init, ways into /proc, roots without a mount namespace.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { builtinRegistry } from "../../src/builtin-drivers.ts";
import { probeHost } from "../../src/runtime/host.ts";
import { runDetached } from "../../src/runtime/run.ts";
import { parseDocument } from "../../src/spec/parse.ts";
import { RuntimeConfig } from "../../src/spec/runtime/config.ts";
import { type Bundle, freshID, makeBundle } from "../support/bundle.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

const sh = (script: string) => ["sh", "-c", script];

test("the init that waits for start holds no descriptor but its streams and two sockets", () => {
  const id = freshID();
  bundle.configure(["sleep", "100"]);
  expect(bundle.ctr("create", "--bundle", bundle.path, id).code).toBe(0);
  try {
    const { pid } = JSON.parse(bundle.ctr("state", id).out);
    const above = readdirSync(`/proc/${pid}/fd`).filter((fd) => Number(fd) > 2);
    expect(above.length).toBe(2);
    const seen = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    expect(seen.filter((target) => !target.startsWith("socket:")).length).toBe(3);
  } finally {
    bundle.ctr("delete", "--force", id);
  }
});

test.each([true, false])(
  "an init that stays PID 1 is under the filter, with no_new_privs %p",
  async (noNewPrivileges) => {
    bundle.configure(["sleep", "100"], (config) => {
      config.process.noNewPrivileges = noNewPrivileges;
      config.linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO" }],
      };
    });
    const { path, state: root } = bundle;
    const config = parseDocument(
      RuntimeConfig,
      JSON.parse(readFileSync(join(path, "config.json"), "utf8")),
      "",
    );
    const id = freshID();
    const [registry, host] = [builtinRegistry(), probeHost()];
    const { pid } = await runDetached({ root, id, bundle: path, config, registry, host, init: true });
    try {
      expect(readFileSync(`/proc/${pid}/status`, "utf8")).toMatch(/^Seccomp:\s2$/m);
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  },
);

describe("exec", () => {
  test("into a container without a mount namespace goes into its root", () => {
    const id = freshID();
    bundle.configure(["sleep", "100"], (config) => {
      config.linux.namespaces = [{ type: "pid" }];
      config.mounts = [];
      config.linux.maskedPaths = config.linux.readonlyPaths = [];
      config.hostname = "";
      config.root.readonly = false;
    });
    const run = bundle.ctr("run", "--detach", "--bundle", bundle.path, id);
    expect(run).toMatchObject({ code: 0, err: "" });
    try {
      expect(bundle.ctr("exec", id, "/bin/ls", "/").out).toBe(
        `${readdirSync(bundle.rootfs).sort().join("\n")}\n`,
      );
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  });

  test("into a container that has no namespace of its own goes into its root", () => {
    const id = freshID();
    bundle.configure(["sleep", "100"], (config) => {
      config.linux.namespaces = [];
      config.mounts = [];
      config.linux.maskedPaths = config.linux.readonlyPaths = [];
      config.hostname = "";
      config.root.readonly = false;
    });
    expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id)).toMatchObject({ code: 0, err: "" });
    try {
      expect(bundle.ctr("exec", id, "/bin/ls", "/bin/busybox")).toMatchObject({
        code: 0,
        out: "/bin/busybox\n",
      });
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  });

  test("gives a variable its last value", () => {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    bundle.ctr("run", "--detach", "--bundle", bundle.path, id);
    try {
      expect(bundle.ctr("exec", "-e", "TERM=new", id, "sh", "-c", "env | grep TERM").out).toBe("TERM=new\n");
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  });

  test("joins the session keyring of the container", () => {
    const id = freshID();
    bundle.configure(["sleep", "100"], (config) => {
      config.linux.maskedPaths = [];
    });
    bundle.ctr("run", "--detach", "--bundle", bundle.path, id);
    try {
      expect(bundle.ctr("exec", id, "grep", "-c", `keyring *_ses.${id}`, "/proc/keys").out).toBe("1\n");
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  });
});

test("a link in a mounted file system leads no later mount into /proc, and no sysctl into a file", () => {
  const other = makeBundle();
  try {
    const low = join(other.path, "low");
    const fake = join(other.path, "fake/ipv4");
    for (const folder of [
      low,
      fake,
      join(other.path, "up"),
      join(other.path, "work"),
      join(other.rootfs, "mnt"),
    ]) {
      mkdirSync(folder, { recursive: true });
    }
    symlinkSync("/proc", join(low, "p"));
    writeFileSync(join(fake, "ip_forward"), "orig\n");
    const { code } = other.run(["true"], (config) => {
      config.mounts.push(
        {
          destination: "/mnt",
          type: "overlay",
          source: "overlay",
          options: [`lowerdir=${low}`, `upperdir=${other.path}/up`, `workdir=${other.path}/work`],
        },
        { destination: "/mnt/p/sys/net", type: "bind", source: join(other.path, "fake"), options: ["bind"] },
      );
      config.linux.sysctl = { "net.ipv4.ip_forward": "1" };
    });
    expect(code).toBe(1);
    expect(readFileSync(join(fake, "ip_forward"), "utf8")).toBe("orig\n");
  } finally {
    other.dispose();
  }
});

test("a read-only tmpfs and a read-only /dev get what later mounts and devices need in them", () => {
  const { code, out, err } = bundle.run(
    sh("ls -d /ro/below; touch /ro/x; touch /dev/x; echo ok > /dev/null; true"),
    (config) => {
      const dev = config.mounts.find(({ destination }) => destination === "/dev");
      dev?.options?.push("ro");
      config.root.readonly = false;
      config.mounts.push(
        { destination: "/ro", type: "tmpfs", source: "tmpfs", options: ["ro"] },
        { destination: "/ro/below", type: "tmpfs", source: "tmpfs" },
      );
    },
  );
  expect({ code, out }).toEqual({ code: 0, out: "/ro/below\n" });
  expect(err.match(/Read-only file system/g)?.length).toBe(2);
});

test("the program's limit of descriptors is not the init's: many mounts, or hardly a descriptor", () => {
  mkdirSync(join(bundle.path, "one"), { recursive: true });
  const many = bundle.run(sh("ulimit -n"), (config) => {
    config.root.readonly = false;
    for (let number = 0; number < 300; number++) {
      config.mounts.push({ destination: `/tmp/m/${number}`, type: "bind", source: "one", options: ["bind"] });
    }
    config.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 100, hard: 100 }];
  });
  expect(many).toEqual({ code: 0, out: "100\n", err: "" });
  const id = freshID();
  bundle.configure(["true"], ({ process }) => {
    process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 3, hard: 3 }];
  });
  expect(bundle.ctr("create", "--bundle", bundle.path, id).code).toBe(0);
  expect(bundle.ctr("start", id)).toMatchObject({ code: 0, err: "" });
  bundle.ctr("delete", "--force", id);
});

test("--no-pivot leaves no procfs or sysfs of the old root to be seen", () => {
  bundle.configure(
    sh(
      "ls / | tr '\\n' ' '; grep -c ' - proc ' /proc/self/mountinfo; grep -c ' - sysfs ' /proc/self/mountinfo",
    ),
    (config) => {
      config.linux.readonlyPaths = [];
    },
  );
  const { code, out, err } = bundle.ctr("run", "--no-pivot", "--bundle", bundle.path, freshID());
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toBe(`${readdirSync(bundle.rootfs).sort().join(" ")} 1\n1\n`);
});
