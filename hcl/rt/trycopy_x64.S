/* SPDX-License-Identifier: MIT */
/* Fault-safe copies, see trycopy.h. System V calling convention; leaf code without a stack. */
#ifdef __CET__
#include <cet.h>
#else
#define _CET_ENDBR
#endif

#define EFAULT 14

	.text
	.balign	64
	.globl	trycopy_begin
	.hidden	trycopy_begin
trycopy_begin:

	.globl	trycopy_mem
	.hidden	trycopy_mem
	.type	trycopy_mem, @function
trycopy_mem:				/* rdi dst, rsi src, rdx len */
	_CET_ENDBR
	cmpq	$8, %rdx
	je	.Lcopy8
	ja	.Lcopy_long
	cmpl	$4, %edx
	je	.Lcopy4
	cmpl	$2, %edx
	je	.Lcopy2
.Lcopy_tail:				/* 0..7 bytes left, one by one */
	testl	%edx, %edx
	jz	.Lcopy_done
	movb	(%rsi), %al
	movb	%al, (%rdi)
	incq	%rsi
	incq	%rdi
	decl	%edx
	jmp	.Lcopy_tail
.Lcopy8:
	movq	(%rsi), %rax
	movq	%rax, (%rdi)
	xorl	%eax, %eax
	ret
.Lcopy4:
	movl	(%rsi), %eax
	movl	%eax, (%rdi)
	xorl	%eax, %eax
	ret
.Lcopy2:
	movzwl	(%rsi), %eax
	movw	%ax, (%rdi)
.Lcopy_done:
	xorl	%eax, %eax
	ret
.Lcopy_long:
	cmpq	$512, %rdx		/* the start-up cost of rep movs pays from about here */
	jae	.Lcopy_rep
.Lcopy_words:
	movq	(%rsi), %rax
	movq	%rax, (%rdi)
	addq	$8, %rsi
	addq	$8, %rdi
	subq	$8, %rdx
	cmpq	$8, %rdx
	jae	.Lcopy_words
	jmp	.Lcopy_tail
.Lcopy_rep:
	movq	%rdx, %rcx
	rep movsb
	xorl	%eax, %eax
	ret
	.size	trycopy_mem, . - trycopy_mem

	.balign	16
	.globl	trycopy_zero
	.hidden	trycopy_zero
	.type	trycopy_zero, @function
trycopy_zero:				/* rdi dst, rsi len */
	_CET_ENDBR
	movq	%rsi, %rcx
	xorl	%eax, %eax
	rep stosb
	ret
	.size	trycopy_zero, . - trycopy_zero

	.balign	16
	.globl	trycopy_cmpxchg
	.hidden	trycopy_cmpxchg
	.type	trycopy_cmpxchg, @function
trycopy_cmpxchg:			/* rdi dst, rsi &expected, rdx desired, ecx size */
	_CET_ENDBR
	movq	(%rsi), %rax
	cmpl	$8, %ecx
	je	.Lxchg8
	cmpl	$4, %ecx
	je	.Lxchg4
	cmpl	$2, %ecx
	je	.Lxchg2
	movzbl	%al, %eax
	lock cmpxchgb %dl, (%rdi)
	jmp	.Lxchg_done
.Lxchg8:
	lock cmpxchgq %rdx, (%rdi)
	jmp	.Lxchg_done
.Lxchg4:
	movl	%eax, %eax
	lock cmpxchgl %edx, (%rdi)
	jmp	.Lxchg_done
.Lxchg2:
	movzwl	%ax, %eax
	lock cmpxchgw %dx, (%rdi)
.Lxchg_done:
	movq	%rax, (%rsi)
	setz	%al			/* mov left the flags alone */
	movzbl	%al, %eax
	ret
	.size	trycopy_cmpxchg, . - trycopy_cmpxchg

	.globl	trycopy_end
	.hidden	trycopy_end
trycopy_end:

	.globl	trycopy_fault
	.hidden	trycopy_fault
trycopy_fault:				/* the handler comes here instead of returning */
	movl	$-EFAULT, %eax
	ret

	.section .note.GNU-stack, "", @progbits
