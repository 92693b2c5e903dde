/**
 * The effective settings: flag beats environment beats file beats default, and where each came from.
 * Not here: what is done with them.
 */

import { fail } from "../../error.ts";
import { readTextIfAny } from "../../kernel/file.ts";
import { type CgroupManager, parseCgroupManager } from "../config/cgroup-flags.ts";
import { absolutePath } from "../path.ts";
import { lineOfFault, lineOfKey } from "./places.ts";
import type { RegistrySettings, SettingsFile } from "./schema.ts";

/** The settings in force. */
export interface Settings {
  readonly store: string;
  /** Undefined: the first snapshotter that works on this host. */
  readonly snapshotter: string | undefined;
  readonly network: "none" | "host";
  /** Undefined: the one that Docker takes on such a host. */
  readonly cgroupManager: CgroupManager | undefined;
  readonly logFormat: "text" | "json";
  readonly logLevel: "error" | "warning";
  /** Files with drivers of a user's own. */
  readonly drivers: readonly string[];
  readonly registries: Readonly<Record<string, RegistrySettings>>;
  readonly limits: NonNullable<SettingsFile["limits"]>;
}

/** A setting as `ctr-bun config` shows it. */
export interface Origin {
  readonly key: string;
  readonly value: unknown;
  /** `default`, `--store`, `CTR_BUN_STORE`, `/etc/ctr-bun/config.toml:3`. */
  readonly from: string;
}

/** Global flags that are settings too; undefined where not given. */
export interface SettingFlags {
  readonly config: string | undefined;
  readonly store: string | undefined;
  readonly snapshotter: string | undefined;
  readonly "log-format": string | undefined;
  readonly driver: readonly string[];
}

/** Everything that settings come from. */
export interface SettingSources {
  readonly flags: SettingFlags;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  readonly cwd: string;
}

/** The settings, and each with its origin. */
export interface EffectiveSettings {
  readonly settings: Settings;
  readonly origins: readonly Origin[];
  /** Where the file was looked for, and whether it was there. */
  readonly file: string;
  readonly fileExists: boolean;
}

/** Reads and merges. @throws CtrError INVALID_CONFIG with file, line and key. */
export async function loadSettings(sources: SettingSources): Promise<EffectiveSettings> {
  const { flags, env, uid, cwd } = sources;
  const named = flags.config ?? filled(env.CTR_BUN_CONFIG);
  const file = named === undefined ? defaultFile(env, uid) : absolutePath(named, cwd);
  const text = readTextIfAny(file);
  if (text === undefined && named !== undefined) {
    throw fail({
      code: "NOT_FOUND",
      field: flags.config === undefined ? "CTR_BUN_CONFIG" : "--config",
      message: "there is no such configuration file",
      path: file,
      hint: "leave it out to go without one",
    });
  }
  const parsed = text === undefined ? {} : await parseSettings(text, file);
  const origins: Origin[] = [];
  const choose = <T>(
    key: string,
    candidates: readonly (readonly [T | undefined, string])[],
    fallback: T,
  ): T => {
    const [value, from] = candidates.find(([each]) => each !== undefined) ?? [fallback, "default"];
    origins.push({ key, value, from });
    return value ?? fallback;
  };
  const inFile = (...path: string[]): string => {
    const line = text === undefined ? undefined : lineOfKey(text, path);
    return line === undefined ? file : `${file}:${line}`;
  };
  const drivers = flags.driver.map((path) => absolutePath(path, cwd));
  const flagFormat = oneOf(flags["log-format"], ["text", "json"] as const, "--log-format");
  const envFormat = oneOf(filled(env.CTR_BUN_LOG_FORMAT), ["text", "json"] as const, "CTR_BUN_LOG_FORMAT");
  const envNetwork = oneOf(filled(env.CTR_BUN_NETWORK), ["none", "host"] as const, "CTR_BUN_NETWORK");
  const envManager = filled(env.CTR_BUN_CGROUP_MANAGER);
  const envStore = filled(env.CTR_BUN_STORE);
  const settings: Settings = {
    store: choose(
      "store",
      [
        [flags.store === undefined ? undefined : absolutePath(flags.store, cwd), "--store"],
        [envStore === undefined ? undefined : absolutePath(envStore, cwd), "CTR_BUN_STORE"],
        [parsed.store, inFile("store")],
      ],
      defaultStore(env, uid),
    ),
    snapshotter: choose<string | undefined>(
      "snapshotter",
      [
        [flags.snapshotter, "--snapshotter"],
        [filled(env.CTR_BUN_SNAPSHOTTER), "CTR_BUN_SNAPSHOTTER"],
        [parsed.snapshotter, inFile("snapshotter")],
      ],
      undefined,
    ),
    network: choose(
      "network",
      [
        [envNetwork, "CTR_BUN_NETWORK"],
        [parsed.network, inFile("network")],
      ],
      "none",
    ),
    cgroupManager: choose<CgroupManager | undefined>(
      "cgroup-manager",
      [
        [
          envManager === undefined ? undefined : parseCgroupManager(envManager, "CTR_BUN_CGROUP_MANAGER"),
          "CTR_BUN_CGROUP_MANAGER",
        ],
        [parsed["cgroup-manager"], inFile("cgroup-manager")],
      ],
      undefined,
    ),
    logFormat: choose(
      "log-format",
      [
        [flagFormat, "--log-format"],
        [envFormat, "CTR_BUN_LOG_FORMAT"],
        [parsed["log-format"], inFile("log-format")],
      ],
      "text",
    ),
    logLevel: choose("log-level", [[parsed["log-level"], inFile("log-level")]], "warning"),
    drivers: choose<readonly string[]>(
      "drivers",
      [
        [drivers.length === 0 ? undefined : [...drivers, ...(parsed.drivers ?? [])], "--driver"],
        [parsed.drivers, inFile("drivers")],
      ],
      [],
    ),
    registries: parsed.registries ?? {},
    limits: parsed.limits ?? {},
  };
  for (const [name, registry] of Object.entries(settings.registries)) {
    for (const [key, value] of Object.entries(registry)) {
      origins.push({
        key: `registries.${JSON.stringify(name)}.${key}`,
        value,
        from: inFile("registries", name, key),
      });
    }
  }
  for (const [key, value] of Object.entries(settings.limits)) {
    origins.push({ key: `limits.${key}`, value, from: inFile("limits", key) });
  }
  return { settings, origins, file, fileExists: text !== undefined };
}

/** Text of config.toml to a checked value. valibot and the schema are loaded only where there is a file. */
export async function parseSettings(text: string, file: string): Promise<SettingsFile> {
  let value: unknown;
  try {
    value = Bun.TOML.parse(text);
  } catch (cause) {
    const line = lineOfFault(text, (part) => Bun.TOML.parse(part));
    const message = (cause instanceof Error ? cause.message : String(cause)).replace(
      /^TOML Parse error: /,
      "",
    );
    const field = line === undefined ? file : `${file}:${line}`;
    throw fail({ code: "INVALID_CONFIG", field, message: `not valid TOML: ${message}`, cause });
  }
  const [v, { SettingsFile }] = await Promise.all([import("valibot"), import("./schema.ts")]);
  const outcome = v.safeParse(SettingsFile, value);
  if (outcome.success) return outcome.output;
  const [issue] = outcome.issues;
  const path = (issue.path ?? []).map(({ key }) => String(key));
  const line = lineOfKey(text, path);
  const isUnknown = issue.type === "strict_object" && issue.expected === "never";
  const key = (issue.path ?? [])
    .map(({ key: part }) =>
      typeof part === "number"
        ? `[${part}]`
        : /^[\w-]+$/.test(String(part))
          ? `.${part}`
          : `.${JSON.stringify(part)}`,
    )
    .join("")
    .replace(/^\./, "");
  throw fail({
    code: "INVALID_CONFIG",
    field: line === undefined ? file : `${file}:${line}`,
    message: isUnknown ? `there is no key ${key}` : `${key} ${issue.message}`,
    hint: "'ctr-bun config --help' lists the keys",
  });
}

function defaultFile(env: SettingSources["env"], uid: number): string {
  if (uid === 0) return "/etc/ctr-bun/config.toml";
  return `${filled(env.XDG_CONFIG_HOME) ?? `${env.HOME ?? ""}/.config`}/ctr-bun/config.toml`;
}

function defaultStore(env: SettingSources["env"], uid: number): string {
  if (uid === 0) return "/var/lib/ctr-bun";
  return `${filled(env.XDG_DATA_HOME) ?? `${env.HOME ?? ""}/.local/share`}/ctr-bun`;
}

function filled(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

function oneOf<const T extends string>(
  text: string | undefined,
  known: readonly T[],
  field: string,
): T | undefined {
  if (text === undefined) return undefined;
  const value = known.find((each) => each === text);
  if (value !== undefined) return value;
  throw fail({
    code: "INVALID_FLAG",
    field,
    message: `${JSON.stringify(text)} is not known`,
    hint: `it is one of ${known.join(", ")}`,
    exitCode: 125,
  });
}
