/**
 * Finds the label of the range that a number is in, by comparisons. The tree is balanced by weight, so that what is
 * asked for often takes few of them, and no number takes many: its depth is bounded.
 * (Bit tables, which classic BPF could shift out of constants, take seven instructions where this takes five.)
 * Not here: what stands at the labels, or what is asked for often.
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

/** What a range looks like while the tree is made: a leaf, or two that hang below one comparison. */
interface Node {
  readonly weight: number;
  readonly leaf: number;
  readonly below: readonly Node[];
}

/**
 * How many comparisons each range takes in the tree whose weighted sum of them is the least (Garsia and Wachs, "A new
 * algorithm for minimum cost binary trees", 1977).
 */
export function depths(weights: readonly number[]): number[] {
  const nodes: Node[] = weights.map((weight, leaf) => ({ weight, leaf, below: [] }));
  const weightAt = (at: number): number => nodes[at]?.weight ?? Number.POSITIVE_INFINITY;
  let at = 1;
  while (nodes.length > 1) {
    // The first neighbours of which neither would rather go with somebody else.
    while (weightAt(at - 1) > weightAt(at + 1)) at++;
    const below = nodes.splice(at - 1, 2);
    const weight = below.reduce((sum, node) => sum + node.weight, 0);
    let to = at - 1;
    while (to > 0 && weightAt(to - 1) < weight) to--;
    nodes.splice(to, 0, { weight, leaf: -1, below });
    at = Math.max(1, to - 1);
  }
  const found = weights.map(() => 0);
  const measure = ({ leaf, below }: Node, depth: number): void => {
    if (leaf >= 0) found[leaf] = depth;
    for (const node of below) measure(node, depth + 1);
  };
  for (const node of nodes) measure(node, 0);
  return found;
}

/**
 * Code that goes to the label of the range that the accumulator is in.
 * @param weights how often each range is asked for, in any unit; all the same where not given
 */
export function writeTree(
  writer: ProgramWriter,
  ranges: readonly Range[],
  weights: readonly number[] = ranges.map(() => 1),
): Label {
  const depthOf = depths(weights);

  /** Where the ranges of the left half of a subtree at this depth end. */
  function endOf(start: number, depth: number): number {
    const own = depthOf[start] ?? depth;
    return own <= depth ? start + 1 : endOf(endOf(start, depth + 1), depth + 1);
  }

  function write(start: number, end: number, depth: number): Label {
    const [first, second, third] = [ranges[start], ranges[start + 1], ranges[start + 2]];
    if (first === undefined) throw new RangeError("no ranges");
    if (second === undefined || end - start === 1) return first.label;
    // One number with the same on both sides of it takes one question instead of two.
    if (third !== undefined && end - start === 3) {
      const alone = third.from === second.from + 1 && first.label === third.label;
      if (alone) return writer.jump("jeq", second.from, second.label, first.label);
    }
    const half = endOf(start, depth + 1);
    const right = write(half, end, depth + 1);
    const left = write(start, half, depth + 1);
    return writer.jump("jge", ranges[half]?.from ?? 0, right, left);
  }

  return write(0, ranges.length, 0);
}
