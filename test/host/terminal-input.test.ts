// TIOCSTI (ioctl_tty(2)) puts bytes into a terminal as if they were typed: a container that has its caller's terminal
// must not type into the shell that comes after it. Whether a kernel has the call at all is looked up first.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, CTR_BUN, freshID, makeBundle, runCommand } from "../support/bundle.ts";
import type { Config } from "../support/config.ts";
import { runOnTerminal } from "../support/terminal.ts";

/** Tries to have each of its standard streams as its controlling terminal, and to type on it. */
const SOURCE = `
#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
int main(void) {
  for (int fd = 0; fd < 3; fd++) {
    int steal = ioctl(fd, TIOCSCTTY, 0) == 0 ? 0 : errno, type = 0;
    for (const char *at = "stolen\\n"; *at; at++)
      if (ioctl(fd, TIOCSTI, at) != 0) type = errno;
    printf("%d: controlling %d, typing %d\\n", fd, steal, type);
  }
}
`;

let bundle: Bundle;
let program: string;
beforeAll(() => {
  bundle = makeBundle();
  program = join(bundle.rootfs, "bin/type");
  writeFileSync(join(bundle.path, "type.c"), SOURCE);
  expect(runCommand(["gcc", "-static", "-o", program, join(bundle.path, "type.c")])).toEqual({
    code: 0,
    out: "",
    err: "",
  });
});
afterAll(() => bundle.dispose());

/** Runs a command on a terminal, under a shell that then reads what was typed on it; and what was shown. */
async function typedBy(...command: string[]): Promise<{ typed: string | undefined; shown: string }> {
  const shell = '"$@"; read -rt 0.3 line; echo "typed <$line>"';
  const terminal = runOnTerminal(["bash", "-c", shell, "bash", ...command]);
  try {
    await terminal.ended();
    const shown = terminal.shown();
    return { typed: /typed <(.*)>/.exec(shown)?.[1], shown };
  } finally {
    terminal.close();
  }
}

const EPERM = 1;
/** What the program says where it can neither take the terminal nor type on it. */
const KEPT_OUT = [0, 1, 2].map((fd) => `${fd}: controlling ${EPERM}, typing `);

const CASES: Record<string, (config: Config) => void> = {
  "as root": () => undefined,
  "as a user that the terminal is handed to": ({ process }) => {
    process.user = { uid: 1000, gid: 1000 };
  },
  "in the host's pid namespace": ({ linux }) => {
    linux.namespaces = linux.namespaces.filter(({ type }) => type !== "pid");
  },
  "in a user namespace, with all of its capabilities": ({ linux, process }) => {
    linux.namespaces.push({ type: "user" });
    linux.uidMappings = linux.gidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
    const all = ["CAP_SYS_ADMIN", "CAP_SYS_TTY_CONFIG"];
    process.capabilities = { bounding: all, effective: all, permitted: all };
  },
};

describe("a container on its caller's terminal cannot type into it", () => {
  test("which a program in the shell's own session could", async () => {
    const { typed, shown } = await typedBy(program);
    expect({ typed, shown }).toEqual({ typed: "stolen", shown: expect.stringContaining("0: ") });
  });

  for (const [name, change] of Object.entries(CASES)) {
    test(`${name}: run, and exec`, async () => {
      bundle.configure(["type"], change);
      const ctr = [CTR_BUN, "--root", bundle.state];
      const seen = [await typedBy(...ctr, "run", "--bundle", bundle.path, freshID())];
      const id = freshID();
      bundle.configure(["sleep", "100"], change);
      expect(bundle.ctr("run", "--detach", "--bundle", bundle.path, id).code).toBe(0);
      try {
        seen.push(await typedBy(...ctr, "exec", id, "type"));
      } finally {
        bundle.ctr("delete", "--force", id);
      }
      for (const { typed, shown } of seen) {
        for (const line of KEPT_OUT) expect(shown).toContain(line);
        expect({ typed, shown }).toEqual({ typed: "", shown });
      }
    });
  }
});
