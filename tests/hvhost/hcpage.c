/* SPDX-License-Identifier: MIT */
#include "hcpage.h"

#include <errno.h>
#include <string.h>

#include "log.h"
#include "loop.h"

#define LOG_AREA "hypercall"

#define HYPERCALL_LOCKED BIT(1)
#define OUT_AT_VTLRET64 (HCPAGE_VTLRET64 + 8)
#define OUT_AT_VTLCALL64 (HCPAGE_VTLCALL64 + 8)
#define OUT_AT_VTLRET32 (HCPAGE_VTLRET32 + 7)
#define OUT_AT_VTLCALL32 (HCPAGE_VTLCALL32 + 7)
#define INT3 0xcc

/* out port, eax; nop; ret */
static uint8_t *put_out(uint8_t *p, uint8_t port)
{
	const uint8_t code[] = { 0xe7, port, 0x90, 0xc3 };

	memcpy(p, code, sizeof(code));
	return p + sizeof(code);
}

/* mov rax, rcx; mov ecx, code; out ... */
static void put_vtl64(uint8_t *p, uint8_t code, uint8_t port)
{
	const uint8_t head[] = { 0x48, 0x89, 0xc8, 0xb9, code, 0, 0, 0 };

	memcpy(p, head, sizeof(head));
	(void)put_out(p + sizeof(head), port);
}

/* mov ecx, eax; mov eax, code; out ... */
static void put_vtl32(uint8_t *p, uint8_t code, uint8_t port)
{
	const uint8_t head[] = { 0x89, 0xc1, 0xb8, code, 0, 0, 0 };

	memcpy(p, head, sizeof(head));
	(void)put_out(p + sizeof(head), port);
}

static void fill(uint8_t *page)
{
	uint8_t code[64];

	memset(code, INT3, sizeof(code));
	(void)put_out(code + HCPAGE_CALL, HCPAGE_PORT);
	put_vtl32(code + HCPAGE_VTLCALL32, 0x11, HCPAGE_PORT_CALL);
	put_vtl64(code + HCPAGE_VTLCALL64, 0x11, HCPAGE_PORT_CALL);
	put_vtl32(code + HCPAGE_VTLRET32, 0x12, HCPAGE_PORT_RETURN);
	put_vtl64(code + HCPAGE_VTLRET64, 0x12, HCPAGE_PORT_RETURN);
	memcpy(page, code, sizeof(code));
	memset(page + sizeof(code), INT3, KEEL_PAGE_SIZE - sizeof(code));
}

static void forget(struct part_vtl *pv)
{
	atomic_store(&pv->call_rip, 0);
	atomic_store(&pv->return_rip, 0);
}

int hcpage_write(struct hvvp *vp, enum vtl_index v, uint64_t val)
{
	struct part_vtl *pv = &vp->part->vtl[v];
	uint64_t old = atomic_load(&pv->hypercall);
	uint8_t *page;

	if (old & HYPERCALL_LOCKED)
		return -EINVAL;
	/* Without an OS identity the page cannot be enabled: the bit reads back as clear. */
	if (!atomic_load(&pv->guest_os_id))
		val &= ~HV_MSR_PAGE_ENABLE;
	if (val & HV_MSR_PAGE_ENABLE) {
		page = part_page(vp->part, v, val & ~0xfffull);
		if (!page)
			return -EINVAL;
		fill(page);
	} else if (old & HV_MSR_PAGE_ENABLE) {
		page = part_page(vp->part, v, old & ~0xfffull);
		if (page)
			memset(page, 0, KEEL_PAGE_SIZE);
	}
	forget(pv);
	atomic_store(&pv->hypercall, val);
	return 0;
}

void hcpage_os_id_write(struct hvvp *vp, enum vtl_index v, uint64_t val)
{
	struct part_vtl *pv = &vp->part->vtl[v];
	uint64_t none = 0;

	atomic_store(&pv->guest_os_id, val);
	if (!val && hcpage_write(vp, v, 0) < 0)
		log_info_rl(ALLOWED, "VTL%u: hypercall page stays, it is locked", VTL_NUMBER(v));
	if (v == VTL2 && (val >> 63))
		(void)atomic_compare_exchange_strong(&vp->part->kernel_entry_ns, &none,
						     loop_now_ns() - vp->part->start_ns);
}

/* Offset of the OUT that belongs to a port. */
static bool offset_fits(uint16_t port, uint64_t offset)
{
	switch (port) {
	case HCPAGE_PORT:
		return offset == HCPAGE_CALL;
	case HCPAGE_PORT_RETURN:
		return offset == OUT_AT_VTLRET64 || offset == OUT_AT_VTLRET32;
	case HCPAGE_PORT_CALL:
		return offset == OUT_AT_VTLCALL64 || offset == OUT_AT_VTLCALL32;
	default:
		return false;
	}
}

bool hcpage_is_ours(struct hvvp *vp, enum vtl_index v, uint16_t port, uint64_t rip)
{
	struct part_vtl *pv = &vp->part->vtl[v];
	_Atomic uint64_t *known = port == HCPAGE_PORT ? &pv->call_rip : &pv->return_rip;
	uint64_t page = atomic_load_explicit(&pv->hypercall, memory_order_relaxed);
	struct kvm_translation tr;

	if (!(page & HV_MSR_PAGE_ENABLE) || !offset_fits(port, rip & 0xfff))
		return false;
	/* VTL2 maps its page once, for ever; VTL0 is looked up each time. */
	if (v == VTL2 && atomic_load_explicit(known, memory_order_relaxed) == rip)
		return true;
	tr = (struct kvm_translation){ .linear_address = rip };
	if (v == VTL0)
		tr.linear_address += vp_sregs(vp, VTL0)->cs.base;
	if (kvm_ioctl(vp->vtl[v].cpu.fd, KVM_TRANSLATE, &tr) < 0 || !tr.valid)
		return false;
	if (tr.physical_address >> KEEL_PAGE_SHIFT != HV_MSR_PAGE_GPN(page))
		return false;
	if (v == VTL2)
		atomic_store_explicit(known, rip, memory_order_relaxed);
	return true;
}
