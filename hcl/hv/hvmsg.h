/* SPDX-License-Identifier: MIT */
/*
 * SynIC messages, intercept message payloads, VP assist page and register page, as they lie in
 * memory shared between the hypervisor and VTL2 (TLFS, "Intercepts", "SynIC", "VSM").
 */
#pragma once

#include <stdint.h>

#include "hvcall.h"
#include "macros.h"

#define HV_MESSAGE_SIZE 256
#define HV_MESSAGE_FLAG_PENDING 1u

struct hv_message {
	uint32_t type;
	uint8_t payload_size;
	uint8_t flags;
	uint16_t rsvd;
	uint64_t sender;
	uint8_t payload[HV_MESSAGE_PAYLOAD];
};
WIRE_SIZE(struct hv_message, HV_MESSAGE_SIZE);

/* PostMessageDirect. The message is not aligned. */
struct hv_post_direct_in {
	uint64_t partition;
	uint32_t vp;
	uint8_t vtl; /* plain VTL number */
	uint8_t rsvd0[3];
	uint8_t sint;
	uint8_t rsvd1[3];
	uint8_t message[HV_MESSAGE_SIZE];
	uint8_t rsvd2[4];
};
WIRE_SIZE(struct hv_post_direct_in, 280);
WIRE_OFFSET(struct hv_post_direct_in, message, 20);

enum hv_message_type {
	HVMSG_NONE = 0,
	HVMSG_CHANNEL = 1, /* VMBus channel message */
	HVMSG_UNMAPPED_GPA = 0x80000000,
	HVMSG_GPA_INTERCEPT = 0x80000001,
	HVMSG_UNACCEPTED_GPA = 0x80000003,
	HVMSG_TIMER_EXPIRED = 0x80000010,
	HVMSG_INVALID_VP_REGISTER = 0x80000020,
	HVMSG_UNRECOVERABLE_EXCEPTION = 0x80000021,
	HVMSG_HYPERCALL = 0x80000050,
	HVMSG_SINT_DELIVERABLE = 0x80000062,
	HVMSG_IO_PORT = 0x80010000,
	HVMSG_MSR = 0x80010001,
	HVMSG_CPUID = 0x80010002,
	HVMSG_EXCEPTION = 0x80010003,
	HVMSG_APIC_EOI = 0x80010004,
	HVMSG_HALT = 0x80010007,
	HVMSG_INTERRUPTION_DELIVERABLE = 0x80010008,
};

#define HV_EXEC_CPL(s) ((s) & 3)
#define HV_EXEC_PE BIT(2)
#define HV_EXEC_AM BIT(3)
#define HV_EXEC_LMA BIT(4)
#define HV_EXEC_VTL(s) (((s) >> 7) & 15)
#define HV_EXEC_VTL_SHIFT 7
#define HV_EXEC_INTERRUPT_SHADOW BIT(12)

enum hv_access_type { HV_ACC_READ = 0, HV_ACC_WRITE = 1, HV_ACC_EXECUTE = 2 };

/* First 40 bytes of every x64 intercept payload except ApicEoi. */
struct hv_x64_header {
	uint32_t vp;
	uint8_t ilen_cr8; /* instruction length 3:0, CR8 7:4 */
	uint8_t access; /* enum hv_access_type */
	uint16_t exec; /* HV_EXEC_* */
	struct hv_seg cs;
	uint64_t rip;
	uint64_t rflags;
};
WIRE_SIZE(struct hv_x64_header, 40);

#define HV_MEM_GVA_VALID BIT(0)
#define HV_MEM_GVA_GPA_VALID BIT(1)
#define HV_MEM_TLB_LOCKED BIT(3)

struct hv_mem_msg {
	struct hv_x64_header h;
	uint32_t cache_type;
	uint8_t ibytes_count;
	uint8_t info; /* HV_MEM_* */
	uint8_t tpr;
	uint8_t rsvd;
	uint64_t gva;
	uint64_t gpa;
	uint8_t ibytes[16];
};
WIRE_SIZE(struct hv_mem_msg, 80);

#define HV_IO_SIZE(info) ((info) & 7)
#define HV_IO_STRING BIT(3)
#define HV_IO_REP BIT(4)

struct hv_io_msg {
	struct hv_x64_header h;
	uint16_t port;
	uint8_t info; /* size 2:0, HV_IO_* */
	uint8_t ibytes_count;
	uint32_t rsvd;
	uint64_t rax;
	uint8_t ibytes[16];
	struct hv_seg ds, es;
	uint64_t rcx, rsi, rdi;
};
WIRE_SIZE(struct hv_io_msg, 128);

struct hv_msr_msg {
	struct hv_x64_header h;
	uint32_t msr;
	uint32_t rsvd;
	uint64_t rdx, rax;
};
WIRE_SIZE(struct hv_msr_msg, 64);

struct hv_cpuid_msg {
	struct hv_x64_header h;
	uint64_t rax, rcx, rdx, rbx;
	uint64_t def_rax, def_rcx, def_rdx, def_rbx;
};
WIRE_SIZE(struct hv_cpuid_msg, 104);

struct hv_hypercall_msg {
	struct hv_x64_header h;
	uint64_t rax, rbx, rcx, rdx, r8, rsi, rdi;
	uint8_t xmm[6][16];
	uint32_t flags;
	uint32_t rsvd[3];
};
WIRE_SIZE(struct hv_hypercall_msg, 208);

struct hv_sint_deliverable_msg {
	struct hv_x64_header h;
	uint16_t sints;
	uint16_t rsvd[3];
};
WIRE_SIZE(struct hv_sint_deliverable_msg, 48);

struct hv_interruption_deliverable_msg {
	struct hv_x64_header h;
	uint8_t type; /* 0 external interrupt, 2 NMI */
	uint8_t rsvd[7];
};
WIRE_SIZE(struct hv_interruption_deliverable_msg, 48);

struct hv_apic_eoi_msg {
	uint32_t vp;
	uint32_t vector;
};
WIRE_SIZE(struct hv_apic_eoi_msg, 8);

struct hv_timer_msg {
	uint32_t index;
	uint32_t rsvd;
	uint64_t expiry; /* 100 ns */
	uint64_t delivery;
};
WIRE_SIZE(struct hv_timer_msg, 24);

/* VP assist page. */
enum hv_vtl_entry_reason {
	HV_VTL_ENTRY_RESERVED = 0,
	HV_VTL_ENTRY_CALL = 1,
	HV_VTL_ENTRY_INTERRUPT = 2,
	HV_VTL_ENTRY_INTERCEPT = 3,
};

struct hv_vtl_return_action {
	uint64_t type; /* 1 = signal event */
	uint32_t vp;
	uint8_t vtl;
	uint8_t sint;
	uint16_t flag;
};
WIRE_SIZE(struct hv_vtl_return_action, 16);
#define HV_VTL_RETURN_SIGNAL_EVENT 1
#define HV_VTL_RETURN_ACTIONS 16

struct hv_assist_page {
	uint32_t apic_assist;
	uint32_t rsvd0;
	uint32_t entry_reason; /* enum hv_vtl_entry_reason */
	uint8_t vina;
	uint8_t rsvd1[3];
	uint64_t ret_rax, ret_rcx;
	uint8_t rsvd2[112 - 32];
	struct hv_message intercept;
	struct hv_vtl_return_action actions[HV_VTL_RETURN_ACTIONS];
};
WIRE_OFFSET(struct hv_assist_page, entry_reason, 8);
WIRE_OFFSET(struct hv_assist_page, ret_rax, 16);
WIRE_OFFSET(struct hv_assist_page, intercept, 112);
WIRE_OFFSET(struct hv_assist_page, actions, 368);
WIRE_SIZE(struct hv_assist_page, 624);

/* Register page: valid after an intercept only; dirty parts are applied at the next VTL return. */
#define HV_REGPAGE_DIRTY_GP BIT(0) /* of the general registers only RSP is private to the VTL */
#define HV_REGPAGE_DIRTY_RIP BIT(1)
#define HV_REGPAGE_DIRTY_XMM BIT(2)
#define HV_REGPAGE_DIRTY_SEG BIT(3)
#define HV_REGPAGE_DIRTY_RFLAGS BIT(4)

struct hv_register_page {
	uint16_t version; /* 1 */
	uint8_t is_valid;
	uint8_t vtl;
	uint32_t dirty;
	uint64_t gp[16]; /* rax rcx rdx rbx rsp rbp rsi rdi r8..r15 */
	uint64_t rip, rflags, rsvd0;
	uint8_t xmm[6][16];
	struct hv_seg seg[6]; /* es cs ss ds fs gs */
	uint64_t cr0, cr3, cr4, cr8, efer, dr7;
	uint64_t pending_interruption;
	uint64_t interrupt_state;
	uint64_t emulation_hints;
	uint64_t xfem;
};
WIRE_OFFSET(struct hv_register_page, rip, 136);
WIRE_OFFSET(struct hv_register_page, xmm, 160);
WIRE_OFFSET(struct hv_register_page, seg, 256);
WIRE_OFFSET(struct hv_register_page, cr0, 352);
WIRE_OFFSET(struct hv_register_page, pending_interruption, 400);
WIRE_OFFSET(struct hv_register_page, xfem, 424);

enum hv_seg_index { HV_SEG_ES, HV_SEG_CS, HV_SEG_SS, HV_SEG_DS, HV_SEG_FS, HV_SEG_GS };

/* Reference TSC page: time in 100 ns = ((tsc * scale) >> 64) + offset; sequence 0 = invalid. */
struct hv_tsc_page {
	uint32_t sequence;
	uint32_t rsvd;
	uint64_t scale;
	int64_t offset;
};
WIRE_SIZE(struct hv_tsc_page, 24);

#define HV_EVENT_FLAGS_BYTES 256
#define HV_EVENT_FLAGS 2048
