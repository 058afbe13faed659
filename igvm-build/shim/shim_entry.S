/* SPDX-License-Identifier: MIT */
/*
 * First instructions of VTL2. In: RSI = offset of the shim parameters from the shim's first byte,
 * long mode, identity map of VTL2's memory, no stack, no IDT, interrupts undefined.
 * Spec: igvm-boot, "Boot shim", step 1.
 */
#define STACK_BYTES 32768
#define STACK_COOKIE 0x30405060
#define CR4_SSE 0x600 /* OSFXSR, OSXMMEXCPT */

	.section .text.entry, "ax"
	.globl shim_entry
	.hidden shim_entry
	.type shim_entry, @function
shim_entry:
	cli
	cld
	mov %rsi, %r12
	/* Memory without file content is zero only by the loader's grace: make sure. */
	lea __bss_start(%rip), %rdi
	lea _end(%rip), %rcx
	sub %rdi, %rcx
	xor %eax, %eax
	rep stosb
	lea shim_stack_end(%rip), %rsp
	movl $STACK_COOKIE, shim_stack(%rip)
	mov %cr4, %rax
	or $CR4_SSE, %rax
	mov %rax, %cr4
	lea __ehdr_start(%rip), %rdi
	lea _DYNAMIC(%rip), %rsi
	call shim_relocate
	mov %r12, %rdi
	call shim_main
	ud2
	.size shim_entry, . - shim_entry

/*
 * One 16-byte stub per exception; the frame becomes {vector, error code, RIP, CS, RFLAGS, RSP, SS}.
 * Bits of the mask: exceptions for which the CPU pushes an error code itself.
 */
#define WITH_ERROR_CODE 0x60227d00
	.text
	.balign 16
	.globl shim_vectors
	.hidden shim_vectors
shim_vectors:
	.set vector, 0
	.rept 32
	.balign 16
	.if ((WITH_ERROR_CODE >> vector) & 1) == 0
	push $0
	.endif
	push $vector
	jmp 1f
	.set vector, vector + 1
	.endr
1:
	cld
	mov %rsp, %rdi
	and $-16, %rsp
	call shim_exception
	ud2

	.bss
	.balign 4096
	.globl shim_stack
	.hidden shim_stack
shim_stack:
	.skip STACK_BYTES
shim_stack_end:

	.section .note.GNU-stack, "", @progbits
