// The stub of the init machine for aarch64: walks the table at 0x601040, row by row (docs/machine.md).
// Assembled by test/unit/machine/stub.test.ts, which compares the bytes with those in stub-aarch64.ts.
// x19: address of the current row; x20: the table; w21: retries that are left. The 64 bytes before it hold the number of the report descriptor.
.globl _start
.set TEST, 0xffff
.set FAIL, 0xfffe
.set EAGAIN, 11
.set OPENAT2, 437
.set RETRIES, 4096

_start:
  mov w20, #0x1040
  movk w20, #0x60, lsl #16
  mov x19, x20
  mov w21, #RETRIES
row:
  ldrh w8, [x19]
  ldrb w9, [x19, #2]
  ldp x0, x1, [x19, #8]
  ldp x2, x3, [x19, #24]
  ldp x4, x5, [x19, #40]
  tbz w9, #0, 1f
  ldr x0, [x0]
1: tbz w9, #1, 1f
  ldr x1, [x1]
1: tbz w9, #2, 1f
  ldr x2, [x2]
1: tbz w9, #3, 1f
  ldr x3, [x3]
1: tbz w9, #4, 1f
  ldr x4, [x4]
1: tbz w9, #5, 1f
  ldr x5, [x5]
1: mov w10, #FAIL
  cmp w8, w10
  b.hs pseudo
  svc #0
result:
  ldr w9, [x19, #4]
  cbz w9, 1f
  str x0, [x9]
1: cbz x0, zero
  cmn x0, #4095
  b.hs error
next:
  add x19, x19, #64
  b row
zero:
  ldr w9, [x19, #60]
  cbz w9, next
  mov x19, x9
  b row
error:
  neg w0, w0
// openat2 gives EAGAIN when names change under it: it is tried again, 4096 times in all.
  cmp w0, #EAGAIN
  b.ne 1f
  cmp w8, #OPENAT2
  b.ne 1f
  subs w21, w21, #1
  b.pl row
1:
  ldrb w9, [x19, #3]
  cmp w9, #0xff
  b.eq allowed
  cmp w0, w9
  b.ne fatal
allowed:
  ldr w9, [x19, #56]
  cbz w9, next
  mov x19, x9
  b row
pseudo:
  b.ne test
  neg w0, w0
  mov w19, w1
// Reports {kind 3, errno, row} and ends.
fatal:
  sub x19, x19, x20
  lsr x19, x19, #6
  mov w9, #3
  stp w9, w0, [sp, #-16]!
  str w19, [sp, #8]
  ldr x0, [x20, #-64]
  mov x1, sp
  mov x2, #12
  mov x8, #64
  svc #0
  mov x0, #1
  mov x8, #94
  svc #0
  brk #0
test:
  and x0, x0, x1
  cmp x0, x2
  cset x0, ne
  b result
