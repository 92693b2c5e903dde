/**
 * What stands in a container's /etc/hosts, /etc/hostname and /etc/resolv.conf. Text in, text out.
 * Not here: writing them, and mounting them (engine/files.ts, mounts.ts).
 */
import { isIP } from "node:net";
import { type CtrError, fail } from "../../error.ts";

/** A name that the container knows by --add-host. */
export interface HostEntry {
  readonly name: string;
  readonly address: string;
}

/** `--add-host NAME:ADDRESS`, `NAME=ADDRESS`; an IPv6 address may stand in brackets. */
export function parseAddHost(text: string): HostEntry {
  const [, name = "", rest = ""] = /^([^:=\s]+)[:=](.+)$/.exec(text) ?? [];
  const address = rest.replace(/^\[(.*)\]$/, "$1");
  if (rest === "host-gateway") {
    throw badFlag(
      "--add-host",
      "host-gateway: there is no gateway as there is no bridge yet",
      "give an address",
    );
  }
  if (name === "" || isIP(address) === 0) {
    throw badFlag("--add-host", `${JSON.stringify(text)} is not NAME:ADDRESS`, "write db:10.0.0.7");
  }
  return { name, address };
}

/** `--dns ADDRESS`. */
export function parseDns(text: string): string {
  if (isIP(text) === 0)
    throw badFlag("--dns", `${JSON.stringify(text)} is not an IP address`, "write 9.9.9.9");
  return text;
}

/** A host name of RFC 1123 with at most 64 bytes, which is what sethostname(2) takes. */
export function checkHostname(text: string): string {
  if (text.length <= 64 && /^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/.test(text)) return text;
  throw badFlag(
    "--hostname",
    `${JSON.stringify(text)} is not a host name`,
    "letters, digits, - and ., at most 64",
  );
}

const LOCAL_NAMES = [
  "127.0.0.1\tlocalhost",
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::\tip6-localnet",
  "ff00::\tip6-mcastprefix",
  "ff02::1\tip6-allnodes",
  "ff02::2\tip6-allrouters",
];

/**
 * /etc/hosts. The container's own name leads to 127.0.1.1 where it has no address on any network, so that programs
 * that look themselves up do not fail.
 */
export function hostsFile(hostname: string, entries: readonly HostEntry[]): string {
  const short = hostname.split(".")[0] ?? hostname;
  const own = hostname === short ? hostname : `${hostname} ${short}`;
  const lines = [
    ...LOCAL_NAMES,
    `127.0.1.1\t${own}`,
    ...entries.map((each) => `${each.address}\t${each.name}`),
  ];
  return `${lines.join("\n")}\n`;
}

/** The host's own /etc/hosts, for `--network host`, and what was added. */
export function hostsFileOfHost(host: string, entries: readonly HostEntry[]): string {
  const added = entries.map((each) => `${each.address}\t${each.name}\n`).join("");
  return `${host}${host === "" || host.endsWith("\n") ? "" : "\n"}${added}`;
}

/**
 * /etc/resolv.conf: the host's; name servers on its loopback are left out where the container cannot reach it; `dns`
 * takes the place of all name servers.
 */
export function resolvConf(host: string, dns: readonly string[], sharesNetwork: boolean): string {
  const kept = host.split("\n").filter((line) => {
    const server = /^\s*nameserver\s+(\S+)/.exec(line)?.[1];
    if (server === undefined) return line.trim() !== "";
    return dns.length === 0 && (sharesNetwork || !/^(127\.|::1(%|$))/.test(server));
  });
  const lines = [...kept, ...dns.map((address) => `nameserver ${address}`)];
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

function badFlag(field: string, message: string, hint: string): CtrError {
  return fail({ code: "INVALID_FLAG", field, message, hint });
}
