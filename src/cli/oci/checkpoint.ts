/** `checkpoint ID`: refused, whatever flags of runc and crun come with it. */
import { type CtrError, fail } from "../../error.ts";
import { needRecord } from "../../runtime/state.ts";
import { defineVerb } from "./verb.ts";

/** Flags that are taken, and change nothing. */
export const SWITCH = { type: "boolean", description: "taken as runc has it" } as const;
export const VALUE = { type: "string", description: "taken as runc has it" } as const;

/** Flags that checkpoint and restore share: what CRIU is told. */
export const CRIU_ARGS = {
  "image-path": VALUE,
  "work-path": VALUE,
  "tcp-established": SWITCH,
  "ext-unix-sk": SWITCH,
  "shell-job": SWITCH,
  "file-locks": SWITCH,
  "lazy-pages": SWITCH,
  "auto-dedup": SWITCH,
  "manage-cgroups-mode": VALUE,
  "empty-ns": { ...VALUE, repeatable: true },
  "network-lock": VALUE,
} as const;

/** The error of both verbs. */
export function noCriu(verb: string): CtrError {
  return fail({
    code: "UNSUPPORTED",
    message: `${verb} is not supported: ctr-bun saves no running container and brings none back`,
    hint: "stop the container, keep what it writes in a volume, and start it anew; or run it with runc and CRIU",
  });
}

export default defineVerb({
  name: "checkpoint",
  about: "not supported",
  args: {
    ...CRIU_ARGS,
    "parent-path": VALUE,
    "leave-running": { ...SWITCH, alias: "R" },
    "tcp-skip-in-flight": SWITCH,
    "link-remap": SWITCH,
    "status-fd": VALUE,
    "page-server": VALUE,
    "pre-dump": SWITCH,
    id: { type: "positional", description: "the container's ID" },
  },
  async run({ id }, { root }) {
    needRecord(root, id);
    throw noCriu("checkpoint");
  },
});
