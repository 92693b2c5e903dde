// The log of the OCI level: which flags there are, and lines in the format that engines parse.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type LogFlags,
  logDebug,
  logLine,
  logOptions,
  logWarning,
  openLog,
} from "../../../src/cli/oci/log.ts";
import { asCtrError, errorLine } from "../../../src/error.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ctr-bun-log-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function flags(more: Partial<LogFlags> = {}): LogFlags {
  return { log: undefined, "log-format": undefined, "log-level": undefined, debug: false, ...more };
}

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return errorLine(asCtrError(error));
  }
  return "";
}

describe("flags", () => {
  test("--debug is the same as --log-level debug, and beats another level", () => {
    expect(logOptions(flags()).level).toBe("warning");
    expect(logOptions(flags({ "log-level": "error" })).level).toBe("error");
    expect(logOptions(flags({ "log-level": "error", debug: true })).level).toBe("debug");
  });

  test("a file is given by its path, or as crun's file:PATH", () => {
    expect(logOptions(flags({ log: "/a:b" })).file).toBe("/a:b");
    expect(logOptions(flags({ log: "file:/a" })).file).toBe("/a");
    expect(logOptions(flags({ log: "" })).file).toBeUndefined();
  });

  test("what is not there is refused", () => {
    expect(refusal(() => logOptions(flags({ "log-format": "xml" })))).toBe(
      "--log-format: invalid log-format: xml",
    );
    expect(refusal(() => logOptions(flags({ "log-level": "loud" })))).toBe(
      '--log-level: unknown level "loud"',
    );
    expect(refusal(() => logOptions(flags({ log: "syslog:x" })))).toBe("--log: syslog is not supported");
    expect(refusal(() => logOptions(flags({ log: "journald:x" })))).toBe("--log: journald is not supported");
  });

  test("a file that cannot be written is an error", () => {
    const file = join(folder, "nowhere/log");
    expect(refusal(() => openLog(logOptions(flags({ log: file }))))).toBe(
      `--log: cannot open the log file: no such file or directory (openat ${file}: ENOENT)`,
    );
  });
});

describe("lines", () => {
  const now = new Date(Date.UTC(2024, 0, 2, 3, 4, 5, 678));

  test("text is logrus's: quoted only where it must be, whole seconds", () => {
    expect(logLine("error", 'no "x"\n', {}, "text", now)).toBe(
      'time="2024-01-02T03:04:05Z" level=error msg="no \\"x\\"\\n"\n',
    );
    expect(logLine("warning", "one-word", {}, "text", now)).toBe(
      'time="2024-01-02T03:04:05Z" level=warning msg=one-word\n',
    );
  });

  test("JSON has level, msg and time, and then what else is known", () => {
    expect(logLine("error", "no", { code: "X", errno: "EPERM" }, "json", now)).toBe(
      '{"level":"error","msg":"no","time":"2024-01-02T03:04:05Z","code":"X","errno":"EPERM"}\n',
    );
  });

  test("go to the end of the file, and debug lines are not even made where nobody wants them", () => {
    const file = join(folder, "log");
    const at = (level: "error" | "warning" | "debug") => ({ file, format: "json", level }) as const;
    logWarning("unheard", at("error"));
    logWarning("first", at("warning"));
    logDebug(() => {
      throw new Error("made");
    }, at("warning"));
    logDebug(() => ["second", "third"], at("debug"));
    const lines = readFileSync(file, "utf8").trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(["first", "second", "third"]);
  });
});
