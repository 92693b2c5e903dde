/**
 * The file of a program of the init machine (elf(5)): headers and the stub in one page, then the data part.
 * Not here: what is in the data part (program.ts), the stub's code (stub-*.s).
 */
import { DATA_BASE } from "./data.ts";
import { STUB_AARCH64 } from "./stub-aarch64.ts";
import { STUB_X86_64 } from "./stub-x86_64.ts";

/** Architectures that a program can be written for. */
export type MachineArch = "x86_64" | "aarch64";

const CODE_BASE = 0x400000;
const DATA_OFFSET = 4096;
const HEADERS = 64 + 56 * 3;

/** A static executable (elf(5)): code to read and execute, data to read and write, a stack that cannot execute. */
export function writeElf(arch: MachineArch, data: Uint8Array): Uint8Array {
  const stub = Buffer.from(arch === "aarch64" ? STUB_AARCH64 : STUB_X86_64, "base64");
  const elf = new Uint8Array(DATA_OFFSET + data.byteLength);
  const view = new DataView(elf.buffer);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, arch === "aarch64" ? 183 : 62, true);
  view.setUint32(20, 1, true);
  view.setUint32(24, CODE_BASE + HEADERS, true);
  view.setUint32(32, 64, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 3, true);
  const segment = (
    at: number,
    type: number,
    flags: number,
    offset: number,
    address: number,
    size: number,
  ) => {
    view.setUint32(at, type, true);
    view.setUint32(at + 4, flags, true);
    view.setUint32(at + 8, offset, true);
    view.setUint32(at + 16, address, true);
    view.setUint32(at + 24, address, true);
    view.setUint32(at + 32, size, true);
    view.setUint32(at + 40, size, true);
    view.setUint32(at + 48, type === 1 ? 4096 : 16, true);
  };
  segment(64, 1, 5, 0, CODE_BASE, HEADERS + stub.byteLength);
  segment(120, 1, 6, DATA_OFFSET, DATA_BASE, data.byteLength);
  segment(176, 0x6474e551, 6, 0, 0, 0); // PT_GNU_STACK
  elf.set(stub, HEADERS);
  elf.set(data, DATA_OFFSET);
  return elf;
}
