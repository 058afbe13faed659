/* SPDX-License-Identifier: MIT */
/*
 * What one exit costs inside the daemon: user-mode instructions and nanoseconds, on a scripted VP
 * with the real decode, emulator and chipset. The cost of the script itself is measured with an
 * empty exit and subtracted. Output: one JSON object per case.
 */
#include <stdlib.h>
#include <string.h>

#include "bench_count.h"
#include "hvmsr.h"
#include "log.h"
#include "mock_machine.h"
#include "vp_loop.h"

#define WARM_UP 2000u
#define ROUNDS 200000u
#define REPEATS 7

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

static void put_mem(struct hv_message *msg, uint8_t access, const uint8_t *insn, uint8_t len,
		    uint64_t gpa)
{
	struct hv_mem_msg m = {
		.h = mock_header64(0x2000, len),
		.ibytes_count = len,
		.info = HV_MEM_GVA_VALID | HV_MEM_GVA_GPA_VALID,
		.gva = gpa,
		.gpa = gpa,
	};

	memcpy(m.ibytes, insn, len);
	m.h.access = access;
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

	put_mem(msg, HV_ACC_READ, insn, sizeof(insn), 0xfec00010);
}

static void fill_mmio_write(struct hv_message *msg)
{
	static const uint8_t insn[] = { 0x89, 0x03 };

	put_mem(msg, HV_ACC_WRITE, insn, sizeof(insn), 0xfec00000);
}

/* lock or dword ptr [rbx], imm8: not one of the commonest forms. */
static void fill_mmio_rare(struct hv_message *msg)
{
	static const uint8_t insn[] = { 0x83, 0x0b, 0x01 };

	put_mem(msg, HV_ACC_WRITE, insn, sizeof(insn), 0xfec00010);
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

static void run_rounds(const void *ctx, unsigned int n)
{
	(void)ctx;
	while (n--) {
		if (vp_loop_step(&mm.vp.v))
			abort();
	}
}

static void select_case(const void *ctx)
{
	const struct bench_case *c = ctx;

	memset(&message, 0, sizeof(message));
	c->fill(&message);
	mm.vp.script = &message;
	mm.vp.n_script = 1;
	mm.vp.at = 0;
	mm.vp.script_loops = true;
	mm.vp.run->ctx.gp[3] = 0xfec00010;
	run_rounds(NULL, WARM_UP);
}

/* The best of several repeats: disturbance only ever adds. */
static double ns_per_exit(const struct bench_case *c)
{
	double best = 1e18;

	select_case(c);
	for (int i = 0; i < REPEATS; i++) {
		uint64_t t0 = bench_now_ns();

		run_rounds(NULL, ROUNDS);
		best = MIN(best, (double)(bench_now_ns() - t0) / ROUNDS);
	}
	return best;
}

int main(void)
{
	double empty_ns = 0, empty_instructions = 0;

	log_init(LOG_ERR, false, NULL, NULL);
	mock_machine_init(&mm);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct bench_work work = { select_case, run_rounds, &cases[i] };
		double ns = ns_per_exit(&cases[i]), n = bench_instructions(&work);

		if (i == 0) {
			empty_ns = ns;
			empty_instructions = n;
			continue;
		}
		bench_print(cases[i].name, ns - empty_ns, n > 0 ? n - empty_instructions : 0);
	}
	mock_machine_fini(&mm);
	return 0;
}
