// npm test, from a fresh clone on: installs what the tests need, then hands over to scripts/test.ts.
// Usage: npm test [-- [GROUP...] [--filter REGEX]]

import { parseArgs } from "node:util";
import { testPackages, testTools } from "./lib/packages.mjs";
import { handOver, installModules, installPackages, main, requireHost, unpackTools } from "./lib/setup.mjs";

main(() => {
  const started = performance.now();
  const options = { filter: { type: "string" } };
  const { positionals } = parseArgs({ allowPositionals: true, options });
  const onlyUnit = positionals.length > 0 && positionals.every((group) => group === "unit");
  if (!onlyUnit) requireHost("npm test");
  installPackages(testPackages);
  unpackTools(testTools);
  const bun = installModules();
  const seconds = (performance.now() - started) / 1000;
  handOver(bun, "scripts/test.ts", process.argv.slice(2), { CTR_BUN_SETUP_SECONDS: seconds.toFixed(1) });
}, "0 passed, 1 failed");
