/* SPDX-License-Identifier: MIT */
/* See memstat.h. */
#include "memstat.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "inspect.h"
#include "log_record.h"
#include "procinfo.h"

#define LOG_AREA "memstat"

#define FIRST_NS (15 * 60 * 1000000000ull)
#define EVERY_NS (24 * 3600 * 1000000000ull)
#define TREE_BYTES (256u << 10)

/* Text under construction; an entry that does not fit whole is left out. */
struct out {
	char *p;
	size_t len, cap;
};

static bool put(struct out *o, const char *text)
{
	const size_t n = strlen(text);

	if (o->len + n > o->cap)
		return false;
	memcpy(o->p + o->len, text, n);
	o->len += n;
	return true;
}

/* "name": with a comma in front if it is not the first. Names that would need escapes are left out:
 * there are none among the kernel's and ours. */
static bool put_name(struct out *o, const char *name, bool first)
{
	return !strpbrk(name, "\"\\") && (first || put(o, ",")) && put(o, "\"") && put(o, name) &&
	       put(o, "\":");
}

static bool is_wanted(const char *name)
{
	static const char *const wanted[] = {
		"MemTotal",   "MemFree",     "MemAvailable", "Buffers",	    "Cached", "Active",
		"Inactive",   "Unevictable", "AnonPages",    "Mapped",	    "Shmem",  "Slab",
		"SUnreclaim", "KernelStack", "PageTables",   "VmallocUsed", "Percpu",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		if (!strcmp(name, wanted[i]))
			return true;
	}
	return false;
}

static const struct inspect_node *child(const struct inspect_node *dir, const char *name)
{
	const struct inspect_node *n = dir->kind == INSPECT_DIR ? dir->child : NULL;

	while (n && strcmp(n->name, name) != 0)
		n = n->next;
	return n;
}

/* The numbers of one directory. */
static bool put_numbers(struct out *o, const struct inspect_node *dir, bool all)
{
	const struct inspect_node *n = dir && dir->kind == INSPECT_DIR ? dir->child : NULL;
	bool first = true;

	if (!put(o, "{"))
		return false;
	o->cap--; /* for the end */
	for (; n; n = n->next) {
		const size_t mark = o->len;
		char val[24];

		if (n->kind != INSPECT_UNSIGNED || !(all || is_wanted(n->name)))
			continue;
		(void)snprintf(val, sizeof(val), "%" PRIu64, n->u64);
		if (put_name(o, n->name, first) && put(o, val))
			first = false;
		else
			o->len = mark;
	}
	o->cap++;
	return put(o, "}");
}

static void put_processes(struct out *o, const struct inspect_node *dir)
{
	const struct inspect_node *n = dir && dir->kind == INSPECT_DIR ? dir->child : NULL;
	bool first = true;

	for (; n; n = n->next) {
		const size_t mark = o->len;

		if (n->kind == INSPECT_DIR && put_name(o, n->name, first) &&
		    put_numbers(o, n, true))
			first = false;
		else
			o->len = mark;
	}
}

int memstat_json(const char *proc, char *ret_text, size_t size)
{
	static const char tail[] = "}}}";
	const struct inspect_request req = { .path = "", .depth = 3, .max = SENS_SAFE };
	struct out o = { .p = ret_text, .cap = size - sizeof(tail) };
	struct inspect_tree tree;
	int r;

	if (size < 128)
		return -ENOSPC;
	r = inspect_run(&req, procinfo_inspect, proc, TREE_BYTES, &tree);
	if (r < 0)
		return r;
	(void)put(&o, "{\"periodic_memory_status\":{\"meminfo\":");
	o.cap -= 15; /* for the next member's name */
	(void)put_numbers(&o, child(tree.root, "meminfo"), false);
	o.cap += 15;
	(void)put(&o, ",\"processes\":{");
	put_processes(&o, child(tree.root, "processes"));
	memcpy(ret_text + o.len, tail, sizeof(tail));
	inspect_tree_fini(&tree);
	return 0;
}

static void on_timer(void *ctx)
{
	struct memstat *ms = ctx;
	char text[LOG_TEXT_MAX];

	if (memstat_json("/proc", text, sizeof(text)) == 0)
		log_info(ALLOWED, "%s", text);
	loop_timer_arm(&ms->timer, loop_now_ns() + EVERY_NS);
}

void memstat_start(struct memstat *ms, struct loop *loop)
{
	loop_timer_init(&ms->timer, loop, on_timer, ms);
	loop_timer_arm(&ms->timer, loop_now_ns() + FIRST_NS);
}

void memstat_stop(struct memstat *ms)
{
	if (ms->timer.loop)
		loop_timer_cancel(&ms->timer);
}
