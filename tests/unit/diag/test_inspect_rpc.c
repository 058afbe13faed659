/* SPDX-License-Identifier: MIT */
#include "inspect_rpc.h"
#include "inspect_text.h"
#include "sample_tree.h"

#include "inspect.pb-c.h"

#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ROOM (1u << 20)

static void run(inspect_fn fn, const char *path, uint32_t depth, const char *update,
		struct inspect_tree *ret_tree)
{
	struct inspect_request req = {
		.path = path, .depth = depth, .max = SENS_SENSITIVE, .update = update
	};
	struct inspect_node *n;

	ck_assert_int_eq(inspect_run(&req, fn, NULL, ROOM, ret_tree), 0);
	while ((n = inspect_pending(ret_tree)))
		inspect_graft(ret_tree, n, NULL);
}

/* ---- bytes of the specification ------------------------------------------------------------ */

static char hex_buf[4096];

static const char *hex(const uint8_t *p, size_t len)
{
	ck_assert_uint_lt(3 * len, sizeof(hex_buf));
	hex_buf[0] = 0;
	for (size_t i = 0; i < len; i++)
		(void)snprintf(hex_buf + 3 * i, 4, "%02x ", p[i]);
	if (len)
		hex_buf[3 * len - 1] = 0;
	return hex_buf;
}

static void check_bytes(inspect_fn fn, const char *path, const char *want)
{
	struct inspect_tree tree;
	uint8_t *buf;
	size_t len;

	run(fn, path, 0, NULL, &tree);
	ck_assert_int_eq(inspect_rpc_encode(&tree, SIZE_MAX, &buf, &len), 0);
	ck_assert_str_eq(hex(buf, len), want);
	free(buf);
	inspect_tree_fini(&tree);
}

static void only_a(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_bool(in, SENS_SAFE, "a", true);
}

static void nothing(struct inspect *in, const void *obj)
{
	(void)in;
	(void)obj;
}

static void few(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_u64(in, SENS_SAFE, "five", 5);
	inspect_u64(in, SENS_SAFE, "zero", 0);
	inspect_i64(in, SENS_SAFE, "minus", -1);
	inspect_hex(in, SENS_SAFE, "hex", 0x10);
	inspect_str(in, SENS_SAFE, "hi", "hi");
	inspect_str(in, SENS_SAFE, "none", "");
	inspect_bool(in, SENS_SAFE, "no", false);
	inspect_double(in, SENS_SAFE, "d", 1.5);
	inspect_bytes(in, SENS_SAFE, "b", "\1\2", 2);
	inspect_dir(in, SENS_SENSITIVE, "dir", only_a, NULL);
}

START_TEST(bytes_of_nodes)
{
	check_bytes(few, "five", "0a 0a 1a 08 0a 06 0a 04 12 02 08 05");
	check_bytes(few, "hi", "0a 0c 1a 0a 0a 08 0a 06 32 04 0a 02 68 69");
	check_bytes(few, "minus", "0a 0a 1a 08 0a 06 0a 04 0a 02 08 01");
	check_bytes(few, "hex", "0a 0e 1a 0c 0a 0a 0a 04 12 02 08 10 12 02 08 01");
	check_bytes(few, "zero", "0a 08 1a 06 0a 04 0a 02 12 00");
	check_bytes(few, "none", "0a 08 1a 06 0a 04 0a 02 32 00");
	check_bytes(few, "no", "0a 08 1a 06 0a 04 0a 02 2a 00");
	check_bytes(few, "d", "0a 11 1a 0f 0a 0d 0a 0b 22 09 09 00 00 00 00 00 00 f8 3f");
	check_bytes(few, "b", "0a 0c 1a 0a 0a 08 0a 06 3a 04 0a 02 01 02");
	check_bytes(few, "nope", "0a 06 12 04 0a 02 32 00");
	check_bytes(nothing, "", "0a 02 22 00");
	check_bytes(only_a, "",
		    "0a 17 22 15 0a 13 0a 01 61 12 0a 1a 08 0a 06 0a 04 2a 02 08 01 1a 02 0a 00");
	check_bytes(few, "dir",
		    "0a 17 22 15 0a 13 0a 01 61 12 0a 1a 08 0a 06 0a 04 2a 02 08 01 1a 02 0a 00");
}
END_TEST

START_TEST(bytes_of_an_unevaluated_directory)
{
	struct inspect_tree tree;
	uint8_t *buf;
	size_t len;

	run(few, "", 0, NULL, &tree);
	ck_assert_int_eq(inspect_rpc_encode(&tree, SIZE_MAX, &buf, &len), 0);
	/* Entry "dir" -> unevaluated, sensitive. */
	ck_assert_ptr_nonnull(memmem(buf, len,
				     "\x0a\x0d\x0a\x03"
				     "dir\x12\x02\x0a\0\x1a\x02\x1a\0",
				     15));
	free(buf);
	inspect_tree_fini(&tree);
}
END_TEST

START_TEST(bytes_of_an_update)
{
	struct inspect_tree tree;
	uint8_t *buf;
	size_t len;

	run(sample_tree, "numbers/mut", 0, "5", &tree);
	ck_assert_int_eq(inspect_rpc_encode_value(&tree, SIZE_MAX, &buf, &len), 0);
	ck_assert_str_eq(hex(buf, len), "0a 06 0a 04 12 02 08 05");
	free(buf);
	inspect_tree_fini(&tree);
	run(sample_tree, "texts/level", 0, "warn", &tree);
	ck_assert_int_eq(inspect_rpc_encode_value(&tree, SIZE_MAX, &buf, &len), 0);
	ck_assert_str_eq(hex(buf, len), "0a 0a 0a 08 32 06 0a 04 77 61 72 6e");
	free(buf);
	inspect_tree_fini(&tree);
	run(sample_tree, "texts/hi", 0, "x", &tree);
	ck_assert_int_eq(inspect_rpc_encode_value(&tree, SIZE_MAX, &buf, &len), -EINVAL);
	ck_assert_ptr_null(buf);
	inspect_tree_fini(&tree);
}
END_TEST

/* ---- the generated code as witness --------------------------------------------------------- */

static void check_witness(const struct inspect_tree *tree)
{
	Inspect__InspectResponse *msg;
	uint8_t *buf, *again;
	size_t len;

	ck_assert_int_eq(inspect_rpc_encode(tree, SIZE_MAX, &buf, &len), 0);
	msg = inspect__inspect_response__unpack(NULL, len, buf);
	ck_assert_ptr_nonnull(msg);
	ck_assert_uint_eq(inspect__inspect_response__get_packed_size(msg), len);
	again = malloc(len);
	ck_assert_uint_eq(inspect__inspect_response__pack(msg, again), len);
	ck_assert_mem_eq(buf, again, len);
	inspect__inspect_response__free_unpacked(msg, NULL);
	free(again);
	free(buf);
}

static void check_round_trip(const struct inspect_tree *tree)
{
	struct inspect_tree back;
	char *want, *got;
	uint8_t *buf;
	size_t len, n;

	ck_assert_int_eq(inspect_rpc_encode(tree, SIZE_MAX, &buf, &len), 0);
	ck_assert_int_eq(inspect_rpc_encode(tree, len - 1, &(uint8_t *){ NULL }, &n), -EMSGSIZE);
	ck_assert_uint_eq(n, len);
	ck_assert_int_eq(inspect_rpc_decode(buf, len, ROOM, &back), 0);
	ck_assert_int_eq(inspect_text(tree, &want), 0);
	ck_assert_int_eq(inspect_text(&back, &got), 0);
	ck_assert_str_eq(got, want);
	free(got);
	inspect_tree_fini(&back);
	/* Cut anywhere it is malformed, or at least not the same. */
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *part = malloc(cut + 1);

		memcpy(part, buf, cut);
		ck_assert_int_eq(inspect_rpc_decode(part, cut, ROOM, &back), -EBADMSG);
		free(part);
	}
	free(want);
	free(buf);
}

START_TEST(same_bytes_as_generated_code)
{
	static const char *const paths[] = {
		"",	"numbers",  "texts",	 "nested",	"far",		 "nested/d2",
		"nope", "at/below", "nested/d1", "texts/bytes", "texts/no_bytes"
	};
	struct inspect_tree tree;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		for (uint32_t depth = 0; depth < 4; depth++) {
			run(sample_tree, paths[i], depth, NULL, &tree);
			check_witness(&tree);
			check_round_trip(&tree);
			inspect_tree_fini(&tree);
		}
	}
	run(sample_tree, "texts/level", 0, "a level that is longer than it may be", &tree);
	ck_assert_int_eq(tree.root->err, INSPECT_UPDATE);
	check_witness(&tree);
	check_round_trip(&tree);
	inspect_tree_fini(&tree);
}
END_TEST

static void deep(struct inspect *in, const void *obj)
{
	inspect_dir(in, SENS_SAFE, "a_name_of_some_length", deep, obj);
	inspect_u64(in, SENS_SAFE, "v", 1);
}

START_TEST(lengths_of_deep_trees)
{
	struct inspect_tree tree;

	run(deep, "", UINT32_MAX, NULL, &tree);
	check_witness(&tree);
	check_round_trip(&tree);
	inspect_tree_fini(&tree);
}
END_TEST

/* ---- what a server may send ---------------------------------------------------------------- */

static int decode(const char *bytes, size_t len, bool value, struct inspect_tree *ret_tree)
{
	return value ? inspect_rpc_decode_value((const uint8_t *)bytes, len, ROOM, ret_tree)
		     : inspect_rpc_decode((const uint8_t *)bytes, len, ROOM, ret_tree);
}

#define DECODE(bytes, value, ret_tree) decode(bytes, sizeof(bytes) - 1, value, ret_tree)

START_TEST(required_fields)
{
	struct inspect_tree tree;

	ck_assert_int_eq(DECODE("", false, &tree), -EBADMSG);
	ck_assert_int_eq(DECODE("\x0a\x00", false, &tree), -EBADMSG);
	/* Entry without sensitivity, without node, with an empty one. */
	ck_assert_int_eq(DECODE("\x0a\x09\x22\x07\x0a\x05\x0a\x01"
				"a\x12\x02\x0a",
				false, &tree),
			 -EBADMSG);
	ck_assert_int_eq(DECODE("\x0a\x0b\x22\x09\x0a\x07\x0a\x01"
				"a\x12\x02\x0a\x00",
				false, &tree),
			 -EBADMSG);
	ck_assert_int_eq(DECODE("\x0a\x0b\x22\x09\x0a\x07\x0a\x01"
				"a\x1a\x02\x0a\x00",
				false, &tree),
			 -EBADMSG);
	ck_assert_int_eq(DECODE("\x0a\x0d\x22\x0b\x0a\x09\x0a\x01"
				"a\x12\x00\x1a\x02\x0a\x00",
				false, &tree),
			 -EBADMSG);
	/* Value without kind; kind without variant. */
	ck_assert_int_eq(DECODE("\x0a\x06\x1a\x04\x0a\x02\x12\x00", false, &tree), -EBADMSG);
	ck_assert_int_eq(DECODE("\x0a\x06\x1a\x04\x0a\x02\x0a\x00", false, &tree), -EBADMSG);
	/* An unknown variant clears the known one. */
	ck_assert_int_eq(DECODE("\x0a\x04\x0a\x00\x72\x00", false, &tree), -EBADMSG);
	ck_assert_int_eq(DECODE("\x0a\x06\x72\x00\x12\x00\x0a\x00", false, &tree), 0);
	ck_assert_int_eq(tree.root->kind, INSPECT_UNEVALUATED);
	inspect_tree_fini(&tree);
	/* Text that is none. */
	ck_assert_int_eq(DECODE("\x0a\x0b\x1a\x09\x0a\x07\x0a\x05\x32\x03\x0a\x01\xff", false,
				&tree),
			 -EBADMSG);
}
END_TEST

START_TEST(odd_but_right)
{
	struct inspect_tree tree;

	/* float 1.5; unknown fields around it; fields out of order. */
	ck_assert_int_eq(DECODE("\x12\x01z\x0a\x0f\x1a\x0d\x18\x01\x0a\x09\x0a\x07\x1a\x05\x0d\x00"
				"\x00\xc0\x3f",
				false, &tree),
			 0);
	ck_assert_int_eq(tree.root->kind, INSPECT_DOUBLE);
	ck_assert_double_eq(tree.root->d, 1.5);
	inspect_tree_fini(&tree);
	/* Error mesh("x"). */
	ck_assert_int_eq(DECODE("\x0a\x09\x12\x07\x0a\x05\x12\x03\x0a\x01x", false, &tree), 0);
	ck_assert_int_eq(tree.root->err, INSPECT_CHANNEL);
	ck_assert_str_eq(tree.root->str.data, "x");
	inspect_tree_fini(&tree);
	ck_assert_int_eq(DECODE("\x0a\x0a\x12\x02\x08\x01\x0a\x04\x12\x02\x08\x10", true, &tree),
			 0);
	ck_assert_uint_eq(tree.root->u64, 16);
	ck_assert_uint_eq(tree.root->flags, INSPECT_F_HEX);
	inspect_tree_fini(&tree);
}
END_TEST

START_TEST(nesting_and_size_have_limits)
{
	uint8_t buf[4096], *p = buf + sizeof(buf);
	struct inspect_tree tree;
	int ok = 0;

	/* From the inside out: Node{dir{}}, Entry{node, sens}, DirBox, ... */
	*--p = 0;
	*--p = 0x22;
	for (unsigned i = 0; i < 80; i++) {
		size_t node = (size_t)(buf + sizeof(buf) - p), n;
		uint8_t *q;

		p -= 8;
		/* Sensitivity first: then everything else can be put in front. */
		memmove(p + 4, p + 8, node);
		memcpy(p + 4 + node, "\x1a\x02\x0a\x00", 4);
		p += 4;
		for (unsigned level = 0; level < 3; level++) {
			static const uint8_t tags[] = { 0x12, 0x0a, 0x22 };

			n = level == 0 ? node : (size_t)(buf + sizeof(buf) - p);
			q = p;
			if (n >= 128)
				*--q = (uint8_t)(n >> 7);
			*--q = (uint8_t)(n >= 128 ? n | 0x80 : n);
			*--q = tags[level];
			p = q;
		}
		n = (size_t)(buf + sizeof(buf) - p);
		q = p;
		if (n >= 128)
			*--q = (uint8_t)(n >> 7);
		*--q = (uint8_t)(n >= 128 ? n | 0x80 : n);
		*--q = 0x0a;
		if (inspect_rpc_decode(q, (size_t)(buf + sizeof(buf) - q), ROOM, &tree) == 0) {
			/* i + 2 directories, each inside the one before. */
			ck_assert_uint_le(i + 2, INSPECT_NEST_MAX);
			inspect_tree_fini(&tree);
			ok++;
		}
	}
	ck_assert_int_eq(ok, INSPECT_NEST_MAX - 1);
	run(sample_tree, "", 9, NULL, &tree);
	{
		struct inspect_tree back;
		uint8_t *enc;
		size_t len;

		ck_assert_int_eq(inspect_rpc_encode(&tree, SIZE_MAX, &enc, &len), 0);
		ck_assert_int_eq(inspect_rpc_decode(enc, len, 1024, &back), -EBADMSG);
		free(enc);
	}
	inspect_tree_fini(&tree);
}
END_TEST

START_TEST(pending_is_not_sent)
{
	struct inspect_request req = { .path = "far", .max = SENS_SENSITIVE };
	struct inspect_tree tree;
	uint8_t *buf;
	size_t len;

	ck_assert_int_eq(inspect_run(&req, sample_tree, NULL, ROOM, &tree), 0);
	ck_assert_int_eq(inspect_rpc_encode(&tree, SIZE_MAX, &buf, &len), -EBUSY);
	ck_assert_ptr_null(buf);
	inspect_tree_fini(&tree);
}
END_TEST

UNIT_MAIN("diag/inspect_rpc", bytes_of_nodes, bytes_of_an_unevaluated_directory, bytes_of_an_update,
	  same_bytes_as_generated_code, lengths_of_deep_trees, required_fields, odd_but_right,
	  nesting_and_size_have_limits, pending_is_not_sent)
