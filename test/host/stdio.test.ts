// Standard streams are handed to the container's user, for run and exec, in a user namespace too; devices of the host
// are never changed.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";

let bundle: Bundle;
beforeAll(() => {
  bundle = makeBundle();
});
afterAll(() => bundle.dispose());

const asUser = ({ process }: Config) => {
  process.user = { uid: 1000, gid: 1000 };
};
const inUserNamespace = (config: Config) => {
  config.linux.namespaces.push({ type: "user" });
  config.linux.uidMappings = config.linux.gidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
};
/** Says it through a stream that is opened anew. */
const SAY = ["sh", "-c", "stat -L -c %u /proc/self/fd/1 && echo anew >/dev/stdout"];

/** A shell's command line around `ctr-bun --root STATE ARGS`. */
function shell(script: string, ...args: string[]) {
  return runCommand(["sh", "-c", script, "sh", CTR_BUN, "--root", bundle.state, ...args]);
}

describe("a pipe", () => {
  test("is the user's", () => {
    bundle.configure(SAY, asUser);
    const { out, err } = shell('"$@" | cat', "run", "--bundle", bundle.path, freshID());
    expect({ out, err }).toEqual({ out: "1000\nanew\n", err: "" });
  });

  test("is the user's and root's in a user namespace", () => {
    for (const uid of [0, 1000]) {
      bundle.configure(SAY, (config) => {
        inUserNamespace(config);
        config.process.user = { uid, gid: 0 };
      });
      const { out, err } = shell('"$@" | cat', "run", "--bundle", bundle.path, freshID());
      expect({ out, err }).toEqual({ out: `${uid}\nanew\n`, err: "" });
    }
  });

  test("is that of exec's user", () => {
    for (const change of [() => undefined, inUserNamespace]) {
      const id = freshID();
      bundle.configure(["sleep", "100"], change);
      expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
      try {
        const { out, err } = shell('"$@" | cat', "exec", "--user", "1000:1000", id, ...SAY);
        expect({ out, err }).toEqual({ out: "1000\nanew\n", err: "" });
      } finally {
        bundle.ctr("delete", "--force", id);
      }
    }
  });
});

test("a file becomes the user's, as with runc, but not out of a user namespace", () => {
  const file = join(bundle.path, "output");
  const owner = (change: (config: Config) => void) => {
    writeFileSync(file, "");
    bundle.configure(["true"], change);
    expect(shell(`"$@" >${file}`, "run", "--bundle", bundle.path, freshID()).code).toBe(0);
    const { uid } = statSync(file);
    runCommand(["chown", "0", file]);
    return uid;
  };
  expect(owner(asUser)).toBe(1000);
  expect(
    owner((config) => {
      asUser(config);
      inUserNamespace(config);
    }),
  ).toBe(0);
});

test("a device that is no terminal is left as it is, whatever its name", () => {
  const devices = { null: ["1", "3"], zero: ["1", "5"], full: ["1", "7"] };
  for (const [name, numbers] of Object.entries(devices)) {
    const node = join(bundle.path, name);
    expect(runCommand(["mknod", "-m", "666", node, "c", ...numbers]).code).toBe(0);
    for (const change of [asUser, inUserNamespace]) {
      bundle.configure(["true"], change);
      const { code, err } = shell(`"$@" <>${node} >&0 2>&0`, "run", "--bundle", bundle.path, freshID());
      expect({ code, err }).toEqual({ code: 0, err: "" });
      expect(statSync(node).uid).toBe(0);
    }
  }
});
