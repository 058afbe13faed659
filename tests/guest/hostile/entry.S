/* SPDX-License-Identifier: MIT */
#include "hostile.h"

	.section .text.start, "ax"
	.code64
	.globl	_start
_start:					/* rsi: zero page */
	cli
	cld
	leaq	cpu_area+CPU_AREA(%rip), %rsp
	movq	%rsi, %rdi
	xorl	%ebp, %ebp
	call	hostile_main
	ud2

/* ---- other processors: real mode to 64-bit mode in one step ---------------------------------- */

	.globl	trampoline_start, trampoline_end, trampoline_cr3, ap_next
	.balign	16
	.code16
trampoline_start:
	cli
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	tramp_gdtr - trampoline_start
	movl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	tramp_cr3_copy - trampoline_start, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER: LME, NXE */
	movl	$0x900, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$0x80000011, %eax	/* PG, ET, PE */
	movl	%eax, %cr0
	ljmpl	$SEL_KCODE, $ap_entry
	.balign	8
tramp_gdt:
	.quad	0, 0x00af9b000000ffff, 0x00cf93000000ffff
tramp_gdtr:
	.word	23
	.long	TRAMPOLINE + tramp_gdt - trampoline_start
tramp_cr3_copy:
trampoline_cr3:				/* set in the original before it is copied */
	.long	0
trampoline_end:

	.code64
ap_entry:
	movl	$SEL_KDATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$1, %eax
	lock xaddl %eax, ap_next(%rip)	/* this processor's index */
	cmpl	$MAX_CPUS, %eax
	jae	1f
	movl	%eax, %edi
	leal	1(%rax), %ecx
	shlq	$16, %rcx
	leaq	cpu_area(%rip), %rsp
	addq	%rcx, %rsp
	xorl	%ebp, %ebp
	call	cpu_ap_main
1:	cli
	hlt
	jmp	1b

/* ---- traps ----------------------------------------------------------------------------------- */

	.balign	16
	.globl	trap_stubs
trap_stubs:
vec = 0
	.rept	256
	.balign	16
	/* These push an error code by themselves. */
	.if	vec == 8 || (vec >= 10 && vec <= 14) || vec == 17
	.elseif	vec == 21 || vec == 29 || vec == 30
	.else
	pushq	$0
	.endif
	pushq	$vec
	jmp	trap_common
vec = vec + 1
	.endr

trap_common:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	call	trap_handler
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rbp
	popq	%rbx
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

/* int guard(c, fn, arg) */
	.globl	guard
guard:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	subq	$8, %rsp
	movq	%rsi, %rax
	movq	%rdx, %rsi
	movq	%rsp, CPU_GUARD_RSP(%rdi)
	call	*%rax
	movl	$-1, %eax
	leaq	-1(%rsp), %rdi
	andq	$~(CPU_AREA - 1), %rdi
guard_leave:
	movq	$0, CPU_GUARD_RSP(%rdi)
	pushq	$2
	popfq
	addq	$8, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

/* guard_recover(c, vector): as if fn had returned */
	.globl	guard_recover
guard_recover:
	movq	CPU_GUARD_RSP(%rdi), %rsp
	movl	%esi, %eax
	jmp	guard_leave

/* user_enter(regs): comes back only by a trap */
	.globl	user_enter
user_enter:
	pushq	$SEL_UDATA
	pushq	136(%rdi)		/* rsp */
	pushq	128(%rdi)		/* rflags */
	pushq	$SEL_UCODE
	pushq	120(%rdi)		/* rip */
	movq	0(%rdi), %rax
	movq	8(%rdi), %rcx
	movq	16(%rdi), %rdx
	movq	24(%rdi), %rbx
	movq	32(%rdi), %rbp
	movq	40(%rdi), %rsi
	movq	56(%rdi), %r8
	movq	64(%rdi), %r9
	movq	72(%rdi), %r10
	movq	80(%rdi), %r11
	movq	88(%rdi), %r12
	movq	96(%rdi), %r13
	movq	104(%rdi), %r14
	movq	112(%rdi), %r15
	movq	48(%rdi), %rdi
	iretq

/* hc_call(regs): through the page when there is a target, else bare */
	.globl	hc_call
hc_call:
	pushq	%rbx
	movq	%rdi, %rbx
	movq	0(%rbx), %rcx
	movq	8(%rbx), %rdx
	movq	16(%rbx), %r8
	movq	24(%rbx), %rax
	cmpq	$2, 32(%rbx)
	je	2f
	jb	1f
	call	*32(%rbx)
	popq	%rbx
	ret
1:	vmcall
	popq	%rbx
	ret
2:	vmmcall
	popq	%rbx
	ret

	.globl	load_tables
load_tables:				/* rdi gdtr, rsi idtr */
	lgdt	(%rdi)
	lidt	(%rsi)
	movl	$SEL_KDATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	popq	%rdx
	pushq	$SEL_KCODE
	pushq	%rdx
	lretq

	.section .note.GNU-stack, "", @progbits
