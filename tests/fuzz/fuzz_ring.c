/* SPDX-License-Identifier: MIT */
/*
 * Rings and pipes whose peer is the input: it writes control words, packets and junk into the
 * shared memory between our operations. Whatever it does, an operation ends with success, "later"
 * or a failed ring, and a failed ring stays failed.
 */
#include "fuzz.h"

#include "bug.h"
#include "pipe.h"
#include "rd.h"
#include "vmbus_proto.h"

#include <errno.h>
#include <string.h>

#define PAGES 2

static struct {
	_Alignas(KEEL_PAGE_SIZE) uint8_t ctl[2][KEEL_PAGE_SIZE];
	uint8_t data[2][PAGES][KEEL_PAGE_SIZE];
	void *pages[2][PAGES];
} sh;

static void no_signal(void *transport)
{
	(void)transport;
}

/* A word of either control page. */
static void poke_ctl(struct rd *in)
{
	static const uint8_t offs[] = { VMRING_IN, VMRING_OUT, VMRING_INTERRUPT_MASK,
					VMRING_PENDING_SEND, VMRING_FEATURES };
	const uint8_t which = rd_u8(in);
	const uint32_t val = rd_le32(in);

	memcpy(sh.ctl[which & 1] + offs[(which >> 1) % sizeof(offs)], &val, sizeof(val));
}

/* A few bytes anywhere in the incoming ring. */
static void poke_data(struct rd *in)
{
	const uint32_t at = rd_le16(in) % (PAGES * KEEL_PAGE_SIZE);
	const uint8_t n = rd_u8(in) & 31;
	const uint8_t *bytes = rd_bytes(in, n);

	for (uint8_t i = 0; bytes && i < n; i++) {
		uint32_t to = (at + i) % (PAGES * KEEL_PAGE_SIZE);

		sh.data[1][to / KEEL_PAGE_SIZE][to % KEEL_PAGE_SIZE] = bytes[i];
	}
}

static void receive(struct pipe *p)
{
	static uint8_t buf[PIPE_MAX_PAYLOAD];
	const bool failed = p->failed;
	size_t len = 0;
	int r = pipe_recv(p, buf, sizeof(buf), &len);

	BUG_ON(r != 0 && r != -EAGAIN && r != -EPIPE);
	BUG_ON(failed && r != -EPIPE);
	BUG_ON(r == 0 && len > sizeof(buf));
}

static void send(struct pipe *p, uint16_t len)
{
	static const uint8_t buf[PIPE_MAX_PAYLOAD];
	const bool failed = p->failed;
	int r = pipe_send(p, buf, len % (PIPE_MAX_PAYLOAD + 1));

	BUG_ON(r != 0 && r != -EAGAIN && r != -EPIPE && r != -EMSGSIZE);
	BUG_ON(failed && r != -EPIPE);
}

/* As a device that serves a raw channel: several packets, answers in one batch. */
static void serve(struct pipe *p)
{
	static uint8_t buf[4096];
	struct ring_pkt pkt;
	bool signal;
	int r = 0;

	while (!p->failed &&
	       (r = ring_get(&p->in, &pkt, &(struct iovec){ buf, sizeof(buf) }, 1)) == 0) {
		BUG_ON(pkt.len > sizeof(buf) || pkt.data_off > pkt.len || pkt.len % 8);
		r = ring_put(&p->out, VMPKT_COMPLETION, false, pkt.txid,
			     &(struct iovec){ buf, pkt.len }, 1);
		BUG_ON(r == -EMSGSIZE && pkt.len < sizeof(buf));
		if (r < 0)
			break;
	}
	p->failed |= r < 0 && r != -EAGAIN;
	p->failed |= ring_in_commit(&p->in, &signal) < 0;
	p->failed |= ring_out_commit(&p->out, &signal) < 0;
	BUG_ON(ring_signal_due(&p->in.mem) > 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_make(data, size);
	struct ring_mem m[2];
	struct pipe p = { 0 };

	memset(sh.ctl, 0, sizeof(sh.ctl));
	memset(sh.data, 0, sizeof(sh.data));
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < PAGES; k++)
			sh.pages[i][k] = sh.data[i][k];
		m[i] = (struct ring_mem){ sh.ctl[i], sh.pages[i], PAGES };
	}
	if (size && (data[0] & 0x80))
		poke_ctl(&in); /* before we attach */
	if (pipe_attach(&p, &m[0], &m[1], no_signal, NULL) < 0)
		return 0;
	while (in.left && !in.bad) {
		switch (rd_u8(&in) % 7) {
		case 0:
			poke_ctl(&in);
			break;
		case 1:
			poke_data(&in);
			break;
		case 2:
		case 3:
			receive(&p);
			break;
		case 4:
			send(&p, rd_le16(&in));
			break;
		case 5:
			BUG_ON(pipe_drained(&p) > 1);
			break;
		case 6:
			serve(&p);
			break;
		}
	}
	return 0;
}
