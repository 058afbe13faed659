/* SPDX-License-Identifier: MIT */
/* Disks as the user asks for them, and whether their files can be used. */
#include "disk_opt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk_files.h"
#include "unit.h"

static char why[DISK_OPT_PATH + 300];

static struct disk_opt parse(const char *text)
{
	struct disk_opt o = { .as = DISK_AS_IDE };

	ck_assert_msg(disk_opt_parse(text, 3, &o, why, sizeof(why)) == 0, "%s: %s", text, why);
	return o;
}

START_TEST(everything_has_a_default)
{
	struct disk_opt o = parse("/some/file.img");

	ck_assert_str_eq(o.path, "/some/file.img");
	ck_assert_str_eq(o.id, "disk3");
	ck_assert_int_eq(o.as, DISK_AS_SCSI);
	ck_assert(!o.read_only && !o.dvd && !o.later && !o.has_controller);
	ck_assert_uint_eq(o.ram_bytes, 0);
}
END_TEST

START_TEST(every_option_counts)
{
	struct disk_opt o = parse("x.iso,as=ide,dvd,id=cd-1_A,later");

	ck_assert_int_eq(o.as, DISK_AS_IDE);
	ck_assert(o.dvd && o.read_only && o.later);
	ck_assert_str_eq(o.id, "cd-1_A");
	o = parse("x,ro,on=0,as=nvme");
	ck_assert(o.read_only && !o.dvd && o.has_controller);
	ck_assert_uint_eq(o.controller, 0);
	ck_assert_int_eq(o.as, DISK_AS_NVME);
	o = parse("ram:64M,on=15");
	ck_assert_str_eq(o.path, "");
	ck_assert_uint_eq(o.ram_bytes, 64u << 20);
	ck_assert_uint_eq(o.controller, 15);
}
END_TEST

START_TEST(a_comma_of_a_name_is_written_twice)
{
	struct disk_opt o = parse("a,,b,,.img,ro");
	char text[DISK_OPT_TEXT];

	ck_assert_str_eq(o.path, "a,b,.img");
	ck_assert(o.read_only);
	disk_opt_format(&o, text);
	ck_assert_str_eq(text, "a,,b,,.img,id=disk3,as=scsi,ro");
}
END_TEST

START_TEST(the_text_gives_the_same_again)
{
	static const char *const texts[] = {
		"f",
		"a,,,,b,as=nvme,ro,later",
		"ram:1G,on=7,id=r",
		"d,as=ide,dvd",
		"virtio:keel-disk-3,later",
		"g,size=8M,on=1",
	};
	char text[DISK_OPT_TEXT];

	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		struct disk_opt a = parse(texts[i]), b;

		disk_opt_format(&a, text);
		ck_assert_int_eq(disk_opt_parse(text, 99, &b, why, sizeof(why)), 0);
		ck_assert_str_eq(a.path, b.path);
		ck_assert_str_eq(a.id, b.id);
		ck_assert_int_eq(a.as, b.as);
		ck_assert_uint_eq(a.ram_bytes, b.ram_bytes);
		ck_assert_uint_eq(a.size, b.size);
		ck_assert(a.read_only == b.read_only && a.dvd == b.dvd && a.later == b.later);
		ck_assert(a.has_controller == b.has_controller && a.controller == b.controller);
	}
}
END_TEST

START_TEST(mistakes_are_named)
{
	static const struct {
		const char *text, *word;
	} bad[] = {
		{ "", "missing" },
		{ ",ro", "missing" },
		{ "f,as=floppy", "scsi, nvme or ide" },
		{ "f,as=", "scsi, nvme or ide" },
		{ "f,rw", "rw" },
		{ "f,id=", "letters" },
		{ "f,id=a b", "letters" },
		{ "f,id=0123456789012345678901", "1 to 20" },
		{ "f,on=16", "0 to 15" },
		{ "f,on=", "0 to 15" },
		{ "f,on=-1", "0 to 15" },
		{ "f,on=1x", "0 to 15" },
		{ "f,size=3", "size=" },
		{ "f,colour=3", "colour=" },
		{ "f,size=", "size=" },
		{ "ram:", "size" },
		{ "ram:12345", "size" },
		{ "ram:0", "size" },
		{ "ram:5000G", "size" },
		{ "a\nb", "line break" },
	};
	char text[DISK_OPT_PATH + 16];
	struct disk_opt o;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		why[0] = 0;
		ck_assert_int_eq(disk_opt_parse(bad[i].text, 0, &o, why, sizeof(why)), -EINVAL);
		ck_assert_msg(strstr(why, bad[i].word), "%s: %s", bad[i].text, why);
	}
	memset(text, 'a', sizeof(text));
	text[DISK_OPT_PATH - 1] = 0;
	(void)parse(text);
	text[DISK_OPT_PATH - 1] = 'a';
	text[DISK_OPT_PATH] = 0;
	ck_assert_int_eq(disk_opt_parse(text, 0, &o, why, sizeof(why)), -EINVAL);
	/* What is cut off at the end of a buffer is still ended. */
	ck_assert_int_eq(disk_opt_parse("f,as=floppy", 0, &o, why, 8), -EINVAL);
	ck_assert_uint_eq(strlen(why), 7);
}
END_TEST

START_TEST(disks_fit_together)
{
	static struct disk_opt o[DISK_OPT_MAX + 1];

	for (unsigned i = 0; i <= DISK_OPT_MAX; i++) {
		ck_assert_int_eq(disk_opt_parse("f", i, &o[i], why, sizeof(why)), 0);
	}
	ck_assert_int_eq(disk_opt_check(o, DISK_OPT_MAX, why, sizeof(why)), 0);
	ck_assert_int_eq(disk_opt_check(o, DISK_OPT_MAX + 1, why, sizeof(why)), -EINVAL);
	o[5].as = o[6].as = o[7].as = o[8].as = DISK_AS_IDE;
	ck_assert_int_eq(disk_opt_check(o, DISK_OPT_MAX, why, sizeof(why)), 0);
	o[9].as = DISK_AS_IDE;
	ck_assert_int_eq(disk_opt_check(o, DISK_OPT_MAX, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "disk9"));
	o[9].as = DISK_AS_NVME;
	o[9].dvd = true;
	ck_assert_int_eq(disk_opt_check(o, DISK_OPT_MAX, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "DVD"));
	o[9].dvd = false;
	memcpy(o[9].id, o[2].id, sizeof(o[9].id));
	ck_assert_int_eq(disk_opt_check(o, DISK_OPT_MAX, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "disk2"));
}
END_TEST

/* --- files ------------------------------------------------------------------------------------ */

static char dir[] = "/tmp/keel-disk-opt-XXXXXX";

static struct disk_opt file(const char *name, long size, const char *options)
{
	char text[300];

	snprintf(text, sizeof(text), "%s/%s", dir, name);
	if (size >= 0) {
		int fd = open(text, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		ck_assert(fd >= 0 && ftruncate(fd, size) == 0);
		ck_assert_int_eq(close(fd), 0);
	}
	snprintf(text, sizeof(text), "%s/%s%s", dir, name, options);
	return parse(text);
}

static int try_open(const struct disk_opt *o, unsigned n)
{
	struct disk_files df;
	int r;

	why[0] = 0;
	r = disk_files_open(o, n, &df, why, sizeof(why));
	if (r == 0)
		disk_files_close(&df);
	return r;
}

static void expect(const struct disk_opt *o, unsigned n, const char *word)
{
	ck_assert_int_eq(try_open(o, n), -EINVAL);
	ck_assert_msg(strstr(why, word), "%s", why);
}

static void clean(void)
{
	static const char *const names[] = { "good", "odd", "empty", "ro" };
	char path[300];

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

START_TEST(files_that_cannot_be_used)
{
	struct disk_opt o;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	o = file("good", 4096, "");
	ck_assert_int_eq(try_open(&o, 1), 0);
	o = file("none", -1, "");
	expect(&o, 1, "truncate -s 1G");
	o = file("empty", 0, "");
	expect(&o, 1, "empty");
	o = file("odd", 1000, "");
	expect(&o, 1, "multiple of 512");
	o = file("", -1, "");
	expect(&o, 1, "folder");
	o = parse("/dev/null");
	expect(&o, 1, "neither");
	/* Nothing to open. */
	o = parse("ram:1M");
	ck_assert_int_eq(try_open(&o, 1), 0);
	clean();
}
END_TEST

/* In a process that may not do everything. */
START_TEST(a_file_that_cannot_be_written)
{
	struct disk_opt o;
	int status;
	pid_t pid;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755), 0);
	o = file("ro", 512, "");
	ck_assert_int_eq(chmod(o.path, 0444), 0);
	pid = fork();
	if (pid == 0) {
		bool refused;

		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			_exit(9);
		refused = try_open(&o, 1) == -EINVAL && strstr(why, ",ro");
		o.read_only = true;
		_exit(refused && try_open(&o, 1) == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	clean();
}
END_TEST

START_TEST(a_file_is_used_once)
{
	struct disk_opt o[2];
	struct disk_files df;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	o[0] = file("good", 4096, ",id=a");
	o[1] = file("good", -1, ",id=b,ro");
	expect(o, 2, "given twice (a and b)");
	o[0].read_only = true;
	ck_assert_int_eq(try_open(o, 2), 0);
	/* By another run: flock() is by open file, so this process can play it. */
	ck_assert_int_eq(disk_files_open(o, 1, &df, why, sizeof(why)), 0);
	ck_assert_int_eq(try_open(&o[1], 1), 0);
	o[1].read_only = false;
	expect(&o[1], 1, "in use by another run");
	disk_files_close(&df);
	ck_assert_int_eq(disk_files_open(&o[1], 1, &df, why, sizeof(why)), 0);
	expect(&o[0], 1, "in use by another run");
	disk_files_close(&df);
	ck_assert_int_eq(try_open(&o[0], 1), 0);
	clean();
}
END_TEST

UNIT_MAIN("hvhost/disk_opt", everything_has_a_default, every_option_counts,
	  a_comma_of_a_name_is_written_twice, the_text_gives_the_same_again, mistakes_are_named,
	  disks_fit_together, files_that_cannot_be_used, a_file_that_cannot_be_written,
	  a_file_is_used_once)
