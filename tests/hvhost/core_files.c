/* SPDX-License-Identifier: MIT */
#include "core_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core_check.h"
#include "le.h"

#define NAME_TRIES 100u

void core_files_init(struct core_files *cf, const char *dir,
		     void (*tell)(void *ctx, const char *sentence), void *ctx)
{
	*cf = (struct core_files){ .dir = dir, .tell = tell, .ctx = ctx, .fd = -1 };
}

static void tell(struct core_files *cf, const char *fmt, ...) printf_like(2, 3);
static void tell(struct core_files *cf, const char *fmt, ...)
{
	char text[CORE_CHECK_TEXT + 4352];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cf->tell(cf->ctx, text);
}

/* DIR/vtl2-20261121-153000-core, with a number behind it when that exists. */
static int make_file(struct core_files *cf, const char *kind)
{
	time_t now = time(NULL);
	char when[32];
	struct tm tm;

	if (mkdir(cf->dir, 0777) < 0 && errno != EEXIST)
		return -errno;
	(void)strftime(when, sizeof(when), "%Y%m%d-%H%M%S", localtime_r(&now, &tm));
	for (unsigned i = 0; i < NAME_TRIES; i++) {
		int n = snprintf(cf->path, sizeof(cf->path), "%s/vtl2-%s-%s%s%.0u", cf->dir, when,
				 kind, i ? "." : "", i);
		int fd;

		if (n < 0 || (size_t)n >= sizeof(cf->path))
			return -ENAMETOOLONG;
		fd = open(cf->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd >= 0 || errno != EEXIST)
			return fd >= 0 ? fd : -errno;
	}
	return -EEXIST;
}

static void begin(struct core_files *cf)
{
	const char *kind = strcmp(cf->text, "panic") == 0 ? "panic.txt" : "core";
	int fd;

	core_files_end(cf);
	cf->is_core = strcmp(kind, "core") == 0;
	cf->bytes = 0;
	cf->failed = false;
	fd = cf->n++ < CORE_FILES_MAX ? make_file(cf, kind) : -EMFILE;
	if (fd < 0)
		tell(cf, "a crash file of VTL2 cannot be stored in %s: %s", cf->dir, strerror(-fd));
	else
		cf->fd = fd;
}

static void data(struct core_files *cf, const uint8_t *buf, size_t len)
{
	while (len && cf->fd >= 0 && !cf->failed) {
		ssize_t n = -1;

		errno = EFBIG;
		if (cf->total + len <= CORE_BYTES_MAX)
			n = write(cf->fd, buf, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			tell(cf, "%s is cut after %llu bytes: %s", cf->path,
			     (unsigned long long)cf->bytes, strerror(errno));
			cf->failed = true;
			return;
		}
		cf->bytes += (uint64_t)n;
		cf->total += (uint64_t)n;
		buf += n;
		len -= (size_t)n;
	}
}

static void end(struct core_files *cf, bool complete)
{
	char what[CORE_CHECK_TEXT] = "";
	int r = 0;

	if (cf->fd < 0)
		return;
	if (cf->is_core)
		r = core_check(cf->fd, what, sizeof(what));
	complete = complete && !cf->failed;
	if (cf->is_core)
		tell(cf, "VTL2 crashed: %s core %s (%llu bytes): %s%s",
		     complete ? "complete" : "PARTIAL", cf->path, (unsigned long long)cf->bytes,
		     r < 0 ? "DAMAGED: " : "", what);
	else
		tell(cf, "VTL2's last words: %s (%llu bytes)", cf->path,
		     (unsigned long long)cf->bytes);
	(void)close(cf->fd);
	cf->fd = -1;
}

void core_files_end(struct core_files *cf)
{
	end(cf, false);
}

static void record_done(struct core_files *cf)
{
	cf->text[cf->text_len] = 0;
	if (cf->head[0] == CORE_BEGIN)
		begin(cf);
	else if (cf->head[0] == CORE_END)
		end(cf, cf->text[0] == '1');
	cf->head_len = cf->text_len = 0;
}

/* Returns: bytes taken. */
static size_t take_head(struct core_files *cf, const uint8_t *buf, size_t len)
{
	size_t n = MIN(len, sizeof(cf->head) - cf->head_len);

	memcpy(cf->head + cf->head_len, buf, n);
	cf->head_len += n;
	if (cf->head_len < sizeof(cf->head))
		return n;
	cf->left = le32_load(cf->head + 4);
	if (cf->head[0] < CORE_BEGIN || cf->head[0] > CORE_END || cf->left > CORE_RECORD_MAX ||
	    (cf->head[0] != CORE_DATA && cf->left >= sizeof(cf->text)))
		cf->lost = true;
	else if (!cf->left)
		record_done(cf);
	return n;
}

static size_t take_payload(struct core_files *cf, const uint8_t *buf, size_t len)
{
	size_t n = MIN(len, (size_t)cf->left);

	if (cf->head[0] == CORE_DATA) {
		data(cf, buf, n);
	} else {
		memcpy(cf->text + cf->text_len, buf, n);
		cf->text_len += (uint32_t)n;
	}
	cf->left -= (uint32_t)n;
	if (!cf->left)
		record_done(cf);
	return n;
}

void core_files_data(struct core_files *cf, const uint8_t *buf, size_t len)
{
	while (len && !cf->lost) {
		size_t n = cf->head_len < sizeof(cf->head) ? take_head(cf, buf, len)
							   : take_payload(cf, buf, len);

		buf += n;
		len -= n;
	}
}
