/* SPDX-License-Identifier: MIT */
/*
 * Directed tests of the instruction emulator: what a user process cannot run natively. 16- and
 * 32-bit code and real mode, segmentation, page crossing and its faults, resuming REP, ports,
 * locked exchanges, access widths, fetching.
 */
#include "x86emu.h"

#include "unit.h"
#include "le.h"

#include <errno.h>
#include <string.h>

#define CR0_PE 1u
#define RAM_SIZE 0x40000u
#define DEV_GPA 0xfee00000ull /* a device that records its accesses */
#define LOG_MAX 64u

enum kind { K_READ, K_WRITE, K_IN, K_OUT, K_CAS };

/* Memory at linear = physical, a device page, and everything that was asked of them. */
struct rig {
	struct x86emu_state s;
	struct x86emu_out out;
	uint8_t fx[X86EMU_FX_SIZE];
	uint8_t ram[RAM_SIZE];
	uint64_t dev_val; /* what device reads and port reads give */
	uint64_t no_page; /* page address that faults */
	uint64_t ro_page; /* page address that faults on writes */
	unsigned int cas_lost; /* that many compare-exchanges fail */
	int fail; /* every memory access returns this */
	unsigned int n_log, n_translate, n_fetch;
	struct {
		enum kind kind;
		uint64_t addr, val;
		size_t len;
	} log[LOG_MAX];
};

static struct rig rig;

static void note(enum kind kind, uint64_t addr, size_t len, const void *buf)
{
	uint64_t v = 0;

	memcpy(&v, buf, MIN(len, (size_t)8));
	if (rig.n_log < LOG_MAX) {
		rig.log[rig.n_log].kind = kind;
		rig.log[rig.n_log].addr = addr;
		rig.log[rig.n_log].len = len;
		rig.log[rig.n_log].val = v;
	}
	rig.n_log++;
}

static int rig_translate(void *ctx, uint64_t gva, unsigned int access, gpa_t *ret_gpa,
			 struct x86emu_fault *ret_fault)
{
	uint64_t page = gva & ~4095ull;
	bool write = access & X86EMU_ACC_WRITE;

	ck_assert_ptr_eq(ctx, &rig);
	rig.n_translate++;
	if (page == rig.no_page || (write && page == rig.ro_page)) {
		*ret_fault = (struct x86emu_fault){ .vector = X86_PF, .has_error = true, .cr2 = gva,
						    .error = write ? 2 : 0 };
		return -EFAULT;
	}
	*ret_gpa = gva;
	return 0;
}

static int rig_fetch(void *ctx, gpa_t gpa, void *ret_buf, size_t len)
{
	(void)ctx;
	rig.n_fetch++;
	ck_assert(len >= 1 && len <= X86EMU_INSN_MAX && gpa + len <= RAM_SIZE);
	memcpy(ret_buf, rig.ram + gpa, len);
	return 0;
}

static int rig_read(void *ctx, gpa_t gpa, void *ret_buf, size_t len)
{
	(void)ctx;
	if (rig.fail)
		return rig.fail;
	if (gpa < RAM_SIZE && gpa + len <= RAM_SIZE)
		memcpy(ret_buf, rig.ram + gpa, len);
	else
		memcpy(ret_buf, &rig.dev_val, len);
	note(K_READ, gpa, len, ret_buf);
	return 0;
}

static int rig_write(void *ctx, gpa_t gpa, const void *buf, size_t len)
{
	(void)ctx;
	if (rig.fail)
		return rig.fail;
	note(K_WRITE, gpa, len, buf);
	if (gpa < RAM_SIZE && gpa + len <= RAM_SIZE)
		memcpy(rig.ram + gpa, buf, len);
	return 0;
}

static int rig_cmpxchg(void *ctx, gpa_t gpa, void *io_expected, const void *desired, size_t len)
{
	(void)ctx;
	if (gpa + len > RAM_SIZE)
		return -EOPNOTSUPP;
	note(K_CAS, gpa, len, desired);
	if (rig.cas_lost) {
		rig.cas_lost--;
		rig.ram[gpa]++; /* somebody else was faster */
	}
	if (memcmp(rig.ram + gpa, io_expected, len) != 0) {
		memcpy(io_expected, rig.ram + gpa, len);
		return 0;
	}
	memcpy(rig.ram + gpa, desired, len);
	return 1;
}

static int rig_in(void *ctx, uint16_t port, unsigned int size, uint32_t *ret_val)
{
	(void)ctx;
	*ret_val = (uint32_t)rig.dev_val++;
	note(K_IN, port, size, ret_val);
	return 0;
}

static int rig_out(void *ctx, uint16_t port, unsigned int size, uint32_t val)
{
	(void)ctx;
	note(K_OUT, port, size, &val);
	return 0;
}

static const struct x86emu_ops ops = {
	.translate = rig_translate, .mem_fetch = rig_fetch, .mem_read = rig_read,
	.mem_write = rig_write, .mem_cmpxchg = rig_cmpxchg, .io_read = rig_in, .io_write = rig_out,
};

enum mode { REAL, PROT16, PROT32, LONG64 };

static void rig_init(enum mode mode)
{
	static const uint16_t cs_attr[] = { 0x009b, 0x009b, 0xc09b, 0xa09b };

	memset(&rig, 0, sizeof(rig));
	rig.no_page = UINT64_MAX;
	rig.ro_page = UINT64_MAX;
	rig.s.rip = 0x1000;
	rig.s.rflags = 2;
	rig.s.cr0 = mode == REAL ? 0 : CR0_PE;
	rig.s.cr4 = BIT(9);
	rig.s.efer = mode == LONG64 ? 0x500 : 0;
	rig.s.fx = rig.fx;
	for (unsigned int i = 0; i < 6; i++) {
		rig.s.seg[i].limit = mode == REAL || mode == PROT16 ? 0xffff : 0xffffffff;
		rig.s.seg[i].attr = mode == PROT32 ? 0xc093 : 0x0093;
	}
	rig.s.seg[HV_SEG_CS].attr = cs_attr[mode];
}

static enum x86emu_result step_n(const char *bytes, size_t n)
{
	rig.n_log = rig.n_translate = rig.n_fetch = 0;
	return x86emu_step(&rig.s, &ops, &rig, bytes, n, &rig.out);
}

#define STEP(bytes) step_n(bytes, sizeof(bytes) - 1)

static void expect_fault(enum x86emu_result r, unsigned int vector, bool has_error, uint32_t error)
{
	ck_assert_int_eq(r, X86EMU_FAULT);
	ck_assert_uint_eq(rig.out.fault.vector, vector);
	ck_assert_int_eq(rig.out.fault.has_error, has_error);
	ck_assert_uint_eq(rig.out.fault.error, error);
	ck_assert_uint_eq(rig.s.rip, 0x1000);
	ck_assert(rig.s.rflags & X86_FL_RF);
}

static void expect_log(unsigned int i, enum kind kind, uint64_t addr, size_t len, uint64_t val)
{
	ck_assert_uint_lt(i, rig.n_log);
	ck_assert_int_eq(rig.log[i].kind, kind);
	ck_assert_uint_eq(rig.log[i].addr, addr);
	ck_assert_uint_eq(rig.log[i].len, len);
	ck_assert_uint_eq(rig.log[i].val, val);
}

START_TEST(moffs_of_synthetic_mmio)
{
	rig_init(LONG64);
	rig.dev_val = 0x8877665544332211;
	rig.s.gpr[X86_RAX] = UINT64_MAX;
	ck_assert_int_eq(STEP("\xa1\x10\x00\xe0\xfe\x00\x00\x00\x00"), X86EMU_OK);
	ck_assert_uint_eq(rig.s.gpr[X86_RAX], 0x44332211);
	ck_assert_uint_eq(rig.s.rip, 0x1009);
	ck_assert_uint_eq(rig.n_log, 1);
	expect_log(0, K_READ, DEV_GPA + 0x10, 4, 0x44332211);
	rig.s.gpr[X86_RAX] = 0x1122334455667788;
	ck_assert_int_eq(STEP("\x48\xa3\x18\x00\xe0\xfe\x00\x00\x00\x00"), X86EMU_OK);
	ck_assert_uint_eq(rig.n_log, 1);
	expect_log(0, K_WRITE, DEV_GPA + 0x18, 8, 0x1122334455667788);

	rig_init(PROT32);
	rig.s.gpr[X86_RAX] = 0xab;
	ck_assert_int_eq(STEP("\xa2\x20\x00\xe0\xfe"), X86EMU_OK);
	expect_log(0, K_WRITE, DEV_GPA + 0x20, 1, 0xab);
	ck_assert_uint_eq(rig.s.rip, 0x1005);

	rig_init(REAL);
	rig.s.seg[HV_SEG_DS].base = DEV_GPA - 0x1000;
	rig.s.gpr[X86_RAX] = 0xcdef;
	ck_assert_int_eq(STEP("\xa3\x30\x10"), X86EMU_OK);
	expect_log(0, K_WRITE, DEV_GPA + 0x30, 2, 0xcdef);
	ck_assert_int_eq(STEP("\x67\xa3\x34\x10\x00\x00"), X86EMU_OK);
	expect_log(0, K_WRITE, DEV_GPA + 0x34, 2, 0xcdef);
	ck_assert_uint_eq(rig.s.rip, 0x1009);
}
END_TEST

START_TEST(address_forms_16)
{
	/* mov [form], al with the eight r/m values and a displacement */
	static const uint16_t want[8] = {
		0x3000 + 0x500, 0x3000 + 0x700, 0x4000 + 0x500, 0x4000 + 0x700,
		0x500, 0x700, 0x4000, 0x3000,
	};

	for (uint8_t rm = 0; rm < 8; rm++) {
		char insn[] = { (char)0x88, (char)(0x40 | rm), 0x10 };
		uint64_t base = rm == 2 || rm == 3 || rm == 6 ? 0x20000 : 0x10000;

		rig_init(REAL);
		rig.s.seg[HV_SEG_DS].base = 0x10000;
		rig.s.seg[HV_SEG_SS].base = 0x20000;
		rig.s.gpr[X86_RBX] = 0xffff0000 + 0x3000;
		rig.s.gpr[X86_RBP] = 0x4000;
		rig.s.gpr[X86_RSI] = 0x500;
		rig.s.gpr[X86_RDI] = 0x700;
		rig.s.gpr[X86_RAX] = 0x5a;
		ck_assert_int_eq(step_n(insn, sizeof(insn)), X86EMU_OK);
		expect_log(0, K_WRITE, base + want[rm] + 0x10, 1, 0x5a);
	}
	rig_init(REAL);
	ck_assert_int_eq(STEP("\x26\x88\x06\x34\x12"), X86EMU_OK); /* mov es:[1234], al */
	expect_log(0, K_WRITE, 0x1234, 1, 0);
	/* Offsets wrap at 64 KiB. */
	rig.s.gpr[X86_RBX] = 0xffff;
	ck_assert_int_eq(STEP("\x88\x47\x02"), X86EMU_OK);
	expect_log(0, K_WRITE, 1, 1, 0);
}
END_TEST

START_TEST(segment_limits_and_rights)
{
	rig_init(PROT32);
	rig.s.gpr[X86_RBX] = 0x2000;
	rig.s.seg[HV_SEG_DS].limit = 0x2003;
	ck_assert_int_eq(STEP("\x89\x03"), X86EMU_OK);
	rig.s.rip = 0x1000;
	rig.s.seg[HV_SEG_DS].limit = 0x2002;
	expect_fault(STEP("\x89\x03"), X86_GP, true, 0);
	ck_assert_uint_eq(rig.n_log + rig.n_translate, 0);

	/* Through SS the same is a stack fault; expand-down turns the limit round. */
	rig.s.seg[HV_SEG_SS].limit = 0x2002;
	expect_fault(STEP("\x36\x89\x03"), X86_SS, true, 0);
	rig.s.seg[HV_SEG_DS].attr = 0xc097;
	rig.s.seg[HV_SEG_DS].limit = 0x1fff;
	ck_assert_int_eq(STEP("\x89\x03"), X86EMU_OK);
	rig.s.rip = 0x1000;
	rig.s.seg[HV_SEG_DS].limit = 0x2000;
	expect_fault(STEP("\x89\x03"), X86_GP, true, 0);
	rig.s.seg[HV_SEG_DS].attr = 0x8097; /* 16-bit expand-down ends at 64 KiB */
	rig.s.gpr[X86_RBX] = 0xfffd;
	expect_fault(STEP("\x89\x03"), X86_GP, true, 0);

	/* Read-only data, execute-only code, a null selector. */
	rig_init(PROT32);
	rig.s.seg[HV_SEG_DS].attr = 0xc091;
	ck_assert_int_eq(STEP("\x8b\x03"), X86EMU_OK);
	rig.s.rip = 0x1000;
	expect_fault(STEP("\x89\x03"), X86_GP, true, 0);
	expect_fault(STEP("\x2e\x89\x03"), X86_GP, true, 0);
	rig.s.seg[HV_SEG_CS].attr = 0xc099;
	expect_fault(STEP("\x2e\x8b\x03"), X86_GP, true, 0);
	rig.s.seg[HV_SEG_DS].attr = 0;
	expect_fault(STEP("\x8b\x03"), X86_GP, true, 0);

	/* Real mode: limits hold, and exceptions have no error code. */
	rig_init(REAL);
	rig.s.gpr[X86_RBX] = 0xffff;
	expect_fault(STEP("\x89\x07"), X86_GP, false, 0);
	rig.s.gpr[X86_RBP] = 0xffff;
	expect_fault(STEP("\x89\x46\x00"), X86_SS, false, 0);
}
END_TEST

START_TEST(canonical_addresses)
{
	rig_init(LONG64);
	rig.s.gpr[X86_RBX] = 0x0000800000000000;
	expect_fault(STEP("\x89\x03"), X86_GP, true, 0);
	rig.s.gpr[X86_RBX] = 0x00007ffffffffffe;
	expect_fault(STEP("\x89\x03"), X86_GP, true, 0);
	rig.s.gpr[X86_RBP] = 0x0000800000000000;
	expect_fault(STEP("\x89\x45\x00"), X86_SS, true, 0);
	rig.s.gpr[X86_RSP] = 0x8000000000000000;
	expect_fault(STEP("\x50"), X86_SS, true, 0);
	/* Five-level paging makes it canonical. */
	rig.s.cr4 |= BIT(12);
	rig.s.gpr[X86_RBX] = 0x0000800000000000;
	ck_assert_int_eq(STEP("\x8b\x03"), X86EMU_OK);
	/* DS and its limit are not looked at, FS is added. */
	rig_init(LONG64);
	rig.s.seg[HV_SEG_DS] = (struct hv_seg){ .base = 0x5000 };
	rig.s.seg[HV_SEG_FS] = (struct hv_seg){ .base = 0x6000 };
	ck_assert_int_eq(STEP("\x89\x03"), X86EMU_OK);
	expect_log(0, K_WRITE, 0, 4, 0);
	ck_assert_int_eq(STEP("\x64\x89\x03"), X86EMU_OK);
	expect_log(0, K_WRITE, 0x6000, 4, 0);
}
END_TEST

START_TEST(page_crossing)
{
	rig_init(LONG64);
	rig.s.gpr[X86_RBX] = 0x4ffd;
	rig.s.gpr[X86_RAX] = 0x8877665544332211;
	ck_assert_int_eq(STEP("\x48\x89\x03"), X86EMU_OK);
	/* Three bytes and five bytes, each in naturally aligned bus accesses. */
	ck_assert_uint_eq(rig.n_log, 4);
	expect_log(0, K_WRITE, 0x4ffd, 1, 0x11);
	expect_log(1, K_WRITE, 0x4ffe, 2, 0x3322);
	expect_log(2, K_WRITE, 0x5000, 4, 0x77665544);
	expect_log(3, K_WRITE, 0x5004, 1, 0x88);
	ck_assert_int_eq(memcmp(rig.ram + 0x4ffd, "\x11\x22\x33\x44\x55\x66\x77\x88", 8), 0);

	/* The second page faults: nothing may have been written. */
	rig_init(LONG64);
	rig.s.gpr[X86_RBX] = 0x4ffe;
	rig.ro_page = 0x5000;
	expect_fault(STEP("\x89\x03"), X86_PF, true, 2);
	ck_assert_uint_eq(rig.out.fault.cr2, 0x5000);
	ck_assert_uint_eq(rig.n_log, 0);
	/* Within one page a misaligned access is still one access. */
	rig.s.rip = 0x1000;
	rig.s.gpr[X86_RBX] = 0x4ff9;
	ck_assert_int_eq(STEP("\x89\x03"), X86EMU_OK);
	ck_assert_uint_eq(rig.n_log, 1);
	/* Sixteen bytes within a page are two accesses, across pages 1+2+4 and 8+1. */
	rig.ro_page = UINT64_MAX;
	ck_assert_int_eq(STEP("\x0f\x11\x03"), X86EMU_OK);
	ck_assert_uint_eq(rig.n_log, 5);
	expect_log(0, K_WRITE, 0x4ff9, 1, 0);
	expect_log(4, K_WRITE, 0x5008, 1, 0);
	rig.s.gpr[X86_RBX] = 0x4ff0;
	ck_assert_int_eq(STEP("\x0f\x11\x03"), X86EMU_OK);
	ck_assert_uint_eq(rig.n_log, 2);
	expect_log(0, K_WRITE, 0x4ff0, 8, 0);
	expect_log(1, K_WRITE, 0x4ff8, 8, 0);
}
END_TEST

START_TEST(wrap_at_4g_in_32_bit_code)
{
	rig_init(PROT32);
	rig.s.gpr[X86_RBX] = 0xffffffff;
	rig.s.seg[HV_SEG_DS].base = 0x1001;
	ck_assert_int_eq(STEP("\x88\x43\x01"), X86EMU_OK);
	expect_log(0, K_WRITE, 0x1001, 1, 0);
	rig.s.seg[HV_SEG_DS].base = 0xfffff000;
	rig.s.gpr[X86_RBX] = 0xffe;
	ck_assert_int_eq(STEP("\x89\x03"), X86EMU_OK);
	ck_assert_uint_eq(rig.n_log, 2);
	expect_log(0, K_WRITE, 0xfffffffe, 2, 0);
	expect_log(1, K_WRITE, 0, 2, 0);
}
END_TEST

START_TEST(rep_stops_and_resumes)
{
	rig_init(LONG64);
	memset(rig.ram, 0x77, RAM_SIZE);
	rig.s.gpr[X86_RCX] = X86EMU_REP_MAX + 10;
	rig.s.gpr[X86_RDI] = 0x2000;
	rig.s.gpr[X86_RAX] = 0x11;
	ck_assert_int_eq(STEP("\xf3\xaa"), X86EMU_AGAIN);
	ck_assert_uint_eq(rig.s.rip, 0x1000);
	ck_assert_uint_eq(rig.s.gpr[X86_RCX], 10);
	ck_assert_uint_eq(rig.s.gpr[X86_RDI], 0x2000 + X86EMU_REP_MAX);
	ck_assert(rig.s.rflags & X86_FL_RF);
	ck_assert(!rig.out.trap);
	ck_assert_int_eq(STEP("\xf3\xaa"), X86EMU_OK);
	ck_assert_uint_eq(rig.s.rip, 0x1002);
	ck_assert_uint_eq(rig.s.gpr[X86_RCX], 0);
	ck_assert(!(rig.s.rflags & X86_FL_RF));
	ck_assert_uint_eq(rig.ram[0x2000 + X86EMU_REP_MAX + 9], 0x11);
	ck_assert_uint_eq(rig.ram[0x2000 + X86EMU_REP_MAX + 10], 0x77);

	/* The largest count is as bounded as any. */
	rig.s.gpr[X86_RCX] = UINT64_MAX;
	ck_assert_int_eq(STEP("\xf3\xae"), X86EMU_OK); /* repe scasb: ends at the first 0x77 */
	rig.s.gpr[X86_RAX] = 0x77;
	rig.s.gpr[X86_RDI] = 0x8000;
	ck_assert_int_eq(STEP("\xf3\xae"), X86EMU_AGAIN);
	ck_assert_uint_eq(rig.n_log, X86EMU_REP_MAX);
}
END_TEST

START_TEST(rep_faults_in_the_middle)
{
	rig_init(LONG64);
	rig.s.gpr[X86_RCX] = 8;
	rig.s.gpr[X86_RSI] = 0x2000;
	rig.s.gpr[X86_RDI] = 0x4ff4;
	rig.ro_page = 0x5000;
	expect_fault(STEP("\xf3\xa5"), X86_PF, true, 2);
	ck_assert_uint_eq(rig.out.fault.cr2, 0x5000);
	ck_assert_uint_eq(rig.s.gpr[X86_RCX], 5);
	ck_assert_uint_eq(rig.s.gpr[X86_RSI], 0x200c);
	ck_assert_uint_eq(rig.s.gpr[X86_RDI], 0x5000);
	/* Downwards. */
	rig.s.rflags |= X86_FL_DF;
	rig.ro_page = UINT64_MAX;
	ck_assert_int_eq(STEP("\xf3\xa5"), X86EMU_OK);
	ck_assert_uint_eq(rig.s.gpr[X86_RDI], 0x5000 - 20);
}
END_TEST

START_TEST(device_reads_are_not_lost)
{
	/* The destination faults: neither the port nor the device may have been read. */
	rig_init(LONG64);
	rig.s.gpr[X86_RDI] = 0x5000;
	rig.no_page = 0x5000;
	rig.s.gpr[X86_RDX] = 0x1f0;
	expect_fault(STEP("\x66\x6d"), X86_PF, true, 2);
	ck_assert_uint_eq(rig.n_log, 0);
	rig.s.gpr[X86_RSI] = DEV_GPA;
	expect_fault(STEP("\xa5"), X86_PF, true, 2);
	ck_assert_uint_eq(rig.n_log, 0);
	rig.s.gpr[X86_RBX] = DEV_GPA;
	rig.s.gpr[X86_RSP] = 0x6000;
	expect_fault(STEP("\xff\x33"), X86_PF, true, 2); /* push [rbx] */
	ck_assert_uint_eq(rig.n_log, 0);
	ck_assert_uint_eq(rig.s.gpr[X86_RSP], 0x6000);
}
END_TEST

START_TEST(string_ports)
{
	rig_init(LONG64);
	rig.s.gpr[X86_RDX] = 0xffff000001f0;
	rig.s.gpr[X86_RDI] = 0x3000;
	rig.s.gpr[X86_RCX] = 3;
	rig.dev_val = 0x1234;
	ck_assert_int_eq(STEP("\xf3\x66\x6d"), X86EMU_OK); /* rep insw */
	ck_assert_uint_eq(rig.n_log, 6);
	expect_log(0, K_IN, 0x1f0, 2, 0x1234);
	expect_log(1, K_WRITE, 0x3000, 2, 0x1234);
	expect_log(5, K_WRITE, 0x3004, 2, 0x1236);
	rig.s.gpr[X86_RSI] = 0x3000;
	rig.s.gpr[X86_RCX] = 2;
	ck_assert_int_eq(STEP("\xf3\x6e"), X86EMU_OK); /* rep outsb */
	expect_log(1, K_OUT, 0x1f0, 1, 0x34);
	expect_log(3, K_OUT, 0x1f0, 1, 0x12);
	/* REX.W does not make it eight bytes. */
	ck_assert_int_eq(STEP("\x48\x6f"), X86EMU_OK);
	expect_log(1, K_OUT, 0x1f0, 4, 0x12361235);

	/* 16-bit code with a segment override. */
	rig_init(REAL);
	rig.s.seg[HV_SEG_ES].base = 0x8000;
	rig.ram[0x8010] = 0x5c;
	rig.s.gpr[X86_RSI] = 0xffff0010;
	rig.s.gpr[X86_RDX] = 0x3f8;
	ck_assert_int_eq(STEP("\x26\x6e"), X86EMU_OK);
	expect_log(1, K_OUT, 0x3f8, 1, 0x5c);
	ck_assert_uint_eq(rig.s.gpr[X86_RSI], 0xffff0011);
}
END_TEST

START_TEST(port_permission)
{
	rig_init(LONG64);
	rig.s.cpl = 3;
	expect_fault(STEP("\xee"), X86_GP, true, 0);
	expect_fault(STEP("\x6e"), X86_GP, true, 0);
	ck_assert_uint_eq(rig.n_log, 0);
	rig.s.rflags |= 3u << 12;
	ck_assert_int_eq(STEP("\xee"), X86EMU_OK);
	rig.s.rflags &= ~(3ull << 12);
	rig.s.io_checked = true;
	rig.s.gpr[X86_RAX] = 0x44;
	ck_assert_int_eq(STEP("\xe6\x80"), X86EMU_OK);
	expect_log(0, K_OUT, 0x80, 1, 0x44);
	rig.dev_val = 0xaabbccdd;
	rig.s.gpr[X86_RAX] = UINT64_MAX;
	ck_assert_int_eq(STEP("\xec"), X86EMU_OK);
	ck_assert_uint_eq(rig.s.gpr[X86_RAX], 0xffffffffffffffdd);
	ck_assert_int_eq(STEP("\xed"), X86EMU_OK);
	ck_assert_uint_eq(rig.s.gpr[X86_RAX], 0xaabbccde);
}
END_TEST

START_TEST(locked_exchange)
{
	rig_init(LONG64);
	rig.s.gpr[X86_RBX] = 0x3000;
	rig.s.gpr[X86_RCX] = 5;
	rig.cas_lost = 3;
	rig.ram[0x3000] = 10;
	ck_assert_int_eq(STEP("\xf0\x0f\xc1\x0b"), X86EMU_OK); /* lock xadd [rbx], ecx */
	ck_assert_uint_eq(rig.ram[0x3000], 18);
	ck_assert_uint_eq(rig.s.gpr[X86_RCX], 13);

	/* Somebody who always wins: give the guest its turn again, with nothing changed. */
	rig.s.rip = 0x1000;
	rig.cas_lost = 1000;
	rig.s.rflags = 2;
	ck_assert_int_eq(STEP("\x87\x0b"), X86EMU_AGAIN);
	ck_assert_uint_eq(rig.s.gpr[X86_RCX], 13);
	ck_assert_uint_eq(rig.s.rip, 0x1000);
	ck_assert_uint_lt(rig.n_log, 40);

	/* A device: one read, one write. */
	rig.s.gpr[X86_RBX] = DEV_GPA;
	rig.dev_val = 0xf0;
	ck_assert_int_eq(STEP("\xf0\x09\x0b"), X86EMU_OK); /* lock or [rbx], ecx */
	ck_assert_uint_eq(rig.n_log, 2);
	expect_log(0, K_READ, DEV_GPA, 4, 0xf0);
	expect_log(1, K_WRITE, DEV_GPA, 4, 0xfd);

	/* Not atomic without LOCK; cmpxchg16b is one exchange of sixteen. */
	rig.cas_lost = 0;
	rig.s.gpr[X86_RBX] = 0x3000;
	ck_assert_int_eq(STEP("\x09\x0b"), X86EMU_OK);
	expect_log(1, K_WRITE, 0x3000, 4, rig.log[0].val | 13);
	rig.s.gpr[X86_RSI] = 0x3010;
	rig.s.gpr[X86_RBX] = 0x1111;
	rig.s.gpr[X86_RAX] = rig.s.gpr[X86_RDX] = 0;
	ck_assert_int_eq(STEP("\xf0\x48\x0f\xc7\x0e"), X86EMU_OK);
	ck_assert_uint_eq(rig.n_log, 3);
	expect_log(2, K_CAS, 0x3010, 16, 0x1111);
	ck_assert(rig.s.rflags & X86_FL_ZF);
	rig.s.gpr[X86_RSI] = 0x3008;
	rig.s.rip = 0x1000;
	expect_fault(STEP("\xf0\x48\x0f\xc7\x0e"), X86_GP, true, 0);
}
END_TEST

START_TEST(lock_where_it_is_illegal)
{
	rig_init(LONG64);
	rig.s.gpr[X86_RBX] = 0x3000;
	expect_fault(STEP("\xf0\x89\x03"), X86_UD, false, 0); /* mov */
	expect_fault(STEP("\xf0\x39\x03"), X86_UD, false, 0); /* cmp */
	expect_fault(STEP("\xf0\x01\xc3"), X86_UD, false, 0); /* add to a register */
	expect_fault(STEP("\xf0\x0f\xa3\x03"), X86_UD, false, 0); /* bt */
	ck_assert_uint_eq(rig.n_log, 0);
}
END_TEST

START_TEST(fetching)
{
	/* mov dword [rbx + 0x10], imm32 across a page, with any number of bytes known */
	static const uint8_t insn[] = { 0xc7, 0x83, 0x10, 0, 0, 0, 0xef, 0xbe, 0xad, 0xde };

	for (unsigned int known = 0; known <= sizeof(insn); known++) {
		rig_init(LONG64);
		rig.s.rip = 0x1ffa;
		rig.s.gpr[X86_RBX] = 0x3000;
		memcpy(rig.ram + 0x1ffa, insn, sizeof(insn));
		ck_assert_int_eq(step_n((const char *)insn, known), X86EMU_OK);
		ck_assert_uint_eq(rig.s.rip, 0x1ffa + sizeof(insn));
		ck_assert_uint_eq(le32_load(rig.ram + 0x3010), 0xdeadbeef);
		ck_assert_uint_eq(rig.n_fetch, known == sizeof(insn) ? 0 : known < 6 ? 2 : 1);
		ck_assert_uint_eq(rig.out.len, sizeof(insn));
	}
	/* The second page is not there. */
	rig_init(LONG64);
	rig.s.rip = 0x1ffa;
	memcpy(rig.ram + 0x1ffa, insn, sizeof(insn));
	rig.no_page = 0x2000;
	ck_assert_int_eq(step_n(NULL, 0), X86EMU_FAULT);
	ck_assert_uint_eq(rig.out.fault.cr2, 0x2000);
	/* But it does not matter to an instruction that ends before it. */
	rig.s.rip = 0x1ffe;
	memcpy(rig.ram + 0x1ffe, "\x89\x03", 2);
	ck_assert_int_eq(step_n(NULL, 0), X86EMU_OK);

	/* Sixteen bytes of prefixes are too long; the code segment's limit ends the fetch. */
	rig_init(LONG64);
	memset(rig.ram + 0x1000, 0x66, 32);
	expect_fault(step_n(NULL, 0), X86_GP, true, 0);
	rig_init(PROT32);
	rig.s.seg[HV_SEG_CS].limit = 0x1001;
	memcpy(rig.ram + 0x1000, "\x89\x43\x10", 3);
	expect_fault(step_n(NULL, 0), X86_GP, true, 0);
	rig.s.seg[HV_SEG_CS].limit = 0x1002;
	ck_assert_int_eq(step_n(NULL, 0), X86EMU_OK);
}
END_TEST

START_TEST(stack_width)
{
	rig_init(PROT32);
	rig.s.gpr[X86_RSP] = 0x12342000;
	rig.s.seg[HV_SEG_SS].attr = 0x0093; /* 16-bit stack */
	rig.s.gpr[X86_RBX] = 0x3000;
	le32_store(rig.ram + 0x3000, 0xcafef00d);
	ck_assert_int_eq(STEP("\xff\x33"), X86EMU_OK);
	ck_assert_uint_eq(rig.s.gpr[X86_RSP], 0x12341ffc);
	expect_log(1, K_WRITE, 0x1ffc, 4, 0xcafef00d);
	/* pop [esp]: the address counts from the new stack pointer */
	rig_init(LONG64);
	rig.s.gpr[X86_RSP] = 0x4000;
	le64_store(rig.ram + 0x4000, 0x1122334455667788);
	ck_assert_int_eq(STEP("\x8f\x04\x24"), X86EMU_OK);
	ck_assert_uint_eq(rig.s.gpr[X86_RSP], 0x4008);
	expect_log(1, K_WRITE, 0x4008, 8, 0x1122334455667788);
	/* and stays where it was when the destination faults */
	rig.no_page = 0x5000;
	rig.s.rip = 0x1000;
	rig.s.gpr[X86_RBX] = 0x5000;
	expect_fault(STEP("\x8f\x03"), X86_PF, true, 2);
	ck_assert_uint_eq(rig.s.gpr[X86_RSP], 0x4008);
	/* call [rbx] */
	rig_init(LONG64);
	rig.s.gpr[X86_RSP] = 0x4000;
	rig.s.gpr[X86_RBX] = 0x3000;
	le64_store(rig.ram + 0x3000, 0x9000);
	ck_assert_int_eq(STEP("\xff\x13"), X86EMU_OK);
	ck_assert_uint_eq(rig.s.rip, 0x9000);
	ck_assert_uint_eq(le64_load(rig.ram + 0x3ff8), 0x1002);
	rig.s.cr4 |= BIT(23);
	ck_assert_int_eq(STEP("\xff\x13"), X86EMU_UNSUPPORTED);
}
END_TEST

START_TEST(sse_availability)
{
	rig_init(LONG64);
	rig.s.gpr[X86_RBX] = 0x3000;
	memset(rig.fx, 0xab, sizeof(rig.fx));
	ck_assert_int_eq(STEP("\x0f\x29\x0b"), X86EMU_OK);
	ck_assert_uint_eq(rig.n_log, 2);
	expect_log(1, K_WRITE, 0x3008, 8, 0xabababababababab);
	ck_assert(!rig.out.xmm_dirty);
	ck_assert_int_eq(STEP("\xf3\x44\x0f\x6f\x3b"), X86EMU_OK); /* movdqu xmm15, [rbx] */
	ck_assert(rig.out.xmm_dirty);
	rig.s.gpr[X86_RBX] = 0x3008;
	rig.s.rip = 0x1000;
	expect_fault(STEP("\x0f\x29\x0b"), X86_GP, true, 0);
	rig.s.cr0 |= BIT(3);
	expect_fault(STEP("\x0f\x11\x0b"), X86_NM, false, 0);
	rig.s.cr0 |= BIT(2);
	expect_fault(STEP("\x0f\x11\x0b"), X86_UD, false, 0);
	rig_init(LONG64);
	rig.s.cr4 = 0;
	expect_fault(STEP("\x0f\x11\x0b"), X86_UD, false, 0);
	rig.s.cr4 = BIT(9);
	rig.s.fx = NULL;
	ck_assert_int_eq(STEP("\x0f\x11\x0b"), X86EMU_UNSUPPORTED);
}
END_TEST

START_TEST(unsupported_changes_nothing)
{
	static const struct {
		const char *bytes;
		size_t n;
	} insn[] = {
		{ "\xc5\xfc\x11\x03", 4 }, /* vmovups [rbx], ymm0 */
		{ "\x0f\x7f\x03", 3 }, /* movq [rbx], mm0 */
		{ "\xd9\x03", 2 }, /* fld */
		{ "\xff\x1b", 2 }, /* far call */
		{ "\x8c\x1b", 2 }, /* mov [rbx], ds */
		{ "\x0f\x01\x13", 3 }, /* lgdt */
		{ "\x0f\x30", 2 }, /* wrmsr */
		{ "\xcd\x80", 2 }, /* int */
		{ "\xf4", 1 }, /* hlt */
		{ "\x0f\x0b", 2 }, /* ud2 */
		{ "\x0f\xae\x03", 3 }, /* fxsave */
		{ "\x62\xf1\x7c\x48\x11\x03", 6 }, /* evex */
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(insn); i++) {
		struct x86emu_state before;

		rig_init(LONG64);
		rig.s.gpr[X86_RBX] = 0x3000;
		before = rig.s;
		ck_assert_int_eq(step_n(insn[i].bytes, insn[i].n), X86EMU_UNSUPPORTED);
		ck_assert_int_eq(memcmp(&before, &rig.s, sizeof(before)), 0);
		ck_assert_uint_eq(rig.n_log, 0);
	}
	rig_init(LONG64);
	expect_fault(STEP("\x06"), X86_UD, false, 0); /* push es */
}
END_TEST

START_TEST(single_step)
{
	rig_init(LONG64);
	rig.s.rflags |= X86_FL_TF | X86_FL_RF;
	ck_assert_int_eq(STEP("\x89\x03"), X86EMU_OK);
	ck_assert(rig.out.trap);
	ck_assert(!(rig.s.rflags & X86_FL_RF));
	rig.s.rip = 0x1000;
	rig.s.gpr[X86_RCX] = 2;
	rig.s.gpr[X86_RDI] = 0x3000;
	ck_assert_int_eq(STEP("\xf3\xaa"), X86EMU_AGAIN);
	ck_assert(rig.out.trap);
	ck_assert_uint_eq(rig.s.gpr[X86_RCX], 1);
	ck_assert_int_eq(STEP("\xf3\xaa"), X86EMU_OK);
	ck_assert(rig.out.trap);
	rig.no_page = 0;
	rig.s.rip = 0x1000;
	expect_fault(STEP("\x89\x03"), X86_PF, true, 2);
	ck_assert(!rig.out.trap);
}
END_TEST

START_TEST(op_errors)
{
	rig_init(LONG64);
	rig.fail = -EIO;
	rig.s.gpr[X86_RAX] = 7;
	ck_assert_int_eq(STEP("\x8b\x03"), X86EMU_ERROR);
	ck_assert_int_eq(rig.out.err, -EIO);
	ck_assert_uint_eq(rig.s.gpr[X86_RAX], 7);
	ck_assert_uint_eq(rig.s.rip, 0x1000);
}
END_TEST

START_TEST(bit_offsets)
{
	/* bts [rbx], cx: the offset is signed and the sum wraps at the address size */
	rig_init(REAL);
	rig.s.gpr[X86_RBX] = 4;
	rig.s.gpr[X86_RCX] = 0xffbf; /* bit -65: word -5, bit 15 */
	ck_assert_int_eq(STEP("\x0f\xab\x0f"), X86EMU_OK);
	expect_log(1, K_WRITE, 0xfffa, 2, 0x8000);
	rig_init(LONG64);
	rig.s.gpr[X86_RBX] = 0x3000;
	rig.s.gpr[X86_RCX] = 0xffffffff00000000 + 8 * 0x1000 + 3;
	ck_assert_int_eq(STEP("\xf0\x0f\xab\x0b"), X86EMU_OK);
	expect_log(1, K_CAS, 0x4000, 4, 8);
	ck_assert(!(rig.s.rflags & X86_FL_CF));
	ck_assert_int_eq(STEP("\x0f\xa3\x0b"), X86EMU_OK);
	ck_assert(rig.s.rflags & X86_FL_CF);
	ck_assert_uint_eq(rig.n_log, 1);
}
END_TEST

START_TEST(legacy_only_forms)
{
	/* 40..4F are INC and DEC in 32-bit code, not REX: mov after them is another instruction. */
	rig_init(PROT32);
	ck_assert_int_eq(STEP("\x48\x89\x03"), X86EMU_UNSUPPORTED);
	ck_assert_uint_eq(rig.out.len, 1);
	/* 82 is an alias of 80; invalid in 64-bit code. */
	rig.s.gpr[X86_RBX] = 0x3000;
	ck_assert_int_eq(STEP("\x82\x03\x05"), X86EMU_OK);
	ck_assert_uint_eq(rig.ram[0x3000], 5);
	rig_init(LONG64);
	expect_fault(STEP("\x82\x03\x05"), X86_UD, false, 0);
	/* disp32 alone: absolute in 32-bit code, relative to RIP in 64-bit code */
	rig_init(PROT32);
	ck_assert_int_eq(STEP("\x89\x05\x00\x30\x00\x00"), X86EMU_OK);
	expect_log(0, K_WRITE, 0x3000, 4, 0);
	rig_init(LONG64);
	ck_assert_int_eq(STEP("\x89\x05\x00\x30\x00\x00"), X86EMU_OK);
	expect_log(0, K_WRITE, 0x4006, 4, 0);
	/* 16-bit protected code with 32-bit prefixes */
	rig_init(PROT16);
	rig.s.seg[HV_SEG_DS].limit = 0xffffffff;
	rig.s.gpr[X86_RBX] = 0x13000;
	rig.s.gpr[X86_RAX] = 0x89abcdef;
	ck_assert_int_eq(STEP("\x66\x67\x89\x03"), X86EMU_OK);
	expect_log(0, K_WRITE, 0x13000, 4, 0x89abcdef);
}
END_TEST

UNIT_MAIN("devices-core/x86emu", moffs_of_synthetic_mmio, address_forms_16,
	  segment_limits_and_rights, canonical_addresses, page_crossing,
	  wrap_at_4g_in_32_bit_code, rep_stops_and_resumes,
	  rep_faults_in_the_middle, device_reads_are_not_lost, string_ports, port_permission,
	  locked_exchange, lock_where_it_is_illegal, fetching, stack_width, sse_availability,
	  unsupported_changes_nothing, single_step, op_errors, bit_offsets,
	  legacy_only_forms)
