// A digest of a source file and of all that it loads, at any remove: it changes with every change of what the file does.

import { join, resolve } from "node:path";

/** SHA-256 over the names, relative to `root`, and texts of `entry` and of every file that it imports or requires. */
export async function sourceDigest(root: string, entry: string): Promise<string> {
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  const texts = new Map<string, string>();
  const todo = [entry];
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    if (texts.has(name)) continue;
    const text = await Bun.file(join(root, name)).text();
    texts.set(name, text);
    for (const { path } of transpiler.scanImports(text)) {
      if (path.startsWith(".")) todo.push(resolve("/", name, "..", path).slice(1));
    }
  }
  const hasher = new Bun.CryptoHasher("sha256");
  for (const name of [...texts.keys()].sort()) hasher.update(`${name}\0${texts.get(name)}\0`);
  return hasher.digest("hex");
}
