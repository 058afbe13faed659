/* SPDX-License-Identifier: MIT */
/*
 * What `inspect -r` of a whole VM costs the daemon: the PC chipset, its bus, and 4 VPs with as many
 * registers and counters each as the daemon shows. The walk and the bytes for the control
 * role are paid by the role that runs the VM, the rest by the one that answers. Output: one JSON
 * object; the nanoseconds are the best of several repeats.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench_count.h"
#include "chip_rig.h"
#include "inspect_rpc.h"
#include "inspect_tree.h"

#define VPS 4u
#define VP_REGS 64u
#define VP_COUNTS 32u
#define REPEATS 9
#define ROUNDS 200u
#define ROOM (8u << 20)

static struct chip_rig rig;

static void show_regs(struct inspect *in, const void *obj)
{
	const uint64_t *vp = obj;
	char name[24];

	for (uint64_t i = 0; i < VP_REGS; i++) {
		(void)snprintf(name, sizeof(name), "reg%u", (unsigned int)i);
		inspect_hex(in, SENS_SENSITIVE, name, i * 0x123456789abcdef1u * (*vp + 1));
	}
}

static void show_counts(struct inspect *in, const void *obj)
{
	const uint64_t *vp = obj;
	char name[24];

	for (uint64_t i = 0; i < VP_COUNTS; i++) {
		(void)snprintf(name, sizeof(name), "exits_of_kind_%u", (unsigned int)i);
		inspect_count(in, SENS_UNSPEC, name, i * 1000 + *vp);
	}
}

static void show_vp(struct inspect *in, const void *obj)
{
	inspect_str(in, SENS_UNSPEC, "state", "running");
	inspect_dir(in, SENS_SENSITIVE, "vtl0", show_regs, obj);
	inspect_dir(in, SENS_UNSPEC, "backing/stats", show_counts, obj);
}

static void show_vps(struct inspect *in, const void *obj)
{
	(void)obj;
	for (uint64_t vp = 0; vp < VPS; vp++)
		inspect_dir_at(in, SENS_UNSPEC, vp, show_vp, &vp);
}

static void show_all(struct inspect *in, const void *obj)
{
	const struct chip_rig *r = obj;

	inspect_dir(in, SENS_UNSPEC, "partition/vp", show_vps, NULL);
	inspect_dir(in, SENS_UNSPEC, "bus", bus_inspect, r->bus);
	inspect_flatten(in, pc_chipset_inspect, r->cs);
}

/* One step of the way from the devices to the client, on what the step before made. */
struct bench {
	struct inspect_tree tree;
	uint8_t *role_bytes, *rpc_bytes;
	size_t role_len, rpc_len;
};

static void walk(struct bench *b)
{
	const struct inspect_request req = { .path = "", .depth = 4096, .max = SENS_SENSITIVE };

	inspect_tree_fini(&b->tree);
	if (inspect_run(&req, show_all, &rig, ROOM, &b->tree) < 0)
		abort();
}

static void encode(struct bench *b)
{
	free(b->role_bytes);
	if (inspect_encode(&b->tree, &b->role_bytes, &b->role_len) < 0)
		abort();
}

static void decode(struct bench *b)
{
	inspect_tree_fini(&b->tree);
	if (inspect_decode(b->role_bytes, b->role_len, ROOM, &b->tree) < 0)
		abort();
}

static void answer(struct bench *b)
{
	free(b->rpc_bytes);
	if (inspect_rpc_encode(&b->tree, SIZE_MAX, &b->rpc_bytes, &b->rpc_len) < 0)
		abort();
}

static uint64_t best_ns(struct bench *b, void (*step)(struct bench *b))
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < REPEATS; i++) {
		uint64_t t0 = bench_now_ns(), t;

		for (unsigned int n = 0; n < ROUNDS; n++)
			step(b);
		t = (bench_now_ns() - t0) / ROUNDS;
		best = MIN(best, t);
	}
	return best;
}

static unsigned int count_nodes(const struct inspect_tree *tree)
{
	struct inspect_iter it = inspect_iter(tree);
	unsigned int n = 1;

	while (inspect_next(&it))
		n++;
	return n;
}

int main(void)
{
	uint64_t walk_ns, encode_ns, decode_ns, answer_ns;
	struct bench b = { 0 };

	rig_init(&rig);
	walk_ns = best_ns(&b, walk);
	encode_ns = best_ns(&b, encode);
	decode_ns = best_ns(&b, decode);
	answer_ns = best_ns(&b, answer);
	printf("{\"vps\":%u,\"nodes\":%u,\"role_bytes\":%zu,\"rpc_bytes\":%zu,\"walk_ns\":%llu,"
	       "\"encode_ns\":%llu,\"decode_ns\":%llu,\"answer_ns\":%llu}\n",
	       VPS, count_nodes(&b.tree), b.role_len, b.rpc_len, (unsigned long long)walk_ns,
	       (unsigned long long)encode_ns, (unsigned long long)decode_ns,
	       (unsigned long long)answer_ns);
	inspect_tree_fini(&b.tree);
	free(b.role_bytes);
	free(b.rpc_bytes);
	rig_fini(&rig);
	return 0;
}
