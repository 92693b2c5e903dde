/** docs/spec-conformance.md, where a test can tell: the errors that it quotes are given, the tests it names are there. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fixtureValue } from "../spec/support.ts";

const ROOT = join(import.meta.dir, "../../..");
const text = readFileSync(join(ROOT, "docs/spec-conformance.md"), "utf8");

/** Quoted errors that no recorded config gives, by their beginning: the test that expects them, and its words. */
const SHOWN_ELSEWHERE: readonly (readonly [error: string, file: string, words: string])[] = [
  ["CGROUP_BUSY linux.cgroupsPath", "vm/systemd", 'unable to start unit "ctr-bun-taken.scope"'],
  ["CGROUP linux.cgroupsPath: is relative", "host/nested", "is relative to ctr-bun's own cgroup"],
  ["CGROUP linux.resources.FIELD", "unit/cgroup/plan", "the cgroup controller memory is not mounted"],
  ["INIT linux.devices[N]: cannot make", "host/config-errors", "cannot make /file"],
  ["INIT process.apparmorProfile: cannot apply", "vm/labels", "cannot apply the AppArmor profile"],
  ["INIT process.oomScoreAdj: cannot set", "host/task", "cannot set oom_score_adj to"],
  ["INIT process.selinuxLabel", "vm/labels", "process.selinuxLabel"],
  [
    "INVALID_CONFIG linux.cgroupsPath: expected",
    "unit/cgroup/systemd-unit",
    "expected cgroupsPath to be of format",
  ],
  [
    "INVALID_CONFIG linux.namespaces[N]: the file of a namespace",
    "host/namespaces",
    "the file of a namespace of another type",
  ],
  [
    "INVALID_CONFIG linux.uidMappings: 341",
    "unit/plan/refusals-user",
    "341 ranges: the kernel takes at most 340",
  ],
  [
    "INVALID_CONFIG linux.seccomp.listenerPath: cannot give",
    "host/seccomp-notify",
    "cannot give the seccomp listener to its agent",
  ],
  ["NAME_TAKEN linux.netDevices", "host/net-devices", "the container's network namespace has a device"],
  ["NO_DRIVER systemd not running", "host/command-line", "systemd not running on this host"],
  ["NOT_FOUND linux.netDevices", "host/net-devices", "link not found for interface"],
  ["NOT_FOUND mounts[N].source", "host/lifecycle", "the source of the bind mount does not exist"],
  ["SYSCALL linux.netDevices", "host/net-devices", "cannot move the network device"],
  ["UNSUPPORTED linux.resources.devices", "unit/cgroup/systemd-properties", "systemd cannot take exceptions"],
  ["UNSUPPORTED checkpoint", "host/events", "checkpoint is not supported"],
  ["UNSUPPORTED process.apparmorProfile: cannot be had with --init", "unit/plan/refusals", "with --init"],
  ["USAGE there is no verb", "host/command-line", "there is no verb"],
  ["USAGE unknown flag", "host/command-line", "unknown flag"],
];

/** What the fixtures say of bad configs. */
const GIVEN: readonly string[] = [
  ...(fixtureValue("config/refused.json") as { error: string }[]).map(({ error }) => error),
  ...(fixtureValue("config/bad.json") as { at: string; field?: string; message: string }[]).map(
    ({ at, field = at, message }) => `INVALID_CONFIG ${field}: ${message}`,
  ),
];

/** A quoted error as the pattern of a beginning: `...` stands for anything, N for an index. */
function patternOf(quote: string): RegExp {
  const plain = quote.replaceAll(/\s+/g, " ").replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  const open = plain.replaceAll("\\.\\.\\.", ".+").replaceAll("[N\\]", "[\\d+\\]");
  return new RegExp(`^${open}`);
}

const QUOTES = [...text.matchAll(/`((?:[A-Z]+_)*[A-Z]{4,} [a-z][^`]*)`/g)].map(([, quote = ""]) => quote);

test("every error that is quoted is one that a test expects", () => {
  expect(QUOTES.length).toBeGreaterThan(40);
  const unknown = QUOTES.filter((quote) => {
    const pattern = patternOf(quote);
    return (
      !GIVEN.some((error) => pattern.test(error)) &&
      !SHOWN_ELSEWHERE.some(([error]) => quote.startsWith(error))
    );
  });
  expect(unknown).toEqual([]);
});

test.each(SHOWN_ELSEWHERE)("%s is quoted, and is in %s", (error, file, words) => {
  expect(QUOTES.filter((quote) => quote.startsWith(error))).not.toEqual([]);
  expect(readFileSync(join(ROOT, "test", `${file}.test.ts`), "utf8")).toContain(words);
});

/** Where a test is that the table calls by this name; undefined for one that is nowhere. */
function testOf(name: string, isGolden: boolean): string | undefined {
  const [folder = "", rest = ""] = name.split("/", 2);
  const places = isGolden
    ? [`spec-fixtures/plans/${name}.txt`]
    : name === "values"
      ? ["test/unit/cgroup/plan.test.ts"]
      : folder === "plan"
        ? [`test/unit/plan/${rest}.test.ts`]
        : [`test/host/${name}.test.ts`, `test/${name}.test.ts`, `test/${name}`];
  return places.find((place) => existsSync(join(ROOT, place)));
}

test("every test that the tables name is there", () => {
  const missing: string[] = [];
  let count = 0;
  let namesTests = false;
  for (const [, row = ""] of text.matchAll(/^\|(.*)\|$/gm)) {
    const cell = row.split(/(?<!\\)\|/).at(-1) ?? "";
    if (/^ (shown by|flags of runc)/.test(cell)) namesTests = cell.startsWith(" shown by");
    if (!namesTests) continue;
    // What is quoted, or said in brackets, is no name.
    const words = cell.replaceAll(/`[^`]*`|\([^)]*\)/g, "").split(/[,;:]/);
    let isGolden = false;
    for (const word of words.map((each) => each.trim())) {
      if (!/^(golden )?[a-z0-9]+([-/][a-z0-9-]+)*$/.test(word)) continue;
      const name = word.replace(/^golden /, "");
      isGolden = (isGolden && testOf(name, true) !== undefined) || word !== name;
      count += 1;
      if (testOf(name, isGolden) === undefined) missing.push(word);
    }
  }
  expect(missing).toEqual([]);
  expect(count).toBeGreaterThan(100);
});

test("every property of the configuration is listed, or the section that it is in", () => {
  const listed = new Set<string>();
  for (const [line] of text.matchAll(/^(?:\| [^|]*\||#.*$)/gm))
    for (const [, quoted = ""] of line.matchAll(/`([^`]*)`/g))
      for (const word of quoted.split(".")) listed.add(word);
  const full = fixtureValue("config/full.json") as Record<string, unknown>;
  const keys = (value: unknown) =>
    Object.keys((Array.isArray(value) ? value[value.length - 1] : value) as object);
  const linux = full.linux as Record<string, Record<string, unknown>>;
  const names = [
    ...keys(full),
    ...["process", "root", "mounts", "hooks", "linux"].flatMap((section) => keys(full[section])),
    ...keys(linux.seccomp),
    ...["memory", "cpu", "pids", "network"].flatMap((section) => keys(linux.resources?.[section])),
  ];
  expect(names.length).toBeGreaterThan(80);
  expect(names.filter((name) => !listed.has(name))).toEqual([]);
});
