/**
 * Annotations that mean something to the systemd manager alone: runc's `org.systemd.property.NAME`
 * (docs/systemd-properties.md of opencontainers/runc), crun's `run.oci.systemd.subgroup` and `run.oci.delegate-cgroup`
 * (crun(1)). Pure.
 */
import { asCtrError, type CtrError, fail } from "../../src/error.ts";
import type { Variant } from "../../src/kernel/dbus-marshal.ts";
import type { UnitProperty } from "../../src/kernel/systemd.ts";
import { parseVariant } from "./gvariant.ts";

type Annotations = Readonly<Record<string, string>>;

const PROPERTY = "org.systemd.property.";
const SUBGROUP = "run.oci.systemd.subgroup";
export const DELEGATE = "run.oci.delegate-cgroup";

/** A cgroup below the unit's that holds the container, and one below that which the container is given to manage. */
export interface Subgroups {
  readonly subgroup: string | undefined;
  readonly delegated: string | undefined;
}

/** Throws INVALID_CONFIG, with the annotation, for a name or value that is none. */
export function annotatedProperties(annotations: Annotations = {}): UnitProperty[] {
  const properties: UnitProperty[] = [];
  for (const [key, text] of Object.entries(annotations)) {
    if (!key.startsWith(PROPERTY)) continue;
    const name = key.slice(PROPERTY.length);
    if (name.length < 3 || !/^[A-Za-z]+$/.test(name)) {
      throw bad(
        key,
        `no name of a property: ${JSON.stringify(name)}`,
        "three letters at least, and nothing else",
      );
    }
    let value: Variant;
    try {
      value = parseVariant(text);
    } catch (thrown) {
      throw bad(
        key,
        `${JSON.stringify(text)} is no value: ${asCtrError(thrown).message}`,
        "write it as GVariant text: 'a text', uint64 5, true, ['a', 'b']",
      );
    }
    // Times have two names: what is written for people is in seconds, what D-Bus has in microseconds.
    const seconds = /[a-z]Sec$/.test(name);
    properties.push(
      seconds ? [`${name.slice(0, -"Sec".length)}USec`, microseconds(key, value)] : [name, value],
    );
  }
  return properties;
}

/** Seconds as microseconds. As in runc, only a number is one: infinity is `...USec` with the largest of them. */
function microseconds(key: string, { signature, value }: Variant): Variant {
  if (typeof value !== "number" && typeof value !== "bigint") {
    throw bad(
      key,
      `a value of type ${signature} is no number of seconds`,
      "write a number: 5, 1.5, uint64 90",
    );
  }
  if (typeof value === "number" && !Number.isFinite(value)) {
    const name = key.slice(PROPERTY.length, -"Sec".length);
    const hint = `for no end write ${PROPERTY}${name}USec: uint64 ${(1n << 64n) - 1n}`;
    throw bad(key, `${value} is no number of seconds`, hint);
  }
  const whole = typeof value === "bigint" ? value * 1_000_000n : BigInt(Math.trunc(value * 1e6));
  if (whole < 0n || whole >= 1n << 64n)
    throw bad(
      key,
      `${value} is no number of seconds`,
      "it must be neither negative nor above 18446744073709",
    );
  return { signature: "t", value: whole };
}

/** Throws INVALID_CONFIG for names that could lead elsewhere, or be taken for a unit's. */
export function subgroups(annotations: Annotations = {}): Subgroups {
  return { subgroup: nameOf(annotations, SUBGROUP), delegated: nameOf(annotations, DELEGATE) };
}

function nameOf(annotations: Annotations, key: string): string | undefined {
  const name = annotations[key];
  if (name === undefined || name === "") return undefined;
  if (/[/\0\n]/.test(name) || name === "." || name === ".." || name.length > 255) {
    throw bad(key, `${JSON.stringify(name)} is no name of one cgroup`);
  }
  if (/\.(scope|slice)$/.test(name)) throw bad(key, `${JSON.stringify(name)} is a unit's name`);
  return name;
}

function bad(key: string, message: string, hint?: string): CtrError {
  return fail({ code: "INVALID_CONFIG", field: `annotations["${key}"]`, message, hint });
}
