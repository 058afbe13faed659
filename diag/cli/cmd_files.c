/* SPDX-License-Identifier: MIT */
/* What is read out of VTL2: kmsg, file, perf-trace, dump-saved-state, memory-profile-trace. */
#include "cli_cmds.h"

#include <diag.pb-c.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "cli_conn.h"
#include "cli_io.h"
#include "cli_kmsg.h"
#include "cli_pb.h"
#include "cli_term.h"

#define RETRY_MS 1000

/* ---- kmsg ------------------------------------------------------------------------------------ */

static void say(struct cli_ctx *c, const char *text)
{
	if (cli_has(c->args, 'v'))
		(void)fprintf(stderr, "%s\n", text);
}

static void print_record(struct cli_str *out, const char *record, size_t len, bool json, bool ansi)
{
	struct cli_kmsg msg;

	if (cli_kmsg_parse(record, len, &msg) < 0) {
		if (json) {
			cli_str_puts(out, "{\"invalid\":");
			cli_str_json(out, record, len);
			cli_str_putc(out, '}');
		} else {
			cli_str_puts(out, "Invalid kmsg entry: InvalidKmsgEntry([");
			for (size_t i = 0; i < len; i++)
				cli_str_printf(out, i ? ", %u" : "%u", (unsigned char)record[i]);
			cli_str_puts(out, "])");
		}
	} else if (json) {
		cli_kmsg_json(out, &msg);
	} else {
		cli_kmsg_text(out, &msg, ansi);
	}
	cli_str_putc(out, '\n');
}

/* Returns: 0: the stream ended; 1: it was reset; -1 */
static int kmsg_stream(struct cli_ctx *c, int fd, bool ansi)
{
	char buf[CLI_KMSG_MAX];
	struct cli_str out = { 0 };
	size_t have = 0;
	ssize_t n;
	int r = 0;

	for (;;) {
		char *nul = memchr(buf, 0, have);

		if (nul) {
			size_t len = (size_t)(nul - buf);

			print_record(&out, buf, len, c->json, ansi);
			have -= len + 1;
			memmove(buf, nul + 1, have);
			continue;
		}
		/* All that is here has been looked at: show it before waiting. */
		r = cli_str_write(&out, stdout);
		if (!r && fflush(stdout))
			r = -errno;
		cli_str_reset(&out);
		if (r < 0) {
			(void)cli_err_os(&c->err, r);
			break;
		}
		if (have == sizeof(buf)) {
			(void)cli_err_set(&c->err, "missing null terminator");
			r = cli_err_wrap(&c->err, "failed to read kmsg");
			break;
		}
		n = recv(fd, buf + have, sizeof(buf) - have, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ECONNRESET)
			r = 1;
		else if (n < 0)
			r = cli_err_os(&c->err, errno);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	cli_str_fini(&out);
	return r < 0 ? -1 : r;
}

/* Until the server answers; an old one that does not know the question answers, too. */
static int wait_ready(struct cli_ctx *c)
{
	while (svc_simple(c, SVC_OPENHCL, "Ping") < 0) {
		if (c->err.code == CLI_CODE_UNIMPLEMENTED)
			return 0;
		if (c->err.code != CLI_CODE_UNAVAILABLE)
			return -1;
		(void)poll(NULL, 0, RETRY_MS);
	}
	return 0;
}

int cmd_kmsg(struct cli_ctx *c)
{
	Diag__KmsgRequest req = DIAG__KMSG_REQUEST__INIT;
	bool again = cli_has(c->args, 'r'), ansi = cli_colour(STDOUT_FILENO);
	int fd, r;

	say(c, "Connecting to the diagnostics server.");
	do {
		if (again && wait_ready(c) < 0)
			return -1;
		fd = svc_data(c, &req.conn);
		if (fd < 0)
			return -1;
		req.follow = cli_has(c->args, 'f');
		r = svc_call(c, SVC_UNDERHILL, "Kmsg", &req.base, 0, NULL, NULL);
		if (!r) {
			say(c, "Connected.");
			r = kmsg_stream(c, fd, ansi);
		}
		(void)close(fd);
		if (r < 0)
			return -1;
		if (again)
			say(c, r ? "Connection reset to the diagnostics server. Reconnecting."
				 : "Lost connection to the diagnostics server. Reconnecting.");
		else if (r)
			return cli_err_wrap(&c->err, "failed to read kmsg");
		/* What ends at once must not be asked for all the time. */
		if (again && !req.follow)
			(void)poll(NULL, 0, RETRY_MS);
	} while (again);
	return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int open_remote(struct cli_ctx *c, const char *path, bool follow)
{
	Diag__FileRequest req;
	int fd;

	diag__file_request__init(&req);
	fd = svc_data(c, &req.conn);
	if (fd < 0)
		return -1;
	req.follow = follow;
	req.file_path = (char *)(uintptr_t)path;
	if (svc_call(c, SVC_UNDERHILL, "ReadFile", &req.base, 0, NULL, NULL) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

int cmd_file(struct cli_ctx *c)
{
	struct cli_sink sink = { .fd = STDOUT_FILENO, .name = "file", .kind = CLI_SINK_JSON };
	auto_free char *buf = NULL;
	auto_close int fd = open_remote(c, cli_value(c->args, 'p'), cli_has(c->args, 'f'));
	ssize_t n;
	int r;

	if (fd < 0)
		return -1;
	if (!c->json)
		return cli_copy(fd, STDOUT_FILENO, "failed to copy trace file", &c->err, NULL);
	buf = malloc(CLI_IO_CHUNK);
	if (!buf)
		return cli_err_os(&c->err, ENOMEM);
	do {
		n = cli_read_some(fd, buf, CLI_IO_CHUNK);
		r = n < 0 ? (int)n : cli_sink_put(&sink, buf, (size_t)n);
	} while (n > 0 && !r);
	cli_sink_fini(&sink);
	return r < 0 ? cli_err_os(&c->err, r) : 0;
}

int cmd_perf_trace(struct cli_ctx *c)
{
	const char *path = cli_value(c->args, 'o');
	auto_close int in = -1, out = -1;
	struct inspect_tree tree;

	if (!path && isatty(STDOUT_FILENO))
		return cli_err_set(&c->err, "cannot write to terminal");
	if (svc_update(c, "trace/perf/flush", "true", &tree) < 0)
		return cli_err_wrap(&c->err, "failed to flush perf");
	inspect_tree_fini(&tree);
	out = cli_output(path, &c->err);
	if (out < 0)
		return -1;
	in = open_remote(c, "underhill.perfetto", false);
	if (in < 0)
		return cli_err_wrap(&c->err, "failed to read trace file");
	if (cli_copy(in, out, "failed to copy trace file", &c->err, NULL) < 0)
		return -1;
	return path ? cmd_ok(c) : 0;
}

/* ---- data in the response itself ------------------------------------------------------------- */

static int write_data(struct cli_ctx *c, int fd, const char *path, const ProtobufCBinaryData *data)
{
	int r = cli_write_all(fd, data->data, data->len);

	if (r < 0)
		return cli_err_os(&c->err, r);
	return path ? cmd_ok(c) : 0;
}

int cmd_dump_saved_state(struct cli_ctx *c)
{
	const char *path = cli_value(c->args, 'o');
	auto_free uint8_t *payload = NULL;
	auto_close int fd = -1;
	ProtobufCMessage *resp;
	struct cli_pb pb;
	size_t len;
	int r;

	fd = cli_output(path, &c->err);
	if (fd < 0 || svc_call(c, SVC_UNDERHILL, "DumpSavedState", NULL, 0, &payload, &len) < 0)
		return -1;
	cli_pb_init(&pb);
	resp = cli_pb_unpack(&pb, &diag__dump_saved_state_response__descriptor, payload, len);
	if (!resp)
		return cli_err_set(&c->err, "the server's answer is malformed");
	r = write_data(c, fd, path, &((Diag__DumpSavedStateResponse *)resp)->data);
	cli_pb_free(&pb, resp);
	return r;
}

int cmd_memory_profile_trace(struct cli_ctx *c)
{
	Diag__MemoryProfileTraceRequest req = DIAG__MEMORY_PROFILE_TRACE_REQUEST__INIT;
	const char *path = cli_value(c->args, 'o');
	auto_free uint8_t *payload = NULL;
	auto_close int fd = -1;
	ProtobufCMessage *resp;
	struct cli_pb pb;
	size_t len;
	int r;

	if (svc_pid_arg(c, &req.pid) < 0)
		return -1;
	fd = path ? cli_output(path, &c->err) : dup(STDOUT_FILENO);
	if (fd < 0 ||
	    svc_call(c, SVC_OPENHCL, "MemoryProfileTrace", &req.base, 0, &payload, &len) < 0)
		return -1;
	cli_pb_init(&pb);
	resp = cli_pb_unpack(&pb, &diag__memory_profile_trace_response__descriptor, payload, len);
	if (!resp)
		return cli_err_set(&c->err, "the server's answer is malformed");
	r = write_data(c, fd, path, &((Diag__MemoryProfileTraceResponse *)resp)->data);
	cli_pb_free(&pb, resp);
	return r;
}
