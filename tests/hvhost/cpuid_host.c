/* SPDX-License-Identifier: MIT */
#include "cpuid_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 280
#define HV_FIRST 0x40000000u
#define HV_LAST 0x4fffffffu

/* Version we claim: a recent Windows Server's. */
#define HV_BUILD 20348u
#define HV_MAJOR_MINOR (10u << 16)
#define MAX_VPS 1024u

/* Leaf 3, EAX: access to ... */
#define PRIV_VP_RUNTIME BIT(0)
#define PRIV_REF_COUNT BIT(1)
#define PRIV_SYNIC BIT(2)
#define PRIV_STIMER BIT(3)
#define PRIV_HYPERCALL BIT(5)
#define PRIV_VP_INDEX BIT(6)
#define PRIV_RESET BIT(7)
#define PRIV_REF_TSC BIT(9)
#define PRIV_FREQUENCY BIT(11)
/* EBX */
#define PRIV_POST BIT(4)
#define PRIV_SIGNAL BIT(5)
#define PRIV_VSM BIT(16)
#define PRIV_VP_REGISTERS BIT(17)
#define PRIV_START_VP BIT(21)
#define PRIV_ISOLATION BIT(22)
/* EDX */
#define FEAT_FREQUENCY BIT(8)
#define FEAT_CRASH BIT(10)
#define FEAT_DIRECT_STIMER BIT(19)
#define FEAT_TRANSLATE_FLAGS BIT(30)
#define FEAT_EOI_INTERCEPT BIT(31)
/* Leaf 4, EAX */
#define HINT_RELAXED_TIMING BIT(5)
#define HINT_NO_AUTO_EOI BIT(9)
#define HINT_CLUSTER_IPI BIT(10)
#define HINT_EX_MASKS BIT(11)
#define NEVER_NOTIFY_SPIN 0xffffffffu

#define PRIV_COMMON                                                                       \
	(PRIV_VP_RUNTIME | PRIV_REF_COUNT | PRIV_SYNIC | PRIV_HYPERCALL | PRIV_VP_INDEX | \
	 PRIV_RESET | PRIV_REF_TSC | PRIV_FREQUENCY)

#define CPUID1_ECX_VMX BIT(5)
#define CPUID1_ECX_X2APIC BIT(21)
#define CPUID1_ECX_TSC_DEADLINE BIT(24)
#define CPUID1_ECX_XSAVE BIT(26)
#define CPUID1_ECX_OSXSAVE BIT(27)
#define CPUID1_ECX_HYPERVISOR BIT(31)
#define CPUID1_EDX_HTT BIT(28)
#define CPUID81_ECX_CMP_LEGACY BIT(1)
#define CPUID81_ECX_SVM BIT(2)
#define CPUID81_ECX_TOPOEXT BIT(22)
#define CPUID87_EDX_INVARIANT_TSC BIT(8)

struct table {
	struct kvm_cpuid2 *t;
	struct kvm_cpuid_entry2 *e;
};

static void put(struct table *t, uint32_t fn, uint32_t eax, uint32_t ebx, uint32_t ecx,
		uint32_t edx)
{
	if (t->t->nent < ENTRIES_MAX)
		t->e[t->t->nent++] = (struct kvm_cpuid_entry2){
			.function = fn, .eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx
		};
}

/*
 * VTL2 is the paravisor, so for it there is none. VTL0 is not told: it runs as if on an ordinary
 * VM, which is the paravisor's choice on real machines.
 */
static void put_isolation(struct table *t)
{
	for (uint32_t leaf = HVCPUID_HARDWARE + 1; leaf < HVCPUID_ISOLATION; leaf++)
		put(t, leaf, 0, 0, 0, 0);
	put(t, HVCPUID_ISOLATION, 0, HV_ISOLATION_VBS, 0, 0);
}

static void put_hv(struct table *t, const struct hvpart *part, enum vtl_index v)
{
	bool vtl2 = v == VTL2, isolated = vtl2 && part->isolated;
	uint32_t vps = part->n_vps;

	put(t, HVCPUID_VENDOR, isolated ? HVCPUID_ISOLATION : HVCPUID_HARDWARE, 0x7263694d,
	    0x666f736f, 0x76482074);
	put(t, HVCPUID_INTERFACE, HV_CPUID_INTERFACE_HV1, 0, 0, 0);
	put(t, HVCPUID_VERSION, HV_BUILD, HV_MAJOR_MINOR, 0, 0);
	put(t, HVCPUID_FEATURES, (uint32_t)(PRIV_COMMON | (vtl2 ? PRIV_STIMER : 0)),
	    (uint32_t)(PRIV_POST | PRIV_SIGNAL |
		       (vtl2 ? PRIV_VSM | PRIV_VP_REGISTERS | PRIV_START_VP : 0) |
		       (isolated ? PRIV_ISOLATION : 0)),
	    0,
	    (uint32_t)(FEAT_FREQUENCY | FEAT_CRASH |
		       (vtl2 ? FEAT_DIRECT_STIMER | FEAT_TRANSLATE_FLAGS | FEAT_EOI_INTERCEPT
			     : 0)));
	put(t, HVCPUID_RECOMMENDATIONS,
	    (uint32_t)(HINT_RELAXED_TIMING | HINT_NO_AUTO_EOI |
		       (vtl2 ? HINT_CLUSTER_IPI | HINT_EX_MASKS : 0)),
	    NEVER_NOTIFY_SPIN, 0, 0);
	put(t, HVCPUID_LIMITS, MAX(MAX_VPS, vps), MAX(MAX_VPS, vps), 0, 0);
	put(t, HVCPUID_HARDWARE, 0, 0, 0, 0);
	if (isolated)
		put_isolation(t);
}

/* VTL2's own view has no virtualization stack below it. Always there: without the entries KVM
 * answers with another leaf's data. */
static void put_vs(struct table *t, const struct hvpart *part, enum vtl_index v)
{
	static const struct cpuid_leaf zero;

	for (uint32_t i = 0; i < 3; i++) {
		const struct cpuid_leaf *l = v == VTL0 ? &part->vs_leaf[i] : &zero;

		put(t, HVCPUID_VS_VENDOR + i, l->eax, l->ebx, l->ecx, l->edx);
	}
}

static uint32_t apic_bits(uint32_t vps)
{
	uint32_t bits = 0;

	while ((1u << bits) < vps)
		bits++;
	return bits;
}

/* One package of single-threaded cores. Level 0 is the thread, 1 the core. */
static void put_topology(struct table *t, uint32_t fn, uint32_t apic_id, uint32_t vps)
{
	for (uint32_t level = 0; level < 3; level++) {
		struct kvm_cpuid_entry2 *e;

		put(t, fn, 0, 0, 0, 0);
		e = &t->e[t->t->nent - 1];
		e->index = level;
		e->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		e->eax = level == 1 ? apic_bits(vps) : 0;
		e->ebx = level == 0 ? 1 : level == 1 ? vps : 0;
		e->ecx = level | (level < 2 ? (level + 1) << 8 : 0);
		e->edx = apic_id;
	}
}

static void fix_leaf1(const struct hvpart *part, struct kvm_cpuid_entry2 *e, uint32_t apic_id,
		      enum vtl_index v)
{
	uint32_t logical = MIN(part->n_vps, 255u);

	e->ebx = (e->ebx & 0xffff) | logical << 16 | (apic_id & 0xff) << 24;
	e->ecx &= ~(uint32_t)(CPUID1_ECX_VMX | CPUID1_ECX_TSC_DEADLINE | CPUID1_ECX_OSXSAVE);
	e->ecx |= (uint32_t)(CPUID1_ECX_HYPERVISOR | CPUID1_ECX_X2APIC);
	if (v == VTL0 && part->sys.tsc_deadline)
		e->ecx |= (uint32_t)CPUID1_ECX_TSC_DEADLINE;
	e->edx &= ~(uint32_t)CPUID1_EDX_HTT;
	if (part->n_vps > 1)
		e->edx |= (uint32_t)CPUID1_EDX_HTT;
}

static void fix_amd_core(const struct hvpart *part, struct kvm_cpuid_entry2 *e, uint32_t apic_id)
{
	if (e->function == 0x80000001) {
		e->ecx &= ~(uint32_t)(CPUID81_ECX_SVM | CPUID81_ECX_CMP_LEGACY);
		if (part->n_vps > 1)
			e->ecx |= (uint32_t)CPUID81_ECX_CMP_LEGACY;
	} else if (e->function == 0x80000008) {
		e->ecx = (MIN(part->n_vps, 256u) - 1) | apic_bits(part->n_vps) << 12;
	} else if (e->function == 0x8000001e) {
		e->eax = apic_id;
		e->ebx = apic_id & 0xff;
		e->ecx = 0;
		e->edx = 0;
	}
}

/* Leaf 4 and 0x8000001d: cores per package; caches are the core's own. */
static void fix_cache(const struct hvpart *part, struct kvm_cpuid_entry2 *e)
{
	if (!(e->eax & 0x1f))
		return;
	e->eax &= 0x3fff;
	if (e->function == 4)
		e->eax |= ((1u << MIN(apic_bits(part->n_vps), 6u)) - 1) << 26;
}

/* One entry of KVM's list. False: it does not go into the table. */
static bool adapt(const struct hvpart *part, struct kvm_cpuid_entry2 *e, uint32_t apic_id,
		  enum vtl_index v)
{
	if (e->function >= HV_FIRST && e->function <= HV_LAST)
		return false;
	switch (e->function) {
	case 1:
		fix_leaf1(part, e, apic_id, v);
		return true;
	case 4:
	case 0x8000001d:
		fix_cache(part, e);
		return true;
	case 0xb:
	case 0x1f:
	case 0x80000026:
		return false;
	case 0x80000007:
		e->edx |= (uint32_t)CPUID87_EDX_INVARIANT_TSC;
		return true;
	default:
		fix_amd_core(part, e, apic_id);
		return true;
	}
}

static void fill(struct table *t, const struct hvpart *part, uint32_t apic_id, enum vtl_index v)
{
	const struct kvm_cpuid2 *all = part->sys.cpuid;
	uint32_t max_basic = 0;

	for (uint32_t i = 0; i < all->nent && t->t->nent < ENTRIES_MAX; i++) {
		struct kvm_cpuid_entry2 e = all->entries[i];

		if (e.function == 0)
			max_basic = e.eax;
		if (adapt(part, &e, apic_id, v))
			t->e[t->t->nent++] = e;
	}
	if (max_basic >= 0xb)
		put_topology(t, 0xb, apic_id, part->n_vps);
	if (max_basic >= 0x1f)
		put_topology(t, 0x1f, apic_id, part->n_vps);
	put_hv(t, part, v);
	put_vs(t, part, v);
}

int cpuid_host_set(struct hvpart *part, struct hvvp *vp, enum vtl_index v)
{
	struct table t;
	int r;

	t.t = calloc(1, sizeof(*t.t) + ENTRIES_MAX * sizeof(*t.e));
	if (!t.t)
		return -ENOMEM;
	t.e = t.t->entries;
	fill(&t, part, vp->index, v);
	r = kvm_ioctl(vp->vtl[v].cpu.fd, KVM_SET_CPUID2, t.t);
	free(t.t);
	return r;
}

bool cpuid_host_has_xsave(const struct hvpart *part)
{
	const struct kvm_cpuid2 *all = part->sys.cpuid;

	for (uint32_t i = 0; i < all->nent; i++) {
		if (all->entries[i].function == 1)
			return all->entries[i].ecx & CPUID1_ECX_XSAVE;
	}
	return false;
}
