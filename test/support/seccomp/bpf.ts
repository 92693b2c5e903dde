/**
 * A second interpreter of filters, for tests: made to run millions of calls, and to count what it executes.
 * Written from net/core/filter.c and kernel/seccomp.c of Linux, apart from drivers/seccomp/interpret.ts, so that each
 * checks the other. Little endian.
 */

/** A filter taken apart: struct sock_filter by columns. */
export interface Filter {
  readonly code: Uint16Array;
  readonly jt: Uint8Array;
  readonly jf: Uint8Array;
  readonly k: Uint32Array;
}

/** struct seccomp_data as 32-bit words: number, architecture, two of instruction pointer, two an argument. */
export type Data = Uint32Array;

/** Takes a program apart, and refuses what the kernel would: no instructions, too many, jumps out of it, no end. */
export function filterOf(bytes: Uint8Array): Filter {
  const count = bytes.length / 8;
  if (!Number.isInteger(count) || count < 1) throw new Error(`a program of ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const filter: Filter = {
    code: new Uint16Array(count),
    jt: new Uint8Array(count),
    jf: new Uint8Array(count),
    k: new Uint32Array(count),
  };
  for (let at = 0; at < count; at++) {
    const code = view.getUint16(at * 8, true);
    const [jt, jf, k] = [
      view.getUint8(at * 8 + 2),
      view.getUint8(at * 8 + 3),
      view.getUint32(at * 8 + 4, true),
    ];
    const farthest = code === 0x05 ? k : (code & 0x07) === 0x05 ? Math.max(jt, jf) : code === 0x06 ? -1 : 0;
    if (at + 1 + farthest >= count) throw new Error(`instruction ${at} of ${count} leads out of the program`);
    filter.code[at] = code;
    filter.jt[at] = jt;
    filter.jf[at] = jf;
    filter.k[at] = k;
  }
  return filter;
}

/** seccomp_data of a call. */
export function dataOf(number: number, audit: number, args: readonly bigint[]): Data {
  const data = new Uint32Array(16);
  data[0] = number;
  data[1] = audit;
  new BigUint64Array(data.buffer, 16, 6).set(args.slice(0, 6));
  return data;
}

/** Instructions that the last {@link run} executed. */
export let executed = 0;

/** What the filter answers. */
export function run({ code, jt, jf, k }: Filter, data: Data): number {
  let a = 0;
  let steps = 0;
  for (let at = 0; ; at++) {
    steps++;
    const operand = k[at] as number;
    switch (code[at]) {
      case 0x20:
        if (operand > 60 || operand % 4 !== 0) throw new Error(`reads at ${operand}`);
        a = data[operand >> 2] as number;
        break;
      case 0x54:
        a = (a & operand) >>> 0;
        break;
      case 0x05:
        at += operand;
        break;
      case 0x15:
        at += (a === operand ? jt[at] : jf[at]) as number;
        break;
      case 0x25:
        at += (a > operand ? jt[at] : jf[at]) as number;
        break;
      case 0x35:
        at += (a >= operand ? jt[at] : jf[at]) as number;
        break;
      case 0x45:
        at += ((a & operand) !== 0 ? jt[at] : jf[at]) as number;
        break;
      case 0x06:
        executed = steps;
        return operand;
      default:
        throw new Error(`instruction ${at} is 0x${code[at]?.toString(16)}`);
    }
  }
}
