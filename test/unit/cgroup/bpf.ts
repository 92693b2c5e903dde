/**
 * A tiny interpreter of the eBPF instructions that device programs are made of, for tests: on the assembled bytes.
 */

interface Device {
  readonly type: number;
  readonly major: number;
  readonly minor: number;
}

/** What a device program answers: 1 allows, 0 refuses. `type` and `access` as BPF_DEVCG_* number them. */
export function runDeviceProgram(code: Uint8Array, device: Device, access: number): number {
  return traceDeviceProgram(code, device, access).answer;
}

/** The same, with the index of the instruction that ended the program. */
export function traceDeviceProgram(
  code: Uint8Array,
  device: Device,
  access: number,
): { answer: number; end: number } {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  const context = [(access << 16) | device.type, device.major, device.minor];
  const registers = new Array<bigint>(11).fill(0n);
  const get = (index: number): bigint => registers[index] ?? 0n;
  const low = (value: bigint): bigint => BigInt.asUintN(32, value);
  for (let at = 0, steps = 0; steps < 100_000; at++, steps++) {
    const op = view.getUint8(at * 8);
    const destination = view.getUint8(at * 8 + 1) & 15;
    const source = view.getUint8(at * 8 + 1) >> 4;
    const offset = view.getInt16(at * 8 + 2, true);
    const immediate = BigInt(view.getInt32(at * 8 + 4, true));
    const operand = (op & 8) === 8 ? get(source) : immediate;
    if (op === 0x95) return { answer: Number(low(get(0))), end: at };
    if (op === 0x61) registers[destination] = low(BigInt(context[offset / 4] ?? 0));
    else if (op === 0xb4 || op === 0xbc) registers[destination] = low(operand);
    else if (op === 0x54) registers[destination] = low(get(destination)) & low(operand);
    else if (op === 0x74) registers[destination] = low(get(destination)) >> low(operand);
    else if (op === 0x55 || op === 0x5d) at += get(destination) !== BigInt.asUintN(64, operand) ? offset : 0;
    else throw new Error(`unknown instruction ${op.toString(16)} at ${at}`);
  }
  throw new Error("the program does not end");
}
