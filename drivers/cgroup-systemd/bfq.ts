/**
 * Weights of BFQ and those of systemd, which has other ones for the same files. Pure.
 * Source: BFQ_WEIGHT() of systemd (src/basic/cgroup-util.h), since version 250.
 */

/** The weight of a cgroup that has none, for both. */
export const DEFAULT_WEIGHT = 100n;
/** 9900 of systemd's weights above the default are 900 of BFQ's. */
const STEP = 11n;
/** Least and most of BlockIOWeight=. */
const [LEAST, MOST] = [10n, 1000n];

/** The IOWeight= (1 to 10000) of which systemd makes this weight of BFQ's (1 to 1000). */
export function weightForBfq(weight: bigint): bigint {
  return weight <= DEFAULT_WEIGHT ? weight : DEFAULT_WEIGHT + (weight - DEFAULT_WEIGHT) * STEP;
}

/** As {@link weightForBfq} for v1's BlockIOWeight=, of which 1000 is 181 for BFQ: it says no more. */
export function blockWeightForBfq(weight: bigint): bigint {
  const exact = weightForBfq(weight);
  if (exact > MOST) return MOST;
  return exact < LEAST ? LEAST : exact;
}
