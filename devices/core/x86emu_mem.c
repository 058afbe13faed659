/* SPDX-License-Identifier: MIT */
/*
 * Memory of the instruction emulator: segmentation, translation page by page, accesses cut into the
 * widths a bus knows, instruction fetch. Input: addresses made by a hostile guest; every loop here
 * is bounded by an operand's 16 bytes. Spec: Intel SDM volume 3, "Protected-Mode Memory Management"
 * and "Canonical Addressing"; AMD APM volume 2, "Segmented Virtual Memory".
 */
#include "x86emu_priv.h"

#include <errno.h>
#include <string.h>

#define PAGE_OFF(a) ((a) & (KEEL_PAGE_SIZE - 1))
#define TLB_VALID 8u

enum x86emu_result x86_raise(struct x86_emu *e, enum x86emu_vector vector, int error)
{
	/* Real mode pushes no error codes. */
	bool has_error = error >= 0 && (e->s->cr0 & X86_CR0_PE);

	e->out->fault = (struct x86emu_fault){
		.vector = (uint8_t)vector,
		.has_error = has_error,
		.error = has_error ? (uint32_t)error : 0,
	};
	return X86EMU_FAULT;
}

enum x86emu_result x86_op_failed(struct x86_emu *e, int err)
{
	e->out->err = err;
	return X86EMU_ERROR;
}

bool x86_canonical(const struct x86_emu *e, uint64_t lin)
{
	unsigned int sh = e->s->cr4 & X86_CR4_LA57 ? 64 - 57 : 64 - 48;

	return (uint64_t)((int64_t)(lin << sh) >> sh) == lin;
}

static bool protected_mode(const struct x86_emu *e)
{
	return (e->s->cr0 & X86_CR0_PE) && !(e->s->rflags & X86_FL_VM);
}

static bool seg_rights_ok(const struct hv_seg *seg, unsigned int access)
{
	bool code = seg->attr & X86_SEG_TYPE_CODE;
	bool rw = seg->attr & X86_SEG_TYPE_RW;

	if (!(seg->attr & X86_SEG_P))
		return false;
	if (access & X86EMU_ACC_EXEC)
		return code;
	if (access & X86EMU_ACC_WRITE)
		return !code && rw;
	return !code || rw;
}

/* off < 2^32, size <= 16 */
static bool seg_limit_ok(const struct hv_seg *seg, uint64_t off, unsigned int size)
{
	uint64_t last = off + size - 1, top;

	if ((seg->attr & (X86_SEG_TYPE_CODE | X86_SEG_TYPE_DOWN)) == X86_SEG_TYPE_DOWN) {
		top = seg->attr & X86_SEG_DB ? UINT32_MAX : UINT16_MAX;
		return off > seg->limit && last <= top;
	}
	return last <= seg->limit;
}

static enum x86emu_result linearize(struct x86_emu *e, unsigned int seg, uint64_t off,
				    unsigned int size, unsigned int access, uint64_t *ret_lin)
{
	const struct hv_seg *sd = &e->s->seg[seg];
	enum x86emu_vector vector = seg == HV_SEG_SS ? X86_SS : X86_GP;
	uint64_t lin;

	if (x86_long(e)) {
		lin = off;
		if (seg == HV_SEG_FS || seg == HV_SEG_GS)
			lin += sd->base;
		if (!x86_canonical(e, lin) || !x86_canonical(e, lin + size - 1))
			return x86_raise(e, vector, 0);
		*ret_lin = lin;
		return X86EMU_OK;
	}
	off &= UINT32_MAX;
	if (protected_mode(e) && !seg_rights_ok(sd, access))
		return x86_raise(e, vector, 0);
	if (!seg_limit_ok(sd, off, size))
		return x86_raise(e, vector, 0);
	*ret_lin = (sd->base + off) & UINT32_MAX;
	return X86EMU_OK;
}

static enum x86emu_result translate(struct x86_emu *e, uint64_t lin, unsigned int access,
				    gpa_t *ret_gpa)
{
	uint64_t page = lin & ~(uint64_t)(KEEL_PAGE_SIZE - 1), tag;
	gpa_t gpa;
	int r;

	if (e->s->cpl == 3)
		access |= X86EMU_ACC_USER;
	tag = page | access | TLB_VALID;
	for (unsigned int i = 0; i < X86_TLB_SLOTS; i++) {
		if (e->tlb_tag[i] == tag) {
			*ret_gpa = e->tlb_gpa[i] + PAGE_OFF(lin);
			return X86EMU_OK;
		}
	}
	r = e->ops->translate(e->ctx, lin, access, &gpa, &e->out->fault);
	if (r == -EFAULT)
		return X86EMU_FAULT;
	if (r < 0)
		return x86_op_failed(e, r);
	gpa -= PAGE_OFF(gpa);
	e->tlb_tag[e->tlb_next] = tag;
	e->tlb_gpa[e->tlb_next] = gpa;
	e->tlb_next = (e->tlb_next + 1) % X86_TLB_SLOTS;
	*ret_gpa = gpa + PAGE_OFF(lin);
	return X86EMU_OK;
}

enum x86emu_result x86_mem_prepare(struct x86_emu *e, unsigned int seg, uint64_t off,
				   unsigned int size, unsigned int access, struct x86_mref *ret_m)
{
	struct x86_mref m = { .n = 1 };
	enum x86emu_result r;
	uint64_t second;

	r = linearize(e, seg, off, size, access, &m.lin);
	if (r)
		return r;
	m.len[0] = (uint8_t)MIN(size, KEEL_PAGE_SIZE - PAGE_OFF(m.lin));
	r = translate(e, m.lin, access, &m.gpa[0]);
	if (r)
		return r;
	if (m.len[0] < size) {
		second = m.lin + m.len[0];
		if (!x86_long(e))
			second &= UINT32_MAX;
		m.n = 2;
		m.len[1] = (uint8_t)(size - m.len[0]);
		r = translate(e, second, access, &m.gpa[1]);
		if (r)
			return r;
	}
	*ret_m = m;
	return X86EMU_OK;
}

/* Width of the next bus access: all of it if that is a bus width, else naturally aligned pieces. */
static size_t bus_width(gpa_t gpa, size_t left)
{
	size_t w = 8;

	if (left <= 8 && (left & (left - 1)) == 0)
		return left;
	while (w > left || (left < 8 && (gpa & (w - 1))))
		w /= 2;
	return w;
}

enum x86emu_result x86_mem_load(struct x86_emu *e, const struct x86_mref *m, void *ret_buf)
{
	uint8_t *p = ret_buf;

	for (unsigned int i = 0; i < m->n; i++) {
		for (size_t done = 0, w; done < m->len[i]; done += w, p += w) {
			int r;

			w = bus_width(m->gpa[i] + done, m->len[i] - done);
			r = e->ops->mem_read(e->ctx, m->gpa[i] + done, p, w);
			if (r < 0)
				return x86_op_failed(e, r);
		}
	}
	return X86EMU_OK;
}

enum x86emu_result x86_mem_store(struct x86_emu *e, const struct x86_mref *m, const void *buf)
{
	const uint8_t *p = buf;

	for (unsigned int i = 0; i < m->n; i++) {
		for (size_t done = 0, w; done < m->len[i]; done += w, p += w) {
			int r;

			w = bus_width(m->gpa[i] + done, m->len[i] - done);
			r = e->ops->mem_write(e->ctx, m->gpa[i] + done, p, w);
			if (r < 0)
				return x86_op_failed(e, r);
		}
	}
	return X86EMU_OK;
}

enum x86emu_result x86_mem_load64(struct x86_emu *e, const struct x86_mref *m, uint64_t *ret_val)
{
	uint8_t buf[16] = { 0 };
	enum x86emu_result r;

	r = x86_mem_load(e, m, buf);
	if (r == X86EMU_OK)
		*ret_val = le64_load(buf);
	return r;
}

enum x86emu_result x86_mem_store64(struct x86_emu *e, const struct x86_mref *m, uint64_t val)
{
	uint8_t buf[16] = { 0 };

	le64_store(buf, val);
	return x86_mem_store(e, m, buf);
}

enum x86emu_result x86_mem_cmpxchg(struct x86_emu *e, const struct x86_mref *m, void *io_old,
				   const void *val, bool *ret_done)
{
	int r = -EOPNOTSUPP;

	/* An exchange across pages is not atomic: the two halves may not even be memory. */
	if (e->ops->mem_cmpxchg && m->n == 1)
		r = e->ops->mem_cmpxchg(e->ctx, m->gpa[0], io_old, val, m->len[0]);
	if (r == -EOPNOTSUPP) {
		*ret_done = true;
		return x86_mem_store(e, m, val);
	}
	if (r < 0)
		return x86_op_failed(e, r);
	*ret_done = r > 0;
	return X86EMU_OK;
}

enum x86emu_result x86_io_check(struct x86_emu *e)
{
	unsigned int iopl = e->s->rflags >> 12 & 3;

	if (e->s->io_checked || !(e->s->cr0 & X86_CR0_PE))
		return X86EMU_OK;
	/* The TSS bitmap could still allow it; it is not looked at on this rare path. */
	if (e->s->cpl > iopl || (e->s->rflags & X86_FL_VM))
		return x86_raise(e, X86_GP, 0);
	return X86EMU_OK;
}

/* Appends instruction bytes up to the end of their page; *io_n grows by at least one. */
static enum x86emu_result fetch_more(struct x86_emu *e, uint8_t *buf, size_t *io_n)
{
	uint64_t lin, room, off = e->s->rip + *io_n;
	enum x86emu_result r;
	size_t len;
	gpa_t gpa;
	int err;

	r = linearize(e, HV_SEG_CS, off, 1, X86EMU_ACC_EXEC, &lin);
	if (r)
		return r;
	r = translate(e, lin, X86EMU_ACC_EXEC, &gpa);
	if (r)
		return r;
	len = MIN(X86EMU_INSN_MAX - *io_n, (size_t)(KEEL_PAGE_SIZE - PAGE_OFF(lin)));
	/* Bytes beyond the limit must not decide anything: stop before them. */
	if (!x86_long(e)) {
		room = e->s->seg[HV_SEG_CS].limit - (off & UINT32_MAX) + 1;
		len = (size_t)MIN((uint64_t)len, room);
	}
	err = e->ops->mem_fetch(e->ctx, gpa, buf + *io_n, len);
	if (err < 0)
		return x86_op_failed(e, err);
	*io_n += len;
	return X86EMU_OK;
}

static enum x86emu_result decode_result(struct x86_emu *e, enum x86_decode_result d)
{
	switch (d) {
	case X86_DECODE_OK:
		break;
	case X86_DECODE_MORE:
	case X86_DECODE_TOO_LONG:
		return x86_raise(e, X86_GP, 0);
	case X86_DECODE_INVALID:
		return x86_raise(e, X86_UD, -1);
	case X86_DECODE_OTHER:
		return X86EMU_UNSUPPORTED;
	}
	return X86EMU_OK;
}

enum x86emu_result x86_fetch(struct x86_emu *e, const uint8_t *bytes, size_t n)
{
	uint8_t buf[X86EMU_INSN_MAX + 1];
	enum x86_decode_result d;
	enum x86emu_result r;

	n = MIN(n, (size_t)X86EMU_INSN_MAX);
	if (n && x86_long(e) && x86_decode_mov64(bytes, n, &e->in))
		return X86EMU_OK;
	if (n)
		memcpy(buf, bytes, n);
	/* Each fetch adds a byte or more; all but the last end at a page or segment boundary. */
	for (;;) {
		d = x86_decode(e->code, buf, n, &e->in);
		if (d != X86_DECODE_MORE || n == X86EMU_INSN_MAX)
			return decode_result(e, d);
		r = fetch_more(e, buf, &n);
		if (r)
			return r;
	}
}
