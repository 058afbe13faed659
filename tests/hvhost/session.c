/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "com3.h"
#include "core_stream.h"
#include "ctl_host.h"
#include "disk_ctl.h"
#include "disk_host.h"
#include "disk_plan.h"
#include "dump_host.h"
#include "get_host.h"
#include "hvpart.h"
#include "ic_host.h"
#include "igvm_boot.h"
#include "log.h"
#include "loop.h"
#include "pci_host.h"
#include "serial_host.h"
#include "synic_host.h"
#include "vmbus_host.h"
#include "vp_host.h"
#include "vsock_host.h"

#define LOG_AREA "session"

#define LOOP_ENTRIES 256
#define RAM_UNIT (2ull << 20)

struct session {
	const struct session_cfg *cfg;
	struct session_report *rep;
	struct hvpart *part;
	struct igvm_image image;
	struct loop *loop;
	struct loop_fd stop_lfd, end_lfd, console_lfd;
	bool stop_watched, end_watched, console_watched;
	struct get_host *get;
	struct serial_host *serial[SESSION_COMS];
	struct vsock_host *vsock;
	struct dump_host *dump;
	struct ic_host *components; /* NULL: VTL0 has no VMBus of this host */
	struct gmem *vtl0_gm; /* what the host may touch for VTL0; NULL: nothing */
	struct disk_host *disks; /* NULL: none */
	struct disk_ctl *disk_ctl;
	struct ctl_verbs verbs[2];
	struct ctl_host *ctl;
	uint32_t threads; /* VP threads that run */
};

static uint64_t since_start(const struct session *s)
{
	return loop_now_ns() - s->part->start_ns;
}

/* Pass an error on and say why, once. */
static int fail(struct session *s, int err, const char *what)
{
	if (err < 0 && !s->rep->text[0])
		snprintf(s->rep->text, sizeof(s->rep->text), "%s: %s", what, strerror(-err));
	return err;
}

/* A line for the summary; when there is no more room the first ones are what counts. */
static void add_note(struct session *s, const char *fmt, ...) printf_like(2, 3);
static void add_note(struct session *s, const char *fmt, ...)
{
	char line[400];
	size_t len = strlen(s->rep->notes);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0 && len + strlen(line) + 2 < sizeof(s->rep->notes))
		snprintf(s->rep->notes + len, sizeof(s->rep->notes) - len, "%s\n", line);
}

/* --- callbacks on the device thread ----------------------------------------------------------- */

static enum vtl_index index_of(uint8_t vtl)
{
	return vtl == 2 ? VTL2 : VTL0;
}

static enum hv_status on_post(void *ctx, uint8_t vtl, uint32_t vp, uint8_t sint,
			      const struct hv_message *msg)
{
	struct session *s = ctx;
	struct hvvp *target = part_vp(s->part, vp);

	return target ? synic_host_post(target, index_of(vtl), sint, msg) : HV_INVALID_VP_INDEX;
}

static enum hv_status on_signal_event(void *ctx, uint8_t vtl, uint32_t vp, uint8_t sint,
				      uint16_t flag)
{
	struct session *s = ctx;
	struct hvvp *target = part_vp(s->part, vp);

	return target ? synic_host_signal(target, index_of(vtl), sint, flag, NULL)
		      : HV_INVALID_VP_INDEX;
}

static const struct vmbus_host_synic_ops synic_ops = {
	.post_message = on_post,
	.signal_event = on_signal_event,
};

static void on_vmbus(void *ctx, uint32_t version)
{
	struct session *s = ctx;

	if (!version) /* it has left */
		return;
	if (!s->rep->vmbus_ns)
		s->rep->vmbus_ns = since_start(s);
	log_info(ALLOWED, "VTL2's kernel is on VMBus, version %u.%u", version >> 16,
		 version & 0xffff);
}

static void on_get(void *ctx)
{
	struct session *s = ctx;

	if (!s->rep->get_ns)
		s->rep->get_ns = since_start(s);
	log_info(ALLOWED, "the paravisor is on GET");
}

static void on_power_off(void *ctx, bool hibernate)
{
	struct session *s = ctx;

	part_end(s->part, hibernate ? SESSION_HIBERNATE : SESSION_POWER_OFF, "VTL0 %s",
		 hibernate ? "hibernated" : "powered off");
}

static void on_reset(void *ctx)
{
	struct session *s = ctx;

	part_end(s->part, SESSION_RESET, "VTL0 restarts");
}

static void on_start_vtl0(void *ctx, bool ok, const char *text)
{
	struct session *s = ctx;

	if (!ok) {
		part_end(s->part, SESSION_START_FAILED, "the paravisor could not start VTL0: %s",
			 text ? text : "no reason given");
		return;
	}
	s->rep->vtl0_started = true;
	if (!s->rep->vtl0_start_ns)
		s->rep->vtl0_start_ns = since_start(s);
	log_info(ALLOWED, "VTL0 starts");
}

static void on_crash(void *ctx, const struct get_host_crash *c)
{
	struct session *s = ctx;
	char text[256];

	snprintf(text, sizeof(text),
		 "VTL%u crashed on vp %u: parameters %#llx %#llx %#llx %#llx %#llx, control %#llx",
		 c->last_vtl, c->vp, (unsigned long long)c->params[0],
		 (unsigned long long)c->params[1], (unsigned long long)c->params[2],
		 (unsigned long long)c->params[3], (unsigned long long)c->params[4],
		 (unsigned long long)c->control);
	log_warn_rl(CONF, "%s", text);
	add_note(s, "%s", text);
}

static void on_triple_fault(void *ctx, uint32_t vp, uint32_t type, const char *regs_text)
{
	struct session *s = ctx;
	const bool some = regs_text && *regs_text;

	log_warn_rl(CONF, "vp %u: VTL0 triple fault (%u): %s", vp, type,
		    some ? regs_text : "no registers");
	add_note(s, "VTL0 triple fault on vp %u: %s", vp, some ? regs_text : "no registers");
}

static void on_event(void *ctx, uint32_t event_id)
{
	(void)ctx;
	log_info_rl(ALLOWED, "the paravisor reports event %u", event_id);
}

static void on_modified(void *ctx, bool ok, const char *json)
{
	struct session *s = ctx;

	if (s->disk_ctl)
		disk_ctl_modified(s->disk_ctl, ok, json && *json ? json : "no reason given");
}

static const struct get_host_ops get_ops = {
	.connected = on_get,
	.power_off = on_power_off,
	.reset = on_reset,
	.start_vtl0 = on_start_vtl0,
	.crash = on_crash,
	.triple_fault = on_triple_fault,
	.event = on_event,
	.modified = on_modified,
};

static void on_stop(void *ctx, uint32_t events)
{
	struct session *s = ctx;
	uint64_t how = SESSION_STOP_NOW;

	(void)events;
	(void)!read(s->cfg->stop_fd, &how, sizeof(how));
	if (how < SESSION_STOP_NOW && s->components && ic_host_shutdown(s->components) == 0) {
		log_info(ALLOWED, "VTL0 is asked to shut down");
		return;
	}
	part_end(s->part, SESSION_STOPPED, "stopped");
	loop_stop(s->loop);
}

static void on_end(void *ctx, uint32_t events)
{
	struct session *s = ctx;

	(void)events;
	loop_stop(s->loop);
}

static void on_console(void *ctx, uint32_t events)
{
	struct session *s = ctx;
	uint8_t buf[64];
	ssize_t n = events & POLLIN ? read(s->cfg->vtl2_console_in, buf, sizeof(buf)) : 0;

	if (n > 0) {
		com3_input(s->part->com3, buf, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		loop_fd_remove(&s->console_lfd);
		s->console_watched = false;
	}
}

/* --- set-up ----------------------------------------------------------------------------------- */

static int check_cfg(struct session *s)
{
	const struct session_cfg *cfg = s->cfg;

	if (cfg->vps < 1 || cfg->vps > SESSION_MAX_VPS) {
		snprintf(s->rep->text, sizeof(s->rep->text), "%u processors: 1 to %u are possible",
			 cfg->vps, SESSION_MAX_VPS);
		return -EINVAL;
	}
	return 0;
}

/* What the host may touch on behalf of VTL0: everything but VTL2's memory. */
static int make_vtl0_view(const struct hvpart *part, struct gmem **ret_gm)
{
	struct gmem_region regions[2 * MEM_MAX_RAM];
	const gpa_t gap = part->mem.vtl2_base, gap_end = gap + part->mem.vtl2_size;
	size_t n = 0;

	for (size_t i = 0; i < part->mem.n_ram; i++) {
		const struct mem_ram *ram = &part->mem.ram[i];
		const gpa_t end = ram->gpa + ram->len;
		const gpa_t below = MIN(end, gap), above = MAX(ram->gpa, gap_end);
		uint8_t *map = part->mem.host_map + ram->off;

		if (ram->gpa < below)
			regions[n++] = (struct gmem_region){ ram->gpa, below - ram->gpa, map };
		if (above < end)
			regions[n++] = (struct gmem_region){ above, end - above,
							     map + (above - ram->gpa) };
	}
	return gmem_create(regions, n, ret_gm);
}

static int make_view(const struct hvpart *part, uint8_t *map, struct gmem **ret_gm)
{
	struct gmem_region regions[MEM_MAX_RAM];

	for (size_t i = 0; i < part->mem.n_ram; i++)
		regions[i] = (struct gmem_region){ part->mem.ram[i].gpa, part->mem.ram[i].len,
						   map + part->mem.ram[i].off };
	return gmem_create(regions, part->mem.n_ram, ret_gm);
}

static int make_memory(struct session *s)
{
	struct hvpart *part = s->part;
	gpa_t base;
	uint64_t vtl2 = igvm_boot_vtl2_size(&s->image, &base);
	uint64_t vtl0 = s->cfg->memory_bytes / RAM_UNIT * RAM_UNIT;
	int r;

	if (!vtl2) {
		snprintf(s->rep->text, sizeof(s->rep->text),
			 "the image asks for no VTL2 memory: it is not a paravisor image");
		return -EINVAL;
	}
	r = mem_host_plan(&part->mem, vtl0, vtl2, base);
	if (r < 0)
		return fail(s, r, "this amount of memory is not possible");
	part->mem.isolated = part->isolated;
	r = mem_host_create(&part->mem, part->vtl[VTL0].vm, part->vtl[VTL2].vm, s->cfg->faithful);
	if (r < 0)
		return fail(s, r, "guest memory could not be set up");
	r = make_view(part, part->mem.map, &part->gm);
	part->host_gm = part->gm;
	if (r == 0 && part->isolated)
		r = make_view(part, part->mem.host_map, &part->host_gm);
	/* An isolated VTL0 keeps its memory from the host: rings in it would be of no use. */
	if (r == 0 && !part->isolated)
		r = make_vtl0_view(part, &s->vtl0_gm);
	return fail(s, r, "guest memory");
}

static int watch(struct session *s)
{
	int r;

	r = loop_fd_add(&s->end_lfd, s->loop, s->part->end_fd, POLLIN, on_end, s);
	s->end_watched = r == 0;
	if (r == 0 && s->cfg->stop_fd >= 0) {
		r = loop_fd_add(&s->stop_lfd, s->loop, s->cfg->stop_fd, POLLIN, on_stop, s);
		s->stop_watched = r == 0;
	}
	if (r == 0 && s->cfg->vtl2_console_in >= 0) {
		r = loop_fd_add(&s->console_lfd, s->loop, s->cfg->vtl2_console_in, POLLIN,
				on_console, s);
		s->console_watched = r == 0;
	}
	return r;
}

static uint64_t reference_time(void *ctx)
{
	const struct session *s = ctx;

	return part_ref_time(s->part);
}

static int make_components(struct session *s)
{
	const struct ic_host_cfg cfg = {
		.server = vmbus_host_vtl0_server(s->part->vmbus),
		.loop = s->loop,
		.reference_time = reference_time,
		.ctx = s,
	};

	return cfg.server ? ic_host_create(&cfg, &s->components) : 0;
}

static int modify_settings(void *ctx, const void *doc, size_t len)
{
	struct session *s = ctx;

	return get_host_modify(s->get, doc, len, true);
}

static int make_disks(struct session *s)
{
	const struct session_cfg *cfg = s->cfg;
	const struct disk_host_cfg dcfg = { .server = vmbus_host_server(s->part->vmbus),
					    .loop = s->loop,
					    .gm = s->part->host_gm,
					    .pci = s->part->pci,
					    .vps = cfg->vps,
					    .opts = cfg->disks,
					    .n = cfg->n_disks };
	struct disk_ctl_cfg ccfg = { .opts = cfg->disks,
				     .vps = cfg->vps,
				     .loop = s->loop,
				     .modify = modify_settings,
				     .ctx = s };
	char why[200];
	int r;

	r = disk_host_create(&dcfg, &s->disks, why, sizeof(why));
	if (r < 0)
		snprintf(s->rep->text, sizeof(s->rep->text), "%s", why);
	if (r < 0 || cfg->ctl_fd < 0)
		return r;
	ccfg.dh = s->disks;
	r = disk_ctl_create(&ccfg, &s->disk_ctl);
	if (r < 0)
		return r;
	s->verbs[1] = disk_ctl_verbs(s->disk_ctl);
	return 0;
}

static void do_status(void *ctx, struct ctl_host *ch, unsigned argc, char **argv)
{
	const struct session *s = ctx;

	(void)argc;
	(void)argv;
	ctl_host_print(ch, "%llu ms: VTL0 %s", (unsigned long long)(since_start(s) / 1000000),
		       s->rep->vtl0_started ? "started" : "has not started");
	ctl_host_ok(ch);
}

static void do_shutdown(void *ctx, struct ctl_host *ch, unsigned argc, char **argv)
{
	struct session *s = ctx;

	(void)argc;
	(void)argv;
	if (s->components && ic_host_shutdown(s->components) == 0)
		ctl_host_ok(ch);
	else
		ctl_host_error(ch, "VTL0 does not listen");
}

static const struct ctl_verb session_verbs[] = {
	{ "status", "", 0, 0, do_status },
	{ "shutdown", "", 0, 0, do_shutdown },
};

static int make_control(struct session *s)
{
	if (s->cfg->ctl_fd < 0)
		return 0;
	s->verbs[0] = (struct ctl_verbs){ session_verbs, ARRAY_SIZE(session_verbs), s };
	return ctl_host_create(s->loop, s->cfg->ctl_fd, s->verbs, ARRAY_SIZE(s->verbs), &s->ctl);
}

static int make_get(struct session *s, const struct get_host_cfg *base)
{
	struct get_host_cfg cfg = *base;
	auto_free uint8_t *doc = NULL;
	int r = 0;

	if (s->disks)
		r = disk_plan_settings(s->disks, s->cfg->vps, -1, &doc, &cfg.settings_len);
	if (r < 0)
		return r;
	cfg.settings = doc;
	return get_host_create(&cfg, &s->get);
}

static int make_devices(struct session *s)
{
	const struct session_cfg *cfg = s->cfg;
	const struct vmbus_host_cfg vcfg = {
		.gm = s->part->host_gm,
		.vtl0_gm = s->vtl0_gm,
		.loop = s->loop,
		.vps = cfg->vps,
		.synic = &synic_ops,
		.ctx = s,
		.connected = on_vmbus,
	};
	struct get_host_cfg gcfg = { .loop = s->loop,
				     .ops = &get_ops,
				     .ctx = s,
				     .log_fd = cfg->vtl2_log_fd,
				     .log_json = cfg->vtl2_log_json };
	int r = vmbus_host_create(&vcfg, &s->part->vmbus);

	if (r == 0)
		r = make_components(s);
	if (r == 0)
		r = pci_host_create(s->part, &s->part->pci);
	if (r == 0)
		r = make_disks(s);
	if (r < 0)
		return r;
	gcfg.server = vmbus_host_server(s->part->vmbus);
	gcfg.vmbus_redirection = s->components;
	for (unsigned int i = 0; i < SESSION_COMS; i++) {
		gcfg.com_enabled[i] = cfg->com_in[i] >= 0 || cfg->com_out[i] >= 0;
		gcfg.com_vmbus_redirector[i] = gcfg.com_enabled[i];
	}
	r = make_get(s, &gcfg);
	if (r == 0)
		r = make_control(s);
	for (unsigned int i = 0; i < SESSION_COMS && r == 0; i++) {
		const struct serial_host_cfg scfg = {
			.server = gcfg.server,
			.loop = s->loop,
			.port = i,
			.in_fd = cfg->com_in[i],
			.out_fd = cfg->com_out[i],
		};

		if (gcfg.com_enabled[i])
			r = serial_host_create(&scfg, &s->serial[i]);
	}
	if (r == 0) {
		const struct dump_host_cfg dcfg = { .server = gcfg.server,
						    .loop = s->loop,
						    .out_fd = cfg->core_fd,
						    .max_bytes = CORE_BYTES_MAX };

		r = dump_host_create(&dcfg, &s->dump);
	}
	if (r == 0 && cfg->vsock_path) {
		const struct vsock_host_cfg vs = { .server = gcfg.server,
						   .loop = s->loop,
						   .path = cfg->vsock_path };

		r = vsock_host_create(&vs, &s->vsock);
		if (r < 0)
			snprintf(s->rep->text, sizeof(s->rep->text), "socket %s: %s",
				 cfg->vsock_path, strerror(-r));
	}
	return r;
}

static int start_vps(struct session *s)
{
	struct hvpart *part = s->part;

	for (uint32_t i = 0; i < part->n_vps; i++) {
		int r = vp_host_start(&part->vps[i]);

		if (r < 0)
			return r;
		s->threads++;
	}
	/* The first processor begins in VTL2; the others when VTL2 says so. */
	atomic_store(&part->vps[0].vtl2_enabled, true);
	atomic_store(&part->vps[0].start_claimed, true);
	s->rep->shim_entry_ns = since_start(s);
	vp_host_go(&part->vps[0]);
	return 0;
}

static bool is_isolated(const struct session *s)
{
	if (s->cfg->isolation == SESSION_ISO_IMAGE)
		return igvm_vsm_isolation(s->image.file) != IGVM_VSM_NONE;
	return s->cfg->isolation == SESSION_ISO_VBS;
}

static int make_partition(struct session *s)
{
	const struct part_cfg pcfg = { .vps = s->cfg->vps,
				       .faithful = s->cfg->faithful,
				       .isolated = is_isolated(s) };
	const char *why = "";
	int r = part_create(s->part, &pcfg, &why);

	if (r < 0)
		snprintf(s->rep->text, sizeof(s->rep->text), "%s (%s)", why, strerror(-r));
	return r;
}

static int set_up(struct session *s)
{
	char *text = s->rep->text;
	size_t size = sizeof(s->rep->text);
	int r;

	r = vp_host_init();
	if (r == 0)
		r = gm_install_fault_handler();
	if (r == 0)
		r = make_memory(s);
	s->part->vtl2_console = s->cfg->vtl2_console_out >= 0;
	if (r == 0)
		r = igvm_boot_load(s->part, &s->image,
				   s->cfg->vtl2_cmdline ? s->cfg->vtl2_cmdline : "", text, size);
	if (r == 0)
		r = fail(s, com3_create(s->cfg->vtl2_console_out, &s->part->com3),
			 "VTL2's console");
	if (r == 0)
		r = fail(s, loop_create_io(LOOP_ENTRIES, false, &s->loop), "event loop");
	if (r == 0)
		r = fail(s, watch(s), "event loop");
	if (r == 0)
		r = fail(s, make_devices(s), "host devices");
	if (r == 0)
		r = fail(s, start_vps(s), "processor threads");
	return r;
}

/* --- tear-down -------------------------------------------------------------------------------- */

static void stop_vps(struct session *s)
{
	part_end(s->part, SESSION_STOPPED, "stopped");
	for (uint32_t i = 0; i < s->threads; i++)
		vp_host_join(&s->part->vps[i]);
}

static void tear_down(struct session *s)
{
	ctl_host_destroy(s->ctl);
	disk_ctl_destroy(s->disk_ctl);
	s->disk_ctl = NULL;
	disk_host_destroy(s->disks);
	for (unsigned int i = 0; i < SESSION_COMS; i++)
		serial_host_destroy(s->serial[i]);
	vsock_host_destroy(s->vsock);
	dump_host_destroy(s->dump);
	get_host_destroy(s->get);
	ic_host_destroy(s->components);
	if (s->part->vmbus)
		vmbus_host_destroy(s->part->vmbus);
	pci_host_destroy(s->part->pci);
	if (s->stop_watched)
		loop_fd_remove(&s->stop_lfd);
	if (s->end_watched)
		loop_fd_remove(&s->end_lfd);
	if (s->console_watched)
		loop_fd_remove(&s->console_lfd);
	if (s->loop)
		loop_destroy(s->loop);
	com3_destroy(s->part->com3);
	if (s->part->host_gm != s->part->gm)
		gmem_destroy(s->part->host_gm);
	gmem_destroy(s->part->gm);
	gmem_destroy(s->vtl0_gm);
	part_destroy(s->part);
}

static void report_log(struct session *s)
{
	struct gel_host_counts n;

	get_host_log_counts(s->get, &n);
	for (size_t i = 0; i < ARRAY_SIZE(n.records); i++)
		s->rep->log_records += n.records[i];
	s->rep->log_violations = n.violations;
	s->rep->log_lost = n.lost;
}

static void report(struct session *s)
{
	const struct hvpart *part = s->part;
	struct session_report *rep = s->rep;

	if (part->panic_text)
		dump_host_file(s->dump, "panic", part->panic_text, strlen(part->panic_text));
	rep->end = part->end;
	report_log(s);
	rep->kernel_entry_ns = atomic_load(&part->kernel_entry_ns);
	snprintf(rep->text, sizeof(rep->text), "%s", part->end_text);
	for (uint32_t i = 0; i < part->n_vps; i++) {
		for (unsigned int k = 0; k < ARRAY_SIZE(rep->vtl0_exits); k++) {
			rep->vtl0_exits[k] += part->vps[i].exits[VTL0][k];
			rep->vtl2_exits[k] += part->vps[i].exits[VTL2][k];
		}
	}
	log_info(ALLOWED, "ended after %llu ms: %s", (unsigned long long)(since_start(s) / 1000000),
		 rep->text);
	if (part->isolated)
		log_info(ALLOWED,
			 "isolated by VBS: %llu of %llu pages accepted, %llu shared with the host, "
			 "%llu accesses of the host to private memory refused",
			 (unsigned long long)part->mem.n_accepted,
			 (unsigned long long)(part->mem.size >> KEEL_PAGE_SHIFT),
			 (unsigned long long)part->mem.n_shared, (unsigned long long)gm_faults());
	if (atomic_load(&part->vtl2_memory_hits))
		log_info(ALLOWED, "VTL0 accesses to VTL2 memory, all caught: %llu",
			 (unsigned long long)atomic_load(&part->vtl2_memory_hits));
}

static int run_image(struct session *s)
{
	int r = make_partition(s);

	if (r < 0)
		return r;
	r = set_up(s);
	if (r == 0)
		r = fail(s, loop_run(s->loop), "event loop");
	stop_vps(s);
	if (r == 0)
		report(s);
	tear_down(s);
	return r;
}

int session_run(const struct session_cfg *cfg, struct session_report *ret_report)
{
	struct session *s;
	int r;

	memset(ret_report, 0, sizeof(*ret_report));
	s = calloc(1, sizeof(*s));
	if (s)
		s->part = calloc(1, sizeof(*s->part));
	if (!s || !s->part) {
		free(s);
		return -ENOMEM;
	}
	s->cfg = cfg;
	s->rep = ret_report;
	r = check_cfg(s);
	if (r == 0)
		r = igvm_boot_open(cfg->image_path, &s->image, ret_report->text,
				   sizeof(ret_report->text));
	if (r == 0) {
		r = run_image(s);
		igvm_boot_close(&s->image);
	}
	free(s->part);
	free(s);
	return r;
}
