/* SPDX-License-Identifier: MIT */
/* Exit decode: what each message does to devices, registers and counters. */
#include "unit.h"

#include <string.h>

#include "device.h"
#include "hvmsr.h"
#include "hvregs.h"
#include "log.h"
#include "mock_vp.h"
#include "vp_loop.h"
#include "x86emu.h"

/* A device that remembers the last access and answers with a pattern. */
struct probe {
	struct device dev;
	struct bus_access last;
	uint64_t written;
	unsigned int reads, writes;
};

static enum bus_status probe_read(struct device *dev, const struct bus_access *a, uint64_t *ret_val)
{
	struct probe *p = container_of(dev, struct probe, dev);

	p->last = *a;
	p->reads++;
	*ret_val = 0x8877665544332211ull;
	return BUS_OK;
}

static enum bus_status probe_write(struct device *dev, const struct bus_access *a, uint64_t val)
{
	struct probe *p = container_of(dev, struct probe, dev);

	p->last = *a;
	p->writes++;
	p->written = val;
	return BUS_OK;
}

static const struct device_ops probe_ops = {
	.name = "probe",
	.io_read = probe_read,
	.io_write = probe_write,
};

#define PROBE_PORT 0x500
#define PROBE_GPA 0xf0000000ull
#define RAX(m) ((m)->run->ctx.gp[0])
#define RCX(m) ((m)->run->ctx.gp[1])
#define RDX(m) ((m)->run->ctx.gp[2])

static struct mock_vp mock;
static struct probe probe;

static void setup(void)
{
	log_init(LOG_ERR, false, NULL, NULL);
	mock_vp_init(&mock);
	memset(&probe, 0, sizeof(probe));
	device_init(&probe.dev, &probe_ops, "probe");
	ck_assert_int_eq(bus_claim(mock.bus, BUS_PIO, PROBE_PORT, 8, &probe.dev, 1), 0);
	ck_assert_int_eq(bus_claim(mock.bus, BUS_MMIO, PROBE_GPA, 0x1000, &probe.dev, 2), 0);
	ck_assert_int_eq(bus_freeze(mock.bus), 0);
}

static struct hv_io_msg io_msg(uint8_t access, uint16_t port, uint8_t info)
{
	struct hv_io_msg msg = { .h = mock_header64(0x1000, 1), .port = port, .info = info };

	msg.h.access = access;
	return msg;
}

static uint64_t count(enum exit_kind k)
{
	return atomic_load(&mock.v.exits[k]);
}

START_TEST(pio_read_sizes)
{
	static const struct {
		uint8_t size;
		uint64_t rax;
	} cases[] = {
		{ 1, 0xaaaaaaaaaaaaaa11ull },
		{ 2, 0xaaaaaaaaaaaa2211ull },
		{ 4, 0x44332211ull },
	};

	setup();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct hv_io_msg msg = io_msg(HV_ACC_READ, PROBE_PORT, cases[i].size);

		RAX(&mock) = 0xaaaaaaaaaaaaaaaaull;
		mock_exit(&mock, HVMSG_IO_PORT, &msg, sizeof(msg));
		ck_assert_uint_eq(RAX(&mock), cases[i].rax);
		ck_assert_uint_eq(mock.page->rip, 0x1001);
		ck_assert_uint_eq(mock.page->dirty, HV_REGPAGE_DIRTY_RIP);
	}
	ck_assert_uint_eq(count(EXIT_PIO), 3);
	ck_assert_uint_eq(mock.reg_gets + mock.reg_sets + mock.n_calls, 0);
}
END_TEST

START_TEST(pio_write_masks_and_unclaimed)
{
	struct hv_io_msg msg;

	setup();
	RAX(&mock) = 0x1122334455667788ull;
	msg = io_msg(HV_ACC_WRITE, PROBE_PORT + 2, 2);
	mock_exit(&mock, HVMSG_IO_PORT, &msg, sizeof(msg));
	ck_assert_uint_eq(probe.written, 0x7788);
	ck_assert_uint_eq(probe.last.off, 2);
	ck_assert_uint_eq(RAX(&mock), 0x1122334455667788ull);
	msg = io_msg(HV_ACC_READ, 0x999, 1);
	mock_exit(&mock, HVMSG_IO_PORT, &msg, sizeof(msg));
	ck_assert_uint_eq(RAX(&mock), 0x11223344556677ffull);
}
END_TEST

START_TEST(pio_bad_size_and_short_message)
{
	struct hv_io_msg msg;

	setup();
	msg = io_msg(HV_ACC_READ, PROBE_PORT, 3);
	mock_exit(&mock, HVMSG_IO_PORT, &msg, sizeof(msg));
	msg = io_msg(HV_ACC_READ, PROBE_PORT, 1);
	mock_exit(&mock, HVMSG_IO_PORT, &msg, sizeof(msg) - 1);
	mock_exit(&mock, 0x80010099, &msg, sizeof(msg));
	mock_exit(&mock, 0, &msg, sizeof(msg));
	ck_assert_uint_eq(probe.reads, 0);
	ck_assert_uint_eq(count(EXIT_UNKNOWN), 4);
}
END_TEST

START_TEST(pio_rip_wraps_outside_64bit)
{
	struct hv_io_msg msg;

	setup();
	msg = io_msg(HV_ACC_READ, PROBE_PORT, 1);
	msg.h.rip = 0xffffffff;
	msg.h.exec = HV_EXEC_PE;
	msg.h.cs.attr = 0xc09b;
	mock_exit(&mock, HVMSG_IO_PORT, &msg, sizeof(msg));
	ck_assert_uint_eq(mock.page->rip, 0);
}
END_TEST

START_TEST(pio_single_step_traps)
{
	struct hv_io_msg msg;

	setup();
	msg = io_msg(HV_ACC_READ, PROBE_PORT, 1);
	msg.h.rflags |= X86_FL_TF;
	mock_exit(&mock, HVMSG_IO_PORT, &msg, sizeof(msg));
	ck_assert(mock_has_reg(&mock, HVREG_PENDING_EVENT0));
	ck_assert_uint_eq(mock_reg(&mock, HVREG_PENDING_EVENT0)->q[0],
			  HV_PENDING_EVENT_PENDING | 1ull << 16);
	ck_assert_uint_eq(mock_reg(&mock, HVREG_PENDING_EVENT0)->q[1], 0x4000);
}
END_TEST

START_TEST(pio_clears_interrupt_shadow)
{
	struct hv_io_msg msg;

	setup();
	msg = io_msg(HV_ACC_READ, PROBE_PORT, 1);
	msg.h.exec |= HV_EXEC_INTERRUPT_SHADOW;
	mock.page->interrupt_state = 3;
	mock_exit(&mock, HVMSG_IO_PORT, &msg, sizeof(msg));
	ck_assert_uint_eq(mock_reg(&mock, HVREG_INTERRUPT_STATE)->u64, 2);
}
END_TEST

START_TEST(page_invalid_uses_ioctl)
{
	struct hv_io_msg msg;

	setup();
	mock.page_valid = false;
	msg = io_msg(HV_ACC_READ, PROBE_PORT, 1);
	mock_exit(&mock, HVMSG_IO_PORT, &msg, sizeof(msg));
	ck_assert_uint_eq(mock_reg(&mock, HVREG_RIP)->u64, 0x1001);
	ck_assert_uint_eq(mock.page->dirty, 0);
}
END_TEST

/* mov eax, [rbx] and mov [rbx], eax on the probe, with the translation in the message. */
START_TEST(mmio_load_and_store)
{
	struct hv_mem_msg msg = {
		.h = mock_header64(0x2000, 2),
		.ibytes_count = 2,
		.info = HV_MEM_GVA_VALID | HV_MEM_GVA_GPA_VALID,
		.gva = 0xffff800000000010ull,
		.gpa = PROBE_GPA + 0x10,
		.ibytes = { 0x8b, 0x03 },
	};

	setup();
	mock.run->ctx.gp[3] = msg.gva;
	RAX(&mock) = ~0ull;
	mock_exit(&mock, HVMSG_UNMAPPED_GPA, &msg, sizeof(msg));
	ck_assert_uint_eq(RAX(&mock), 0x44332211);
	ck_assert_uint_eq(mock.page->rip, 0x2002);
	ck_assert_uint_eq(probe.last.off, 0x10);
	msg.ibytes[0] = 0x89;
	msg.h.access = HV_ACC_WRITE;
	RAX(&mock) = 0x123456789ull;
	mock_exit(&mock, HVMSG_UNMAPPED_GPA, &msg, sizeof(msg));
	ck_assert_uint_eq(probe.written, 0x23456789);
	ck_assert_uint_eq(count(EXIT_MMIO), 2);
	ck_assert_uint_eq(mock.n_calls, 0);
}
END_TEST

/* The form a host may substitute for the real instruction: accumulator and absolute address. */
START_TEST(mmio_moffs)
{
	struct hv_mem_msg msg = {
		.h = mock_header64(0x2000, 9),
		.ibytes_count = 9,
		.info = HV_MEM_GVA_VALID | HV_MEM_GVA_GPA_VALID,
		.gva = PROBE_GPA + 0x10,
		.gpa = PROBE_GPA + 0x10,
		.ibytes = { 0xa1, 0x10, 0, 0, 0xf0, 0, 0, 0, 0 },
	};

	setup();
	RAX(&mock) = 0xffffffffff5fc010ull;
	mock_exit(&mock, HVMSG_UNMAPPED_GPA, &msg, sizeof(msg));
	ck_assert_uint_eq(RAX(&mock), 0x44332211);
	ck_assert_uint_eq(mock.page->rip, 0x2009);
	msg.ibytes[0] = 0xa3;
	msg.h.access = HV_ACC_WRITE;
	RAX(&mock) = 0x99;
	mock_exit(&mock, HVMSG_UNMAPPED_GPA, &msg, sizeof(msg));
	ck_assert_uint_eq(probe.written, 0x99);
}
END_TEST

/* The guest made a store of the load that was intercepted: the message's translation was not
 * checked for writing, so the hypervisor is asked, and nothing is written on its refusal. */
START_TEST(mmio_load_turned_store)
{
	struct hv_mem_msg msg = {
		.h = mock_header64(0x2000, 2),
		.ibytes_count = 2,
		.info = HV_MEM_GVA_VALID | HV_MEM_GVA_GPA_VALID,
		.gva = 0xffff800000000010ull,
		.gpa = PROBE_GPA + 0x10,
		.ibytes = { 0x89, 0x03 },
	};

	setup();
	mock.run->ctx.gp[3] = msg.gva;
	probe.written = 0;
	mock_exit(&mock, HVMSG_UNMAPPED_GPA, &msg, sizeof(msg));
	ck_assert_uint_eq(mock.n_calls, 1);
	ck_assert_uint_eq(probe.written, 0);
}
END_TEST

START_TEST(mmio_unclaimed_reads_ones)
{
	struct hv_mem_msg msg = {
		.h = mock_header64(0x2000, 3),
		.ibytes_count = 3,
		.info = HV_MEM_GVA_VALID | HV_MEM_GVA_GPA_VALID,
		.gva = 0x5000,
		.gpa = 0xe0005000,
		.ibytes = { 0x48, 0x8b, 0x03 },
	};

	setup();
	mock.run->ctx.gp[3] = msg.gva;
	mock_exit(&mock, HVMSG_UNMAPPED_GPA, &msg, sizeof(msg));
	ck_assert_uint_eq(RAX(&mock), ~0ull);
}
END_TEST

/* A page fault that the hypervisor finds is VTL0's own. */
START_TEST(mmio_translation_fault_is_injected)
{
	struct hv_mem_msg msg = {
		.h = mock_header64(0x2000, 2),
		.ibytes_count = 2,
		.gpa = PROBE_GPA,
		.ibytes = { 0x8b, 0x03 },
	};
	union hv_regval *event;

	setup();
	mock.run->ctx.gp[3] = 0x7000;
	mock.xlate_code = HV_XLATE_NOT_PRESENT;
	mock_exit(&mock, HVMSG_UNMAPPED_GPA, &msg, sizeof(msg));
	event = mock_reg(&mock, HVREG_PENDING_EVENT0);
	ck_assert_uint_eq(event->q[0] & 0xffffffff,
			  HV_PENDING_EVENT_PENDING | HV_PENDING_EXC_HAS_ERROR | 14u << 16);
	ck_assert_uint_eq(event->q[1], 0x7000);
	ck_assert_uint_eq(probe.reads, 0);
}
END_TEST

START_TEST(mmio_unsupported_is_ud)
{
	struct hv_mem_msg msg = {
		.h = mock_header64(0x2000, 5),
		.ibytes_count = 5,
		.info = HV_MEM_GVA_VALID | HV_MEM_GVA_GPA_VALID,
		.gpa = PROBE_GPA,
		.ibytes = { 0xc5, 0xfc, 0x10, 0x03, 0x90 }, /* vmovups ymm0, [rbx] */
	};

	setup();
	mock_exit(&mock, HVMSG_UNMAPPED_GPA, &msg, sizeof(msg));
	ck_assert_uint_eq(mock_reg(&mock, HVREG_PENDING_EVENT0)->q[0],
			  HV_PENDING_EVENT_PENDING | 6ull << 16);
	ck_assert_uint_eq(count(EXIT_EMU_UNSUPPORTED), 1);
}
END_TEST

START_TEST(mmio_during_event_delivery_is_shutdown)
{
	struct hv_mem_msg msg = { .h = mock_header64(0x2000, 0), .gpa = PROBE_GPA };

	setup();
	msg.h.exec |= 1u << 6;
	mock_exit(&mock, HVMSG_UNMAPPED_GPA, &msg, sizeof(msg));
	ck_assert_uint_eq(mock.triple_faults, 1);
}
END_TEST

START_TEST(protected_memory_is_counted)
{
	static const struct gpa_range prot = { 0x10000000, 0x1000000 };
	struct hv_mem_msg msg = {
		.h = mock_header64(0x2000, 2),
		.ibytes_count = 2,
		.info = HV_MEM_GVA_VALID | HV_MEM_GVA_GPA_VALID,
		.gva = 0x10000ffc,
		.gpa = 0x10000ffc,
		.ibytes = { 0x8b, 0x03 },
	};

	setup();
	mock.env.protected_ranges = &prot;
	mock.env.n_protected = 1;
	mock.run->ctx.gp[3] = msg.gva;
	mock_exit(&mock, HVMSG_GPA_INTERCEPT, &msg, sizeof(msg));
	ck_assert_uint_eq(RAX(&mock), 0xffffffff);
	ck_assert_uint_eq(count(EXIT_PROTECTED), 1);
}
END_TEST

/* rep outsb: two bytes of RAM to the probe's port */
START_TEST(string_io)
{
	struct hv_io_msg msg;

	setup();
	msg = io_msg(HV_ACC_WRITE, PROBE_PORT, 1 | (uint8_t)HV_IO_STRING | (uint8_t)HV_IO_REP);
	msg.h.ilen_cr8 = 2;
	msg.ibytes_count = 2;
	msg.ibytes[0] = 0xf3;
	msg.ibytes[1] = 0x6e;
	mock.ram[0x3000] = 0xab;
	mock.ram[0x3001] = 0xcd;
	mock.xlate_gpa_page = 3;
	RCX(&mock) = 2;
	RDX(&mock) = PROBE_PORT;
	mock.run->ctx.gp[6] = 0x3000;
	mock_exit(&mock, HVMSG_IO_PORT, &msg, sizeof(msg));
	ck_assert_uint_eq(probe.writes, 2);
	ck_assert_uint_eq(probe.written, 0xcd);
	ck_assert_uint_eq(RCX(&mock), 0);
	ck_assert_uint_eq(mock.page->rip, 0x1002);
	ck_assert_uint_eq(count(EXIT_PIO_STRING), 1);
}
END_TEST

START_TEST(cpuid_leaves)
{
	struct hv_cpuid_msg msg = { .h = mock_header64(0x100, 2), .rax = HVCPUID_VS_INTERFACE };

	setup();
	mock_exit(&mock, HVMSG_CPUID, &msg, sizeof(msg));
	ck_assert_uint_eq(RAX(&mock), HV_CPUID_INTERFACE_VS1);
	ck_assert_uint_eq(mock.page->rip, 0x102);
	msg.rax = HVCPUID_VS_VENDOR;
	mock_exit(&mock, HVMSG_CPUID, &msg, sizeof(msg));
	ck_assert_uint_eq(RAX(&mock), HVCPUID_VS_PROPERTIES);
	ck_assert_uint_eq((uint32_t)mock.run->ctx.gp[3], 0x7263694du);
	msg.rax = 0x40000085;
	msg.def_rax = 0x1234;
	msg.def_rdx = 0x5678;
	mock_exit(&mock, HVMSG_CPUID, &msg, sizeof(msg));
	ck_assert_uint_eq(RAX(&mock), 0x1234);
	ck_assert_uint_eq(RDX(&mock), 0x5678);
}
END_TEST

static void wrmsr(uint32_t msr, uint64_t val)
{
	struct hv_msr_msg msg = { .h = mock_header64(0x100, 2), .msr = msr };

	msg.h.access = HV_ACC_WRITE;
	RAX(&mock) = (uint32_t)val;
	RDX(&mock) = val >> 32;
	mock_exit(&mock, HVMSG_MSR, &msg, sizeof(msg));
}

static uint64_t rdmsr(uint32_t msr)
{
	struct hv_msr_msg msg = { .h = mock_header64(0x100, 2), .msr = msr };

	RAX(&mock) = RDX(&mock) = ~0ull;
	mock_exit(&mock, HVMSG_MSR, &msg, sizeof(msg));
	return RAX(&mock) | RDX(&mock) << 32;
}

START_TEST(msr_crash_with_message)
{
	setup();
	ck_assert_uint_eq(rdmsr(HVMSR_CRASH_CTL), HV_CRASH_CTL_CAPS);
	ck_assert_uint_eq(rdmsr(0x4000007f), 0);
	ck_assert_int_eq(mock.v.event_pending, 0);
	memcpy(mock.ram + 0x8000, "Kernel panic", 12);
	wrmsr(HVMSR_CRASH_P0 + 3, 0x8000);
	wrmsr(HVMSR_CRASH_P0 + 4, 12);
	ck_assert_uint_eq(rdmsr(HVMSR_CRASH_P0 + 3), 0x8000);
	wrmsr(HVMSR_CRASH_CTL, HV_CRASH_CTL_MESSAGE); /* without the notify bit: nothing */
	ck_assert_uint_eq(mock.crashes, 0);
	wrmsr(HVMSR_CRASH_CTL, HV_CRASH_CTL_NOTIFY | HV_CRASH_CTL_MESSAGE);
	ck_assert_uint_eq(mock.crashes, 1);
	ck_assert_uint_eq(mock.last_crash.text_len, 12);
	ck_assert_int_eq(memcmp(mock.last_crash.text, "Kernel panic", 12), 0);
	/* A length beyond the buffer and an address beyond RAM are the guest's problem. */
	wrmsr(HVMSR_CRASH_P0 + 4, ~0ull);
	wrmsr(HVMSR_CRASH_P0 + 3, MOCK_RAM_BYTES - 8);
	wrmsr(HVMSR_CRASH_CTL, HV_CRASH_CTL_NOTIFY | HV_CRASH_CTL_MESSAGE);
	ck_assert_uint_eq(mock.last_crash.text_len, 0);
}
END_TEST

START_TEST(eoi_and_triple_fault)
{
	struct hv_apic_eoi_msg eoi = { .vector = 0x51 };
	struct hv_x64_header h = mock_header64(0, 0);

	setup();
	mock_exit(&mock, HVMSG_APIC_EOI, &eoi, sizeof(eoi));
	ck_assert_uint_eq(mock.eois, 1);
	ck_assert_uint_eq(mock.last_eoi, 0x51);
	mock_exit(&mock, HVMSG_UNRECOVERABLE_EXCEPTION, &h, sizeof(h));
	ck_assert_uint_eq(mock.triple_faults, 1);
}
END_TEST

/* The PIC raises its output: ask for a notification once, acknowledge and inject when it comes. */
START_TEST(extint_flow)
{
	struct hv_interruption_deliverable_msg msg = { .h = mock_header64(0, 0) };

	setup();
	mock.n_script = 0;
	vcpu_extint_line(&mock.v, true);
	ck_assert_int_eq(vp_loop_step(&mock.v), 0);
	ck_assert_uint_eq(mock_reg(&mock, HVREG_DELIVERABILITY)->u64, HV_DELIVER_INTERRUPT);
	mock.reg_sets = 0;
	ck_assert_int_eq(vp_loop_step(&mock.v), 0);
	ck_assert_uint_eq(mock.reg_sets, 0);
	mock_exit(&mock, HVMSG_INTERRUPTION_DELIVERABLE, &msg, sizeof(msg));
	ck_assert_uint_eq(mock.acks, 1);
	ck_assert_uint_eq(mock_reg(&mock, HVREG_PENDING_EVENT0)->q[0],
			  HV_PENDING_EVENT_PENDING | HV_PENDING_EVENT_EXTINT | 0x31 << 8);
	/* Line dropped before the notification: nothing to inject. */
	mock.v.event_pending = false;
	mock_exit(&mock, HVMSG_INTERRUPTION_DELIVERABLE, &msg, sizeof(msg));
	ck_assert_uint_eq(mock.acks, 1);
}
END_TEST

START_TEST(kick_before_entry_is_not_lost)
{
	setup();
	vcpu_kick(&mock.v);
	mock.n_script = 0;
	ck_assert_int_eq(vp_loop_step(&mock.v), 0);
	atomic_store(&mock.v.stop, true);
	mock.runs = 0;
	ck_assert_int_eq(vp_loop_step(&mock.v), 0);
	ck_assert_uint_eq(mock.runs, 0);
	ck_assert_int_eq(vp_loop_run(&mock.v), 0);
}
END_TEST

UNIT_MAIN("vmm/exit", pio_read_sizes, pio_write_masks_and_unclaimed, pio_bad_size_and_short_message,
	  pio_rip_wraps_outside_64bit, pio_single_step_traps, pio_clears_interrupt_shadow,
	  page_invalid_uses_ioctl, mmio_load_and_store, mmio_moffs, mmio_load_turned_store,
	  mmio_unclaimed_reads_ones,
	  mmio_translation_fault_is_injected, mmio_unsupported_is_ud,
	  mmio_during_event_delivery_is_shutdown, protected_memory_is_counted, string_io,
	  cpuid_leaves, msr_crash_with_message, eoi_and_triple_fault, extint_flow,
	  kick_before_entry_is_not_lost)
