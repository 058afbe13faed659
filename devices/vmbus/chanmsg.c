/* SPDX-License-Identifier: MIT */
#include "chanmsg.h"

#include <errno.h>
#include <string.h>


struct msg_rule {
	const char *name;
	uint8_t min_size;
	uint8_t dir; /* enum chanmsg_dir */
	bool disconnected; /* legal without a connection */
	uint32_t min_version;
	uint32_t feature;
};

#define RULE(t, size, d, disc, ver, feat) [t] = { #t, (size), (d), (disc), (ver), (feat) }
#define HDR sizeof(struct vmbus_msg_header)

static const struct msg_rule rules[] = {
	RULE(VMBUS_OFFER_CHANNEL, sizeof(struct vmbus_offer), CHANMSG_TO_CLIENT, false, VMBUS_V1,
	     0),
	RULE(VMBUS_RESCIND_OFFER, sizeof(struct vmbus_chan_msg), CHANMSG_TO_CLIENT, false, VMBUS_V1,
	     0),
	RULE(VMBUS_REQUEST_OFFERS, HDR, CHANMSG_TO_SERVER, false, VMBUS_V1, 0),
	RULE(VMBUS_ALL_OFFERS_DELIVERED, HDR, CHANMSG_TO_CLIENT, false, VMBUS_V1, 0),
	RULE(VMBUS_OPEN_CHANNEL, VMBUS_OPEN_V1_SIZE, CHANMSG_TO_SERVER, false, VMBUS_V1, 0),
	RULE(VMBUS_OPEN_CHANNEL_RESULT, sizeof(struct vmbus_open_result), CHANMSG_TO_CLIENT, false,
	     VMBUS_V1, 0),
	RULE(VMBUS_CLOSE_CHANNEL, sizeof(struct vmbus_chan_msg), CHANMSG_TO_SERVER, false, VMBUS_V1,
	     0),
	RULE(VMBUS_GPADL_HEADER, VMBUS_GPADL_HEADER_SIZE, CHANMSG_TO_SERVER, false, VMBUS_V1, 0),
	RULE(VMBUS_GPADL_BODY, VMBUS_GPADL_BODY_SIZE, CHANMSG_TO_SERVER, false, VMBUS_V1, 0),
	RULE(VMBUS_GPADL_CREATED, sizeof(struct vmbus_gpadl_created), CHANMSG_TO_CLIENT, false,
	     VMBUS_V1, 0),
	RULE(VMBUS_GPADL_TEARDOWN, sizeof(struct vmbus_gpadl_teardown), CHANMSG_TO_SERVER, false,
	     VMBUS_V1, 0),
	RULE(VMBUS_GPADL_TORNDOWN, sizeof(struct vmbus_gpadl_torndown), CHANMSG_TO_CLIENT, false,
	     VMBUS_V1, 0),
	RULE(VMBUS_RELID_RELEASED, sizeof(struct vmbus_chan_msg), CHANMSG_TO_SERVER, false,
	     VMBUS_V1, 0),
	RULE(VMBUS_INITIATE_CONTACT, VMBUS_CONTACT_V1_SIZE, CHANMSG_TO_SERVER, true, 0, 0),
	RULE(VMBUS_VERSION_RESPONSE, VMBUS_VERSION_RSP_V1_SIZE, CHANMSG_TO_CLIENT, true, 0, 0),
	RULE(VMBUS_UNLOAD, HDR, CHANMSG_TO_SERVER, false, VMBUS_V1, 0),
	RULE(VMBUS_UNLOAD_COMPLETE, HDR, CHANMSG_TO_CLIENT, false, VMBUS_WIN7, 0),
	RULE(VMBUS_OPEN_RESERVED, sizeof(struct vmbus_open_reserved), CHANMSG_TO_SERVER, false,
	     VMBUS_WIN10, 0),
	RULE(VMBUS_CLOSE_RESERVED, sizeof(struct vmbus_close_reserved), CHANMSG_TO_SERVER, true, 0,
	     0),
	RULE(VMBUS_CLOSE_RESERVED_RESPONSE, sizeof(struct vmbus_chan_msg), CHANMSG_TO_CLIENT, true,
	     0, 0),
	RULE(VMBUS_TL_CONNECT_REQUEST, VMBUS_TL_CONNECT_V1_SIZE, CHANMSG_TO_SERVER, false,
	     VMBUS_WIN10, 0),
	RULE(VMBUS_MODIFY_CHANNEL, sizeof(struct vmbus_modify), CHANMSG_TO_SERVER, false,
	     VMBUS_WIN10_RS3_0, 0),
	RULE(VMBUS_TL_CONNECT_RESULT, sizeof(struct vmbus_tl_result), CHANMSG_TO_CLIENT, false,
	     VMBUS_WIN10_RS3_0, 0),
	RULE(VMBUS_MODIFY_CHANNEL_RESPONSE, sizeof(struct vmbus_modify_rsp), CHANMSG_TO_CLIENT,
	     false, VMBUS_IRON, 0),
	RULE(VMBUS_MODIFY_CONNECTION, sizeof(struct vmbus_modify_conn), CHANMSG_TO_SERVER, false,
	     VMBUS_COPPER, VMBUS_FEAT_MODIFY_CONNECTION),
	RULE(VMBUS_MODIFY_CONNECTION_RESPONSE, VMBUS_MODIFY_CONN_RSP_SIZE, CHANMSG_TO_CLIENT, false,
	     VMBUS_COPPER, VMBUS_FEAT_MODIFY_CONNECTION),
	RULE(VMBUS_PAUSE, HDR, CHANMSG_TO_SERVER, false, VMBUS_COPPER, VMBUS_FEAT_PAUSE_RESUME),
	RULE(VMBUS_PAUSE_RESPONSE, HDR, CHANMSG_TO_CLIENT, false, VMBUS_COPPER,
	     VMBUS_FEAT_PAUSE_RESUME),
	RULE(VMBUS_RESUME, HDR, CHANMSG_TO_SERVER, false, VMBUS_COPPER, VMBUS_FEAT_PAUSE_RESUME),
};

static const struct msg_rule *rule_of(uint32_t type)
{
	if (type >= ARRAY_SIZE(rules) || !rules[type].name)
		return NULL;
	return &rules[type];
}

/* Messages that grew over time: the size that the agreed features, or the message itself, demand.
 */
static size_t min_size_now(const struct msg_rule *rule, const struct chanmsg *msg,
			   uint32_t features)
{
	switch (msg->h.type) {
	case VMBUS_OPEN_CHANNEL:
		if (features & (VMBUS_FEAT_GUEST_SIGNAL_PARAMS | VMBUS_FEAT_INTERRUPT_REDIRECTION))
			return sizeof(struct vmbus_open);
		break;
	case VMBUS_INITIATE_CONTACT:
		if (msg->contact.version >= VMBUS_COPPER &&
		    (msg->contact.features & VMBUS_FEAT_CLIENT_ID))
			return sizeof(struct vmbus_contact);
		break;
	default:
		break;
	}
	return rule->min_size;
}

int chanmsg_parse(enum chanmsg_dir dir, const void *raw, size_t len, uint32_t version,
		  uint32_t features, struct chanmsg *ret_msg)
{
	const struct msg_rule *rule;
	struct chanmsg msg = { .len = len };

	if (len < HDR || len > VMBUS_MAX_MESSAGE)
		return -EBADMSG;
	memcpy(msg.raw, raw, len);
	rule = rule_of(msg.h.type);
	if (!rule)
		return -ENOSYS;
	if (rule->dir != dir || len < min_size_now(rule, &msg, features))
		return -EBADMSG;
	if (version ? version < rule->min_version || (features & rule->feature) != rule->feature :
		      !rule->disconnected)
		return -EPROTO;
	*ret_msg = msg;
	return 0;
}

const char *chanmsg_name(uint32_t type)
{
	const struct msg_rule *rule = rule_of(type);

	return rule ? rule->name + sizeof("VMBUS_") - 1 : "?";
}
