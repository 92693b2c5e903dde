// Programs that cannot be executed: what run, create, start and exec say of each, in runc's words, from which engines
// derive exit codes.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, freshID, makeBundle, runCommand } from "../support/bundle.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
  const file = (name: string, mode: number, content: string | Uint8Array) => {
    writeFileSync(join(bundle.rootfs, "bin", name), content);
    chmodSync(join(bundle.rootfs, "bin", name), mode);
  };
  const busybox = new Uint8Array(readFileSync(join(bundle.rootfs, "bin/busybox")));
  file("plain", 0o644, "#!/bin/sh\n");
  file("text", 0o755, "neither ELF nor script\n");
  file("script", 0o755, "#!/no/such/interpreter\n");
  // e_machine of a machine that there is none of.
  file("foreign", 0o755, busybox.with(18, 0xfe).with(19, 0xfe));
  mkdirSync(join(bundle.rootfs, "folder"));
  mkdirSync(join(bundle.rootfs, "private"), { mode: 0o700 });
  mkdirSync(join(bundle.rootfs, "first"));
  writeFileSync(join(bundle.rootfs, "first/true"), "");
});
afterAll(() => bundle.dispose());

interface Case {
  readonly program: string;
  /** runc's words, and where it says them. */
  readonly says: string;
  readonly code: 126 | 127;
  /** Not by create: the file is there and may be executed, as far as can be seen. */
  readonly atStart?: boolean;
  readonly hint?: string;
}

const CASES: Readonly<Record<string, Case>> = {
  "a name that is nowhere in PATH": {
    program: "nope",
    says: 'exec: "nope": executable file not found in $PATH',
    code: 127,
  },
  "a path that leads nowhere": {
    program: "/bin/nope",
    says: 'exec: "/bin/nope": stat /bin/nope: no such file or directory',
    code: 127,
  },
  "a path through a file": {
    program: "/bin/sh/x",
    says: 'exec: "/bin/sh/x": stat /bin/sh/x: not a directory',
    code: 127,
  },
  "a relative path": {
    program: "./nope",
    says: 'exec: "./nope": stat ./nope: no such file or directory',
    code: 127,
  },
  "a directory": { program: "/folder", says: 'exec: "/folder": permission denied', code: 126 },
  "a file without the executable bit": {
    program: "/bin/plain",
    says: 'exec: "/bin/plain": permission denied',
    code: 126,
    hint: "it must be a file with the executable bit",
  },
  "the same by its name": { program: "plain", says: 'exec: "plain": permission denied', code: 126 },
  "a directory that the user may not enter": {
    program: "/private/x",
    says: 'exec: "/private/x": permission denied',
    code: 126,
  },
  "a file that is neither ELF nor script": {
    program: "text",
    says: "exec /bin/text: exec format error",
    code: 126,
    atStart: true,
    hint: "neither an executable of this architecture nor a script",
  },
  "another machine's program": {
    program: "/bin/foreign",
    says: "exec /bin/foreign: exec format error",
    code: 126,
    atStart: true,
  },
  "a script without its interpreter": {
    program: "script",
    says: "exec /bin/script: no such file or directory",
    code: 127,
    atStart: true,
    hint: "or else its interpreter is not",
  },
};

const user = { uid: 1000, gid: 1000 };

describe.each(Object.entries(CASES))("%s", (_name, { program, says, code, atStart = false, hint = "" }) => {
  const expected = { code, out: "", err: expect.stringContaining(`process.args[0]: ${says} (`) };

  test("is the error of run", () => {
    const run = bundle.run([program], ({ process }) => {
      process.user = user;
    });
    expect(run).toEqual(expected);
    expect(run.err).toContain(hint);
  });

  test(`is the error of ${atStart ? "start" : "create"}`, () => {
    const id = freshID();
    bundle.configure([program], ({ process }) => {
      process.user = user;
    });
    const create = bundle.ctr("create", "--bundle", bundle.path, id);
    if (!atStart) {
      expect(create).toEqual(expected);
      expect(bundle.ctr("list", "-q").out).toBe("");
      return;
    }
    try {
      expect(create).toEqual({ code: 0, out: "", err: "" });
      const start = bundle.ctr("start", id);
      expect(start).toEqual(expected);
      expect(start.err).toContain(hint);
      expect(JSON.parse(bundle.ctr("state", id).out).status).toBe("stopped");
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  });

  test("is the error of exec", () => {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
    try {
      expect(bundle.ctr("exec", "--user", "1000:1000", id, program)).toEqual(expected);
      expect(JSON.parse(bundle.ctr("state", id).out).status).toBe("running");
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  });
});

test("what must not be executed along PATH does not hide what is behind it", () => {
  for (const start of ["run", "create"]) {
    const id = freshID();
    bundle.configure(["true"], ({ process }) => {
      process.env = ["PATH=/nowhere:/bin/sh:/folder:/first:/bin"];
    });
    expect(bundle.ctr(start, "--bundle", bundle.path, id)).toEqual({ code: 0, out: "", err: "" });
    if (start === "create") {
      expect(bundle.ctr("start", id)).toEqual({ code: 0, out: "", err: "" });
      bundle.ctr("delete", "--force", id);
    }
  }
});

test("a filter that does not let the init look leaves it the errno of execve", () => {
  for (const [program, says] of [
    ["nope", 'exec: "nope": executable file not found in $PATH'],
    ["/bin/script", "/bin/script: no such file or directory"],
  ] as const) {
    const { code, err } = bundle.run([program], ({ linux }) => {
      linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["faccessat2"], action: "SCMP_ACT_KILL_PROCESS" }],
      };
    });
    expect({ code, err }).toEqual({ code: 127, err: expect.stringContaining(says) });
  }
});

describe("a working directory", () => {
  test("that is a file is an error with the property", () => {
    const { code, err } = bundle.run(["true"], ({ process }) => {
      process.cwd = "/bin/sh";
    });
    expect(code).toBe(1);
    expect(err).toContain("process.cwd: cannot enter /bin/sh: not a directory (chdir /bin/sh: ENOTDIR)");
  });

  test("that does not exist is made, and one of root's is entered before the user changes, as in runc", () => {
    const run = bundle.run(["pwd"], ({ process, root }) => {
      process.cwd = "/made/deep";
      process.user = user;
      root.readonly = false;
    });
    expect(run).toEqual({ code: 0, out: "/made/deep\n", err: "" });
    bundle.configure(["pwd"], ({ process }) => {
      process.cwd = "/private";
      process.user = user;
    });
    const own = bundle.ctr("run", "--bundle", bundle.path, freshID());
    const runc = runCommand(["runc", "--root", `${bundle.path}/runc`, "run", "-b", bundle.path, freshID()]);
    expect(own.code).toBe(runc.code);
    expect(own.out).toBe(runc.out);
  });

  test("of exec that does not exist is an error of exec", () => {
    const id = freshID();
    bundle.configure(["sleep", "100"]);
    bundle.ctr("run", "--detach", "--bundle", bundle.path, id);
    try {
      const { code, err } = bundle.ctr("exec", "--cwd", "/nowhere", id, "true");
      expect(code).not.toBe(0);
      expect(err).toContain("process.cwd: cannot enter /nowhere: no such file or directory");
    } finally {
      bundle.ctr("delete", "--force", id);
    }
  });
});
