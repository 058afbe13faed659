/* SPDX-License-Identifier: MIT */
#include "guid.h"

#include "unit.h"

/* The GET channel's interface type, as hosts print it. */
static const struct guid get_type =
	GUID_INIT(0x8dedd1aa, 0x9056, 0x49e4, 0xbf, 0xd6, 0x1b, 0xf9, 0x0d, 0xc3, 0x8e, 0xf0);

START_TEST(formats_as_hosts_print_it)
{
	char text[GUID_STR_LEN + 1];

	guid_format(&get_type, text);
	ck_assert_str_eq(text, "8dedd1aa-9056-49e4-bfd6-1bf90dc38ef0");
	guid_format(&(struct guid){ 0 }, text);
	ck_assert_str_eq(text, "00000000-0000-0000-0000-000000000000");
}
END_TEST

START_TEST(wire_layout_is_mixed_endian)
{
	static const uint8_t wire[16] = { 0xaa, 0xd1, 0xed, 0x8d, 0x56, 0x90, 0xe4, 0x49,
					  0xbf, 0xd6, 0x1b, 0xf9, 0x0d, 0xc3, 0x8e, 0xf0 };

	ck_assert_mem_eq(&get_type, wire, sizeof(wire));
}
END_TEST

START_TEST(equality_looks_at_every_byte)
{
	for (size_t i = 0; i < sizeof(struct guid); i++) {
		struct guid other = get_type;

		ck_assert(guid_eq(&get_type, &other));
		((uint8_t *)&other)[i] ^= 1;
		ck_assert(!guid_eq(&get_type, &other));
	}
}
END_TEST

START_TEST(reads_what_hosts_print)
{
	static const char *const good[] = { "8dedd1aa-9056-49e4-bfd6-1bf90dc38ef0",
					    "8DEDD1AA-9056-49E4-BFD6-1BF90DC38EF0",
					    "{8dedd1aa-9056-49e4-bfd6-1bf90dc38ef0}" };
	static const char *const bad[] = { "",
					   "8dedd1aa-9056-49e4-bfd6-1bf90dc38ef",
					   "8dedd1aa-9056-49e4-bfd6-1bf90dc38ef00",
					   "8dedd1aa-9056-49e4-bfd6-1bf90dc38efg",
					   "8dedd1aa+9056-49e4-bfd6-1bf90dc38ef0",
					   "8dedd1aa9056-49e4-bfd6-1bf90dc38ef0-",
					   "[8dedd1aa-9056-49e4-bfd6-1bf90dc38ef0]" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct guid g = { 0 };

		ck_assert(guid_parse(good[i], strlen(good[i]), &g));
		ck_assert(guid_eq(&g, &get_type));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct guid g = { .d1 = 5 };

		ck_assert(!guid_parse(bad[i], strlen(bad[i]), &g));
		ck_assert_uint_eq(g.d1, 5);
	}
}
END_TEST

UNIT_MAIN("base/guid", reads_what_hosts_print, formats_as_hosts_print_it,
	  wire_layout_is_mixed_endian, equality_looks_at_every_byte)
