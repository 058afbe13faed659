/* SPDX-License-Identifier: MIT */
/*
 * Glue between an intercept and the instruction emulator, see exit_emu.h. Registers come from three
 * places that describe the same instant: RIP, RFLAGS, CS and mode from the message header, the
 * shared GPRs from the run page, the rest from the register view.
 */
#include "exit_emu.h"

#include <errno.h>
#include <string.h>

#include "bus.h"
#include "ckd.h"
#include "hvregs.h"
#include "inject.h"
#include "log.h"
#include "regs.h"
#include "x86emu.h"

#define LOG_AREA "emulate"

#define EXEC_INTERRUPTION_PENDING BIT(6)
#define PAGE_MASK (~(uint64_t)(KEEL_PAGE_SIZE - 1))
#define SEG_ATTR_LONG BIT(13)
#define PF_PRESENT BIT(0)
#define PF_WRITE BIT(1)
#define PF_USER BIT(2)
#define PF_FETCH BIT(4)

struct emu_call {
	struct vcpu *v;
	/*
	 * The one translation the hypervisor gave with the message, and the access it was checked
	 * for: another thread of the guest may have changed the instruction since, and a load that
	 * became a store must not get past a read-only mapping.
	 */
	bool hint_valid, hint_for_write;
	uint64_t hint_gva_page;
	gpa_t hint_gpa_page;
};

/* --- what the emulator asks for --------------------------------------------------------------- */

/* The fault a CPU would raise, from the event the hypervisor composed or from the bare code. */
static void fault_of(const struct hv_translate_ex_out *x, uint64_t gva, unsigned int access,
		     struct x86emu_fault *ret_fault)
{
	uint64_t q0 = x->event.q[0];

	if ((q0 & HV_PENDING_EVENT_PENDING) && HV_PENDING_EVENT_TYPE(q0) == 0) {
		*ret_fault = (struct x86emu_fault){
			.vector = (uint8_t)(q0 >> 16),
			.has_error = q0 & HV_PENDING_EXC_HAS_ERROR,
			.error = (uint32_t)(q0 >> 32),
			.cr2 = gva,
		};
		return;
	}
	*ret_fault = (struct x86emu_fault){
		.vector = X86_PF,
		.has_error = true,
		.error = (uint32_t)((x->code != HV_XLATE_NOT_PRESENT ? PF_PRESENT : 0) |
				    (access & X86EMU_ACC_WRITE ? PF_WRITE : 0) |
				    (access & X86EMU_ACC_USER ? PF_USER : 0) |
				    (access & X86EMU_ACC_EXEC ? PF_FETCH : 0)),
		.cr2 = gva,
	};
}

static bool hint_serves(const struct emu_call *c, uint64_t gva, unsigned int access)
{
	if (!c->hint_valid || (gva & PAGE_MASK) != c->hint_gva_page || (access & X86EMU_ACC_EXEC))
		return false;
	return c->hint_for_write || !(access & X86EMU_ACC_WRITE);
}

static int op_translate(void *ctx, uint64_t gva, unsigned int access, gpa_t *ret_gpa,
			struct x86emu_fault *ret_fault)
{
	struct emu_call *c = ctx;
	struct hv_translate_ex_out x;
	uint64_t flags = HV_XLATE_READ | HV_XLATE_SET_AD;
	int r;

	if (hint_serves(c, gva, access)) {
		*ret_gpa = c->hint_gpa_page | (gva & ~PAGE_MASK);
		return 0;
	}
	if (access & X86EMU_ACC_EXEC)
		flags = HV_XLATE_EXECUTE | HV_XLATE_SET_AD;
	else if (access & X86EMU_ACC_WRITE)
		flags |= HV_XLATE_WRITE;
	r = hvc_translate(c->v->env->hvc, HV_VP_SELF, flags, gva >> KEEL_PAGE_SHIFT, &x);
	if (r)
		return r < 0 ? r : -EIO;
	if (x.code == HV_XLATE_NOT_PRESENT || x.code == HV_XLATE_PRIVILEGE ||
	    x.code == HV_XLATE_BAD_PTE) {
		fault_of(&x, gva, access, ret_fault);
		return -EFAULT;
	}
	/* Other codes concern the guest-physical page, which is what our own doors check. */
	*ret_gpa = x.gpa_page << KEEL_PAGE_SHIFT | (gva & ~PAGE_MASK);
	return 0;
}

static int op_mem_fetch(void *ctx, gpa_t gpa, void *ret_buf, size_t len)
{
	struct emu_call *c = ctx;

	/* Where there is no RAM the bus floats: all ones, which no instruction starts with. */
	if (gm_read(c->v->env->gm, gpa, ret_buf, len) < 0)
		memset(ret_buf, 0xff, len);
	return 0;
}

static int op_mem_read(void *ctx, gpa_t gpa, void *ret_buf, size_t len)
{
	struct emu_call *c = ctx;
	const struct vcpu_env *env = c->v->env;
	uint64_t val;

	if (gm_is_ram(env->gm, gpa, len))
		return gm_read(env->gm, gpa, ret_buf, len);
	bus_read(env->bus, BUS_MMIO, gpa, (unsigned int)len, c->v->vp.idx, &val);
	memcpy(ret_buf, &val, MIN(len, sizeof(val)));
	return 0;
}

static int op_mem_write(void *ctx, gpa_t gpa, const void *buf, size_t len)
{
	struct emu_call *c = ctx;
	const struct vcpu_env *env = c->v->env;
	uint64_t val = 0;

	if (gm_is_ram(env->gm, gpa, len))
		return gm_write(env->gm, gpa, buf, len);
	memcpy(&val, buf, MIN(len, sizeof(val)));
	bus_write(env->bus, BUS_MMIO, gpa, (unsigned int)len, c->v->vp.idx, val);
	return 0;
}

static int op_mem_cmpxchg(void *ctx, gpa_t gpa, void *io_expected, const void *desired, size_t len)
{
	struct emu_call *c = ctx;
	uint64_t expected = 0, want = 0;
	int r;

	if (len > 8 || !gm_is_ram(c->v->env->gm, gpa, len))
		return -EOPNOTSUPP;
	memcpy(&expected, io_expected, len);
	memcpy(&want, desired, len);
	r = gm_cmpxchg(c->v->env->gm, gpa, (unsigned int)len, &expected, want);
	if (r == -EINVAL)
		return -EOPNOTSUPP; /* not naturally aligned: two plain accesses have to do */
	if (r == 0)
		memcpy(io_expected, &expected, len);
	return r;
}

static int op_io_read(void *ctx, uint16_t port, unsigned int size, uint32_t *ret_val)
{
	struct emu_call *c = ctx;
	uint64_t val;

	bus_read(c->v->env->bus, BUS_PIO, port, size, c->v->vp.idx, &val);
	*ret_val = (uint32_t)val;
	return 0;
}

static int op_io_write(void *ctx, uint16_t port, unsigned int size, uint32_t val)
{
	struct emu_call *c = ctx;

	bus_write(c->v->env->bus, BUS_PIO, port, size, c->v->vp.idx, val);
	return 0;
}

static const struct x86emu_ops emu_ops = {
	.translate = op_translate,
	.mem_fetch = op_mem_fetch,
	.mem_read = op_mem_read,
	.mem_write = op_mem_write,
	.mem_cmpxchg = op_mem_cmpxchg,
	.io_read = op_io_read,
	.io_write = op_io_write,
};

/* --- registers in and out --------------------------------------------------------------------- */

static bool is_long(const struct hv_x64_header *h)
{
	return (h->exec & HV_EXEC_LMA) && (h->cs.attr & SEG_ATTR_LONG);
}

/* Data segments: in 64-bit mode only FS and GS have a say. */
static int load_segs(struct vp *vp, struct x86emu_state *s, bool all)
{
	union hv_regval val;
	int r;

	for (uint32_t i = 0; i < ARRAY_SIZE(s->seg); i++) {
		if (i == HV_SEG_CS || (!all && i != HV_SEG_FS && i != HV_SEG_GS))
			continue;
		r = regs_get(vp, HVREG_ES + i, &val);
		if (r < 0)
			return r;
		s->seg[i] = val.seg;
	}
	return 0;
}

/* Everything at once where the hypervisor has laid it out. */
static void load_page(const struct hv_register_page *p, struct x86emu_state *s)
{
	s->gpr[X86_RSP] = p->gp[X86_RSP];
	s->cr0 = p->cr0;
	s->cr4 = p->cr4;
	s->efer = p->efer;
	memcpy(s->seg, p->seg, sizeof(s->seg));
}

static int load_each(struct vp *vp, const struct hv_x64_header *h, struct x86emu_state *s)
{
	int r = regs_get64(vp, HVREG_RSP, &s->gpr[X86_RSP]);

	if (r == 0)
		r = regs_get64(vp, HVREG_CR0, &s->cr0);
	if (r == 0)
		r = regs_get64(vp, HVREG_CR4, &s->cr4);
	if (r == 0)
		r = regs_get64(vp, HVREG_EFER, &s->efer);
	if (r)
		return r;
	memset(s->seg, 0, sizeof(s->seg));
	return load_segs(vp, s, !is_long(h));
}

static int load_state(struct vcpu *v, const struct hv_x64_header *h, struct x86emu_state *s)
{
	struct vp *vp = &v->vp;
	int r = 0;

	memcpy(s->gpr, vp_gp(vp), sizeof(s->gpr));
	if (regs_page_valid(vp))
		load_page(vp->page, s);
	else
		r = load_each(vp, h, s);
	s->rip = h->rip;
	s->rflags = h->rflags;
	s->seg[HV_SEG_CS] = h->cs;
	s->cpl = HV_EXEC_CPL(h->exec);
	s->fx = vp->run->ctx.fx;
	return r;
}

static void store_state(struct vcpu *v, const struct hv_x64_header *h, const struct x86emu_state *s,
			uint64_t old_rsp)
{
	uint64_t *gp = vp_gp(&v->vp);
	int r = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(s->gpr); i++) {
		if (i != X86_RSP)
			gp[i] = s->gpr[i];
	}
	if (s->gpr[X86_RSP] != old_rsp)
		r = regs_set64(&v->vp, HVREG_RSP, s->gpr[X86_RSP]);
	if (r == 0 && s->rflags != h->rflags)
		r = regs_set64(&v->vp, HVREG_RFLAGS, s->rflags);
	if (r == 0 && s->rip != h->rip)
		r = regs_set_rip(&v->vp, s->rip);
	if (r < 0)
		log_warn_rl(ALLOWED, "vp %u: cannot write registers back (%d)", v->vp.idx, r);
}

static void clear_shadow(struct vcpu *v, const struct hv_x64_header *h)
{
	uint64_t state;

	if (!(h->exec & HV_EXEC_INTERRUPT_SHADOW))
		return;
	if (regs_get64(&v->vp, HVREG_INTERRUPT_STATE, &state) == 0 && (state & 1))
		(void)!regs_set64(&v->vp, HVREG_INTERRUPT_STATE, state & ~1ull);
}

/* What to do when no instruction was executed. */
static void refuse(struct vcpu *v, enum exit_kind kind, uint8_t vector, int err)
{
	struct x86emu_fault fault = { .vector = vector, .has_error = vector == X86_GP };

	vcpu_count(v, kind);
	log_warn_rl(ALLOWED, "vp %u: instruction not emulated (%s, %d)", v->vp.idx,
		    exit_kind_names[kind], err);
	inject_exception(v, &fault);
}

static void emulate(struct emu_call *c, const struct hv_x64_header *h, bool io_checked,
		    const void *bytes, size_t n)
{
	struct vcpu *v = c->v;
	struct x86emu_state s;
	struct x86emu_out out;
	enum x86emu_result res;
	uint64_t old_rsp;
	int r = load_state(v, h, &s);

	if (r < 0) {
		refuse(v, EXIT_EMU_ERROR, X86_GP, r);
		return;
	}
	s.io_checked = io_checked;
	old_rsp = s.gpr[X86_RSP];
	res = x86emu_step(&s, &emu_ops, c, bytes, MIN(n, (size_t)16), &out);
	if (res != X86EMU_UNSUPPORTED)
		store_state(v, h, &s, old_rsp);
	switch (res) {
	case X86EMU_OK:
		clear_shadow(v, h);
		break;
	case X86EMU_AGAIN:
		break;
	case X86EMU_FAULT:
		inject_exception(v, &out.fault);
		return;
	case X86EMU_UNSUPPORTED:
		refuse(v, EXIT_EMU_UNSUPPORTED, X86_UD, 0);
		return;
	case X86EMU_ERROR:
		refuse(v, EXIT_EMU_ERROR, X86_GP, out.err);
		return;
	}
	if (out.trap)
		inject_trap(v);
}

void exit_emu_mem(struct vcpu *v, const struct hv_mem_msg *m)
{
	const uint8_t both = HV_MEM_GVA_VALID | HV_MEM_GVA_GPA_VALID;
	struct emu_call c = { .v = v };

	if (m->h.exec & EXEC_INTERRUPTION_PENDING) {
		/*
		 * Not an instruction but the delivery of an event touched this address: a stack or
		 * descriptor table in no man's land. There is no way on for a CPU in that state.
		 */
		vcpu_count(v, EXIT_TRIPLE_FAULT);
		v->env->triple_fault(v->env->ctx, v->vp.idx);
		return;
	}
	if ((m->info & both) == both) {
		c.hint_valid = true;
		c.hint_for_write = m->h.access == HV_ACC_WRITE;
		c.hint_gva_page = m->gva & PAGE_MASK;
		c.hint_gpa_page = m->gpa & PAGE_MASK;
	}
	emulate(&c, &m->h, false, m->ibytes, m->ibytes_count);
}

void exit_emu_io(struct vcpu *v, const struct hv_io_msg *m)
{
	struct emu_call c = { .v = v };

	/* The port permission was checked for the bytes of the message, not for refetched ones. */
	emulate(&c, &m->h, m->ibytes_count > 0, m->ibytes, m->ibytes_count);
}
