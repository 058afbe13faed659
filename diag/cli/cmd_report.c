/* SPDX-License-Identifier: MIT */
/* report: sample, then write the page. */
#include "cli_cmds.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "cli_conn.h"
#include "cli_io.h"
#include "cli_report.h"
#include "cli_term.h"

#define SAMPLES_MAX 3600u

struct sampler {
	struct cli_ctx *c;
	struct report rep;
	struct cli_model *first, *last;
	struct cli_reading reading; /* the newest */
	bool have;
	uint64_t start_ms;
	char trouble[CLI_ERR_TEXT];
};

/* One more reading. Returns: 0; -1 */
static int sample(struct sampler *s)
{
	struct cli_reading now;
	struct cli_model *m;
	int r;

	if (cli_reading_take(s->c, "", SVC_DEPTH_ALL, &now) < 0)
		return -1;
	if (!s->have)
		s->start_ms = now.at_ms;
	m = cli_model_make(&now, s->have ? &s->reading : NULL);
	r = m ? report_sample(&s->rep, m, (double)(now.at_ms - s->start_ms) / 1000) : -ENOMEM;
	if (s->have)
		cli_reading_fini(&s->reading);
	s->reading = now;
	s->have = true;
	if (s->last != s->first)
		free(s->last);
	s->last = m;
	if (!s->first)
		s->first = m;
	return r < 0 ? cli_err_os(&s->c->err, r) : 0;
}

static void progress(const struct sampler *s, double duration, bool end)
{
	if (s->c->json || !isatty(STDERR_FILENO))
		return;
	(void)fprintf(stderr, "\rsampling: %.0f of %.0f s%s",
		      (double)(cli_now_ms() - s->start_ms) / 1000, duration, end ? "\n" : "");
}

/* Until the time is over, the user has enough, or the VM is gone: what there is then is shown. */
static int sample_all(struct sampler *s, double duration, double period)
{
	uint64_t due, end, now, i;

	if (sample(s) < 0)
		return -1;
	end = s->start_ms + (uint64_t)(duration * 1000);
	while (!cli_stopped() && cli_now_ms() < end && s->rep.memory.samples < SAMPLES_MAX) {
		/* On a slow VM a reading takes longer than a period: those are left out. */
		i = (uint64_t)((double)(cli_now_ms() - s->start_ms) / (period * 1000)) + 1;
		due = s->start_ms + (uint64_t)(period * 1000 * (double)i);
		due = MIN(due, end);
		while ((now = cli_now_ms()) < due && !cli_stopped())
			(void)poll(NULL, 0, (int)MIN(due - now, 500u));
		if (cli_stopped())
			break;
		if (sample(s) < 0) {
			cli_err_flatten(&s->c->err);
			memcpy(s->trouble, s->c->err.msg[0], sizeof(s->trouble));
			s->rep.trouble = s->trouble;
			break;
		}
		progress(s, duration, cli_now_ms() >= end);
	}
	return 0;
}

static int write_page(struct sampler *s, int fd)
{
	struct cli_str page = { 0 };
	char when[64] = "";
	struct tm tm;
	time_t now = time(NULL);
	int r;

	if (localtime_r(&now, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S %z", &tm);
	s->rep.when = when;
	s->rep.vm = s->c->path;
	report_page(&page, &s->rep, s->first, s->last, s->reading.tree.root);
	r = page.failed ? -ENOMEM : cli_write_all(fd, page.s, page.len);
	cli_str_fini(&page);
	return r < 0 ? cli_err_os(&s->c->err, r) : 0;
}

static int finish(struct sampler *s, const char *path, int fd)
{
	struct cli_str out = { 0 };
	bool to_stdout = !strcmp(path, "-");

	if (write_page(s, fd) < 0)
		return -1;
	if (s->c->json) {
		cli_str_puts(&out, "{\"file\":");
		cli_str_json(&out, path, strlen(path));
		cli_str_printf(&out, ",\"samples\":%zu}\n", s->rep.memory.samples);
		(void)!cli_str_write(&out, to_stdout ? stderr : stdout);
		cli_str_fini(&out);
	} else {
		(void)fprintf(stderr, "%s: %zu samples\n", path, s->rep.memory.samples);
	}
	return s->rep.trouble ? cli_err_wrap(&s->c->err, "sampling ended early") : 0;
}

int cmd_report(struct cli_ctx *c)
{
	const char *path = cli_value(c->args, 'o');
	auto_free struct sampler *s = NULL;
	auto_close int fd = -1;
	double duration, period;
	int r;

	if (cli_seconds(cli_value(c->args, 'd'), 0, 86400, "--duration", &c->err, &duration) < 0 ||
	    cli_seconds(cli_value(c->args, 'P'), 0.1, 3600, "--period", &c->err, &period) < 0)
		return -1;
	period = MAX(period, duration / SAMPLES_MAX);
	fd = cli_output(strcmp(path, "-") ? path : NULL, &c->err);
	if (fd < 0)
		return -1;
	s = calloc(1, sizeof(*s));
	if (!s)
		return cli_err_os(&c->err, ENOMEM);
	s->c = c;
	cli_catch_stop();
	r = sample_all(s, duration, period);
	if (!r)
		r = finish(s, path, fd);
	if (s->have)
		cli_reading_fini(&s->reading);
	if (s->last != s->first)
		free(s->last);
	free(s->first);
	report_fini(&s->rep);
	return r;
}
