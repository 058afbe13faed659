/* SPDX-License-Identifier: MIT */
/*
 * What the paravisor reads from the host at start: the first byte of the input chooses between the
 * settings' JSON as such and a conversation on the GET channel, message by message.
 */
#include "fuzz.h"

#include "bug.h"
#include "dps.h"
#include "get_cli.h"
#include "json.h"
#include "rd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGES 16

static void one_json(const char *text, size_t len)
{
	const char *why;
	struct dps d;
	struct json j;
	int r;

	if (json_parse(text, len, &j) == 0) {
		char buf[32];
		uint8_t b[16];
		size_t n;

		for (uint32_t i = 0; i < j.n; i++) {
			(void)json_member(&j, i, "V1");
			r = json_string(&j, i, buf, sizeof(buf));
			BUG_ON(r == 0 && strlen(buf) >= sizeof(buf));
			r = json_base64(&j, i, b, sizeof(b), &n);
			BUG_ON(r == 0 && n > sizeof(b));
		}
		json_fini(&j);
	}
	r = dps_parse(text, len, &d, &why);
	if (r == 0)
		dps_fini(&d);
}

/* ---- the channel ----------------------------------------------------------------------------- */

static struct {
	_Alignas(KEEL_PAGE_SIZE) uint8_t mem[2][(PAGES + 1) * KEEL_PAGE_SIZE];
	void *pages[2][PAGES];
} sh;

static struct pipe cli_end, host_end;
static unsigned failures, answers, questions;

static void no_signal(void *transport)
{
	(void)transport;
}

static void on_failed(void *ctx, int err, const char *why)
{
	(void)ctx;
	BUG_ON(!err || !why);
	failures++;
}

static const struct get_cli_ops ops = { .failed = on_failed };

static void on_dps(void *ctx, int err, struct dps *d)
{
	(void)ctx;
	BUG_ON(!err != !!d);
	answers++;
}

static void on_time(void *ctx, int err, const struct get_cli_time *t)
{
	(void)ctx;
	BUG_ON(!err != !!t);
	answers++;
}

static void attach(void)
{
	struct ring_mem m[2];

	memset(sh.mem, 0, sizeof(sh.mem));
	for (int i = 0; i < 2; i++) {
		for (size_t k = 0; k < PAGES; k++)
			sh.pages[i][k] = sh.mem[i] + (k + 1) * KEEL_PAGE_SIZE;
		m[i] = (struct ring_mem){ sh.mem[i], sh.pages[i], PAGES };
	}
	BUG_ON(pipe_attach(&cli_end, &m[0], &m[1], no_signal, NULL) < 0);
	BUG_ON(pipe_attach(&host_end, &m[1], &m[0], no_signal, NULL) < 0);
}

/* Read and forget what the client says. */
static void drain(void)
{
	static uint8_t buf[PIPE_MAX_PAYLOAD];
	size_t len;

	while (pipe_recv(&host_end, buf, sizeof(buf), &len) == 0)
		BUG_ON(len < sizeof(struct get_header));
}

static void talk(struct rd *in, struct get_cli *gc, struct loop *loop)
{
	const uint8_t op = rd_u8(in);
	const size_t len = MIN((size_t)rd_u8(in) % 64, in->left);
	const void *msg;

	switch (op % 4) {
	case 0:
		questions += get_cli_request_dps(gc, on_dps, NULL) == 0;
		break;
	case 1:
		questions += get_cli_request_time(gc, on_time, NULL) == 0;
		break;
	case 2:
		get_cli_event_log(gc, GET_EVENT_BOOT_ATTEMPT);
		break;
	case 3:
		msg = rd_bytes(in, len);
		if (!msg || pipe_send(&host_end, msg, len) < 0)
			return;
		break;
	}
	cli_end.wake(cli_end.user);
	loop_poll(loop);
	drain();
}

static void conversation(struct rd *in)
{
	static struct loop *loop;
	struct get_cli_cfg cfg = { .pipe = &cli_end, .ops = &ops };
	static const uint8_t version[] = { 1, 3, 1, 0, 1, 0 };
	struct get_cli *gc;

	if (!loop)
		BUG_ON(loop_create(16, &loop) < 0);
	attach();
	cfg.loop = loop;
	failures = answers = questions = 0;
	BUG_ON(get_cli_create(&cfg, &gc) < 0 || get_cli_start(gc) < 0);
	if (in->left & 1)
		BUG_ON(pipe_send(&host_end, version, sizeof(version)) < 0);
	loop_poll(loop);
	while (in->left && !in->bad)
		talk(in, gc, loop);
	loop_poll(loop);
	get_cli_destroy(gc);
	BUG_ON(failures > 1 || answers != questions);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_make(data, size);
	char *copy;

	if (!size)
		return 0;
	if (rd_u8(&in) & 1) {
		conversation(&in);
		return 0;
	}
	copy = malloc(size);
	BUG_ON(!copy);
	memcpy(copy, data + 1, size - 1);
	one_json(copy, size - 1);
	free(copy);
	return 0;
}
