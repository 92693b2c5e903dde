// npm run demo, from a fresh clone on: installs what the demo needs, then hands over to scripts/demo.ts.

import { demoPackages, demoTools } from "./lib/packages.mjs";
import { handOver, installModules, installPackages, main, requireHost, unpackTools } from "./lib/setup.mjs";

main(() => {
  requireHost("npm run demo");
  installPackages(demoPackages);
  unpackTools(demoTools);
  handOver(installModules(), "scripts/demo.ts", []);
});
