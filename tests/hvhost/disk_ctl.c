/* SPDX-License-Identifier: MIT */
#include "disk_ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "disk_plan.h"
#include "log.h"
#include "loop.h"
#include "opts.h"

#define LOG_AREA "disk-ctl"

#define ANSWER_MS 20000u
#define AGAIN_MS 50u
#define NS_PER_MS 1000000ull

struct disk_ctl {
	struct disk_ctl_cfg cfg;
	struct ctl_host *waiting; /* for the paravisor's answer about disk `unit` */
	unsigned unit;
	bool adding;
	struct loop_timer late;
	struct ctl_host *busy; /* disk `unit` is to be added once its controller has gone */
	struct loop_timer again;
	uint64_t busy_until_ns;
};

/* --- faults ----------------------------------------------------------------------------------- */

struct word {
	const char *name;
	uint32_t val;
};

static const struct word ops[] = {
	{ "read", 1u << DISK_READ },
	{ "write", 1u << DISK_WRITE },
	{ "flush", 1u << DISK_FLUSH },
	{ "unmap", 1u << DISK_UNMAP },
	{ "verify", 1u << DISK_VERIFY },
	{ "zeroes", 1u << DISK_WRITE_ZEROES },
	{ "all", ~0u },
};

/* Of the NVMe status: what is most often wanted by name; any other as a number. */
static const struct word statuses[] = {
	{ "read-error", NVME_UNRECOVERED_READ }, { "write-fault", NVME_WRITE_FAULT },
	{ "internal", NVME_INTERNAL_ERROR },	 { "not-ready", NVME_NS_NOT_READY },
	{ "range", NVME_LBA_OUT_OF_RANGE },	 { "write-protected", NVME_NS_WRITE_PROTECTED },
	{ "aborted", NVME_ABORT_REQUESTED },
};

static bool find_word(const struct word *words, size_t n, const char *name, uint32_t *ret_val)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(words[i].name, name) == 0) {
			*ret_val = words[i].val;
			return true;
		}
	}
	return false;
}

static bool number(const char *text, uint64_t max, uint64_t *ret_val)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || v > max)
		return false;
	*ret_val = v;
	return true;
}

/* FIRST+COUNT */
static bool block_range(char *text, struct disk_fault *f)
{
	char *plus = strchr(text, '+');

	if (!plus)
		return false;
	*plus = 0;
	return number(text, UINT64_MAX, &f->lba) && number(plus + 1, UINT64_MAX, &f->blocks) &&
	       f->blocks;
}

static bool fault_word(struct disk_fault *f, char *word)
{
	char *val = strchr(word, '=');
	uint64_t n;
	uint32_t w;

	if (!val) {
		f->drop = strcmp(word, "drop") == 0;
		return f->drop;
	}
	*val++ = 0;
	if (strcmp(word, "op") == 0) {
		if (!find_word(ops, ARRAY_SIZE(ops), val, &w))
			return false;
		f->op_mask |= w;
	} else if (strcmp(word, "status") == 0) {
		if (!find_word(statuses, ARRAY_SIZE(statuses), val, &w)) {
			if (!number(val, 0x7ff, &n))
				return false;
			w = (uint32_t)n;
		}
		f->status = (uint16_t)w;
	} else if (strcmp(word, "delay") == 0) {
		if (!number(val, 3600000, &n))
			return false;
		f->delay_ms = (uint32_t)n;
	} else if (strcmp(word, "count") == 0) {
		if (!number(val, UINT32_MAX, &n))
			return false;
		f->count = (uint32_t)n;
	} else {
		return strcmp(word, "blocks") == 0 && block_range(val, f);
	}
	return true;
}

int disk_ctl_fault(unsigned argc, char **argv, struct disk_fault *ret_f, char *ret_why, size_t size)
{
	struct disk_fault f = { 0 };

	if (argc == 1 && strcmp(argv[0], "off") == 0) {
		*ret_f = f;
		return 0;
	}
	for (unsigned i = 0; i < argc; i++) {
		if (!fault_word(&f, argv[i])) {
			snprintf(ret_why, size,
				 "\"%s\" is not understood; a fault is off, or op=, status=, "
				 "delay=MS, drop, count=N and blocks=FIRST+COUNT",
				 argv[i]);
			return -EINVAL;
		}
	}
	if (!f.op_mask)
		f.op_mask = ~0u;
	if (f.status == NVME_OK && !f.delay_ms && !f.drop) {
		snprintf(ret_why, size, "a fault needs status=, delay= or drop");
		return -EINVAL;
	}
	*ret_f = f;
	return 0;
}

/* --- helpers of the verbs --------------------------------------------------------------------- */

/* The disk of the first argument, or an answer that there is none. */
static bool unit_of(struct disk_ctl *dc, struct ctl_host *ch, char **argv, unsigned *ret_i)
{
	int i = disk_host_find(dc->cfg.dh, argv[0]);

	if (i < 0) {
		ctl_host_error(ch, "there is no disk %s; disk-list lists them", argv[0]);
		return false;
	}
	*ret_i = (unsigned)i;
	return true;
}

static const char *id_of(const struct disk_ctl *dc, unsigned i)
{
	struct disk_place p;

	(void)disk_host_place(dc->cfg.dh, i, &p);
	return p.id;
}

static void answer(struct ctl_host *ch, int r, const char *id)
{
	switch (r) {
	case 0:
		ctl_host_ok(ch);
		break;
	case -EEXIST:
		ctl_host_error(ch, "disk %s is there already", id);
		break;
	case -ENOENT:
		ctl_host_error(ch, "disk %s is not there", id);
		break;
	case -EBUSY:
		ctl_host_error(ch, "VTL2 has not let go of the controller of disk %s", id);
		break;
	default:
		ctl_host_error(ch, "disk %s: %s", id, strerror(-r));
		break;
	}
}

/* Tell the paravisor what VTL0 shall see. Returns 0: disk_ctl_modified() will come. */
static int tell(struct disk_ctl *dc, int without)
{
	auto_free uint8_t *doc = NULL;
	size_t len = 0;
	int r = disk_plan_settings(dc->cfg.dh, dc->cfg.vps, without, &doc, &len);

	return r < 0 ? r : dc->cfg.modify(dc->cfg.ctx, doc, len);
}

static void remember(struct disk_ctl *dc, unsigned i)
{
	struct disk_place p;

	dc->cfg.opts[i].later = !disk_host_place(dc->cfg.dh, i, &p);
}

static void wait_for_it(struct disk_ctl *dc, struct ctl_host *ch, unsigned i, bool adding)
{
	dc->waiting = ch;
	dc->unit = i;
	dc->adding = adding;
	loop_timer_arm(&dc->late, loop_now_ns() + dc->cfg.answer_ms * NS_PER_MS);
}

/* The disk stays where it is: nobody knows what VTL0 sees. */
static void on_late(void *ctx)
{
	struct disk_ctl *dc = ctx;
	struct ctl_host *ch = dc->waiting;

	dc->waiting = NULL;
	remember(dc, dc->unit);
	ctl_host_error(ch, "the paravisor does not answer");
}

static void no_settings(struct ctl_host *ch, int r)
{
	ctl_host_error(ch, "the paravisor cannot be told: %s",
		       r == -ENOTCONN ? "it is not there yet" : strerror(-r));
}

void disk_ctl_modified(struct disk_ctl *dc, bool ok, const char *text)
{
	struct ctl_host *ch = dc->waiting;
	int r = 0;

	if (!ch)
		return;
	dc->waiting = NULL;
	loop_timer_cancel(&dc->late);
	/* What VTL0 uses no more goes; what it did not get goes again. */
	if (dc->adding != ok)
		r = disk_host_remove(dc->cfg.dh, dc->unit);
	remember(dc, dc->unit);
	if (ok && r == 0)
		ctl_host_ok(ch);
	else
		ctl_host_error(ch, "the paravisor says: %s", ok ? strerror(-r) : text);
}

/* --- verbs ------------------------------------------------------------------------------------ */

static void do_list(void *ctx, struct ctl_host *ch, unsigned argc, char **argv)
{
	static const char *const as[] = { "scsi", "nvme", "ide" };
	struct disk_ctl *dc = ctx;

	(void)argc;
	(void)argv;
	for (unsigned i = 0; i < disk_host_count(dc->cfg.dh); i++) {
		char guid[GUID_STR_LEN + 1];
		struct disk_info info;
		struct disk_place p;
		bool there = disk_host_place(dc->cfg.dh, i, &p);

		disk_host_info(dc->cfg.dh, i, &info);
		guid_format(&p.device, guid);
		ctl_host_print(ch,
			       "%s %s: %s %u, %" PRIu64 " bytes%s; namespace %u of controller %s",
			       p.id, there ? "there" : "away", as[p.as], p.location,
			       info.blocks * info.block_size, info.read_only ? ", read-only" : "",
			       p.nsid, guid);
	}
	ctl_host_ok(ch);
}

/* VTL2 lets go of a controller in its own time: it is waited for. */
static void add(struct disk_ctl *dc, struct ctl_host *ch, unsigned i)
{
	int r = disk_host_add(dc->cfg.dh, i);

	if (r == -EBUSY && loop_now_ns() < dc->busy_until_ns) {
		dc->busy = ch;
		dc->unit = i;
		loop_timer_arm(&dc->again, loop_now_ns() + AGAIN_MS * NS_PER_MS);
		return;
	}
	if (r < 0) {
		answer(ch, r, id_of(dc, i));
		return;
	}
	r = tell(dc, -1);
	if (r < 0) {
		(void)!disk_host_remove(dc->cfg.dh, i);
		no_settings(ch, r);
		return;
	}
	wait_for_it(dc, ch, i, true);
}

static void on_again(void *ctx)
{
	struct disk_ctl *dc = ctx;
	struct ctl_host *ch = dc->busy;

	dc->busy = NULL;
	add(dc, ch, dc->unit);
}

static void do_add(void *ctx, struct ctl_host *ch, unsigned argc, char **argv)
{
	struct disk_ctl *dc = ctx;
	unsigned i;

	(void)argc;
	if (!unit_of(dc, ch, argv, &i))
		return;
	dc->busy_until_ns = loop_now_ns() + dc->cfg.answer_ms * NS_PER_MS;
	add(dc, ch, i);
}

static void do_remove(void *ctx, struct ctl_host *ch, unsigned argc, char **argv)
{
	struct disk_ctl *dc = ctx;
	struct disk_place p;
	unsigned i;
	int r;

	(void)argc;
	if (!unit_of(dc, ch, argv, &i))
		return;
	if (!disk_host_place(dc->cfg.dh, i, &p)) {
		answer(ch, -ENOENT, argv[0]);
		return;
	}
	r = tell(dc, (int)i);
	if (r < 0)
		no_settings(ch, r);
	else
		wait_for_it(dc, ch, i, false);
}

/* Without a word to the paravisor. */
static void do_pull(void *ctx, struct ctl_host *ch, unsigned argc, char **argv)
{
	struct disk_ctl *dc = ctx;
	unsigned i;

	(void)argc;
	if (!unit_of(dc, ch, argv, &i))
		return;
	answer(ch, disk_host_remove(dc->cfg.dh, i), argv[0]);
	remember(dc, i);
}

static void rescind(struct disk_ctl *dc, struct ctl_host *ch, char **argv, bool eject)
{
	unsigned i;

	if (unit_of(dc, ch, argv, &i))
		answer(ch, disk_host_rescind(dc->cfg.dh, i, eject), argv[0]);
}

static void do_eject(void *ctx, struct ctl_host *ch, unsigned argc, char **argv)
{
	(void)argc;
	rescind(ctx, ch, argv, true);
}

static void do_rescind(void *ctx, struct ctl_host *ch, unsigned argc, char **argv)
{
	(void)argc;
	rescind(ctx, ch, argv, false);
}

static void do_resize(void *ctx, struct ctl_host *ch, unsigned argc, char **argv)
{
	struct disk_ctl *dc = ctx;
	uint64_t bytes;
	unsigned i;
	int r;

	(void)argc;
	if (!unit_of(dc, ch, argv, &i))
		return;
	if (opts_parse_size(argv[1], &bytes) < 0) {
		ctl_host_error(ch, "%s: a size is meant, like 512M", argv[1]);
		return;
	}
	r = disk_host_resize(dc->cfg.dh, i, bytes);
	if (r == -EINVAL)
		ctl_host_error(ch, "%s: not a whole number of sectors", argv[1]);
	else if (r == -EFBIG)
		ctl_host_error(ch, "%s: more than there is behind disk %s", argv[1], argv[0]);
	else
		answer(ch, r, argv[0]);
}

static void do_fault(void *ctx, struct ctl_host *ch, unsigned argc, char **argv)
{
	struct disk_ctl *dc = ctx;
	struct disk_fault f;
	char why[200];
	unsigned i;

	if (!unit_of(dc, ch, argv, &i))
		return;
	if (disk_ctl_fault(argc - 1, argv + 1, &f, why, sizeof(why)) < 0) {
		ctl_host_error(ch, "%s", why);
		return;
	}
	disk_host_fault(dc->cfg.dh, i, &f);
	ctl_host_ok(ch);
}

static void do_ctrl_fault(void *ctx, struct ctl_host *ch, unsigned argc, char **argv)
{
	static const struct word kinds[] = {
		{ "off", NVME_FAULT_NONE },
		{ "fatal", NVME_FAULT_FATAL },
		{ "gone", NVME_FAULT_GONE },
		{ "stuck", NVME_FAULT_STUCK },
		{ "not-ready", NVME_FAULT_NOT_READY },
	};
	struct disk_ctl *dc = ctx;
	uint32_t kind;
	unsigned i;

	(void)argc;
	if (!unit_of(dc, ch, argv, &i))
		return;
	if (!find_word(kinds, ARRAY_SIZE(kinds), argv[1], &kind))
		ctl_host_error(ch, "%s: there are off, fatal, gone, stuck and not-ready", argv[1]);
	else
		answer(ch, disk_host_ctrl_fault(dc->cfg.dh, i, (enum nvme_ctrl_fault)kind),
		       argv[0]);
}

static const struct ctl_verb verbs[] = {
	{ "disk-list", "", 0, 0, do_list },
	{ "disk-add", "ID", 1, 1, do_add },
	{ "disk-remove", "ID", 1, 1, do_remove },
	{ "disk-pull", "ID", 1, 1, do_pull },
	{ "disk-resize", "ID SIZE", 2, 2, do_resize },
	{ "disk-fault", "ID off | [op=OP] [status=STATUS] [delay=MS] [drop] [count=N] [blocks=A+N]",
	  2, 9, do_fault },
	{ "nvme-fault", "ID off|fatal|gone|stuck|not-ready", 2, 2, do_ctrl_fault },
	{ "vpci-eject", "ID", 1, 1, do_eject },
	{ "vpci-rescind", "ID", 1, 1, do_rescind },
};

struct ctl_verbs disk_ctl_verbs(struct disk_ctl *dc)
{
	return (struct ctl_verbs){ .verb = verbs, .n = ARRAY_SIZE(verbs), .ctx = dc };
}

int disk_ctl_create(const struct disk_ctl_cfg *cfg, struct disk_ctl **ret_dc)
{
	struct disk_ctl *dc = calloc(1, sizeof(*dc));

	if (!dc)
		return -ENOMEM;
	dc->cfg = *cfg;
	if (!dc->cfg.answer_ms)
		dc->cfg.answer_ms = ANSWER_MS;
	loop_timer_init(&dc->late, cfg->loop, on_late, dc);
	loop_timer_init(&dc->again, cfg->loop, on_again, dc);
	*ret_dc = dc;
	return 0;
}

void disk_ctl_destroy(struct disk_ctl *dc)
{
	if (!dc)
		return;
	loop_timer_cancel(&dc->late);
	loop_timer_cancel(&dc->again);
	free(dc);
}
