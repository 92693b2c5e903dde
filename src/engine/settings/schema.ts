/**
 * What config.toml may hold. Keys are the names of the flags that they stand for.
 * Not here: reading the file, or what beats what (load.ts).
 */
import * as v from "valibot";
import { CGROUP_MANAGERS } from "../config/cgroup-flags.ts";

const text = v.pipe(v.string("must be a string"), v.minLength(1, "must not be empty"));
const absolute = v.pipe(
  text,
  v.check((path) => path.startsWith("/"), "must be an absolute path"),
);
const flag = v.boolean("must be true or false");
const texts = v.array(text, "must be a list of strings");

/** One registry, by HOST or HOST:PORT. */
const RegistrySettings = v.strictObject({
  /** Http without TLS. */
  "plain-http": v.optional(flag),
  /** Hosts of token servers that may get its credentials though they are of another domain. */
  realms: v.optional(texts),
  /** A PEM file with certificates to trust besides the system's. */
  ca: v.optional(absolute),
  /** A file in the form of Docker's config.json to take its credential from. */
  "auth-file": v.optional(absolute),
});

/** Limits of containers for which no flag says otherwise, as the flags write them. */
const DefaultLimits = v.strictObject({
  memory: v.optional(text),
  "memory-swap": v.optional(text),
  cpus: v.optional(v.union([text, v.number()], "must be a number of CPUs")),
  "pids-limit": v.optional(v.pipe(v.number("must be a number"), v.integer("must be a whole number"))),
  ulimit: v.optional(texts),
});

/** The whole file. */
export const SettingsFile = v.strictObject({
  store: v.optional(absolute),
  snapshotter: v.optional(text),
  "cgroup-manager": v.optional(v.picklist(CGROUP_MANAGERS, 'must be "cgroupfs", "systemd" or "disabled"')),
  network: v.optional(v.picklist(["none", "host"], 'must be "none" or "host"')),
  "log-format": v.optional(v.picklist(["text", "json"], 'must be "text" or "json"')),
  "log-level": v.optional(v.picklist(["error", "warning"], 'must be "error" or "warning"')),
  drivers: v.optional(v.array(absolute, "must be a list of absolute paths")),
  registries: v.optional(v.record(text, RegistrySettings, 'must be tables: [registries."HOST:PORT"]')),
  limits: v.optional(DefaultLimits),
});
export type SettingsFile = v.InferOutput<typeof SettingsFile>;
export type RegistrySettings = v.InferOutput<typeof RegistrySettings>;
