/* SPDX-License-Identifier: MIT */
/*
 * What one exit costs inside the daemon: user-mode instructions and nanoseconds, on a scripted VP
 * with the real decode, emulator and chipset. The cost of the script itself is measured with an
 * empty exit and subtracted.
 *
 * Instructions are counted by single-stepping a child through two different numbers of exits; the
 * difference is exact and needs no performance counter. Output: one JSON object per case.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hvmsr.h"
#include "log.h"
#include "mock_machine.h"
#include "vp_loop.h"

#define WARM_UP 2000u
#define ROUNDS 200000u
#define REPEATS 7
#define FEW 3u
#define MANY 11u

static struct mock_machine mm;
static struct hv_message message;

struct bench_case {
	const char *name;
	void (*fill)(struct hv_message *msg);
};

static void put(struct hv_message *msg, uint32_t type, const void *payload, uint8_t len)
{
	msg->type = type;
	msg->payload_size = len;
	memcpy(msg->payload, payload, len);
}

static void put_io(struct hv_message *msg, uint8_t access, uint16_t port, uint8_t size)
{
	struct hv_io_msg m = { .h = mock_header64(0x1000, 1), .port = port, .info = size };

	m.h.access = access;
	put(msg, HVMSG_IO_PORT, &m, sizeof(m));
}

static void put_mem(struct hv_message *msg, const uint8_t *insn, uint8_t len, uint64_t gpa)
{
	struct hv_mem_msg m = {
		.h = mock_header64(0x2000, len),
		.ibytes_count = len,
		.info = HV_MEM_GVA_VALID | HV_MEM_GVA_GPA_VALID,
		.gva = gpa,
		.gpa = gpa,
	};

	memcpy(m.ibytes, insn, len);
	put(msg, HVMSG_UNMAPPED_GPA, &m, sizeof(m));
}

/* The cheapest message there is: it only changes one word of the vcpu. */
static void fill_empty(struct hv_message *msg)
{
	struct hv_sint_deliverable_msg m = { .h = mock_header64(0, 0) };

	put(msg, HVMSG_SINT_DELIVERABLE, &m, sizeof(m));
}

static void fill_port_in(struct hv_message *msg)
{
	put_io(msg, HV_ACC_READ, 0x3fd, 1);
}

static void fill_port_out(struct hv_message *msg)
{
	put_io(msg, HV_ACC_WRITE, 0x3ff, 1);
}

static void fill_port_nobody(struct hv_message *msg)
{
	put_io(msg, HV_ACC_READ, 0x1234, 4);
}

/* mov eax, [rbx] and mov [rbx], eax on the IOAPIC: what Linux does there. */
static void fill_mmio_read(struct hv_message *msg)
{
	static const uint8_t insn[] = { 0x8b, 0x03 };

	put_mem(msg, insn, sizeof(insn), 0xfec00010);
}

static void fill_mmio_write(struct hv_message *msg)
{
	static const uint8_t insn[] = { 0x89, 0x03 };

	put_mem(msg, insn, sizeof(insn), 0xfec00000);
}

/* lock or dword ptr [rbx], imm8: not one of the commonest forms. */
static void fill_mmio_rare(struct hv_message *msg)
{
	static const uint8_t insn[] = { 0x83, 0x0b, 0x01 };

	put_mem(msg, insn, sizeof(insn), 0xfec00010);
}

static void fill_msr(struct hv_message *msg)
{
	struct hv_msr_msg m = { .h = mock_header64(0, 2), .msr = HVMSR_CRASH_CTL };

	put(msg, HVMSG_MSR, &m, sizeof(m));
}

static const struct bench_case cases[] = {
	{ "empty", fill_empty },	   { "port_in", fill_port_in },
	{ "port_out", fill_port_out },	   { "port_unclaimed", fill_port_nobody },
	{ "mmio_read", fill_mmio_read },   { "mmio_write", fill_mmio_write },
	{ "mmio_rmw", fill_mmio_rare },	   { "msr", fill_msr },
};

static void run_rounds(unsigned int n)
{
	while (n--) {
		if (vp_loop_step(&mm.vp.v))
			abort();
	}
}

static void select_case(const struct bench_case *c)
{
	memset(&message, 0, sizeof(message));
	c->fill(&message);
	mm.vp.script = &message;
	mm.vp.n_script = 1;
	mm.vp.at = 0;
	mm.vp.script_loops = true;
	mm.vp.run->ctx.gp[3] = 0xfec00010;
	run_rounds(WARM_UP);
}

/* In the child: everything up to the stop is free, what follows is counted. */
static _Noreturn void counted_child(const struct bench_case *c, unsigned int rounds)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(1);
	select_case(c);
	(void)raise(SIGSTOP);
	run_rounds(rounds);
	_exit(0);
}

/* Instructions of a child from its stop to its end; 0 when it cannot be traced. */
static uint64_t count_child(const struct bench_case *c, unsigned int rounds)
{
	pid_t pid = fork();
	uint64_t steps = 0;
	int status;

	if (pid == 0)
		counted_child(c, rounds);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return 0;
	while (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid &&
	       WIFSTOPPED(status))
		steps++;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? steps : 0;
}

static double instructions_per_exit(const struct bench_case *c)
{
	uint64_t few = count_child(c, FEW), many = count_child(c, MANY);

	return few && many > few ? (double)(many - few) / (MANY - FEW) : 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The best of several repeats: disturbance only ever adds. */
static double ns_per_exit(const struct bench_case *c)
{
	double best = 1e18;

	select_case(c);
	for (int i = 0; i < REPEATS; i++) {
		uint64_t t0 = now_ns();

		run_rounds(ROUNDS);
		best = MIN(best, (double)(now_ns() - t0) / ROUNDS);
	}
	return best;
}

int main(void)
{
	double empty_ns = 0, empty_instructions = 0;

	log_init(LOG_ERR, false, NULL, NULL);
	mock_machine_init(&mm);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		double ns = ns_per_exit(&cases[i]), n = instructions_per_exit(&cases[i]);

		if (i == 0) {
			empty_ns = ns;
			empty_instructions = n;
			continue;
		}
		(void)printf("{\"case\":\"%s\",\"ns\":%.1f", cases[i].name, ns - empty_ns);
		if (n > 0)
			(void)printf(",\"instructions\":%.1f", n - empty_instructions);
		(void)printf("}\n");
	}
	mock_machine_fini(&mm);
	return 0;
}
