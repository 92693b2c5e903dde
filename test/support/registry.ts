// A real registry for tests. It is the demo's own, so that both talk to the same thing; see scripts/lib/registry.ts.

export { type Registry, type RegistryOptions, startRegistry } from "../../scripts/lib/registry.ts";
