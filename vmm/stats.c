/* SPDX-License-Identifier: MIT */
/* See stats.h. */
#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "daemon_env.h"
#include "log.h"

#define LOG_AREA "stats"

/* Whole small files of /proc; the rest of a longer one is not needed. */
static void read_text(const char *path, char *ret_text, size_t cap)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 1;

	while (fd >= 0 && len < cap - 1 && n > 0) {
		n = read(fd, ret_text + len, cap - 1 - len);
		if (n > 0)
			len += (size_t)n;
	}
	ret_text[len] = '\0';
}

uint64_t stats_find_kib(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *line = text; line && *line;) {
		if (!strncmp(line, name, n) && line[n] == ':')
			return strtoull(line + n + 1, NULL, 10);
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	return 0;
}

static uint64_t ms_between(uint64_t from, uint64_t to)
{
	return from && to > from ? (to - from) / 1000000 : 0;
}

void stats_log_boot(const struct stats_times *t)
{
	log_info(ALLOWED,
		 STATS_PREFIX "{\"boot\":{\"shim_ms\":%llu,\"kernel_ms\":%llu,\"init_ms\":%llu,"
			      "\"daemon_ms\":%llu,\"host_ms\":%llu,\"vtl0_ms\":%llu}}",
		 (unsigned long long)(t->shim_ns / 1000000),
		 (unsigned long long)(t->init_start / 1000000),
		 (unsigned long long)ms_between(t->init_start, t->daemon_start),
		 (unsigned long long)ms_between(t->daemon_start, t->vtl0_entry),
		 (unsigned long long)ms_between(t->daemon_start, t->host_ready),
		 (unsigned long long)((t->shim_ns + t->vtl0_entry) / 1000000));
}

static uint64_t vtl2_ram_kib(const struct bootdt *dt)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < dt->n_mem; i++) {
		if (dt->mem[i].type != BOOTMEM_VTL0)
			sum += dt->mem[i].len / 1024;
	}
	return sum;
}

void stats_log_mem(const struct bootdt *dt)
{
	static char meminfo[4096], self[2048], control[2048], init[2048]; /* control thread only */
	char path[32];

	read_text("/proc/meminfo", meminfo, sizeof(meminfo));
	read_text("/proc/self/smaps_rollup", self, sizeof(self));
	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)getppid());
	read_text(path, control, sizeof(control));
	read_text("/proc/1/smaps_rollup", init, sizeof(init));
	log_info(ALLOWED,
		 STATS_PREFIX "{\"mem\":{\"vtl2_ram_kib\":%llu,\"mem_total_kib\":%llu,"
			      "\"mem_free_kib\":%llu,\"mem_available_kib\":%llu,"
			      "\"slab_kib\":%llu,\"pagetables_kib\":%llu,\"kernel_stack_kib\":%llu,"
			      "\"rss_self_kib\":%llu,\"pss_self_kib\":%llu,\"pss_init_kib\":%llu,"
			      "\"pss_control_kib\":%llu}}",
		 (unsigned long long)vtl2_ram_kib(dt),
		 (unsigned long long)stats_find_kib(meminfo, "MemTotal"),
		 (unsigned long long)stats_find_kib(meminfo, "MemFree"),
		 (unsigned long long)stats_find_kib(meminfo, "MemAvailable"),
		 (unsigned long long)stats_find_kib(meminfo, "Slab"),
		 (unsigned long long)stats_find_kib(meminfo, "PageTables"),
		 (unsigned long long)stats_find_kib(meminfo, "KernelStack"),
		 (unsigned long long)stats_find_kib(self, "Rss"),
		 (unsigned long long)stats_find_kib(self, "Pss"),
		 (unsigned long long)stats_find_kib(init, "Pss"),
		 (unsigned long long)stats_find_kib(control, "Pss"));
}

void stats_log_exits(const uint64_t exits[EXIT_KINDS])
{
	char text[1024];
	size_t len = 0;

	for (unsigned int i = 0; i < EXIT_KINDS; i++) {
		int n = snprintf(text + len, sizeof(text) - len, "%s\"%s\":%llu", i ? "," : "",
				 exit_kind_names[i], (unsigned long long)exits[i]);

		if (n < 0 || (size_t)n >= sizeof(text) - len)
			return;
		len += (size_t)n;
	}
	log_info(ALLOWED, STATS_PREFIX "{\"exits\":{%s}}", text);
}
