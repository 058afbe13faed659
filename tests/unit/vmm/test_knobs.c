/* SPDX-License-Identifier: MIT */
/* Options from the environment, MSI decoding, and numbers out of /proc text. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "irq.h"
#include "knobs.h"
#include "stats.h"
#include "vm_clock.h"

struct var {
	const char *name, *text;
};

static const char *lookup(void *ctx, const char *name)
{
	for (const struct var *v = ctx; v->name; v++) {
		if (!strcmp(v->name, name))
			return v->text;
	}
	return NULL;
}

static struct knobs read_vars(struct var *vars)
{
	struct knobs k;

	log_init(LOG_ERR, false, NULL, NULL);
	knobs_read(&k, lookup, vars);
	return k;
}

START_TEST(defaults)
{
	struct var none[] = { { NULL, NULL } };
	struct knobs k = read_vars(none);

	ck_assert_str_eq(k.log_filter, "info");
	ck_assert(!k.signal_vtl0_started && !k.cmdline_append);
	ck_assert_uint_eq(k.config_timeout_s, 5);
	ck_assert_int_eq((int)k.force_load, KNOB_LOAD_AUTO);
}
END_TEST

START_TEST(names_and_legacy_names)
{
	struct var vars[] = { { "OPENVMM_LOG", "debug" },
			      { "UNDERHILL_CMDLINE_APPEND", "quiet" },
			      { "OPENHCL_FORCE_LOAD_VTL0_IMAGE", "linux" },
			      { "UNDERHILL_SIGNAL_VTL0_STARTED", "1" }, /* has no legacy name */
			      { "KERNEL_BOOT_TIME", "123456789012" },
			      { "OPENHCL_CONFIG_TIMEOUT_IN_SECONDS", "17" },
			      { "KEEL_FORCE_BOUNCE", "1" },
			      { NULL, NULL } };
	struct knobs k = read_vars(vars);

	ck_assert_str_eq(k.log_filter, "debug");
	ck_assert_str_eq(k.cmdline_append, "quiet");
	ck_assert_int_eq((int)k.force_load, KNOB_LOAD_LINUX);
	ck_assert(!k.signal_vtl0_started);
	ck_assert_uint_eq(k.kernel_boot_ns, 123456789012ull);
	ck_assert_uint_eq(k.config_timeout_s, 17);
	ck_assert(k.force_bounce);
}
END_TEST

START_TEST(nonsense_keeps_defaults)
{
	static const char *const texts[] = { "", "-1", "5x", " 5", "99999999999", "0x10" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct var vars[] = { { "OPENHCL_CONFIG_TIMEOUT_IN_SECONDS", texts[i] },
				      { "OPENHCL_SIGNAL_VTL0_STARTED", "yes" },
				      { NULL, NULL } };
		struct knobs k = read_vars(vars);

		ck_assert_uint_eq(k.config_timeout_s, 5);
		ck_assert(!k.signal_vtl0_started);
	}
}
END_TEST

START_TEST(arguments)
{
	char *argv[] = { (char *)(uintptr_t) "keel", (char *)(uintptr_t) "noxsave",
			 (char *)(uintptr_t) "--pid", (char *)(uintptr_t) "/run/x",
			 (char *)(uintptr_t) "--pid" };
	struct knobs k = { 0 };

	ck_assert_uint_eq(knobs_args(&k, 5, argv), 2);
	ck_assert_str_eq(k.pid_file, "/run/x");
	ck_assert_uint_eq(knobs_args(&k, 0, argv), 0);
}
END_TEST

START_TEST(msi_decode)
{
	struct hvc_interrupt irq;

	ck_assert_int_eq(irq_decode(0xfee0300c, 0x8041, &irq), 0);
	ck_assert_uint_eq(irq.dest, 3);
	ck_assert(irq.logical && irq.level);
	ck_assert_uint_eq(irq.vector, 0x41);
	ck_assert_int_eq((int)irq.type, HV_INT_FIXED);
	/* 15-bit destination */
	ck_assert_int_eq(irq_decode(0xfee01020, 0x0130, &irq), 0);
	ck_assert_uint_eq(irq.dest, 0x101);
	ck_assert_int_eq((int)irq.type, HV_INT_LOWEST);
	/* SMI, ExtINT, another address */
	ck_assert_int_eq(irq_decode(0xfee00000, 0x200, &irq), -EINVAL);
	ck_assert_int_eq(irq_decode(0xfee00000, 0x700, &irq), -EINVAL);
	ck_assert_int_eq(irq_decode(0xfed00000, 0x41, &irq), -EINVAL);
	ck_assert_int_eq(irq_decode(0x1fee00000, 0x41, &irq), -EINVAL);
}
END_TEST

START_TEST(kib_lines)
{
	static const char text[] = "MemTotal:       123456 kB\nMemFree:   7 kB\nX:\n";

	ck_assert_uint_eq(stats_find_kib(text, "MemTotal"), 123456);
	ck_assert_uint_eq(stats_find_kib(text, "MemFree"), 7);
	ck_assert_uint_eq(stats_find_kib(text, "Mem"), 0);
	ck_assert_uint_eq(stats_find_kib(text, "X"), 0);
	ck_assert_uint_eq(stats_find_kib("", "X"), 0);
}
END_TEST

START_TEST(host_time)
{
	struct time_source t;
	uint64_t before, now = loop_now_ns();

	vm_clock_init(&t, NULL);
	before = clock_utc_ns(&t.clock);
	vm_clock_set_utc(&t, 0, now); /* 1601: ignored */
	vm_clock_set_utc(&t, INT64_MAX, now);
	ck_assert_uint_lt(clock_utc_ns(&t.clock) - before, 60 * NS_PER_SEC);
	vm_clock_set_utc(&t, 116444736000000000ll + 10000000, now); /* one second after the epoch */
	ck_assert_uint_lt(clock_utc_ns(&t.clock) - NS_PER_SEC, 60 * NS_PER_SEC);
}
END_TEST

START_TEST(waits_for_start)
{
	char *argv[] = { (char *)(uintptr_t)"keel", (char *)(uintptr_t)"--wait-for-start" };
	struct var vars[] = { { "UNDERHILL_WAIT_FOR_START", "1" }, { NULL, NULL } };
	struct var bad[] = { { "OPENHCL_WAIT_FOR_START", "perhaps" }, { NULL, NULL } };
	struct knobs k = read_vars(vars);

	ck_assert(k.wait_for_start);
	ck_assert_str_eq(knobs_read(&k, lookup, bad), "OPENHCL_WAIT_FOR_START");
	ck_assert(!k.wait_for_start);
	ck_assert_ptr_null(knobs_read(&k, lookup, vars));
	k.wait_for_start = false;
	ck_assert_uint_eq(knobs_args(&k, 2, argv), 0);
	ck_assert(k.wait_for_start);
}
END_TEST

UNIT_MAIN("vmm/knobs", defaults, names_and_legacy_names, nonsense_keeps_defaults, arguments,
	  waits_for_start, msi_decode, kib_lines, host_time)
