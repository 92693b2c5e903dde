import { expect, test } from "bun:test";
import fc from "fast-check";
import { jsonLine } from "../../../src/spec/json-line.ts";

const text = `{
  "a": [1, {"b": []},
    [], {},
    {"c":
      5}],
  "d": {}, "quoted \\"[{": {"f": [
    7]}
}`;

test.each([
  [[], 1],
  [["a"], 2],
  [["a", 1, "b"], 2],
  [["a", 2], 3],
  [["a", 3], 3],
  [["a", 4], 4],
  [["a", 4, "c"], 5],
  [["d"], 6],
  [['quoted "[{', "f", 0], 7],
  [["a", 5], undefined],
  [["z"], undefined],
])("%j stands on line %p", (path, line) => {
  expect(jsonLine(text, path)).toBe(line);
});

test("every value of any document is found where it was written", () => {
  const leaf = fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.constant(null));
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie("tree")), fc.dictionary(fc.string(), tie("tree"))),
  }));
  fc.assert(
    fc.property(tree, (value) => {
      // With an indent, a value stands on a line of its own; walking it in the same order counts the lines.
      const lines = JSON.stringify(value, undefined, 1);
      let line = 1;
      const walk = (part: unknown, path: (string | number)[]): void => {
        expect(jsonLine(lines, path)).toBe(line);
        if (typeof part !== "object" || part === null) return;
        const entries = Array.isArray(part) ? [...part.entries()] : Object.entries(part);
        for (const [key, inner] of entries) {
          line++;
          walk(inner, [...path, key]);
        }
        if (entries.length > 0) line++;
      };
      walk(value, []);
    }),
    { seed: 5 },
  );
});
