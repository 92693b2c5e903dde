/**
 * The flags of `run`, which `plan` takes too. Words only: what they mean is in engine/config/.
 */
import type { FlagDef } from "./argv.ts";

const flag = <const A extends string>(description: string, alias?: A) =>
  ({ type: "boolean", description, ...(alias === undefined ? {} : { alias }) }) as const;
const text = (description: string, valueHint: string, alias?: string) =>
  ({ type: "string", description, valueHint, ...(alias === undefined ? {} : { alias }) }) as const;
const list = (description: string, valueHint: string, alias?: string) =>
  ({
    type: "string",
    repeatable: true,
    description,
    valueHint,
    ...(alias === undefined ? {} : { alias }),
  }) as const;

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
  memory: text("Memory limit: 512k, 64m, 1.5g", "SIZE", "m"),
  "memory-swap": text("Limit of memory and swap together; -1: no limit on swap", "SIZE"),
  cpus: text("Number of CPUs: 0.5", "NUMBER"),
  "pids-limit": text("Most processes and threads; -1: no limit", "NUMBER"),
  "cap-add": list("Add a capability, or ALL", "NAME"),
  "cap-drop": list("Drop a capability, or ALL", "NAME"),
  "security-opt": list("seccomp=FILE|unconfined, no-new-privileges, systempaths=unconfined", "OPTION"),
  network: {
    ...text("none (the default, as there are no bridges yet), host, container:NAME", "NETWORK"),
    alias: "net",
  },
  ulimit: list("Resource limit: nofile=1024:2048", "NAME=SOFT[:HARD]"),
  device: list("Give a device of the host: /dev/fuse[:INSIDE][:rwm]", "DEVICE"),
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
