/**
 * The flags of `run`, which `plan` takes too. Words only: what they mean is in engine/config/.
 */
import type { FlagDef } from "./argv.ts";
import { flag, list, text } from "./flag.ts";
import { LIMIT_ARGS } from "./limit-args.ts";

export const RUN_ARGS = {
  interactive: flag("Keep standard input open", "i"),
  tty: flag("Give the program a terminal", "t"),
  rm: flag("Remove the container when its program ends"),
  init: flag("Put an init before the program: forwards signals, reaps"),
  privileged: flag("All capabilities and devices of this host, no seccomp, nothing masked"),
  "read-only": flag("Make the root file system read-only"),
  quiet: flag("Do not show how pulling goes", "q"),
  name: text("Name of the container", "NAME"),
  env: list("Set an environment variable (NAME alone: your own value)", "NAME=VALUE", "e"),
  "env-file": list("Read environment variables from a file", "FILE"),
  volume: list("Mount a directory or file of the host: SOURCE:TARGET[:ro]", "MOUNT", "v"),
  tmpfs: list("Mount an empty file system in memory", "TARGET[:OPTIONS]"),
  mount: list("Mount with all keys: type=bind|tmpfs|volume,source=,target=,readonly", "KEYS"),
  workdir: text("Working directory inside the container", "DIR", "w"),
  user: text("User to run as: NAME|UID[:GROUP|GID]", "USER", "u"),
  entrypoint: text("Program in place of the image's Entrypoint", "PROGRAM"),
  hostname: text("Host name inside the container", "NAME", "h"),
  ...LIMIT_ARGS,
  "kernel-memory": text("Ignored: kernels no longer limit it", "SIZE"),
  "oom-kill-disable": flag("Let programs wait, and not be killed, where memory runs out (cgroup v1)"),
  "oom-score-adj": text("Who is killed first where the host's memory runs out: -1000 to 1000", "NUMBER"),
  "cgroup-manager": text("Who makes the cgroup: cgroupfs, systemd or disabled", "MANAGER"),
  cgroups: text("enabled, or disabled: the container gets no cgroup", "MODE"),
  "cgroup-parent": text("Cgroup to make the container's in: a path, or a slice of systemd's", "PARENT"),
  cgroupns: text("Cgroup namespace: private (the default on cgroup v2) or host", "MODE"),
  "cgroup-conf": list(
    "Write a file of the container's cgroup (cgroup v2): memory.high=1000000",
    "FILE=VALUE",
  ),
  "cap-add": list("Add a capability, or ALL", "NAME"),
  "cap-drop": list("Drop a capability, or ALL", "NAME"),
  "security-opt": list("seccomp=FILE|unconfined, no-new-privileges, systempaths=unconfined", "OPTION"),
  network: {
    ...text("none (the default, as there are no bridges yet), host, container:NAME", "NETWORK"),
    alias: "net",
  },
  ulimit: list("Resource limit: nofile=1024:2048", "NAME=SOFT[:HARD]"),
  device: list("Give a device of the host: /dev/fuse[:INSIDE][:rwm]", "DEVICE"),
  "device-cgroup-rule": list("Allow devices by number: 'c 10:* rwm'", "RULE"),
  label: list("Set a label", "NAME=VALUE", "l"),
  pull: text("When to pull: always, missing (the default), never", "WHEN"),
  platform: text("Platform of the image: linux/arm64", "PLATFORM"),
  "stop-signal": text("Signal that asks the program to end", "SIGNAL"),
  dns: list("Name server", "ADDRESS"),
  "add-host": list("Add a line to /etc/hosts", "NAME:ADDRESS"),
  cidfile: text("Write the container's ID to a new file", "FILE"),
} as const satisfies Record<string, FlagDef>;

/** What is not there yet, and says why. */
export const REFUSED_ARGS = {
  detach: flag("Not there yet: needs a monitor beside the container", "d"),
  publish: list("Not there yet: needs a bridge", "PORTS", "p"),
  "publish-all": flag("Not there yet: needs a bridge", "P"),
} as const satisfies Record<string, FlagDef>;
