/* SPDX-License-Identifier: MIT */
/*
 * What the roles tell each other about inspection: requests as the vm role takes them, and answers
 * as control takes them. Every request is answered once, whatever it says.
 */
#include "fuzz.h"

#include "bug.h"
#include "ctl_ask.h"
#include "rd.h"
#include "vm_ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct loop *loop;
static unsigned int asked, answered, done;
static uint64_t question;

static int update(void *ctx, const char *val, char *ret_why, size_t why_size)
{
	(void)ctx;
	BUG_ON(strlen(val) > INSPECT_VALUE_MAX);
	(void)snprintf(ret_why, why_size, "no");
	return *val == 'y' ? 0 : -EINVAL;
}

static void dir(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_mut_str(in, SENS_SAFE, "knob", "x", update, NULL);
	inspect_u64(in, SENS_UNSPEC, "b", 1);
	inspect_bytes(in, SENS_SENSITIVE, "c", "\xff", 1);
	inspect_remote(in, SENS_SENSITIVE, "far", 3); /* no such VP */
}

static void root(struct inspect *in, const void *obj)
{
	inspect_dir(in, SENS_SAFE, "a", dir, obj);
	inspect_remote(in, SENS_UNSPEC, "vm", 0);
}

/* --- the vm role ------------------------------------------------------------------------------ */

static void on_answer(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct inspect_tree tree;

	(void)ctx;
	BUG_ON(id != question);
	answered++;
	if (len) {
		BUG_ON(inspect_decode(body, len, VM_ASK_BYTES, &tree) != 0);
		inspect_tree_fini(&tree);
	}
}

static void as_vm(struct rd *in)
{
	struct vm_asks_cfg cfg = { .loop = loop, .root = dir, .answer = on_answer };
	struct vm_asks *asks;

	cfg.max = (enum inspect_sens)(rd_u8(in) % 3);
	BUG_ON(vm_asks_create(&cfg, &asks) != 0);
	while (in->left && !in->bad) {
		const size_t raw = rd_le16(in), len = MIN(raw, in->left);
		const uint8_t *body = rd_bytes(in, len);
		int r = body ? vm_asks_request(asks, ++question, body, len) : -EBADMSG;

		BUG_ON(r != 0 && r != -EBADMSG);
		asked += r == 0;
		BUG_ON(answered != asked); /* there is nobody to wait for */
	}
	vm_asks_destroy(asks);
}

/* --- control ---------------------------------------------------------------------------------- */

static int on_send(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	(void)ctx;
	(void)body;
	BUG_ON(!len);
	question = id;
	return 0;
}

static void on_done(void *ctx, void *call, struct inspect_tree *tree)
{
	(void)ctx;
	(void)call;
	BUG_ON(inspect_pending(tree));
	done++;
}

static void on_refused(void *ctx, void *call, const char *why)
{
	(void)ctx;
	(void)call;
	BUG_ON(!why);
	done++;
}

static void as_control(struct rd *in)
{
	const struct inspect_request req = { .path = "", .depth = 9, .max = SENS_SENSITIVE };
	struct ctl_asks_cfg cfg = { .loop = loop,
				    .root = root,
				    .remote = root,
				    .send = on_send,
				    .done = on_done,
				    .refused = on_refused };
	struct ctl_asks *asks;

	BUG_ON(ctl_asks_create(&cfg, &asks) != 0);
	while (in->left && !in->bad) {
		const size_t raw = rd_le16(in), len = MIN(raw, in->left);
		const uint8_t *body = rd_bytes(in, len);

		ctl_asks_inspect(asks, NULL, &req, UINT64_MAX);
		asked++;
		ctl_asks_answer(asks, question, body, body ? len : 0);
		BUG_ON(done > asked);
	}
	ctl_asks_destroy(asks);
	BUG_ON(done != asked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_make(data, MIN(size, (size_t)8192));
	const bool vm = rd_u8(&in) & 1;

	if (!loop)
		BUG_ON(loop_create_epoll(&loop) != 0);
	asked = answered = done = 0;
	if (vm)
		as_vm(&in);
	else
		as_control(&in);
	return 0;
}
