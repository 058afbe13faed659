/* SPDX-License-Identifier: MIT */
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"
#include "cleanup.h"
#include "core_files.h"
#include "disk_files.h"
#include "exec.h"
#include "link.h"
#include "listen.h"
#include "outer.h"
#include "probe.h"
#include "session.h"
#include "steer.h"
#include "summary.h"
#include "terminal.h"
#include "vsock_host.h"

#define STATUS_TIMEOUT 124
#define STATUS_FAILED 125
#define STATUS_EMULATOR 126
#define EMULATOR_RETRIES 3
/* Output of a script held back so that a run the emulator killed can be repeated unnoticed. */
#define HOLD_BYTES 65536
/* How long an agent that was asked to stop may take. */
#define STOP_GRACE_NS 4000000000u
/* How long a guest may take to shut itself down. */
#define SHUTDOWN_GRACE_NS (90 * 1000000000ull)
/* From when on the user is told what is waited for. */
#define PATIENCE_NS 2000000000u
#define RECORD_CAP (1ull << 30)

struct front {
	const struct opts *o;
	bool tcg;
	struct link *link;
	pid_t child;
	struct outer outer;
	int log_fd, sig_fd, listen_fd, record_fd, vtl2_log_fd;
	uint64_t recorded;
	struct exec exec;
	uint64_t deadline_ns;
	uint64_t notice_ns; /* when to say that the guest is waited for; 0 = not */
	bool ended, asked, quit, timed_out, stdin_done, escape, power_off_sent, output_lost;
	int agent_status, signal_no;
	unsigned resets;
	struct summary sum;
	struct core_files cores;
	struct disk_opt *disks; /* of o->n_disks */
	struct steer *steer; /* or NULL */
	struct disk_files files;
	uint8_t *held;
	size_t held_len;
	bool streaming; /* output goes straight to stdout: no repeat any more */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void say(const char *fmt, ...) printf_like(1, 2);
static void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("hvhost: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

static void write_all(int fd, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd pfd = { .fd = fd, .events = POLLOUT };

			(void)poll(&pfd, 1, -1);
			continue;
		}
		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
}

/* --- exec ------------------------------------------------------------------------------------- */

static void release_output(struct front *f)
{
	if (f->held_len)
		write_all(STDOUT_FILENO, f->held, f->held_len);
	f->held_len = 0;
	f->streaming = true;
}

static void exec_output(void *ctx, const void *buf, size_t len)
{
	struct front *f = ctx;

	steer_heard(f->steer, SCENARIO_SCRIPT, buf, len);
	if (!f->streaming && f->held_len + len > HOLD_BYTES)
		release_output(f);
	if (f->streaming) {
		write_all(STDOUT_FILENO, buf, len);
		return;
	}
	memcpy(f->held + f->held_len, buf, len);
	f->held_len += len;
}

static void exec_send(void *ctx, const void *buf, size_t len)
{
	struct front *f = ctx;

	(void)!link_send(f->link, LINK_COM2, buf, len);
}

static const struct exec_ops exec_ops = { .send = exec_send, .output = exec_output };

static void power_off_guest(struct front *f)
{
	static const char cmd[] = "sync; poweroff\n"; /* not -f: systemd ends in order */
	char head[64];
	int n = snprintf(head, sizeof(head), "RUN %zu off\n", sizeof(cmd) - 1);

	exec_send(f, head, (size_t)n);
	exec_send(f, cmd, sizeof(cmd) - 1);
	f->power_off_sent = true;
}

/* --- control ---------------------------------------------------------------------------------- */

static void ctl_send(void *ctx, const void *buf, size_t len)
{
	struct front *f = ctx;

	if (f->link)
		(void)!link_send(f->link, LINK_CTL, buf, len);
}

static void com1_say(void *ctx, const char *text)
{
	struct front *f = ctx;

	(void)!link_send(f->link, LINK_COM1, text, strlen(text));
	(void)!link_send(f->link, LINK_COM1, "\n", 1);
}

static int open_steer(struct front *f)
{
	const struct steer_cfg cfg = { .socket_path = f->o->control_path,
				       .scenario_path = f->o->scenario_path,
				       .send = ctl_send,
				       .say = com1_say,
				       .ctx = f };

	return cfg.socket_path || cfg.scenario_path ? steer_create(&cfg, &f->steer) : 0;
}

/* --- events of the link ----------------------------------------------------------------------- */

/* Past the cap nothing more is written, and the exit status says so. */
static void record(struct front *f, const void *buf, size_t len)
{
	f->recorded += len;
	if (f->recorded <= RECORD_CAP)
		write_all(f->record_fd, buf, len);
	else if (f->recorded - len <= RECORD_CAP)
		say("the record is full (%llu MiB): the rest is missing", RECORD_CAP >> 20);
}

static void on_data(void *ctx, unsigned stream, const uint8_t *buf, size_t len)
{
	struct front *f = ctx;

	switch (stream) {
	case LINK_COM1:
		steer_heard(f->steer, SCENARIO_COM1, buf, len);
		if (!f->o->exec)
			write_all(STDOUT_FILENO, buf, len);
		break;
	case LINK_COM2:
		if (!f->o->exec)
			break;
		exec_data(&f->exec, buf, len);
		if (f->exec.state == EXEC_DONE && !f->power_off_sent)
			power_off_guest(f);
		break;
	case LINK_VTL2_CONSOLE:
		if (f->o->vtl2_console)
			write_all(STDERR_FILENO, buf, len);
		break;
	case LINK_LOG:
		if (f->log_fd >= 0)
			write_all(f->log_fd, buf, len);
		summary_log(&f->sum, buf, len);
		break;
	case LINK_VTL2_LOG:
		if (f->vtl2_log_fd >= 0)
			write_all(f->vtl2_log_fd, buf, len);
		break;
	case LINK_RECORD:
		record(f, buf, len);
		break;
	case LINK_CTL:
		steer_answer(f->steer, buf, len);
		break;
	case LINK_CORE:
		core_files_data(&f->cores, buf, len);
		break;
	default:
		break;
	}
}

/* A crash file came: to the user, the log and the summary. */
static void on_core(void *ctx, const char *sentence)
{
	struct front *f = ctx;

	say("%s", sentence);
	summary_note(&f->sum, sentence);
	if (f->log_fd >= 0) {
		write_all(f->log_fd, "hvhost: ", 8);
		write_all(f->log_fd, sentence, strlen(sentence));
		write_all(f->log_fd, "\n", 1);
	}
}

/* VTL2 dials this machine: the socket's path is ours plus what it dials. */
static int dial(const struct front *f, const char *what)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s_%s", f->o->vtl2_vsock, what);
	int fd;

	if (n < 0 || (size_t)n >= sizeof(sun.sun_path) ||
	    strspn(what, "0123456789abcdef-") != strlen(what))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

static void open_dialled(struct front *f, unsigned stream, const char *what)
{
	int fd = dial(f, what);

	if (fd < 0) { /* an fd at its end makes the link close the stream */
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		link_attach(f->link, stream, fd, fd, false);
		return;
	}
	link_attach(f->link, stream, fd, fd, false);
	(void)!link_send(f->link, stream, VSOCK_DIAL_OK, strlen(VSOCK_DIAL_OK));
}

static void on_control(void *ctx, enum link_type type, unsigned stream, const char *text)
{
	struct front *f = ctx;

	if (type == LINK_OPEN && stream >= LINK_FIRST_DIALLED && f->o->vtl2_vsock) {
		open_dialled(f, stream, text);
	} else if (type == LINK_REPORT) {
		summary_report(&f->sum, text);
		if (f->sum.end == SESSION_RESET) {
			f->resets++;
			exec_guest_reset(&f->exec);
			f->power_off_sent = false;
		}
	} else if (type == LINK_END) {
		f->agent_status = (int)strtol(text, NULL, 10);
		f->ended = true;
	}
}

static const struct link_ops front_link_ops = { .control = on_control, .data = on_data };

/* --- start ------------------------------------------------------------------------------------ */

static int start_here(struct front *f, int *ret_fd)
{
	pid_t parent = getpid();
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	f->child = fork();
	if (f->child == 0) {
		sigset_t none;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(STATUS_FAILED);
		(void)setsid();
		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		(void)close(sv[0]);
		_exit(agent_run(sv[1]));
	}
	(void)close(sv[1]);
	*ret_fd = sv[0];
	return f->child < 0 ? -errno : 0;
}

static int start_agent(struct front *f, int *ret_fd)
{
	struct outer_cfg cfg = { .dir = f->o->outer_dir,
				 .image = f->o->image,
				 .guest_bytes = f->o->memory_bytes,
				 .disks = f->disks,
				 .n_disks = f->o->n_disks,
				 .log_fd = f->log_fd };

	int r;

	if (!f->tcg)
		return start_here(f, ret_fd);
	outer_fini(&f->outer);
	r = outer_start(&cfg, &f->outer);
	f->child = f->outer.pid;
	*ret_fd = f->outer.link_fd;
	return r;
}

/* In the outer VM a file is a virtio disk with a number of ours. */
static void add_disk_lines(const struct front *f, char *buf, size_t size)
{
	char text[DISK_OPT_TEXT];

	for (unsigned i = 0; i < f->o->n_disks; i++) {
		struct disk_opt d = f->disks[i];
		size_t len = strlen(buf);

		if (f->tcg && d.path[0])
			snprintf(d.path, sizeof(d.path), OUTER_DISK_PREFIX OUTER_DISK_SERIAL, i);
		disk_opt_format(&d, text);
		snprintf(buf + len, size - len, "disk=%s\n", text);
	}
}

static int send_config(struct front *f)
{
	const struct opts *o = f->o;
	/* In the outer VM the image is its disk and the socket is a private one we connect to. */
	const char *vsock = !o->vtl2_vsock ? "" : f->tcg ? "/run/vtl2.vsock" : o->vtl2_vsock;
	auto_free char *buf = malloc(LINK_MAX_PAYLOAD);
	int n;

	if (!buf)
		return -ENOMEM;
	n = snprintf(buf, LINK_MAX_PAYLOAD,
		     "image=%s\nvps=%u\nmemory=%llu\ncmdline=%s\nfaithful=%d\n"
		     "isolation=%d\nno_reboot=%d\n"
		     "com2=%d\nvsock=%s\nconsole=%d\ndial=%d\nrecord=%d\n"
		     "vtl2_log=%d\nvtl2_log_json=%d\n",
		     f->tcg ? "/dev/vda" : o->image, o->vps, (unsigned long long)o->memory_bytes,
		     o->vtl2_cmdline, o->faithful, (int)o->isolation, o->no_reboot, !o->no_com2,
		     vsock, o->vtl2_console, f->tcg, o->record_path != NULL,
		     o->vtl2_log_path != NULL, o->vtl2_log_json);
	if (n < 0 || (size_t)n + o->n_disks * (DISK_OPT_TEXT + 8) > LINK_MAX_PAYLOAD)
		return -E2BIG;
	add_disk_lines(f, buf, LINK_MAX_PAYLOAD);
	return link_control(f->link, LINK_CONFIG, 0, buf);
}

static void accept_vsock(struct front *f)
{
	int fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int stream = fd < 0 ? -1 : link_free_stream(f->link, false);

	if (stream < 0) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	link_attach(f->link, (unsigned)stream, fd, fd, false);
	(void)!link_control(f->link, LINK_OPEN, (unsigned)stream, "");
}

/* --- main loop -------------------------------------------------------------------------------- */

static void stop(struct front *f)
{
	if (!f->quit)
		(void)!link_control(f->link, LINK_STOP, 0, "");
	f->quit = true;
	f->deadline_ns = now_ns() + STOP_GRACE_NS;
}

/* A guest that listens shuts itself down; any other is stopped at once. */
static void ask_to_stop(struct front *f)
{
	if (f->asked || f->quit)
		return stop(f);
	f->asked = true;
	(void)!link_control(f->link, LINK_STOP, 0, "ask");
	f->deadline_ns = now_ns() + SHUTDOWN_GRACE_NS;
	f->notice_ns = now_ns() + PATIENCE_NS;
}

static void read_stdin(struct front *f)
{
	uint8_t buf[1024];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));
	bool quit = false;

	if (n <= 0) {
		f->stdin_done = n == 0 || errno != EAGAIN;
		return;
	}
	n = (ssize_t)terminal_filter(buf, (size_t)n, &f->escape, &quit);
	if (n)
		(void)!link_send(f->link, LINK_COM1, buf, (size_t)n);
	if (quit)
		stop(f);
}

static void read_signal(struct front *f)
{
	struct signalfd_siginfo si;

	if (read(f->sig_fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	if (f->quit) /* asked twice: do not wait for anybody */
		(void)kill(f->child, SIGKILL);
	f->signal_no = (int)si.ssi_signo;
	if (si.ssi_signo == SIGHUP)
		stop(f);
	else
		ask_to_stop(f);
}

static int poll_timeout(struct front *f)
{
	uint64_t now = now_ns();

	if (!f->deadline_ns)
		return -1;
	if (f->notice_ns && now >= f->notice_ns) {
		say("the guest shuts down; interrupt once more to stop it at once");
		f->notice_ns = 0;
	}
	if (now >= f->deadline_ns) {
		if (f->quit) { /* it was asked to stop and did not */
			(void)kill(f->child, SIGKILL);
			return 1000;
		}
		f->timed_out = !f->asked;
		stop(f);
	}
	return (int)MIN((MIN(f->deadline_ns, f->notice_ns ? f->notice_ns : UINT64_MAX) - now) /
					1000000 +
				1,
			1000000);
}

static int serve(struct front *f)
{
	bool typing = !f->o->exec && !f->o->until_power_off;
	struct pollfd fds[LINK_POLLFDS + 3 + STEER_FDS];
	int r = 0;

	while (r == 0 && !f->ended) {
		int timeout = steer_timeout(f->steer, poll_timeout(f));
		int n = link_poll_fill(f->link, fds), extra = n, steer;

		fds[extra++] = (struct pollfd){ .fd = f->sig_fd, .events = POLLIN };
		fds[extra++] = (struct pollfd){ .fd = f->listen_fd, .events = POLLIN };
		fds[extra++] = (struct pollfd){ .fd = typing && !f->stdin_done ? STDIN_FILENO : -1,
						.events = POLLIN };
		steer = steer_fill(f->steer, fds + extra);
		if (poll(fds, (nfds_t)(extra + steer), timeout) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (fds[n].revents & POLLIN)
			read_signal(f);
		if (fds[n + 1].revents & POLLIN)
			accept_vsock(f);
		if (fds[n + 2].revents)
			read_stdin(f);
		steer_done(f->steer, fds + extra, steer);
		r = link_poll_done(f->link, fds, n);
	}
	return r;
}

static int attempt(struct front *f, int *ret_wait)
{
	int fd = -1, r = start_agent(f, &fd);

	if (r < 0)
		return r;
	r = link_create(fd, &front_link_ops, f, &f->link);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	for (unsigned i = 0; i < LINK_FIRST_VSOCK; i++)
		link_attach(f->link, i, -1, -1, true);
	exec_init(&f->exec, f->o->exec ? f->o->exec : "", &exec_ops, f);
	r = send_config(f);
	if (r == 0) {
		steer_begin(f->steer);
		(void)!serve(f);
	}
	steer_end(f->steer);
	core_files_end(&f->cores);
	link_destroy(f->link); /* the agent sees this and ends */
	f->link = NULL;
	while (waitpid(f->child, ret_wait, 0) < 0 && errno == EINTR)
		;
	if (f->tcg && f->log_fd >= 0)
		outer_copy_console(&f->outer, f->log_fd);
	return 0;
}

static int final_status(struct front *f)
{
	if (f->timed_out) {
		say("timeout after %u s (%s)", f->o->timeout_s,
		    f->sum.vtl0_started ? "VTL0 was running" : "VTL0 had not started");
		return STATUS_TIMEOUT;
	}
	if (f->recorded > RECORD_CAP)
		return STATUS_FAILED;
	if (f->signal_no)
		return 128 + f->signal_no;
	if (f->quit)
		return 0;
	if (!f->ended) {
		say("the %s ended unexpectedly%s", f->tcg ? "outer VM" : "session",
		    f->o->log_path ? "; see the log" : "; repeat with --log FILE to learn more");
		return STATUS_FAILED;
	}
	if (f->agent_status) {
		say("%s", f->sum.text[0] ? f->sum.text : "the session failed");
		return f->agent_status;
	}
	if (!f->o->exec || (f->exec.state == EXEC_DONE && !f->exec.status)) {
		const char *problem = steer_problem(f->steer);

		if (problem)
			say("%s", problem);
		return problem ? STATUS_FAILED : 0;
	}
	if (f->exec.state == EXEC_DONE)
		return f->exec.status;
	if (f->sum.end == SESSION_POWER_OFF && f->exec.state == EXEC_RUNNING)
		return 0; /* the script itself powered the guest off */
	say("the guest ended before the script did: %s", f->sum.text);
	return STATUS_FAILED;
}

/* Run until it worked or failed for a reason of its own; an emulator fault is neither. */
static int run_attempts(struct front *f)
{
	unsigned faults = 0;
	int wait_status = 0;

	for (;;) {
		if (attempt(f, &wait_status) < 0)
			return STATUS_FAILED;
		if (!f->tcg || f->quit ||
		    !outer_is_emulator_fault(&f->outer, wait_status, f->ended))
			break;
		faults++;
		if (f->streaming || faults > EMULATOR_RETRIES) {
			say("the emulator failed (outer VM died)%s",
			    f->streaming ? " after output had been printed; run it again"
					 : " again and again; giving up");
			return STATUS_EMULATOR;
		}
		say("the emulator failed (outer VM died); starting over (%u)", faults);
		f->held_len = 0;
		f->recorded = 0;
		if (f->record_fd >= 0)
			(void)!ftruncate(f->record_fd, 0);
		if (f->vtl2_log_fd >= 0)
			(void)!ftruncate(f->vtl2_log_fd, 0); /* does nothing to a terminal */
		summary_init(&f->sum);
		core_files_init(&f->cores, f->o->core_dir, on_core, f);
		f->power_off_sent = false;
	}
	f->sum.emulator_faults = faults;
	release_output(f);
	return final_status(f);
}

static void drain_exec(struct front *f)
{
	if (f->exec.state == EXEC_RUNNING && f->exec.len) /* ended without its marker */
		exec_output(f, f->exec.buf, f->exec.len);
}

static int open_vtl2_log(struct front *f)
{
	const char *path = f->o->vtl2_log_path;

	if (!path)
		return 0;
	f->vtl2_log_fd =
		strcmp(path, "-")
			? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644)
			: dup(STDERR_FILENO);
	if (f->vtl2_log_fd < 0) {
		say("cannot write the paravisor's log %s: %s", path, strerror(errno));
		return -errno;
	}
	return 0;
}

static int open_things(struct front *f)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	(void)sigaction(SIGPIPE, &ignore, NULL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	f->sig_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (f->o->log_path) {
		f->log_fd = open(f->o->log_path,
				 O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
		if (f->log_fd < 0) {
			say("cannot write the log %s: %s", f->o->log_path, strerror(errno));
			return -errno;
		}
	}
	if (open_vtl2_log(f) < 0)
		return -EIO;
	if (f->o->record_path) {
		f->record_fd = open(f->o->record_path,
				    O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
		if (f->record_fd < 0) {
			say("cannot write the record %s: %s", f->o->record_path, strerror(errno));
			return -errno;
		}
	}
	if (f->o->vtl2_vsock && f->tcg) {
		f->listen_fd = listen_unix(f->o->vtl2_vsock);
		if (f->listen_fd < 0)
			return f->listen_fd;
	}
	if (open_steer(f) < 0)
		return -EIO;
	f->held = malloc(HOLD_BYTES);
	return f->held && f->sig_fd >= 0 ? 0 : -ENOMEM;
}

static int open_disks(struct front *f)
{
	char why[DISK_OPT_PATH + 256];
	unsigned n = f->o->n_disks;
	int r = 0;

	if (!n)
		return 0;
	f->disks = calloc(n, sizeof(*f->disks));
	if (!f->disks)
		return -ENOMEM;
	for (unsigned i = 0; i < n && r == 0; i++)
		r = disk_opt_parse(f->o->disk[i], i, &f->disks[i], why, sizeof(why));
	if (r == 0)
		r = disk_opt_check(f->disks, n, why, sizeof(why));
	if (r == 0)
		r = disk_files_open(f->disks, n, &f->files, why, sizeof(why));
	if (r < 0)
		say("%s", why);
	return r;
}

static int choose_host(struct front *f)
{
	const char *why = NULL;

	if (f->o->host == HOST_TCG) {
		f->tcg = true;
		return 0;
	}
	if (probe_kvm(&why) == 0)
		return 0;
	if (f->o->host == HOST_KVM) {
		say("%s; use --host tcg", why);
		return -ENODEV;
	}
	f->tcg = true;
	return 0;
}

static void close_things(struct front *f)
{
	if (f->listen_fd >= 0) {
		(void)close(f->listen_fd);
		(void)unlink(f->o->vtl2_vsock);
	}
	if (f->log_fd >= 0)
		(void)close(f->log_fd);
	if (f->record_fd >= 0)
		(void)close(f->record_fd);
	if (f->vtl2_log_fd >= 0)
		(void)close(f->vtl2_log_fd);
	outer_fini(&f->outer);
	disk_files_close(&f->files);
	steer_destroy(f->steer);
	free(f->disks);
	free(f->held);
}

static int run(struct front *f)
{
	int status;

	if (choose_host(f) < 0 || open_disks(f) < 0 || open_things(f) < 0)
		return STATUS_FAILED;
	f->streaming = !f->tcg || f->o->stream;
	if (f->o->timeout_s)
		f->deadline_ns = now_ns() + (uint64_t)f->o->timeout_s * 1000000000u;
	if (!f->o->exec && !f->o->until_power_off)
		terminal_raw();
	status = run_attempts(f);
	drain_exec(f);
	terminal_restore();
	if (f->o->summary)
		summary_print(&f->sum, f->resets);
	return status;
}

int front_run(const struct opts *opts)
{
	auto_free struct front *f = calloc(1, sizeof(*f));
	int status;

	if (access(opts->image, R_OK) < 0) {
		say("cannot read the image %s: %s", opts->image, strerror(errno));
		return STATUS_FAILED;
	}
	if (!f)
		return STATUS_FAILED;
	f->o = opts;
	f->log_fd = f->sig_fd = f->listen_fd = f->record_fd = f->vtl2_log_fd = -1;
	f->outer.trace_fd = f->outer.console_fd = -1;
	summary_init(&f->sum);
	core_files_init(&f->cores, opts->core_dir, on_core, f);
	status = run(f);
	close_things(f);
	return status;
}
