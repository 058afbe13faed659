/* SPDX-License-Identifier: MIT */
#include "procinfo.h"

#include "cleanup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_BYTES 512u
#define MEMINFO_BYTES 65536u
#define INTERRUPTS_BYTES (1u << 20)
#define STATUS_BYTES 16384u
#define AFFINITY_BYTES 1024u
#define PROCESSES_MAX 4096u
#define KTHREADD "2" /* parent of the kernel's threads */

/* ---- files and lines ----------------------------------------------------------------------- */

/* A file as text, cut at @max bytes. NULL with errno. */
static char *read_text(size_t max, const char *fmt, ...) printf_like(2, 3);
static char *read_text(size_t max, const char *fmt, ...)
{
	auto_free char *text = malloc(max + 1);
	auto_close int fd = -1;
	char path[PATH_BYTES];
	size_t len = 0;
	ssize_t n = 1;
	va_list ap;
	int r;

	if (!text)
		return NULL;
	va_start(ap, fmt);
	r = vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	if (r < 0 || (size_t)r >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	while (len < max && n > 0) {
		n = read(fd, text + len, max - len);
		if (n < 0 && errno != EINTR)
			return NULL;
		len += n > 0 ? (size_t)n : 0;
		n = n < 0 ? 1 : n;
	}
	text[len] = 0;
	return take_ptr(text);
}

/* The next line, its end replaced by a NUL; NULL: there is none. */
static char *next_line(char **text)
{
	char *line = *text;
	size_t len = strcspn(line, "\n");

	if (!*line)
		return NULL;
	*text = line + len + (line[len] != 0);
	line[len] = 0;
	return line;
}

static char *trim(char *s)
{
	size_t len;

	s += strspn(s, " \t");
	len = strlen(s);
	while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		s[--len] = 0;
	return s;
}

/* "name: rest" in two; NULL: no such line. */
static char *split_name(char *line)
{
	char *colon = strchr(line, ':');

	if (!colon)
		return NULL;
	*colon = 0;
	return trim(colon + 1);
}

/* A decimal number and what follows it; false: there is none, or it is too large. */
static bool take_number(char **s, uint64_t *ret_val)
{
	char *p = *s + strspn(*s, " \t"), *end;

	if (!isdigit((unsigned char)*p))
		return false;
	errno = 0;
	*ret_val = strtoull(p, &end, 10);
	if (errno || (*end && *end != ' ' && *end != '\t'))
		return false;
	*s = end;
	return true;
}

static void say_error(struct inspect *in, const char *what)
{
	inspect_str(in, SENS_SAFE, "error", what);
}

static void say_errno(struct inspect *in, const char *what)
{
	inspect_strf(in, SENS_SAFE, "error", "%s: %m (os error %d)", what, errno);
}

static bool is_listed(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, list[i]) == 0)
			return true;
	return false;
}

/* Every listed line "name: number unit" of the text. */
static void show_numbers(struct inspect *in, char *text, const char *const *list, size_t n)
{
	char *line;

	while ((line = next_line(&text))) {
		char *rest = split_name(line);
		uint64_t val;

		if (!rest)
			return say_error(in, "line had no :");
		if (!is_listed(line, list, n))
			continue;
		if (!take_number(&rest, &val))
			return say_error(in, "value failed to parse");
		inspect_u64(in, SENS_SAFE, line, val);
	}
}

/* ---- meminfo ------------------------------------------------------------------------------- */

static void inspect_meminfo(struct inspect *in, const void *obj)
{
	static const char *const fields[] = {
		"MemTotal",	"MemFree",    "MemAvailable", "Mapped",
		"Slab",		"AnonPages",  "Active(anon)", "Inactive(anon)",
		"SReclaimable", "SUnreclaim", "Mlocked",      "KernelStack",
		"PageTables",	"Shmem",      "Percpu",	      "Committed_AS",
	};
	auto_free char *text = read_text(MEMINFO_BYTES, "%s/meminfo", (const char *)obj);

	if (!text)
		say_errno(in, "meminfo");
	else
		show_numbers(in, text, fields, ARRAY_SIZE(fields));
}

/* ---- interrupts ---------------------------------------------------------------------------- */

struct irq_row {
	const char *proc; /* path of procfs */
	const char *irq;
	char *counts; /* and what follows them */
	size_t n_cpus;
};

static void inspect_cpus(struct inspect *in, const void *obj)
{
	const struct irq_row *row = obj;
	char *p = row->counts;
	char name[24];
	uint64_t n;

	for (size_t cpu = 0; cpu < row->n_cpus && take_number(&p, &n); cpu++) {
		(void)snprintf(name, sizeof(name), "%zu", cpu);
		if (n > 0)
			inspect_count(in, SENS_SAFE, name, n);
	}
}

/* "IO-APIC   4-edge   ttyS0": the name goes to the first two blanks, the rest is actions. */
static void show_actions(struct inspect *in, const struct irq_row *row)
{
	auto_free char *copy = strdup(row->counts);
	char *p = copy, *actions;
	uint64_t n;

	if (!copy)
		return;
	for (size_t cpu = 0; cpu < row->n_cpus && take_number(&p, &n); cpu++)
		;
	p = trim(p);
	actions = strstr(p, "  ");
	if (actions)
		*actions++ = 0;
	inspect_str(in, SENS_SAFE, "name", p);
	inspect_str(in, SENS_SAFE, "actions", actions ? trim(actions) : "");
}

static void inspect_irq(struct inspect *in, const void *obj)
{
	const struct irq_row *row = obj;
	auto_free char *affinity = NULL;

	inspect_dir(in, SENS_SAFE, "cpu", inspect_cpus, row);
	show_actions(in, row);
	if (!isdigit((unsigned char)row->irq[0]) || !inspect_wants(in, "affinity"))
		return;
	affinity = read_text(AFFINITY_BYTES, "%s/irq/%s/smp_affinity_list", row->proc, row->irq);
	if (affinity) {
		affinity[strcspn(affinity, "\n")] = 0;
		inspect_str(in, SENS_SAFE, "affinity", trim(affinity));
	}
}

static size_t count_words(const char *s)
{
	size_t n = 0;

	for (s += strspn(s, " \t"); *s; n++) {
		s += strcspn(s, " \t");
		s += strspn(s, " \t");
	}
	return n;
}

static void inspect_interrupts(struct inspect *in, const void *obj)
{
	struct irq_row row = { .proc = obj };
	auto_free char *text = read_text(INTERRUPTS_BYTES, "%s/interrupts", row.proc);
	char *rest = text, *line;

	if (!text)
		return say_errno(in, "interrupts");
	line = next_line(&rest);
	row.n_cpus = line ? count_words(line) : 0;
	while ((line = next_line(&rest))) {
		row.counts = split_name(line);
		if (!row.counts)
			return say_error(in, "line had no :");
		row.irq = trim(line);
		if (!strchr(row.irq, '/')) /* it becomes a part of a path */
			inspect_dir(in, SENS_SAFE, row.irq, inspect_irq, &row);
	}
}

/* ---- processes ----------------------------------------------------------------------------- */

static void inspect_process(struct inspect *in, const void *obj)
{
	static const char *const fields[] = { "VmSize",	 "VmPeak",  "VmRSS",   "VmHWM",
					      "RssAnon", "RssFile", "RssShmem" };
	auto_free char *copy = strdup(obj);

	if (copy)
		show_numbers(in, copy, fields, ARRAY_SIZE(fields));
	else
		say_error(in, "out of memory");
}

/* The value of a line, in a buffer; false: there is no such line. */
static bool find_line(const char *text, const char *name, char *ret_val, size_t size)
{
	size_t n = strlen(name);

	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		if (strncmp(p, name, n) != 0 || p[n] != ':')
			continue;
		p += n + 1;
		p += strspn(p, " \t");
		(void)snprintf(ret_val, size, "%.*s", (int)strcspn(p, "\n"), p);
		return true;
	}
	return false;
}

/* A process that is gone by now is none. */
static void show_process(struct inspect *in, const char *proc, const char *pid)
{
	auto_free char *status = read_text(STATUS_BYTES, "%s/%s/status", proc, pid);
	char parent[16], name[64];

	if (!status || !find_line(status, "Name", name, sizeof(name)))
		return;
	if (find_line(status, "PPid", parent, sizeof(parent)) && strcmp(parent, KTHREADD) == 0)
		return;
	inspect_dir(in, SENS_SAFE, name, inspect_process, status);
}

static void inspect_processes(struct inspect *in, const void *obj)
{
	DIR *dir = opendir(obj);
	struct dirent *de;
	unsigned int n = 0;

	if (!dir)
		return say_errno(in, "processes");
	while (n < PROCESSES_MAX && (de = readdir(dir))) {
		const char *pid = de->d_name;

		if (pid[strspn(pid, "0123456789")] || strcmp(pid, KTHREADD) == 0)
			continue;
		show_process(in, obj, pid);
		n++;
	}
	(void)closedir(dir);
	if (n == PROCESSES_MAX)
		say_error(in, "too many processes");
}

void procinfo_inspect(struct inspect *in, const void *path)
{
	inspect_dir(in, SENS_SAFE, "meminfo", inspect_meminfo, path);
	inspect_dir(in, SENS_SAFE, "interrupts", inspect_interrupts, path);
	inspect_dir(in, SENS_SAFE, "processes", inspect_processes, path);
}

/* ---- resource limits ----------------------------------------------------------------------- */

struct limit {
	pid_t pid;
	int resource;
	struct rlimit now;
	rlim_t *changed; /* the member of now */
};

/* The C libraries do not agree on the type of a resource: no prlimit(). */
static int limits_call(const struct limit *l, const struct rlimit *set, struct rlimit *ret_was)
{
	return (int)syscall(SYS_prlimit64, l->pid, l->resource, set, ret_was);
}

static int set_limit(void *ctx, const char *val, char *ret_why, size_t why_size)
{
	struct limit *l = ctx;

	*l->changed = strcmp(val, "unlimited") == 0 ? RLIM_INFINITY : strtoull(val, NULL, 10);
	if (limits_call(l, &l->now, NULL) == 0)
		return 0;
	(void)snprintf(ret_why, why_size, "failed to set rlimit: %m (os error %d)", errno);
	return -EINVAL;
}

static void inspect_limit(struct inspect *in, const void *obj)
{
	struct limit cur = *(const struct limit *)obj, max = cur;

	cur.changed = &cur.now.rlim_cur;
	max.changed = &max.now.rlim_max;
	inspect_mut_limit(in, SENS_UNSPEC, "current", cur.now.rlim_cur, set_limit, &cur);
	inspect_mut_limit(in, SENS_UNSPEC, "max", max.now.rlim_max, set_limit, &max);
}

BUILD_ASSERT(RLIM_INFINITY == UINT64_MAX, "no limit is shown as unlimited");

void procinfo_inspect_rlimits(struct inspect *in, const void *pid)
{
	static const struct {
		const char *name;
		int resource;
	} limits[] = {
		{ "cpu", RLIMIT_CPU },		 { "fsize", RLIMIT_FSIZE },
		{ "data", RLIMIT_DATA },	 { "stack", RLIMIT_STACK },
		{ "core", RLIMIT_CORE },	 { "rss", RLIMIT_RSS },
		{ "nproc", RLIMIT_NPROC },	 { "nofile", RLIMIT_NOFILE },
		{ "memlock", RLIMIT_MEMLOCK },	 { "as", RLIMIT_AS },
		{ "locks", RLIMIT_LOCKS },	 { "sigpending", RLIMIT_SIGPENDING },
		{ "msgqueue", RLIMIT_MSGQUEUE }, { "nice", RLIMIT_NICE },
		{ "rtprio", RLIMIT_RTPRIO },	 { "rttime", RLIMIT_RTTIME },
	};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct limit l = { .pid = *(const pid_t *)pid, .resource = limits[i].resource };

		if (!inspect_wants(in, limits[i].name))
			continue;
		if (limits_call(&l, NULL, &l.now) == 0)
			inspect_dir(in, SENS_UNSPEC, limits[i].name, inspect_limit, &l);
		else
			inspect_strf(in, SENS_UNSPEC, limits[i].name, "%m (os error %d)", errno);
	}
}
