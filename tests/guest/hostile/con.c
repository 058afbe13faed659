/* SPDX-License-Identifier: MIT */
/* Output on COM1, whatever state a storm left it in. Only the first processor prints. */
#include "hostile.h"

#include <stdarg.h>

#define COM1 0x3f8

void outb(uint16_t port, uint8_t val)
{
	__asm__ volatile("outb %0, %1" : : "a"(val), "Nd"(port));
}

void outw(uint16_t port, uint16_t val)
{
	__asm__ volatile("outw %0, %1" : : "a"(val), "Nd"(port));
}

uint8_t inb(uint16_t port)
{
	uint8_t val;

	__asm__ volatile("inb %1, %0" : "=a"(val) : "Nd"(port));
	return val;
}

static void uart_repair(void)
{
	outb(COM1 + 3, 0x83);
	outb(COM1, 1); /* 115200 */
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 3); /* 8N1 */
	outb(COM1 + 1, 0); /* no interrupts */
	outb(COM1 + 2, 1); /* FIFO */
	outb(COM1 + 4, 3); /* DTR, RTS, no loopback */
}

static void put(char ch)
{
	for (int i = 0; i < 100000 && !(inb(COM1 + 5) & 0x20); i++)
		__asm__ volatile("pause");
	outb(COM1, (uint8_t)ch);
}

static void put_number(uint64_t val, unsigned base)
{
	char buf[24];
	int n = 0;

	do {
		buf[n++] = "0123456789abcdef"[val % base];
		val /= base;
	} while (val);
	while (n)
		put(buf[--n]);
}

void con_print(const char *fmt, ...)
{
	va_list ap;

	uart_repair();
	va_start(ap, fmt);
	for (; *fmt; fmt++) {
		if (*fmt == '\n')
			put('\r');
		if (*fmt != '%') {
			put(*fmt);
			continue;
		}
		fmt++;
		if (*fmt == 's') {
			for (const char *s = va_arg(ap, const char *); *s; s++)
				put(*s);
		} else {
			put_number(va_arg(ap, uint64_t), *fmt == 'x' ? 16 : 10);
		}
	}
	va_end(ap);
}

_Noreturn void con_die(const char *what, uint64_t a, uint64_t b)
{
	con_print("HOSTILE FAIL: %s (%x, %x)\n", what, a, b);
	cpu_stop();
}
