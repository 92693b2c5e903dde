/**
 * `ctr-bun seccomp compile, disasm, explain, diff` as people use them: the built executable, with Podman's profile and
 * others', and filters that the kernel takes. Needs gcc and golang-github-containers-common (with podman).
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const executable = resolve(import.meta.dir, "../../dist/ctr-bun");
const podman = "/usr/share/containers/seccomp.json";
const folder = mkdtempSync(join(tmpdir(), "seccomp-workbench-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function call(command: readonly string[], input = ""): Result {
  const child = Bun.spawnSync([...command], { stdin: Buffer.from(input), cwd: folder });
  return { code: child.exitCode, out: child.stdout.toString(), err: child.stderr.toString() };
}

const ctr = (...args: string[]): Result => call([executable, "seccomp", ...args]);

/** A file in the folder. */
function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content, undefined, 1));
  return path;
}

/** Allows all but one call. */
const without = (call: string, args?: unknown[]) => ({
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names: [call], action: "SCMP_ACT_ERRNO", errnoRet: 28, args }],
});

describe("compile", () => {
  const load = join(folder, "load");
  beforeAll(() => {
    const source = join(import.meta.dir, "seccomp-load.c");
    expect(call(["gcc", "-Wall", "-Werror", "-o", load, source])).toMatchObject({ code: 0, err: "" });
  });

  test("raw is a filter that the kernel takes and obeys", () => {
    const filter = join(folder, "filter");
    expect(ctr("compile", "-o", filter, file("mkdir.json", without("mkdir")))).toEqual({
      code: 0,
      out: "",
      err: "",
    });
    const made = call([load, filter, "mkdir", "made"]);
    expect(made).toMatchObject({ code: 1, err: expect.stringContaining("No space left on device") });
    expect(existsSync(join(folder, "made"))).toBe(false);
    expect(call([load, filter, "true"]).code).toBe(0);
  });

  test("our default profile and Podman's let ordinary programs run", () => {
    for (const profile of ["default", podman]) {
      const filter = join(folder, "ordinary");
      expect(ctr("compile", profile, "--output", filter).code).toBe(0);
      expect(call([load, filter, "sh", "-c", "ls / | wc -l; echo done"])).toMatchObject({
        code: 0,
        out: expect.stringContaining("done"),
      });
    }
  });

  test("without -o it goes to standard output, the same bytes", () => {
    const { stdout } = Bun.spawnSync([executable, "seccomp", "compile", podman]);
    ctr("compile", "-o", join(folder, "same"), podman);
    expect(Buffer.compare(stdout, readFileSync(join(folder, "same")))).toBe(0);
    expect(stdout.byteLength % 8).toBe(0);
  });

  test("raw is refused to a terminal", () => {
    const { out, code } = call(["script", "-qec", `${executable} seccomp compile default`, "/dev/null"]);
    expect(code).toBe(125);
    expect(Bun.stripANSI(out)).toContain("a raw filter is not for terminals");
    expect(out).toContain("-o FILE");
  });

  test("asm is what disasm shows of the raw filter; json has every field", () => {
    const filter = join(folder, "raw");
    ctr("compile", "-o", filter, podman);
    const { out } = ctr("compile", "--format", "asm", podman);
    expect(ctr("disasm", filter).out).toBe(out);
    expect(ctr("disasm", podman).out).toBe(out);
    const json = JSON.parse(ctr("compile", "--format", "json", podman).out);
    expect(json.instructions).toHaveLength(readFileSync(filter).byteLength / 8);
    expect(json.instructions[0]).toEqual({ code: 0x20, jt: 0, jf: 0, k: 4 });
    expect(json).toMatchObject({ arch: "x86_64", notify: [] });
  });

  test("capabilities and other hosts make other filters", () => {
    const asm = (...flags: string[]) => ctr("compile", "--format", "asm", ...flags, "default").out;
    const plain = asm();
    expect(asm("--cap-add", "sys_admin")).not.toBe(plain);
    expect(asm("--cap-add", "SYS_CHROOT", "--cap-drop", "all")).toBe(plain);
    expect(asm("--cap-drop", "CAP_SYS_CHROOT")).toBe(asm("--cap-drop", "all"));
    expect(asm("--cap-drop", "CAP_SYS_CHROOT")).not.toBe(plain);
    expect(asm("--arch", "arm64")).toContain("# aarch64");
  });
});

describe("explain", () => {
  test("names the rule in the file, its line, and the way through the program", () => {
    const { out, code } = ctr("explain", podman, "openat");
    expect(code).toBe(0);
    const [, place = "", line = ""] =
      /^ {2}(syscalls\[\d+\]), line (\d+): it names the call/m.exec(out) ?? [];
    const document = JSON.parse(readFileSync(podman, "utf8"));
    const index = Number(/\d+/.exec(place)?.[0]);
    expect(document.syscalls[index].names).toContain("openat");
    // The rule's brace stands there, its names on one of the next lines.
    const lines = readFileSync(podman, "utf8").split("\n");
    expect(lines[Number(line) - 1]?.trim()).toBe("{");
    expect(lines[Number(line)]).toContain('"names"');
    const disasm = ctr("disasm", podman).out.split("\n");
    const path = out.split("\n").filter((each) => /^ {4}\d{4} /.test(each));
    for (const step of path) expect(disasm).toContain(step.trim());
    expect(path.at(-1)).toContain("# ALLOW");
  });

  test("what capabilities would open is told", () => {
    const closed = ctr("explain", podman, "bpf");
    expect(closed.out).toMatch(/^ERRNO 1 \(EPERM\)$/m);
    expect(closed.out).toMatch(
      /note: syscalls\[\d+\], line \d+: SCMP_ACT_ALLOW for it is left out: only with CAP_/,
    );
    expect(ctr("explain", "--cap-add", "BPF", "--cap-add", "SYS_ADMIN", podman, "bpf").out).toMatch(
      /^ALLOW$/m,
    );
  });

  test("arguments are decimal, hexadecimal or negative; calls may be numbers", () => {
    const profile = file("signal.json", {
      ...without("kill", [{ index: 0, op: "SCMP_CMP_EQ", value: 0xffff_ffff }]),
      architectures: ["SCMP_ARCH_X86"],
    });
    const verdict = (...words: string[]) => ctr("explain", profile, ...words).out.split("\n")[2];
    expect(verdict("kill", "4294967295")).toContain("ERRNO 28");
    expect(verdict("62", "0xffffffff", "9")).toContain("ERRNO 28");
    expect(verdict("0x3e", "-1")).toBe("ALLOW");
    expect(verdict("--arch", "x86", "kill", "-1")).toContain("ERRNO 28");
    expect(ctr("explain", profile, "kill", "nine")).toMatchObject({ code: 125 });
    expect(ctr("explain", profile, "kill", "0x10000000000000000")).toMatchObject({ code: 125 });
    expect(ctr("explain", profile, "kill", "1", "2", "3", "4", "5", "6", "7")).toMatchObject({ code: 125 });
  });

  test("a config.json, a bundle, standard input", () => {
    const seccomp = without("mkdir");
    const config = file("config.json", { ociVersion: "1.0.2", linux: { seccomp } });
    for (const name of [config, folder]) {
      expect(ctr("explain", name, "mkdir").out).toContain("linux.seccomp.syscalls[0], line 7: it names");
    }
    const piped = call([executable, "seccomp", "explain", "-", "mkdir"], JSON.stringify(seccomp));
    expect(piped.out).toContain("under standard input");
    expect(piped.out).toContain("syscalls[0], line 1: it names");
  });

  test("as JSON", () => {
    const explanation = JSON.parse(ctr("explain", "--format", "json", "default", "clone").out);
    expect(explanation).toMatchObject({ syscall: "clone", number: 56, architecture: "x86_64" });
    expect(explanation.outcomes.map((outcome: { verdict: string }) => outcome.verdict)).toEqual([
      "ALLOW",
      "ERRNO 1 (EPERM)",
    ]);
  });
});

describe("diff", () => {
  test("0 without differences, 1 with some, 2 on an error", () => {
    expect(ctr("diff", podman, podman)).toEqual({ code: 0, out: "", err: "" });
    const one = ctr("diff", file("one.json", without("mkdir")), file("two.json", without("rmdir")));
    expect(one.code).toBe(1);
    expect(one.out).toContain("x86_64: mkdir\n- ERRNO 28 (ENOSPC)  # syscalls[0], line 4\n+ ALLOW\n");
    expect(one.out).toContain("x86_64: rmdir\n- ALLOW\n+ ERRNO 28 (ENOSPC)  # syscalls[0], line 4\n");
    expect(ctr("diff", podman, "/nothing/there").code).toBe(2);
  });

  test("what is the same in other words is no difference", () => {
    const profile = JSON.parse(readFileSync(podman, "utf8"));
    const { syscalls } = profile as { syscalls: { names: string[] }[] };
    // A rule for each name, from the last of a list to the first.
    const alone = syscalls.flatMap((rule) =>
      [...rule.names].reverse().map((name) => ({ ...rule, names: [name] })),
    );
    const other = file("alone.json", { ...profile, syscalls: alone });
    expect(ctr("diff", podman, other)).toEqual({ code: 0, out: "", err: "" });
  });

  test("what the order of Podman's rules decides", () => {
    const { syscalls, ...rest } = JSON.parse(readFileSync(podman, "utf8"));
    const reversed = file("reversed.json", { ...rest, syscalls: [...syscalls].reverse() });
    const { out } = ctr("diff", "--format", "json", podman, reversed);
    const found: { syscall: string; verdicts: string[] }[] = JSON.parse(out);
    expect(new Set(found.map(({ syscall }) => syscall))).toEqual(new Set(["setns"]));
    expect(found[0]?.verdicts).toEqual(["ALLOW", "ERRNO 1 (EPERM)"]);
  });

  test("the difference that a condition makes, with arguments; as JSON", () => {
    const condition = [{ index: 1, op: "SCMP_CMP_GT", value: 2 ** 40 }];
    const files = [file("one.json", without("kill")), file("two.json", without("kill", condition))];
    const found = JSON.parse(ctr("diff", "--format", "json", ...files).out);
    expect(found).toEqual([
      {
        architecture: "x86_64",
        syscall: "kill",
        when: "in all other cases",
        args: [0, 0, 0, 0, 0, 0],
        verdicts: ["ERRNO 28 (ENOSPC)", "ALLOW"],
        rules: ["syscalls[0]", null],
      },
    ]);
  });
});

describe("errors", () => {
  test("say which profile, where in it, and the way out", () => {
    const conflict = {
      defaultAction: "SCMP_ACT_ERRNO",
      archMap: [],
      syscalls: [
        { names: ["read"], action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_NONE"] } },
        { names: ["kill"], action: "SCMP_ACT_ALLOW", errnoRet: 3 },
      ],
    };
    expect(ctr("compile", "--format", "asm", file("conflict.json", conflict)).err).toBe(
      `ctr-bun: ${folder}/conflict.json: syscalls[1].errnoRet: SCMP_ACT_ALLOW takes no errno\n`,
    );
    expect(ctr("explain", file("syntax.json", '{\n "defaultAction": }'), "read").err).toStartWith(
      `ctr-bun: ${folder}/syntax.json:2:19: not valid JSON: expected a value, got "}"`,
    );
    expect(ctr("explain", file("bad.json", { defaultAction: "ALLOW" }), "read").err).toContain(
      `${folder}/bad.json: defaultAction: expected one of`,
    );
    expect(ctr("explain", file("open.json", { ociVersion: "1.0.2" }), "read").err).toContain(
      "linux.seccomp: is not there: this container makes all calls",
    );
    expect(ctr("disasm", file("odd", "odd number")).err).toContain(
      "is neither a profile (JSON) nor a filter",
    );
    expect(ctr("explain", "default", "waitpid").err).toContain("--arch i386");
    expect(ctr("explian", "default", "read")).toMatchObject({
      code: 125,
      err: expect.stringContaining("did you mean explain?"),
    });
  });

  test("the help of every command is there", () => {
    for (const name of ["compile", "disasm", "explain", "diff"]) {
      expect(ctr(name, "--help")).toMatchObject({
        code: 0,
        out: expect.stringContaining(`USAGE ctr-bun seccomp ${name} `),
      });
      expect(ctr("--help").out).toContain(name);
    }
  });
});
