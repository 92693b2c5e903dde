/**
 * What the kernel tells of calls that seccomp filters have answered: audit lines of type 1326 (AUDIT_SECCOMP of
 * include/uapi/linux/audit.h), from its log, or from the file of auditd(8), which gets them in the log's stead.
 * Not here: which profile it was (drivers/seccomp/cause.ts).
 */
import { O_RDONLY, SEEK_END, SEEK_SET } from "./constants.ts";
import { tryOpen, tryRead, withFd } from "./file.ts";
import { sys } from "./raw.ts";

/** A call, and who made it. */
export interface SeccompLine {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Of the process, in the first pid namespace. */
  readonly pid: number;
  /** The thread's name. */
  readonly comm: string;
  /** The signal that the filter sent; 0: none. */
  readonly signal: number;
  /** AUDIT_ARCH_* */
  readonly audit: number;
  readonly number: number;
  /** SECCOMP_RET_*, its action. */
  readonly answer: number;
}

const SYSLOG_ACTION_READ_ALL = 3;
const AUDITD_LOG = "/var/log/audit/audit.log";
/** Of the end of either: some thousand lines. */
const ENOUGH = 512 << 10;

/** The latest lines, the oldest first; or -errno of syslog(2) where neither place can be read. */
export function tryReadSeccompLines(): SeccompLine[] | number {
  const buffer = new Uint8Array(ENOUGH);
  const length = sys("syslog", SYSLOG_ACTION_READ_ALL, buffer, buffer.byteLength);
  const kept = readEnd(AUDITD_LOG, buffer.byteLength);
  if (length < 0 && kept === undefined) return length;
  const log = new TextDecoder().decode(buffer.subarray(0, Math.max(length, 0)));
  return [...parseSeccompLines(kept ?? ""), ...parseSeccompLines(log)].sort((a, b) => a.time - b.time);
}

function readEnd(path: string, bytes: number): string | undefined {
  const fd = tryOpen(path, O_RDONLY);
  if (fd < 0) return undefined;
  return withFd(fd, () => {
    const size = sys("lseek", fd, 0, SEEK_END);
    sys("lseek", fd, Math.max(0, size - bytes), SEEK_SET);
    const buffer = new Uint8Array(bytes);
    let length = 0;
    for (;;) {
      const n = tryRead(fd, buffer.subarray(length));
      if (n <= 0) return new TextDecoder().decode(buffer.subarray(0, length));
      length += n;
    }
  });
}

/**
 * From the start of a line on: what a process may write into a line of its own does not count. Names are in quotes, or
 * in hexadecimal where they would need to be escaped.
 */
const LINE =
  /^(?:(?:<\d+>)?(?:\[[^\]]*\])* *audit: type=1326 audit|type=SECCOMP msg=audit)\((\d+)\.(\d{3}):\d+\): (?:[a-z]+=\S+ )*?pid=(\d+) comm=("[^"]*"|[0-9A-F]+) exe=\S+ sig=(\d+) arch=([0-9a-f]+) syscall=(-?\d+) .*\bcode=0x([0-9a-f]+)/gm;

/** All such lines of a text. */
export function parseSeccompLines(text: string): SeccompLine[] {
  return [...text.matchAll(LINE)].map(
    ([, seconds, milliseconds, pid, comm = "", signal, arch, number, code]) => ({
      time: Number(seconds) * 1000 + Number(milliseconds),
      pid: Number(pid),
      comm: comm.startsWith('"') ? comm.slice(1, -1) : Buffer.from(comm, "hex").toString(),
      signal: Number(signal),
      audit: Number.parseInt(arch ?? "", 16),
      number: Number(number) >>> 0,
      answer: Number.parseInt(code ?? "", 16),
    }),
  );
}
