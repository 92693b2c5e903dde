// Random numbers that can be had again: seeded, so that a failure found by chance can be repeated.

export interface Random {
  /** At least 0, less than 1. */
  next(): number;
  /** A whole number from 0 up to and without `end`. */
  below(end: number): number;
}

/** mulberry32. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x100000000;
  };
  return { next, below: (end) => Math.floor(next() * end) };
}

/** The seed of CTR_BUN_SEED, or a fresh one. */
export function chooseSeed(): number {
  return Number(process.env.CTR_BUN_SEED ?? Math.floor(Math.random() * 0x100000000));
}
