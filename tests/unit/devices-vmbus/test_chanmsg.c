/* SPDX-License-Identifier: MIT */
#include "chanmsg.h"

#include <errno.h>
#include <string.h>

#include "unit.h"

static struct chanmsg m;

/* A zeroed message of this type and length. */
static int parse(enum chanmsg_dir dir, uint32_t type, size_t len, uint32_t version, uint32_t feat)
{
	uint8_t raw[VMBUS_MAX_MESSAGE + 8] = { 0 };

	memcpy(raw, &type, sizeof(type));
	return chanmsg_parse(dir, raw, len, version, feat, &m);
}

static int to_server(uint32_t type, size_t len, uint32_t version)
{
	return parse(CHANMSG_TO_SERVER, type, len, version, 0);
}

START_TEST(sizes_of_every_message)
{
	static const struct {
		uint32_t type;
		size_t size;
		enum chanmsg_dir dir;
	} t[] = {
		{ 1, 196, CHANMSG_TO_CLIENT }, { 2, 12, CHANMSG_TO_CLIENT },
		{ 3, 8, CHANMSG_TO_SERVER }, { 4, 8, CHANMSG_TO_CLIENT },
		{ 5, 148, CHANMSG_TO_SERVER }, { 6, 20, CHANMSG_TO_CLIENT },
		{ 7, 12, CHANMSG_TO_SERVER }, { 8, 20, CHANMSG_TO_SERVER },
		{ 9, 16, CHANMSG_TO_SERVER }, { 10, 20, CHANMSG_TO_CLIENT },
		{ 11, 16, CHANMSG_TO_SERVER }, { 12, 12, CHANMSG_TO_CLIENT },
		{ 13, 12, CHANMSG_TO_SERVER }, { 14, 40, CHANMSG_TO_SERVER },
		{ 15, 16, CHANMSG_TO_CLIENT }, { 16, 8, CHANMSG_TO_SERVER },
		{ 17, 8, CHANMSG_TO_CLIENT }, { 18, 28, CHANMSG_TO_SERVER },
		{ 19, 20, CHANMSG_TO_SERVER }, { 20, 12, CHANMSG_TO_CLIENT },
		{ 21, 40, CHANMSG_TO_SERVER }, { 22, 16, CHANMSG_TO_SERVER },
		{ 23, 44, CHANMSG_TO_CLIENT }, { 24, 16, CHANMSG_TO_CLIENT },
		{ 25, 24, CHANMSG_TO_SERVER }, { 26, 9, CHANMSG_TO_CLIENT },
		{ 27, 8, CHANMSG_TO_SERVER }, { 28, 8, CHANMSG_TO_CLIENT },
		{ 29, 8, CHANMSG_TO_SERVER },
	};
	const uint32_t all = VMBUS_FEAT_MODIFY_CONNECTION | VMBUS_FEAT_PAUSE_RESUME;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		enum chanmsg_dir other = t[i].dir == CHANMSG_TO_CLIENT ? CHANMSG_TO_SERVER :
									 CHANMSG_TO_CLIENT;

		ck_assert_int_eq(parse(t[i].dir, t[i].type, t[i].size, VMBUS_COPPER, all), 0);
		ck_assert_int_eq(parse(t[i].dir, t[i].type, t[i].size - 1, VMBUS_COPPER, all),
				 -EBADMSG);
		ck_assert_int_eq(parse(t[i].dir, t[i].type, VMBUS_MAX_MESSAGE, VMBUS_COPPER, all),
				 0);
		ck_assert_int_eq(parse(other, t[i].type, t[i].size, VMBUS_COPPER, all), -EBADMSG);
	}
}
END_TEST

START_TEST(versions)
{
	ck_assert_int_eq(to_server(VMBUS_TL_CONNECT_REQUEST, 40, VMBUS_WIN8_1), -EPROTO);
	ck_assert_int_eq(to_server(VMBUS_TL_CONNECT_REQUEST, 40, VMBUS_WIN10), 0);
	ck_assert_int_eq(to_server(VMBUS_MODIFY_CHANNEL, 16, VMBUS_WIN10), -EPROTO);
	ck_assert_int_eq(to_server(VMBUS_MODIFY_CHANNEL, 16, VMBUS_WIN10_RS3_0), 0);
	ck_assert_int_eq(to_server(VMBUS_PAUSE, 8, VMBUS_COPPER), -EPROTO); /* not agreed */
	ck_assert_int_eq(to_server(VMBUS_OPEN_CHANNEL, 148, 0), -EPROTO); /* not connected */
	ck_assert_int_eq(to_server(VMBUS_INITIATE_CONTACT, 40, 0), 0);
	ck_assert_int_eq(to_server(VMBUS_CLOSE_RESERVED, 20, 0), 0);
}
END_TEST

START_TEST(grown_messages)
{
	struct vmbus_contact c = { .h.type = VMBUS_INITIATE_CONTACT, .version = VMBUS_COPPER,
				   .features = VMBUS_FEAT_CLIENT_ID };

	/* with these features agreed the short form is an error, not a downgrade */
	ck_assert_int_eq(parse(CHANMSG_TO_SERVER, VMBUS_OPEN_CHANNEL, 148, VMBUS_COPPER,
			       VMBUS_FEAT_GUEST_SIGNAL_PARAMS), -EBADMSG);
	ck_assert_int_eq(parse(CHANMSG_TO_SERVER, VMBUS_OPEN_CHANNEL, 155, VMBUS_COPPER,
			       VMBUS_FEAT_INTERRUPT_REDIRECTION), -EBADMSG);
	ck_assert_int_eq(parse(CHANMSG_TO_SERVER, VMBUS_OPEN_CHANNEL, 156, VMBUS_COPPER,
			       VMBUS_FEAT_GUEST_SIGNAL_PARAMS), 0);
	ck_assert_int_eq(chanmsg_parse(CHANMSG_TO_SERVER, &c, 40, 0, 0, &m), -EBADMSG);
	ck_assert_int_eq(chanmsg_parse(CHANMSG_TO_SERVER, &c, 56, 0, 0, &m), 0);
	c.version = VMBUS_IRON; /* feature flags mean nothing before 6.0 */
	ck_assert_int_eq(chanmsg_parse(CHANMSG_TO_SERVER, &c, 40, 0, 0, &m), 0);
}
END_TEST

START_TEST(garbage)
{
	ck_assert_int_eq(to_server(0, 8, VMBUS_COPPER), -ENOSYS);
	ck_assert_int_eq(to_server(30, 8, VMBUS_COPPER), -ENOSYS);
	ck_assert_int_eq(to_server(UINT32_MAX, 8, VMBUS_COPPER), -ENOSYS);
	ck_assert_int_eq(to_server(VMBUS_UNLOAD, 7, VMBUS_COPPER), -EBADMSG);
	ck_assert_int_eq(to_server(VMBUS_UNLOAD, 0, VMBUS_COPPER), -EBADMSG);
	ck_assert_int_eq(to_server(VMBUS_UNLOAD, 241, VMBUS_COPPER), -EBADMSG);
}
END_TEST

START_TEST(what_is_not_on_the_wire_is_zero)
{
	uint8_t raw[VMBUS_MAX_MESSAGE];

	memset(raw, 0xff, sizeof(raw));
	memset(&m, 0xff, sizeof(m));
	memcpy(raw, &(uint32_t){ VMBUS_OPEN_CHANNEL }, 4);
	ck_assert_int_eq(chanmsg_parse(CHANMSG_TO_SERVER, raw, 148, VMBUS_IRON, 0, &m), 0);
	ck_assert_uint_eq(m.len, 148);
	ck_assert_uint_eq(m.open.downstream_page, UINT32_MAX);
	ck_assert_uint_eq(m.open.connection_id, 0);
	ck_assert_uint_eq(m.open.flags, 0);
}
END_TEST

START_TEST(names)
{
	ck_assert_str_eq(chanmsg_name(VMBUS_OPEN_CHANNEL), "OPEN_CHANNEL");
	ck_assert_str_eq(chanmsg_name(VMBUS_RESUME), "RESUME");
	ck_assert_str_eq(chanmsg_name(0), "?");
	ck_assert_str_eq(chanmsg_name(1000), "?");
}
END_TEST

UNIT_MAIN("devices/vmbus/chanmsg", sizes_of_every_message, versions, grown_messages, garbage,
	  what_is_not_on_the_wire_is_zero, names)
