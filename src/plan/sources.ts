/**
 * Sources of bind mounts that the container's init does not simply take by itself when their turn comes. Pure.
 *
 * - `early`: with `rootfsPropagation` shared, a mount that asks to be shared is taken before / stops spreading mounts:
 *   only so it is shared with the host. All others are slaves of the host's by then, and stay it.
 * - `helper`: what root of the container's user namespace may not do, reach a source below a closed directory or map the
 *   IDs of a mount, is done by a helper with ctr-bun's rights. It enters the container's mount namespace first: a tree
 *   that is cloned outside of it would lose the locks that keep its options and what it covers as they are.
 *
 * Both take sources before the first mount, but for those that lie in an earlier mount of the same config.
 */
import {
  AT_FDCWD,
  AT_RECURSIVE,
  CLONE_NEWNS,
  F_DUPFD_CLOEXEC,
  MS_SHARED,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  PR_SET_NAME,
} from "../kernel/constants.ts";
import type { Mount } from "../spec/runtime/config.ts";
import { idMapHints, idMapRow, idMapSteps, isIdMapped } from "./idmap.ts";
import { listsNamespace, type MountFact, type PlanInput } from "./input.ts";
import { type MountOptions, optionsOf } from "./mount-options.ts";
import { mountSlot } from "./mount-rows.ts";
import {
  CONTROL_SIZE,
  descriptorBuffers,
  descriptorPlace,
  receiveRows,
  report,
  row,
  sendDescriptor,
  slot,
  syncRows,
} from "./rows.ts";
import type { HostStep, InitStep, Row, SourcesPoint, Step } from "./step.ts";

interface Source {
  readonly mount: Mount;
  readonly fact: MountFact;
  readonly options: MountOptions;
  readonly index: number;
}

/** Who takes the source of a bind mount, and when. One that is ID-mapped is never shared with the host. */
export function takerOf(
  { config, facts, host }: PlanInput,
  { mount, options, index }: Omit<Source, "fact">,
): "init" | "early" | "helper" {
  if (isIdMapped(mount, options)) return "helper";
  const user = listsNamespace(config, "user");
  // Of an ordinary user's container root is that user, whom no helper of theirs has the better of.
  if (user) return facts.mounts[index]?.closed === true && host.unprivileged !== true ? "helper" : "init";
  // Nothing of the config's own mounts is the host's.
  if (facts.mounts[index]?.covered === true) return "init";
  const asksShared = options.propagation.some(({ flag }) => flag === MS_SHARED);
  return asksShared && /^r?shared$/.test(config.linux?.rootfsPropagation ?? "") ? "early" : "init";
}

/** Clones a source into the slot of its mount. */
export function takeRow({ fact, options, index }: Omit<Source, "mount">): Row {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (options.recursive ? AT_RECURSIVE : 0);
  return row("open_tree", [AT_FDCWD, fact.source, flags], { store: mountSlot(index) });
}

/** What the errnos of {@link takeRow} mean. */
export const TAKE_HINTS: Readonly<Record<string, string>> = {
  ENOENT: "the source of the bind mount must exist",
  EINVAL: "the source is unbindable, or without rbind would show what is mounted over in it",
};

function sources(input: PlanInput, taker: "early" | "helper"): Source[] {
  return (input.config.mounts ?? []).flatMap((mount, index) => {
    const options = optionsOf(mount);
    const fact = input.facts.mounts[index];
    if (!options.bind || options.remount || fact === undefined) return [];
    return takerOf(input, { mount, options, index }) === taker ? [{ mount, fact, options, index }] : [];
  });
}

function takeStep(source: Source): InitStep {
  return {
    on: "init",
    field: `mounts[${source.index}]`,
    about: `take ${source.fact.source}`,
    path: source.fact.source,
    rows: [takeRow(source)],
    hints: TAKE_HINTS,
  };
}

/** What is taken while / still spreads mounts. */
export function earlySourceSteps(input: PlanInput): InitStep[] {
  return sources(input, "early").map(takeStep);
}

/** Sources that the helper takes in one go. */
interface Group {
  readonly point: SourcesPoint;
  readonly wanted: readonly Source[];
}

/** All at once before the first mount, but for those that an earlier mount puts there: they are taken in their turn. */
function helperGroups(input: PlanInput): Group[] {
  const all = sources(input, "helper");
  const first = all.filter(({ fact }) => fact.covered !== true);
  const later = all.filter(({ fact }) => fact.covered === true);
  return [
    ...(first.length === 0 ? [] : [{ point: "sources 0" as const, wanted: first }]),
    ...later.map((source) => ({ point: `sources ${source.index + 1}` as const, wanted: [source] })),
  ];
}

/** What the helper of a group needs to be opened, by name. */
function openSteps(input: PlanInput, { wanted }: Group): Map<string, HostStep> {
  const steps = new Map<string, HostStep>();
  for (const { mount, options, index } of wanted) {
    if (!isIdMapped(mount, options)) continue;
    for (const step of idMapSteps(input, mount, index))
      if (step.action.do === "open-init" || step.action.do === "user-namespace")
        steps.set(step.action.as, step);
  }
  for (const [as, file, flags] of [
    ["init.mnt", "ns/mnt", O_RDONLY],
    ["init.root", "root", O_PATH | O_DIRECTORY],
  ] as const) {
    const action = { do: "open-init", as, file, flags } as const;
    steps.set(as, { on: "host", field: "mounts", about: `open ${file} of the container's init`, action });
  }
  return steps;
}

/**
 * The init waits, a helper takes the sources, and the init receives them: those of mount `index`, or, without it, all
 * that can be taken before the first mount.
 */
export function helperSourceSteps(input: PlanInput, index = -1): Step[] {
  const groups = helperGroups(input);
  const at = groups.findIndex(({ point }) => point === `sources ${index + 1}`);
  const group = groups[at];
  if (group === undefined) return [];
  const { point, wanted } = group;
  const opened = groups.slice(0, at).flatMap((earlier) => [...openSteps(input, earlier).keys()]);
  const control = (of: number) => `source ${of}.control`;
  const field = index < 0 ? "mounts" : `mounts[${index}]`;
  return [
    {
      on: "init",
      field,
      about: "wait for sources that the init may not take",
      sync: point,
      rows: syncRows(
        point,
        wanted.flatMap((source) => receiveRows(control(source.index), mountSlot(source.index))),
      ),
      buffers: Object.fromEntries(wanted.map((source) => [control(source.index), CONTROL_SIZE])),
    },
    ...[...openSteps(input, group)].flatMap(([as, step]) => (opened.includes(as) ? [] : [step])),
    {
      on: "host",
      field,
      about: "take sources by a helper in the container's mount namespace",
      action: { do: "helper", steps: helperProgram(input, wanted) },
    },
  ];
}

function helperProgram(input: PlanInput, wanted: readonly Source[]): InitStep[] {
  const enter: InitStep = {
    on: "init",
    field: "mounts",
    about: "enter the container's mount namespace",
    rows: [
      row("prctl", [PR_SET_NAME, "ctr-helper", 0, 0, 0]),
      row("setns", [{ fd: "init.mnt" }, CLONE_NEWNS]),
      // setns(2) leads to the namespace's own root, which is not the init's where ctr-bun lives in a chroot.
      row("fchdir", [{ fd: "init.root" }]),
      row("chroot", ["."]),
    ],
  };
  const take = wanted.flatMap((source): InitStep[] => {
    const { mount, options, index, fact } = source;
    const key = ` ${index}`;
    const step = takeStep(source);
    const map: InitStep = {
      ...step,
      about: `map the IDs of ${fact.source}`,
      rows: [idMapRow(input, mount, options, index)],
      hints: idMapHints(fact.fileSystem ?? "unknown"),
    };
    const send: InitStep = {
      ...step,
      about: `send ${fact.source} to the init`,
      rows: [
        row("fcntl", [slot(mountSlot(index)), F_DUPFD_CLOEXEC, 3], { store: descriptorPlace("source", key) }),
        sendDescriptor("source", key),
      ],
      buffers: descriptorBuffers("source", key),
    };
    return isIdMapped(mount, options) ? [step, map, send] : [step, send];
  });
  const end: InitStep = {
    on: "init",
    field: "mounts",
    about: "be done",
    rows: [report("executing"), row("exit_group", [0])],
  };
  return [enter, ...take, end];
}
