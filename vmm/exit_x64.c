/* SPDX-License-Identifier: MIT */
/*
 * Intercept decode, see exit_x64.h. The message lies in the run page, which nobody writes while
 * this thread is outside the run ioctl: it is our private copy and is not copied again.
 */
#include "exit_x64.h"

#include "bus.h"
#include "cpuid.h"
#include "exit_emu.h"
#include "hv_names.h"
#include "hvcall_dispatch.h"
#include "hvregs.h"
#include "inject.h"
#include "log.h"
#include "msr.h"
#include "regs.h"

#define LOG_AREA "exit"

#define SEG_ATTR_LONG BIT(13)
#define RFLAGS_TF X86_FL_TF

/* Index of a register in the run page's context. */
enum { CTX_RAX = 0, CTX_RCX = 1, CTX_RDX = 2, CTX_RBX = 3 };

typedef void (*exit_fn)(struct vcpu *v, const void *payload);

struct exit_type {
	exit_fn handle;
	uint8_t min_payload;
	uint8_t kind; /* enum exit_kind */
};

static void clear_interrupt_shadow(struct vcpu *v)
{
	uint64_t state;

	if (regs_get64(&v->vp, HVREG_INTERRUPT_STATE, &state) < 0)
		return;
	if (state & 1 && regs_set64(&v->vp, HVREG_INTERRUPT_STATE, state & ~1ull) < 0)
		log_debug_rl(ALLOWED, "vp %u: interrupt shadow stays", v->vp.idx);
}

void exit_advance_rip(struct vcpu *v, const struct hv_x64_header *h)
{
	uint64_t rip = h->rip + (h->ilen_cr8 & 15);
	int r;

	if (!(h->exec & HV_EXEC_LMA) || !(h->cs.attr & SEG_ATTR_LONG))
		rip &= 0xffffffff;
	r = regs_set_rip(&v->vp, rip);
	if (r < 0)
		log_warn_rl(ALLOWED, "vp %u: cannot set RIP (%d)", v->vp.idx, r);
	if (h->exec & HV_EXEC_INTERRUPT_SHADOW)
		clear_interrupt_shadow(v);
	if (h->rflags & RFLAGS_TF)
		inject_trap(v);
}

static void handle_io(struct vcpu *v, const void *payload)
{
	const struct hv_io_msg *m = payload;
	unsigned int size = HV_IO_SIZE(m->info);
	uint64_t *rax = &vp_gp(&v->vp)[CTX_RAX];
	uint64_t mask, val;

	if (m->info & (HV_IO_STRING | HV_IO_REP)) {
		vcpu_count(v, EXIT_PIO_STRING);
		exit_emu_io(v, m);
		return;
	}
	if (size != 1 && size != 2 && size != 4) {
		vcpu_count(v, EXIT_UNKNOWN);
		log_warn_rl(ALLOWED, "vp %u: port access of %u bytes", v->vp.idx, size);
		return;
	}
	mask = (1ull << size * 8) - 1;
	if (m->h.access == HV_ACC_WRITE) {
		bus_write(v->env->bus, BUS_PIO, m->port, size, v->vp.idx, *rax & mask);
	} else {
		bus_read(v->env->bus, BUS_PIO, m->port, size, v->vp.idx, &val);
		/* As the CPU does: 32-bit results clear the upper half, smaller ones keep the
		 * rest. */
		*rax = size == 4 ? val & mask : (*rax & ~mask) | (val & mask);
	}
	exit_advance_rip(v, &m->h);
}

static bool is_protected(const struct vcpu_env *env, gpa_t gpa)
{
	for (size_t i = 0; i < env->n_protected; i++) {
		const struct gpa_range *p = &env->protected_ranges[i];

		if (gpa >= p->base && gpa - p->base < p->len)
			return true;
	}
	return false;
}

static void handle_mem(struct vcpu *v, const void *payload)
{
	exit_emu_mem(v, payload);
}

/* The hypervisor refused an access right: VTL2's memory, or a page with fewer rights. */
static void handle_gpa_intercept(struct vcpu *v, const void *payload)
{
	const struct hv_mem_msg *m = payload;

	if (is_protected(v->env, m->gpa)) {
		vcpu_count(v, EXIT_PROTECTED);
		log_warn_rl(CONF, "vp %u: VTL0 access (%u) to VTL2 memory at %#llx", v->vp.idx,
			    m->h.access, (unsigned long long)m->gpa);
	}
	exit_emu_mem(v, m);
}

static void handle_msr(struct vcpu *v, const void *payload)
{
	const struct hv_msr_msg *m = payload;
	uint64_t *gp = vp_gp(&v->vp);
	uint64_t val;

	if (m->h.access == HV_ACC_WRITE) {
		val = (gp[CTX_RAX] & 0xffffffff) | gp[CTX_RDX] << 32;
		msr_write(v, m->msr, val);
	} else {
		val = msr_read(v, m->msr);
		gp[CTX_RAX] = val & 0xffffffff;
		gp[CTX_RDX] = val >> 32;
	}
	exit_advance_rip(v, &m->h);
}

static void handle_cpuid(struct vcpu *v, const void *payload)
{
	const struct hv_cpuid_msg *m = payload;
	uint64_t *gp = vp_gp(&v->vp);
	struct cpuid_regs regs = {
		.eax = (uint32_t)m->def_rax,
		.ebx = (uint32_t)m->def_rbx,
		.ecx = (uint32_t)m->def_rcx,
		.edx = (uint32_t)m->def_rdx,
	};

	cpuid_adjust((uint32_t)m->rax, (uint32_t)m->rcx, &regs);
	gp[CTX_RAX] = regs.eax;
	gp[CTX_RBX] = regs.ebx;
	gp[CTX_RCX] = regs.ecx;
	gp[CTX_RDX] = regs.edx;
	exit_advance_rip(v, &m->h);
}

static void handle_hypercall(struct vcpu *v, const void *payload)
{
	hvcall_dispatch(v, payload);
}

static void handle_deliverable(struct vcpu *v, const void *payload)
{
	const struct hv_interruption_deliverable_msg *m = payload;

	/* The hypervisor has cleared the bit it reports: our picture of the register follows. */
	if (m->type == 0) {
		v->deliver_set &= ~HV_DELIVER_INTERRUPT;
		inject_extint(v);
	} else {
		v->deliver_set &= ~HV_DELIVER_NMI;
	}
}

static void handle_sint(struct vcpu *v, const void *payload)
{
	const struct hv_sint_deliverable_msg *m = payload;

	const struct vcpu_env *env = v->env;

	v->deliver_set &= ~((uint64_t)m->sints << HV_DELIVER_SINT_SHIFT);
	v->want_sints &= (uint16_t)~m->sints;
	if (env->sints_free)
		env->sints_free(env->ctx, v->vp.idx, m->sints);
}

static void handle_eoi(struct vcpu *v, const void *payload)
{
	const struct hv_apic_eoi_msg *m = payload;

	v->env->eoi(v->env->ctx, (uint8_t)m->vector);
}

static void handle_triple_fault(struct vcpu *v, const void *payload)
{
	(void)payload;
	v->env->triple_fault(v->env->ctx, v->vp.idx);
}

/* Message types 0x8000xxxx and 0x8001xxxx that are served, by their low byte. */
static const struct exit_type arch_types[] = {
	[HVMSG_IO_PORT & 0xff] = { handle_io, sizeof(struct hv_io_msg), EXIT_PIO },
	[HVMSG_MSR & 0xff] = { handle_msr, sizeof(struct hv_msr_msg), EXIT_MSR },
	[HVMSG_CPUID & 0xff] = { handle_cpuid, sizeof(struct hv_cpuid_msg), EXIT_CPUID },
	[HVMSG_APIC_EOI & 0xff] = { handle_eoi, sizeof(struct hv_apic_eoi_msg), EXIT_EOI },
	[HVMSG_INTERRUPTION_DELIVERABLE & 0xff] = { handle_deliverable,
		sizeof(struct hv_interruption_deliverable_msg), EXIT_DELIVERABLE },
};

static const struct exit_type common_types[] = {
	[HVMSG_UNMAPPED_GPA & 0xff] = { handle_mem, sizeof(struct hv_mem_msg), EXIT_MMIO },
	[HVMSG_GPA_INTERCEPT & 0xff] = { handle_gpa_intercept, sizeof(struct hv_mem_msg),
					 EXIT_MMIO },
	[HVMSG_UNACCEPTED_GPA & 0xff] = { handle_mem, sizeof(struct hv_mem_msg), EXIT_MMIO },
	[HVMSG_UNRECOVERABLE_EXCEPTION & 0xff] = { handle_triple_fault,
						   sizeof(struct hv_x64_header),
						   EXIT_TRIPLE_FAULT },
	[HVMSG_HYPERCALL & 0xff] = { handle_hypercall, sizeof(struct hv_hypercall_msg),
				     EXIT_HYPERCALL },
	[HVMSG_SINT_DELIVERABLE & 0xff] = { handle_sint, sizeof(struct hv_sint_deliverable_msg),
					    EXIT_SINT },
};

static const struct exit_type *find_type(uint32_t type)
{
	const struct exit_type *t = NULL;

	if ((type & ~0xffu) == 0x80010000 && (type & 0xff) < ARRAY_SIZE(arch_types))
		t = &arch_types[type & 0xff];
	else if ((type & ~0xffu) == 0x80000000 && (type & 0xff) < ARRAY_SIZE(common_types))
		t = &common_types[type & 0xff];
	return t && t->handle ? t : NULL;
}

void exit_handle(struct vcpu *v)
{
	const struct hv_message *msg = vp_exit(&v->vp);
	const struct exit_type *t = find_type(msg->type);

	if (!t || msg->payload_size < t->min_payload) {
		vcpu_count(v, EXIT_UNKNOWN);
		log_warn_rl(ALLOWED, "vp %u: message %s (%#x) of %u bytes ignored", v->vp.idx,
			    hv_message_name(msg->type), msg->type, msg->payload_size);
		return;
	}
	vcpu_count(v, t->kind);
	t->handle(v, msg->payload);
}
