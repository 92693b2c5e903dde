// The environment of a container.

import { describe, expect, test } from "bun:test";
import { buildEnv, changeEnv, parseEnvFile, parseEnvFlag, withHome } from "../../../src/engine/config/env.ts";

const caller = { MINE: "m", EMPTY: "" };

test("-e sets, takes the caller's, or takes away", () => {
  expect(parseEnvFlag("A=b=c", caller)).toEqual({ name: "A", value: "b=c" });
  expect(parseEnvFlag("A=", caller)).toEqual({ name: "A", value: "" });
  expect(parseEnvFlag("MINE", caller)).toEqual({ name: "MINE", value: "m" });
  expect(parseEnvFlag("NOT_MINE", caller)).toEqual({ name: "NOT_MINE", value: undefined });
  expect(() => parseEnvFlag("=x", caller)).toThrow("no variable name");
});

describe("env files", () => {
  test("are read as Docker reads them", () => {
    const text =
      '\uFEFF# comment\nA=1\n\n  B=two words # no comment\nC="quoted"\r\nMINE\nNOT_MINE\nEMPTY\nD=\n';
    expect(parseEnvFile(text, "f", caller)).toEqual([
      { name: "A", value: "1" },
      { name: "B", value: "two words # no comment" },
      { name: "C", value: '"quoted"' },
      { name: "MINE", value: "m" },
      { name: "EMPTY", value: "" },
      { name: "D", value: "" },
    ]);
  });

  test("with a fault name file and line", () => {
    expect(() => parseEnvFile("A=1\n=x\n", "f", caller)).toThrow(
      expect.objectContaining({ field: "f:2", message: "a line has no variable name" }),
    );
    expect(() => parseEnvFile("A B=1", "f", caller)).toThrow("white space");
  });
});

test("image, files and flags are laid over what every container has", () => {
  const env = buildEnv({
    image: ["PATH=/bin", "LANG=C", "broken", "X=1"],
    hostname: "h",
    terminal: true,
    changes: [
      { name: "X", value: "2" },
      { name: "LANG", value: undefined },
      { name: "NEW", value: "3" },
    ],
  });
  expect(env).toEqual(["PATH=/bin", "HOSTNAME=h", "TERM=xterm", "X=2", "NEW=3"]);
});

test("HOME is the user's unless someone set it", () => {
  expect(withHome(["A=1"], "/root")).toEqual(["A=1", "HOME=/root"]);
  expect(withHome(["HOME=/x"], "/root")).toEqual(["HOME=/x"]);
  expect(changeEnv(["A=1", "B=2"], [{ name: "A", value: "3" }])).toEqual(["A=3", "B=2"]);
});
