/* SPDX-License-Identifier: MIT */
/*
 * storvsp packets: what came through the ring, and the guest memory it names. Input: private copies
 * of what VTL0 wrote (hostile); no state. Spec: spec/storage-net.md 1.2, 1.4.
 */
#include "storvsp_priv.h"

#include "ckd.h"
#include "gmem.h"
#include "le.h"

#include <errno.h>
#include <string.h>

/* The one range of a GPA-direct packet. Returns the offset of what follows it, or -EBADMSG. */
static int64_t parse_range(const uint8_t *body, uint32_t len, struct storvsp_req *req)
{
	const uint32_t head = sizeof(struct storvsp_gpa_head);
	uint64_t end, pages;

	if (len < 8 || le32_load(body + 4) > 1)
		return -EBADMSG;
	if (le32_load(body + 4) == 0)
		return 8;
	if (len < head)
		return -EBADMSG;
	req->range_bytes = le32_load(body + 8);
	req->range_offset = le32_load(body + 12);
	end = (uint64_t)req->range_offset + req->range_bytes; /* below 2^33 */
	pages = (end + KEEL_PAGE_SIZE - 1) / KEEL_PAGE_SIZE;
	if (pages > (len - head) / 8)
		return -EBADMSG;
	req->pfns = body + head;
	req->n_pages = (uint32_t)pages;
	return (int64_t)head + (int64_t)pages * 8;
}

int storvsp_parse(const struct ring_pkt *rp, const uint8_t *body, struct storvsp_req *ret_req)
{
	struct storvsp_req req = { 0 };
	int64_t at = 0;

	if (rp->type == VMPKT_GPA_DIRECT)
		at = parse_range(body, rp->len, &req);
	else if (rp->type != VMPKT_INBAND)
		return -EBADMSG;
	if (at < 0 || !rp->want_completion ||
	    rp->len - (uint32_t)at < sizeof(struct storvsp_header))
		return -EBADMSG;
	req.pkt_len = (uint32_t)MIN(rp->len - (uint32_t)at, sizeof(req.pkt));
	memcpy(&req.pkt, body + at, req.pkt_len);
	*ret_req = req;
	return 0;
}

/* ---- memory ---------------------------------------------------------------------------------- */

struct mapper {
	struct gmem *gm;
	struct iovec *iov;
	uint32_t n, cap;
};

static int add_piece(struct mapper *m, gpa_t gpa, uint32_t len)
{
	struct iovec *last = m->n ? &m->iov[m->n - 1] : NULL;
	void *host;
	int r = gm_host_range(m->gm, gpa, len, &host);

	if (r < 0)
		return r;
	if (last && (char *)last->iov_base + last->iov_len == (char *)host) {
		last->iov_len += len;
		return 0;
	}
	if (m->n == m->cap)
		return -EMSGSIZE;
	m->iov[m->n++] = (struct iovec){ host, len };
	return 0;
}

/* Neighbouring pages at once; page by page where regions of RAM meet. */
static int add_run(struct mapper *m, gpa_t gpa, uint32_t len)
{
	int r = add_piece(m, gpa, len);

	while (r == -EFAULT && len > KEEL_PAGE_SIZE - (uint32_t)(gpa % KEEL_PAGE_SIZE)) {
		const uint32_t n = KEEL_PAGE_SIZE - (uint32_t)(gpa % KEEL_PAGE_SIZE);

		if (add_piece(m, gpa, n) < 0)
			return -EFAULT;
		gpa += n;
		len -= n;
		r = add_piece(m, gpa, len);
	}
	return r;
}

int storvsp_map(struct gmem *gm, const struct storvsp_req *req, uint32_t bytes,
		struct iovec *ret_iov, uint32_t cap)
{
	struct mapper m = { .gm = gm, .iov = ret_iov, .cap = cap };
	uint32_t page = req->range_offset / KEEL_PAGE_SIZE;
	uint32_t off = req->range_offset % KEEL_PAGE_SIZE;

	if (bytes > req->range_bytes)
		return -EMSGSIZE;
	while (bytes) {
		const uint64_t pfn = le64_load(req->pfns + (size_t)page * 8);
		uint32_t len = MIN(bytes, KEEL_PAGE_SIZE - off);
		int r;

		page++;
		while (len < bytes && le64_load(req->pfns + (size_t)page * 8) ==
					      pfn + (off + len) / KEEL_PAGE_SIZE) {
			len += MIN(bytes - len, KEEL_PAGE_SIZE);
			page++;
		}
		if (pfn > UINT64_MAX >> (KEEL_PAGE_SHIFT + 1))
			return -EFAULT;
		r = add_run(&m, (pfn << KEEL_PAGE_SHIFT) + off, len);
		if (r < 0)
			return r;
		bytes -= len;
		off = 0;
	}
	return (int)m.n;
}

/* ---- status ---------------------------------------------------------------------------------- */

uint32_t storvsp_nt_status(uint8_t srb_status)
{
	switch (srb_status) {
	case SRB_SUCCESS:
		return STORVSP_NT_OK;
	case SRB_BUSY:
		return STORVSP_NT_DEVICE_BUSY;
	case SRB_INVALID_LUN:
	case SRB_INVALID_TARGET:
	case SRB_NO_DEVICE:
	case SRB_NO_HBA:
		return STORVSP_NT_NO_SUCH_DEVICE;
	case SRB_TIMEOUT:
	case SRB_COMMAND_TIMEOUT:
		return STORVSP_NT_IO_TIMEOUT;
	case SRB_SELECTION_TIMEOUT:
		return STORVSP_NT_DEVICE_NOT_CONNECTED;
	case SRB_BAD_FUNCTION:
	case SRB_BAD_LENGTH:
		return STORVSP_NT_INVALID_DEVICE_REQUEST;
	case SRB_DATA_OVERRUN:
		return STORVSP_NT_BUFFER_OVERFLOW;
	case SRB_FLUSHED:
		return STORVSP_NT_UNSUCCESSFUL;
	case SRB_ABORTED:
		return STORVSP_NT_CANCELLED;
	default:
		return STORVSP_NT_IO_DEVICE_ERROR;
	}
}
