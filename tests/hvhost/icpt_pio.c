/* SPDX-License-Identifier: MIT */
/* Port accesses of VTL0. String forms are presented element by element, as plain ones. */
#include <string.h>

#include "hcpage.h"
#include "hvcall_host.h"
#include "intercept.h"
#include "log.h"
#include "regs_host.h"
#include "vp_host.h"

#define LOG_AREA "port"

#define INSN_BYTES 8 /* enough for the prefixes people use */
#define OUT_IMM8_LEN 2

static bool is_prefix(uint8_t b, bool is_long)
{
	switch (b) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64:
	case 0x65:
	case 0x66:
	case 0x67:
	case 0xf2:
	case 0xf3:
		return true;
	default:
		return is_long && (b & 0xf0) == 0x40;
	}
}

/* Length of a plain IN or OUT at the start of the bytes; 0: something else. */
static uint8_t plain_length(const uint8_t *b, uint32_t n, bool is_long, bool in)
{
	uint32_t i = 0;
	uint8_t op;

	while (i < n && is_prefix(b[i], is_long))
		i++;
	if (i >= n)
		return 0;
	op = b[i];
	if ((op & 0xf4) != 0xe4 || in != !(op & 2)) /* E4..E7, EC..EF */
		return 0;
	return (uint8_t)(i + (op & 8 ? 1 : 2));
}

/* Length of the port instruction at RIP, from memory or as found before; 0: something else. */
static uint8_t length_at(struct hvvp *vp, uint64_t rip, bool in)
{
	uint64_t key = rip << 1 | in;
	size_t slot = (rip ^ rip >> 8) % HVVP_PIO_LENS;
	uint8_t bytes[INSN_BYTES], ilen;
	uint32_t n;

	if (vp->pio_len[slot].rip == key)
		return vp->pio_len[slot].ilen;
	n = icpt_fetch(vp, rip, bytes, sizeof(bytes));
	ilen = plain_length(bytes, n, vp_sregs(vp, VTL0)->cs.l, in);
	vp->pio_len[slot].rip = key;
	vp->pio_len[slot].ilen = ilen;
	return ilen;
}

static uint64_t size_mask(uint8_t size)
{
	return (1ull << size * 8) - 1;
}

/* One element. For OUT, RAX carries it; for IN, RAX is the guest's. */
static void present(struct hvvp *vp)
{
	struct icpt *ic = &vp->icpt;
	const struct kvm_run *run = vp->vtl[VTL0].cpu.run;
	const struct kvm_sregs *s = vp_sregs(vp, VTL0);
	struct kvm_regs *r = vp_regs(vp, VTL0);
	bool out = ic->kind == ICPT_PIO_OUT;
	struct hv_io_msg m = { .port = run->io.port, .info = ic->size };

	r->rip = ic->rip;
	r->rax = ic->k_rax;
	if (out) {
		uint64_t data = 0;

		memcpy(&data, ic->data + ic->done, ic->size);
		r->rax = (r->rax & ~size_mask(ic->size)) | data;
	}
	icpt_header(vp, &m.h, ic->rip, ic->ilen, out ? HV_ACC_WRITE : HV_ACC_READ);
	ic->shown_rax = r->rax;
	m.rax = r->rax;
	m.ds = regs_seg_from_kvm(&s->ds);
	m.es = regs_seg_from_kvm(&s->es);
	m.rcx = r->rcx;
	m.rsi = r->rsi;
	m.rdi = r->rdi;
	icpt_deliver(vp, HVMSG_IO_PORT, &m, sizeof(m));
}

/* Nobody listens: a floating bus. KVM completes the access. */
static void unclaimed(struct hvvp *vp, uint8_t *data, uint32_t len, bool in)
{
	if (in)
		memset(data, 0xff, len);
	vp->op_pending = true;
}

static bool is_hypercall(struct hvvp *vp)
{
	const struct kvm_run *run = vp->vtl[VTL0].cpu.run;
	uint64_t rip = run->s.regs.regs.rip;

	if (run->io.port < HCPAGE_PORT || run->io.port > HCPAGE_PORT_CALL || run->io.size != 4 ||
	    run->io.direction != KVM_EXIT_IO_OUT)
		return false;
	if (vp->part->sys.out_advances)
		rip -= OUT_IMM8_LEN;
	return hcpage_is_ours(vp, VTL0, run->io.port, rip);
}

void icpt_pio_exit(struct hvvp *vp)
{
	struct kvm_run *run = vp->vtl[VTL0].cpu.run;
	bool in = run->io.direction == KVM_EXIT_IO_IN;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t total = run->io.size * run->io.count;
	uint64_t rip = run->s.regs.regs.rip;
	uint8_t ilen = 0;

	if (is_hypercall(vp)) {
		vp_count(vp, VTL0, SESSION_EXIT_HYPERCALL);
		hvcall_host_vtl0(vp, run->io.port);
		return;
	}
	vp_count(vp, VTL0, SESSION_EXIT_PIO);
	if (!part_pio_wanted(in ? vp->part->pio_read : vp->part->pio_write, run->io.port)) {
		unclaimed(vp, data, total, in);
		return;
	}
	if (!in && vp->part->sys.out_advances) {
		ilen = 1;
		rip -= 1;
	} else if (run->io.count == 1) {
		ilen = length_at(vp, rip, in);
	}
	/* A string element, or code that changed meanwhile: any length serves, KVM has its own. */
	icpt_begin(vp, in ? ICPT_PIO_IN : ICPT_PIO_OUT, rip, ilen ? ilen : 1);
	vp->icpt.size = run->io.size;
	vp->icpt.total = total;
	vp->icpt.data = data;
	present(vp);
}

void icpt_pio_finish(struct hvvp *vp)
{
	struct icpt *ic = &vp->icpt;
	struct kvm_regs *r = vp_regs(vp, VTL0);

	if (!icpt_completed(vp)) {
		if (r->rax == ic->shown_rax)
			r->rax = ic->k_rax;
		icpt_abort(vp);
		return;
	}
	if (ic->kind == ICPT_PIO_IN)
		memcpy(ic->data + ic->done, &r->rax, ic->size);
	ic->done += ic->size;
	if (ic->done < ic->total)
		present(vp);
	else
		icpt_restore(vp);
}
