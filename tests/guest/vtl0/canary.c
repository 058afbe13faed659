/* SPDX-License-Identifier: MIT */
/*
 * Plants canaries in VTL0, for tests that look for them in what the host receives. Root only.
 *
 *   canary mem HEX          fill memory with the bytes, over and over, and wait
 *   canary regs HEX         keep them in every general and vector register, and spin
 *   canary cmos HEX         write them into the clock chip's battery-backed memory
 *   canary crash HEX TEXT   report a crash: the first words as parameters, TEXT as message
 *
 * HEX is 64 digits. All but crash and cmos never return.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEY_BYTES 32
#define MEM_BYTES (4u << 20)
#define PAGE 4096
#define CMOS_INDEX 0x70
#define CMOS_DATA 0x71
#define CMOS_FIRST 0x40
#define MSR_CRASH_P0 0x40000100
#define CRASH_NOTIFY_MESSAGE (3ull << 62)

static int die(const char *what)
{
	fprintf(stderr, "canary: %s: %s\n", what, strerror(errno));
	return 1;
}

static int parse_key(const char *hex, uint8_t key[KEY_BYTES])
{
	for (size_t i = 0; i < KEY_BYTES; i++) {
		unsigned int v;

		if (sscanf(hex + 2 * i, "%2x", &v) != 1)
			return -1;
		key[i] = (uint8_t)v;
	}
	return 0;
}

static int plant_mem(const uint8_t *key)
{
	uint8_t *p =
		mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return die("memory");
	for (size_t i = 0; i < MEM_BYTES; i += KEY_BYTES)
		memcpy(p + i, key, KEY_BYTES);
	for (;;)
		(void)pause();
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

static int plant_cmos(const uint8_t *key)
{
	if (iopl(3) < 0)
		return die("iopl");
	for (unsigned int i = 0; i < KEY_BYTES; i++) {
		outb((uint8_t)(CMOS_FIRST + i), CMOS_INDEX);
		outb(key[i], CMOS_DATA);
	}
	return 0;
}

/* The guest physical address of a page of ours. */
static uint64_t physical(const void *page)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	if (fd < 0 || pread(fd, &entry, 8, (off_t)((uintptr_t)page / PAGE * 8)) != 8)
		entry = 0;
	(void)close(fd);
	return (entry & ((1ull << 55) - 1)) * PAGE;
}

static int report_crash(const uint64_t *w, const char *text)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const size_t len = strlen(text);
	uint64_t v[6] = { w[0], w[1], w[2], 0, len, CRASH_NOTIFY_MESSAGE };
	int fd = open("/dev/cpu/0/msr", O_WRONLY);

	if (page == MAP_FAILED || mlock(page, PAGE) < 0 || len > PAGE)
		return die("page");
	memcpy(page, text, len);
	v[3] = physical(page);
	if (!v[3])
		return die("pagemap");
	if (fd < 0)
		return die("msr device");
	for (unsigned int i = 0; i < 6; i++) {
		if (pwrite(fd, &v[i], 8, MSR_CRASH_P0 + i) != 8)
			return die("wrmsr");
	}
	return 0;
}

int main(int argc, char **argv)
{
	union {
		uint8_t bytes[KEY_BYTES];
		uint64_t words[KEY_BYTES / 8];
	} key;

	if (argc < 3 || strlen(argv[2]) != 2 * KEY_BYTES || parse_key(argv[2], key.bytes) < 0)
		return 2;
	if (strcmp(argv[1], "mem") == 0)
		return plant_mem(key.bytes);
	if (strcmp(argv[1], "regs") == 0)
		plant_regs(key.words);
	if (strcmp(argv[1], "cmos") == 0)
		return plant_cmos(key.bytes);
	if (strcmp(argv[1], "crash") == 0 && argc == 4)
		return report_crash(key.words, argv[3]);
	return 2;
}
