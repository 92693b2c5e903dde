/**
 * Identities of containers: random IDs, the names that people give and those they are given.
 * Not here: whether one is taken (containers.ts).
 */
import { fail } from "../error.ts";

/** 64 hex digits, as Docker's. */
export function randomID(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
}

/** Docker's rule for names. */
export const NAME_PATTERN = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** A name as it is kept: without the slash that Docker's clients may put before it. */
export function checkName(text: string): string {
  const name = text.replace(/^\//, "");
  if (NAME_PATTERN.test(name) && name.length <= 255) return name;
  throw fail({
    code: "INVALID_FLAG",
    field: "--name",
    message: `${JSON.stringify(text)} is not a name for a container`,
    hint: "a name has 2 to 255 of A-Z a-z 0-9 _ . - and starts with a letter or a digit",
  });
}

const QUALITIES = (
  "able amber ample brave brief bright broad calm civil clear clever cosy crisp deft eager early exact fair " +
  "fine firm fleet fond frank free fresh gentle glad grand happy hardy keen kind large light lively loyal lucid " +
  "mellow merry mild modest neat noble novel open patient plain polite prime proud quick quiet rapid ready " +
  "robust royal sharp silent simple smart snug solid sound spry steady still strong sturdy subtle sunny swift " +
  "tidy tranquil true upbeat vast vivid warm wise witty young zesty"
).split(" ");

const THINGS = (
  "acorn anchor aspen badger beacon birch bison brook canyon cedar comet coral crane creek dune eagle ember " +
  "falcon fern finch fjord forest fox geyser glacier grove harbor hawk heron hill island ivy juniper kestrel " +
  "lagoon lake lark laurel linden lynx maple marten meadow mesa moose moss oak orchard osprey otter owl pebble " +
  "pine plover pond prairie quail raven reef ridge river robin sage shore sparrow spruce stone stork summit " +
  "swallow thicket tide trout valley walnut willow wren"
).split(" ");

/** A name for a container that got none: `quiet_otter`. The more tries there were, the more it is drawn out. */
export function randomName(tries: number): string {
  const draw = (list: readonly string[]): string => list[Math.floor(Math.random() * list.length)] ?? "plain";
  const name = `${draw(QUALITIES)}_${draw(THINGS)}`;
  return tries < 3 ? name : `${name}_${Math.floor(Math.random() * 10 ** Math.min(tries, 9))}`;
}
