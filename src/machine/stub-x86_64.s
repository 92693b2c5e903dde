# The stub of the init machine for x86-64: walks the table at 0x601040, row by row (docs/machine.md).
# Assembled by test/unit/machine/stub.test.ts, which compares the bytes with those in stub-x86_64.ts.
# rbx: address of the current row; r12d: retries that are left. The 64 bytes before the table hold the number of the report descriptor.
.intel_syntax noprefix
.globl _start
.set TABLE, 0x601040
.set REPORT, 0x601000
.set TEST, 0xffff
.set FAIL, 0xfffe
.set EAGAIN, 11
.set OPENAT2, 437
.set RETRIES, 4096

_start:
  mov ebx, TABLE
  mov r12d, RETRIES
row:
  movzx eax, word ptr [rbx]
  movzx ebp, byte ptr [rbx+2]
  mov rdi, [rbx+8]
  test bpl, 1
  jz 1f
  mov rdi, [rdi]
1: mov rsi, [rbx+16]
  test bpl, 2
  jz 1f
  mov rsi, [rsi]
1: mov rdx, [rbx+24]
  test bpl, 4
  jz 1f
  mov rdx, [rdx]
1: mov r10, [rbx+32]
  test bpl, 8
  jz 1f
  mov r10, [r10]
1: mov r8, [rbx+40]
  test bpl, 16
  jz 1f
  mov r8, [r8]
1: mov r9, [rbx+48]
  test bpl, 32
  jz 1f
  mov r9, [r9]
1: cmp eax, FAIL
  jae pseudo
  syscall
result:
  mov ecx, [rbx+4]
  jecxz 1f
  mov [rcx], rax
1: test rax, rax
  jz zero
  cmp rax, -4095
  jae error
next:
  add rbx, 64
  jmp row
zero:
  mov ecx, [rbx+60]
  jecxz next
  mov ebx, ecx
  jmp row
error:
  neg eax
# openat2 gives EAGAIN when names change under it: it is tried again, 4096 times in all.
  cmp eax, EAGAIN
  jne 1f
  cmp word ptr [rbx], OPENAT2
  jne 1f
  dec r12d
  jns row
1:
  movzx ecx, byte ptr [rbx+3]
  cmp cl, 0xff
  je allowed
  cmp eax, ecx
  jne fatal
allowed:
  mov ecx, [rbx+56]
  jecxz next
  mov ebx, ecx
  jmp row
pseudo:
  jne test
  mov eax, edi
  neg eax
  mov ebx, esi
# Reports {kind 3, errno, row} and ends.
fatal:
  sub ebx, TABLE
  shr ebx, 6
  push rbx
  shl rax, 32
  or rax, 3
  push rax
  mov rdi, [REPORT]
  mov rsi, rsp
  mov edx, 12
  mov eax, 1
  syscall
  mov edi, 1
  mov eax, 231
  syscall
  ud2
test:
  and rdi, rsi
  xor eax, eax
  cmp rdi, rdx
  setne al
  jmp result
