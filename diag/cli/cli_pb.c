/* SPDX-License-Identifier: MIT */
#include "cli_pb.h"

#include <errno.h>
#include <stdlib.h>

static void *pb_alloc(void *ctx, size_t size)
{
	struct cli_pb *pb = ctx;
	void *p;

	/* Small pieces cost the heap more than they are. */
	size = MAX(size, (size_t)24) + 16;
	if (size > pb->left)
		return NULL;
	p = malloc(size);
	if (p)
		pb->left -= size;
	return p;
}

static void pb_free(void *ctx, void *p)
{
	(void)ctx; /* what was taken once counts: a decoder that frees does not get it again */
	free(p);
}

void cli_pb_init(struct cli_pb *pb)
{
	pb->alloc =
		(ProtobufCAllocator){ .alloc = pb_alloc, .free = pb_free, .allocator_data = pb };
	pb->left = CLI_PB_MEMORY;
}

ProtobufCMessage *cli_pb_unpack(struct cli_pb *pb, const ProtobufCMessageDescriptor *desc,
				const uint8_t *buf, size_t len)
{
	return protobuf_c_message_unpack(desc, &pb->alloc, len, buf);
}

void cli_pb_free(struct cli_pb *pb, ProtobufCMessage *msg)
{
	protobuf_c_message_free_unpacked(msg, &pb->alloc);
}

int cli_pb_pack(const ProtobufCMessage *msg, uint8_t **ret_buf, size_t *ret_len)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	uint8_t *buf = malloc(len ? len : 1);

	if (!buf)
		return -ENOMEM;
	*ret_len = protobuf_c_message_pack(msg, buf);
	*ret_buf = buf;
	return 0;
}
