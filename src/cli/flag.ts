/**
 * Definitions of flags in few words. Not here: which flags there are (run-args.ts and its like), how they are read
 * (argv.ts).
 */

/** One that is there or not. */
export const flag = <const A extends string>(description: string, alias?: A) =>
  ({ type: "boolean", description, ...(alias === undefined ? {} : { alias }) }) as const;

/** One with a value. */
export const text = (description: string, valueHint: string, alias?: string) =>
  ({ type: "string", description, valueHint, ...(alias === undefined ? {} : { alias }) }) as const;

/** One that may be given many times. */
export const list = (description: string, valueHint: string, alias?: string) =>
  ({
    type: "string",
    repeatable: true,
    description,
    valueHint,
    ...(alias === undefined ? {} : { alias }),
  }) as const;
