/* SPDX-License-Identifier: MIT */
/* Disks towards VTL2 without VTL2: controllers, namespaces, settings, and the verbs about them. */
#include "disk_ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disk_host.h"
#include "disk_plan.h"
#include "fake_part.h"
#include "loop.h"
#include "pci_host.h"
#include "server.h"
#include "unit.h"
#include "vmbus_host.h"
#include "vtl2_settings.h"

#define VPS 3

static struct fake_part *f;
static struct loop *loop;
static struct vmbus_host *vmbus;
static struct pci_host *pci;
static struct disk_host *dh;
static struct disk_opt opts[DISK_OPT_MAX];
static struct disk_ctl *dc;
static struct ctl_verbs verbs[1];
static struct ctl_host *ch;
static int sv[2];
static int modify_result;
static struct vtl2_settings *told; /* by the last modify() */
static char why[300];

static enum hv_status post(void *ctx, uint8_t vtl, uint32_t vp, uint8_t sint,
			   const struct hv_message *msg)
{
	return HV_OK;
}

static enum hv_status signal_event(void *ctx, uint8_t vtl, uint32_t vp, uint8_t sint, uint16_t flag)
{
	return HV_OK;
}

static const struct vmbus_host_synic_ops synic = { .post_message = post,
						   .signal_event = signal_event };

static int modify(void *ctx, const void *doc, size_t len)
{
	struct vtl2s_error err;

	if (modify_result < 0)
		return modify_result;
	vtl2_settings_free(told);
	told = NULL;
	ck_assert_int_eq(vtl2_settings_parse(doc, len, NULL, &told, &err), 0);
	return 0;
}

/* @texts end with NULL. */
static void setup(const char *const *texts)
{
	struct vmbus_host_cfg vcfg = { .vps = VPS, .synic = &synic };
	struct disk_host_cfg dcfg = { .vps = VPS, .opts = opts };
	struct disk_ctl_cfg ccfg = { .opts = opts, .vps = VPS, .modify = modify, .answer_ms = 50 };

	for (; texts[dcfg.n]; dcfg.n++)
		ck_assert_msg(disk_opt_parse(texts[dcfg.n], dcfg.n, &opts[dcfg.n], why,
					     sizeof(why)) == 0,
			      "%s", why);
	f = fake_part_create();
	ck_assert_int_eq(loop_create_io(64, false, &loop), 0);
	vcfg.gm = f->part.gm;
	vcfg.loop = loop;
	ck_assert_int_eq(vmbus_host_create(&vcfg, &vmbus), 0);
	ck_assert_int_eq(pci_host_create(&f->part, &pci), 0);
	dcfg.server = vmbus_host_server(vmbus);
	dcfg.loop = loop;
	dcfg.gm = f->part.gm;
	dcfg.pci = pci;
	ck_assert_msg(disk_host_create(&dcfg, &dh, why, sizeof(why)) == 0, "%s", why);
	ccfg.dh = dh;
	ccfg.loop = loop;
	ck_assert_int_eq(disk_ctl_create(&ccfg, &dc), 0);
	verbs[0] = disk_ctl_verbs(dc);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
	ck_assert_int_eq(ctl_host_create(loop, sv[1], verbs, 1, &ch), 0);
	modify_result = 0;
	told = NULL;
}

static void teardown(void)
{
	ctl_host_destroy(ch);
	disk_ctl_destroy(dc);
	disk_host_destroy(dh);
	pci_host_destroy(pci);
	vmbus_host_destroy(vmbus);
	loop_destroy(loop);
	fake_part_destroy(f);
	vtl2_settings_free(told);
	(void)close(sv[0]);
	(void)close(sv[1]);
}

static void run(void)
{
	for (unsigned i = 0; i < 50; i++)
		loop_poll(loop);
}

/* What is answered at once; "" = nothing yet. */
static const char *answer(void)
{
	static char buf[4096];
	ssize_t n;

	run();
	n = read(sv[0], buf, sizeof(buf) - 1);
	buf[n < 0 ? 0 : n] = 0;
	return buf;
}

static const char *ask(const char *line)
{
	ck_assert_int_eq(write(sv[0], line, strlen(line)), (ssize_t)strlen(line));
	ck_assert_int_eq(write(sv[0], "\n", 1), 1);
	return answer();
}

static bool there(unsigned i)
{
	struct disk_place p;

	return disk_host_place(dh, i, &p);
}

static struct disk_place place(unsigned i)
{
	struct disk_place p;

	(void)disk_host_place(dh, i, &p);
	return p;
}

/* The settings as they stand, read by the paravisor's reader. */
static struct vtl2_settings *settings(int without)
{
	struct vtl2_settings *s = NULL;
	struct vtl2s_error err;
	uint8_t *doc = NULL;
	size_t len = 0;

	ck_assert_int_eq(disk_plan_settings(dh, VPS, without, &doc, &len), 0);
	ck_assert_msg(vtl2_settings_parse(doc, len, NULL, &s, &err) == 0, "%s", err.text);
	free(doc);
	return s;
}

static const char *const two[] = { "ram:1M,id=a", "ram:2M,id=b", NULL };

START_TEST(each_disk_has_its_controller)
{
	struct disk_place a, b;

	setup(two);
	a = place(0);
	b = place(1);
	ck_assert(there(0) && there(1));
	/* Bytes 4 and 5 tell PCI domains apart. */
	ck_assert_uint_ne(a.device.d2, b.device.d2);
	ck_assert_uint_eq(a.nsid, 1);
	ck_assert_uint_eq(b.nsid, 1);
	ck_assert(guid_eq(&a.controller, &b.controller));
	ck_assert_uint_eq(a.location, 0);
	ck_assert_uint_eq(b.location, 1);
	ck_assert_int_eq(disk_host_find(dh, "b"), 1);
	ck_assert_int_eq(disk_host_find(dh, "c"), -ENOENT);
	teardown();
}
END_TEST

START_TEST(disks_share_controllers)
{
	static const char *const texts[] = { "ram:1M,on=3",    "ram:1M",
					     "ram:1M,on=3",    "ram:1M,on=0,as=nvme",
					     "ram:1M,as=ide",  "ram:1M,as=ide",
					     "ram:1M,as=ide",  "ram:1M,as=nvme",
					     "ram:1M,as=scsi", NULL };
	struct disk_place p[9];

	setup(texts);
	for (unsigned i = 0; i < 9; i++)
		p[i] = place(i);
	ck_assert(guid_eq(&p[0].device, &p[2].device));
	ck_assert_uint_eq(p[0].nsid, 1);
	ck_assert_uint_eq(p[2].nsid, 2);
	ck_assert_uint_ne(p[0].device.d2, p[1].device.d2);
	ck_assert_uint_ne(p[1].device.d2, p[3].device.d2);
	ck_assert_uint_eq(p[2].location, 2);
	ck_assert_uint_eq(p[8].location, 3);
	ck_assert_uint_eq(p[3].location, 1);
	ck_assert_uint_eq(p[7].location, 2);
	ck_assert_uint_eq(p[4].channel * 2 + p[4].location, 0);
	ck_assert_uint_eq(p[5].channel * 2 + p[5].location, 1);
	ck_assert_uint_eq(p[6].channel * 2 + p[6].location, 2);
	teardown();
}
END_TEST

START_TEST(settings_say_where_they_are)
{
	static const char *const texts[] = { "ram:1M,id=root", "ram:1M,id=cd,dvd",
					     "ram:1M,id=spare,later", "ram:1M,id=n,as=nvme", NULL };
	struct disk_place p;
	struct vtl2_settings *s;

	setup(texts);
	s = settings(-1);
	ck_assert_uint_eq(s->scsi_sub_channels, VPS - 1);
	ck_assert_uint_eq(s->n_controllers, 2);
	ck_assert_int_eq(s->controllers[0].protocol, VTL2S_SCSI);
	ck_assert_uint_eq(s->controllers[0].n_luns, 2);
	ck_assert_str_eq(s->controllers[0].luns[0].serial, "root");
	ck_assert(!s->controllers[0].luns[0].is_dvd);
	ck_assert(s->controllers[0].luns[1].is_dvd);
	ck_assert_uint_eq(s->controllers[0].luns[1].location, 1);
	ck_assert_uint_eq(s->controllers[0].luns[1].n_devices, 1);
	p = place(1);
	ck_assert(guid_eq(&s->controllers[0].luns[1].devices[0].path, &p.device));
	ck_assert_uint_eq(s->controllers[0].luns[1].devices[0].sub_path, 1);
	ck_assert_int_eq(s->controllers[0].luns[1].devices[0].type, VTL2S_DEV_NVME);
	ck_assert_int_eq(s->controllers[1].protocol, VTL2S_NVME);
	ck_assert_uint_eq(s->controllers[1].luns[0].location, 1);
	vtl2_settings_free(s);
	/* A controller without disks stays. */
	s = settings(3);
	ck_assert_uint_eq(s->n_controllers, 2);
	ck_assert_uint_eq(s->controllers[1].n_luns, 0);
	vtl2_settings_free(s);
	teardown();
}
END_TEST

START_TEST(without_disks_nothing_is_said)
{
	static const char *const none[] = { NULL };
	uint8_t *doc = NULL;
	size_t len = 1;

	setup(none);
	ck_assert_int_eq(disk_plan_settings(dh, VPS, -1, &doc, &len), 0);
	ck_assert_ptr_null(doc);
	ck_assert_uint_eq(len, 0);
	ck_assert_str_eq(ask("disk-list"), "ok\n");
	ck_assert_ptr_nonnull(strstr(ask("disk-add x"), "there is no disk x"));
	teardown();
}
END_TEST

START_TEST(a_disk_that_comes_and_goes)
{
	static const char *const texts[] = { "ram:1M,id=a", "ram:1M,id=b,later", NULL };

	setup(texts);
	ck_assert(!there(1));
	ck_assert_str_eq(ask("disk-add b"), ""); /* the paravisor has not answered */
	ck_assert(there(1));
	ck_assert_uint_eq(told->controllers[0].n_luns, 2);
	disk_ctl_modified(dc, true, "");
	ck_assert_str_eq(answer(), "ok\n");
	ck_assert(!opts[1].later);
	ck_assert_ptr_nonnull(strstr(ask("disk-add b"), "there already"));
	/* And back: first the settings, then the disk. */
	ck_assert_str_eq(ask("disk-remove b"), "");
	ck_assert_uint_eq(told->controllers[0].n_luns, 1);
	ck_assert(there(1));
	disk_ctl_modified(dc, true, "");
	ck_assert_str_eq(answer(), "ok\n");
	ck_assert(!there(1));
	ck_assert(opts[1].later);
	ck_assert_ptr_nonnull(strstr(ask("disk-remove b"), "not there"));
	/* Once its controller has gone it can come again: that is waited for. */
	ck_assert_int_eq(write(sv[0], "disk-remove a\ndisk-add a\n", 25), 25);
	loop_poll(loop);
	disk_ctl_modified(dc, true, "");
	ck_assert_str_eq(answer(), "ok\n");
	for (unsigned i = 0; i < 100 && !there(0); i++) {
		(void)usleep(5000);
		run();
	}
	ck_assert(there(0));
	disk_ctl_modified(dc, true, "");
	ck_assert_str_eq(answer(), "ok\n");
	ck_assert_str_eq(ask("disk-add b"), "");
	disk_ctl_modified(dc, true, "");
	ck_assert_str_eq(answer(), "ok\n");
	teardown();
}
END_TEST

START_TEST(what_the_paravisor_refuses)
{
	static const char *const texts[] = { "ram:1M,id=a", "ram:1M,id=b,later,on=1",
					     "ram:1M,id=c,on=1", NULL };

	setup(texts);
	ck_assert_str_eq(ask("disk-add b"), "");
	disk_ctl_modified(dc, false, "[{\"error\":1}]");
	ck_assert_str_eq(answer(), "error the paravisor says: [{\"error\":1}]\n");
	ck_assert(!there(1));
	ck_assert(opts[1].later);
	/* A removal that is refused leaves the disk. */
	ck_assert_str_eq(ask("disk-remove c"), "");
	disk_ctl_modified(dc, false, "no");
	ck_assert_str_eq(answer(), "error the paravisor says: no\n");
	ck_assert(there(2));
	/* It cannot be told at all. */
	modify_result = -ENOTCONN;
	ck_assert_ptr_nonnull(strstr(ask("disk-add b"), "not there yet"));
	ck_assert(!there(1));
	ck_assert_ptr_nonnull(strstr(ask("disk-remove a"), "not there yet"));
	ck_assert(there(0));
	/* An answer that nobody waits for. */
	disk_ctl_modified(dc, true, "");
	ck_assert_str_eq(answer(), "");
	teardown();
}
END_TEST

START_TEST(a_paravisor_that_does_not_answer)
{
	static const char *const texts[] = { "ram:1M,id=a", "ram:1M,id=b,later", NULL };
	const char *text;

	setup(texts);
	ck_assert_str_eq(ask("disk-add b"), "");
	do {
		text = answer();
	} while (!*text);
	ck_assert_str_eq(text, "error the paravisor does not answer\n");
	ck_assert(there(1));
	ck_assert(!opts[1].later);
	/* Too late. */
	disk_ctl_modified(dc, false, "no");
	ck_assert_str_eq(answer(), "");
	ck_assert(there(1));
	/* The session ends while something waits. */
	ck_assert_str_eq(ask("disk-remove b"), "");
	teardown();
}
END_TEST

START_TEST(surprises)
{
	static const char *const texts[] = { "ram:1M,id=a", "ram:1M,id=b,on=1", "ram:1M,id=c,on=1",
					     NULL };

	setup(texts);
	ck_assert_str_eq(ask("disk-pull b"), "ok\n");
	ck_assert(!there(1) && there(2));
	ck_assert_ptr_null(told);
	ck_assert_str_eq(ask("disk-pull a"), "ok\n");
	ck_assert(!there(0));
	/* A controller goes with all that is on it. */
	ck_assert_str_eq(ask("vpci-rescind c"), "ok\n");
	ck_assert(!there(2));
	ck_assert_ptr_nonnull(strstr(ask("vpci-rescind b"), "not there"));
	ck_assert_ptr_nonnull(strstr(ask("nvme-fault b gone"), "not there"));
	teardown();
}
END_TEST

START_TEST(an_ejection_nobody_answers)
{
	setup(two);
	/* No client is connected: the channel is withdrawn. */
	ck_assert_str_eq(ask("vpci-eject a"), "ok\n");
	ck_assert(!there(0));
	run();
	ck_assert_str_eq(ask("nvme-fault b stuck"), "ok\n");
	ck_assert_ptr_nonnull(strstr(ask("nvme-fault b dead"), "not-ready"));
	teardown();
}
END_TEST

START_TEST(sizes)
{
	static const char *const texts[] = { "ram:4M,id=a,size=1M", NULL };
	struct disk_info info;

	setup(texts);
	disk_host_info(dh, 0, &info);
	ck_assert_uint_eq(info.blocks, 2048);
	ck_assert_str_eq(ask("disk-resize a 3M"), "ok\n");
	disk_host_info(dh, 0, &info);
	ck_assert_uint_eq(info.blocks, 6144);
	ck_assert_ptr_nonnull(strstr(ask("disk-resize a 5M"), "more than"));
	ck_assert_ptr_nonnull(strstr(ask("disk-resize a 1000"), "sectors"));
	ck_assert_ptr_nonnull(strstr(ask("disk-resize a 0"), "sectors"));
	ck_assert_ptr_nonnull(strstr(ask("disk-resize a big"), "512M"));
	ck_assert_ptr_nonnull(strstr(ask("disk-list"), "a there: scsi 0, 3145728 bytes"));
	teardown();
}
END_TEST

/* --- faults ----------------------------------------------------------------------------------- */

static int parse(const char *text, struct disk_fault *ret_f)
{
	char copy[200], *argv[CTL_ARGS], *save = NULL;
	unsigned argc = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	return disk_ctl_fault(argc, argv, ret_f, why, sizeof(why));
}

START_TEST(faults_are_understood)
{
	struct disk_fault x;

	ck_assert_int_eq(parse("op=read op=flush status=read-error count=3", &x), 0);
	ck_assert_uint_eq(x.op_mask, 1u << DISK_READ | 1u << DISK_FLUSH);
	ck_assert_uint_eq(x.status, NVME_UNRECOVERED_READ);
	ck_assert_uint_eq(x.count, 3);
	ck_assert(!x.drop);
	ck_assert_int_eq(parse("status=0x123 blocks=16+8", &x), 0);
	ck_assert_uint_eq(x.op_mask, ~0u);
	ck_assert_uint_eq(x.status, 0x123);
	ck_assert_uint_eq(x.lba, 16);
	ck_assert_uint_eq(x.blocks, 8);
	ck_assert_int_eq(parse("drop op=write", &x), 0);
	ck_assert(x.drop);
	ck_assert_int_eq(parse("delay=500", &x), 0);
	ck_assert_uint_eq(x.delay_ms, 500);
	ck_assert_int_eq(parse("off", &x), 0);
	ck_assert_uint_eq(x.op_mask, 0);
}
END_TEST

START_TEST(faults_that_make_no_sense)
{
	static const char *const bad[] = { "op=read",	     "status=0x800",   "status=-1",
					   "status=",	     "delay=x",	       "dropp",
					   "drop off",	     "count=5",	       "drop blocks=1",
					   "drop blocks=1+", "drop blocks=+1", "drop blocks=1+0",
					   "drop op=erase",  "drop when=now" };
	struct disk_fault x;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		why[0] = 0;
		ck_assert_msg(parse(bad[i], &x) == -EINVAL, "%s", bad[i]);
		ck_assert_uint_gt(strlen(why), 10);
	}
	setup(two);
	ck_assert_ptr_nonnull(strstr(ask("disk-fault a op=read"), "needs status="));
	ck_assert_str_eq(ask("disk-fault a op=read drop count=1"), "ok\n");
	ck_assert_str_eq(ask("disk-fault a off"), "ok\n");
	teardown();
}
END_TEST

UNIT_MAIN("hvhost/disk_ctl", each_disk_has_its_controller, disks_share_controllers,
	  settings_say_where_they_are, without_disks_nothing_is_said, a_disk_that_comes_and_goes,
	  what_the_paravisor_refuses, a_paravisor_that_does_not_answer, surprises,
	  an_ejection_nobody_answers, sizes, faults_are_understood, faults_that_make_no_sense)
