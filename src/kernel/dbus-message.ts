/**
 * Messages of D-Bus to bytes and back. Not here: values (dbus-marshal.ts), the socket (dbus.ts).
 * Source: D-Bus specification, "Message Protocol".
 */
import { fail } from "../error.ts";
import { type DbusValue, marshal, unmarshal, type Variant } from "./dbus-marshal.ts";

const TYPES = ["call", "return", "error", "signal"] as const;

/** Header fields by their code in "Header Fields", with their signature. */
const FIELDS = [
  ["path", 1, "o"],
  ["interface", 2, "s"],
  ["member", 3, "s"],
  ["error", 4, "s"],
  ["replySerial", 5, "u"],
  ["destination", 6, "s"],
  ["sender", 7, "s"],
  ["signature", 8, "g"],
] as const;

/** A message. Which fields it has depends on its type. */
export interface DbusMessage {
  readonly type: (typeof TYPES)[number];
  readonly serial: number;
  readonly path?: string;
  readonly interface?: string;
  readonly member?: string;
  /** Name of an error. */
  readonly error?: string;
  /** Of the call that this answers. */
  readonly replySerial?: number;
  readonly destination?: string;
  /** The other side's name on the bus; there is none without a bus. */
  readonly sender?: string;
  readonly signature?: string;
  readonly body: readonly DbusValue[];
}

/** Bytes of a header up to the length of its fields, which stands last. */
export const FIXED_HEADER = 16;
/** Most bytes of a message that is taken: what systemd answers to what is asked here is far below. */
const MOST_BYTES = 4 << 20;
const VERSION = 1;
const LITTLE = "l".charCodeAt(0);
const BIG = "B".charCodeAt(0);

function broken(what: string): Error {
  return fail({ code: "DBUS", message: `the other side sent a broken D-Bus message: ${what}` });
}

/** The bytes of a message. Throws DBUS for a body that is not as its signature says. */
export function encodeMessage(message: DbusMessage): Uint8Array {
  const body = marshal(message.signature ?? "", message.body);
  const fields: DbusValue[] = [];
  for (const [name, code, signature] of FIELDS) {
    const value = message[name];
    if (value !== undefined && value !== "") fields.push([code, { signature, value }]);
  }
  const type = TYPES.indexOf(message.type) + 1;
  const header = marshal("yyyyuua(yv)", [LITTLE, type, 0, VERSION, body.byteLength, message.serial, fields]);
  const start = padded(header.byteLength);
  const bytes = new Uint8Array(start + body.byteLength);
  bytes.set(header);
  bytes.set(body, start);
  return bytes;
}

/** The body starts at a multiple of eight. */
function padded(length: number): number {
  return Math.ceil(length / 8) * 8;
}

/** How long the message is that begins with these bytes (at least {@link FIXED_HEADER}). Throws for one too long. */
export function messageLength(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const order = view.getUint8(0);
  if (order === BIG) throw broken("it is big-endian, which no machine is that ctr-bun runs on");
  if (order !== LITTLE) throw broken(`it begins with byte ${order}`);
  if (view.getUint8(3) !== VERSION) throw broken(`of version ${view.getUint8(3)} of the protocol`);
  const [body, fields] = [view.getUint32(4, true), view.getUint32(12, true)];
  const length = padded(FIXED_HEADER + fields) + body;
  if (length > MOST_BYTES) throw broken(`of ${length} bytes, more than ${MOST_BYTES}`);
  return length;
}

/** The message in exactly these bytes; undefined for a type that is to be ignored. Throws DBUS for a broken one. */
export function decodeMessage(bytes: Uint8Array): DbusMessage | undefined {
  const end = FIXED_HEADER + new DataView(bytes.buffer, bytes.byteOffset).getUint32(12, true);
  const [, number, , , , serial, list] = unmarshal("yyyyuua(yv)", bytes.subarray(0, end));
  const type = TYPES[Number(number) - 1];
  if (number === 0 || serial === 0) throw broken("its type or its serial is 0");
  if (type === undefined) return undefined;
  const fields: Record<string, DbusValue> = {};
  for (const pair of list as readonly (readonly [number, Variant])[]) {
    const field = FIELDS.find(([, code]) => code === pair[0]);
    // "Header Fields": those of other codes are to be ignored.
    if (field === undefined) continue;
    const [name, , signature] = field;
    if (pair[1].signature !== signature) throw broken(`its field ${name} is of type ${pair[1].signature}`);
    if (Object.hasOwn(fields, name)) throw broken(`its field ${name} comes twice`);
    fields[name] = pair[1].value;
  }
  const needed: Readonly<Record<DbusMessage["type"], readonly string[]>> = {
    call: ["path", "member"],
    return: ["replySerial"],
    error: ["replySerial", "error"],
    signal: ["path", "interface", "member"],
  };
  for (const name of needed[type]) {
    if (!Object.hasOwn(fields, name)) throw broken(`a ${type} without the field ${name}`);
  }
  const body = unmarshal(String(fields.signature ?? ""), bytes.subarray(padded(end)));
  return { ...(fields as Partial<DbusMessage>), type, serial: Number(serial), body };
}
