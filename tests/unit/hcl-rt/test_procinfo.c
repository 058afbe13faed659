/* SPDX-License-Identifier: MIT */
#include "procinfo.h"

#include "inspect_get.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A procfs of our own in a fresh directory. */
static char proc[64];

static void put(const char *name, const char *text, size_t len)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", proc, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	(void)close(fd);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static void put_dir(const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", proc, name);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void setup(void)
{
	(void)snprintf(proc, sizeof(proc), "procinfo-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(proc));
}

static void teardown(void)
{
	char cmd[96];

	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", proc);
	ck_assert_int_eq(system(cmd), 0);
}

static const char *get(const char *path)
{
	return inspect_get(procinfo_inspect, proc, path);
}

#define SHOWS(path, text) ck_assert_str_eq(get(path), text)

START_TEST(meminfo)
{
	setup();
	put_text("meminfo", "MemTotal:       16384 kB\nMemFree:        1024 kB\nBuffers:  1 kB\n"
			    "Active(anon):     77 kB\nHugePages_Total:       0\n"
			    "Committed_AS:   18446744073709551615 kB");
	SHOWS("meminfo", "{\n    Active(anon): 77,\n    Committed_AS: 18446744073709551615,\n"
			 "    MemFree: 1024,\n    MemTotal: 16384,\n}");
	SHOWS("meminfo/MemFree", "1024");
	SHOWS("meminfo/Buffers", "error (not found)");
	put_text("meminfo", "MemTotal: 1 kB\nno colon\n");
	SHOWS("meminfo", "{\n    MemTotal: 1,\n    error: \"line had no :\",\n}");
	put_text("meminfo", "MemTotal: x kB\n");
	SHOWS("meminfo/error", "\"value failed to parse\"");
	put_text("meminfo", "MemTotal: 18446744073709551616 kB\n");
	SHOWS("meminfo/error", "\"value failed to parse\"");
	put_text("meminfo", "MemTotal: -5 kB\n");
	SHOWS("meminfo/error", "\"value failed to parse\"");
	put_text("meminfo", "");
	SHOWS("meminfo", "{}");
	put("meminfo", "MemTotal: 5\0 kB\nMemFree: 1", 27);
	SHOWS("meminfo", "{\n    MemTotal: 5,\n}");
	teardown();
}
END_TEST

START_TEST(missing_files)
{
	setup();
	SHOWS("meminfo/error", "\"meminfo: No such file or directory (os error 2)\"");
	SHOWS("interrupts/error", "\"interrupts: No such file or directory (os error 2)\"");
	SHOWS("processes", "{}");
	teardown();
	SHOWS("processes/error", "\"processes: No such file or directory (os error 2)\"");
}
END_TEST

START_TEST(interrupts)
{
	setup();
	put_text("interrupts",
		 "            CPU0       CPU1       CPU2       CPU3\n"
		 "   4:        120          0          3          0  IO-APIC    4-edge      ttyS0\n"
		 " 127:          0          0          0          0\n"
		 " NMI:          1          2          3          4   Non-maskable interrupts\n"
		 " ERR:          9\n"
		 "../x:          1          1          1          1  bad\n"
		 "   5:          1          x          1          1  odd\n");
	put_dir("irq");
	put_dir("irq/4");
	put_text("irq/4/smp_affinity_list", "0-3\n");
	SHOWS("interrupts/4",
	      "{\n    actions: \"4-edge      ttyS0\",\n    affinity: \"0-3\",\n    cpu: {\n"
	      "        0: 120,\n        2: 3,\n    },\n    name: \"IO-APIC\",\n}");
	SHOWS("interrupts/127", "{\n    actions: \"\",\n    cpu: {},\n    name: \"\",\n}");
	SHOWS("interrupts/NMI/name", "\"Non-maskable interrupts\"");
	SHOWS("interrupts/NMI/cpu/3", "4");
	SHOWS("interrupts/NMI/affinity", "error (not found)");
	SHOWS("interrupts/ERR/cpu/0", "9");
	SHOWS("interrupts/5/cpu", "{\n    0: 1,\n}");
	SHOWS("interrupts/..", "error (not found)");
	put_text("interrupts", "CPU0\n 1: 5 name\nnothing\n 2: 1 a\n");
	SHOWS("interrupts/1/cpu/0", "5");
	SHOWS("interrupts/error", "\"line had no :\"");
	SHOWS("interrupts/2", "error (not found)");
	teardown();
}
END_TEST

START_TEST(processes)
{
	setup();
	for (int i = 0; i < 6; i++) {
		static const char *const dirs[] = { "1", "2", "30", "31", "self", "99x" };

		put_dir(dirs[i]);
	}
	put_dir("400");
	put_text("1/status", "Name:\tinit\nUmask:\t0022\nPid:\t1\nPPid:\t0\nVmPeak:\t    200 kB\n"
			     "VmSize:\t    100 kB\nVmRSS:\t     50 kB\nRssAnon:\t 10 kB\n");
	put_text("2/status", "Name:\tkthreadd\nPPid:\t0\n");
	put_text("30/status", "Name:\tkworker/0:1\nPPid:\t2\nVmSize:\t 1 kB\n");
	put_text("31/status", "Name:\todd \xff name\nPPid:\t1\nVmSize:\tlots\n");
	put_text("self/status", "Name:\tself\nPPid:\t1\n");
	put_text("99x/status", "Name:\tx\nPPid:\t1\n");
	SHOWS("processes",
	      "{\n    init: {\n        RssAnon: 10,\n        VmPeak: 200,\n        VmRSS: 50,\n"
	      "        VmSize: 100,\n    },\n    odd \xef\xbf\xbd name: {\n"
	      "        error: \"value failed to parse\",\n    },\n}");
	teardown();
}
END_TEST

START_TEST(the_real_one)
{
	pid_t self = 0;

	(void)snprintf(proc, sizeof(proc), "/proc");
	ck_assert_ptr_null(strstr(get("meminfo"), "error"));
	ck_assert(atoll(get("meminfo/MemTotal")) > 1000);
	ck_assert_ptr_null(strstr(get("processes"), "error"));
	ck_assert(atoll(get("processes/test_rt_procinf/VmSize")) > 1000);
	ck_assert_ptr_nonnull(strstr(inspect_get(procinfo_inspect_rlimits, &self, ""), "nofile"));
}
END_TEST

/* ---- resource limits ----------------------------------------------------------------------- */

static const char *set(const char *path, const char *val, enum inspect_sens max)
{
	const struct inspect_request req = { .path = path, .max = max, .update = val };
	static char text[256];
	struct inspect_tree tree;
	pid_t self = 0;
	char *got;

	ck_assert_int_eq(inspect_run(&req, procinfo_inspect_rlimits, &self, 1u << 16, &tree), 0);
	ck_assert_int_eq(inspect_text(&tree, &got), 0);
	(void)snprintf(text, sizeof(text), "%s", got);
	free(got);
	inspect_tree_fini(&tree);
	return text;
}

START_TEST(limits_change)
{
	const pid_t self = getpid();
	struct rlimit l;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &l), 0);
	l.rlim_cur = 100;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &l), 0);
	ck_assert_str_eq(inspect_get(procinfo_inspect_rlimits, &self, "nofile/current"), "100");
	ck_assert_str_eq(set("nofile/current", "50", SENS_SENSITIVE), "50");
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &l), 0);
	ck_assert_uint_eq(l.rlim_cur, 50);
	ck_assert_str_eq(set("nofile/current", "0x40", SENS_SENSITIVE),
			 "error (update error: invalid digit found in string)");
	ck_assert_str_eq(set("nofile/current", "60", SENS_SAFE), "error (not found)");
	ck_assert_str_eq(
		set("nofile/current", "999999999999", SENS_SENSITIVE),
		"error (update error: failed to set rlimit: Invalid argument (os error 22))");
	l = (struct rlimit){ 4096, RLIM_INFINITY };
	if (setrlimit(RLIMIT_FSIZE, &l) == 0) {
		ck_assert_str_eq(inspect_get(procinfo_inspect_rlimits, &self, "fsize"),
				 "{\n    current: 4096,\n    max: \"unlimited\",\n}");
		ck_assert_str_eq(set("fsize/current", "unlimited", SENS_SENSITIVE),
				 "\"unlimited\"");
		ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &l), 0);
		ck_assert_uint_eq(l.rlim_cur, RLIM_INFINITY);
	}
	ck_assert_str_eq(set("nofile", "5", SENS_SENSITIVE), "error (unresolved)");
}
END_TEST

START_TEST(limits_of_nobody)
{
	const pid_t nobody = 0x3fffffff;

	ck_assert_str_eq(inspect_get(procinfo_inspect_rlimits, &nobody, "cpu"),
			 "\"No such process (os error 3)\"");
}
END_TEST

UNIT_MAIN("rt/procinfo", meminfo, missing_files, interrupts, processes, the_real_one, limits_change,
	  limits_of_nobody)
