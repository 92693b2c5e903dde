import { expect, test } from "bun:test";
import { parseSeccompLines } from "../../../src/kernel/audit.ts";

const BODY =
  'auid=4294967295 uid=0 gid=0 ses=4294967295 pid=9366 comm="k" exe="/tmp/k" sig=31 arch=c000003e syscall=110 compat=0 ip=0x4313a9 code=0x80000000';
const LINE = `<5>[38413.731289] audit: type=1326 audit(1795544904.194:2): ${BODY}`;
const parsed = {
  time: 1795544904194,
  pid: 9366,
  comm: "k",
  signal: 31,
  audit: 0xc000_003e,
  number: 110,
  answer: 0x8000_0000,
};

test("a line of the kernel's log, with its priority, time and caller or without", () => {
  for (const before of ["<5>[38413.731289] ", "[    7.1] ", "<5>[    7.1][  T366] ", "", "<5>"]) {
    expect(parseSeccompLines(LINE.replace("<5>[38413.731289] ", before))).toEqual([parsed]);
  }
});

test("a line of auditd, with an SELinux label and what auditd adds", () => {
  const label = BODY.replace(" pid=", " subj=system_u:system_r:container_t:s0:c1,c2 pid=");
  const line = `type=SECCOMP msg=audit(1795544904.194:2): ${label}\x1dARCH=x86_64 SYSCALL=getppid AUID="unset"`;
  expect(parseSeccompLines(`type=LOGIN msg=audit(1.000:1): pid=1\n${line}\n`)).toEqual([parsed]);
});

test("a name with a quote or a blank comes in hexadecimal, as does the file of an init", () => {
  const line = LINE.replace('"k"', "6120226222").replace('"/tmp/k"', "2F6D656D66643A696E6974");
  expect(parseSeccompLines(line)).toEqual([{ ...parsed, comm: 'a "b"' }]);
});

test("the call that a tracer takes away is -1", () => {
  expect(parseSeccompLines(LINE.replace("syscall=110", "syscall=-1"))).toEqual([
    { ...parsed, number: 0xffff_ffff },
  ]);
});

test("what a process says itself is no line, nor is another type, nor half of one", () => {
  const said = `<5>[1.0] audit: type=1112 audit(1795544904.194:2): pid=1 msg='audit: type=1326 audit(1.000:1): ${BODY}'`;
  const written = `<12>[1.0] demo: audit: type=1326 audit(1795544904.194:2): ${BODY}`;
  expect(
    parseSeccompLines([said, written, LINE.replace("1326", "1701"), LINE.slice(0, 90)].join("\n")),
  ).toEqual([]);
});
