/** `spec`: writes a config.json to begin with. */
import { fail } from "../../error.ts";
import { check } from "../../kernel/check.ts";
import { O_CREAT, O_EXCL, O_WRONLY } from "../../kernel/constants.ts";
import { ERRNO } from "../../kernel/errno.ts";
import { tryOpen, withFd, writeAll } from "../../kernel/file.ts";
import { defaultSpec, rootlessSpec } from "../../spec/runtime/defaults.ts";
import { absolute, bundlePath } from "./context.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  name: "spec",
  about: "write a config.json to begin with",
  args: {
    bundle: {
      type: "string",
      alias: "b",
      description: "directory to write to (default: the working directory)",
    },
    file: { type: "string", alias: "f", description: "file to write instead of the bundle's config.json" },
    rootless: { type: "boolean", description: "for a user that is not root" },
  },
  async run({ bundle, file, rootless }, { host }) {
    const path = file === undefined ? `${bundlePath(bundle)}/config.json` : absolute(file);
    const options = { cgroupNamespace: host.cgroup.mode === "unified" };
    const config = rootless
      ? rootlessSpec({ uid: host.uid, gid: process.getgid?.() ?? 0 }, options)
      : defaultSpec(options);
    const fd = tryOpen(path, O_WRONLY | O_CREAT | O_EXCL, 0o666);
    if (fd === -ERRNO.EEXIST) {
      throw fail({
        code: "EXISTS",
        message: `File ${path.slice(path.lastIndexOf("/") + 1)} exists. Remove it first`,
        path,
      });
    }
    check(fd, { syscall: "openat", path });
    withFd(fd, () => writeAll(fd, new TextEncoder().encode(JSON.stringify(config, undefined, "\t")), path));
    return 0;
  },
});
