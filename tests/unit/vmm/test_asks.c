/* SPDX-License-Identifier: MIT */
/*
 * An inspect request on its way through both roles: control's table of requests, the message, the
 * vm role's, and VPs that answer late or never. Each role is tested against a stand-in of the
 * other.
 */
#include "ctl_ask.h"
#include "role_req.h"
#include "vm_ask.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hvregs.h"
#include "inspect_text.h"
#include "mock_vp.h"
#include "unit.h"
#include "vp_snap.h"
#include "vp_visit.h"

static struct loop *loop;
static struct ctl_asks *ctl;
static int send_err;
static unsigned int sent, done, refused;
static unsigned int made_after; /* questions that had been sent when the tree was made */
static uint64_t asked_ids[256];
static char text[65536]; /* of the last result */
static const char *refusal;

/* --- control's side --------------------------------------------------------------------------- */

static int update(void *ctx, const char *val, char *ret_why, size_t why_size)
{
	(void)ctx;
	if (!strcmp(val, "good"))
		return 0;
	(void)snprintf(ret_why, why_size, "not good");
	return -EINVAL;
}

static void root(struct inspect *in, const void *obj)
{
	(void)obj;
	made_after = sent;
	inspect_u64(in, SENS_SAFE, "own", 7);
	inspect_remote(in, SENS_UNSPEC, "vm", 0);
}

static void remote_entry(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_remote(in, SENS_UNSPEC, "vm", 0);
}

static int on_send(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct role_req req;

	(void)ctx;
	ck_assert_int_eq(role_req_decode(body, len, &req), 0);
	if (send_err)
		return send_err;
	asked_ids[sent++ % ARRAY_SIZE(asked_ids)] = id;
	return 0;
}

static void on_done(void *ctx, void *call, struct inspect_tree *tree)
{
	char *got;

	(void)ctx;
	ck_assert_ptr_eq(call, &done);
	ck_assert_ptr_null(inspect_pending(tree));
	inspect_sort(tree);
	ck_assert_int_eq(inspect_text(tree, &got), 0);
	(void)snprintf(text, sizeof(text), "%s", got);
	free(got);
	done++;
}

static void on_refused(void *ctx, void *call, const char *why)
{
	(void)ctx;
	ck_assert_ptr_eq(call, &done);
	refusal = why;
	refused++;
}

static void make_ctl(void)
{
	const struct ctl_asks_cfg cfg = { .root = root,
					  .remote = remote_entry,
					  .send = on_send,
					  .done = on_done,
					  .refused = on_refused };
	struct ctl_asks_cfg with_loop = cfg;

	ck_assert_int_eq(loop_create_epoll(&loop), 0);
	with_loop.loop = loop;
	ck_assert_int_eq(ctl_asks_create(&with_loop, &ctl), 0);
}

static void drop_ctl(void)
{
	ctl_asks_destroy(ctl);
	loop_destroy(loop);
}

static void ask(const char *path, enum inspect_sens max, const char *value, uint64_t wait_ms)
{
	const struct inspect_request req = {
		.path = path, .depth = 8, .max = max, .update = value
	};

	ctl_asks_inspect(ctl, &done, &req, loop_now_ns() + wait_ms * 1000000);
}

static void spin_until(const unsigned int *count, unsigned int want)
{
	for (int i = 0; i < 5000 && *count < want; i++) {
		loop_poll(loop);
		(void)usleep(1000);
	}
	ck_assert_uint_eq(*count, want);
}

static void remote_dir(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_u64(in, SENS_UNSPEC, "there", 9);
	inspect_mut_str(in, SENS_UNSPEC, "knob", "old", update, NULL);
}

/* The answer the vm role would give to a whole-tree request. */
static void answer(uint64_t id)
{
	const struct inspect_request req = { .path = "", .depth = 8, .max = SENS_SENSITIVE };
	struct inspect_tree tree;
	uint8_t *buf;
	size_t len;

	ck_assert_int_eq(inspect_run(&req, remote_dir, NULL, 65536, &tree), 0);
	ck_assert_int_eq(inspect_encode(&tree, &buf, &len), 0);
	inspect_tree_fini(&tree);
	ctl_asks_answer(ctl, id, buf, len);
	free(buf);
}

START_TEST(answered_at_once)
{
	make_ctl();
	ask("own", SENS_SENSITIVE, NULL, 1000);
	ck_assert_uint_eq(done, 1);
	ck_assert_str_eq(text, "7");
	/* Nobody is asked for what a request may not see. */
	ask("", SENS_SAFE, NULL, 1000);
	ask("vm/there", SENS_SAFE, NULL, 1000);
	ck_assert_uint_eq(done, 3);
	ck_assert_uint_eq(sent, 0);
	ck_assert_str_eq(text, "error (not found)");
	drop_ctl();
}
END_TEST

START_TEST(answered_by_the_other)
{
	make_ctl();
	ask("", SENS_SENSITIVE, NULL, 5000);
	ck_assert_uint_eq(done, 0);
	ck_assert_uint_eq(sent, 1);
	ck_assert_uint_eq(made_after, 1); /* the other one works meanwhile */
	answer(asked_ids[0] + 17); /* nobody's */
	ck_assert_uint_eq(done, 0);
	answer(asked_ids[0]);
	ck_assert_uint_eq(done, 1);
	ck_assert_ptr_nonnull(strstr(text, "there: 9"));
	ck_assert_ptr_nonnull(strstr(text, "own: 7"));
	answer(asked_ids[0]); /* a second time */
	ck_assert_uint_eq(done, 1);
	drop_ctl();
}
END_TEST

START_TEST(deadline_and_junk)
{
	static const uint8_t junk[] = { 1, 2, 3 };

	make_ctl();
	ask("", SENS_SENSITIVE, NULL, 30);
	spin_until(&done, 1);
	ck_assert_ptr_nonnull(strstr(text, "vm: error (unresolved)"));
	ck_assert_ptr_nonnull(strstr(text, "own: 7"));
	answer(asked_ids[0]); /* too late */
	ask("", SENS_SENSITIVE, NULL, 5000);
	ctl_asks_answer(ctl, asked_ids[1], junk, sizeof(junk));
	ck_assert_uint_eq(done, 2);
	ck_assert_ptr_nonnull(strstr(text, "vm: error (unresolved)"));
	ask("", SENS_SENSITIVE, NULL, 5000);
	ctl_asks_answer(ctl, asked_ids[2], NULL, 0);
	ck_assert_uint_eq(done, 3);
	send_err = -EPIPE;
	ask("", SENS_SENSITIVE, NULL, 5000);
	ck_assert_uint_eq(done, 4);
	drop_ctl();
}
END_TEST

START_TEST(limits)
{
	make_ctl();
	for (unsigned int i = 0; i < CTL_ASKS_MAX + 5; i++)
		ask("", SENS_SENSITIVE, NULL, 600000);
	ck_assert_uint_eq(sent, CTL_ASKS_FLYING);
	ck_assert_uint_eq(refused, 5);
	ck_assert_str_eq(refusal, "too many requests");
	answer(asked_ids[1]); /* one place is free: the next takes it */
	ck_assert_uint_eq(done, 1);
	ck_assert_uint_eq(sent, CTL_ASKS_FLYING + 1);
	ctl_asks_flush(ctl);
	ck_assert_uint_eq(done, CTL_ASKS_MAX);
	drop_ctl();
}
END_TEST

/* --- the message ------------------------------------------------------------------------------ */

START_TEST(message)
{
	struct inspect_request req = { .path = "a/b", .depth = 3, .max = SENS_UNSPEC };
	static uint8_t buf[ROLE_REQ_MAX + 1];
	static struct role_req got;
	size_t len = role_req_encode(&req, 77, buf);

	ck_assert_int_eq(role_req_decode(buf, len, &got), 0);
	ck_assert_str_eq(got.req.path, "a/b");
	ck_assert_uint_eq(got.req.depth, 3);
	ck_assert_uint_eq(got.deadline_ns, 77);
	ck_assert_int_eq((int)got.req.max, SENS_UNSPEC);
	ck_assert_ptr_null(got.req.update);
	req.update = "";
	len = role_req_encode(&req, 0, buf);
	ck_assert_int_eq(role_req_decode(buf, len, &got), 0);
	ck_assert_str_eq(got.req.update, "");
	req.update = "value";
	len = role_req_encode(&req, 0, buf);
	for (size_t cut = 0; cut < len; cut++)
		ck_assert_int_eq(role_req_decode(buf, cut, &got), -EBADMSG);
	buf[len] = 0;
	ck_assert_int_eq(role_req_decode(buf, len + 1, &got), -EBADMSG);
	buf[0] = SENS_SENSITIVE + 1; /* no such ceiling */
	ck_assert_int_eq(role_req_decode(buf, len, &got), -EBADMSG);
	buf[0] = SENS_SAFE;
	buf[1] = 0; /* a value in a request that only reads */
	ck_assert_int_eq(role_req_decode(buf, len, &got), -EBADMSG);
	buf[1] = 1;
	buf[ROLE_INSPECT_HEAD] = 0; /* a NUL in the path */
	ck_assert_int_eq(role_req_decode(buf, len, &got), -EBADMSG);
}
END_TEST

/* --- the vm role's side ----------------------------------------------------------------------- */

#define N_VPS 3u

/* VPs whose threads are the test itself, or nobody. */
static struct mock_vp mock[N_VPS];
static unsigned int answers;
static size_t last_len;

struct vcpu *vps_vcpu(struct vps *vps, vpidx_t vp);

/* In place of the real set: this program does not link that file's object. */
struct vcpu *vps_vcpu(struct vps *vps, vpidx_t vp)
{
	(void)vps;
	return vp < N_VPS ? &mock[vp].v : NULL;
}

static void vp_dir(struct inspect *in, const void *obj)
{
	const vpidx_t *vp = obj;

	inspect_u64(in, SENS_UNSPEC, "index", *vp);
	inspect_remote(in, SENS_SENSITIVE, "vtl0", *vp);
}

static void vm_root(struct inspect *in, const void *obj)
{
	static const vpidx_t idx[N_VPS] = { 0, 1, 2 };

	(void)obj;
	inspect_u64(in, SENS_SAFE, "safe", 1);
	for (uint32_t i = 0; i < N_VPS; i++)
		inspect_dir_at(in, SENS_UNSPEC, i, vp_dir, &idx[i]);
}

static void on_answer(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct inspect_tree tree;
	char *got;

	(void)ctx;
	(void)id;
	answers++;
	last_len = len;
	text[0] = '\0';
	if (!len)
		return;
	ck_assert_int_eq(inspect_decode(body, len, 4u << 20, &tree), 0);
	ck_assert_int_eq(inspect_text(&tree, &got), 0);
	(void)snprintf(text, sizeof(text), "%s", got);
	free(got);
	inspect_tree_fini(&tree);
}

static struct vm_asks *make_vm(enum inspect_sens max)
{
	struct vm_asks_cfg cfg = { .max = max, .root = vm_root, .answer = on_answer };
	struct vm_asks *asks;

	ck_assert_int_eq(loop_create_epoll(&loop), 0);
	cfg.loop = loop;
	ck_assert_int_eq(vm_asks_create(&cfg, &asks), 0);
	for (uint32_t i = 0; i < N_VPS; i++) {
		mock_vp_init(&mock[i]);
		mock[i].v.vp.idx = i;
		mock_reg(&mock[i], HVREG_RIP)->u64 = 0x1000 + i;
		mock_reg(&mock[i], HVREG_CR3)->u64 = 0xabc000 + i;
	}
	ck_assert_int_eq(vm_asks_set_vps(asks, (struct vps *)mock, N_VPS), 0);
	return asks;
}

static void vm_request(struct vm_asks *asks, const char *path, enum inspect_sens max,
		       uint64_t wait_ms)
{
	const struct inspect_request req = { .path = path, .depth = 8, .max = max };
	uint8_t buf[ROLE_REQ_MAX];
	size_t len = role_req_encode(&req, loop_now_ns() + wait_ms * 1000000, buf);

	ck_assert_int_eq(vm_asks_request(asks, 1, buf, len), 0);
}

static void run_vp(uint32_t i)
{
	for (int k = 0; k < 20; k++) {
		loop_poll(mock[i].v.loop);
		(void)usleep(100);
	}
}

static void drop_vm(struct vm_asks *asks)
{
	vm_asks_destroy(asks);
	for (uint32_t i = 0; i < N_VPS; i++)
		mock_vp_fini(&mock[i]);
	loop_destroy(loop);
}

START_TEST(all_vps_answer)
{
	struct vm_asks *asks = make_vm(SENS_SENSITIVE);

	vm_request(asks, "", SENS_SENSITIVE, 4000);
	ck_assert_uint_eq(answers, 0);
	for (uint32_t i = 0; i < N_VPS; i++)
		run_vp(i);
	spin_until(&answers, 1);
	ck_assert_ptr_nonnull(strstr(text, "rip: 0x1000"));
	ck_assert_ptr_nonnull(strstr(text, "rip: 0x1002"));
	ck_assert_ptr_nonnull(strstr(text, "cr3: 0xabc001"));
	ck_assert_ptr_null(strstr(text, "unresolved"));
	/* Only the VP of the path is asked. */
	vm_request(asks, "1/vtl0/rip", SENS_SENSITIVE, 4000);
	run_vp(1);
	spin_until(&answers, 2);
	ck_assert_str_eq(text, "0x1001");
	drop_vm(asks);
}
END_TEST

START_TEST(a_vp_does_not_answer)
{
	struct vm_asks *asks = make_vm(SENS_SENSITIVE);
	uint64_t start = loop_now_ns();

	vm_request(asks, "", SENS_SENSITIVE, 80);
	run_vp(0);
	run_vp(2);
	spin_until(&answers, 1);
	ck_assert_uint_lt(loop_now_ns() - start, 80ull * 1000000); /* in time for the way back */
	ck_assert_ptr_nonnull(strstr(text, "rip: 0x1000"));
	ck_assert_ptr_nonnull(strstr(text, "vtl0: error (unresolved)"));
	ck_assert_ptr_null(strstr(text, "rip: 0x1001"));
	/* It answers the second request with what the first one asked for. */
	vm_request(asks, "1/vtl0/rip", SENS_SENSITIVE, 4000);
	run_vp(1);
	spin_until(&answers, 2);
	ck_assert_str_eq(text, "0x1001");
	drop_vm(asks);
}
END_TEST

START_TEST(nobody_is_asked_for_nothing)
{
	struct vm_asks *asks = make_vm(SENS_SENSITIVE);

	vm_request(asks, "safe", SENS_SENSITIVE, 1000);
	ck_assert_uint_eq(answers, 1);
	ck_assert_str_eq(text, "1");
	vm_request(asks, "0/index", SENS_SENSITIVE, 1000);
	ck_assert_uint_eq(answers, 2);
	vm_request(asks, "0/vtl0", SENS_UNSPEC, 1000);
	ck_assert_uint_eq(answers, 3);
	ck_assert_str_eq(text, "error (not found)");
	for (uint32_t i = 0; i < N_VPS; i++) {
		run_vp(i);
		ck_assert_uint_eq(mock[i].reg_gets, 0);
	}
	drop_vm(asks);
	/* A restricted role does not believe the request's ceiling. */
	asks = make_vm(SENS_SAFE);
	vm_request(asks, "", SENS_SENSITIVE, 1000);
	ck_assert_uint_eq(answers, 4);
	ck_assert_ptr_null(strstr(text, "index"));
	ck_assert_ptr_nonnull(strstr(text, "safe"));
	drop_vm(asks);
}
END_TEST

START_TEST(too_many_and_the_end)
{
	struct vm_asks *asks = make_vm(SENS_SENSITIVE);
	static const uint8_t junk[ROLE_INSPECT_HEAD] = { 0xff };

	ck_assert_int_eq(vm_asks_request(asks, 1, junk, sizeof(junk)), -EBADMSG);
	for (unsigned int i = 0; i < VM_ASKS_MAX; i++)
		vm_request(asks, "", SENS_SENSITIVE, 600000);
	ck_assert_uint_eq(answers, 0);
	vm_request(asks, "", SENS_SENSITIVE, 600000);
	ck_assert_uint_eq(answers, 1);
	ck_assert_uint_eq(last_len, 0);
	ck_assert_int_eq(vm_asks_set_vps(asks, NULL, 0), 0);
	ck_assert_uint_eq(answers, 1 + VM_ASKS_MAX);
	ck_assert_ptr_nonnull(strstr(text, "unresolved"));
	drop_vm(asks);
}
END_TEST

UNIT_MAIN("vmm/asks", answered_at_once, answered_by_the_other, deadline_and_junk, limits, message,
	  all_vps_answer, a_vp_does_not_answer, nobody_is_asked_for_nothing, too_many_and_the_end)
