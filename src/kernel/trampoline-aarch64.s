// The entries of the trampoline that kernel/raw.ts puts into an executable page (aarch64, AAPCS64).
// Assembled by test/unit/kernel/trampoline.test.ts, which compares the bytes with those in raw.ts.

// long call(nr, a, b, c, d, e, f), and spawn(rows) for nr -1: see trampoline-x86_64.s.
call:
  cmn w0, #1
  b.eq spawn
  mov x8, x0
  mov x0, x1
  mov x1, x2
  mov x2, x3
  mov x3, x4
  mov x4, x5
  mov x5, x6
  svc #0
  ret

spawn:
  mov x10, x1
  mov x9, x1
  mov x8, #220
  mov x0, #0x4111
  mov x1, #0
  mov x2, #0
  mov x3, #0
  mov x4, #0
  svc #0
  cbz x0, row
  ret
row:
  ldr x8, [x9]
  ldp x0, x1, [x9, #8]
  ldp x2, x3, [x9, #24]
  ldp x4, x5, [x9, #40]
  svc #0
  tbnz x0, #63, failed
  add x9, x9, #56
  b row
failed:
  neg x0, x0
  str x0, [x10, #-8]
  str x9, [x10, #-16]
  mov x8, #94
  mov x0, #127
  svc #0
  brk #0

// void handler(int signal), see trampoline-x86_64.s. The kernel has its own way back.
handler:
  str w0, [sp, #-16]!
  ldr w0, CELL
  mov x1, sp
  mov x2, #4
  mov x8, #64
  svc #0
  add sp, sp, #16
  ret
.set CELL, call + 65536
