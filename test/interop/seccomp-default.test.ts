// The default profile beside Docker's, which is that of Debian's package: every call that the two answer differently, for
// Docker's default capabilities, is in the table of docs/seccomp.md, and nothing else is.

import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { nativeAbi } from "../../drivers/seccomp/abi.ts";
import { answerText } from "../../drivers/seccomp/answer.ts";
import { architectureOf } from "../../drivers/seccomp/architecture.ts";
import { seccompDriver } from "../../drivers/seccomp/driver.ts";
import { interpret } from "../../drivers/seccomp/interpret.ts";
import { workbench } from "../../drivers/seccomp/workbench.ts";
import { DEFAULT_CAPABILITIES } from "../../src/engine/config/capabilities.ts";
import { syscallNumbers } from "../../src/kernel/syscall-tables/tables.ts";
import { readJson } from "../../src/spec/json.ts";

const root = resolve(import.meta.dir, "../..");
const PROFILE = "usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json";

/** include/linux/socket.h */
const FAMILIES: Readonly<Record<string, number>> = { AF_ALG: 38, AF_VSOCK: 40 };

/** `x86_64 socket(38): EPERM, ALLOW` */
function lines(architectures: string, calls: string, ours: string, theirs: string): string[] {
  return architectures
    .split(", ")
    .flatMap((architecture) =>
      calls.split(", ").map((call) => `${architecture} ${call}: ${ours}, ${theirs}`),
    );
}

/** The rows of the table, a line for each call of each architecture. */
function documented(): string[] {
  const text = readFileSync(join(root, "docs/seccomp.md"), "utf8");
  const section = text.slice(text.indexOf("## The default profile"));
  const rows = section.match(/^\|(?: [^|]+ \|){5}$/gm)?.slice(1) ?? [];
  return rows.flatMap((row) => {
    const [architectures = "", calls = "", ours = "", theirs = "", why = ""] = row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
    expect({ calls, why }).not.toEqual({ calls, why: "" });
    const plain = calls.replaceAll("`", "").replace(/AF_\w+/g, (name) => `${FAMILIES[name]}`);
    return lines(architectures, plain, ours, theirs);
  });
}

const words = (verdict: string): string =>
  verdict
    .replace(/^ERRNO \d+ \((\w+)\)$/, "$1")
    .replace(/^not covered: /, "")
    .replace("covered by rules", "by the rules");

test("what it answers otherwise than Docker's is documented, call by call", () => {
  const file = [join("/", PROFILE), join(root, "build/tools", PROFILE)].find(existsSync);
  if (file === undefined)
    throw new Error("npm test unpacks golang-github-docker-docker-dev: it is not there");
  const kernel = [6, 12] as const;
  const ours = seccompDriver.defaultProfile(DEFAULT_CAPABILITIES, "x86_64");
  const source = (document: unknown) => workbench.read(document, DEFAULT_CAPABILITIES, "x86_64", kernel, "");
  const both = [source(ours), source(readJson(readFileSync(file, "utf8")))] as const;
  // Where a condition is asked, one example is no whole answer: every family, then.
  const filters = both.map(({ profile }) => seccompDriver.compile(profile, "x86_64", kernel).filter);
  const families = [nativeAbi("x86_64"), architectureOf("x86")].flatMap(({ table, audit }) => {
    const number = syscallNumbers(table).get("socket") ?? -1;
    return [...Array(64).keys()].flatMap((family) => {
      const [one, other] = filters.map((filter) =>
        words(answerText(interpret(filter, { number, audit, args: [BigInt(family)] }))),
      );
      return one === other ? [] : [`${table} socket(${family}): ${one}, ${other}`];
    });
  });
  const others = workbench
    .diff(...both, "x86_64")
    .filter(({ syscall }) => syscall !== "socket")
    .map(({ architecture, syscall, when, verdicts: [one, other] }) => {
      expect({ syscall, when }).toEqual({ syscall, when: undefined });
      return `${architecture} ${syscall === "*" ? "all" : syscall}: ${words(one)}, ${words(other)}`;
    });
  expect(documented().toSorted()).toEqual([...families, ...others].toSorted());
});
