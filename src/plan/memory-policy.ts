/** `linux.memoryPolicy`: set_mempolicy(2), by the process itself, once it is in its cgroup. Pure. */
import { type CtrError, fail } from "../error.ts";
import { MPOL_FLAGS, MPOL_MODES } from "../kernel/constants.ts";
import type { Linux, LinuxMemoryPolicy } from "../spec/runtime/config.ts";
import { maskOfList } from "./number-list.ts";
import { row } from "./rows.ts";
import type { InitStep } from "./step.ts";

/** What set_mempolicy(2) demands of the nodes; MPOL_PREFERRED takes some or none. */
const WITHOUT_NODES: readonly string[] = ["MPOL_DEFAULT", "MPOL_LOCAL"];
const WITH_NODES: readonly string[] = [
  "MPOL_BIND",
  "MPOL_INTERLEAVE",
  "MPOL_PREFERRED_MANY",
  "MPOL_WEIGHTED_INTERLEAVE",
];

/** The step, where a policy is asked for. @throws CtrError INVALID_CONFIG. */
export function memoryPolicySteps(linux: Linux | undefined): InitStep[] {
  const policy = linux?.memoryPolicy;
  if (policy === undefined) return [];
  const { mode, nodes, flags = [] } = policy;
  checkPolicy(policy);
  let number: number = MPOL_MODES[mode];
  for (const flag of flags) number |= MPOL_FLAGS[flag];
  const mask = nodes === undefined ? undefined : maskOfList(nodes, "linux.memoryPolicy.nodes");
  return [
    {
      on: "init",
      field: "linux.memoryPolicy",
      about: `take memory by ${mode}${nodes === undefined ? "" : ` from the nodes ${nodes}`}`,
      // The kernel looks at one bit less than it is told of (get_nodes() in mm/mempolicy.c).
      rows: [
        row(
          "set_mempolicy",
          mask === undefined ? [number, 0, 0] : [number, { bytes: mask }, mask.byteLength * 8 + 1],
        ),
      ],
      hints: {
        EINVAL:
          "none of the nodes is there and in linux.resources.cpu.mems, or this kernel does not know the mode or a flag with it",
        ENOSYS: "this kernel has no memory policies (CONFIG_NUMA)",
      },
    },
  ];
}

function checkPolicy({ mode, nodes, flags = [] }: LinuxMemoryPolicy): void {
  if (nodes !== undefined && WITHOUT_NODES.includes(mode)) throw bad("nodes", `${mode} takes no nodes`);
  if (nodes === undefined && WITH_NODES.includes(mode)) throw bad("nodes", `${mode} needs nodes`);
  if (flags.includes("MPOL_F_STATIC_NODES") && flags.includes("MPOL_F_RELATIVE_NODES")) {
    throw bad("flags", "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other");
  }
}

function bad(property: "nodes" | "flags", message: string): CtrError {
  return fail({
    code: "INVALID_CONFIG",
    field: `linux.memoryPolicy.${property}`,
    message,
    hint: "set_mempolicy(2) says what goes together",
  });
}
