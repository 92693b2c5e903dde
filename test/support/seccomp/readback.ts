/** Filters of running processes, as the kernel holds them (readback.c). */
import { built } from "./built.ts";

/** The filters that a process is under, struct sock_filter[] each; the one installed last comes first. */
export async function filtersOf(pid: number): Promise<Uint8Array[]> {
  const child = Bun.spawn([built("readback"), `${pid}`], { stdin: "ignore", stderr: "pipe" });
  const [bytes, err, code] = await Promise.all([
    new Response(child.stdout).bytes(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`reading the filters of ${pid} back: ${err}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const filters: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + view.getUint32(at, true) * 8;
    filters.push(bytes.slice(at + 4, end));
    at = end;
  }
  return filters;
}
