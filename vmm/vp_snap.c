/* SPDX-License-Identifier: MIT */
/* See vp_snap.h. One table: how a register is called, where it is, how it looks. */
#include "vp_snap.h"

#include <string.h>

#include "gmem.h"
#include "hvregs.h"
#include "inspect.h"
#include "regs.h"
#include "vcpu.h"

enum look { LOOK_HEX, LOOK_SEGMENT, LOOK_TABLE, LOOK_DEC };

static const struct snap_reg {
	const char *name; /* in the tree; a '/' makes a directory */
	uint32_t reg;
	enum look look;
} regs[] = {
	{ "rax", HVREG_RAX, LOOK_HEX },
	{ "rcx", HVREG_RCX, LOOK_HEX },
	{ "rdx", HVREG_RDX, LOOK_HEX },
	{ "rbx", HVREG_RBX, LOOK_HEX },
	{ "rsp", HVREG_RSP, LOOK_HEX },
	{ "rbp", HVREG_RBP, LOOK_HEX },
	{ "rsi", HVREG_RSI, LOOK_HEX },
	{ "rdi", HVREG_RDI, LOOK_HEX },
	{ "r8", HVREG_R8, LOOK_HEX },
	{ "r9", HVREG_R8 + 1, LOOK_HEX },
	{ "r10", HVREG_R8 + 2, LOOK_HEX },
	{ "r11", HVREG_R8 + 3, LOOK_HEX },
	{ "r12", HVREG_R8 + 4, LOOK_HEX },
	{ "r13", HVREG_R8 + 5, LOOK_HEX },
	{ "r14", HVREG_R8 + 6, LOOK_HEX },
	{ "r15", HVREG_R15, LOOK_HEX },
	{ "rip", HVREG_RIP, LOOK_HEX },
	{ "rflags", HVREG_RFLAGS, LOOK_HEX },
	{ "es", HVREG_ES, LOOK_SEGMENT },
	{ "cs", HVREG_CS, LOOK_SEGMENT },
	{ "ss", HVREG_SS, LOOK_SEGMENT },
	{ "ds", HVREG_DS, LOOK_SEGMENT },
	{ "fs", HVREG_FS, LOOK_SEGMENT },
	{ "gs", HVREG_GS, LOOK_SEGMENT },
	{ "tr", HVREG_TR, LOOK_SEGMENT },
	{ "ldtr", HVREG_LDTR, LOOK_SEGMENT },
	{ "gdtr", HVREG_GDTR, LOOK_TABLE },
	{ "idtr", HVREG_IDTR, LOOK_TABLE },
	{ "cr0", HVREG_CR0, LOOK_HEX },
	{ "cr2", HVREG_CR2, LOOK_HEX },
	{ "cr3", HVREG_CR3, LOOK_HEX },
	{ "cr4", HVREG_CR4, LOOK_HEX },
	{ "cr8", HVREG_CR8, LOOK_HEX },
	{ "efer", HVREG_EFER, LOOK_HEX },
	{ "xcr0", HVREG_XFEM, LOOK_HEX },
	{ "apic_base", HVREG_APIC_BASE, LOOK_HEX },
	{ "pat", HVREG_PAT, LOOK_HEX },
	{ "kernel_gs_base", HVREG_KERNEL_GS_BASE, LOOK_HEX },
	{ "star", HVREG_STAR, LOOK_HEX },
	{ "lstar", HVREG_LSTAR, LOOK_HEX },
	{ "cstar", HVREG_CSTAR, LOOK_HEX },
	{ "sfmask", HVREG_SFMASK, LOOK_HEX },
	{ "sysenter_cs", HVREG_SYSENTER_CS, LOOK_HEX },
	{ "sysenter_eip", HVREG_SYSENTER_EIP, LOOK_HEX },
	{ "sysenter_esp", HVREG_SYSENTER_ESP, LOOK_HEX },
	{ "tsc", HVREG_TSC, LOOK_DEC },
	{ "tsc_aux", HVREG_TSC_AUX, LOOK_HEX },
	{ "activity_state", HVREG_ACTIVITY_STATE, LOOK_HEX },
	{ "interrupt_state", HVREG_INTERRUPT_STATE, LOOK_HEX },
	{ "pending_interruption", HVREG_PENDING_INTERRUPTION, LOOK_HEX },
	{ "pending_event", HVREG_PENDING_EVENT0, LOOK_HEX },
	{ "guest_os_id", HVREG_GUEST_OS_ID, LOOK_HEX },
	{ "hypercall", HVREG_HYPERCALL, LOOK_HEX },
	{ "vp_assist_page", HVREG_VP_ASSIST_PAGE, LOOK_HEX },
	{ "reference_tsc", HVREG_REFERENCE_TSC, LOOK_HEX },
};
BUILD_ASSERT(ARRAY_SIZE(regs) <= VP_SNAP_REGS, "a snapshot has room for every register");

static size_t find(uint32_t reg)
{
	size_t i = 0;

	while (regs[i].reg != reg)
		i++;
	return i;
}

static bool known(const struct vp_snap *s, size_t i)
{
	return s->have & BIT(i);
}

/* Up to the end of the page: translating one page is enough to see the next instruction. */
static void read_code(struct vcpu *v, struct vp_snap *s)
{
	const size_t rip = find(HVREG_RIP), cs = find(HVREG_CS), efer = find(HVREG_EFER);
	struct hv_translate_ex_out x;
	uint64_t gva, off;
	uint32_t n;

	if (!known(s, rip) || !known(s, cs) || !known(s, efer))
		return;
	gva = s->val[rip].u64;
	if (!(s->val[efer].u64 & BIT(10))) /* not in long mode: the code segment has a base */
		gva = (uint32_t)(gva + s->val[cs].seg.base);
	if (hvc_translate(v->env->hvc, HV_VP_SELF, HV_XLATE_EXECUTE, gva >> KEEL_PAGE_SHIFT, &x) ||
	    x.code)
		return;
	off = gva & (KEEL_PAGE_SIZE - 1);
	n = (uint32_t)MIN((uint64_t)VP_SNAP_CODE, KEEL_PAGE_SIZE - off);
	if (gm_read(v->env->gm, (x.gpa_page << KEEL_PAGE_SHIFT) + off, s->code, n) == 0)
		s->n_code = n;
}

void vp_snap_take(struct vcpu *v, struct vp_snap *ret_snap)
{
	memset(ret_snap, 0, sizeof(*ret_snap));
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		if (regs_get(&v->vp, regs[i].reg, &ret_snap->val[i]) == 0)
			ret_snap->have |= BIT(i);
	}
	if (v->env->hvc && v->env->gm)
		read_code(v, ret_snap);
}

/* --- showing ---------------------------------------------------------------------------------- */

static void segment_inspect(struct inspect *in, const void *obj)
{
	const union hv_regval *val = obj;

	inspect_hex(in, SENS_SENSITIVE, "selector", val->seg.sel);
	inspect_hex(in, SENS_SENSITIVE, "base", val->seg.base);
	inspect_hex(in, SENS_SENSITIVE, "limit", val->seg.limit);
	inspect_hex(in, SENS_SENSITIVE, "attributes", val->seg.attr);
}

static void table_inspect(struct inspect *in, const void *obj)
{
	const union hv_regval *val = obj;

	inspect_hex(in, SENS_SENSITIVE, "base", val->table.base);
	inspect_hex(in, SENS_SENSITIVE, "limit", val->table.limit);
}

static void reg_inspect(struct inspect *in, const struct snap_reg *reg, const union hv_regval *val)
{
	switch (reg->look) {
	case LOOK_HEX:
		inspect_hex(in, SENS_SENSITIVE, reg->name, val->u64);
		break;
	case LOOK_DEC:
		inspect_u64(in, SENS_SENSITIVE, reg->name, val->u64);
		break;
	case LOOK_SEGMENT:
		inspect_dir(in, SENS_SENSITIVE, reg->name, segment_inspect, val);
		break;
	case LOOK_TABLE:
		inspect_dir(in, SENS_SENSITIVE, reg->name, table_inspect, val);
		break;
	}
}

void vp_snap_inspect(struct inspect *in, const void *snap)
{
	const struct vp_snap *s = snap;

	inspect_bool(in, SENS_SENSITIVE, "enabled", true);
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		if (known(s, i))
			reg_inspect(in, &regs[i], &s->val[i]);
	}
	if (s->n_code)
		inspect_bytes(in, SENS_SENSITIVE, "next_instruction", s->code, s->n_code);
}
