/* SPDX-License-Identifier: MIT */
/*
 * What the core helper reads: any bytes as a core, in pieces of any size. The pieces must not
 * matter, nothing may be lost, and what comes out is longer by the note or not at all. Input: piece
 * size - 1 (one byte), then the stream.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core_rewrite.h"
#include "kmsg_note.h"

struct out {
	uint8_t *buf;
	size_t len, cap;
};

static void need(bool ok)
{
	if (!ok)
		abort();
}

static int sink(void *ctx, const void *buf, size_t len)
{
	struct out *o = ctx;

	need(len <= o->cap - o->len);
	memcpy(o->buf + o->len, buf, len);
	o->len += len;
	return 0;
}

static bool run(const uint8_t *data, size_t len, size_t piece, const uint8_t *note, struct out *o)
{
	struct core_rewrite cr;
	int end;

	core_rewrite_init(&cr, note, sink, o);
	for (size_t at = 0; at < len; at += piece)
		need(core_rewrite_push(&cr, data + at, MIN(piece, len - at)) == 0);
	end = core_rewrite_end(&cr);
	need(end <= 0);
	need(end == 0 || !core_rewrite_noted(&cr));
	return core_rewrite_noted(&cr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t note[KMSG_NOTE_BYTES];
	struct out a = { 0 }, b = { 0 };
	bool noted;

	if (size < 1)
		return 0;
	a.cap = b.cap = size + KMSG_NOTE_BYTES;
	a.buf = malloc(a.cap);
	b.buf = malloc(b.cap);
	if (a.buf && b.buf) {
		memcpy(note + KMSG_NOTE_HEAD, "text", 4);
		kmsg_note_make(note, 4);
		noted = run(data + 1, size - 1, (size_t)data[0] + 1, note, &a);
		need(run(data + 1, size - 1, size, note, &b) == noted);
		need(a.len == b.len && memcmp(a.buf, b.buf, a.len) == 0);
		need(a.len == size - 1 + (noted ? KMSG_NOTE_BYTES : 0));
		need(!noted || memmem(a.buf, a.len, note, sizeof(note)));
	}
	free(a.buf);
	free(b.buf);
	return 0;
}
