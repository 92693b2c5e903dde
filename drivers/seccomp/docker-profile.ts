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
  LinuxSyscallArg,
  SECCOMP_ACTIONS,
  SECCOMP_ARCHITECTURES,
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
  const what = "seccomp profile";
  const { architectures, archMap, syscalls } = parseDocument(DockerProfile, profile, what);
  const mapped = archMap?.find(({ architecture }) => architecture === native[arch]);
  const facts = (filter: Filter = {}): boolean[] => factsOf(filter, caps, goNames[arch], kernelVersion);
  // Docker's reading: `includes` wants all that it names, and for `excludes` one is enough.
  const chosen = syscalls?.filter(
    ({ includes, excludes }) => !facts(includes).includes(false) && !facts(excludes).includes(true),
  );
  const plain = {
    ...(profile as object),
    architectures:
      mapped === undefined ? architectures : [mapped.architecture, ...(mapped.subArchitectures ?? [])],
    syscalls: chosen?.map(({ name, names, action, errnoRet, args }) => ({
      names: name === undefined ? names : [name],
      action,
      errnoRet,
      args,
    })),
  };
  return parseDocument(LinuxSeccomp, plain, what);
}

/** For each thing that a filter names, whether it is the case. */
function factsOf(
  { caps = [], arches = [], minKernel }: Filter,
  had: readonly string[],
  goArch: string,
  [major, minor]: Host["kernelVersion"],
): boolean[] {
  const facts = caps.map((cap) => had.includes(cap));
  if (arches.length > 0) facts.push(arches.includes(goArch));
  if (minKernel !== undefined) {
    const [leastMajor = 0, leastMinor = 0] = minKernel;
    facts.push(major > leastMajor || (major === leastMajor && minor >= leastMinor));
  }
  return facts;
}
