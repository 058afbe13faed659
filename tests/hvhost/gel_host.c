/* SPDX-License-Identifier: MIT */
#include "gel_host.h"

#include "gel_check.h"
#include "guid.h"
#include "log.h"
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_AREA "gel"

struct gel_host {
	struct gel_host_cfg cfg;
	struct vmbus_chan *chan;
	struct gel_host_counts counts;
	uint64_t lost_told; /* of counts.lost */
	bool open;
	uint8_t rx[GEL_MAX_RECORD];
	char line[GEL_LINE_MAX + 1];
};

/* A whole line or nothing: somebody who does not read must not stop the VM. */
static void store(struct gel_host *gel, const char *line, size_t len)
{
	if (gel->cfg.out_fd >= 0 && write(gel->cfg.out_fd, line, len) != (ssize_t)len)
		gel->counts.lost++;
}

static void store_record(struct gel_host *gel, const struct gel_rec *rec)
{
	char note[80];
	int n;

	if (gel->cfg.out_fd < 0)
		return;
	if (gel->counts.lost != gel->lost_told && !gel->cfg.json) {
		n = snprintf(note, sizeof(note), "(%llu records were not stored)\n",
			     (unsigned long long)(gel->counts.lost - gel->lost_told));
		gel->lost_told = gel->counts.lost;
		store(gel, note, (size_t)n);
	}
	if (gel->cfg.json) {
		memcpy(gel->line, rec->message.p, rec->message.len);
		gel->line[rec->message.len] = '\n';
		store(gel, gel->line, rec->message.len + 1);
	} else {
		size_t len = strlen(gel->line);

		gel->line[len] = '\n';
		store(gel, gel->line, len + 1);
		gel->line[len] = 0;
	}
}

/* The same to this process's log, at its level; the line's own time and level are left out. */
static void log_record(const struct gel_rec *rec, const char *line)
{
	const char *text = strchr(line, '.');

	text = text && strlen(text) > 14 ? text + 14 : line;
	if (rec->type != GEL_EVENT)
		log_debug(ALLOWED, "%s", text);
	else if (rec->level <= GEL_ERROR)
		log_err(ALLOWED, "%s", text);
	else if (rec->level == GEL_WARNING)
		log_warn(ALLOWED, "%s", text);
	else if (rec->level == GEL_INFO)
		log_info(ALLOWED, "%s", text);
	else
		log_debug(ALLOWED, "%s", text);
}

static void take_record(struct gel_host *gel, size_t len)
{
	struct gel_rec rec;
	struct json j;
	const char *why = gel_check(gel->rx, len, &rec, &j);

	if (why) {
		gel->counts.violations++;
		log_warn_rl(ALLOWED, "not a record of the log: %s", why);
		return;
	}
	gel->counts.records[rec.level]++;
	(void)gel_line(&rec, &j, gel->line);
	json_fini(&j);
	log_record(&rec, gel->line);
	store_record(gel, &rec);
}

void gel_host_count(const struct gel_host *gel, struct gel_host_counts *ret_counts)
{
	*ret_counts = gel->counts;
}

static void signalled(void *ctx, struct vmbus_chan *ch)
{
	struct gel_host *gel = ctx;

	while (gel->open) {
		size_t len;
		int r = pipe_recv(vmbus_chan_pipe(ch), gel->rx, sizeof(gel->rx), &len);

		if (r == -EAGAIN)
			return;
		if (r < 0) {
			log_warn(ALLOWED, "ring or pipe corrupt");
			gel->open = false;
			return;
		}
		take_record(gel, len);
	}
}

static void opened(void *ctx, struct vmbus_chan *ch)
{
	struct gel_host *gel = ctx;

	gel->open = true;
	vmbus_chan_open_done(ch, 0);
	signalled(gel, ch);
}

static void closed(void *ctx, struct vmbus_chan *ch)
{
	struct gel_host *gel = ctx;

	gel->open = false;
	vmbus_chan_close_done(ch);
}

static const struct vmbus_chan_ops chan_ops = { .open = opened,
						.close = closed,
						.signalled = signalled };

int gel_host_create(const struct gel_host_cfg *cfg, struct gel_host **ret_gel)
{
	struct gel_host *gel = calloc(1, sizeof(*gel));
	const struct vmbus_chan_cfg chan = { .interface_id = GET_INTERFACE_GUID,
					     .instance_id = GEL_INSTANCE_GUID,
					     .kind = VMBUS_CHAN_PIPE,
					     .ops = &chan_ops,
					     .ctx = gel };
	int r;

	if (!gel)
		return -ENOMEM;
	gel->cfg = *cfg;
	r = vmbus_chan_offer(cfg->server, &chan, &gel->chan);
	if (r < 0) {
		free(gel);
		return r;
	}
	*ret_gel = gel;
	return 0;
}

void gel_host_destroy(struct gel_host *gel)
{
	if (!gel)
		return;
	vmbus_chan_destroy(gel->chan);
	free(gel);
}
