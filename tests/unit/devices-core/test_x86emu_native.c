/* SPDX-License-Identifier: MIT */
/*
 * The instruction emulator against the CPU: random instructions of every supported form run
 * natively in this process and emulated on copies of registers and memory; both must leave the same
 * registers, flags, XMM, memory and exception. KEEL_SEED and KEEL_CASES set the seed and the number
 * of cases.
 */
#include "x86emu.h"

#include "unit.h"
#include "x86decode.h"
#include "x86emu_gen.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_CASES 400000u

extern struct tramp_regs tramp_regs;
extern uint64_t tramp_code;
void tramp_run(void);
void tramp_done(void);
void tramp_done_far(void);
void tramp_abort(void);

static struct {
	bool hit;
	int vector;
	uint64_t error, cr2, rip;
} native_fault;

static void on_signal(int sig, siginfo_t *si, void *ucv)
{
	static const int order[16] = {
		REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
		REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
	};
	ucontext_t *uc = ucv;
	greg_t *g = uc->uc_mcontext.gregs;
	uint64_t rip = (uint64_t)g[REG_RIP];

	(void)si;
	if (rip < CODE_BASE || rip >= CODE_BASE + CODE_SIZE) {
		/* Not ours: a bug of the test itself. */
		signal(sig, SIG_DFL);
		return;
	}
	for (unsigned int i = 0; i < 16; i++)
		tramp_regs.gpr[i] = (uint64_t)g[order[i]];
	tramp_regs.rflags = (uint64_t)g[REG_EFL];
	memcpy(tramp_regs.fx, uc->uc_mcontext.fpregs, 512);
	native_fault.hit = true;
	native_fault.vector = (int)g[REG_TRAPNO];
	native_fault.error = (uint64_t)g[REG_ERR];
	native_fault.cr2 = (uint64_t)g[REG_CR2];
	native_fault.rip = rip;
	g[REG_RIP] = (greg_t)(uintptr_t)tramp_abort;
	g[REG_EFL] &= ~(greg_t)(X86_FL_DF | X86_FL_RF);
}

static void map_at(uint64_t addr, size_t len, int prot)
{
	void *p = mmap((void *)(uintptr_t)addr, len, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);

	ck_assert_msg(p == (void *)(uintptr_t)addr, "mmap %#llx: %s", (unsigned long long)addr,
		      strerror(errno));
}

static void put_exit(uint8_t *at, void (*to)(void))
{
	static const uint8_t jmp_mem[6] = { 0xff, 0x25 };
	uint64_t addr = (uint64_t)(uintptr_t)to;

	memcpy(at, jmp_mem, 6);
	memcpy(at + 6, &addr, 8);
}

/* Check's own assertions write a mark to a file even when they hold: too slow for these loops. */
static void must(bool ok, const char *what)
{
	if (!ok)
		ck_abort_msg("%s", what);
}

static uint64_t fs_base;
static unsigned int n_forms;
static uint8_t emu_win[WIN_SIZE];

static int op_translate(void *ctx, uint64_t gva, unsigned int access, gpa_t *ret_gpa,
			struct x86emu_fault *ret_fault)
{
	uint64_t off = gva - WIN_BASE;
	bool present = off < WIN_SIZE, write = access & X86EMU_ACC_WRITE;

	(void)ctx;
	must(access & X86EMU_ACC_USER, "user access");
	if (gva - CODE_BASE < CODE_SIZE)
		present = true;
	if (present && !(write && off >= WIN_RW && off < WIN_SIZE)) {
		*ret_gpa = gva;
		return 0;
	}
	/* Linux reports every kernel address as present, to hide its layout. */
	if (gva >> 63)
		present = true;
	*ret_fault = (struct x86emu_fault){ .vector = X86_PF, .has_error = true, .cr2 = gva,
					    .error = 4u | (write ? 2u : 0) | (present ? 1u : 0) };
	return -EFAULT;
}

static uint8_t *emu_ptr(gpa_t gpa, size_t len)
{
	must(len == 1 || len == 2 || len == 4 || len == 8 || len == 16, "access width");
	must(gpa >> 12 == (gpa + len - 1) >> 12, "access crosses a page");
	must(gpa >= WIN_BASE && gpa + len <= WIN_BASE + WIN_SIZE, "access outside the window");
	return emu_win + (gpa - WIN_BASE);
}

static int op_fetch(void *ctx, gpa_t gpa, void *ret_buf, size_t len)
{
	(void)ctx;
	must(len >= 1 && len <= 15 && gpa >> 12 == (gpa + len - 1) >> 12, "fetch length");
	must(gpa >= CODE_BASE && gpa + len <= CODE_BASE + CODE_SIZE, "fetch outside the code");
	memcpy(ret_buf, (const void *)(uintptr_t)gpa, len);
	return 0;
}

static int op_read(void *ctx, gpa_t gpa, void *ret_buf, size_t len)
{
	(void)ctx;
	memcpy(ret_buf, emu_ptr(gpa, len), len);
	return 0;
}

static int op_write(void *ctx, gpa_t gpa, const void *buf, size_t len)
{
	(void)ctx;
	must(gpa + len <= WIN_BASE + WIN_RW, "write to the read-only page");
	memcpy(emu_ptr(gpa, len), buf, len);
	return 0;
}

static int op_cmpxchg(void *ctx, gpa_t gpa, void *io_expected, const void *desired, size_t len)
{
	uint8_t *p = emu_ptr(gpa, len);

	(void)ctx;
	must(gpa + len <= WIN_BASE + WIN_RW, "write to the read-only page");
	if (memcmp(p, io_expected, len) != 0) {
		memcpy(io_expected, p, len);
		return 0;
	}
	memcpy(p, desired, len);
	return 1;
}

static const struct x86emu_ops emu_ops = {
	.translate = op_translate, .mem_fetch = op_fetch, .mem_read = op_read,
	.mem_write = op_write, .mem_cmpxchg = op_cmpxchg,
};

static enum x86emu_result emulate(const struct test_case *c, struct x86emu_state *s, uint8_t *fx,
				  struct x86emu_out *out)
{
	size_t known = gen_chance(70) ? 15 : gen_rnd(c->len + 1);
	enum x86emu_result r;
	uint8_t bytes[16];

	*s = (struct x86emu_state){
		.rip = c->code, .rflags = c->regs.rflags, .cpl = 3, .fx = fx,
		.cr0 = 0x80050033, .cr4 = 0x6f0, .efer = 0xd01,
	};
	memcpy(s->gpr, c->regs.gpr, sizeof(s->gpr));
	memcpy(fx, c->regs.fx, X86EMU_FX_SIZE);
	s->seg[HV_SEG_CS].attr = 0xa0fb;
	s->seg[HV_SEG_FS].base = fs_base;
	s->seg[HV_SEG_GS].base = GS_BASE;
	memcpy(bytes, (const void *)(uintptr_t)c->code, sizeof(bytes));
	for (unsigned int i = 0; i < 64; i++) {
		r = x86emu_step(s, &emu_ops, NULL, bytes, known, out);
		if (r != X86EMU_AGAIN)
			break;
		must(s->rip == c->code && (s->rflags & X86_FL_RF), "state when REP pauses");
	}
	return r;
}

static uint64_t seed_used;

static const char *describe(const struct test_case *c, unsigned int idx)
{
	static char buf[128];
	int n = snprintf(buf, sizeof(buf), "seed %llu case %u bytes",
			 (unsigned long long)seed_used, idx);

	for (unsigned int i = 0; i < c->len; i++)
		n += snprintf(buf + n, sizeof(buf) - (size_t)n, " %02x", c->bytes[i]);
	return buf;
}

static void dump(const struct test_case *c, const struct x86emu_state *s)
{
	fprintf(stderr, "reg  before           native           emulated\n");
	for (unsigned int i = 0; i < 16; i++) {
		fprintf(stderr, "%2u   %016llx %016llx %016llx%s\n", i,
			(unsigned long long)c->regs.gpr[i], (unsigned long long)tramp_regs.gpr[i],
			(unsigned long long)s->gpr[i],
			s->gpr[i] != tramp_regs.gpr[i] ? " <--" : "");
	}
	fprintf(stderr, "fl   %016llx %016llx %016llx\n", (unsigned long long)c->regs.rflags,
		(unsigned long long)tramp_regs.rflags, (unsigned long long)s->rflags);
	fprintf(stderr, "native: fault %d vector %d error %#llx cr2 %#llx rip %#llx exit %llu\n",
		native_fault.hit, native_fault.vector, (unsigned long long)native_fault.error,
		(unsigned long long)native_fault.cr2, (unsigned long long)native_fault.rip,
		(unsigned long long)tramp_regs.exit);
	for (unsigned int i = 0; i < WIN_SIZE; i++)
		if (emu_win[i] != ((const uint8_t *)(uintptr_t)WIN_BASE)[i])
			fprintf(stderr, "mem %#llx native %02x emulated %02x\n", WIN_BASE + i,
				((const uint8_t *)(uintptr_t)WIN_BASE)[i], emu_win[i]);
}

static const char *compare_outcome(const struct test_case *c, const struct x86emu_state *s,
				   enum x86emu_result r, const struct x86emu_out *out)
{
	uint64_t want_rip = c->code + c->len;

	if (r != X86EMU_OK && r != X86EMU_FAULT)
		return "result is neither OK nor FAULT";
	if ((r == X86EMU_FAULT) != native_fault.hit)
		return "one side faulted";
	if (r == X86EMU_OK) {
		if (tramp_regs.exit == 2)
			want_rip = CODE_BASE + PAD_OFF;
		return s->rip == want_rip ? NULL : "rip";
	}
	/* CMPS has two sources: CPUs differ in which one is looked at first. */
	if (c->two_sources)
		return s->rip == c->code ? NULL : "rip of fault";
	if (out->fault.vector != native_fault.vector)
		return "vector";
	if (out->fault.has_error && out->fault.error != native_fault.error)
		return "error code";
	if (out->fault.vector == X86_PF && out->fault.cr2 != native_fault.cr2)
		return "cr2";
	return s->rip == native_fault.rip && s->rip == c->code ? NULL : "rip of fault";
}

static const char *compare(const struct test_case *c, const struct x86emu_state *s,
			   const uint8_t *fx, enum x86emu_result r, const struct x86emu_out *out)
{
	const char *why = compare_outcome(c, s, r, out);

	if (why)
		return why;
	if (memcmp(s->gpr, tramp_regs.gpr, sizeof(s->gpr)) != 0)
		return "registers";
	if ((s->rflags ^ tramp_regs.rflags) & ~(r == X86EMU_OK ? c->undef : 0))
		return "flags";
	if (memcmp(fx + X86EMU_FX_XMM, tramp_regs.fx + X86EMU_FX_XMM, 256) != 0)
		return "xmm";
	if (memcmp(fx + X86EMU_FX_XMM, c->regs.fx + X86EMU_FX_XMM, 256) != 0 && !out->xmm_dirty)
		return "xmm_dirty";
	if (memcmp(emu_win, (const void *)(uintptr_t)WIN_BASE, WIN_SIZE) != 0)
		return "memory";
	return NULL;
}

/* Where the quick decoder has an opinion it must be Zydis's. */
static void check_decoders(const struct test_case *c, unsigned int idx)
{
	struct x86_insn quick, full;

	if (!x86_decode_mov64(c->bytes, c->len, &quick))
		return;
	if (x86_decode(X86_CODE_64, c->bytes, c->len, &full) == X86_DECODE_OK &&
	    memcmp(&quick, &full, offsetof(struct x86_insn, scale) + 1) == 0 &&
	    quick.disp == full.disp && quick.imm == full.imm)
		return;
	ck_abort_msg("decoders differ: %s", describe(c, idx));
}

static void refill(void)
{
	uint8_t *win = (uint8_t *)(uintptr_t)WIN_BASE;

	for (unsigned int i = 0; i < WIN_RW; i += 8) {
		uint64_t v = gen_chance(60) ? gen_rnd64() : gen_interesting();

		memcpy(win + i, &v, 8);
	}
	memcpy(emu_win, win, WIN_SIZE);
}

static void set_up(void)
{
	static uint8_t alt[65536];
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	unsigned int a, b, cx = 0, d;

	map_at(WIN_BASE - 4096, 4096, PROT_NONE);
	map_at(WIN_BASE, WIN_SIZE, PROT_READ | PROT_WRITE);
	map_at(WIN_BASE + WIN_SIZE, 4096, PROT_NONE);
	map_at(CODE_BASE, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
	for (unsigned int i = 0; i < WIN_SIZE; i++)
		((uint8_t *)(uintptr_t)WIN_BASE)[i] = (uint8_t)gen_rnd64();
	ck_assert_int_eq(mprotect((void *)(uintptr_t)(WIN_BASE + WIN_RW), 4096, PROT_READ), 0);
	put_exit((uint8_t *)(uintptr_t)CODE_BASE + PAD_OFF, tramp_done_far);

	sigfillset(&sa.sa_mask);
	ck_assert_int_eq(sigaltstack(&ss, NULL), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(sigs); i++)
		ck_assert_int_eq(sigaction(sigs[i], &sa, NULL), 0);
	ck_assert_int_eq(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_base), 0);
	ck_assert_int_eq(syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE), 0);

	__get_cpuid(1, &a, &b, &cx, &d);
	n_forms = gen_init(fs_base, cx & bit_MOVBE);
	ck_assert_uint_ne(n_forms, 0);
}

static uint64_t env_number(const char *name, uint64_t dflt)
{
	const char *s = getenv(name);

	return s && *s ? strtoull(s, NULL, 0) : dflt;
}

static void run_native(const struct test_case *c)
{
	uint8_t *code = (uint8_t *)(uintptr_t)c->code;

	if (c->poke_addr) {
		memcpy((void *)(uintptr_t)c->poke_addr, &c->poke_val, 8);
		memcpy(emu_win + (c->poke_addr - WIN_BASE), &c->poke_val, 8);
	}
	memcpy(code, c->bytes, c->len);
	put_exit(code + c->len, tramp_done);
	tramp_regs = c->regs;
	tramp_regs.exit = 0;
	tramp_code = c->code;
	native_fault.hit = false;
	tramp_run();
}

START_TEST(native_equals_emulated)
{
	unsigned int cases = (unsigned int)env_number("KEEL_CASES", DEFAULT_CASES), faults = 0;
	static uint8_t fx[X86EMU_FX_SIZE];
	struct x86emu_state s;
	struct x86emu_out out;
	struct test_case c = { 0 };
	enum x86emu_result r;
	const char *why;

	seed_used = env_number("KEEL_SEED", 1);
	gen_seed(seed_used);
	set_up();
	for (unsigned int i = 0; i < cases; i++) {
		/* Each case has its own sequence: what one rejects must not shift the next. */
		gen_seed(seed_used * 0x100000001b3ull + i * 0x9e3779b97f4a7c15ull * 4096);
		if (i % 64 == 0)
			refill();
		gen_case(&c);
		run_native(&c);
		check_decoders(&c, i);
		r = emulate(&c, &s, fx, &out);
		why = compare(&c, &s, fx, r, &out);
		if (why) {
			dump(&c, &s);
			ck_abort_msg("%s differ (result %d, vector %u, error %#x, cr2 %#llx): %s",
				     why, r, out.fault.vector, out.fault.error,
				     (unsigned long long)out.fault.cr2, describe(&c, i));
		}
		faults += native_fault.hit;
	}
	printf("seed %llu: %u cases, %u of them exceptions, %u forms\n",
	       (unsigned long long)seed_used, cases, faults, n_forms);
	/* A generator gone wrong would fault everywhere or nowhere. */
	ck_assert_uint_lt(faults, cases / 2);
	ck_assert(cases < 10000 || faults > cases / 50);
}
END_TEST

UNIT_MAIN("devices-core/x86emu_native", native_equals_emulated)
