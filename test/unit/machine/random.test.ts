/**
 * Programs made at random, run by the stub and by a small interpreter of the same rows: both must come to the same
 * output, the same slots, the same report and the same exit code. The calls are those whose results are known.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { ERRNO } from "../../../src/kernel/errno.ts";
import type { MachineArch } from "../../../src/machine/program.ts";
import type { Arg, Row } from "../../../src/plan/step.ts";
import { exit, message, native, run, show } from "./runner.ts";

const SLOTS = ["s0", "s1", "s2", "s3"] as const;
const FILE_SIZE = 100n;
const INPUT = new Uint8Array(Number(FILE_SIZE)).map((_, i) => i);
/** A program that takes longer in the interpreter is one that may not end, and is not run. */
const FUEL = 300;

const u64 = (value: bigint) => BigInt.asUintN(64, value);
const i64 = (value: bigint) => BigInt.asIntN(64, value);

/** What the calls here depend on, and what the program shows. */
interface State {
  readonly slots: Map<string, bigint>;
  position: bigint;
  umask: bigint;
  cloexec: bigint;
  out: number[];
}

interface Ending {
  readonly code: number;
  readonly report: readonly number[];
  readonly out: readonly number[];
}

/** The value of an argument that is a constant, a slot, or a descriptor; addresses stay what they are. */
function resolve(arg: Arg | undefined, state: State): bigint {
  if (typeof arg === "number" || typeof arg === "bigint") return u64(BigInt(arg));
  if (typeof arg === "object" && "slot" in arg) return state.slots.get(arg.slot) ?? 0n;
  if (typeof arg === "object" && "fd" in arg) return arg.fd === "in" ? 5n : 4n;
  throw new Error("an argument that the interpreter does not know");
}

/** lseek(2) of a file of FILE_SIZE bytes. */
function seek(state: State, offset: bigint, whence: bigint): bigint {
  const bases = new Map([
    [0n, 0n],
    [1n, state.position],
    [2n, FILE_SIZE],
  ]);
  const base = bases.get(BigInt.asUintN(32, whence));
  if (base === undefined || base + i64(offset) < 0n) return -BigInt(ERRNO.EINVAL);
  state.position = base + i64(offset);
  return state.position;
}

/** The result of a call. */
function call(row: Row, state: State): bigint {
  const [a, b, c] = row.args;
  const value = (arg: Arg | undefined) => resolve(arg, state);
  switch (row.call) {
    case "test":
      return (value(a) & value(b)) === value(c) ? 0n : 1n;
    case "lseek":
      return seek(state, value(b), value(c));
    case "umask": {
      const before = state.umask;
      state.umask = value(a) & 0o777n;
      return before;
    }
    case "fcntl":
      if (value(b) === 1n) return state.cloexec;
      state.cloexec = value(c) & 1n;
      return 0n;
    case "close":
      return -BigInt(ERRNO.EBADF);
    case "write": {
      if (typeof b === "object" && "at" in b) {
        const bytes = new Uint8Array(new BigUint64Array([state.slots.get(b.at) ?? 0n]).buffer);
        state.out.push(...bytes.subarray(b.offset ?? 0, (b.offset ?? 0) + Number(value(c))));
      } else if (typeof b === "string") state.out.push(...Buffer.from(b));
      return value(c);
    }
    default:
      throw new Error(`the interpreter does not know ${row.call}`);
  }
}

/** Carries the rows out; undefined when they take too long. */
function interpret(rows: readonly Row[]): Ending | undefined {
  const state: State = { slots: new Map(), position: 0n, umask: 0n, cloexec: 0n, out: [] };
  const indexOf = (label: string) => rows.findIndex((row) => row.label === label);
  const failure = (errno: number, row: number): Ending => ({
    code: 1,
    report: [...message(3, errno, row)],
    out: state.out,
  });
  let at = 0;
  for (let fuel = FUEL + rows.length; fuel > 0; fuel--) {
    const row = rows[at];
    if (row === undefined) return failure(ERRNO.ENOEXEC, rows.length - 1);
    if (row.call === "exit_group") {
      return { code: Number(resolve(row.args[0], state) & 0xffn), report: [], out: state.out };
    }
    if (row.call === "fail") {
      const [errno, target] = row.args;
      const label = typeof target === "object" && "label" in target ? target.label : "";
      return failure(Number(u64(-resolve(errno, state)) & 0xffff_ffffn), indexOf(label));
    }
    const result = call(row, state);
    if (typeof row.store === "string") state.slots.set(row.store, u64(result));
    let next: string | undefined;
    // `test` gives 0 or 1; every other result here is a small number or -errno.
    if (result === 0n) next = row.onZero;
    else if (result < 0n) {
      const errno = Number(-result);
      const allowed = row.allow === "any" || ERRNO[row.allow as keyof typeof ERRNO] === errno;
      if (!allowed) return failure(errno, at);
      next = row.onError;
    }
    at = next === undefined ? at + 1 : indexOf(next);
  }
  return undefined;
}

const slot = fc.constantFrom(...SLOTS);
const interesting = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom<number | bigint>(-1, 0xff, 0xffff_ffff, 2 ** 40, -(2 ** 40), 1n << 63n, (1n << 64n) - 1n),
);
const value: fc.Arbitrary<Arg> = fc.oneof(
  interesting,
  slot.map((name) => ({ slot: name })),
);
const IN: Arg = { fd: "in" };
const OUT: Arg = { fd: "out" };
// Constants only: a slot may come to hold SEEK_DATA or SEEK_HOLE, whose results are the file system's own.
const whence = fc.constantFrom<Arg>(0, 1, 2, 9);

/** Row without its flags. */
const calls: fc.Arbitrary<Row> = fc.oneof(
  fc.tuple(value, value, value).map((args): Row => ({ call: "test", args })),
  fc
    .tuple(
      fc.oneof(
        fc.integer({ min: -120, max: 300 }),
        slot.map((name): Arg => ({ slot: name })),
      ),
      whence,
    )
    .map(([offset, from]): Row => ({ call: "lseek", args: [IN, offset, from] })),
  value.map((mask): Row => ({ call: "umask", args: [mask] })),
  fc.constant<Row>({ call: "fcntl", args: [IN, 1] }),
  fc.integer({ min: 0, max: 1 }).map((flag): Row => ({ call: "fcntl", args: [IN, 2, flag] })),
  fc.constant<Row>({ call: "close", args: [-1] }),
  fc
    .tuple(slot, fc.integer({ min: 0, max: 7 }))
    .chain(([name, offset]) =>
      fc
        .integer({ min: 0, max: 8 - offset })
        .map((size): Row => ({ call: "write", args: [OUT, { at: name, offset }, size] })),
    ),
  fc
    .string({ unit: "grapheme-ascii", maxLength: 12 })
    .map((text): Row => ({ call: "write", args: [OUT, text, text.length] })),
);

const labels = (count: number) => fc.integer({ min: 0, max: count }).map((index) => `r${index}`);

/** Rows with labels r0.., behind them one that shows every slot and ends. Jumps go anywhere. */
const programs: fc.Arbitrary<readonly Row[]> = fc.integer({ min: 1, max: 25 }).chain((count) => {
  const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined, freq: 2 });
  const flags = fc.record({
    store: maybe(slot),
    allow: fc.constantFrom("any", "any", "any", "EBADF", "EINVAL", undefined),
    onError: maybe(labels(count)),
    onZero: maybe(labels(count)),
  });
  const plain = fc.tuple(calls, flags).map(([row, { store, allow, onError, onZero }]) => ({
    ...row,
    ...(store === undefined ? {} : { store }),
    ...(allow === undefined ? {} : { allow }),
    ...(onError === undefined ? {} : { onError }),
    ...(onZero === undefined ? {} : { onZero }),
  }));
  const end: fc.Arbitrary<Row> = fc.oneof(
    value.map((code): Row => ({ call: "exit_group", args: [code] })),
    fc.tuple(value, labels(count)).map(([errno, label]): Row => ({ call: "fail", args: [errno, { label }] })),
  );
  return fc
    .tuple(
      fc.array(fc.oneof({ arbitrary: plain, weight: 20 }, { arbitrary: end, weight: 1 }), {
        minLength: count,
        maxLength: count,
      }),
      fc.boolean(),
    )
    .map(([rows, ends]) => [
      ...rows.map((row, index): Row => ({ ...row, label: `r${index}` })),
      { ...show("s0"), label: `r${count}` },
      ...SLOTS.slice(1).map((name) => show(name)),
      ...(ends ? [exit(7)] : []),
    ]);
});

/** As many programs as take a few seconds; the first row makes the umask known. */
function sameAsInterpreter(arch: MachineArch, numRuns: number): void {
  fc.assert(
    fc.property(programs, (made) => {
      const rows: readonly Row[] = [{ call: "umask", args: [0] }, ...made];
      const expected = interpret(rows.map((row, i) => (i === 0 ? { call: "fcntl", args: [IN, 1] } : row)));
      fc.pre(expected !== undefined);
      const outcome = run(arch, rows, { input: INPUT });
      expect({ code: outcome.code, report: [...outcome.report], out: [...outcome.out] }).toEqual({
        code: expected.code,
        report: [...expected.report],
        out: [...expected.out],
      });
    }),
    { numRuns },
  );
}

test(`random programs do on ${native} what the rows say`, () => sameAsInterpreter(native, 400), 60_000);

test(
  "random programs do on aarch64 what the rows say (qemu)",
  () => sameAsInterpreter("aarch64", 40),
  60_000,
);
