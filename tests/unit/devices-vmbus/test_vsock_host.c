/* SPDX-License-Identifier: MIT */
/* hvhost's hybrid vsock: real Unix sockets on one side, a guest's rings on the other. */
#include "le.h"
#include "../../hvhost/vsock_host.h"
#include "vmguest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit.h"

static struct vmguest g;
static struct loop *loop;
static struct vsock_host *v;
static char path[64];

static void settle(void)
{
	for (int i = 0; i < 20; i++) {
		vmguest_step(&g);
		loop_poll(loop);
	}
}

static void setup(void)
{
	struct vsock_host_cfg cfg = { .path = path };

	(void)snprintf(path, sizeof(path), "/tmp/keel-vsock-test-%d", (int)getpid());
	ck_assert_int_eq(loop_create(64, &loop), 0);
	vmguest_init(&g, VMBUS_COPPER, 0);
	cfg.server = g.server;
	cfg.loop = loop;
	ck_assert_int_eq(vsock_host_create(&cfg, &v), 0);
	vmguest_contact(&g, VMBUS_IRON, 0);
	ck_assert_uint_eq(vmguest_offers(&g), 0);
}

static void teardown(void)
{
	vsock_host_destroy(v);
	vmguest_fini(&g);
	loop_destroy(loop);
	ck_assert_int_eq(access(path, F_OK), -1); /* nothing is left behind */
}

static int dial(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	memcpy(sa.sun_path, path, strlen(path));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	settle();
	return fd;
}

static void say(int fd, const char *s)
{
	ck_assert_int_eq(send(fd, s, strlen(s), MSG_NOSIGNAL), (ssize_t)strlen(s));
	settle();
}

/* What the socket has for us: bytes as text, "" at end of stream, NULL when nothing yet. */
static const char *hear(int fd)
{
	static char buf[256];
	ssize_t n = recv(fd, buf, sizeof(buf) - 1, 0);

	if (n < 0)
		return NULL;
	buf[n] = 0;
	return buf;
}

/* The channel offered next. */
static struct vmguest_chan *offered(void)
{
	const struct vmguest_msg *m = vmguest_expect(&g, VMBUS_OFFER_CHANNEL);
	struct vmguest_chan *c = &g.chans[g.n_chans++];

	memset(c, 0, sizeof(*c));
	memcpy(&c->offer, m->raw, sizeof(c->offer));
	c->id = c->offer.chan_id;
	return c;
}

static void release(struct vmguest_chan *c)
{
	const struct vmbus_chan_msg m = { .h.type = VMBUS_RELID_RELEASED, .chan_id = c->id };

	vmguest_send(&g, &m, sizeof(m));
}

/* Connect to a port of the guest; the guest opens. */
static struct vmguest_chan *through(int *ret_fd)
{
	struct vmguest_chan *c;
	char want[64];

	*ret_fd = dial();
	say(*ret_fd, "CONNECT 1\n");
	c = offered();
	ck_assert_ptr_null(hear(*ret_fd)); /* no OK before it is open */
	ck_assert(vmguest_open(&g, c, 7));
	settle();
	(void)snprintf(want, sizeof(want), "OK %u\n", c->offer.instance_id.d1);
	ck_assert_str_eq(hear(*ret_fd), want);
	return c;
}

static void guest_says(struct vmguest_chan *c, const char *s)
{
	ck_assert_int_eq(pipe_send(&c->pipe, s, strlen(s)), 0);
	settle();
}

/* What the guest hears: text, "" = end of stream, NULL = nothing. */
static const char *guest_hears(struct vmguest_chan *c)
{
	static char buf[PIPE_MAX_PAYLOAD + 1];
	size_t len;
	int r = pipe_recv(&c->pipe, buf, PIPE_MAX_PAYLOAD, &len);

	settle();
	if (r < 0)
		return NULL;
	buf[len] = 0;
	return buf;
}

/* Wait for something that a timer brings. */
static void wait_for_message(void)
{
	while (!g.n_msgs)
		ck_assert_int_eq(loop_wait(loop), 0);
}

START_TEST(offer_of_a_listener)
{
	static const struct guid want = HVSOCK_GUID(1);
	struct vmguest_chan *c;
	int fd;

	setup();
	c = through(&fd);
	ck_assert_mem_eq(&c->offer.interface_id, &want, 16);
	ck_assert_uint_eq(c->offer.flags, 0x2011);
	ck_assert_uint_eq(le32_load(c->offer.user), 0); /* byte pipe */
	ck_assert_uint_eq(c->offer.user[4], 1); /* the host connects */
	ck_assert_uint_eq(le32_load(c->offer.user + 6), 1);
	(void)close(fd);
	teardown();
}
END_TEST

START_TEST(bytes_and_half_close_both_ways)
{
	struct vmguest_chan *c;
	int fd;

	setup();
	c = through(&fd);
	say(fd, "question");
	ck_assert_str_eq(guest_hears(c), "question");
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	settle();
	ck_assert_str_eq(guest_hears(c), ""); /* FIN */
	guest_says(c, "answer"); /* the other direction still works */
	ck_assert_str_eq(hear(fd), "answer");
	guest_says(c, "");
	ck_assert_str_eq(hear(fd), "");
	vmguest_expect(&g, VMBUS_RESCIND_OFFER); /* everything was read: at once */
	release(c);
	(void)close(fd);
	teardown();
}
END_TEST

START_TEST(unread_bytes_get_a_moment)
{
	struct vmguest_chan *c;
	int fd;

	setup();
	c = through(&fd);
	guest_says(c, ""); /* the guest only listens */
	say(fd, "last words");
	(void)close(fd);
	settle();
	ck_assert_uint_eq(g.n_msgs, 0);
	ck_assert_str_eq(guest_hears(c), "last words");
	ck_assert_str_eq(guest_hears(c), "");
	wait_for_message();
	vmguest_expect(&g, VMBUS_RESCIND_OFFER);
	release(c);
	teardown();
}
END_TEST

START_TEST(a_guest_that_never_reads_is_cut_off)
{
	struct vmguest_chan *c;
	int fd;

	setup();
	c = through(&fd);
	guest_says(c, "");
	say(fd, "x");
	(void)close(fd);
	wait_for_message(); /* within a second or so */
	vmguest_expect(&g, VMBUS_RESCIND_OFFER);
	teardown();
}
END_TEST

START_TEST(client_that_vanishes)
{
	struct vmguest_chan *c;
	int fd;

	setup();
	c = through(&fd);
	(void)close(fd);
	settle();
	ck_assert_str_eq(guest_hears(c), "");
	guest_says(c, "anybody?"); /* nobody: broken pipe */
	vmguest_expect(&g, VMBUS_RESCIND_OFFER);
	release(c);
	teardown();
}
END_TEST

START_TEST(guest_closes_the_channel)
{
	struct vmbus_chan_msg m = { .h.type = VMBUS_CLOSE_CHANNEL };
	struct vmguest_chan *c;
	int fd;

	setup();
	c = through(&fd);
	ck_assert_int_eq(pipe_send(&c->pipe, "bye", 3), 0); /* still in the ring */
	m.chan_id = c->id;
	vmguest_send(&g, &m, sizeof(m));
	settle();
	ck_assert_str_eq(hear(fd), "bye");
	ck_assert_str_eq(hear(fd), "");
	vmguest_expect(&g, VMBUS_RESCIND_OFFER);
	release(c);
	(void)close(fd);
	teardown();
}
END_TEST

START_TEST(much_data_with_back_pressure)
{
	static char out[300000], in[300000], buf[PIPE_MAX_PAYLOAD];
	struct vmguest_chan *c;
	size_t sent = 0, got = 0, len;
	int fd;

	setup();
	c = through(&fd);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i % 253);
	while (got < sizeof(in)) { /* host to guest */
		ssize_t n = send(fd, out + sent, sizeof(out) - sent, MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		settle();
		while (pipe_recv(&c->pipe, buf, sizeof(buf), &len) == 0) {
			ck_assert_uint_le(len, sizeof(in) - got);
			memcpy(in + got, buf, len);
			got += len;
		}
	}
	ck_assert_mem_eq(in, out, sizeof(in));
	for (sent = got = 0; got < sizeof(in);) { /* guest to host */
		size_t step = MIN(sizeof(out) - sent, (size_t)4088);
		ssize_t n;

		if (step && pipe_send(&c->pipe, out + sent, step) == 0)
			sent += step;
		else
			settle();
		n = recv(fd, in + got, MIN(sizeof(in) - got, (size_t)1000), 0);
		got += n > 0 ? (size_t)n : 0;
	}
	ck_assert_mem_eq(in, out, sizeof(in));
	(void)close(fd);
	teardown();
}
END_TEST

START_TEST(bad_requests_are_closed)
{
	static const char *const bad[] = {
		"HELLO 1\n", "CONNECT \n", "CONNECT x\n", "CONNECT -1\n", "CONNECT 4294967296\n",
		"CONNECT 1 \n", "CONNECT 99999999999\n", "\n",
		"CONNECT 00000001-facb-11e6-bd58+64006a7986d3\n",
		"CONNECT 000000000000000000000000000000000000000000000000000000",
	};

	setup();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int fd = dial();

		say(fd, bad[i]);
		/* The end of the stream, or a reset because bytes were left unread. */
		ck_assert_msg(hear(fd) || errno == ECONNRESET, "%s", bad[i]);
		ck_assert_uint_eq(g.n_msgs, 0);
		(void)close(fd);
	}
	teardown();
}
END_TEST

START_TEST(request_forms)
{
	static const struct guid want = HVSOCK_GUID(0x1337);
	struct vmguest_chan *c;
	int fd;

	setup();
	fd = dial();
	say(fd, "conn");
	ck_assert_uint_eq(g.n_msgs, 0);
	say(fd, "ect 00001337-FACB-11e6-bd58-64006a7986d3\nhello"); /* data may follow */
	c = offered();
	ck_assert_mem_eq(&c->offer.interface_id, &want, 16);
	ck_assert(vmguest_open(&g, c, 7));
	settle();
	ck_assert_str_eq(hear(fd), "OK 00001337-facb-11e6-bd58-64006a7986d3\n");
	ck_assert_str_eq(guest_hears(c), "hello");
	(void)close(fd);
	teardown();
}
END_TEST

START_TEST(nobody_listens)
{
	int fd;

	setup();
	fd = dial();
	say(fd, "CONNECT 9\n");
	offered();
	wait_for_message(); /* the guest says nothing: ten seconds */
	vmguest_expect(&g, VMBUS_RESCIND_OFFER);
	ck_assert_str_eq(hear(fd), "");
	(void)close(fd);
	teardown();
}
END_TEST

START_TEST(no_guest_yet)
{
	struct vsock_host_cfg cfg = { .path = path };
	int fd;

	(void)snprintf(path, sizeof(path), "/tmp/keel-vsock-test-%d", (int)getpid());
	ck_assert_int_eq(loop_create(64, &loop), 0);
	vmguest_init(&g, VMBUS_COPPER, 0);
	cfg.server = g.server;
	cfg.loop = loop;
	ck_assert_int_eq(vsock_host_create(&cfg, &v), 0);
	fd = dial();
	say(fd, "CONNECT 1\n");
	ck_assert_str_eq(hear(fd), "");
	(void)close(fd);
	teardown();
}
END_TEST

START_TEST(unload_ends_connections)
{
	struct vmguest_chan *c;
	int fd, waiting;

	setup();
	c = through(&fd);
	waiting = dial();
	say(waiting, "CONNECT 2\n");
	offered();
	vmguest_send(&g, &(struct vmbus_msg_header){ .type = VMBUS_UNLOAD }, 8);
	vmguest_expect(&g, VMBUS_UNLOAD_COMPLETE);
	ck_assert_str_eq(hear(fd), "");
	(void)c;
	(void)close(fd);
	(void)close(waiting);
	teardown();
}
END_TEST

/* Offer more than the limit: the surplus is closed, the rest lives. */
START_TEST(count_is_bounded)
{
	static int fds[VSOCK_HOST_MAX_CONNS + 8];
	unsigned closed = 0;

	setup();
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = dial();
		closed += hear(fds[i]) != NULL;
	}
	ck_assert_uint_eq(closed, 8);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		(void)close(fds[i]);
	settle();
	teardown();
}
END_TEST

/* ---- guest to host --------------------------------------------------------------------------- */

static void tl_connect(uint32_t from, const struct guid *service)
{
	struct vmbus_tl_connect tl = { .h.type = VMBUS_TL_CONNECT_REQUEST,
				       .endpoint = HVSOCK_GUID(from) };

	tl.service = *service;
	vmguest_send(&g, &tl, VMBUS_TL_CONNECT_V1_SIZE);
}

static int listener(const char *suffix)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s%s", path, suffix);
	(void)unlink(sa.sun_path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(fd, 64), 0);
	return fd;
}

START_TEST(guest_connects_to_the_host)
{
	static const struct guid service = HVSOCK_GUID(77), endpoint = HVSOCK_GUID(1000);
	struct vmguest_chan *c;
	char name[96];
	int l, fd;

	setup();
	l = listener("_77");
	tl_connect(1000, &service);
	c = offered(); /* no result message on success */
	ck_assert_mem_eq(&c->offer.interface_id, &service, 16);
	ck_assert_mem_eq(&c->offer.instance_id, &endpoint, 16);
	ck_assert_uint_eq(c->offer.user[4], 0);
	ck_assert(vmguest_open(&g, c, 7));
	fd = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	ck_assert_int_ge(fd, 0);
	guest_says(c, "hi");
	ck_assert_str_eq(hear(fd), "hi"); /* and no OK line */
	say(fd, "ho");
	ck_assert_str_eq(guest_hears(c), "ho");
	(void)close(fd);
	(void)close(l);
	(void)snprintf(name, sizeof(name), "%s_77", path);
	(void)unlink(name);
	teardown();
}
END_TEST

START_TEST(guest_is_refused)
{
	static const struct guid nobody = HVSOCK_GUID(78);
	struct guid odd = nobody;

	setup();
	tl_connect(1, &nobody);
	ck_assert_uint_eq(le32_load(vmguest_expect(&g, VMBUS_TL_CONNECT_RESULT)->raw + 40),
			  0xc0000236);
	odd.d4[0] = 0; /* not a vsock port: its GUID names the socket */
	tl_connect(1, &odd);
	vmguest_expect(&g, VMBUS_TL_CONNECT_RESULT);
	teardown();
}
END_TEST

/* Where the dialled sockets are out of sight, a relay reaches them. */
START_TEST(guest_connects_through_a_relay)
{
	static const struct guid service = HVSOCK_GUID(79);
	struct vmguest_chan *c;
	char name[96];
	int l, fd;

	setup();
	l = listener(VSOCK_DIAL_SUFFIX);
	tl_connect(1000, &service);
	settle();
	ck_assert_uint_eq(g.n_msgs, 0); /* no offer before the relay's word */
	fd = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	ck_assert_str_eq(hear(fd), "79\n");
	say(fd, "O");
	ck_assert_uint_eq(g.n_msgs, 0);
	say(fd, "K\nearly");
	c = offered();
	ck_assert(vmguest_open(&g, c, 7));
	settle();
	ck_assert_str_eq(guest_hears(c), "early");
	guest_says(c, "hi");
	ck_assert_str_eq(hear(fd), "hi");
	(void)close(fd);
	tl_connect(1001, &service); /* and one that it does not reach */
	fd = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	(void)close(fd);
	settle();
	ck_assert_uint_eq(g.n_msgs, 0);
	(void)close(l);
	(void)snprintf(name, sizeof(name), "%s" VSOCK_DIAL_SUFFIX, path);
	(void)unlink(name);
	teardown();
}
END_TEST

START_TEST(guest_requests_are_bounded)
{
	static const struct guid service = HVSOCK_GUID(77);
	unsigned offers = 0, refusals = 0;
	const struct vmguest_msg *m;
	char name[96];
	int l;

	setup();
	l = listener("_77");
	for (uint32_t i = 0; i < 40; i++)
		tl_connect(i + 1, &service);
	while ((m = vmguest_take(&g))) {
		offers += le32_load(m->raw) == VMBUS_OFFER_CHANNEL;
		refusals += le32_load(m->raw) == VMBUS_TL_CONNECT_RESULT;
	}
	ck_assert_uint_eq(offers, 16);
	ck_assert_uint_eq(refusals, 24);
	(void)close(l);
	(void)snprintf(name, sizeof(name), "%s_77", path);
	(void)unlink(name);
	teardown();
}
END_TEST

/* ---- the path -------------------------------------------------------------------------------- */

START_TEST(paths)
{
	static char long_path[300];
	struct vsock_host_cfg cfg = { .path = path };
	struct vsock_host *other;
	int fd;

	setup();
	memset(long_path, 'x', sizeof(long_path) - 1);
	cfg.server = g.server;
	cfg.loop = loop;
	ck_assert_int_eq(vsock_host_create(&cfg, &other), -EADDRINUSE); /* by ourselves */
	ck_assert_int_eq(access(path, F_OK), 0);
	cfg.path = long_path;
	ck_assert_int_eq(vsock_host_create(&cfg, &other), -ENAMETOOLONG);
	(void)snprintf(long_path, sizeof(long_path), "%s.file", path);
	fd = open(long_path, O_CREAT | O_WRONLY, 0600);
	cfg.path = long_path;
	ck_assert_int_eq(vsock_host_create(&cfg, &other), -EEXIST);
	ck_assert_int_eq(access(long_path, F_OK), 0); /* not ours to remove */
	(void)close(fd);
	(void)unlink(long_path);
	(void)close(listener(".old")); /* left behind by a run that was killed */
	(void)snprintf(long_path, sizeof(long_path), "%s.old", path);
	ck_assert_int_eq(vsock_host_create(&cfg, &other), 0);
	vsock_host_destroy(other);
	teardown();
}
END_TEST

UNIT_MAIN("devices/vmbus/vsock_host", offer_of_a_listener, bytes_and_half_close_both_ways,
	  unread_bytes_get_a_moment, a_guest_that_never_reads_is_cut_off, client_that_vanishes,
	  guest_closes_the_channel, much_data_with_back_pressure, bad_requests_are_closed,
	  request_forms, nobody_listens, no_guest_yet, unload_ends_connections, count_is_bounded,
	  guest_connects_to_the_host, guest_connects_through_a_relay,
	  guest_is_refused, guest_requests_are_bounded, paths)
