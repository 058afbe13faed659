/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

static const char *const files[] = {
	"/proc/sys/kernel/threads-max",
	"/proc/sys/kernel/kptr_restrict",
	"/proc/sys/kernel/core_pattern",
	"/proc/sys/kernel/core_pipe_limit",
	"/proc/sys/fs/suid_dumpable",
	"/proc/sys/vm/panic_on_oom",
	"/proc/sys/vm/min_free_kbytes",
	"/proc/sys/vm/watermark_scale_factor",
	"/proc/sys/vm/watermark_boost_factor",
	"/sys/kernel/mm/transparent_hugepage/enabled",
	"/sys/bus/vmbus/drivers/uio_hv_generic/new_id",
};

static void make_file(const char *root, const char *path)
{
	char full[512];

	(void)snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *p = full + strlen(root) + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		(void)mkdir(full, 0755);
		*p = '/';
	}
	ck_assert_int_eq(close(open(full, O_WRONLY | O_CREAT, 0644)), 0);
}

static void read_file(const char *root, const char *path, char *ret_text, size_t size)
{
	char full[512];
	ssize_t n;
	int fd;

	(void)snprintf(full, sizeof(full), "%s%s", root, path);
	fd = open(full, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	n = read(fd, ret_text, size - 1);
	ck_assert_int_ge(n, 0);
	ret_text[n] = 0;
	(void)close(fd);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void remove_tree(const char *root)
{
	ck_assert_int_eq(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

START_TEST(writes_what_the_daemon_needs)
{
	char root[] = "/tmp/settings-XXXXXX", text[128];

	ck_assert_ptr_nonnull(mkdtemp(root));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		make_file(root, files[i]);
	ck_assert_uint_eq(settings_apply(root, _i == 1), 0);
	read_file(root, "/proc/sys/kernel/core_pattern", text, sizeof(text));
	ck_assert_str_eq(text, _i ? "|/bin/underhill-crash %p %i %s %e" : "\n");
	read_file(root, "/proc/sys/kernel/core_pipe_limit", text, sizeof(text));
	ck_assert_str_eq(text, _i ? "1" : "");
	read_file(root, "/proc/sys/fs/suid_dumpable", text, sizeof(text));
	ck_assert_str_eq(text, _i ? "2" : "0");
	read_file(root, "/proc/sys/vm/panic_on_oom", text, sizeof(text));
	ck_assert_str_eq(text, "1");
	read_file(root, "/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text));
	ck_assert_str_eq(text, "madvise");
	/* Three writes from the start of the file: the last id stays in a plain file. */
	read_file(root, "/sys/bus/vmbus/drivers/uio_hv_generic/new_id", text, sizeof(text));
	ck_assert_str_eq(text, "427b03e7-4ceb-4286-b5fc-486f4a1dd439");
	remove_tree(root);
}
END_TEST

START_TEST(missing_knobs_are_counted_and_passed_over)
{
	char root[] = "/tmp/settings-XXXXXX", text[128];

	ck_assert_ptr_nonnull(mkdtemp(root));
	make_file(root, "/proc/sys/vm/min_free_kbytes");
	/* 12 writes, 13 with dumps, one file. */
	ck_assert_uint_eq(settings_apply(root, _i == 1), 11u + (unsigned)_i);
	read_file(root, "/proc/sys/vm/min_free_kbytes", text, sizeof(text));
	ck_assert_str_eq(text, "1024");
	remove_tree(root);
}
END_TEST

/* Variants: without and with dumps. */
UNIT_MAIN_VARIANTS("initrd/settings", 2, writes_what_the_daemon_needs,
	  missing_knobs_are_counted_and_passed_over)
