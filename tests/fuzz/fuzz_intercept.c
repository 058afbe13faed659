/* SPDX-License-Identifier: MIT */
/*
 * Hostile exits against the whole machine: each input is a list of short records, each turned into
 * one intercept message with arbitrary contents (type, sizes, ports, addresses, registers,
 * instruction bytes), served by the real decode, emulator, hypercall table and chipset. Half of the
 * records aim at addresses somebody claims, so that devices are reached and not only the bus.
 */
#include <string.h>

#include "fuzz.h"
#include "hvmsr.h"
#include "hvregs.h"
#include "inject.h"
#include "log.h"
#include "../unit/vmm/mock_machine.h"

#define MAX_EXITS 64

static const uint32_t types[] = {
	HVMSG_IO_PORT, HVMSG_IO_PORT, HVMSG_IO_PORT, HVMSG_UNMAPPED_GPA, HVMSG_UNMAPPED_GPA,
	HVMSG_GPA_INTERCEPT, HVMSG_UNACCEPTED_GPA, HVMSG_MSR, HVMSG_CPUID, HVMSG_HYPERCALL,
	HVMSG_APIC_EOI, HVMSG_INTERRUPTION_DELIVERABLE, HVMSG_SINT_DELIVERABLE,
	HVMSG_UNRECOVERABLE_EXCEPTION, HVMSG_HALT, HVMSG_EXCEPTION,
};

static const uint16_t ports[] = { 0x20, 0xa0, 0x40, 0x61, 0x60, 0x64, 0x70, 0x3f8, 0x2f8, 0x3e8,
				  0x400, 0x433, 0xcf8, 0xcf9, 0x80 };

static const uint64_t gpas[] = { 0xfec00000, 0xfec00010, 0, MOCK_RAM_BYTES - 4, 0xfee00000 };

struct input {
	const uint8_t *p;
	size_t left;
};

static uint8_t take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static uint64_t take64(struct input *in)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | take(in);
	return v;
}

static void take_bytes(struct input *in, void *buf, size_t len)
{
	size_t n = MIN(len, in->left);

	memcpy(buf, in->p, n);
	in->p += n;
	in->left -= n;
}

/* Registers keep what earlier instructions left, some get new values. */
static void mutate_regs(struct mock_machine *mm, struct input *in)
{
	uint8_t which = take(in);

	for (unsigned int i = 0; i < 8; i++) {
		if (which & 1u << i)
			mm->vp.run->ctx.gp[(i * 3) % 16] = take64(in);
	}
	if (which & 0x80)
		mm->vp.page->efer ^= 0x400;
	mm->vp.page_valid = !(which & 0x40);
	mm->vp.xlate_code = which & 7 ? 0 : take(in) % 11;
	mm->vp.xlate_gpa_page = which & 8 ? gpas[take(in) % ARRAY_SIZE(gpas)] >> 12 : take(in);
}

static void aim_io(struct hv_io_msg *m, struct input *in)
{
	uint8_t a = take(in);

	if (a & 1)
		m->port = (uint16_t)(ports[(a >> 1) % ARRAY_SIZE(ports)] + (take(in) & 7));
	if (a & 0x40)
		m->info = (uint8_t)(1u << (take(in) % 3));
}

static void aim_mem(struct hv_mem_msg *m, struct input *in)
{
	uint8_t a = take(in);

	if (!(a & 1))
		return;
	m->gpa = gpas[(a >> 1) % ARRAY_SIZE(gpas)];
	m->gva = m->gpa;
	m->info = HV_MEM_GVA_VALID | HV_MEM_GVA_GPA_VALID;
	if (a & 0x40) {
		m->h.exec = (uint16_t)((m->h.exec & 3) | HV_EXEC_PE | HV_EXEC_LMA);
		m->h.cs.attr |= 1u << 13;
		m->ibytes_count = 16;
	}
}

static void one_exit(struct mock_machine *mm, struct input *in)
{
	uint8_t pick = take(in);
	uint32_t type = pick & 0x80 ? (uint32_t)take64(in) : types[pick % ARRAY_SIZE(types)];
	uint8_t payload[HV_MESSAGE_PAYLOAD] = { 0 };
	uint8_t len = pick & 0x40 ? take(in) : HV_MESSAGE_PAYLOAD;

	mutate_regs(mm, in);
	take_bytes(in, payload, 1u + take(in) % 128u);
	if (type == HVMSG_IO_PORT)
		aim_io((struct hv_io_msg *)(void *)payload, in);
	if (type == HVMSG_UNMAPPED_GPA || type == HVMSG_GPA_INTERCEPT)
		aim_mem((struct hv_mem_msg *)(void *)payload, in);
	mm->now_ns += take(in) * 1000ull;
	mock_exit(&mm->vp, type, payload, MIN(len, (uint8_t)HV_MESSAGE_PAYLOAD));
	inject_sync(&mm->vp.v);
}

static void drop_record(void *ctx, const struct log_record *rec)
{
	(void)ctx;
	(void)rec;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mock_machine
		mm; /* kept: state that earlier inputs left is part of the test */
	static bool ready;
	struct input in = { data, size };

	if (!ready) {
		log_init(LOG_DEBUG, false, drop_record, NULL);
		mock_machine_init(&mm);
		ready = true;
	}
	mm.vp.n_regs = 0;
	for (unsigned int i = 0; i < MAX_EXITS && in.left; i++)
		one_exit(&mm, &in);
	return 0;
}
