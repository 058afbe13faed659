/* SPDX-License-Identifier: MIT */
/*
 * Runs one instruction with all registers under control: tramp_run loads flags, XMM and the sixteen
 * general registers from tramp_regs and jumps to tramp_code. The code ends with a jump to
 * tramp_done (or tramp_done_far, to tell a branch from falling through), which stores everything
 * back. A signal handler that has copied the registers itself continues at tramp_abort. Offsets:
 * struct tramp_regs in x86emu_gen.h.
 */
#define GPR(n) tramp_regs + 8 * (n)(%rip)
#define FLAGS tramp_regs + 128(%rip)
#define EXIT tramp_regs + 136(%rip)
#define FX tramp_regs + 144(%rip)

	.bss
	.balign 64
	.globl tramp_regs
tramp_regs:
	.zero 144 + 512
	.globl tramp_code
tramp_code:
	.zero 8
host_sp:
	.zero 8
host_fx:
	.balign 16
	.zero 512

	.text
	.globl tramp_run
	.type tramp_run, @function
tramp_run:
	endbr64
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, host_sp(%rip)
	fxsave64 host_fx(%rip)
	fxrstor64 FX
	pushq FLAGS
	popfq
	mov GPR(0), %rax
	mov GPR(1), %rcx
	mov GPR(2), %rdx
	mov GPR(3), %rbx
	mov GPR(4), %rsp
	mov GPR(5), %rbp
	mov GPR(6), %rsi
	mov GPR(7), %rdi
	mov GPR(8), %r8
	mov GPR(9), %r9
	mov GPR(10), %r10
	mov GPR(11), %r11
	mov GPR(12), %r12
	mov GPR(13), %r13
	mov GPR(14), %r14
	mov GPR(15), %r15
	jmp *tramp_code(%rip)
	.size tramp_run, . - tramp_run

	.globl tramp_done_far
tramp_done_far:
	endbr64
	movq $2, EXIT
	jmp 1f
	.globl tramp_done
tramp_done:
	endbr64
	movq $1, EXIT
1:	mov %rax, GPR(0)
	mov %rcx, GPR(1)
	mov %rdx, GPR(2)
	mov %rbx, GPR(3)
	mov %rsp, GPR(4)
	mov %rbp, GPR(5)
	mov %rsi, GPR(6)
	mov %rdi, GPR(7)
	mov %r8, GPR(8)
	mov %r9, GPR(9)
	mov %r10, GPR(10)
	mov %r11, GPR(11)
	mov %r12, GPR(12)
	mov %r13, GPR(13)
	mov %r14, GPR(14)
	mov %r15, GPR(15)
	mov host_sp(%rip), %rsp
	pushfq
	popq FLAGS
	fxsave64 FX
	.globl tramp_abort
tramp_abort:
	mov host_sp(%rip), %rsp
	fxrstor64 host_fx(%rip)
	cld
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	.section .note.GNU-stack, "", @progbits
