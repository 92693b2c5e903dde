# The entries of the trampoline that kernel/raw.ts puts into an executable page (x86-64, System V calls).
# Assembled by test/unit/kernel/trampoline.test.ts, which compares the bytes with those in raw.ts.
.intel_syntax noprefix

# long call(nr, a, b, c, d, e, f): one system call, the kernel's own result.
# nr -1: long spawn(rows): a child that shares the memory (as vfork does), walks the rows
# {nr, a, b, c, d, e, f} of 8 bytes each and ends in the execveat of the last one. A row that fails has its errno
# written to the 8 bytes before the first row, the row's address to the 8 before that, and ends the child with 127.
call:
  cmp edi, -1
  je spawn
  mov rax, rdi
  mov rdi, rsi
  mov rsi, rdx
  mov rdx, rcx
  mov r10, r8
  mov r8, r9
  mov r9, [rsp+8]
  syscall
  ret

spawn:
  push rbx
  push r12
  mov rbx, rsi
  mov r12, rsi
  mov eax, 56
  mov edi, 0x4111
  xor esi, esi
  xor edx, edx
  xor r10d, r10d
  xor r8d, r8d
  syscall
  test rax, rax
  jz row
  pop r12
  pop rbx
  ret
row:
  mov rax, [rbx]
  mov rdi, [rbx+8]
  mov rsi, [rbx+16]
  mov rdx, [rbx+24]
  mov r10, [rbx+32]
  mov r8, [rbx+40]
  mov r9, [rbx+48]
  syscall
  test rax, rax
  js failed
  add rbx, 56
  jmp row
failed:
  neg rax
  mov [r12-8], rax
  mov [r12-16], rbx
  mov eax, 231
  mov edi, 127
  syscall
  ud2

# void handler(int signal): writes the signal's number (4 bytes) to the descriptor in the cell behind the page.
handler:
  push rdi
  mov edi, dword ptr [rip + CELL]
  mov rsi, rsp
  mov edx, 4
  mov eax, 1
  syscall
  pop rdi
  ret
# What a handler returns to (rt_sigreturn).
restorer:
  mov eax, 15
  syscall
.set CELL, call + 65536
