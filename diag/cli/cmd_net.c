/* SPDX-License-Identifier: MIT */
/* Streams of other protocols: gdbstub, vsock-tcp-relay, packet-capture. */
#include "cli_cmds.h"

#include <arpa/inet.h>
#include <diag.pb-c.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "cli_conn.h"
#include "cli_io.h"
#include "cli_pb.h"
#include "cli_term.h"

int cmd_gdbstub(struct cli_ctx *c)
{
	auto_close int sock = -1;
	uint64_t port;
	int r;

	if (cli_number(cli_value(c->args, 'p'), 0, UINT32_MAX, "the port", &c->err, &port) < 0)
		return -1;
	sock = cli_connect(c->path, (uint32_t)port, &c->err);
	if (sock < 0)
		return -1;
	r = cli_relay(STDIN_FILENO, STDOUT_FILENO, sock, true);
	if (r < 0) {
		(void)cli_err_os(&c->err, r);
		return cli_err_wrap(&c->err, "failed stdout copy");
	}
	return 0;
}

/* ---- relay ----------------------------------------------------------------------------------- */

static int tcp_listen(struct cli_ctx *c, const char *addr, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	auto_close int fd = -1;
	int one = 1;

	(void)inet_pton(AF_INET, addr, &sin.sin_addr);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (const struct sockaddr *)&sin, sizeof(sin)) < 0 || listen(fd, 128) < 0) {
		(void)cli_err_os(&c->err, errno);
		return cli_err_wrap(&c->err, "binding to port %u", port);
	}
	return take_fd(&fd);
}

static int relay_one(struct cli_ctx *c, int listener, uint32_t port)
{
	struct sockaddr_in peer = { 0 };
	socklen_t len = sizeof(peer);
	auto_close int tcp = -1, sock = -1;
	char host[INET_ADDRSTRLEN] = "";
	int r;

	do
		tcp = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
	while (tcp < 0 && errno == EINTR);
	if (tcp < 0)
		return cli_err_os(&c->err, errno);
	(void)inet_ntop(AF_INET, &peer.sin_addr, host, sizeof(host));
	printf("TCP accept on %s:%u\n", host, ntohs(peer.sin_port));
	(void)fflush(stdout);
	sock = cli_connect(c->path, port, &c->err);
	if (sock < 0)
		return -1;
	printf("VSOCK connect to port %u\n", port);
	(void)fflush(stdout);
	r = cli_relay(tcp, tcp, sock, false);
	if (r < 0 && r != -ECONNRESET)
		return cli_err_os(&c->err, r);
	printf("Connection closed\n");
	return 0;
}

int cmd_vsock_tcp_relay(struct cli_ctx *c)
{
	bool again = cli_has(c->args, 'r');
	const char *addr = cli_has(c->args, 'a') ? "0.0.0.0" : "127.0.0.1";
	auto_close int listener = -1;
	uint64_t port, tcp_port;

	if (cli_number(cli_pos(c->args, 0), 0, UINT32_MAX, "VSOCK_PORT", &c->err, &port) < 0 ||
	    cli_number(cli_pos(c->args, 1), 0, UINT16_MAX, "TCP_PORT", &c->err, &tcp_port) < 0)
		return -1;
	listener = tcp_listen(c, addr, (uint16_t)tcp_port);
	if (listener < 0)
		return -1;
	printf("TCP listening on %s:%u\n", addr, (unsigned int)tcp_port);
	(void)fflush(stdout);
	do {
		if (relay_one(c, listener, (uint32_t)port) < 0)
			return -1;
		if (again)
			printf("Reconnecting...\n");
		(void)fflush(stdout);
	} while (again);
	return 0;
}

/* ---- packet capture -------------------------------------------------------------------------- */

#define STREAMS_MAX 64u

struct capture {
	unsigned int n;
	int sock[STREAMS_MAX], file[STREAMS_MAX]; /* -1 = ended */
};

static int capture_call(struct cli_ctx *c, Diag__NetworkPacketCaptureRequest *req, uint32_t *ret_n)
{
	auto_free uint8_t *payload = NULL;
	ProtobufCMessage *resp;
	struct cli_pb pb;
	size_t len;

	if (svc_call(c, SVC_UNDERHILL, "PacketCapture", &req->base, 0, &payload, &len) < 0)
		return -1;
	cli_pb_init(&pb);
	resp = cli_pb_unpack(&pb, &diag__network_packet_capture_response__descriptor, payload, len);
	if (!resp)
		return cli_err_set(&c->err, "the server's answer is malformed");
	*ret_n = ((Diag__NetworkPacketCaptureResponse *)resp)->num_streams;
	cli_pb_free(&pb, resp);
	return 0;
}

/* "dir/stem-N.ext" from "dir/stem.ext"; the extension is pcap when there is none. */
static int open_file(struct cli_ctx *c, const char *output, unsigned int i)
{
	const char *slash = strrchr(output, '/'), *name = slash ? slash + 1 : output;
	const char *dot = strrchr(name, '.');
	struct cli_str path = { 0 };
	int fd;

	if (dot == name)
		dot = NULL;
	cli_str_add(&path, output, dot ? (size_t)(dot - output) : strlen(output));
	cli_str_printf(&path, "-%u%s", i, dot ? dot : ".pcap");
	fd = path.failed ? cli_err_os(&c->err, ENOMEM) : cli_output(path.s, &c->err);
	cli_str_fini(&path);
	return fd;
}

static int capture_start(struct cli_ctx *c, struct capture *cap, uint32_t snaplen)
{
	Diag__NetworkPacketCaptureRequest req = DIAG__NETWORK_PACKET_CAPTURE_REQUEST__INIT;
	Diag__StartPacketCaptureData start = DIAG__START_PACKET_CAPTURE_DATA__INIT;
	uint64_t ids[STREAMS_MAX];
	uint32_t n;

	for (unsigned int i = 0; i < STREAMS_MAX; i++)
		cap->sock[i] = cap->file[i] = -1;
	if (capture_call(c, &req, &n) < 0)
		return -1;
	if (n > STREAMS_MAX)
		return cli_err_set(&c->err,
				   "the VM has %u network devices, at most %u can be captured", n,
				   STREAMS_MAX);
	for (; cap->n < n; cap->n++) {
		cap->sock[cap->n] = svc_data(c, &ids[cap->n]);
		if (cap->sock[cap->n] < 0)
			return -1;
	}
	start.snaplen = snaplen;
	start.conns = ids;
	start.n_conns = n;
	req.operation = DIAG__PACKET_CAPTURE_OPERATION__START;
	req.op_data_case = DIAG__NETWORK_PACKET_CAPTURE_REQUEST__OP_DATA_START_DATA;
	req.start_data = &start;
	if (capture_call(c, &req, &n) < 0)
		return -1;
	for (unsigned int i = 0; i < cap->n; i++) {
		cap->file[i] = open_file(c, cli_value(c->args, 'w'), i);
		if (cap->file[i] < 0)
			return -1;
	}
	return 0;
}

/* Move what has come within @ms. Returns: streams still open; -1 */
static int capture_step(struct cli_ctx *c, struct capture *cap, int ms, char *buf)
{
	struct pollfd fds[STREAMS_MAX];
	int open = 0, r;
	ssize_t n;

	for (unsigned int i = 0; i < cap->n; i++)
		fds[i] = (struct pollfd){ .fd = cap->sock[i], .events = POLLIN };
	if (poll(fds, cap->n, ms) < 0 && errno != EINTR)
		return cli_err_os(&c->err, errno);
	for (unsigned int i = 0; i < cap->n; i++) {
		if (cap->sock[i] >= 0 && fds[i].revents) {
			n = cli_read_some(cap->sock[i], buf, CLI_IO_CHUNK);
			r = n > 0 ? cli_write_all(cap->file[i], buf, (size_t)n) : 0;
			if (r < 0)
				return cli_err_os(&c->err, r);
			if (n <= 0) {
				(void)close(cap->sock[i]);
				cap->sock[i] = -1;
			}
		}
		open += cap->sock[i] >= 0;
	}
	return open;
}

static void capture_say(struct cli_ctx *c, const char *text)
{
	if (!c->json)
		printf("%s\n", text);
	(void)fflush(stdout);
}

static int capture_run(struct cli_ctx *c, struct capture *cap, uint64_t seconds, char *buf)
{
	Diag__NetworkPacketCaptureRequest stop = DIAG__NETWORK_PACKET_CAPTURE_REQUEST__INIT;
	uint64_t end = cli_now_ms() + seconds * 1000, now;
	uint32_t n;
	int open;

	do {
		now = cli_now_ms();
		open = capture_step(c, cap, now < end ? (int)MIN(end - now, 1000u) : 0, buf);
		if (open < 0)
			return -1;
		if (!open) {
			capture_say(c, "Lost connection with network.");
			return 0;
		}
	} while (cli_now_ms() < end && !cli_stopped());
	capture_say(c, "Stopping packet capture...");
	stop.operation = DIAG__PACKET_CAPTURE_OPERATION__STOP;
	if (capture_call(c, &stop, &n) < 0)
		(void)fprintf(stderr, "Failed stop: %s\n", c->err.msg[0]);
	capture_say(c, "Waiting for data to be flushed...");
	end = cli_now_ms() + 10000;
	while ((open = capture_step(c, cap, 1000, buf)) > 0 && cli_now_ms() < end)
		;
	return open < 0 ? -1 : 0;
}

int cmd_packet_capture(struct cli_ctx *c)
{
	auto_free char *buf = malloc(CLI_IO_CHUNK);
	uint64_t seconds, snaplen;
	struct capture cap = { 0 };
	int r;

	if (!buf)
		return cli_err_os(&c->err, ENOMEM);
	if (cli_number(cli_value(c->args, 'G'), 0, UINT32_MAX, "--seconds", &c->err, &seconds) <
		    0 ||
	    cli_number(cli_value(c->args, 's'), 1, UINT16_MAX, "the packet length", &c->err,
		       &snaplen) < 0)
		return -1;
	capture_say(c,
		    "Starting network packet capture. Wait for timeout or Ctrl-C to quit anytime.");
	r = capture_start(c, &cap, (uint32_t)snaplen);
	if (!r) {
		cli_catch_stop();
		r = capture_run(c, &cap, seconds, buf);
	}
	for (unsigned int i = 0; i < cap.n; i++) {
		if (cap.sock[i] >= 0)
			(void)close(cap.sock[i]);
		if (cap.file[i] >= 0)
			(void)close(cap.file[i]);
	}
	if (r < 0)
		return -1;
	if (c->json)
		printf("{\"streams\":%u}\n", cap.n);
	capture_say(c, "All done.");
	return 0;
}
