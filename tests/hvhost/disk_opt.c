/* SPDX-License-Identifier: MIT */
#include "disk_opt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opts.h"

#define RAM "ram:"
#define SECTOR 512u
#define MAX_RAM (1ull << 40)
#define MAX_CONTROLLER 15
#define IDE_DRIVES 4

static const char *const as_names[] = { "scsi", "nvme", "ide" };

static int refuse(char *why, size_t size, const char *fmt, ...) printf_like(3, 4);
static int refuse(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* Copy up to the next single comma; ",," stands for one of the text. Returns what follows the
 * comma, the end of the text, or NULL when it is too long. */
static const char *next_part(const char *p, char *ret_part, size_t size)
{
	size_t n = 0;

	for (; *p; p++) {
		if (*p == ',' && *++p != ',')
			break;
		if (n + 1 >= size)
			return NULL;
		ret_part[n++] = *p;
	}
	ret_part[n] = 0;
	return p;
}

static bool good_id(const char *id)
{
	size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	return n && !id[n] && n < DISK_OPT_ID;
}

static int set_key(struct disk_opt *o, const char *key, const char *val, char *why, size_t size)
{
	char *end;

	if (strcmp(key, "id") == 0) {
		if (!good_id(val))
			return refuse(why, size,
				      "id=%s: an id has 1 to %u letters, digits, - and _", val,
				      DISK_OPT_ID - 1);
		snprintf(o->id, sizeof(o->id), "%s", val);
		return 0;
	}
	if (strcmp(key, "as") == 0) {
		for (unsigned i = 0; i < ARRAY_SIZE(as_names); i++) {
			if (strcmp(val, as_names[i]) == 0) {
				o->as = (enum disk_as)i;
				return 0;
			}
		}
		return refuse(why, size, "as=%s: a disk can be scsi, nvme or ide", val);
	}
	if (strcmp(key, "on") == 0) {
		o->controller = (uint32_t)strtoul(val, &end, 10);
		o->has_controller = true;
		if (!*val || *end || strlen(val) > 2 || o->controller > MAX_CONTROLLER)
			return refuse(why, size, "on=%s: controllers are numbered 0 to %u", val,
				      MAX_CONTROLLER);
		return 0;
	}
	if (strcmp(key, "size") == 0) {
		if (opts_parse_size(val, &o->size) < 0 || !o->size || o->size % SECTOR)
			return refuse(why, size,
				      "size=%s: a size is meant, like 512M, in whole sectors", val);
		return 0;
	}
	return refuse(why, size,
		      "%s= is not known; there are as=, id=, on=, size=, ro, dvd and later", key);
}

static int set_part(struct disk_opt *o, char *part, char *why, size_t size)
{
	char *eq = strchr(part, '=');

	if (eq) {
		*eq = 0;
		return set_key(o, part, eq + 1, why, size);
	}
	if (strcmp(part, "ro") == 0)
		o->read_only = true;
	else if (strcmp(part, "dvd") == 0)
		o->dvd = o->read_only = true;
	else if (strcmp(part, "later") == 0)
		o->later = true;
	else
		return refuse(why, size,
			      "\"%s\" is not known; there are as=, id=, on=, size=, ro, dvd and "
			      "later "
			      "(a comma in a file's name is written twice)",
			      part);
	return 0;
}

static int set_what(struct disk_opt *o, char *why, size_t size)
{
	const char *text = o->path + strlen(RAM);

	if (!o->path[0])
		return refuse(why, size, "the name of the file is missing");
	if (strchr(o->path, '\n'))
		return refuse(why, size, "a file's name with a line break cannot be used");
	if (strncmp(o->path, RAM, strlen(RAM)))
		return 0;
	if (opts_parse_size(text, &o->ram_bytes) < 0 || !o->ram_bytes || o->ram_bytes > MAX_RAM ||
	    o->ram_bytes % SECTOR)
		return refuse(why, size, RAM "%s: a size is meant, like 512M, in whole sectors",
			      text);
	memset(o->path, 0, sizeof(o->path));
	return 0;
}

int disk_opt_parse(const char *text, unsigned index, struct disk_opt *ret_opt, char *ret_why,
		   size_t size)
{
	struct disk_opt o = { .as = DISK_AS_SCSI };
	const char *p = next_part(text, o.path, sizeof(o.path));
	char part[128];
	int r;

	if (!p)
		return refuse(ret_why, size, "the file's name is too long (at most %u bytes)",
			      DISK_OPT_PATH - 1);
	r = set_what(&o, ret_why, size);
	snprintf(o.id, sizeof(o.id), "disk%u", index);
	while (r == 0 && *p) {
		p = next_part(p, part, sizeof(part));
		if (!p)
			return refuse(ret_why, size, "the options are too long");
		r = set_part(&o, part, ret_why, size);
	}
	if (r == 0)
		*ret_opt = o;
	return r;
}

int disk_opt_check(const struct disk_opt *opts, unsigned n, char *ret_why, size_t size)
{
	unsigned ide = 0;

	if (n > DISK_OPT_MAX)
		return refuse(ret_why, size, "%u disks: at most %u are possible", n, DISK_OPT_MAX);
	for (unsigned i = 0; i < n; i++) {
		const struct disk_opt *o = &opts[i];

		if (o->dvd && o->as == DISK_AS_NVME)
			return refuse(ret_why, size,
				      "%s: there are no DVDs on NVMe; use as=scsi or as=ide",
				      o->id);
		if (o->as == DISK_AS_IDE && ++ide > IDE_DRIVES)
			return refuse(ret_why, size, "%s: IDE has room for %u drives", o->id,
				      IDE_DRIVES);
		for (unsigned k = 0; k < i; k++) {
			if (strcmp(opts[k].id, o->id) == 0)
				return refuse(ret_why, size,
					      "two disks are called %s; give one another id=",
					      o->id);
		}
	}
	return 0;
}

void disk_opt_format(const struct disk_opt *o, char *ret_text)
{
	char *p = ret_text, *end = ret_text + DISK_OPT_TEXT;

	if (!o->path[0])
		p += snprintf(p, DISK_OPT_TEXT, RAM "%" PRIu64, o->ram_bytes);
	for (const char *s = o->path; *s; s++) {
		if (*s == ',')
			*p++ = ',';
		*p++ = *s;
	}
	p += snprintf(p, (size_t)(end - p), ",id=%s,as=%s%s%s", o->id, as_names[o->as],
		      o->dvd	     ? ",dvd"
		      : o->read_only ? ",ro"
				     : "",
		      o->later ? ",later" : "");
	if (o->has_controller)
		p += snprintf(p, (size_t)(end - p), ",on=%u", o->controller);
	if (o->size)
		(void)snprintf(p, (size_t)(end - p), ",size=%" PRIu64, o->size);
}
