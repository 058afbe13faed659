/* SPDX-License-Identifier: MIT */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "disk_opt.h"
#include "link.h"
#include "log.h"
#include "log_format.h"
#include "outer.h"
#include "record.h"
#include "session.h"
#include "vsock_host.h"

#define LOG_AREA "agent"
#define STATUS_FAILED 125
#define LOG_PIPE_BYTES (1 << 20)

struct agent {
	struct link *link;
	struct session_cfg cfg;
	char image[256], cmdline[4096], vsock[108];
	struct disk_opt disks[DISK_OPT_MAX];
	bool configured, no_reboot, running, finished;
	bool record, vtl2_log;
	bool dial; /* VTL2's connections to the host go through the front end */
	int dial_fd;
	enum log_level level;
	pthread_t thread;
	int log_pipe[2];
	int report_pipe[2]; /* session thread -> main: struct session_report */
	int ack_pipe[2]; /* main -> session thread: reported, everything before it is on the link */
	int status;
};

static void log_to_pipe(void *ctx, const struct log_record *rec)
{
	struct agent *a = ctx;
	char buf[LOG_LINE_MAX + 1];
	size_t len = log_format_plain(rec, buf);

	buf[len] = '\n';
	/* The pipe never blocks: a front end that stopped reading must not stop the VM. */
	(void)!write(a->log_pipe[1], buf, len + 1);
}

/* Runs sessions one after the other: a restart of the guest is a new session on the same streams.
 */
static void *session_thread(void *ctx)
{
	struct agent *a = ctx;
	struct session_report rep;
	char ack;

	do {
		int r;

		memset(&rep, 0, sizeof(rep));
		r = session_run(&a->cfg, &rep);
		if (r < 0) {
			rep.end = SESSION_START_FAILED;
			if (!rep.text[0])
				snprintf(rep.text, sizeof(rep.text), "session failed: %s",
					 strerror(-r));
		}
		if (write(a->report_pipe[1], &rep, sizeof(rep)) != (ssize_t)sizeof(rep) ||
		    read(a->ack_pipe[0], &ack, 1) != 1)
			break;
	} while (rep.end == SESSION_RESET && !a->no_reboot);
	(void)close(a->report_pipe[1]);
	return NULL;
}

static void set_text(char *dst, size_t size, const char *src)
{
	snprintf(dst, size, "%s", src);
}

static void config_disk(struct agent *a, const char *text)
{
	char why[256];
	unsigned n = a->cfg.n_disks;

	if (n == DISK_OPT_MAX || disk_opt_parse(text, n, &a->disks[n], why, sizeof(why)) < 0)
		return; /* the front end has parsed it, too */
	outer_disk_path(a->disks[n].path, sizeof(a->disks[n].path));
	a->cfg.n_disks++;
}

static void config_line(struct agent *a, char *key, char *val)
{
	if (strcmp(key, "image") == 0)
		set_text(a->image, sizeof(a->image), val);
	else if (strcmp(key, "cmdline") == 0)
		set_text(a->cmdline, sizeof(a->cmdline), val);
	else if (strcmp(key, "vsock") == 0)
		set_text(a->vsock, sizeof(a->vsock), val);
	else if (strcmp(key, "vtl2_log") == 0)
		a->vtl2_log = *val == '1';
	else if (strcmp(key, "vtl2_log_json") == 0)
		a->cfg.vtl2_log_json = *val == '1';
	else if (strcmp(key, "record") == 0)
		a->record = *val == '1';
	else if (strcmp(key, "dial") == 0)
		a->dial = *val == '1';
	else if (strcmp(key, "disk") == 0)
		config_disk(a, val);
	else if (strcmp(key, "vps") == 0)
		a->cfg.vps = (uint32_t)strtoul(val, NULL, 10);
	else if (strcmp(key, "memory") == 0)
		a->cfg.memory_bytes = strtoull(val, NULL, 10);
	else if (strcmp(key, "faithful") == 0)
		a->cfg.faithful = *val == '1';
	else if (strcmp(key, "isolation") == 0)
		a->cfg.isolation = (enum session_isolation)strtoul(val, NULL, 10);
	else if (strcmp(key, "no_reboot") == 0)
		a->no_reboot = *val == '1';
	else if (strcmp(key, "com2") == 0)
		a->cfg.com_in[1] = a->cfg.com_out[1] = *val == '1' ? 0 : -1;
	else if (strcmp(key, "console") == 0)
		a->cfg.vtl2_console_in = a->cfg.vtl2_console_out = *val == '1' ? 0 : -1;
	else if (strcmp(key, "log_level") == 0 && log_level_parse(val, &a->level) < 0)
		a->level = LOG_INFO;
}

/* In the outer VM VTL2 cannot see the front end's sockets: here it says which one it wants. */
static void listen_dial(struct agent *a)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s" VSOCK_DIAL_SUFFIX, a->vsock);

	(void)unlink(sun.sun_path);
	if (fd < 0 || n < 0 || (size_t)n >= sizeof(sun.sun_path) ||
	    bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || listen(fd, 16) < 0) {
		if (fd >= 0)
			(void)close(fd);
		return; /* then VTL2 cannot dial, and everything else works */
	}
	a->dial_fd = fd;
}

/* One stream's two ends: the link keeps one, the session the other. */
static int make_stream(struct agent *a, unsigned stream, int *ret_in, int *ret_out)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
		return -errno;
	link_attach(a->link, stream, sv[0], sv[0], false);
	*ret_in = *ret_out = sv[1];
	return 0;
}

static int make_streams(struct agent *a)
{
	int r = make_stream(a, LINK_COM1, &a->cfg.com_in[0], &a->cfg.com_out[0]);

	if (r == 0)
		r = make_stream(a, LINK_CORE, &a->cfg.core_fd, &a->cfg.core_fd);
	if (r == 0)
		r = make_stream(a, LINK_CTL, &a->cfg.ctl_fd, &a->cfg.ctl_fd);
	if (r == 0 && a->cfg.com_in[1] >= 0)
		r = make_stream(a, LINK_COM2, &a->cfg.com_in[1], &a->cfg.com_out[1]);
	if (r == 0 && a->cfg.vtl2_console_out >= 0)
		r = make_stream(a, LINK_VTL2_CONSOLE, &a->cfg.vtl2_console_in,
				&a->cfg.vtl2_console_out);
	return r;
}

/* Like our own log: a front end that stopped reading must not stop the VM. */
static int make_vtl2_log(struct agent *a)
{
	int fds[2];

	if (!a->vtl2_log)
		return 0;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	(void)fcntl(fds[1], F_SETPIPE_SZ, LOG_PIPE_BYTES);
	link_attach(a->link, LINK_VTL2_LOG, fds[0], -1, false);
	a->cfg.vtl2_log_fd = fds[1];
	return 0;
}

/* The session's end waits for the front end: nothing is lost. */
static int make_record(struct agent *a)
{
	int sv[2];

	if (!a->record)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	link_attach(a->link, LINK_RECORD, sv[0], -1, false);
	record_open(sv[1]);
	return 0;
}

static void configure(struct agent *a, const char *text)
{
	char *copy = strdup(text), *save = NULL;

	if (!copy || a->configured) {
		free(copy);
		return;
	}
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *eq = strchr(line, '=');

		if (eq) {
			*eq = 0;
			config_line(a, line, eq + 1);
		}
	}
	free(copy);
	a->cfg.image_path = a->image;
	a->cfg.disks = a->disks;
	a->cfg.vtl2_cmdline = a->cmdline;
	a->cfg.vsock_path = a->vsock[0] ? a->vsock : NULL;
	log_init(a->level, false, log_to_pipe, a);
	a->configured = true;
	if (a->dial && a->vsock[0])
		listen_dial(a);
	if (make_streams(a) < 0 || make_record(a) < 0 || make_vtl2_log(a) < 0 ||
	    pthread_create(&a->thread, NULL, session_thread, a) != 0) {
		a->status = STATUS_FAILED;
		a->finished = true;
		return;
	}
	a->running = true;
}

/* A vsock client of the front end: become a client of the session's own socket. */
static void open_vsock(struct agent *a, unsigned stream)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	set_text(sun.sun_path, sizeof(sun.sun_path), a->vsock);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		(void)close(fd);
		fd = -1;
	}
	if (fd < 0) /* no listener yet: an fd at its end makes the link close the stream */
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	link_attach(a->link, stream, fd, fd, false);
}

/* The dialler is our own session: its line is there as soon as it is connected. */
static void accept_dial(struct agent *a)
{
	const struct timeval limit = { .tv_sec = 1 };
	int fd = accept4(a->dial_fd, NULL, NULL, SOCK_CLOEXEC);
	int stream = fd < 0 ? -1 : link_free_stream(a->link, true);
	char line[64] = "";
	size_t n = 0;

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	while (stream >= 0 && n < sizeof(line) - 1 && read(fd, line + n, 1) == 1 && line[n] != '\n')
		n++;
	if (stream < 0 || line[n] != '\n') {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	line[n] = 0;
	link_attach(a->link, (unsigned)stream, fd, fd, false);
	(void)!link_control(a->link, LINK_OPEN, (unsigned)stream, line);
}

static void on_control(void *ctx, enum link_type type, unsigned stream, const char *text)
{
	struct agent *a = ctx;
	const uint64_t how = strcmp(text, "ask") == 0 ? SESSION_STOP_ASK : SESSION_STOP_NOW;

	switch (type) {
	case LINK_CONFIG:
		configure(a, text);
		break;
	case LINK_STOP:
		(void)!write(a->cfg.stop_fd, &how, sizeof(how));
		break;
	case LINK_OPEN:
		if (stream >= LINK_FIRST_VSOCK)
			open_vsock(a, stream);
		break;
	case LINK_DATA:
	case LINK_EOF:
	case LINK_CREDIT:
	case LINK_REPORT:
	case LINK_END:
		break;
	}
}

static const struct link_ops agent_link_ops = { .control = on_control };

static void append_counts(char *buf, size_t size, const char *key, const uint64_t *n)
{
	size_t len = strlen(buf);

	len += (size_t)snprintf(buf + len, size - len, "%s=", key);
	for (unsigned i = 0; i < 16 && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%llu", i ? "," : "",
					(unsigned long long)n[i]);
	if (len < size)
		snprintf(buf + len, size - len, "\n");
}

static void send_report(struct agent *a, const struct session_report *rep)
{
	char buf[4096], notes[SESSION_NOTES], *save = NULL;

	snprintf(buf, sizeof(buf),
		 "end=%d\nvtl0_started=%d\nshim=%llu\nkernel=%llu\nvmbus=%llu\nget=%llu\nvtl0=%"
		 "llu\n",
		 rep->end, rep->vtl0_started, (unsigned long long)rep->shim_entry_ns,
		 (unsigned long long)rep->kernel_entry_ns, (unsigned long long)rep->vmbus_ns,
		 (unsigned long long)rep->get_ns, (unsigned long long)rep->vtl0_start_ns);
	append_counts(buf, sizeof(buf), "vtl0_exits", rep->vtl0_exits);
	append_counts(buf, sizeof(buf), "vtl2_exits", rep->vtl2_exits);
	snprintf(buf + strlen(buf), sizeof(buf) - strlen(buf), "vtl2_log=%llu,%llu,%llu\n",
		 (unsigned long long)rep->log_records, (unsigned long long)rep->log_violations,
		 (unsigned long long)rep->log_lost);
	snprintf(buf + strlen(buf), sizeof(buf) - strlen(buf), "text=%s\n", rep->text);
	set_text(notes, sizeof(notes), rep->notes);
	for (char *line = strtok_r(notes, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		snprintf(buf + strlen(buf), sizeof(buf) - strlen(buf), "note=%s\n", line);
	(void)!link_control(a->link, LINK_REPORT, 0, buf);
	if (rep->end == SESSION_VTL2_CRASH)
		a->status = SESSION_STATUS_VTL2_CRASH;
	else if (rep->end == SESSION_START_FAILED)
		a->status = STATUS_FAILED;
}

static void read_reports(struct agent *a)
{
	struct session_report rep;
	ssize_t n = read(a->report_pipe[0], &rep, sizeof(rep));

	if (n == (ssize_t)sizeof(rep)) {
		send_report(a, &rep);
		(void)!write(a->ack_pipe[1], "", 1);
	} else if (n == 0) {
		char text[16];

		(void)pthread_join(a->thread, NULL);
		a->running = false;
		a->finished = true;
		snprintf(text, sizeof(text), "%d", a->status);
		(void)!link_control(a->link, LINK_END, 0, text);
	}
}

static bool any_input(const struct pollfd *fds, int n)
{
	for (int i = 1; i < n; i++) {
		if (fds[i].revents & POLLIN)
			return true;
	}
	return false;
}

static int serve(struct agent *a)
{
	struct pollfd fds[LINK_POLLFDS + 2];

	while (!a->finished || !link_idle(a->link)) {
		int n = link_poll_fill(a->link, fds), r;

		fds[n] = (struct pollfd){ .fd = a->running ? a->report_pipe[0] : -1,
					  .events = POLLIN };
		fds[n + 1] = (struct pollfd){ .fd = a->dial_fd, .events = POLLIN };
		if (poll(fds, (nfds_t)n + 2, a->finished ? 1000 : -1) < 0 && errno != EINTR)
			return -errno;
		r = link_poll_done(a->link, fds, n);
		if (r < 0)
			return r;
		if (fds[n + 1].revents & POLLIN)
			accept_dial(a);
		/* What the guest said before the end goes out before the report of the end. */
		if (a->running && (fds[n].revents & (POLLIN | POLLHUP)) && !any_input(fds, n))
			read_reports(a);
	}
	return 0;
}

static int open_things(struct agent *a, int link_fd)
{
	a->level = LOG_INFO;
	a->dial_fd = -1;
	a->cfg.core_fd = a->cfg.ctl_fd = -1;
	a->cfg.vtl2_log_fd = -1;
	a->cfg.vps = 2;
	a->cfg.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->cfg.stop_fd < 0 || link_create(link_fd, &agent_link_ops, a, &a->link) < 0 ||
	    pipe2(a->log_pipe, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    pipe2(a->report_pipe, O_CLOEXEC) < 0 || pipe2(a->ack_pipe, O_CLOEXEC) < 0)
		return -ENOMEM;
	(void)fcntl(a->log_pipe[1], F_SETPIPE_SZ, LOG_PIPE_BYTES);
	link_attach(a->link, LINK_LOG, a->log_pipe[0], -1, false);
	return 0;
}

int agent_run(int link_fd)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct agent *a = calloc(1, sizeof(*a));

	(void)sigaction(SIGPIPE, &ignore, NULL);
	/* When the front end is gone, so are we, with everything we made: nothing is released by
	 * hand, and a stays, because the session's threads may still use it. */
	if (!a || open_things(a, link_fd) < 0 || serve(a) < 0)
		return STATUS_FAILED;
	return a->status;
}
