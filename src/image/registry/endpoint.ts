/**
 * Where a registry is: its base URLs, and what counts as loopback and as the same origin. Not here: requests.
 */
import { DEFAULT_REGISTRY } from "../reference.ts";

/** Docker Hub's API is not at the name that people write. */
const DOCKER_HUB_API = "registry-1.docker.io";

/** `localhost` and below it, 127.0.0.0/8, `[::1]`: traffic to these does not leave the host. */
export function isLoopback(url: URL): boolean {
  return /^(?:(?:.+\.)?localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/.test(url.hostname);
}

/**
 * Base URLs to try in turn: the second only if the first does not speak TLS at all. Http is for `plainHttp`, and for
 * loopback hosts.
 */
export function endpointsOf(registry: string, plainHttp: boolean): URL[] {
  const host = registry === DEFAULT_REGISTRY ? DOCKER_HUB_API : registry;
  const http = new URL(`http://${host}/`);
  if (plainHttp) return [http];
  const https = new URL(`https://${host}/`);
  return isLoopback(http) ? [https, http] : [https];
}
