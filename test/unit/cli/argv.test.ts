// How command lines are read: what Docker's users type, and that nothing is lost or made up on the way.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { nearest, parseArgv } from "../../../src/cli/argv.ts";
import { CtrError } from "../../../src/error.ts";

const defs = {
  interactive: { type: "boolean", alias: "i", description: "" },
  tty: { type: "boolean", alias: "t", description: "" },
  rm: { type: "boolean", description: "" },
  "no-trunc": { type: "boolean", description: "" },
  env: { type: "string", alias: "e", repeatable: true, description: "" },
  name: { type: "string", description: "" },
  user: { type: "string", alias: "u", description: "" },
  hostname: { type: "string", alias: "h", description: "" },
  image: { type: "positional", description: "" },
  command: { type: "positional", rest: true, required: false, description: "" },
} as const;

const run = (...argv: string[]) => parseArgv(argv, defs, { verb: "run", stopAtPositional: true });

function values(...argv: string[]) {
  const outcome = run(...argv);
  if (outcome.help) throw new Error("help was asked for");
  return outcome.values;
}

function errorOf(work: () => unknown): CtrError {
  try {
    work();
  } catch (error) {
    if (error instanceof CtrError) return error;
  }
  throw new Error("no error");
}

test("a number with a sign is an argument where a verb says so, and a flag elsewhere", () => {
  const of = { verb: "explain", numbersArePositional: true };
  expect(parseArgv(["image", "-1", "-0x20", "-t"], defs, of)).toMatchObject({
    values: { image: "image", command: ["-1", "-0x20"], tty: true },
  });
  expect(errorOf(() => parseArgv(["image", "-1"], defs, { verb: "run" })).message).toContain("-1");
});

describe("flags", () => {
  test("end at the image: what is behind it belongs to the program", () => {
    const { rm, image, command } = values("--rm", "busybox", "ls", "-l", "--color", "--rm");
    expect({ rm, image, command }).toEqual({
      rm: true,
      image: "busybox",
      command: ["ls", "-l", "--color", "--rm"],
    });
  });

  test("of one letter may stand together, the last with its value", () => {
    const { interactive, tty, user } = values("-itu1000", "x");
    expect({ interactive, tty, user }).toEqual({ interactive: true, tty: true, user: "1000" });
    expect(values("-itu", "1000:5", "x").user).toBe("1000:5");
    expect(values("-u=7", "x").user).toBe("7");
  });

  test("may be repeated, and keep their order", () => {
    expect(values("-e", "A=1", "--env=B=2", "-eC", "x").env).toEqual(["A=1", "B=2", "C"]);
  });

  test("take values with = in them, and empty ones", () => {
    expect(values("--name=a=b", "x").name).toBe("a=b");
    expect(values("--name=", "x").name).toBe("");
    expect(values("--name", "--rm", "x").name).toBe("--rm");
  });

  test("without a value can be said to be off", () => {
    expect(values("--rm=false", "x").rm).toBe(false);
    expect(values("--no-trunc", "x")["no-trunc"]).toBe(true);
    expect(values("-i=false", "x").interactive).toBe(false);
    expect(errorOf(() => run("--rm=maybe", "x")).message).toContain("--rm");
  });

  test("end at --", () => {
    const { image, command } = values("--", "--rm", "-x");
    expect({ image, command }).toEqual({ image: "--rm", command: ["-x"] });
  });

  test("stand anywhere where the verb has no program", () => {
    const outcome = parseArgv(["a", "-i", "b"], { ...defs }, { verb: "rm" });
    expect(outcome.help ? undefined : [outcome.values.image, outcome.values.command]).toEqual(["a", ["b"]]);
    expect(outcome.help ? undefined : outcome.given).toEqual(new Set(["interactive"]));
  });

  test("that are not known are refused, with the one that was meant", () => {
    const error = errorOf(() => run("--nmae", "x", "y"));
    expect(error.message).toBe("unknown flag: --nmae");
    expect(error.hint).toContain("did you mean --name?");
    expect(error.exitCode).toBe(125);
    expect(errorOf(() => run("-itz", "x")).message).toBe("unknown flag: -z in -itz");
  });

  test("ask for help only before the image, and -h only where it means nothing else", () => {
    expect(run("--help").help).toBe(true);
    expect(run("x", "--help").help).toBe(false);
    expect(values("-h", "me", "x").hostname).toBe("me");
    expect(parseArgv(["-h"], { rm: defs.rm }, { verb: "rm" }).help).toBe(true);
  });

  test("that lack a value are refused", () => {
    expect(errorOf(() => run("--name")).message).toBe("flag needs an argument: --name");
  });
});

describe("positionals", () => {
  test("that are missing are named", () => {
    expect(errorOf(() => run("--rm")).message).toBe("IMAGE is missing");
  });

  test("that are too many are refused", () => {
    expect(errorOf(() => parseArgv(["a", "b"], { image: defs.image }, { verb: "pull" })).message).toBe(
      'unexpected argument: "b"',
    );
  });

  test("a lone dash is one", () => {
    expect(values("-", "x").image).toBe("-");
  });
});

test("whatever stands behind the image reaches the program unchanged", () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.array(fc.string({ minLength: 1 })), (command, env) => {
      const flags = env.flatMap((each) => ["-e", each]);
      const outcome = values(...flags, "image", ...command);
      expect(outcome.command).toEqual(command);
      expect(outcome.env).toEqual(env);
    }),
  );
});

test("no command line makes anything but values or an error of usage", () => {
  const word = fc.oneof(fc.string(), fc.constantFrom("-i", "-t", "--rm", "-e", "--name", "--", "-", "--x=y"));
  fc.assert(
    fc.property(fc.array(word), (argv) => {
      try {
        run(...argv);
      } catch (error) {
        expect(error).toBeInstanceOf(CtrError);
        expect((error as CtrError).code).toBe("USAGE");
      }
    }),
  );
});

test("nearest finds a typing error's meaning and nothing far off", () => {
  expect(nearest("imges", ["images", "inspect"])).toBe("images");
  expect(nearest("frobnicate", ["images", "inspect"])).toBeUndefined();
});
