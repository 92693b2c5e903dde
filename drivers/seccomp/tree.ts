/**
 * Finds a number's label by a balanced tree of comparisons. Not here: what stands at the labels.
 */
import type { Label, ProgramWriter } from "./program.ts";

/** Numbers from `from` to the next range's `from` (the last one: to 2^32 - 1). */
export interface Range {
  readonly from: number;
  readonly label: Label;
}

/** Ranges from 0 up; neighbours with the same label are one. */
export interface RangeList {
  readonly all: readonly Range[];
  /** From here on up, until something else is put: never below what was put before. */
  put(from: number, label: Label): void;
}

/** An empty list. The first `from` has to be 0. */
export function rangeList(): RangeList {
  const all: Range[] = [];
  return {
    all,
    put(from, label) {
      const last = all[all.length - 1];
      if (last?.label === label) return;
      if (last?.from === from) {
        all.pop();
        if (all[all.length - 1]?.label === label) return;
      }
      all.push({ from, label });
    },
  };
}

/** Code that goes to the label of the range that the accumulator is in. */
export function writeTree(
  writer: ProgramWriter,
  ranges: readonly Range[],
  start = 0,
  end = ranges.length,
): Label {
  const [first, second, third] = [ranges[start], ranges[start + 1], ranges[start + 2]];
  if (first === undefined) throw new RangeError("no ranges");
  if (second === undefined || end - start === 1) return first.label;
  // One number with the same on both sides of it takes one question instead of two.
  if (third !== undefined && end - start === 3) {
    const alone = third.from === second.from + 1 && first.label === third.label;
    if (alone) return writer.jump("jeq", second.from, second.label, first.label);
  }
  const half = (start + end) >> 1;
  const right = writeTree(writer, ranges, half, end);
  const left = writeTree(writer, ranges, start, half);
  return writer.jump("jge", ranges[half]?.from ?? 0, right, left);
}
