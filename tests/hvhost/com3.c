/* SPDX-License-Identifier: MIT */
#include "com3.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "record.h"

#define LINE_MAX_BYTES 512
#define INPUT_MAX 256 /* power of two */

enum { REG_DATA, REG_IER, REG_FCR_IIR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define LCR_DLAB 0x80
#define MCR_LOOP 0x10
#define LSR_DATA 0x01
#define LSR_IDLE 0x60 /* transmitter and its holding register are empty */
#define IIR_NONE 0x01
#define IIR_FIFO 0xc0
#define FCR_ENABLE 0x01
#define MSR_PRESENT 0xb0 /* carrier, data set ready, clear to send */

struct com3 {
	pthread_mutex_t lock;
	int out_fd;
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t line[LINE_MAX_BYTES];
	size_t line_len;
	uint8_t input[INPUT_MAX];
	unsigned int in_head, in_tail; /* free running */
};

int com3_create(int out_fd, struct com3 **ret_c)
{
	struct com3 *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->out_fd = out_fd;
	if (pthread_mutex_init(&c->lock, NULL) != 0) {
		free(c);
		return -ENOMEM;
	}
	*ret_c = c;
	return 0;
}

/* A reader that does not keep up loses text: the VP must not wait for it. */
static void flush(struct com3 *c)
{
	size_t done = 0;

	record_put(RECORD_CONSOLE, 0, c->line, c->line_len);
	while (c->out_fd >= 0 && done < c->line_len) {
		ssize_t n = write(c->out_fd, c->line + done, c->line_len - done);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	c->line_len = 0;
}

void com3_destroy(struct com3 *c)
{
	if (!c)
		return;
	flush(c);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

static void transmit(struct com3 *c, uint8_t byte)
{
	if (c->mcr & MCR_LOOP)
		return;
	c->line[c->line_len++] = byte;
	if (byte == '\n' || c->line_len == sizeof(c->line))
		flush(c);
}

static uint8_t receive(struct com3 *c)
{
	if (c->in_head == c->in_tail)
		return 0;
	return c->input[c->in_tail++ % INPUT_MAX];
}

/* In loop-back the modem control lines come back as modem status. */
static uint8_t modem_status(const struct com3 *c)
{
	if (!(c->mcr & MCR_LOOP))
		return MSR_PRESENT;
	return (uint8_t)((c->mcr & 0x02) << 3 | (c->mcr & 0x01) << 5 | (c->mcr & 0x04) << 4 |
			 (c->mcr & 0x08) << 4);
}

static uint8_t read_locked(struct com3 *c, unsigned int reg)
{
	bool dlab = c->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		return dlab ? c->dll : receive(c);
	case REG_IER:
		return dlab ? c->dlm : c->ier;
	case REG_FCR_IIR:
		return (uint8_t)(IIR_NONE | (c->fcr & FCR_ENABLE ? IIR_FIFO : 0));
	case REG_LCR:
		return c->lcr;
	case REG_MCR:
		return c->mcr;
	case REG_LSR:
		return (uint8_t)(LSR_IDLE | (c->in_head != c->in_tail ? LSR_DATA : 0));
	case REG_MSR:
		return modem_status(c);
	default:
		return c->scr;
	}
}

uint8_t com3_read(struct com3 *c, unsigned int reg)
{
	uint8_t val;

	(void)pthread_mutex_lock(&c->lock);
	val = read_locked(c, reg);
	(void)pthread_mutex_unlock(&c->lock);
	return val;
}

static void write_locked(struct com3 *c, unsigned int reg, uint8_t val)
{
	bool dlab = c->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		if (dlab)
			c->dll = val;
		else
			transmit(c, val);
		break;
	case REG_IER:
		if (dlab)
			c->dlm = val;
		else
			c->ier = val & 0x0f;
		break;
	case REG_FCR_IIR:
		c->fcr = val;
		break;
	case REG_LCR:
		c->lcr = val;
		break;
	case REG_MCR:
		c->mcr = val & 0x1f;
		break;
	case REG_SCR:
		c->scr = val;
		break;
	default: /* status registers are read only */
		break;
	}
}

void com3_write(struct com3 *c, unsigned int reg, uint8_t val)
{
	(void)pthread_mutex_lock(&c->lock);
	write_locked(c, reg, val);
	(void)pthread_mutex_unlock(&c->lock);
}

void com3_input(struct com3 *c, const uint8_t *buf, size_t len)
{
	(void)pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < len && c->in_head - c->in_tail < INPUT_MAX; i++)
		c->input[c->in_head++ % INPUT_MAX] = buf[i];
	(void)pthread_mutex_unlock(&c->lock);
}
