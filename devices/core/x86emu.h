/* SPDX-License-Identifier: MIT */
/*
 * Instruction emulation for a paravisor: executes the one instruction with which a virtual
 * processor of the lower VTL touched something that software serves (MMIO, string port I/O).
 * Decoding is Zydis plus a small decoder for the commonest MOV forms; semantics are ours.
 *
 * Input: registers and instruction bytes of a hostile guest. State: the caller's struct only; no
 * globals, no allocation, no system call. Thread: any, one struct per call. The work of one call is
 * bounded: at most 15 instruction bytes, X86EMU_REP_MAX string elements, a constant number of
 * memory accesses otherwise.
 *
 * Not emulated (X86EMU_UNSUPPORTED): AVX and later vector forms, MMX, x87, far transfers, segment
 * and system registers, and instructions that touch neither memory nor ports. #AC is never raised.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hvmsg.h"
#include "macros.h"

/* Elements of a repeated string instruction done in one call before X86EMU_AGAIN. */
#define X86EMU_REP_MAX 1024

/* Longest legal instruction. */
#define X86EMU_INSN_MAX 15

/* Size of the FXSAVE image behind struct x86emu_state.fx; XMM0 starts at X86EMU_FX_XMM. */
#define X86EMU_FX_SIZE 512
#define X86EMU_FX_XMM 160

enum x86emu_gpr {
	X86_RAX, X86_RCX, X86_RDX, X86_RBX, X86_RSP, X86_RBP, X86_RSI, X86_RDI,
	X86_R8, X86_R9, X86_R10, X86_R11, X86_R12, X86_R13, X86_R14, X86_R15,
};

enum x86emu_vector {
	X86_DE = 0,
	X86_DB = 1,
	X86_UD = 6,
	X86_NM = 7,
	X86_SS = 12,
	X86_GP = 13,
	X86_PF = 14,
};

#define X86_FL_CF BIT(0)
#define X86_FL_PF BIT(2)
#define X86_FL_AF BIT(4)
#define X86_FL_ZF BIT(6)
#define X86_FL_SF BIT(7)
#define X86_FL_TF BIT(8)
#define X86_FL_IF BIT(9)
#define X86_FL_DF BIT(10)
#define X86_FL_OF BIT(11)
#define X86_FL_RF BIT(16)
#define X86_FL_VM BIT(17)

/*
 * Registers before the instruction; the emulator updates gpr, rip, rflags and the XMM part of *fx.
 * Everything else is read only. Only CS is consulted among the segments in 64-bit mode unless the
 * instruction uses FS or GS, so a caller may leave out what is expensive to read there.
 */
struct x86emu_state {
	uint64_t gpr[16]; /* enum x86emu_gpr */
	uint64_t rip;
	uint64_t rflags;
	struct hv_seg seg[6]; /* enum hv_seg_index */
	uint64_t cr0, cr4, efer;
	uint8_t cpl;
	bool io_checked; /* the I/O permission of this very port access was checked by the CPU */
	void *fx; /* FXSAVE image (X86EMU_FX_SIZE bytes); NULL: SSE forms are unsupported */
};

struct x86emu_fault {
	uint8_t vector; /* enum x86emu_vector */
	bool has_error;
	uint32_t error;
	uint64_t cr2; /* #PF only */
};

#define X86EMU_ACC_READ 0u
#define X86EMU_ACC_WRITE 1u /* also set for the read half of a read-modify-write */
#define X86EMU_ACC_EXEC 2u
#define X86EMU_ACC_USER 4u /* CPL 3: user rights apply */

/*
 * What the emulator asks of its owner. Return values: 0, or a negative errno that ends the call
 * with X86EMU_ERROR (except where said otherwise). len of mem_read, mem_write and mem_cmpxchg is a
 * power of two: 1, 2, 4, 8, and 16 for mem_cmpxchg; an operand within one page is one access
 * (16-byte SSE operands are two of 8 bytes); no access crosses a page.
 */
struct x86emu_ops {
	/*
	 * Linear to guest-physical, for one page. access: X86EMU_ACC_*. -EFAULT: *ret_fault says
	 * which exception the guest gets (#PF with error code and cr2, as the CPU would report it).
	 * Results are cached within one call only.
	 */
	int (*translate)(void *ctx, uint64_t gva, unsigned int access, gpa_t *ret_gpa,
			 struct x86emu_fault *ret_fault);
	/* Instruction bytes from RAM; len 1..15, within a page. Not called when bytes suffice. */
	int (*mem_fetch)(void *ctx, gpa_t gpa, void *ret_buf, size_t len);
	/* RAM or device: the owner decides. */
	int (*mem_read)(void *ctx, gpa_t gpa, void *ret_buf, size_t len);
	int (*mem_write)(void *ctx, gpa_t gpa, const void *buf, size_t len);
	/*
	 * Atomic compare-exchange for LOCK and XCHG on RAM. 1: exchanged; 0: different, and the
	 * present value is in io_expected; -EOPNOTSUPP: not RAM, then mem_read and mem_write are
	 * used. May be NULL: never atomic.
	 */
	int (*mem_cmpxchg)(void *ctx, gpa_t gpa, void *io_expected, const void *desired,
			   size_t len);
	/* size 1, 2 or 4 */
	int (*io_read)(void *ctx, uint16_t port, unsigned int size, uint32_t *ret_val);
	int (*io_write)(void *ctx, uint16_t port, unsigned int size, uint32_t val);
};

enum x86emu_result {
	/* The instruction is done, rip behind it. */
	X86EMU_OK,
	/*
	 * REP is not finished, or an atomic exchange was lost too often: rip at the instruction,
	 * registers consistent. Just run the guest again.
	 */
	X86EMU_AGAIN,
	/* Inject out.fault: rip at the instruction, RF set, REP registers as far as it got. */
	X86EMU_FAULT,
	/* State unchanged; the caller injects #UD, and counts it. */
	X86EMU_UNSUPPORTED,
	/* An op failed with out.err; rip at the instruction. */
	X86EMU_ERROR,
};

struct x86emu_out {
	struct x86emu_fault fault; /* X86EMU_FAULT */
	int err; /* X86EMU_ERROR: the op's -errno */
	bool trap; /* TF was set and an instruction or a REP element was done: inject #DB, DR6.BS */
	bool xmm_dirty; /* *fx was changed */
	uint8_t len; /* instruction length in bytes, 0 if it could not be decoded */
};

/**
 * x86emu_step - execute the instruction at CS:RIP
 * @s: registers; updated as described at enum x86emu_result
 * @ops, @ctx: memory and ports; called on this thread
 * @bytes, @n: instruction bytes at CS:RIP as far as known (0..16); what is missing is fetched
 * @ret_out: always filled
 *
 * All pages of all operands are translated before the first device or memory access, so a fault
 * leaves neither half-done writes nor lost device reads. The caller writes back gpr, rip and rflags
 * after every result but UNSUPPORTED, and clears the interrupt shadow after OK.
 * Context: any thread; as blocking as the ops are
 * Trust: VTL0. Spec: Intel SDM volume 2 and AMD APM volume 3, instruction reference
 */
enum x86emu_result x86emu_step(struct x86emu_state *s, const struct x86emu_ops *ops, void *ctx,
			       const void *bytes, size_t n, struct x86emu_out *ret_out);
