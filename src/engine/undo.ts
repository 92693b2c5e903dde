/**
 * What was made, so that it can be taken back: in reverse order, all of it, whatever goes wrong on the way.
 */

/** A stack of ways back. */
export interface Undo {
  /** Remembers how to take back what was just made. */
  add(back: () => void): void;
  /** Goes back. Errors do not stop it; they are returned. Once only: a second call does nothing. */
  run(): unknown[];
  /** Forgets everything: what was made stays. */
  keep(): void;
}

export function createUndo(): Undo {
  let ways: (() => void)[] = [];
  return {
    add(back) {
      ways.push(back);
    },
    run() {
      const errors: unknown[] = [];
      for (const back of ways.reverse()) {
        try {
          back();
        } catch (error) {
          errors.push(error);
        }
      }
      ways = [];
      return errors;
    },
    keep() {
      ways = [];
    },
  };
}
