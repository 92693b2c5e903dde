/**
 * Whatever valid config comes, its plan is refused in words or can be written as a program, on both architectures; and
 * a step that protects is skipped only on an errno that its rows name.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Host } from "../../../src/driver.ts";
import { CtrError } from "../../../src/error.ts";
import { writeProgram } from "../../../src/machine/program.ts";
import type { PlanInput } from "../../../src/plan/input.ts";
import { makePlan } from "../../../src/plan/plan.ts";
import { recordPlan } from "../../../src/plan/record.ts";
import type { Plan, Step } from "../../../src/plan/step.ts";
import { parseDocument } from "../../../src/spec/parse.ts";
import { type NamespaceType, RuntimeConfig } from "../../../src/spec/runtime/config.ts";
import { NAMESPACE_TYPES } from "../../../src/spec/runtime/linux.ts";
import { RLIMIT_TYPES } from "../../../src/spec/runtime/process.ts";
import { SECCOMP_ACTIONS } from "../../../src/spec/runtime/seccomp.ts";
import { HOSTS, initSteps, planFacts, planInput } from "./inputs.ts";

/** Every row that may fail in any way, by the property of its step and its call: what is lost then is a comfort. */
const MAY_FAIL_ANYHOW: Readonly<Record<string, string>> = {
  "linux.devices faccessat2": "whether the kernel has /proc/kcore: without it there is no link",
  "process.args[0] faccessat2": "whether a file is there: the rows behind it tell",
  "process.args[0] execve": "the rows behind it tell, or try the next directory of PATH",
  "process kill": "--init forwards a signal: the program may be gone",
  "process waitid": "--init reaps: nothing may be left",
  "process ioctl": "--init gives the program the terminal: there may be none",
  "process.user.uid statx": "whose a standard stream is: it may be closed",
  "process.user.uid fchown": "a stream of another's file system stays whose it is",
  "process.user.uid ioctl": "whether a stream is a terminal: the rows behind it tell",
};

/** Errnos that a step which protects may be skipped on, by its property. */
const NAMED: readonly (readonly [field: RegExp, errnos: readonly string[]])[] = [
  // What the kernel or the image does not have needs no mask; ENOTDIR tells files from directories.
  [/^linux\.maskedPaths/, ["ENOENT", "ENOTDIR"]],
  [/^linux\.readonlyPaths/, ["ENOENT"]],
  // A kernel without keyrings has none to keep apart; between two neighbouring descriptors there is none to close.
  [/^process$/, ["ENOSYS", "EINTR", "EINVAL"]],
  // Root may not be allowed into what the user may enter: tried again as the user.
  [/^process\.cwd$/, ["EACCES", "EEXIST"]],
  // Root of a joined user namespace in which setgroups is denied: nobody there can do without the caller's groups.
  [/^process\.user$/, ["EPERM"]],
  // A signal while a hook is waited for.
  [/^hooks\.(createContainer|startContainer)\[\d+\]$/, ["EINTR"]],
  // What is no directory is what is looked for.
  [/^process\.args\[0\]$/, ["ENOTDIR"]],
  // Files and directories that are there already: opened, or checked, in the next row.
  [/^(linux\.devices|mounts|process\.terminal)/, ["EEXIST", "ENOENT", "EPERM"]],
];

/** The same host for an ordinary user, to whom nothing was delegated. */
const forUser = (host: Host): Host => ({
  ...host,
  uid: 1000,
  gid: 1000,
  unprivileged: true,
  cgroup: { ...host.cgroup, delegated: [] },
});

const flag = fc.boolean();
const name = fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/);
const path = fc
  .array(fc.oneof(name, fc.constantFrom("dev", "proc", "sys", "tmp", "..", ".", "")), { maxLength: 4 })
  .map((parts) => `/${parts.join("/")}`);
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const listOf = <T>(value: fc.Arbitrary<T>, maxLength = 4) => maybe(fc.array(value, { maxLength }));
const id = fc.oneof(fc.nat(70_000), fc.constantFrom(0, 1, 4294967294));
const capabilities = listOf(fc.constantFrom("CAP_KILL", "CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_BPF", "CAP_NONE"));
const maps = fc
  .uniqueArray(fc.nat(10), { minLength: 1, maxLength: 3 })
  .map((starts) =>
    starts.map((start) => ({ containerID: start * 10, hostID: 100_000 + start * 10, size: 10 })),
  );
const hooks = listOf(fc.record({ path, timeout: maybe(fc.integer({ min: 1, max: 99 })) }), 2);

const namespaces = fc.uniqueArray(
  fc.record(
    {
      type: fc.constantFrom<NamespaceType>(...NAMESPACE_TYPES),
      // Mostly new ones: little is allowed in a mount namespace that is joined.
      path: fc.oneof({ weight: 5, arbitrary: fc.constant("") }, path),
    },
    { requiredKeys: ["type"] },
  ),
  { selector: ({ type }) => type, maxLength: 8 },
);

const OPTIONS =
  "ro rw nosuid nodev noexec noatime relatime strictatime rro rnosuid bind rbind private rslave shared mode=755 size=64k newinstance remount tmpcopyup idmap ridmap".split(
    " ",
  );
const mount = fc.record(
  {
    destination: fc.oneof(fc.constantFrom("/proc", "/dev", "/dev/pts", "/sys", "tmp"), path),
    type: fc.constantFrom("proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "bind", "none"),
    source: fc.oneof(path, name),
    options: fc.array(fc.oneof(fc.constantFrom(...OPTIONS), fc.constant(`lowerdir=${"/l".repeat(200)}`)), {
      maxLength: 4,
    }),
  },
  { requiredKeys: ["destination"] },
);

const device = fc.record({
  type: fc.constantFrom("c", "b", "u", "p"),
  path: fc.oneof(
    fc.constantFrom("/dev/null", "/dev/net/tun", "/disk", "/dev//x", "dev/y", "/dev/pts/z"),
    path,
  ),
  major: fc.oneof(fc.nat(4095), fc.constantFrom(-1, 4096)),
  minor: fc.nat(1_048_575),
  fileMode: fc.nat(0o7777),
  uid: id,
  gid: id,
});

const process_ = fc.record(
  {
    terminal: flag,
    consoleSize: fc.record({ height: fc.nat(200), width: fc.nat(200) }),
    user: fc.record({ uid: id, gid: id, umask: maybe(fc.nat(0o777)), additionalGids: listOf(id) }),
    args: fc.array(fc.oneof(name, path), { minLength: 1, maxLength: 3 }),
    env: fc.array(fc.oneof(fc.constantFrom("PATH=/a:/b::/a", "PATH=", "TERM=x"), name), { maxLength: 3 }),
    cwd: path,
    capabilities: fc.record({
      bounding: capabilities,
      effective: capabilities,
      permitted: capabilities,
      inheritable: capabilities,
      ambient: capabilities,
    }),
    rlimits: fc
      .uniqueArray(fc.constantFrom(...RLIMIT_TYPES), { maxLength: 3 })
      .map((types) => types.map((type) => ({ type, soft: 1, hard: 18446744073709551615n }))),
    noNewPrivileges: flag,
    apparmorProfile: fc.constantFrom("", "box"),
    selinuxLabel: fc.constantFrom("", "system_u:system_r:box_t:s0"),
    oomScoreAdj: fc.integer({ min: -1000, max: 1000 }),
  },
  { requiredKeys: ["args", "cwd"] },
);

const seccomp = fc.record({
  defaultAction: fc.constantFrom("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_ERRNO"),
  syscalls: fc.array(
    fc.record({
      names: fc.uniqueArray(fc.constantFrom("mount", "mkdir", "read", "umask", "keyctl", "nothing"), {
        minLength: 1,
      }),
      action: fc.constantFrom(...SECCOMP_ACTIONS),
    }),
    { maxLength: 2 },
  ),
});

const linux = fc.record(
  {
    namespaces,
    uidMappings: maps,
    gidMappings: maps,
    timeOffsets: fc.record({ boottime: fc.record({ secs: fc.integer() }) }),
    devices: fc.array(device, { maxLength: 4 }),
    cgroupsPath: path,
    mountLabel: fc.constantFrom("", "system_u:object_r:box_t:s0:c1,c2"),
    sysctl: fc.dictionary(
      fc.constantFrom(
        "net.ipv4.ip_forward",
        "kernel.shmmax",
        "net/ipv4/conf/a.b/x",
        "kernel.panic",
        "net..x",
      ),
      name,
      { maxKeys: 2 },
    ),
    seccomp,
    rootfsPropagation: fc.constantFrom(
      "private",
      "rprivate",
      "shared",
      "rshared",
      "slave",
      "rslave",
      "unbindable",
    ),
    maskedPaths: fc.array(path, { maxLength: 3 }),
    readonlyPaths: fc.array(path, { maxLength: 3 }),
    resources: fc.record(
      {
        memory: fc.record({ limit: fc.nat(), swap: fc.constant(-1) }),
        pids: fc.record({ limit: fc.integer({ min: -1, max: 1000 }) }),
        cpu: fc.record({ shares: fc.nat(10_000), cpus: fc.constant("0-1") }),
        devices: fc.constant([{ allow: false, access: "rwm" }]),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);

/** Valid for certain: the schema has seen it. What a plan must refuse is among them, and must not be all of them. */
const config = fc
  .record(
    {
      ociVersion: fc.constant("1.3.0"),
      root: fc.record({ path: fc.constantFrom("rootfs", "/srv/rootfs"), readonly: flag }),
      process: process_,
      hostname: name,
      domainname: name,
      mounts: fc.array(mount, { maxLength: 5 }),
      hooks: fc.record({
        prestart: hooks,
        createRuntime: hooks,
        createContainer: hooks,
        startContainer: hooks,
        poststop: hooks,
      }),
      linux,
    },
    { requiredKeys: ["ociVersion", "root", "process", "linux"] },
  )
  .map((value) => parseDocument(RuntimeConfig, value, "config.json"));

/** The same config without most of what a plan must refuse, so that enough of them are made. */
function mend(config: RuntimeConfig): RuntimeConfig {
  const { linux = {}, mounts = [], process } = config;
  const wanted = new Map((linux.namespaces ?? []).map((namespace) => [namespace.type, namespace]));
  wanted.set("mount", { type: "mount" });
  for (const type of ["uts", "network", "ipc"] as const) if (!wanted.has(type)) wanted.set(type, { type });
  const { timeOffsets, uidMappings, gidMappings, ...rest } = linux;
  const own = [{ containerID: 0, hostID: 100_000, size: 1000 }];
  /** One range of any map, and with the container's root. */
  const sound = (map: typeof uidMappings) => map?.slice(0, 1).map((range) => ({ ...range, containerID: 0 }));
  const sysctl = Object.fromEntries(
    Object.entries(linux.sysctl ?? {}).filter(([key]) => key !== "kernel.panic" && key !== "net..x"),
  );
  // Somebody has to answer it.
  const syscalls = (linux.seccomp?.syscalls ?? []).filter(
    ({ action }) => action !== "SCMP_ACT_NOTIFY" || linux.seccomp?.listenerPath !== undefined,
  );
  return {
    ...config,
    ...(process === undefined ? {} : { process: { ...process, noNewPrivileges: true } }),
    mounts: mounts.flatMap((mount) => {
      const options = (mount.options ?? []).filter(
        (option) => option !== "remount" && !option.endsWith("idmap"),
      );
      if (/^.?proc/.test(mount.destination.replace(/[./]+/, "/")) || mount.destination.includes(".."))
        return [];
      if (mount.type?.startsWith("cgroup") === true) return [{ ...mount, options: ["ro"] }];
      return [{ ...mount, type: mount.type ?? "tmpfs", options }];
    }),
    linux: {
      ...rest,
      namespaces: [...wanted.values()],
      sysctl,
      devices: (linux.devices ?? []).filter(({ major = 0 }) => major >= 0 && major <= 4095),
      ...(wanted.get("user") === undefined
        ? {}
        : { uidMappings: sound(uidMappings) ?? own, gidMappings: sound(gidMappings) ?? own }),
      ...(wanted.get("time")?.path === undefined && wanted.has("time") && timeOffsets ? { timeOffsets } : {}),
      ...(linux.seccomp === undefined ? {} : { seccomp: { ...linux.seccomp, syscalls } }),
    },
  };
}

/** Facts that the config could have: some of every path is missing, some sources are files. */
const input: fc.Arbitrary<PlanInput> = fc
  .record({
    config: fc.oneof(config, { weight: 2, arbitrary: config.map(mend) }),
    // Labels are not to be what a plan is refused for.
    host: fc
      .constantFrom(...Object.values(HOSTS), ...Object.values(HOSTS).map(forUser))
      .map((host) => ({ ...host, lsm: ["apparmor", "selinux"] })),
    missing: fc.array(fc.nat(3), { minLength: 6, maxLength: 6 }),
    files: fc.array(flag, { minLength: 6, maxLength: 6 }),
    start: fc.constantFrom("wait", "go"),
    init: flag,
    noPivot: flag,
    preserveFds: fc.nat(3),
    nofile: maybe(fc.constant({ soft: 1024n, hard: 18446744073709551615n })),
    afterUser: fc.uniqueArray(fc.constantFrom<NamespaceType>(...NAMESPACE_TYPES), { maxLength: 3 }),
    resctrl: fc.option(
      fc.record({
        root: fc.constant("/sys/fs/resctrl"),
        schemata: fc.option(fc.constant("L3:0=f\n"), { nil: undefined }),
        monitored: fc.boolean(),
      }),
      { nil: undefined },
    ),
    hostsOwn: fc.oneof(
      { weight: 5, arbitrary: fc.constant([]) },
      {
        weight: 1,
        arbitrary: fc.uniqueArray(fc.constantFrom<NamespaceType>(...NAMESPACE_TYPES), { maxLength: 1 }),
      },
    ),
  })
  .map(
    ({
      config,
      host,
      missing,
      files,
      start,
      init,
      noPivot,
      preserveFds,
      nofile,
      afterUser,
      hostsOwn,
      resctrl,
    }) => {
      const facts = planFacts(config);
      const depth = (destination: string) => destination.split("/").filter(Boolean).length;
      const mounts = facts.mounts.map((fact, index) => ({
        ...fact,
        missing: Math.min(missing[index] ?? 0, depth(fact.destination)),
        file: files[index] ?? false,
        closed: !(files[index] ?? false),
      }));
      const options = { start, init, noPivot, preserveFds } as const;
      return planInput(config, { host, facts: { mounts, nofile, afterUser, hostsOwn, resctrl }, options });
    },
  );

/** Descriptors that an executor would have: those that the plan opens, and its own. */
function descriptors({ steps }: Plan): Record<string, number> {
  const all: Record<string, number> = { report: 3, start: 4 };
  for (const step of steps) {
    if (step.on === "host" && step.action.do === "open") all[step.action.as] = Object.keys(all).length + 3;
  }
  return all;
}

const PROPERTY = /^(process|root|mounts|hostname|domainname|hooks|linux)\b/;

function checkStep(step: Step): void {
  expect(step.field).toMatch(PROPERTY);
  expect(step.about).not.toBe("");
  if (step.on === "host") return;
  for (const { call, allow } of step.rows) {
    if (allow === undefined) continue;
    if (allow === "any") {
      expect(Object.keys(MAY_FAIL_ANYHOW)).toContain(`${step.field} ${call}`);
      continue;
    }
    const named = NAMED.find(([field]) => field.test(step.field))?.[1] ?? [];
    expect({ field: step.field, call, allow, isNamed: named.includes(allow) }).toEqual({
      field: step.field,
      call,
      allow,
      isNamed: true,
    });
  }
}

test("every plan of a valid config can be written, or says in one line why there is none", () => {
  let made = 0;
  const runs = 600;
  fc.assert(
    fc.property(input, (given) => {
      let plan: Plan;
      try {
        plan = makePlan(given);
      } catch (error) {
        if (!(error instanceof CtrError)) throw error;
        expect(["INVALID_CONFIG", "UNSUPPORTED", "CGROUP", "SECCOMP"]).toContain(error.code);
        expect(error.field).toMatch(PROPERTY);
        expect(error.message).toMatch(/^[^\n]+$/);
        return;
      }
      made++;
      for (const step of plan.steps) checkStep(step);
      for (const arch of ["x86_64", "aarch64"] as const) {
        const program = writeProgram({ steps: initSteps(plan), arch, descriptors: descriptors(plan) });
        expect(program.rows.length).toBe(program.stepOfRow.length);
      }
      expect(recordPlan(plan)).not.toContain("undefined");
    }),
    { numRuns: runs },
  );
  expect(made).toBeGreaterThan(runs / 6);
});

test("the same input gives the same plan, and is left as it was", () => {
  fc.assert(
    fc.property(input, (given) => {
      const text = () => {
        try {
          return recordPlan(makePlan(given));
        } catch (error) {
          return error instanceof CtrError ? error.message : "";
        }
      };
      const before = Bun.inspect(given.config, { depth: 20 });
      expect(text()).toBe(text());
      expect(Bun.inspect(given.config, { depth: 20 })).toBe(before);
    }),
    { numRuns: 100 },
  );
});
