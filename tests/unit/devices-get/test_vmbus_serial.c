/* SPDX-License-Identifier: MIT */
/* The serial client against hvhost's port, and both against peers that lie. */
#include "vmbus_serial.h"
#include "inspect_get.h"
#include "../../hvhost/serial_host.h"
#include "../devices-vmbus/vmguest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

static struct vmguest g;
static struct loop *loop;
static struct vmbus_serial *vs;
static struct serial_host *sh;
static struct vmguest_chan *chan;
static int far_end; /* the terminal behind the port */

static struct {
	char got[8192];
	size_t n, room; /* input taken; how much more is taken */
	int space, connected, calls;
} uart;

static size_t u_rx(void *ctx, const uint8_t *data, size_t n)
{
	size_t take = MIN(n, uart.room);

	(void)ctx;
	uart.calls++;
	memcpy(uart.got + uart.n, data, take);
	uart.n += take;
	uart.room -= take;
	return take;
}

static void u_space(void *ctx)
{
	(void)ctx;
	uart.space++;
}

static void u_connected(void *ctx, bool connected)
{
	(void)ctx;
	uart.connected = connected;
}

static const struct vmbus_serial_ops ops = { .rx = u_rx, .tx_space = u_space,
					     .connected = u_connected };

static void settle(void)
{
	for (int i = 0; i < 20; i++) {
		vmguest_step(&g);
		loop_poll(loop);
	}
}

static void open_port(void)
{
	int sv[2], small = 1;
	struct serial_host_cfg cfg = { .port = 1 };

	ck_assert_int_eq(loop_create(64, &loop), 0);
	vmguest_init(&g, VMBUS_COPPER, 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	(void)setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	far_end = sv[1];
	cfg.server = g.server;
	cfg.loop = loop;
	cfg.in_fd = cfg.out_fd = sv[0];
	ck_assert_int_eq(serial_host_create(&cfg, &sh), 0);
	vmguest_contact(&g, VMBUS_IRON, 0);
	ck_assert_uint_eq(vmguest_offers(&g), 1);
	chan = vmguest_find(&g, &vmbus_serial_instance[1]);
	ck_assert_ptr_nonnull(chan);
	ck_assert(vmguest_open(&g, chan, 17));
}

static void setup(bool tx_only)
{
	struct vmbus_serial_cfg cfg = { .ops = &ops, .port = 1, .tx_only = tx_only };

	memset(&uart, 0, sizeof(uart));
	uart.room = sizeof(uart.got);
	open_port();
	cfg.loop = loop;
	cfg.pipe = &chan->pipe;
	ck_assert_int_eq(vmbus_serial_create(&cfg, &vs), 0);
	ck_assert_int_eq(vmbus_serial_start(vs), 0);
	settle();
	ck_assert_int_eq(uart.connected, 1);
}

static void teardown(void)
{
	vmbus_serial_destroy(vs);
	vs = NULL;
	serial_host_destroy(sh);
	vmguest_fini(&g);
	loop_destroy(loop);
	(void)close(far_end);
}

static size_t tx(const char *s, size_t n)
{
	return vmbus_serial_tx(vs, (const uint8_t *)s, n);
}

START_TEST(output_reaches_the_fd)
{
	char buf[64] = "";

	setup(false);
	ck_assert(vmbus_serial_idle(vs));
	ck_assert_uint_eq(tx("login: ", 7), 7);
	ck_assert(!vmbus_serial_idle(vs));
	ck_assert_str_eq(inspect_get(vmbus_serial_inspect, vs, "tx_buffered"), "7");
	loop_poll(loop); /* sent, not confirmed */
	ck_assert(!vmbus_serial_idle(vs));
	ck_assert_str_eq(inspect_get(vmbus_serial_inspect, vs, "tx_in_flight"), "true");
	settle();
	ck_assert(vmbus_serial_idle(vs));
	ck_assert_str_eq(inspect_get(vmbus_serial_inspect, vs, "state"), "\"running\"");
	ck_assert_int_eq(read(far_end, buf, sizeof(buf)), 7);
	ck_assert_str_eq(buf, "login: ");
	teardown();
}
END_TEST

START_TEST(long_output_keeps_its_order)
{
	static char out[100000], in[100000];
	size_t sent = 0, got = 0;

	setup(false);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7 % 251);
	while (got < sizeof(out)) {
		ssize_t n;

		sent += tx(out + sent, sizeof(out) - sent);
		settle();
		n = read(far_end, in + got, MIN(sizeof(in) - got, (size_t)777));
		got += n > 0 ? (size_t)n : 0;
	}
	ck_assert_mem_eq(in, out, sizeof(out));
	ck_assert_int_gt(uart.space, 0); /* it had been turned away */
	teardown();
}
END_TEST

START_TEST(a_stuck_terminal_holds_the_guest_back)
{
	static char junk[65536];
	size_t total = 0, last = 1;

	setup(false);
	while (last) {
		last = tx(junk, sizeof(junk));
		total += last;
		settle();
	}
	ck_assert_uint_lt(total, 1000000); /* bounded by the buffers on the way */
	while (read(far_end, junk, sizeof(junk)) > 0)
		settle();
	ck_assert_uint_gt(tx(junk, 1), 0);
	teardown();
}
END_TEST

START_TEST(input_reaches_the_uart)
{
	setup(false);
	ck_assert_int_eq(write(far_end, "ls\n", 3), 3);
	settle();
	ck_assert_uint_eq(uart.n, 3);
	ck_assert_mem_eq(uart.got, "ls\n", 3);
	ck_assert_int_eq(write(far_end, "pwd\n", 4), 4);
	settle();
	ck_assert_uint_eq(uart.n, 7);
	teardown();
}
END_TEST

START_TEST(input_waits_for_a_full_uart)
{
	char many[1000];

	setup(false);
	memset(many, 'k', sizeof(many));
	uart.room = 10;
	ck_assert_int_eq(write(far_end, many, sizeof(many)), sizeof(many));
	settle();
	ck_assert_uint_eq(uart.n, 10);
	uart.room = 100;
	vmbus_serial_rx_ready(vs);
	settle();
	ck_assert_uint_eq(uart.n, 110);
	uart.room = sizeof(uart.got) - uart.n;
	vmbus_serial_rx_ready(vs);
	settle();
	ck_assert_uint_eq(uart.n, sizeof(many));
	teardown();
}
END_TEST

START_TEST(tx_only_never_asks)
{
	setup(true);
	ck_assert_int_eq(write(far_end, "x", 1), 1);
	settle();
	ck_assert_int_eq(uart.calls, 0);
	ck_assert_uint_eq(tx("y", 1), 1);
	settle();
	teardown();
}
END_TEST

START_TEST(hung_up_terminal)
{
	static char junk[65536];

	setup(false);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)close(far_end);
	settle();
	for (int i = 0; i < 20; i++) {
		ck_assert_uint_gt(tx(junk, sizeof(junk)), 0); /* swallowed, not stuck */
		for (int k = 0; k < 10; k++)
			settle();
	}
	teardown();
}
END_TEST

/* ---- a host that lies ------------------------------------------------------------------------ */

static struct pipe cli_end, host_end;
static void *pages[2][4];
static uint8_t mem[2][5 * KEEL_PAGE_SIZE] __attribute__((aligned(4096)));

static void nothing(void *transport)
{
	(void)transport;
}

static void liar_setup(bool versioned)
{
	struct vmbus_serial_cfg cfg = { .ops = &ops, .pipe = &cli_end };
	struct ring_mem m[2];
	uint8_t buf[128];
	size_t len;

	memset(&uart, 0, sizeof(uart));
	uart.room = sizeof(uart.got);
	memset(mem, 0, sizeof(mem));
	for (int i = 0; i < 2; i++) {
		for (int p = 0; p < 4; p++)
			pages[i][p] = mem[i] + (size_t)(p + 1) * KEEL_PAGE_SIZE;
		m[i] = (struct ring_mem){ mem[i], pages[i], 4 };
	}
	ck_assert_int_eq(pipe_attach(&cli_end, &m[0], &m[1], nothing, NULL), 0);
	ck_assert_int_eq(pipe_attach(&host_end, &m[1], &m[0], nothing, NULL), 0);
	ck_assert_int_eq(loop_create(64, &loop), 0);
	cfg.loop = loop;
	ck_assert_int_eq(vmbus_serial_create(&cfg, &vs), 0);
	ck_assert_int_eq(vmbus_serial_start(vs), 0);
	ck_assert_int_eq(pipe_recv(&host_end, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, 8);
	ck_assert_mem_eq(buf, "\1\2\1\0\0\0\1\0", 8);
	if (!versioned)
		return;
	ck_assert_int_eq(pipe_send(&host_end, "\1\3\1\0\1\0", 6), 0);
	cli_end.wake(cli_end.user);
	loop_poll(loop);
	ck_assert_int_eq(pipe_recv(&host_end, buf, sizeof(buf), &len), 0);
	ck_assert_mem_eq(buf, "\1\2\2\0", 4); /* asks for input at once */
}

static void expect_disconnect(bool versioned, const void *msg, size_t len)
{
	liar_setup(versioned);
	ck_assert_int_eq(pipe_send(&host_end, msg, len), 0);
	cli_end.wake(cli_end.user);
	ck_assert_int_eq(uart.connected, 0);
	ck_assert_uint_eq(tx("gone", 4), 4); /* taken and dropped */
	loop_poll(loop);
	vmbus_serial_destroy(vs);
	loop_destroy(loop);
	vs = NULL;
}

START_TEST(lies_disconnect_the_port)
{
	uint8_t rx[70] = { 1, 3, 2, 0, 65 };

	expect_disconnect(false, "\1\3\1\0\0\0", 6); /* refused */
	expect_disconnect(false, "\1\3\1\0\1", 5);
	expect_disconnect(true, "\1\3\1\0\1\0", 6); /* twice */
	expect_disconnect(true, rx, 70); /* 65 bytes in 64 */
	rx[4] = 1;
	expect_disconnect(true, rx, 69);
	expect_disconnect(true, "\1\4\3\0", 4); /* completes what was never sent */
	expect_disconnect(true, "\1\4\2\0\0", 5);
	expect_disconnect(true, "\1\4\x9\0", 4);
	expect_disconnect(true, "\2\4\1\0", 4);
	expect_disconnect(true, "\1\1\1\0", 4);
	expect_disconnect(true, "\1", 1);
	expect_disconnect(true, "", 0);
}
END_TEST

START_TEST(empty_answers_do_not_spin)
{
	uint8_t rx[70] = { 1, 3, 2, 0, 0, 1 }; /* no bytes, "more" */
	uint8_t buf[64];
	size_t len;

	liar_setup(true);
	ck_assert_int_eq(pipe_send(&host_end, rx, sizeof(rx)), 0);
	cli_end.wake(cli_end.user);
	loop_poll(loop);
	ck_assert_int_eq(pipe_recv(&host_end, buf, sizeof(buf), &len), -EAGAIN);
	ck_assert_int_eq(pipe_send(&host_end, "\1\4\1\0", 4), 0); /* RX_DATA_AVAILABLE */
	cli_end.wake(cli_end.user);
	ck_assert_int_eq(pipe_recv(&host_end, buf, sizeof(buf), &len), 0);
	vmbus_serial_destroy(vs);
	loop_destroy(loop);
}
END_TEST

START_TEST(one_transmission_in_flight)
{
	char big[200];
	uint8_t buf[128];
	size_t len;

	liar_setup(true);
	memset(big, 'z', sizeof(big));
	ck_assert_uint_eq(tx(big, sizeof(big)), sizeof(big));
	for (unsigned want = 64, left = 200; left; left -= want) {
		want = MIN(left, 64u);
		loop_poll(loop);
		ck_assert_int_eq(pipe_recv(&host_end, buf, sizeof(buf), &len), 0);
		ck_assert_uint_eq(len, 70);
		ck_assert_mem_eq(buf, "\1\1\2\0", 4);
		ck_assert_uint_eq(buf[4], want);
		ck_assert_int_eq(pipe_recv(&host_end, buf, sizeof(buf), &len), -EAGAIN);
		ck_assert_int_eq(pipe_send(&host_end, "\1\4\3\0", 4), 0);
		cli_end.wake(cli_end.user);
	}
	vmbus_serial_destroy(vs);
	loop_destroy(loop);
}
END_TEST

/* ---- a guest that lies ----------------------------------------------------------------------- */

START_TEST(host_port_survives_nonsense)
{
	uint8_t tx65[70] = { 1, 1, 2, 0, 65 };
	const struct {
		const void *msg;
		size_t len;
	} t[] = { { tx65, 70 }, { tx65, 68 }, { "\1\1\2\0", 4 }, { "\1\2\x9\0", 4 },
		  { "\2\2\2\0", 4 }, { "", 0 }, { "\1\2\1\0", 4 } };
	uint8_t buf[128];
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		open_port();
		ck_assert_int_eq(pipe_send(&chan->pipe, "\1\2\1\0\0\0\1\0", 8), 0);
		vmguest_step(&g);
		ck_assert_int_eq(pipe_recv(&chan->pipe, buf, sizeof(buf), &len), 0);
		ck_assert_uint_eq(len, 6);
		ck_assert_int_eq(pipe_recv(&chan->pipe, buf, sizeof(buf), &len), 0);
		ck_assert_mem_eq(buf, "\1\4\2\0\0\1", 6); /* modem status: connected */
		ck_assert_int_eq(pipe_send(&chan->pipe, t[i].msg, t[i].len), 0);
		ck_assert_int_eq(pipe_send(&chan->pipe, "\1\2\2\0", 4), 0);
		vmguest_step(&g);
		ck_assert_int_eq(pipe_recv(&chan->pipe, buf, sizeof(buf), &len), -EAGAIN);
		teardown();
	}
}
END_TEST

UNIT_MAIN("devices/get/vmbus_serial", output_reaches_the_fd, long_output_keeps_its_order,
	  a_stuck_terminal_holds_the_guest_back, input_reaches_the_uart,
	  input_waits_for_a_full_uart, tx_only_never_asks, hung_up_terminal,
	  lies_disconnect_the_port, empty_answers_do_not_spin, one_transmission_in_flight,
	  host_port_survives_nonsense)
