/* SPDX-License-Identifier: MIT */
/*
 * Plants canaries in VTL0, for tests that look for them in what the host receives. Root only.
 *
 *   canary mem HEX          fill memory with the bytes, over and over, and wait
 *   canary regs HEX         keep them in every general and vector register, and spin
 *   canary cmos HEX         write them into the clock chip's battery-backed memory
 *   canary crash HEX TEXT   report a crash: the first words as parameters, TEXT as message
 *
 * HEX is 64 digits. All but crash and cmos never return. The status tells which step failed.
 * Without a C library: it reaches the guest through a serial port, byte by byte.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define KEY_BYTES 32
#define MEM_BYTES (4u << 20)
#define PAGE 4096
#define CMOS_INDEX 0x70
#define CMOS_DATA 0x71
#define CMOS_FIRST 0x40
#define MSR_CRASH_P0 0x40000100
#define CRASH_NOTIFY_MESSAGE (3ull << 62)

static long sys(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = -1; /* mmap: no file */
	register long r9 __asm__("r9") = 0;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static uint8_t *map(size_t len)
{
	long p = sys(SYS_mmap, 0, (long)len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_LOCKED);

	return p < 0 && p > -PAGE ? NULL : (uint8_t *)p;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse_key(const char *hex, uint8_t *key)
{
	for (size_t i = 0; i < KEY_BYTES; i++) {
		const int high = digit(hex[2 * i]), low = high < 0 ? -1 : digit(hex[2 * i + 1]);

		if (low < 0)
			return -1;
		key[i] = (uint8_t)(high << 4 | low);
	}
	return hex[2 * KEY_BYTES] ? -1 : 0;
}

static int plant_mem(const uint8_t *key)
{
	uint8_t *p = map(MEM_BYTES);

	if (!p)
		return 3;
	for (size_t i = 0; i < MEM_BYTES; i++)
		p[i] = key[i % KEY_BYTES];
	for (;;)
		(void)sys(SYS_pause, 0, 0, 0, 0);
}

/* No stack and no call from here on. */
static _Noreturn void plant_regs(const uint64_t *w)
{
	__asm__ volatile("movdqu (%0), %%xmm0\n\t"
			 "movdqu 16(%0), %%xmm1\n\t"
			 "movdqa %%xmm0, %%xmm2\n\tmovdqa %%xmm1, %%xmm3\n\t"
			 "movdqa %%xmm0, %%xmm4\n\tmovdqa %%xmm1, %%xmm5\n\t"
			 "movdqa %%xmm0, %%xmm6\n\tmovdqa %%xmm1, %%xmm7\n\t"
			 "movdqa %%xmm0, %%xmm8\n\tmovdqa %%xmm1, %%xmm9\n\t"
			 "movdqa %%xmm0, %%xmm10\n\tmovdqa %%xmm1, %%xmm11\n\t"
			 "movdqa %%xmm0, %%xmm12\n\tmovdqa %%xmm1, %%xmm13\n\t"
			 "movdqa %%xmm0, %%xmm14\n\tmovdqa %%xmm1, %%xmm15\n\t"
			 "movq (%0), %%rax\n\tmovq 8(%0), %%rbx\n\t"
			 "movq 16(%0), %%rcx\n\tmovq 24(%0), %%rdx\n\t"
			 "movq %%rax, %%r8\n\tmovq %%rbx, %%r9\n\t"
			 "movq %%rcx, %%r10\n\tmovq %%rdx, %%r11\n\t"
			 "movq %%rax, %%r12\n\tmovq %%rbx, %%r13\n\t"
			 "movq %%rcx, %%r14\n\tmovq %%rdx, %%r15\n\t"
			 "movq %%rax, %%rsi\n\tmovq %%rbx, %%rbp\n\t"
			 "movq %%rcx, %%rdi\n"
			 "1:\n\tpause\n\tjmp 1b\n"
			 :
			 : "D"(w)
			 : "memory");
	__builtin_unreachable();
}

static void out(uint16_t port, uint8_t val)
{
	__asm__ volatile("outb %0, %1" : : "a"(val), "Nd"(port));
}

static int plant_cmos(const uint8_t *key)
{
	if (sys(SYS_iopl, 3, 0, 0, 0) < 0)
		return 4;
	for (unsigned int i = 0; i < KEY_BYTES; i++) {
		out(CMOS_INDEX, (uint8_t)(CMOS_FIRST + i));
		out(CMOS_DATA, key[i]);
	}
	return 0;
}

/* The guest physical address of a page of ours, 0 = nobody tells. */
static uint64_t physical(const void *page)
{
	uint64_t entry = 0;
	long fd = sys(SYS_open, (long)"/proc/self/pagemap", O_RDONLY, 0, 0);

	if (sys(SYS_pread64, fd, (long)&entry, 8, (long)((uintptr_t)page / PAGE * 8)) != 8)
		return 0;
	return (entry & ((1ull << 55) - 1)) * PAGE;
}

static int report_crash(const uint64_t *w, const char *text)
{
	uint64_t v[6] = { w[0], w[1], w[2], 0, 0, CRASH_NOTIFY_MESSAGE };
	uint8_t *page = map(PAGE);
	long fd = sys(SYS_open, (long)"/dev/cpu/0/msr", O_WRONLY, 0, 0);

	if (!page)
		return 3;
	for (; text[v[4]] && v[4] < PAGE; v[4]++)
		page[v[4]] = (uint8_t)text[v[4]];
	v[3] = physical(page);
	if (!v[3])
		return 5;
	for (unsigned int i = 0; i < 6; i++) {
		if (sys(SYS_pwrite64, fd, (long)&v[i], 8, MSR_CRASH_P0 + i) != 8)
			return 6;
	}
	return 0;
}

static int run(long argc, char **argv)
{
	static uint64_t key[KEY_BYTES / 8];

	if (argc < 3 || parse_key(argv[2], (uint8_t *)key) < 0)
		return 2;
	switch (argv[1][0] == 'c' ? argv[1][1] : argv[1][0]) {
	case 'm':
		return argv[1][0] == 'c' ? plant_cmos((uint8_t *)key) : plant_mem((uint8_t *)key);
	case 'r':
		if (argv[1][0] == 'c')
			return argc == 4 ? report_crash(key, argv[3]) : 2;
		plant_regs(key);
	default:
		return 2;
	}
}

/* What the kernel leaves on the stack: argc, then argv. */
__attribute__((used)) static _Noreturn void begin(long *stack)
{
	const int status = run(stack[0], (char **)(stack + 1));

	for (;;)
		(void)sys(SYS_exit_group, status, 0, 0, 0);
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n");
