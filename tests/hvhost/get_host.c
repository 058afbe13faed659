/* SPDX-License-Identifier: MIT */
#include "get_host.h"

#include "get_dps_host.h"
#include "gel_host.h"
#include "get_proto.h"
#include "hv_names.h"
#include "log.h"
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOG_AREA "get-host"
/* Answers that the ring had no room for; the guest has two requests in flight at most. */
#define OUTBOX 4
#define UNIX_TO_NT_SECONDS 11644473600ll

struct get_host {
	struct get_host_cfg cfg;
	struct vmbus_chan *chan;
	struct gel_host *gel;
	char *dps; /* the settings as sent */
	size_t dps_len, dps_sent; /* dps_sent < dps_len: parts are on their way */
	bool dps_active;
	uint8_t *doc; /* new settings on their way; NULL = none */
	size_t doc_len, doc_sent;
	bool doc_parts; /* in parts */
	bool modifying; /* the paravisor owes an answer */
	bool versioned;
	bool broken; /* the guest broke the protocol on this opening */
	uint64_t start_ns;
	struct {
		size_t len;
		uint8_t msg[sizeof(struct get_gsp_rsp)];
	} outbox[OUTBOX];
	unsigned out_n;
	uint8_t rx[GET_MAX_MESSAGE];
	uint8_t tx[GET_MAX_MESSAGE];
};

static struct get_header header(enum get_msg_type type, uint16_t id)
{
	return (struct get_header){ GET_HEADER_VERSION, (uint8_t)type, id };
}

/* The guest is not worth talking to until it opens the channel again. */
static void broken(struct get_host *gh, const char *why)
{
	if (!gh->broken)
		log_warn(ALLOWED, "the paravisor broke the protocol: %s", why);
	gh->broken = true;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void answer(struct get_host *gh, const void *msg, size_t len)
{
	int r = gh->out_n ? -EAGAIN : pipe_send(vmbus_chan_pipe(gh->chan), msg, len);

	if (r == 0)
		return;
	if (r != -EAGAIN || gh->out_n == OUTBOX || len > sizeof(gh->outbox[0].msg)) {
		broken(gh, "it does not read its answers");
		return;
	}
	memcpy(gh->outbox[gh->out_n].msg, msg, len);
	gh->outbox[gh->out_n++].len = len;
}

/* What waited for room; true when nothing waits any more. */
static bool flush_outbox(struct get_host *gh)
{
	unsigned done = 0;

	while (done < gh->out_n && pipe_send(vmbus_chan_pipe(gh->chan), gh->outbox[done].msg,
					     gh->outbox[done].len) == 0)
		done++;
	gh->out_n -= done;
	memmove(gh->outbox, gh->outbox + done, gh->out_n * sizeof(gh->outbox[0]));
	return gh->out_n == 0;
}

/* The settings in parts of at most GET_MAX_PAYLOAD bytes, as far as the ring takes them. */
static void send_dps(struct get_host *gh)
{
	while (gh->dps_active && gh->out_n == 0) {
		const size_t part = MIN(gh->dps_len - gh->dps_sent, (size_t)GET_MAX_PAYLOAD);
		const bool last = gh->dps_sent + part == gh->dps_len;
		const struct get_dps_rev1_rsp h = { .h = header(GET_HOST_RESPONSE,
								GET_RQ_DPS_V2_REV1),
						    .size = (uint32_t)part,
						    .state = last ? GET_PART_END : GET_PART_MORE };
		int r = pipe_send2(vmbus_chan_pipe(gh->chan), &h, sizeof(h), gh->dps + gh->dps_sent,
				   part);

		if (r == -EAGAIN)
			return;
		if (r < 0)
			return broken(gh, "channel broken");
		gh->dps_sent += part;
		gh->dps_active = !last;
	}
}

/* New settings, whole or in parts, as far as the ring takes them. */
static void send_doc(struct get_host *gh)
{
	while (gh->doc && gh->out_n == 0) {
		const size_t part = MIN(gh->doc_len - gh->doc_sent, (size_t)GET_MAX_PAYLOAD);
		const bool last = gh->doc_sent + part == gh->doc_len;
		const struct get_dps_rev1_rsp h = {
			.h = header(GET_GUEST_NOTIFICATION,
				    gh->doc_parts ? GET_GN_MODIFY_VTL2_SETTINGS_REV1
						  : GET_GN_MODIFY_VTL2_SETTINGS),
			.size = (uint32_t)part,
			.state = last ? GET_PART_END : GET_PART_MORE
		};
		/* Without parts there is no state. */
		const size_t head = gh->doc_parts ? sizeof(h) : sizeof(struct get_dps_rsp);
		int r = pipe_send2(vmbus_chan_pipe(gh->chan), &h, head, gh->doc + gh->doc_sent,
				   part);

		if (r == -EAGAIN)
			return;
		if (r < 0)
			return broken(gh, "channel broken");
		gh->doc_sent += part;
		if (last) {
			free(gh->doc);
			gh->doc = NULL;
		}
	}
}

int get_host_modify(struct get_host *gh, const void *doc, size_t len, bool parts)
{
	if (!gh->versioned || gh->broken)
		return -ENOTCONN;
	if (gh->modifying)
		return -EBUSY;
	if (!parts && len > GET_MAX_PAYLOAD)
		return -EMSGSIZE;
	gh->doc = malloc(len + 1);
	if (!gh->doc)
		return -ENOMEM;
	memcpy(gh->doc, doc, len);
	gh->doc_len = len;
	gh->doc_sent = 0;
	gh->doc_parts = parts;
	gh->modifying = true;
	send_doc(gh);
	return 0;
}

static void send_battery(struct get_host *gh)
{
	const struct get_battery_status m = {
		.h = header(GET_GUEST_NOTIFICATION, GET_GN_BATTERY_STATUS),
		.flags = GET_BATTERY_AC_ONLINE | GET_BATTERY_PRESENT | GET_BATTERY_CHARGING,
		.max_capacity = 1000,
		.remaining = 950,
		.rate = 1
	};

	answer(gh, &m, sizeof(m));
}

/* ---- requests -------------------------------------------------------------------------------- */

static void rq_version(struct get_host *gh, const uint8_t *msg, size_t len)
{
	struct get_u32_msg rq;
	struct get_version_rsp rsp = { .h = header(GET_HOST_RESPONSE, GET_RQ_VERSION) };

	if (len != sizeof(rq))
		return broken(gh, "bad VERSION");
	memcpy(&rq, msg, sizeof(rq));
	rsp.accepted = rq.val == GET_PROTOCOL_NICKEL_REV2 || rq.val == GET_PROTOCOL_IRON ||
		       rq.val == GET_PROTOCOL_RS5;
	answer(gh, &rsp, sizeof(rsp));
	if (!rsp.accepted) {
		log_warn(ALLOWED, "GET version 0x%x is not known", rq.val);
		return;
	}
	gh->versioned = true;
	if (gh->cfg.ops->connected)
		gh->cfg.ops->connected(gh->cfg.ctx);
	if (rq.val == GET_PROTOCOL_NICKEL_REV2)
		send_battery(gh);
}

static void rq_time(struct get_host *gh)
{
	struct get_time_rsp rsp = { .h = header(GET_HOST_RESPONSE, GET_RQ_TIME) };
	struct timespec now;
	struct tm local;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	rsp.utc = (now.tv_sec + UNIX_TO_NT_SECONDS) * 10000000 + now.tv_nsec / 100;
	rsp.vm_reference_time = (loop_now_ns() - gh->start_ns) / 100;
	if (localtime_r(&now.tv_sec, &local)) {
		rsp.bias_minutes = (int16_t)(-local.tm_gmtoff / 60);
		rsp.daylight_saving = local.tm_isdst > 0;
	}
	answer(gh, &rsp, sizeof(rsp));
}

/* No file behind the guest state: every block request ends with a device error. */
static void rq_vmgs(struct get_host *gh, uint16_t id, size_t len)
{
	const struct get_vmgs_info_rsp info = { .h = header(GET_HOST_RESPONSE, id),
						.status = GET_VMGS_DEVICE_ERROR };
	const struct get_u32_msg rsp = { .h = header(GET_HOST_RESPONSE, id),
					 .val = GET_VMGS_DEVICE_ERROR };
	const size_t want = id == GET_RQ_VMGS_READ || id == GET_RQ_VMGS_WRITE
				    ? sizeof(struct get_vmgs_io_req)
				    : sizeof(struct get_header);

	if (len < want || (id != GET_RQ_VMGS_WRITE && len != want))
		return broken(gh, "bad VMGS request");
	if (id == GET_RQ_VMGS_GET_DEVICE_INFO)
		answer(gh, &info, sizeof(info));
	else
		answer(gh, &rsp, sizeof(rsp));
}

/* No key service: nothing decrypted, nothing to store. */
static void rq_gsp(struct get_host *gh, size_t len)
{
	const struct get_gsp_rsp rsp = { .h = header(GET_HOST_RESPONSE, GET_RQ_GSP),
					 .flags = GET_GSP_NO_RPC_SERVER };

	if (len != sizeof(struct get_gsp_req))
		return broken(gh, "bad GUEST_STATE_PROTECTION");
	answer(gh, &rsp, sizeof(rsp));
}

static void rq_gsp_by_id(struct get_host *gh)
{
	const struct get_gsp_by_id_rsp rsp = { .h = header(GET_HOST_RESPONSE, GET_RQ_GSP_BY_ID),
					       .flags = GET_GSP_NO_REGISTRY_FILE };

	answer(gh, &rsp, sizeof(rsp));
}

static void rq_status(struct get_host *gh, uint16_t id, uint32_t status)
{
	const struct get_u32_msg rsp = { .h = header(GET_HOST_RESPONSE, id), .val = status };

	answer(gh, &rsp, sizeof(rsp));
}

static void rq_binding_change(struct get_host *gh, const uint8_t *msg, size_t len)
{
	struct {
		struct get_header h;
		uint8_t bus[16];
		uint32_t status;
	} rsp = { .h = header(GET_HOST_RESPONSE, GET_RQ_VPCI_BINDING_CHANGE), .status = 0 };

	if (len != 21)
		return broken(gh, "bad VPCI_DEVICE_BINDING_CHANGE");
	memcpy(rsp.bus, msg + sizeof(struct get_header), sizeof(rsp.bus));
	answer(gh, &rsp, sizeof(rsp));
}

/* Nothing was saved, so a restore has nothing to give; a save is taken and forgotten. */
static void rq_state(struct get_host *gh, uint16_t id, const uint8_t *msg, size_t len)
{
	struct get_state_msg m;
	struct {
		struct get_header h;
		uint32_t size;
		uint16_t status;
	} __attribute__((packed))
	restore = { .h = header(GET_HOST_RESPONSE, id), .status = GET_STATE_FAILURE };

	if (len < sizeof(m))
		return broken(gh, "bad state request");
	memcpy(&m, msg, sizeof(m));
	if (id == GET_RQ_RESTORE_STATE) {
		answer(gh, &restore, sizeof(restore));
	} else if (m.status == GET_STATE_SUCCESS) {
		m.h = header(GET_HOST_RESPONSE, id);
		answer(gh, &m, sizeof(m));
	}
	/* MORE_DATA: the answer follows the last part. FAILURE: no answer is expected. */
}

static void rq_load_firmware(struct get_host *gh)
{
	const struct {
		struct get_header h;
		uint32_t status;
		uint64_t entry;
	} rsp = { .h = header(GET_HOST_RESPONSE, GET_RQ_LOAD_FIRMWARE), .status = 2 };

	answer(gh, &rsp, sizeof(rsp));
}

static void on_request(struct get_host *gh, const struct get_header *h, const uint8_t *msg,
		       size_t len)
{
	const struct get_header bare = header(GET_HOST_RESPONSE, h->id);

	switch (h->id) {
	case GET_RQ_TIME:
		return rq_time(gh);
	case GET_RQ_DPS_V2:
		gh->dps_sent = 0;
		gh->dps_active = true;
		return send_dps(gh);
	case GET_RQ_VMGS_GET_DEVICE_INFO:
	case GET_RQ_VMGS_READ:
	case GET_RQ_VMGS_WRITE:
	case GET_RQ_VMGS_FLUSH:
		return rq_vmgs(gh, h->id, len);
	case GET_RQ_IGVM_ATTEST:
		return rq_status(gh, h->id, GET_ATTEST_FAILED);
	case GET_RQ_GSP:
		return rq_gsp(gh, len);
	case GET_RQ_GSP_BY_ID:
		return rq_gsp_by_id(gh);
	case GET_RQ_VPCI_DEVICE_CONTROL:
		return rq_status(gh, h->id, 2); /* no such device */
	case GET_RQ_VPCI_BINDING_CHANGE:
		return rq_binding_change(gh, msg, len);
	case GET_RQ_SAVE_STATE:
	case GET_RQ_RESTORE_STATE:
		return rq_state(gh, h->id, msg, len);
	case GET_RQ_VGA_PCI_READ:
		return rq_status(gh, h->id, UINT32_MAX); /* no card: all ones */
	case GET_RQ_VGA_PCI_WRITE:
	case GET_RQ_RESET_RAM_GPA_RANGE:
		return answer(gh, &bare, sizeof(bare));
	case GET_RQ_CREATE_RAM_GPA_RANGE:
		return rq_status(gh, h->id, 5); /* failed */
	case GET_RQ_LOAD_FIRMWARE:
		return rq_load_firmware(gh);
	default:
		broken(gh, "a request that does not exist");
	}
}

/* ---- notifications --------------------------------------------------------------------------- */

static void on_start_vtl0(struct get_host *gh, const uint8_t *msg, size_t len)
{
	struct get_result_text m;
	char text[1025];
	size_t n;

	if (len < sizeof(m))
		return broken(gh, "bad START_VTL0_COMPLETED");
	memcpy(&m, msg, sizeof(m));
	if (m.size != len - sizeof(m))
		return broken(gh, "bad START_VTL0_COMPLETED");
	n = MIN((size_t)m.size, sizeof(text) - 1);
	for (size_t i = 0; i < n; i++) {
		uint8_t c = msg[sizeof(m) + i];

		text[i] = c >= 0x20 && c < 0x7f ? (char)c : '?';
	}
	text[n] = 0;
	if (gh->cfg.ops->start_vtl0)
		gh->cfg.ops->start_vtl0(gh->cfg.ctx, m.status == 0, text);
}

static void on_crash(struct get_host *gh, const uint8_t *msg, size_t len)
{
	struct get_vtl_crash m;
	struct get_host_crash c;

	if (len != sizeof(m))
		return broken(gh, "bad VTL_CRASH");
	memcpy(&m, msg, sizeof(m));
	c = (struct get_host_crash){ .vp = m.vp, .last_vtl = m.last_vtl, .control = m.control };
	memcpy(c.params, m.params, sizeof(c.params));
	if (gh->cfg.ops->crash)
		gh->cfg.ops->crash(gh->cfg.ctx, &c);
}

static void on_triple_fault(struct get_host *gh, const uint8_t *msg, size_t len)
{
	struct get_triple_fault m;
	char text[1024] = "";
	size_t at = 0;

	if (len < sizeof(m))
		return broken(gh, "bad TRIPLE_FAULT");
	memcpy(&m, msg, sizeof(m));
	if (m.n_regs != (len - sizeof(m)) / sizeof(struct get_fault_reg) ||
	    (len - sizeof(m)) % sizeof(struct get_fault_reg))
		return broken(gh, "bad TRIPLE_FAULT");
	for (uint32_t i = 0; i < m.n_regs && at < sizeof(text); i++) {
		struct get_fault_reg reg;
		uint64_t low;
		int n;

		memcpy(&reg, msg + sizeof(m) + i * sizeof(reg), sizeof(reg));
		memcpy(&low, reg.val, sizeof(low));
		n = snprintf(text + at, sizeof(text) - at, "%s%s(%x)=%llx", i ? " " : "",
			     hv_register_name(reg.name), reg.name, (unsigned long long)low);
		at += n > 0 ? (size_t)n : 0;
	}
	if (gh->cfg.ops->triple_fault)
		gh->cfg.ops->triple_fault(gh->cfg.ctx, m.vp, m.fault, text);
}

static void on_modified(struct get_host *gh, const uint8_t *msg, size_t len)
{
	struct get_result_text m;
	char *text =
		(char *)gh->rx + sizeof(m); /* where the message lies; room for a NUL is there */

	if (len < sizeof(m))
		return broken(gh, "bad MODIFY_VTL2_SETTINGS_COMPLETED");
	memcpy(&m, msg, sizeof(m));
	if (m.size != len - sizeof(m) || m.size > GET_MAX_PAYLOAD || m.status > 1)
		return broken(gh, "bad MODIFY_VTL2_SETTINGS_COMPLETED");
	if (!gh->modifying)
		return broken(gh, "MODIFY_VTL2_SETTINGS_COMPLETED without a question");
	for (size_t i = 0; i < m.size; i++)
		text[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
	text[m.size] = 0;
	gh->modifying = false;
	if (gh->cfg.ops->modified)
		gh->cfg.ops->modified(gh->cfg.ctx, m.status == 0, text);
}

static void on_note(struct get_host *gh, const struct get_header *h, const uint8_t *msg, size_t len)
{
	struct get_power_off off;
	struct get_u32_msg u32;

	switch (h->id) {
	case GET_HN_POWER_OFF:
		if (len != sizeof(off))
			return broken(gh, "bad POWER_OFF");
		memcpy(&off, msg, sizeof(off));
		if (gh->cfg.ops->power_off)
			gh->cfg.ops->power_off(gh->cfg.ctx, off.hibernate);
		return;
	case GET_HN_RESET:
		if (gh->cfg.ops->reset)
			gh->cfg.ops->reset(gh->cfg.ctx);
		return;
	case GET_HN_EVENT_LOG:
		if (len != sizeof(u32))
			return broken(gh, "bad EVENT_LOG");
		memcpy(&u32, msg, sizeof(u32));
		if (gh->cfg.ops->event)
			gh->cfg.ops->event(gh->cfg.ctx, u32.val);
		return;
	case GET_HN_START_VTL0_COMPLETED:
		return on_start_vtl0(gh, msg, len);
	case GET_HN_VTL_CRASH:
		return on_crash(gh, msg, len);
	case GET_HN_TRIPLE_FAULT:
		return on_triple_fault(gh, msg, len);
	case GET_HN_MODIFY_SETTINGS_COMPLETED:
		return on_modified(gh, msg, len);
	case GET_HN_LOG_TRACE:
	case GET_HN_RESTORE_COMPLETED:
		log_debug_rl(ALLOWED, "notification %u", h->id);
		return;
	default:
		broken(gh, "a notification that does not exist");
	}
}

/* ---- the channel ----------------------------------------------------------------------------- */

static void on_message(struct get_host *gh, size_t len)
{
	struct get_header h;

	if (len < sizeof(h))
		return broken(gh, "truncated message");
	memcpy(&h, gh->rx, sizeof(h));
	if (h.version != GET_HEADER_VERSION)
		return broken(gh, "unknown header version");
	if (h.type == GET_HOST_REQUEST && h.id == GET_RQ_VERSION)
		rq_version(gh, gh->rx, len);
	else if (!gh->versioned)
		broken(gh, "it does not begin with VERSION");
	else if (h.type == GET_HOST_REQUEST)
		on_request(gh, &h, gh->rx, len);
	else if (h.type == GET_HOST_NOTIFICATION)
		on_note(gh, &h, gh->rx, len);
	else
		broken(gh, "unknown message type");
}

static void signalled(void *ctx, struct vmbus_chan *ch)
{
	struct get_host *gh = ctx;

	if (gh->broken)
		return;
	/* Nothing new is read while answers wait: the ring is the bound. */
	while (flush_outbox(gh)) {
		size_t len;
		int r;

		send_dps(gh);
		send_doc(gh);
		r = pipe_recv(vmbus_chan_pipe(ch), gh->rx, sizeof(gh->rx), &len);
		if (r == -EAGAIN)
			return;
		if (r < 0)
			return broken(gh, "ring or pipe corrupt");
		on_message(gh, len);
		if (gh->broken)
			return;
	}
}

static void opened(void *ctx, struct vmbus_chan *ch)
{
	struct get_host *gh = ctx;

	gh->versioned = gh->broken = gh->dps_active = false;
	gh->modifying = false;
	gh->out_n = 0;
	free(gh->doc);
	gh->doc = NULL;
	vmbus_chan_open_done(ch, 0);
	signalled(gh, ch); /* arms the ring's interrupts */
}

static void closed(void *ctx, struct vmbus_chan *ch)
{
	struct get_host *gh = ctx;

	gh->broken = true; /* nothing to send to */
	vmbus_chan_close_done(ch);
}

static const struct vmbus_chan_ops chan_ops = { .open = opened,
						.close = closed,
						.signalled = signalled };

static int make_dps(struct get_host *gh)
{
	gh->dps = gh->cfg.dps_json ? strdup(gh->cfg.dps_json) : get_dps_host_json(&gh->cfg);
	if (!gh->dps)
		return -ENOMEM;
	gh->dps_len = strlen(gh->dps);
	return gh->dps_len ? 0 : -EINVAL;
}

int get_host_create(const struct get_host_cfg *cfg, struct get_host **ret_gh)
{
	const struct vmbus_chan_cfg chan = { .interface_id = GET_INTERFACE_GUID,
					     .instance_id = GET_INSTANCE_GUID,
					     .kind = VMBUS_CHAN_PIPE,
					     .ops = &chan_ops };
	const struct gel_host_cfg log = { .server = cfg->server,
					  .out_fd = cfg->log_fd,
					  .json = cfg->log_json };
	struct vmbus_chan_cfg mine = chan;
	struct get_host *gh = calloc(1, sizeof(*gh));
	int r;

	if (!gh)
		return -ENOMEM;
	gh->cfg = *cfg;
	gh->broken = true;
	gh->start_ns = loop_now_ns();
	mine.ctx = gh;
	r = make_dps(gh);
	if (r == 0)
		r = vmbus_chan_offer(cfg->server, &mine, &gh->chan);
	if (r == 0)
		r = gel_host_create(&log, &gh->gel);
	if (r < 0) {
		get_host_destroy(gh);
		return r;
	}
	*ret_gh = gh;
	return 0;
}

void get_host_destroy(struct get_host *gh)
{
	if (!gh)
		return;
	gel_host_destroy(gh->gel);
	vmbus_chan_destroy(gh->chan);
	free(gh->dps);
	free(gh->doc);
	free(gh);
}

void get_host_log_counts(const struct get_host *gh, struct gel_host_counts *ret_counts)
{
	gel_host_count(gh->gel, ret_counts);
}
