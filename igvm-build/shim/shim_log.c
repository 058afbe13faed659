/* SPDX-License-Identifier: MIT */
/* Log into memory (the daemon reads it later) and to COM3; panics; exceptions. */
#include <stdarg.h>
#include <string.h>

#include "bootcfg.h"
#include "bug.h"
#include "hvmsr.h"
#include "le.h"
#include "shim_fmt.h"
#include "shim_hw.h"

#define LINE_MAX 256u
#define COM3 0x3e8u
#define UART_LSR 5u
#define LSR_THR_EMPTY 0x20u
#define UART_SPINS 100000u /* a port that stays busy longer is not there */
#define CRASH_TEXT_MAX 512u
#define CRASH_PRE_OS_ID (5ull << 58)

static struct {
	struct shim_log_header *head;
	char *text;
	size_t max;
	bool com3;
} shim_log_state;

static char crash_text[CRASH_TEXT_MAX] __attribute__((aligned(CRASH_TEXT_MAX)));
static bool in_panic;

void shim_log_init(void *buf, size_t len)
{
	if (len <= sizeof(struct shim_log_header))
		return;
	shim_log_state.head = buf;
	shim_log_state.text = (char *)buf + sizeof(struct shim_log_header);
	shim_log_state.max = MIN(len - sizeof(struct shim_log_header), (size_t)UINT16_MAX);
	*shim_log_state.head = (struct shim_log_header){ 0 };
}

static void com3_write(const char *s, size_t len)
{
	while (len-- && shim_log_state.com3) {
		uint32_t spins = UART_SPINS;

		while (!(hw_inb(COM3 + UART_LSR) & LSR_THR_EMPTY) && --spins)
			;
		shim_log_state.com3 = spins != 0;
		hw_outb(COM3, (uint8_t)*s++);
	}
}

void shim_log_com3(void)
{
	shim_log_state.com3 = true;
	if (shim_log_state.head)
		com3_write(shim_log_state.text, shim_log_state.head->len);
}

static void log_text(const char *s, size_t len)
{
	struct shim_log_header *h = shim_log_state.head;

	com3_write(s, len);
	if (!h)
		return;
	if (len > shim_log_state.max - h->len) {
		h->dropped++;
		return;
	}
	memcpy(shim_log_state.text + h->len, s, len);
	h->len = (uint16_t)(h->len + len);
}

void shim_log(const char *fmt, ...)
{
	static const char prefix[] = "shim: ";
	char line[LINE_MAX];
	size_t len = sizeof(prefix) - 1;
	va_list ap;

	memcpy(line, prefix, len);
	va_start(ap, fmt);
	len += shim_vformat(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	line[len++] = '\n';
	log_text(line, len);
}

/* On an isolated VM the host learns that the shim died, and not why. */
static void crash_report(size_t len)
{
	uint64_t message = HV_CRASH_CTL_MESSAGE;

	if (!shim_hv_present())
		return;
	if (shim_hv_isolation() != SHIM_HV_NONE)
		message = len = 0;
	hw_wrmsr(HVMSR_CRASH_P0, le64_load("BOOTSHIM"));
	hw_wrmsr(HVMSR_CRASH_P0 + 1, __builtin_bswap64(le64_load("OHCLBOOT")));
	hw_wrmsr(HVMSR_CRASH_P0 + 2, ~0ull);
	hw_wrmsr(HVMSR_CRASH_P0 + 3, message ? (uintptr_t)crash_text : 0);
	hw_wrmsr(HVMSR_CRASH_P4, len);
	hw_wrmsr(HVMSR_CRASH_CTL,
		 CRASH_PRE_OS_ID | HV_CRASH_CTL_NO_DUMP | message | HV_CRASH_CTL_NOTIFY);
}

_Noreturn void shim_panic(const char *fmt, ...)
{
	size_t len;
	va_list ap;

	if (!in_panic) { /* an exception in here must not come back */
		in_panic = true;
		va_start(ap, fmt);
		len = shim_vformat(crash_text, sizeof(crash_text), fmt, ap);
		va_end(ap);
		shim_log("panic: %s", crash_text);
		crash_report(len);
	}
	for (;;)
		__asm__ volatile("cli; hlt");
}

_Noreturn void bug_hit(const char *file, int line, const char *func, const char *cond)
{
	shim_panic("BUG: %s:%u: %s: %s", file, (unsigned)line, func, cond);
}

/* --- exceptions -------------------------------------------------------------------------- */

#define VECTORS 32u
#define VECTOR_STUB_BYTES 16u
#define GATE_INTERRUPT 0x8e00u

struct exception_frame {
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

struct idt_gate {
	uint16_t off_lo, sel, attr, off_mid;
	uint32_t off_hi, rsvd;
};
WIRE_SIZE(struct idt_gate, 16);

extern const uint8_t shim_vectors[VECTORS][VECTOR_STUB_BYTES];
_Noreturn void shim_exception(const struct exception_frame *f);

static struct idt_gate idt[VECTORS] __attribute__((aligned(16)));

_Noreturn void shim_exception(const struct exception_frame *f)
{
	uint64_t cr2;

	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	shim_panic("exception %u, error %llx, rip %llx, cr2 %llx", (unsigned)f->vector,
		   (unsigned long long)f->error, (unsigned long long)f->rip,
		   (unsigned long long)cr2);
}

void shim_idt_init(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = { .limit = sizeof(idt) - 1, .base = (uintptr_t)idt };
	uint16_t cs;

	__asm__ volatile("mov %%cs, %0" : "=r"(cs));
	for (unsigned i = 0; i < VECTORS; i++) {
		uint64_t at = (uintptr_t)shim_vectors[i];

		idt[i] = (struct idt_gate){ .off_lo = (uint16_t)at,
					    .sel = cs,
					    .attr = GATE_INTERRUPT,
					    .off_mid = (uint16_t)(at >> 16),
					    .off_hi = (uint32_t)(at >> 32) };
	}
	__asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
}
