/* SPDX-License-Identifier: MIT */
/* The core helper, see crash_main.h. Trust: stdin and the arguments are the kernel's. */
#include "crash_main.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "core_rewrite.h"
#include "crash_chan.h"
#include "crash_env.h"
#include "kmsg_note.h"
#include "log.h"
#include "uio_chan.h"

#define LOG_AREA "crash"

#define TIMEOUT_S 15
#define TIMEOUT_MAX_S 3600
#define CHANNEL_WAIT_MS 2000
#define READ_BYTES 65536u
#define LINUX_OUT "/dev/ttyprintk"

struct helper {
	struct uio_chan *uio;
	struct crash_chan chan;
	struct core_rewrite rewrite;
	uint8_t note[KMSG_NOTE_BYTES];
	uint8_t buf[READ_BYTES];
};

/* The host or the kernel does not get on: the process that crashed must not hang on this one. */
static void on_alarm(int sig)
{
	static const char text[] = "underhill-crash: time is up, the dump is incomplete\n";

	(void)sig;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

static void start_watchdog(void)
{
	const struct sigaction act = { .sa_handler = on_alarm };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	(void)sigaction(SIGALRM, &act, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	(void)alarm(crash_env_number("UNDERHILL_CRASH_TIMEOUT", 1, TIMEOUT_MAX_S, TIMEOUT_S));
}

/* The kernel starts us with stdin alone. */
static void set_streams(void)
{
	int fd;

	if (crash_env_is_set("UNDERHILL_CRASH_NO_REDIRECT"))
		return;
	fd = open(LINUX_OUT, O_WRONLY | O_NOCTTY);
	if (fd < 0)
		fd = open("/dev/kmsg", O_WRONLY);
	if (fd < 0)
		return;
	(void)dup2(fd, STDOUT_FILENO);
	(void)dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

static int wait_channel(void *ctx)
{
	return uio_chan_wait_event(ctx, -1); /* the watchdog is the limit */
}

static int sink(void *ctx, const void *buf, size_t len)
{
	return crash_chan_write(ctx, buf, len);
}

static void read_log(struct helper *h)
{
	auto_close int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int r = fd < 0 ? -errno : kmsg_note_read(fd, h->note);

	if (r < 0)
		log_warn(ALLOWED, "the kernel's log is not complete: error %d", -r);
	if (fd < 0)
		kmsg_note_make(h->note, 0);
}

/* Everything from stdin to the host. Returns: 0; -ENOSPC: cut, but what was sent is good; -errno */
static int stream(struct helper *h)
{
	int r = 0;

	while (r == 0) {
		ssize_t n = read(STDIN_FILENO, h->buf, sizeof(h->buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return core_rewrite_end(&h->rewrite);
		r = core_rewrite_push(&h->rewrite, h->buf, (size_t)n);
	}
	return r;
}

static int complete(struct helper *h)
{
	char version[CRASH_VERSION_TEXT] = "";
	auto_close int fd = open("/proc/version", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, version, sizeof(version) - 1);

	version[n > 0 ? n : 0] = 0;
	version[strcspn(version, "\n")] = 0;
	return crash_chan_complete(&h->chan, version);
}

static int send_core(struct helper *h)
{
	const struct guid id = CRASH_CHANNEL_GUID;
	const bool kmsg = !crash_env_is_set("UNDERHILL_CRASH_NO_KMSG");
	struct crash_chan_io io = { .wait = wait_channel };
	int r = uio_chan_wait(&id, CHANNEL_WAIT_MS, &h->uio), done;

	if (r < 0) {
		log_err(ALLOWED, "no crash dump channel: error %d", -r);
		return r;
	}
	io.pipe = uio_chan_pipe(h->uio);
	io.ctx = h->uio;
	r = crash_chan_begin(&h->chan, &io);
	if (r < 0) {
		log_err(ALLOWED, "the host does not take a dump: error %d", -r);
		return r;
	}
	if (kmsg)
		read_log(h);
	core_rewrite_init(&h->rewrite, kmsg ? h->note : NULL, sink, &h->chan);
	r = stream(h);
	if (r == -EBADMSG || r == -ENOSPC)
		log_warn(ALLOWED, "%s",
			 r == -ENOSPC ? "the dump is cut at what the host takes"
				      : "the dump ended early");
	done = r == 0 || r == -EBADMSG || r == -ENOSPC ? complete(h) : r;
	if (done < 0)
		log_err(ALLOWED, "the dump failed after %llu bytes: error %d",
			(unsigned long long)h->chan.sent, -done);
	else
		log_info(ALLOWED, "dump of %llu bytes sent", (unsigned long long)h->chan.sent);
	return done;
}

int crash_main(int argc, char **argv)
{
	const bool allowed = crash_env_dumps_allowed();
	struct helper *h;
	int r;

	if (!allowed)
		return 1;
	set_streams();
	log_set_name("underhill-crash");
	log_init(crash_env_is_set("UNDERHILL_CRASH_VERBOSE") ? LOG_DEBUG : LOG_INFO, false, NULL,
		 NULL);
	start_watchdog();
	/* Only for the log: a value that is no number is shown as it came. */
	log_warn(ALLOWED, "process %s thread %s signal %s name %s", argc > 1 ? argv[1] : "?",
		 argc > 2 ? argv[2] : "?", argc > 3 ? argv[3] : "?", argc > 4 ? argv[4] : "?");
	h = calloc(1, sizeof(*h));
	if (!h)
		return 1;
	r = send_core(h);
	uio_chan_close(h->uio);
	free(h);
	return r < 0;
}
