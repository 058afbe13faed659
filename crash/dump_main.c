/* SPDX-License-Identifier: MIT */
/* The dumper of live processes, see crash_main.h. Trust: arguments are a client's. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "core_write.h"
#include "crash_env.h"
#include "crash_main.h"
#include "kmsg_note.h"
#include "log.h"
#include "loop.h"

#define LOG_AREA "dump"

#define STOP_TIMEOUT_MS 2000
/* The process stands still while it is written: a reader that stalls ends the dump. */
#define PIECE_TIMEOUT_S 10
#define TOTAL_NS (60ull * 1000000000)
#define PID_MAX (1 << 22)

struct output {
	uint64_t deadline_ns;
};

/* The kernel lets the dumped process go when this one ends. */
static void on_alarm(int sig)
{
	static const char text[] = "underhill-dump: the reader of the dump does not read\n";

	(void)sig;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

static int sink(void *ctx, const void *buf, size_t len)
{
	const struct output *o = ctx;
	const uint8_t *p = buf;

	if (loop_now_ns() > o->deadline_ns)
		return -ETIMEDOUT;
	(void)alarm(PIECE_TIMEOUT_S);
	while (len) {
		ssize_t n = write(STDOUT_FILENO, p, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int parse_pid(const char *text, pid_t *ret_pid)
{
	unsigned long val;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	val = strtoul(text, &end, 10);
	if (errno || *end || !val || val > PID_MAX)
		return -EINVAL;
	*ret_pid = (pid_t)val;
	return 0;
}

static int dump(pid_t pid)
{
	const struct sigaction act = { .sa_handler = on_alarm };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	auto_close int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	auto_free uint8_t *kmsg = calloc(1, KMSG_NOTE_BYTES);
	struct output out = { loop_now_ns() + TOTAL_NS };
	struct core_write_cfg cfg = {
		.pid = pid, .stop_timeout_ms = STOP_TIMEOUT_MS, .sink = sink, .ctx = &out
	};
	struct core_write_stats stats;
	int r;

	(void)sigaction(SIGALRM, &act, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	if (kmsg && fd >= 0) {
		r = kmsg_note_read(fd, kmsg);
		if (r < 0)
			log_warn(ALLOWED, "the kernel's log is not complete: error %d", -r);
		cfg.kmsg_note = kmsg;
	}
	r = core_write(&cfg, &stats);
	if (r < 0)
		log_err(ALLOWED, "process %d: %s", pid, strerror(-r));
	else
		log_debug(ALLOWED, "process %d: %zu threads, %zu mappings, %llu bytes", pid,
			  stats.threads, stats.maps, (unsigned long long)stats.bytes);
	return r;
}

int dump_main(int argc, char **argv)
{
	const bool allowed = crash_env_dumps_allowed();
	bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
	pid_t pid;

	log_set_name("underhill-dump");
	log_init(verbose ? LOG_DEBUG : LOG_INFO, !allowed, NULL, NULL);
	if (!allowed) {
		log_err(ALLOWED, "there are no dumps on a confidential VM");
		return 1;
	}
	if (argc != (verbose ? 3 : 2) || parse_pid(argv[argc - 1], &pid) < 0) {
		log_err(ALLOWED, "usage: underhill-dump [-v] PID");
		return 1;
	}
	return dump(pid) < 0;
}
