/* SPDX-License-Identifier: MIT */
#include "cli_browse.h"
#include "cli_diff.h"
#include "cli_flat.h"
#include "cli_model.h"
#include "cli_render.h"

#include "unit.h"

#include <errno.h>
#include <string.h>

#define ROOM (4u << 20)

/* A VM at some time. */
struct vm {
	uint64_t n; /* everything that counts goes with it */
	bool hidden, exits; /* vm/ is not shown; counters are below "exits" too */
};

static void vp(struct inspect *in, const struct vm *vm, unsigned int idx)
{
	char name[96];

	(void)snprintf(name, sizeof(name), "vm/partition/vp/%u/backing/stats/io_port", idx);
	inspect_count(in, SENS_SAFE, name, vm->n * (idx + 1));
	(void)snprintf(name, sizeof(name), "vm/partition/vp/%u/backing/stats/msr", idx);
	inspect_count(in, SENS_SAFE, name, 7);
	(void)snprintf(name, sizeof(name), "vm/partition/vp/%u/vtl_transitions", idx);
	inspect_count(in, SENS_SAFE, name, vm->n * 1000);
	if (vm->exits) {
		(void)snprintf(name, sizeof(name), "vm/partition/vp/%u/exits/mmio/slow", idx);
		inspect_count(in, SENS_SAFE, name, vm->n);
	}
}

static void show(struct inspect *in, const void *obj)
{
	const struct vm *vm = obj;

	inspect_u64(in, SENS_SAFE, "proc/meminfo/MemTotal", 262144);
	inspect_u64(in, SENS_SAFE, "proc/meminfo/MemAvailable", 100000);
	inspect_u64(in, SENS_SAFE, "proc/processes/keel/VmRSS", 3000);
	inspect_u64(in, SENS_SAFE, "proc/processes/keel/VmPeak", 9000);
	inspect_u64(in, SENS_SAFE, "proc/processes/init/VmRSS", 200);
	inspect_count(in, SENS_SAFE, "proc/interrupts/7/cpu/0", vm->n * 3);
	if (vm->hidden)
		return;
	for (unsigned int i = 0; i < 12; i += 10)
		vp(in, vm, i);
	inspect_count(in, SENS_UNSPEC, "vm/scsi:0/channels/0/ring/in", vm->n * 5);
	inspect_count(in, SENS_UNSPEC, "vm/scsi:0/channels/0/ring/out", vm->n * 2);
	/* No rings. */
	inspect_count(in, SENS_UNSPEC, "vm/scsi:0/pio_string", vm->n);
	inspect_count(in, SENS_UNSPEC, "vm/scsi:0/queued", vm->n);
	inspect_str(in, SENS_UNSPEC, "vm/scsi:0/unit_state", "running");
	inspect_hex(in, SENS_UNSPEC, "vm/scsi:0/reg", 16);
}

static void take(const struct vm *vm, uint64_t at_ms, struct cli_reading *ret_r)
{
	struct inspect_request req = { .depth = 99, .max = SENS_SENSITIVE, .path = "" };

	ck_assert_int_eq(inspect_run(&req, show, vm, ROOM, &ret_r->tree), 0);
	inspect_sort(&ret_r->tree);
	ck_assert_int_eq(cli_flat_make(ret_r->tree.root, "", &ret_r->flat), 0);
	ret_r->at_ms = at_ms;
}

START_TEST(flat)
{
	const struct vm a = { .n = 100 }, b = { .n = 300 };
	struct cli_reading last, now;
	const struct cli_flat_row *row;
	struct cli_flat sub;
	double rate;

	take(&a, 0, &last);
	take(&b, 2000, &now);
	row = cli_flat_find(&now.flat, "proc/interrupts/7/cpu/0");
	ck_assert_ptr_nonnull(row);
	ck_assert(cli_flat_rate(row, &last.flat, 2.0, &rate));
	ck_assert_double_eq(rate, 300);
	/* Started again. */
	row = cli_flat_find(&last.flat, "proc/interrupts/7/cpu/0");
	ck_assert(cli_flat_rate(row, &now.flat, 1.0, &rate));
	ck_assert_double_eq(rate, 300);
	row = cli_flat_find(&now.flat, "vm/scsi:0/reg");
	ck_assert(!cli_flat_rate(row, &last.flat, 1.0, &rate));
	ck_assert_ptr_null(cli_flat_find(&now.flat, "vm/scsi:0"));
	for (size_t i = 1; i < now.flat.n; i++)
		ck_assert_int_lt(strcmp(now.flat.rows[i - 1].path, now.flat.rows[i].path), 0);
	ck_assert_int_eq(cli_flat_make(cli_diff_find(now.tree.root, "vm/scsi:0/reg"),
				       "vm/scsi:0/reg/", &sub),
			 0);
	ck_assert_uint_eq(sub.n, 1);
	ck_assert_str_eq(sub.rows[0].path, "vm/scsi:0/reg");
	cli_flat_fini(&sub);
	cli_reading_fini(&last);
	cli_reading_fini(&now);
}
END_TEST

START_TEST(model)
{
	const struct vm a = { .n = 100 }, b = { .n = 300 };
	struct cli_reading last, now;
	size_t order[MODEL_KINDS];
	struct cli_model *m;

	take(&a, 1000, &last);
	take(&b, 3000, &now);
	m = cli_model_make(&now, &last);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->n_vps, 2);
	ck_assert_uint_eq(m->vp[0], 0);
	ck_assert_uint_eq(m->vp[1], 10);
	ck_assert_uint_eq(m->n_kinds, 2);
	cli_model_kind_order(m, order);
	ck_assert_str_eq(m->kind[order[0]], "io_port");
	ck_assert_double_eq(cli_model_kind_rate(m, order[0]), 1200);
	ck_assert_double_eq(cli_model_vp_rate(m, 1), 1100);
	ck_assert_double_eq(cli_model_kind_total(m, order[1]), 14);
	ck_assert_uint_eq(m->n_proc, 2);
	ck_assert_str_eq(m->proc[0].name, "keel");
	ck_assert_double_eq(m->proc[0].kib, 3000);
	ck_assert_uint_eq(m->n_rings, 2);
	ck_assert_double_eq(m->ring[0].rate, 500);
	ck_assert_uint_eq(m->n_rates, 3);
	ck_assert(m->vm_visible);
	free(m);
	/* Without a reading before there are no rates. */
	m = cli_model_make(&now, NULL);
	ck_assert_double_eq(cli_model_vp_rate(m, 0), 0);
	ck_assert_double_eq(cli_model_kind_total(m, 0), 3600);
	free(m);
	cli_reading_fini(&last);
	cli_reading_fini(&now);
}
END_TEST

START_TEST(model_other_shapes)
{
	const struct vm own = { .n = 5, .exits = true }, hidden = { .n = 5, .hidden = true };
	struct cli_reading now;
	struct cli_model *m;

	take(&own, 0, &now);
	m = cli_model_make(&now, NULL);
	ck_assert_uint_eq(m->n_kinds, 1);
	ck_assert_str_eq(m->kind[0], "mmio/slow");
	free(m);
	cli_reading_fini(&now);
	take(&hidden, 0, &now);
	m = cli_model_make(&now, NULL);
	ck_assert_uint_eq(m->n_vps, 0);
	ck_assert(!m->vm_visible);
	ck_assert_uint_eq(m->n_mem, 2);
	free(m);
	cli_reading_fini(&now);
}
END_TEST

START_TEST(since)
{
	const struct vm a = { .n = 100, .hidden = true }, b = { .n = 300, .hidden = true };
	struct cli_reading last, now;
	struct inspect_tree diff;
	struct cli_str out = { 0 };

	take(&a, 0, &last);
	take(&b, 0, &now);
	ck_assert_int_eq(cli_diff_since(&now.tree, &last.tree, 0.5, &diff), 0);
	cli_render_json(&out, cli_diff_find(diff.root, "proc/interrupts"));
	ck_assert_str_eq(cli_str_text(&out), "{\"7\":{\"cpu\":{\"0\":1200}}}");
	/* The reading itself is as it was. */
	cli_str_reset(&out);
	cli_render_json(&out, cli_diff_find(now.tree.root, "proc/interrupts"));
	ck_assert_str_eq(cli_str_text(&out), "{\"7\":{\"cpu\":{\"0\":900}}}");
	ck_assert_ptr_null(cli_diff_find(now.tree.root, "proc/nothing/here"));
	cli_str_fini(&out);
	inspect_tree_fini(&diff);
	cli_reading_fini(&last);
	cli_reading_fini(&now);
}
END_TEST

static void row_is(const struct browse *b, const char *path)
{
	ck_assert_ptr_nonnull(browse_row(b));
	ck_assert_str_eq(browse_row(b)->path, path);
}

START_TEST(browsing)
{
	const struct vm a = { .n = 1 }, hidden = { .n = 2, .hidden = true };
	struct cli_reading now, next;
	struct browse b = { 0 };

	take(&a, 0, &now);
	ck_assert_int_eq(browse_set(&b, now.tree.root), 0);
	ck_assert_uint_eq(b.n_rows, 2);
	row_is(&b, "proc");
	browse_move(&b, 5);
	row_is(&b, "vm");
	ck_assert_int_eq(browse_open(&b, "vm", true), 0);
	ck_assert_uint_eq(b.n_rows, 4);
	browse_move(&b, 1);
	row_is(&b, "vm/partition");
	browse_up(&b);
	row_is(&b, "vm");
	ck_assert_int_eq(browse_go(&b, "vm/partition/vp/10/vtl_transitions"), 0);
	row_is(&b, "vm/partition/vp/10/vtl_transitions");
	ck_assert_int_eq(browse_go(&b, "vm/none"), -ENOENT);
	row_is(&b, "vm/partition/vp/10/vtl_transitions");

	/* From there on, then round from the beginning. */
	ck_assert_int_eq(browse_search(&b, "RING"), 0);
	row_is(&b, "vm/scsi:0/channels/0/ring");
	ck_assert_int_eq(browse_search(&b, "running"), 0);
	row_is(&b, "vm/scsi:0/unit_state");
	ck_assert_int_eq(browse_search(&b, "memtotal"), 0);
	row_is(&b, "proc/meminfo/MemTotal");
	ck_assert_int_eq(browse_search(&b, "no such thing"), -ENOENT);

	/* A directory that is closed above the chosen row; a tree that shrinks. */
	ck_assert_int_eq(browse_open(&b, "proc", false), 0);
	row_is(&b, "proc");
	browse_move(&b, 99);
	take(&hidden, 0, &next);
	ck_assert_int_eq(browse_set(&b, next.tree.root), 0);
	row_is(&b, "proc");
	ck_assert_uint_eq(b.n_rows, 1);
	browse_fini(&b);
	cli_reading_fini(&now);
	cli_reading_fini(&next);
}
END_TEST

START_TEST(hostile_bytes)
{
	/* Directories in directories: 3 messages of 2 bytes each, 400 levels. */
	uint8_t deep[4096], one[] = { 0x0a, 0x02, 0x22, 0x00 };
	static const uint8_t endless[] = { 0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x22 };
	struct inspect_tree tree;
	struct cli_str out = { 0 };

	memset(deep, 0x0a, sizeof(deep));
	ck_assert_int_lt(cli_render_decode(deep, sizeof(deep), false, ROOM, &tree), 0);
	ck_assert_int_lt(cli_render_decode(endless, sizeof(endless), false, ROOM, &tree), 0);
	ck_assert_int_lt(cli_render_decode(NULL, 0, false, ROOM, &tree), 0);
	ck_assert_int_lt(cli_render_decode(one, sizeof(one), true, ROOM, &tree), 0);
	ck_assert_int_eq(cli_render_decode(one, sizeof(one), false, ROOM, &tree), 0);
	cli_render_value(&out, tree.root);
	ck_assert_str_eq(cli_str_text(&out), "{}");
	inspect_tree_fini(&tree);
	cli_str_fini(&out);
}
END_TEST

static void odd_names(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_str(in, SENS_SAFE, "\x1b[2Jname",
		    "val\x1b]0;title\x07\xc2\x9b"
		    "5n");
}

START_TEST(hostile_text)
{
	struct inspect_request req = { .depth = 9, .max = SENS_SENSITIVE, .path = "" };
	struct inspect_tree tree;
	struct cli_str out = { 0 };

	ck_assert_int_eq(inspect_run(&req, odd_names, NULL, ROOM, &tree), 0);
	cli_render_text(&out, tree.root);
	cli_render_json(&out, tree.root);
	cli_render_value(&out, tree.root->child);
	for (size_t i = 0; i < out.len; i++)
		ck_assert_msg(out.s[i] == '\n' || (unsigned char)out.s[i] >= 0x20, "%s", out.s);
	ck_assert_ptr_null(strchr(out.s, '\x9b'));
	ck_assert_ptr_nonnull(strstr(out.s, "\\u001b]0;title\\u0007\\u009b5n"));
	cli_str_fini(&out);
	inspect_tree_fini(&tree);
}
END_TEST

UNIT_MAIN("diag/cli_tree", flat, model, model_other_shapes, since, browsing, hostile_bytes,
	  hostile_text)
