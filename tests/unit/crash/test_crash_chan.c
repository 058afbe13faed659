/* SPDX-License-Identifier: MIT */
/* The crash dump channel: the helper's end and the host's end over a ring, down to a file. */
#include "core_rewrite.h"
#include "crash_chan.h"
#include "kmsg_note.h"
#include "log.h"
#include "loop.h"
#include "../../hvhost/core_files.h"
#include "../../hvhost/dump_host.h"
#include "../devices-vmbus/vmguest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

static struct vmguest g;
static struct loop *loop;
static struct dump_host *dh;
static struct vmguest_chan *chan;
static struct crash_chan cc;
static struct core_files files;
static char dir[] = "/tmp/crash-XXXXXX";
static int stream[2]; /* host's end, front end's */
static bool reading; /* the front end reads */
static unsigned idle; /* turns in which nothing moved */
static char told[8][5000];
static unsigned n_told;
static struct {
	unsigned n;
	uint64_t bytes;
	bool complete;
} ended;

static void tell(void *ctx, const char *sentence)
{
	(void)ctx;
	ck_assert_uint_lt(n_told, ARRAY_SIZE(told));
	snprintf(told[n_told++], sizeof(told[0]), "%s", sentence);
}

static void on_ended(void *ctx, uint64_t bytes, bool complete)
{
	(void)ctx;
	ended.n++;
	ended.bytes = bytes;
	ended.complete = complete;
}

static void read_stream(void)
{
	uint8_t buf[5000];
	ssize_t n;

	while (reading && (n = recv(stream[1], buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		core_files_data(&files, buf, (size_t)n);
}

/* Everybody else's turn. A front end that does not read wakes up when nothing moves any more. */
static int wait_turn(void *ctx)
{
	unsigned before = chan->interrupts;

	(void)ctx;
	for (int i = 0; i < 4; i++) {
		vmguest_step(&g);
		loop_poll(loop);
		read_stream();
	}
	idle = chan->interrupts == before ? idle + 1 : 0;
	reading = reading || idle > 100;
	return idle > 1000 ? -ETIMEDOUT : 0;
}

static void setup_with(uint64_t max, bool with_stream)
{
	struct dump_host_cfg cfg = { .max_bytes = max, .ended = on_ended, .out_fd = -1 };

	n_told = 0;
	memset(&ended, 0, sizeof(ended));
	reading = true;
	idle = 0;
	log_init(LOG_ERR, false, NULL, NULL);
	ck_assert_int_eq(loop_create(64, &loop), 0);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, stream), 0);
	core_files_init(&files, dir, tell, NULL);
	vmguest_init(&g, VMBUS_COPPER, 0);
	cfg.server = g.server;
	cfg.loop = loop;
	if (with_stream)
		cfg.out_fd = stream[0];
	ck_assert_int_eq(dump_host_create(&cfg, &dh), 0);
	vmguest_contact(&g, VMBUS_IRON, 0);
	ck_assert_uint_eq(vmguest_offers(&g), 1);
	chan = vmguest_find(&g, &(struct guid)CRASH_CHANNEL_GUID);
	ck_assert_ptr_nonnull(chan);
	ck_assert(guid_eq((struct guid *)(void *)&chan->offer.interface_id,
			  &(struct guid)CRASH_CHANNEL_GUID));
	ck_assert(vmguest_open(&g, chan, 17));
}

static void setup(void)
{
	setup_with(1 << 20, true);
}

static void teardown(void)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	char path[600];

	dump_host_destroy(dh);
	read_stream();
	core_files_end(&files);
	vmguest_fini(&g);
	loop_destroy(loop);
	(void)close(stream[0]);
	(void)close(stream[1]);
	while (d && (de = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, de->d_name);
		if (de->d_name[0] != '.')
			(void)unlink(path);
	}
	if (d)
		(void)closedir(d);
	ck_assert_int_eq(rmdir(dir), 0);
}

static int begin(void)
{
	const struct crash_chan_io io = { &chan->pipe, wait_turn, NULL };

	return crash_chan_begin(&cc, &io);
}

static int send_bytes(size_t len, size_t piece)
{
	static uint8_t buf[40000];
	int r = 0;

	ck_assert_uint_le(piece, sizeof(buf));
	for (size_t at = 0; at < len && r == 0; at += piece) {
		for (size_t i = 0; i < piece; i++)
			buf[i] = (uint8_t)((at + i) * 13);
		r = crash_chan_write(&cc, buf, MIN(piece, len - at));
	}
	return r;
}

/* The file the front end wrote: its size, and whether it holds what send_bytes() sends. */
static size_t file_size(bool *ret_same)
{
	uint8_t byte;
	size_t n = 0;
	FILE *f = fopen(files.path, "rb");

	ck_assert_ptr_nonnull(f);
	*ret_same = true;
	while (fread(&byte, 1, 1, f) == 1) {
		if (byte != (uint8_t)(n * 13))
			*ret_same = false;
		n++;
	}
	(void)fclose(f);
	return n;
}

START_TEST(whole_dump)
{
	static const size_t lens[] = { 0, 1, 16383, 16384, 16385, 300000 };
	bool same;

	setup();
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		ck_assert_int_eq(begin(), 0);
		ck_assert_int_eq(send_bytes(lens[i], i & 1 ? 1000 : 40000), 0);
		ck_assert_int_eq(crash_chan_complete(&cc, "Linux version 7.3.4 (x) #1"), 0);
		ck_assert_uint_eq(ended.n, i + 1);
		ck_assert(ended.complete);
		ck_assert_uint_eq(ended.bytes, lens[i]);
		(void)wait_turn(NULL);
		ck_assert_uint_eq(n_told, i + 1);
		ck_assert_uint_eq(file_size(&same), lens[i]);
		ck_assert(same);
		ck_assert_ptr_nonnull(strstr(told[i], "complete core"));
		ck_assert_ptr_nonnull(strstr(told[i], "DAMAGED")); /* it was no ELF file */
	}
	teardown();
}
END_TEST

/* The reader of the stream stops: so does the host, and nothing is lost. */
START_TEST(slow_reader)
{
	bool same;

	setup();
	ck_assert_int_eq(begin(), 0);
	reading = false;
	ck_assert_int_eq(send_bytes(900000, 1000), 0);
	ck_assert(reading); /* it was waited for */
	ck_assert_int_eq(crash_chan_complete(&cc, ""), 0);
	for (int i = 0; i < 20; i++)
		(void)wait_turn(NULL);
	ck_assert_uint_eq(ended.bytes, 900000);
	ck_assert_uint_eq(file_size(&same), 900000);
	ck_assert(same);
	teardown();
}
END_TEST

START_TEST(more_than_the_host_takes)
{
	bool same;

	setup_with(100000, true);
	ck_assert_int_eq(begin(), 0);
	ck_assert_int_eq(send_bytes(200000, 777), -ENOSPC);
	ck_assert_int_eq(crash_chan_complete(&cc, "?"), 0);
	(void)wait_turn(NULL);
	ck_assert_uint_eq(ended.bytes, 100000);
	ck_assert_uint_eq(file_size(&same), 100000);
	ck_assert(same);
	teardown();
}
END_TEST

START_TEST(refused)
{
	setup_with(1 << 20, false); /* nowhere to put it */
	ck_assert_int_eq(begin(), -EOPNOTSUPP);
	teardown();
}
END_TEST

/* The guest goes away in the middle: what came is kept and called partial. */
START_TEST(cut_off)
{
	setup();
	ck_assert_int_eq(begin(), 0);
	ck_assert_int_eq(send_bytes(50000, 1000), 0);
	vmguest_step(&g);
	vmbus_server_reset(g.server);
	loop_poll(loop);
	read_stream();
	ck_assert_uint_eq(ended.n, 1);
	ck_assert(!ended.complete);
	ck_assert_uint_eq(n_told, 1);
	ck_assert_ptr_nonnull(strstr(told[0], "PARTIAL core"));
	teardown();
}
END_TEST

/* ---- a guest that does not keep to the rules ------------------------------------------------- */

static struct crash_header head(uint64_t type)
{
	return (struct crash_header){ cc.activity, type };
}

static void put(const void *msg, size_t len)
{
	ck_assert_int_eq(pipe_send(&chan->pipe, msg, len), 0);
	vmguest_step(&g);
}

static void put_write(uint64_t offset, uint32_t size, uint32_t data)
{
	static const uint8_t zero[CRASH_WRITE_MAX];
	const struct crash_write_req req = { head(CRASH_NIX_WRITE), offset, size };

	put(&req, sizeof(req));
	put(zero, data);
}

static int answer(struct crash_status_rsp *ret_rsp)
{
	uint8_t buf[64];
	size_t len;
	int r = pipe_recv(&chan->pipe, buf, sizeof(buf), &len);

	if (r == 0) {
		ck_assert_uint_eq(len, sizeof(*ret_rsp));
		memcpy(ret_rsp, buf, len);
	}
	return r;
}

START_TEST(out_of_order)
{
	struct crash_status_rsp rsp;

	setup();
	ck_assert_int_eq(begin(), 0);
	put_write(0, 100, 100);
	ck_assert_int_eq(answer(&rsp), -EAGAIN);
	put_write(50, 100, 100);
	ck_assert_int_eq(answer(&rsp), 0);
	ck_assert_uint_eq(rsp.h.type, CRASH_NIX_WRITE | CRASH_RESPONSE);
	ck_assert_int_ne(rsp.status, 0);
	ck_assert(!ended.complete);
	put_write(100, 36, 36); /* data as long as a request */
	ck_assert_int_eq(answer(&rsp), 0);
	ck_assert_int_ne(rsp.status, 0);
	ck_assert_int_eq(answer(&rsp), -EAGAIN);
	/* The helper hears of it at its next write. */
	put_write(200, 10, 10);
	ck_assert_int_eq(send_bytes(20000, 1000), -EIO);
	teardown();
}
END_TEST

START_TEST(write_without_start)
{
	struct crash_status_rsp rsp;

	setup();
	put_write(0, 100, 100);
	ck_assert_int_eq(answer(&rsp), 0);
	ck_assert_int_ne(rsp.status, 0);
	ck_assert_int_eq(begin(), 0);
	ck_assert_int_eq(send_bytes(10, 10), 0);
	ck_assert_int_eq(crash_chan_complete(&cc, ""), 0);
	ck_assert(ended.complete);
	teardown();
}
END_TEST

/* Each of these ends the channel: no answer comes any more, and the dump is partial. */
static void expect_dead(void)
{
	const struct crash_header q = head(CRASH_GET_CAPS);
	uint8_t buf[64];
	size_t len;

	vmguest_step(&g);
	(void)!pipe_send(&chan->pipe, &q, sizeof(q));
	vmguest_step(&g);
	ck_assert_int_eq(pipe_recv(&chan->pipe, buf, sizeof(buf), &len), -EAGAIN);
	ck_assert(!ended.complete);
	ck_assert_uint_eq(ended.n, 1);
}

START_TEST(fatal)
{
	const struct crash_header again = { .type = CRASH_NIX_START }, no = { .type = 0x7777 };
	struct crash_complete_req done = { .vtl = 2 };
	struct crash_write_req req;

	setup();
	ck_assert_int_eq(begin(), 0);
	put_write(0, 10, 10);
	switch (_i) {
	case 0:
		put_write(10, 100, 99);
		break;
	case 1:
		put_write(10, 100, 101);
		break;
	case 2:
		put(&again, sizeof(again));
		break;
	case 3:
		put(&no, sizeof(no));
		break;
	case 4:
		put(&no, 23);
		break;
	case 5:
		req = (struct crash_write_req){ head(CRASH_NIX_WRITE), 10, CRASH_WRITE_MAX + 1 };
		put(&req, sizeof(req));
		break;
	case 6:
		req = (struct crash_write_req){ head(CRASH_NIX_WRITE), 10, 10 };
		put(&req, sizeof(req) - 1);
		break;
	case 7:
		req = (struct crash_write_req){ head(CRASH_NIX_WRITE), 10, 10 };
		req.h.activity.d1 ^= 1;
		put(&req, sizeof(req));
		break;
	default:
		done.h = head(CRASH_NIX_COMPLETE);
		put(&done, sizeof(done) - 1);
		break;
	}
	expect_dead();
	teardown();
}
END_TEST

START_TEST(beyond_the_limit)
{
	setup_with(100, true);
	ck_assert_int_eq(begin(), 0);
	put_write(0, 60, 60);
	put_write(60, 41, 41);
	expect_dead();
	teardown();
}
END_TEST

/* ---- a host that does not keep to the rules -------------------------------------------------- */

static struct pipe guest_end, host_end;
static struct {
	uint8_t ctl[2][4096] __attribute__((aligned(4096)));
	uint8_t data[2][65536] __attribute__((aligned(4096)));
	void *pages[2][16];
} mem;
static uint8_t script[4][64];
static size_t script_len[4];
static unsigned script_n, script_at;

static void nothing(void *ctx)
{
	(void)ctx;
}

/* Every question gets the next answer of the script. */
static int scripted(void *ctx)
{
	static uint8_t buf[CRASH_WRITE_MAX];
	size_t len;
	int r = pipe_recv(&host_end, buf, sizeof(buf), &len);

	(void)ctx;
	if (r < 0 || script_at == script_n)
		return -ETIMEDOUT;
	ck_assert_int_eq(pipe_send(&host_end, script[script_at], script_len[script_at]), 0);
	script_at++;
	return 0;
}

static void make_pipes(void)
{
	struct ring_mem a = { mem.ctl[0], mem.pages[0], 16 }, b = { mem.ctl[1], mem.pages[1], 16 };

	memset(mem.ctl, 0, sizeof(mem.ctl));
	for (unsigned i = 0; i < 16; i++) {
		mem.pages[0][i] = mem.data[0] + (size_t)i * 4096;
		mem.pages[1][i] = mem.data[1] + (size_t)i * 4096;
	}
	ck_assert_int_eq(pipe_attach(&guest_end, &a, &b, nothing, NULL), 0);
	ck_assert_int_eq(pipe_attach(&host_end, &b, &a, nothing, NULL), 0);
	script_n = script_at = 0;
}

static void say(uint64_t type, const void *body, size_t len)
{
	const struct crash_header h = { .activity.d1 = 77, .type = type };

	memcpy(script[script_n], &h, sizeof(h));
	if (len)
		memcpy(script[script_n] + sizeof(h), body, len);
	script_len[script_n++] = sizeof(h) + len;
}

static int begin_scripted(void)
{
	const struct crash_chan_io io = { &guest_end, scripted, NULL };

	return crash_chan_begin(&cc, &io);
}

START_TEST(odd_hosts)
{
	const uint64_t caps = 2, windows = 1;
	const uint8_t config[12] = { 0, 0, 1, 0, 0, 0, 0, 0, 1 }, kdump[12] = { 1, [8] = 2 };
	const uint8_t none[12] = { [8] = 1 };
	const int32_t good = 0, bad = -1;

	make_pipes();
	ck_assert_int_eq(begin_scripted(), -ETIMEDOUT);
	make_pipes();
	say(CRASH_GET_CAPS | CRASH_RESPONSE, &windows, 8);
	ck_assert_int_eq(begin_scripted(), -EOPNOTSUPP);
	make_pipes();
	say(CRASH_GET_CAPS | CRASH_RESPONSE, &caps, 7);
	ck_assert_int_eq(begin_scripted(), -EPROTO);
	make_pipes();
	say(CRASH_NIX_CONFIG | CRASH_RESPONSE, &caps, 8);
	ck_assert_int_eq(begin_scripted(), -EPROTO);
	make_pipes();
	say(CRASH_GET_CAPS | CRASH_RESPONSE, &caps, 8);
	say(CRASH_NIX_CONFIG | CRASH_RESPONSE, kdump, 12);
	ck_assert_int_eq(begin_scripted(), -EOPNOTSUPP);
	make_pipes();
	say(CRASH_GET_CAPS | CRASH_RESPONSE, &caps, 8);
	say(CRASH_NIX_CONFIG | CRASH_RESPONSE, none, 12);
	ck_assert_int_eq(begin_scripted(), -EOPNOTSUPP);
	make_pipes();
	say(CRASH_GET_CAPS | CRASH_RESPONSE, &caps, 8);
	say(CRASH_NIX_CONFIG | CRASH_RESPONSE, config, 12);
	say(CRASH_NIX_START | CRASH_RESPONSE, &bad, 4);
	ck_assert_int_eq(begin_scripted(), -ECONNREFUSED);
	make_pipes();
	say(CRASH_GET_CAPS | CRASH_RESPONSE, &caps, 8);
	say(CRASH_NIX_CONFIG | CRASH_RESPONSE, config, 12);
	say(CRASH_NIX_START | CRASH_RESPONSE, &good, 4);
	ck_assert_int_eq(begin_scripted(), 0);
	ck_assert_uint_eq(cc.activity.d1, 77); /* the host's, from now on */
	ck_assert_uint_eq(cc.max_bytes, 65536);
	/* A message longer than any answer fails the pipe. */
	ck_assert_int_eq(pipe_send(&host_end, mem.pages, 65), 0);
	ck_assert_int_eq(send_bytes(20000, 1000), -EPIPE);
}
END_TEST

START_TEST(kernel_versions)
{
	uint32_t major, minor;

	crash_chan_kernel("Linux version 7.3.4-keel (a@b) #1", &major, &minor);
	ck_assert_uint_eq(major, 7);
	ck_assert_uint_eq(minor, 3);
	crash_chan_kernel("Linux version 99999999999999.1", &major, &minor);
	ck_assert_uint_eq(major, 0);
	crash_chan_kernel("", &major, &minor);
	ck_assert_uint_eq(major, 0);
	ck_assert_uint_eq(minor, 0);
}
END_TEST

/* ---- files ----------------------------------------------------------------------------------- */

START_TEST(last_words)
{
	static const char text[] = "VTL2 crashed on vp 0\nKernel panic\n";
	char buf[100] = "";
	FILE *f;

	setup();
	ck_assert_int_eq(begin(), 0);
	dump_host_file(dh, "panic", text, sizeof(text) - 1);
	read_stream();
	ck_assert_uint_eq(n_told, 2); /* the dump that was under way, and the words */
	ck_assert_ptr_nonnull(strstr(told[0], "PARTIAL"));
	ck_assert_ptr_nonnull(strstr(told[1], "last words"));
	ck_assert_ptr_nonnull(strstr(files.path, "panic.txt"));
	f = fopen(files.path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fread(buf, 1, sizeof(buf), f), sizeof(text) - 1);
	(void)fclose(f);
	ck_assert_str_eq(buf, text);
	teardown();
}
END_TEST

START_TEST(nonsense_stream)
{
	static const uint8_t odd[][8] = { { 9 }, { 0 }, { 1, [4] = 16 }, { 2, [5] = 0x41 } };
	const uint8_t data[] = { 2, 0, 0, 0, 4, 0, 0, 0, 'a', 'b', 'c', 'd' };

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		n_told = 0;
		core_files_init(&files, "/nonexistent/folder", tell, NULL);
		core_files_data(&files, data, sizeof(data)); /* data of no file: ignored */
		ck_assert(!files.lost);
		core_files_data(&files, odd[i], sizeof(odd[i]));
		ck_assert(files.lost);
		core_files_data(&files, data, sizeof(data));
		core_files_end(&files);
		ck_assert_uint_eq(n_told, 0);
	}
}
END_TEST

START_TEST(no_place)
{
	const uint8_t begin_core[] = { 1, 0, 0, 0, 4, 0, 0, 0, 'c', 'o', 'r', 'e' };

	n_told = 0;
	core_files_init(&files, "/nonexistent/folder", tell, NULL);
	core_files_data(&files, begin_core, sizeof(begin_core));
	ck_assert_uint_eq(n_told, 1);
	ck_assert_ptr_nonnull(strstr(told[0], "cannot be stored in /nonexistent/folder"));
}
END_TEST

int main(void)
{
	const TTest *const once[] = {
		whole_dump,
		slow_reader,
		more_than_the_host_takes,
		refused,
		cut_off,
		out_of_order,
		write_without_start,
		beyond_the_limit,
		odd_hosts,
		kernel_versions,
		last_words,
		nonsense_stream,
		no_place,
	};
	const TTest *const each[] = { fatal };
	int r = unit_run("crash/crash_chan", once, ARRAY_SIZE(once), 1);

	return r == EXIT_SUCCESS ? unit_run("crash/crash_chan", each, 1, 9) : r;
}
