/* SPDX-License-Identifier: MIT */
/* What a client of VPCI asks for, and the answers. Input: a private copy of its packet. */
#include "ckd.h"
#include "log.h"
#include "vpci_priv.h"

#include <errno.h>
#include <string.h>

#define LOG_AREA "vpci"

#define NO_VP UINT32_MAX

#define PCI_REG_COMMAND 4u
#define PCI_REG_BAR 0x10u
#define PCI_COMMAND_MEMORY 2u
#define PCI_COMMAND_MASTER 4u
#define BAR_TYPE_64 4u

/* @h has a message of at least the table's size before it. Returns the status of the request; the
 * handler completes it by itself when that is VPCI_OK. */
typedef uint32_t (*handler_fn)(struct vpci *v, const struct ring_pkt *pkt);

static uint32_t answer(struct vpci *v, const struct ring_pkt *pkt, uint32_t status)
{
	vpci_complete(v, pkt, &status, sizeof(status));
	return VPCI_OK;
}

/* ---- the bus --------------------------------------------------------------------------------- */

static uint32_t do_version(struct vpci *v, const struct ring_pkt *pkt)
{
	const struct vpci_version_msg *m = (const void *)v->buf;
	struct vpci_version_reply rsp = { .status = VPCI_REVISION_MISMATCH, .version = VPCI_GE };

	if (v->version)
		return VPCI_BAD_DATA;
	if (m->version >= VPCI_WIN10 && m->version <= VPCI_GE) {
		v->version = m->version;
		rsp = (struct vpci_version_reply){ VPCI_OK, m->version };
	}
	vpci_complete(v, pkt, &rsp, sizeof(rsp));
	return VPCI_OK;
}

static void send_relations(struct vpci *v)
{
	const struct pci_func_cfg *f = pci_func_cfg(v->cfg.func);
	const bool v2 = v->version >= VPCI_VB;
	const struct vpci_relations2 m = {
		.v1 = { .type = v2 ? VPCI_BUS_RELATIONS2 : VPCI_BUS_RELATIONS,
			.count = 1,
			.id = { .vendor = f->vendor,
				.device = f->device,
				.revision = f->revision,
				.prog_if = f->prog_if,
				.sub_class = f->sub_class,
				.base_class = f->base_class,
				.sub_vendor = f->sub_vendor,
				.sub_device = f->sub_device },
			.serial = v->cfg.serial },
	};

	vpci_send(v, &m, v2 ? sizeof(m) : sizeof(m.v1));
}

/* A client that starts anew over a predecessor may find the bus in D0: it gets its own window. */
static uint32_t do_d0_entry(struct vpci *v, const struct ring_pkt *pkt)
{
	const struct vpci_d0_entry *m = (const void *)v->buf;
	uint64_t end;

	if (!is_aligned(m->window, KEEL_PAGE_SIZE) || ckd_add(&end, m->window, VPCI_WINDOW_BYTES))
		return VPCI_BAD_DATA;
	atomic_store_explicit(&v->slot, 0, memory_order_relaxed);
	atomic_store_explicit(&v->window, m->window | VPCI_WINDOW_ON, memory_order_release);
	send_relations(v);
	return answer(v, pkt, VPCI_OK);
}

static uint32_t do_d0_exit(struct vpci *v, const struct ring_pkt *pkt)
{
	atomic_store_explicit(&v->window, 0, memory_order_release);
	return answer(v, pkt, VPCI_OK);
}

static uint32_t do_query_relations(struct vpci *v, const struct ring_pkt *pkt)
{
	send_relations(v);
	vpci_complete(v, pkt, NULL, 0);
	return VPCI_OK;
}

static uint32_t do_eject_complete(struct vpci *v, const struct ring_pkt *pkt)
{
	if (!v->ejecting)
		return VPCI_BAD_DATA;
	v->leave = true;
	return answer(v, pkt, VPCI_OK);
}

/* ---- power ----------------------------------------------------------------------------------- */

static void command_bits(struct vpci *v, uint32_t clear, uint32_t set)
{
	const uint32_t c = pci_func_cfg_read(v->cfg.func, PCI_REG_COMMAND, 2);

	pci_func_cfg_write(v->cfg.func, PCI_REG_COMMAND, 2, (c & ~clear) | set);
}

static uint32_t do_power(struct vpci *v, const struct ring_pkt *pkt)
{
	const struct vpci_power_msg *m = (const void *)v->buf;

	switch (m->state) {
	case VPCI_D0:
		command_bits(v, 0, PCI_COMMAND_MEMORY);
		break;
	case VPCI_D3:
		command_bits(v, PCI_COMMAND_MEMORY, 0);
		break;
	default:
		return VPCI_BAD_DATA;
	}
	return answer(v, pkt, VPCI_OK);
}

static uint32_t do_reset(struct vpci *v, const struct ring_pkt *pkt)
{
	if (v->version < VPCI_GE)
		return VPCI_NOT_SUPPORTED;
	pci_func_reset(v->cfg.func);
	return answer(v, pkt, VPCI_OK);
}

/* ---- resources ------------------------------------------------------------------------------- */

static uint32_t do_requirements(struct vpci *v, const struct ring_pkt *pkt)
{
	struct vpci_requirements_reply rsp = { .status = VPCI_OK };

	for (unsigned i = 0; i < PCI_BARS; i++)
		rsp.bar[i] = pci_func_bar_mask(v->cfg.func, i);
	vpci_complete(v, pkt, &rsp, sizeof(rsp));
	return VPCI_OK;
}

static uint64_t bar_get(struct vpci *v, unsigned i)
{
	const struct pci_func_cfg *f = pci_func_cfg(v->cfg.func);
	uint64_t val = pci_func_cfg_read(v->cfg.func, PCI_REG_BAR + 4 * i, 4) & ~0xfu;

	if (f->bar_64[i])
		val |= (uint64_t)pci_func_cfg_read(v->cfg.func, PCI_REG_BAR + 4 * i + 4, 4) << 32;
	return val;
}

static void bar_set(struct vpci *v, unsigned i, uint64_t addr)
{
	pci_func_cfg_write(v->cfg.func, PCI_REG_BAR + 4 * i, 4, (uint32_t)addr);
	if (pci_func_cfg(v->cfg.func)->bar_64[i])
		pci_func_cfg_write(v->cfg.func, PCI_REG_BAR + 4 * i + 4, 4, (uint32_t)(addr >> 32));
}

/* Sizes of BARs stay below 1 TiB (pci_func.h): units of 256 bytes do. */
static struct vpci_resource describe(uint64_t addr, uint64_t len)
{
	struct vpci_resource r = { .type = VPCI_RES_MEMORY, .addr = addr, .len = (uint32_t)len };

	if (len > UINT32_MAX) {
		r.type = VPCI_RES_MEMORY_LARGE;
		r.flags = VPCI_RES_LARGE_40;
		r.len = (uint32_t)(len >> 8);
	}
	return r;
}

static uint32_t do_get_resources(struct vpci *v, const struct ring_pkt *pkt)
{
	const struct pci_func_cfg *f = pci_func_cfg(v->cfg.func);
	struct vpci_resource_list rsp = { .version = 1, .revision = 1, .count = PCI_BARS };

	for (unsigned i = 0; i < PCI_BARS; i++) {
		const uint64_t base = f->bar_size[i] ? bar_get(v, i) : 0;

		if (base)
			rsp.bar[i] = describe(base, f->bar_size[i]);
	}
	vpci_complete(v, pkt, &rsp, sizeof(rsp));
	return VPCI_OK;
}

/* Bytes of a resource as the client gave it; 0: none, UINT64_MAX: nonsense. */
static uint64_t resource_len(const struct vpci_resource *r)
{
	if (r->type == VPCI_RES_MEMORY)
		return r->len;
	if (r->type != VPCI_RES_MEMORY_LARGE)
		return 0;
	if (r->flags & VPCI_RES_LARGE_40)
		return (uint64_t)r->len << 8;
	if (r->flags & VPCI_RES_LARGE_48)
		return (uint64_t)r->len << 16;
	return r->flags & VPCI_RES_LARGE_64 ? (uint64_t)r->len << 32 : UINT64_MAX;
}

static bool resource_ok(const struct vpci *v, unsigned i, const struct vpci_resource *r)
{
	const struct pci_func_cfg *f = pci_func_cfg(v->cfg.func);
	const uint64_t len = resource_len(r);

	if (!len)
		return true;
	return len <= f->bar_size[i] && is_aligned(r->addr, f->bar_size[i]) &&
	       (f->bar_64[i] || r->addr <= UINT32_MAX);
}

/* ---- interrupts ------------------------------------------------------------------------------ */

static struct vpci_want want1(const struct vpci *v, const struct vpci_msi *m)
{
	const uint64_t there = v->cfg.vps >= 64 ? UINT64_MAX : BIT(v->cfg.vps) - 1;
	const uint64_t mask = m->mask & there;

	return (struct vpci_want){ .vector = m->vector,
				   .mode = m->mode,
				   .count = m->count,
				   .vp = mask ? (uint32_t)__builtin_ctzll(mask) : NO_VP };
}

static struct vpci_want want2(const struct vpci_msi2 *m)
{
	const bool ok = m->n_procs >= 1 && m->n_procs <= VPCI_MAX_PROCS;

	return (struct vpci_want){ .vector = m->vector,
				   .mode = m->mode,
				   .count = m->count,
				   .vp = ok ? m->procs[0] : NO_VP };
}

static struct vpci_want want3(const struct vpci_msi3 *m)
{
	const bool ok = m->n_procs >= 1 && m->n_procs <= VPCI_MAX_PROCS;

	return (struct vpci_want){ .vector = m->vector,
				   .mode = m->mode,
				   .count = m->count,
				   .vp = ok ? m->procs[0] : NO_VP };
}

static uint32_t create(struct vpci *v, const struct ring_pkt *pkt, const struct vpci_want *want)
{
	struct vpci_create_reply rsp = { .status = VPCI_OK };

	if (vpci_msg_create(v, want, &rsp.msi) < 0)
		return VPCI_BAD_DATA;
	vpci_complete(v, pkt, &rsp, sizeof(rsp));
	return VPCI_OK;
}

static const void *body(const struct vpci *v)
{
	return v->buf + sizeof(struct vpci_slot_msg);
}

static uint32_t do_create1(struct vpci *v, const struct ring_pkt *pkt)
{
	const struct vpci_want want = want1(v, body(v));

	return create(v, pkt, &want);
}

static uint32_t do_create2(struct vpci *v, const struct ring_pkt *pkt)
{
	const struct vpci_want want = want2(body(v));

	return create(v, pkt, &want);
}

static uint32_t do_create3(struct vpci *v, const struct ring_pkt *pkt)
{
	const struct vpci_want want = want3(body(v));

	return create(v, pkt, &want);
}

static uint32_t do_delete(struct vpci *v, const struct ring_pkt *pkt)
{
	const struct vpci_delete *m = (const void *)v->buf;

	if (vpci_msg_delete(v, m->msi.addr, m->msi.data) < 0)
		return VPCI_BAD_DATA;
	return answer(v, pkt, VPCI_OK);
}

static struct vpci_want want_of(const struct vpci *v, uint32_t type, const uint8_t *at)
{
	if (type == VPCI_ASSIGNED_RESOURCES)
		return want1(v, (const void *)at);
	if (type == VPCI_ASSIGNED_RESOURCES2)
		return want2((const void *)at);
	return want3((const void *)at);
}

/* All messages of the request, or none. */
static int create_all(struct vpci *v, uint32_t type, uint32_t n, size_t in_bytes, size_t out_bytes,
		      uint8_t *out)
{
	const uint8_t *in = v->buf + sizeof(struct vpci_assigned);
	struct vpci_remapped msi[PCI_MSIX_MAX];
	int gone = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct vpci_want want = want_of(v, type, in + i * in_bytes);
		int r = vpci_msg_create(v, &want, &msi[i]);

		if (r < 0) {
			while (gone == 0 && i-- > 0)
				gone = vpci_msg_delete(v, msi[i].addr, msi[i].data);
			return r;
		}
		memcpy(out + i * out_bytes, &msi[i], sizeof(msi[i]));
	}
	return 0;
}

/* The reply repeats the request, with messages instead of what was asked for. */
static uint32_t do_assigned(struct vpci *v, const struct ring_pkt *pkt)
{
	const struct vpci_assigned *m = (const void *)v->buf;
	const size_t in_bytes = m->type == VPCI_ASSIGNED_RESOURCES    ? VPCI_MSI_BYTES
				: m->type == VPCI_ASSIGNED_RESOURCES2 ? VPCI_MSI2_BYTES
								      : VPCI_MSI3_BYTES;
	const size_t out_bytes = MIN(in_bytes, VPCI_MSI2_BYTES);
	struct vpci_assigned rsp = *m;

	if (m->n_msi > PCI_MSIX_MAX || pkt->len < sizeof(*m) + m->n_msi * in_bytes)
		return VPCI_BAD_DATA;
	for (unsigned i = 0; i < PCI_BARS; i++) {
		if (!resource_ok(v, i, &m->bar[i]))
			return VPCI_BAD_DATA;
	}
	memset(v->reply, 0, sizeof(v->reply));
	if (create_all(v, m->type, m->n_msi, in_bytes, out_bytes, v->reply + sizeof(rsp)) < 0)
		return VPCI_BAD_DATA;
	for (unsigned i = 0; i < PCI_BARS; i++) {
		if (resource_len(&m->bar[i]))
			bar_set(v, i, m->bar[i].addr);
	}
	rsp.type = VPCI_OK;
	rsp.rsvd = 0;
	memcpy(v->reply, &rsp, sizeof(rsp));
	vpci_complete(v, pkt, v->reply, sizeof(rsp) + m->n_msi * out_bytes);
	return VPCI_OK;
}

static uint32_t do_release(struct vpci *v, const struct ring_pkt *pkt)
{
	command_bits(v, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
	vpci_msg_clear(v);
	return answer(v, pkt, VPCI_OK);
}

/* ---- dispatch -------------------------------------------------------------------------------- */

static uint32_t do_refuse(struct vpci *v, const struct ring_pkt *pkt)
{
	return VPCI_NOT_SUPPORTED;
}

static const struct request {
	uint32_t type;
	uint32_t len; /* at least */
	bool slot; /* begins with a struct vpci_slot_msg about our function */
	handler_fn fn;
} requests[] = {
	{ VPCI_QUERY_VERSION, sizeof(struct vpci_version_msg), false, do_version },
	{ VPCI_QUERY_BUS_RELATIONS, 4, false, do_query_relations },
	{ VPCI_D0_ENTRY, sizeof(struct vpci_d0_entry), false, do_d0_entry },
	{ VPCI_D0_EXIT, 4, false, do_d0_exit },
	{ VPCI_POWER_STATE_CHANGE, sizeof(struct vpci_power_msg), true, do_power },
	{ VPCI_RESOURCE_REQUIREMENTS, sizeof(struct vpci_slot_msg), true, do_requirements },
	{ VPCI_GET_RESOURCES, sizeof(struct vpci_slot_msg), true, do_get_resources },
	{ VPCI_ASSIGNED_RESOURCES, sizeof(struct vpci_assigned), true, do_assigned },
	{ VPCI_ASSIGNED_RESOURCES2, sizeof(struct vpci_assigned), true, do_assigned },
	{ VPCI_ASSIGNED_RESOURCES3, sizeof(struct vpci_assigned), true, do_assigned },
	{ VPCI_RELEASE_RESOURCES, sizeof(struct vpci_slot_msg), true, do_release },
	{ VPCI_CREATE_INTERRUPT, 8 + sizeof(struct vpci_msi), true, do_create1 },
	{ VPCI_CREATE_INTERRUPT2, 8 + sizeof(struct vpci_msi2), true, do_create2 },
	{ VPCI_CREATE_INTERRUPT3, 8 + sizeof(struct vpci_msi3) - 2, true, do_create3 },
	{ VPCI_DELETE_INTERRUPT, sizeof(struct vpci_delete), true, do_delete },
	{ VPCI_DELETE_INTERRUPT2, sizeof(struct vpci_delete), true, do_delete },
	{ VPCI_EJECT_COMPLETE, sizeof(struct vpci_slot_msg), true, do_eject_complete },
	{ VPCI_RESET_DEVICE, sizeof(struct vpci_slot_msg), true, do_reset },
	{ VPCI_READ_BLOCK, 4, false, do_refuse },
	{ VPCI_WRITE_BLOCK, 4, false, do_refuse },
	{ VPCI_TDISP_COMMAND, 4, false, do_refuse },
};

static const struct request *find_request(uint32_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		if (requests[i].type == type)
			return &requests[i];
	}
	return NULL;
}

static uint32_t dispatch(struct vpci *v, const struct ring_pkt *pkt)
{
	const struct vpci_slot_msg *h = (const void *)v->buf;
	const struct request *rq = pkt->len >= 4 ? find_request(h->type) : NULL;

	if (!rq || pkt->len < rq->len || (rq->slot && h->slot != 0))
		return VPCI_BAD_DATA;
	if (!v->version && rq->fn != do_version)
		return VPCI_BAD_DATA;
	return rq->fn(v, pkt);
}

void vpci_handle(struct vpci *v, const struct ring_pkt *pkt)
{
	const uint32_t status = dispatch(v, pkt);

	if (status == VPCI_OK)
		return;
	v->bad++;
	log_warn_rl(CONF, "request %#x of %u bytes refused: %#x",
		    pkt->len >= 4 ? ((const struct vpci_slot_msg *)(const void *)v->buf)->type : 0,
		    pkt->len, status);
	vpci_complete(v, pkt, &status, sizeof(status));
}
