/* SPDX-License-Identifier: MIT */
/* See kmsg_note.h. */
#include "kmsg_note.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "le.h"

#define RECORD_MAX 4096u /* twice what the kernel makes of one message */
/* The log of a small kernel holds far fewer; new ones may arrive while we read. */
#define RECORDS_MAX 65536u

void kmsg_note_make(uint8_t *note, size_t text_len)
{
	memset(note + KMSG_NOTE_HEAD + text_len, 0, KMSG_NOTE_TEXT_MAX - text_len);
	le32_store(note, KMSG_NOTE_NAMESZ);
	le32_store(note + 4, KMSG_NOTE_BYTES - KMSG_NOTE_HEAD);
	le32_store(note + 8, KMSG_NOTE_TYPE);
	memcpy(note + 12, "KMSG\0\0\0", 8);
	le32_store(note + KMSG_NOTE_BYTES - 4, (uint32_t)text_len);
}

/* Room for one more record: whole old ones go. */
static size_t make_room(uint8_t *text, size_t len, size_t need)
{
	size_t gone = len + need > KMSG_NOTE_TEXT_MAX ? len + need - KMSG_NOTE_TEXT_MAX : 0;
	const uint8_t *end;

	if (!gone)
		return len;
	end = memchr(text + gone, '\n', len - gone);
	gone = end ? (size_t)(end - text) + 1 : len;
	memmove(text, text + gone, len - gone);
	return len - gone;
}

int kmsg_note_read(int fd, uint8_t *note)
{
	uint8_t *text = note + KMSG_NOTE_HEAD, record[RECORD_MAX];
	size_t len = 0;
	int r = 0;

	for (unsigned i = 0; i < RECORDS_MAX; i++) {
		ssize_t n = read(fd, record, sizeof(record));

		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue; /* EPIPE: records were overwritten before we came to them */
		if (n < 0 && errno != EAGAIN)
			r = -errno;
		if (n <= 0)
			break;
		len = make_room(text, len, (size_t)n);
		memcpy(text + len, record, (size_t)n);
		len += (size_t)n;
	}
	kmsg_note_make(note, len);
	return r;
}
