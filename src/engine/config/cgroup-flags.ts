/**
 * `--cgroup-manager`, `--cgroups`, `--cgroup-parent`, `--cgroupns` and `--cgroup-conf`: where a container's cgroup is,
 * who makes it, and what the container sees of it. Not here: limits (limit-flags.ts).
 */
import type { HostCgroup } from "../../driver.ts";
import { type CtrError, fail } from "../../error.ts";

/** Who makes cgroups: ctr-bun itself, systemd, or nobody. */
export const CGROUP_MANAGERS = ["cgroupfs", "systemd", "disabled"] as const;
export type CgroupManager = (typeof CGROUP_MANAGERS)[number];

/** As typed. */
export interface CgroupFlags {
  readonly "cgroup-manager"?: string | undefined;
  readonly cgroups?: string | undefined;
  readonly "cgroup-parent"?: string | undefined;
  readonly cgroupns?: string | undefined;
  readonly "cgroup-conf"?: readonly string[];
}

/** What they ask for. */
export interface CgroupChoice {
  readonly manager: CgroupManager;
  /** A path, or a slice of systemd's; undefined: ctr-bun's own. */
  readonly parent: string | undefined;
  readonly namespace: "host" | "private";
  /** Files of the container's cgroup (v2), by name. */
  readonly conf: Readonly<Record<string, string>>;
}

/** The flags, where one is missing the setting `manager`, and what Docker does on a host like this one. */
export function parseCgroupFlags(
  flags: CgroupFlags,
  manager: CgroupManager,
  mode: HostCgroup["mode"],
): CgroupChoice {
  const chosen = chosenManager(flags, manager);
  return {
    manager: chosen,
    parent: parentOf(flags["cgroup-parent"], chosen),
    namespace: namespaceOf(flags.cgroupns, mode),
    conf: confOf(flags["cgroup-conf"] ?? [], mode),
  };
}

/** linux.cgroupsPath; undefined: the driver's default. systemd's has three parts (runc, "slice:prefix:name"). */
export function cgroupsPathOf({ manager, parent }: CgroupChoice, id: string): string | undefined {
  if (manager === "systemd") return `${parent ?? "system.slice"}:ctr-bun:${id}`;
  return parent === undefined ? undefined : `${parent === "/" ? "" : parent}/${id}`;
}

/** The manager by name. @param field where it was given. */
export function parseCgroupManager(text: string, field: string): CgroupManager {
  const manager = CGROUP_MANAGERS.find((each) => each === text);
  if (manager !== undefined) return manager;
  throw bad(field, `there is no cgroup manager ${JSON.stringify(text)}`, "cgroupfs, systemd or disabled");
}

/** Podman's `--cgroups` switches them off and on; its other words are about a monitor that ctr-bun has not. */
function chosenManager(flags: CgroupFlags, setting: CgroupManager): CgroupManager {
  const given = flags["cgroup-manager"];
  const manager = given === undefined ? setting : parseCgroupManager(given, "--cgroup-manager");
  const { cgroups } = flags;
  if (cgroups === undefined || cgroups === "no-conmon") return manager;
  if (cgroups === "disabled") return "disabled";
  if (cgroups !== "enabled") {
    throw fail({
      code: cgroups === "split" ? "UNSUPPORTED" : "INVALID_FLAG",
      field: "--cgroups",
      message: cgroups === "split" ? "cgroups are not split" : `${JSON.stringify(cgroups)} is not known`,
      hint: "enabled, or disabled for a container without a cgroup",
    });
  }
  if (manager !== "disabled") return manager;
  throw bad("--cgroups", "the cgroup manager is disabled", "choose one: --cgroup-manager cgroupfs");
}

function parentOf(text: string | undefined, manager: CgroupManager): string | undefined {
  if (text === undefined) return undefined;
  const field = "--cgroup-parent";
  if (text === "") throw bad(field, "it is empty", "leave it out for a cgroup below /ctr-bun");
  if (manager === "disabled") {
    throw bad(field, "a container without a cgroup has no parent of it", "leave --cgroups disabled out");
  }
  const isSlice = text.endsWith(".slice");
  if (manager === "systemd") {
    // systemd.slice(5): dashes part the levels, so none is empty; `-.slice` is the root.
    if (/^(?:-|[^/\s:-]+(?:-[^/\s:-]+)*)\.slice$/.test(text)) return text;
    const hint = isSlice ? "levels are parted by one dash: top-sub.slice" : "name a slice: machine.slice";
    throw bad(field, `${JSON.stringify(text)} is not the name of a slice, which systemd takes`, hint);
  }
  if (isSlice) {
    const message = `${JSON.stringify(text)} is a slice of systemd's, and ctr-bun makes cgroups by itself`;
    throw bad(field, message, "name a path (/limited), or let systemd make them: --cgroup-manager systemd");
  }
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..") || text.includes("\n")) {
    throw bad(field, `${JSON.stringify(text)} is not a plain path`, "write it without ..: /limited");
  }
  // Relative to the cgroup of the host's init, as in Docker and Podman: where nobody moved it, the root.
  return `/${parts.join("/")}`;
}

/** A namespace of its own on v2 alone, unless asked for: Docker's choice, and Podman's. */
function namespaceOf(text: string | undefined, mode: HostCgroup["mode"]): "host" | "private" {
  if (text === undefined || text === "") return mode === "unified" ? "private" : "host";
  if (text === "host" || text === "private") return text;
  throw bad("--cgroupns", `${JSON.stringify(text)} is not known`, "host or private");
}

function confOf(texts: readonly string[], mode: HostCgroup["mode"]): Record<string, string> {
  const conf: Record<string, string> = {};
  for (const text of texts) {
    const [, file, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
    if (file === undefined || value === undefined || !/^[a-z]\w*(?:\.\w+)+$/i.test(file)) {
      const message = `${JSON.stringify(text)} is not the name of a file with a value`;
      throw bad("--cgroup-conf", message, "write FILE=VALUE: memory.high=100000000");
    }
    if (file === "cgroup.procs" || file === "cgroup.threads") {
      const message = `${file} is no limit: it would move a process of the host into the cgroup`;
      throw bad("--cgroup-conf", message, "leave it out");
    }
    conf[file] = value;
  }
  if (texts.length > 0 && mode !== "unified" && mode !== "hybrid") {
    throw bad(
      "--cgroup-conf",
      "this host has no cgroup v2",
      "boot it with systemd.unified_cgroup_hierarchy=1",
    );
  }
  return conf;
}

function bad(field: string, message: string, hint: string): CtrError {
  return fail({ code: "INVALID_FLAG", field, message, hint });
}
