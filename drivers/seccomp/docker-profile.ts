/**
 * Docker's form of a profile (`--security-opt seccomp=FILE`; containerd and Podman read it as well), which is OCI's
 * with conditions: architectures by map, rules that hold for some capabilities, architectures or kernels only.
 * Not here: OCI's own parts (src/spec/runtime/seccomp.ts), or reading files.
 */
import * as v from "valibot";
import type { Host } from "../../src/driver.ts";
import { lazy, object, optional, optionalText, rule } from "../../src/spec/builders.ts";
import { parseDocument } from "../../src/spec/parse.ts";
import {
  LinuxSeccomp,
  type LinuxSyscall,
  LinuxSyscallArg,
  SECCOMP_ACTIONS,
  SECCOMP_ARCHITECTURES,
  type SeccompAction,
} from "../../src/spec/runtime/seccomp.ts";
import { FilledText, integer, TextList } from "../../src/spec/scalars.ts";

const KernelVersion = v.pipe(
  FilledText,
  v.regex(/^\d+\.\d+$/, 'must be a kernel version such as "5.14"'),
  v.transform((text) => text.split(".").map(Number)),
);

/** When a rule counts. In Go all three are lists or strings that may be left out or null. */
const Filter = lazy(() =>
  object({
    caps: optional(TextList),
    /** Go's names: amd64, arm64, ... */
    arches: optional(TextList),
    minKernel: optional(KernelVersion),
  }),
);
type Filter = v.InferOutput<typeof Filter>;

const Syscall = lazy(() =>
  v.pipe(
    object({
      name: optionalText(FilledText),
      names: optional(v.array(FilledText)),
      action: v.picklist(SECCOMP_ACTIONS),
      errnoRet: optional(integer(0, 65535)),
      args: optional(v.array(LinuxSyscallArg)),
      includes: optional(Filter),
      excludes: optional(Filter),
    }),
    rule(({ name, names }, complain) => {
      if (name !== undefined && names !== undefined && names.length > 0)
        complain("must not have both name and names");
      if (name === undefined && (names === undefined || names.length === 0)) {
        complain("must have at least one entry", "names");
      }
    }),
  ),
);

/** What comes beside the fields of OCI. */
const DockerProfile = lazy(() =>
  v.pipe(
    object({
      architectures: optional(v.array(v.picklist(SECCOMP_ARCHITECTURES))),
      archMap: optional(
        v.array(
          object({
            architecture: v.picklist(SECCOMP_ARCHITECTURES),
            subArchitectures: optional(v.array(v.picklist(SECCOMP_ARCHITECTURES))),
          }),
        ),
      ),
      syscalls: optional(v.array(Syscall)),
    }),
    rule(({ architectures = [], archMap = [] }, complain) => {
      if (architectures.length > 0 && archMap.length > 0)
        complain("must not have both architectures and archMap");
    }),
  ),
);

const native = { x86_64: "SCMP_ARCH_X86_64", aarch64: "SCMP_ARCH_AARCH64" } as const;
const goNames = { x86_64: "amd64", aarch64: "arm64" } as const;

/** A profile for one container, and what of the document it was made of. */
export interface ChosenProfile {
  readonly profile: LinuxSeccomp;
  /** Of each rule of the profile: which one of the document's it is. */
  readonly from: readonly number[];
  /** Rules of the document that do not hold for this container. */
  readonly left: readonly LeftOut[];
}

/** A rule that was left out. */
export interface LeftOut {
  readonly index: number;
  readonly names: readonly string[];
  readonly action: SeccompAction;
  /** `only with CAP_SYS_ADMIN` */
  readonly why: string;
}

/**
 * A profile in Docker's form, or OCI's, as OCI's linux.seccomp for one container.
 * @param caps the container's bounding set: `CAP_SYS_ADMIN`, ...
 * @throws CtrError INVALID_CONFIG for the first fault, with its path
 */
export function fromDockerProfile(
  profile: unknown,
  caps: readonly string[],
  arch: Host["arch"],
  kernelVersion: Host["kernelVersion"],
): LinuxSeccomp {
  return chooseRules(profile, caps, arch, kernelVersion).profile;
}

/** As {@link fromDockerProfile}, with where its rules are from. */
export function chooseRules(
  document: unknown,
  caps: readonly string[],
  arch: Host["arch"],
  kernelVersion: Host["kernelVersion"],
): ChosenProfile {
  const what = "seccomp profile";
  const { architectures, archMap, syscalls } = parseDocument(DockerProfile, document, what);
  const mapped = archMap?.find(({ architecture }) => architecture === native[arch]);
  const facts = (filter: Filter = {}): Fact[] => factsOf(filter, caps, goNames[arch], kernelVersion);
  const rules: LinuxSyscall[] = [];
  const from: number[] = [];
  const left: LeftOut[] = [];
  for (const [index, entry] of (syscalls ?? []).entries()) {
    const names = entry.name === undefined ? (entry.names ?? []) : [entry.name];
    const { action, errnoRet, args } = entry;
    // Docker's reading: `includes` wants all that it names, and for `excludes` one is enough.
    const missing = facts(entry.includes).find(({ holds }) => !holds);
    const against = facts(entry.excludes).find(({ holds }) => holds);
    if (missing !== undefined) left.push({ index, names, action, why: `only ${missing.fact}` });
    else if (against !== undefined) left.push({ index, names, action, why: `not ${against.fact}` });
    else {
      rules.push({ names, action, errnoRet, args });
      from.push(index);
    }
  }
  const plain = {
    ...(document as object),
    architectures:
      mapped === undefined ? architectures : [mapped.architecture, ...(mapped.subArchitectures ?? [])],
    syscalls: syscalls === undefined ? undefined : rules,
  };
  return { profile: parseDocument(LinuxSeccomp, plain, what), from, left };
}

interface Fact {
  /** `with CAP_SYS_ADMIN`, to stand behind "only" or "not". */
  readonly fact: string;
  readonly holds: boolean;
}

/** For each thing that a filter names, whether it is the case. */
function factsOf(
  { caps = [], arches = [], minKernel }: Filter,
  had: readonly string[],
  goArch: string,
  [major, minor]: Host["kernelVersion"],
): Fact[] {
  const facts = caps.map((cap) => ({ fact: `with ${cap}`, holds: had.includes(cap) }));
  if (arches.length > 0) facts.push({ fact: `on ${arches.join(", ")}`, holds: arches.includes(goArch) });
  if (minKernel !== undefined) {
    const [leastMajor = 0, leastMinor = 0] = minKernel;
    facts.push({
      fact: `from Linux ${leastMajor}.${leastMinor} on`,
      holds: major > leastMajor || (major === leastMajor && minor >= leastMinor),
    });
  }
  return facts;
}
