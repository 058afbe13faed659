/* SPDX-License-Identifier: MIT */
/*
 * The beginning of a storvsp connection, on the primary channel: version, properties, sub-channels.
 * Input: packets of VTL0 (hostile); state: struct storvsp_proto. Spec: spec/storage-net.md 1.3.
 */
#include "storvsp_priv.h"

#include <string.h>

static bool version_known(uint16_t version)
{
	switch (version) {
	case STORVSP_WIN6:
	case STORVSP_WIN7:
	case STORVSP_WIN8:
	case STORVSP_BLUE:
	case STORVSP_THRESHOLD:
		return true;
	default:
		return false;
	}
}

bool storvsp_is_init(uint32_t op)
{
	switch (op) {
	case STORVSP_BEGIN_INIT:
	case STORVSP_END_INIT:
	case STORVSP_QUERY_VERSION:
	case STORVSP_QUERY_PROPERTIES:
	case STORVSP_CREATE_SUB_CHANNELS:
		return true;
	default:
		return false;
	}
}

static uint32_t query_version(struct storvsp_proto *p, struct storvsp_packet *pkt)
{
	if (!version_known(pkt->version.version))
		return STORVSP_NT_REVISION_MISMATCH; /* it tries another one */
	p->version = pkt->version.version;
	p->state = STV_PROPERTIES;
	return STORVSP_NT_OK;
}

/* Sub-channels came with version 5.1. */
static uint16_t max_subchannels(const struct storvsp_proto *p, const struct storvsp_limits *limits)
{
	return p->version >= STORVSP_WIN8 ? limits->max_subchannels : 0;
}

static void query_properties(struct storvsp_proto *p, const struct storvsp_limits *limits,
			     struct storvsp_packet *pkt)
{
	memset(pkt->raw, 0, sizeof(pkt->raw));
	pkt->properties.max_subchannels = max_subchannels(p, limits);
	pkt->properties.flags = pkt->properties.max_subchannels ? STORVSP_PROP_MULTI_CHANNEL : 0;
	pkt->properties.max_transfer = limits->max_transfer;
	p->state = STV_END;
}

/* Which operation may come in this state? Sub-channels may be asked for before or after the end. */
static bool in_order(enum storvsp_state state, uint32_t op)
{
	switch (state) {
	case STV_BEGIN:
		return op == STORVSP_BEGIN_INIT;
	case STV_VERSION:
		return op == STORVSP_QUERY_VERSION;
	case STV_PROPERTIES:
		return op == STORVSP_QUERY_PROPERTIES;
	case STV_END:
		return op == STORVSP_END_INIT || op == STORVSP_CREATE_SUB_CHANNELS;
	case STV_READY:
		return op == STORVSP_CREATE_SUB_CHANNELS;
	}
	return false;
}

enum storvsp_event storvsp_negotiate(struct storvsp_proto *p, const struct storvsp_limits *limits,
				     struct storvsp_packet *pkt)
{
	pkt->h.status = STORVSP_NT_OK;
	if (!in_order(p->state, pkt->h.op)) {
		pkt->h.status = STORVSP_NT_INVALID_DEVICE_STATE;
		return STV_NOTHING;
	}
	switch (pkt->h.op) {
	case STORVSP_BEGIN_INIT:
		p->state = STV_VERSION;
		return STV_NOTHING;
	case STORVSP_QUERY_VERSION:
		pkt->h.status = query_version(p, pkt);
		return STV_NOTHING;
	case STORVSP_QUERY_PROPERTIES:
		query_properties(p, limits, pkt);
		return STV_NOTHING;
	case STORVSP_END_INIT:
		p->state = STV_READY;
		return STV_IS_READY;
	default: /* STORVSP_CREATE_SUB_CHANNELS */
		if (pkt->subchannels <= max_subchannels(p, limits))
			return STV_SUBCHANNELS;
		pkt->h.status = STORVSP_NT_INVALID_PARAMETER;
		return STV_NOTHING;
	}
}
