// The start-up cost of the OCI path: what its schemas pull in, and that nothing is built before it is used.

import { expect, test } from "bun:test";
import { dirname, join, relative } from "node:path";

const spec = join(import.meta.dir, "../../../src/spec");

/** Files of the project that `file` needs at run time, itself included. */
async function needs(file: string, found = new Set<string>()): Promise<Set<string>> {
  if (found.has(file)) return found;
  found.add(file);
  const imports = new Bun.Transpiler({ loader: "ts" }).scanImports(await Bun.file(file).text());
  for (const { path } of imports) if (path.startsWith(".")) await needs(join(dirname(file), path), found);
  return found;
}

test("the schemas of the runtime need none of images and registries", async () => {
  for (const entry of ["runtime/config.ts", "runtime/state.ts", "runtime/features.ts", "parse.ts"]) {
    const files = [...(await needs(join(spec, entry)))].map((file) => relative(spec, file));
    expect(files).toContain(entry);
    expect(files.filter((file) => /^(image|distribution)\//.test(file))).toEqual([]);
  }
});

test("a section that a document does not have is not built", async () => {
  const { lazy, object, optional } = await import("../../../src/spec/builders.ts");
  const { parseDocument } = await import("../../../src/spec/parse.ts");
  const { Text } = await import("../../../src/spec/scalars.ts");
  let built = 0;
  const part = lazy(() => {
    built++;
    return object({ name: Text });
  });
  const whole = lazy(() => object({ part: optional(part) }));
  parseDocument(whole, {}, "it");
  expect(built).toBe(0);
  for (const name of ["a", "b"])
    expect(parseDocument(whole, { part: { name } }, "it").part).toEqual({ name });
  expect(built).toBe(1);
});
