/* SPDX-License-Identifier: MIT */
/* Input: VTL0 (registers), back end (bytes). State: private, under dev->lock. Thread: any. */
#include "uart16550.h"

#include "chario.h"
#include "device.h"
#include "inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUF_BYTES UART16550_BUF_BYTES
#define RX_LOW_WATER (BUF_BYTES / 2) /* tell the back end about room only from here down */
#define FIFO_BYTES 16u

enum uart_reg {
	REG_DATA = 0, /* RHR, THR; DLL */
	REG_IER = 1, /* DLM */
	REG_IIR = 2, /* FCR */
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCR = 7,
};

#define IER_RX 0x01u
#define IER_THRE 0x02u
#define IER_LINE 0x04u
#define IER_MODEM 0x08u
#define IER_MASK 0x0fu

/* Interrupt identification, bits 3:0. */
enum uart_source {
	IIR_MODEM = 0x0,
	IIR_NONE = 0x1,
	IIR_THRE = 0x2,
	IIR_RX = 0x4,
	IIR_LINE = 0x6,
	IIR_RX_TIMEOUT = 0xc,
};
#define IIR_FIFO 0xc0u

#define FCR_ENABLE 0x01u
#define FCR_CLEAR_RX 0x02u
#define FCR_CLEAR_TX 0x04u
#define FCR_STORED 0xc9u /* enable, DMA mode, trigger */

#define LCR_DLAB 0x80u

#define MCR_DTR 0x01u
#define MCR_RTS 0x02u
#define MCR_OUT1 0x04u
#define MCR_OUT2 0x08u
#define MCR_LOOP 0x10u
#define MCR_MASK 0x1fu

#define LSR_DR 0x01u
#define LSR_OVERRUN 0x02u
#define LSR_TX_EMPTY 0x60u /* THRE and TEMT */

#define MSR_DCTS 0x01u
#define MSR_DDSR 0x02u
#define MSR_TERI 0x04u
#define MSR_DDCD 0x08u
#define MSR_DELTAS 0x0fu
#define MSR_CTS 0x10u
#define MSR_DSR 0x20u
#define MSR_RI 0x40u
#define MSR_DCD 0x80u

struct byte_ring {
	uint8_t buf[BUF_BYTES];
	uint32_t head; /* index of the oldest byte */
	uint32_t n;
};

struct uart_regs {
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t msr_lines; /* upper half of MSR as the line drives it */
	uint8_t msr_deltas;
	bool overrun;
	bool thre_acked; /* the present THR-empty condition was reported through IIR */
	struct byte_ring rx, tx;
};

struct uart16550 {
	struct device dev;
	struct uart_regs r;
	struct uart16550_cfg cfg;
	struct irq_line irq;
	const struct char_backend *backend;
	bool connected;
	bool irq_level;
	bool rx_short; /* the back end was turned away and waits for rx_room */
};

static bool ring_push(struct byte_ring *r, uint8_t byte)
{
	if (r->n >= BUF_BYTES)
		return false;
	r->buf[(r->head + r->n) % BUF_BYTES] = byte;
	r->n++;
	return true;
}

static void ring_drop(struct byte_ring *r, uint32_t n)
{
	r->head = (r->head + n) % BUF_BYTES;
	r->n -= n;
}

static uint8_t ring_pop(struct byte_ring *r)
{
	uint8_t byte = 0;

	if (r->n) {
		byte = r->buf[r->head];
		ring_drop(r, 1);
	}
	return byte;
}

static void ring_clear(struct byte_ring *r)
{
	r->head = r->n = 0;
}

static uint32_t rx_trigger(const struct uart_regs *r)
{
	static const uint8_t level[] = { 1, 4, 8, 14 };

	return r->fcr & FCR_ENABLE ? level[r->fcr >> 6] : 1;
}

/* The highest-priority condition that is enabled. */
static enum uart_source pending_source(const struct uart_regs *r)
{
	if ((r->ier & IER_LINE) && r->overrun)
		return IIR_LINE;
	if ((r->ier & IER_RX) && r->rx.n)
		return r->rx.n >= rx_trigger(r) ? IIR_RX : IIR_RX_TIMEOUT;
	if ((r->ier & IER_THRE) && !r->tx.n && !r->thre_acked)
		return IIR_THRE;
	if ((r->ier & IER_MODEM) && r->msr_deltas)
		return IIR_MODEM;
	return IIR_NONE;
}

/* On a PC the pin reaches the interrupt controller only through OUT2. */
static void update_irq(struct uart16550 *u)
{
	bool level = (u->r.mcr & MCR_OUT2) && pending_source(&u->r) != IIR_NONE;

	if (level != u->irq_level) {
		u->irq_level = level;
		irq_line_set(&u->irq, level);
	}
}

static bool rx_open(const struct uart16550 *u)
{
	if (!u->connected || (u->r.mcr & MCR_LOOP))
		return false;
	return !u->cfg.wait_for_rts || (u->r.mcr & (MCR_DTR | MCR_RTS)) == (MCR_DTR | MCR_RTS);
}

static void offer_room(struct uart16550 *u)
{
	if (!u->rx_short || u->r.rx.n > RX_LOW_WATER || !rx_open(u))
		return;
	u->rx_short = false;
	if (u->backend->rx_room)
		u->backend->rx_room(u->backend->ctx);
}

/* Hand as much as possible to the back end; stops at its first short count. */
static void flush_tx(struct uart16550 *u)
{
	struct byte_ring *t = &u->r.tx;

	while (t->n) {
		uint32_t chunk = MIN(t->n, BUF_BYTES - t->head);
		size_t took = u->backend->tx(u->backend->ctx, t->buf + t->head, chunk);

		ring_drop(t, (uint32_t)MIN(took, chunk));
		if (took < chunk)
			return;
	}
}

static void loop_back(struct uart16550 *u, uint8_t byte)
{
	struct byte_ring *rx = &u->r.rx;
	uint32_t depth = u->r.fcr & FCR_ENABLE ? FIFO_BYTES : 1;

	if (rx->n < depth) {
		(void)ring_push(rx, byte);
		return;
	}
	u->r.overrun = true;
	if (depth == 1) { /* without a FIFO the new byte replaces the old one */
		ring_clear(rx);
		(void)ring_push(rx, byte);
	}
}

static void write_thr(struct uart16550 *u, uint8_t byte)
{
	u->r.thre_acked = false;
	if (u->r.mcr & MCR_LOOP) {
		loop_back(u, byte);
		return;
	}
	if (!u->connected)
		return;
	if (!u->r.tx.n && u->backend->tx(u->backend->ctx, &byte, 1) == 1)
		return;
	if (!ring_push(&u->r.tx, byte))
		device_unknown(&u->dev); /* the guest ignores back-pressure: its byte is lost */
}

static void write_fcr(struct uart16550 *u, uint8_t val)
{
	struct uart_regs *r = &u->r;
	bool toggled = (val ^ r->fcr) & FCR_ENABLE;

	/* Changing the mode clears the receiver. What waits for the back end has left the
	 * transmitter long ago as far as a line of finite speed is concerned: it stays. */
	if (toggled || ((val & FCR_ENABLE) && (val & FCR_CLEAR_RX)))
		ring_clear(&r->rx);
	if ((val & FCR_ENABLE) && (val & FCR_CLEAR_TX))
		ring_clear(&r->tx);
	r->fcr = val & FCR_ENABLE ? val & FCR_STORED : 0;
	offer_room(u);
}

/* Upper half of MSR: the lines, or in loopback the modem control outputs. */
static uint8_t msr_lines(const struct uart_regs *r)
{
	uint8_t lines = 0;

	if (!(r->mcr & MCR_LOOP))
		return r->msr_lines;
	if (r->mcr & MCR_RTS)
		lines |= MSR_CTS;
	if (r->mcr & MCR_DTR)
		lines |= MSR_DSR;
	if (r->mcr & MCR_OUT1)
		lines |= MSR_RI;
	if (r->mcr & MCR_OUT2)
		lines |= MSR_DCD;
	return lines;
}

static void note_deltas(struct uart_regs *r, uint8_t old)
{
	uint8_t now = msr_lines(r);
	uint8_t changed = old ^ now;

	if (changed & MSR_CTS)
		r->msr_deltas |= MSR_DCTS;
	if (changed & MSR_DSR)
		r->msr_deltas |= MSR_DDSR;
	if (changed & old & MSR_RI) /* only the trailing edge counts */
		r->msr_deltas |= MSR_TERI;
	if (changed & MSR_DCD)
		r->msr_deltas |= MSR_DDCD;
}

static void write_mcr(struct uart16550 *u, uint8_t val)
{
	uint8_t old = msr_lines(&u->r);

	u->r.mcr = val & MCR_MASK;
	note_deltas(&u->r, old);
	offer_room(u);
}

static uint8_t read_iir(struct uart_regs *r)
{
	enum uart_source src = pending_source(r);

	if (src == IIR_THRE)
		r->thre_acked = true;
	return (uint8_t)(src | (r->fcr & FCR_ENABLE ? IIR_FIFO : 0));
}

static uint8_t read_lsr(struct uart_regs *r)
{
	uint32_t lsr = (r->rx.n ? LSR_DR : 0) | (r->overrun ? LSR_OVERRUN : 0) |
		       (r->tx.n ? 0 : LSR_TX_EMPTY);

	r->overrun = false;
	return (uint8_t)lsr;
}

static uint8_t read_msr(struct uart_regs *r)
{
	uint8_t msr = msr_lines(r) | r->msr_deltas;

	r->msr_deltas = 0;
	return msr;
}

static uint8_t read_rhr(struct uart16550 *u)
{
	uint8_t byte = ring_pop(&u->r.rx);

	offer_room(u);
	return byte;
}

static enum bus_status uart_read(struct device *dev, const struct bus_access *a, uint64_t *ret_val)
{
	struct uart16550 *u = container_of(dev, struct uart16550, dev);
	struct uart_regs *r = &u->r;
	bool dlab = r->lcr & LCR_DLAB;

	switch ((enum uart_reg)(a->off & 7)) {
	case REG_DATA:
		*ret_val = dlab ? r->dll : read_rhr(u);
		break;
	case REG_IER:
		*ret_val = dlab ? r->dlm : r->ier;
		break;
	case REG_IIR:
		*ret_val = read_iir(r);
		break;
	case REG_LCR:
		*ret_val = r->lcr;
		return BUS_OK;
	case REG_MCR:
		*ret_val = r->mcr;
		return BUS_OK;
	case REG_LSR:
		*ret_val = read_lsr(r);
		break;
	case REG_MSR:
		*ret_val = read_msr(r);
		break;
	case REG_SCR:
		*ret_val = r->scr;
		return BUS_OK;
	}
	update_irq(u);
	return BUS_OK;
}

/* A write to LSR puts the control registers back; divisor, scratch and data stay. */
static void reset_control(struct uart_regs *r)
{
	r->ier = 0;
	r->fcr = 0;
	r->lcr = 0;
	r->mcr = 0;
	r->msr_deltas = 0;
	r->overrun = false;
	r->thre_acked = false;
}

static void write_ier(struct uart_regs *r, uint8_t val)
{
	r->ier = val & IER_MASK;
	r->thre_acked = false;
}

static enum bus_status uart_write(struct device *dev, const struct bus_access *a, uint64_t val)
{
	struct uart16550 *u = container_of(dev, struct uart16550, dev);
	struct uart_regs *r = &u->r;
	uint8_t byte = (uint8_t)val;
	bool dlab = r->lcr & LCR_DLAB;

	switch ((enum uart_reg)(a->off & 7)) {
	case REG_DATA:
		if (dlab)
			r->dll = byte;
		else
			write_thr(u, byte);
		break;
	case REG_IER:
		if (dlab)
			r->dlm = byte;
		else
			write_ier(r, byte);
		break;
	case REG_IIR:
		write_fcr(u, byte);
		break;
	case REG_LCR:
		r->lcr = byte;
		break;
	case REG_MCR:
		write_mcr(u, byte);
		break;
	case REG_LSR:
		reset_control(r);
		offer_room(u);
		break;
	case REG_MSR:
		break;
	case REG_SCR:
		r->scr = byte;
		break;
	}
	update_irq(u);
	return BUS_OK;
}

static void uart_reset(struct device *dev)
{
	struct uart16550 *u = container_of(dev, struct uart16550, dev);
	uint8_t lines = u->r.msr_lines;

	memset(&u->r, 0, sizeof(u->r));
	u->r.msr_lines = lines;
	u->r.scr = 0xff;
	offer_room(u);
	update_irq(u);
}

static void uart_destroy(struct device *dev)
{
	device_fini(dev);
	free(container_of(dev, struct uart16550, dev));
}

static const char *source_name(enum uart_source src)
{
	switch (src) {
	case IIR_MODEM:
		return "modem";
	case IIR_NONE:
		return "none";
	case IIR_THRE:
		return "thr_empty";
	case IIR_RX:
		return "rx";
	case IIR_LINE:
		return "line_status";
	case IIR_RX_TIMEOUT:
		return "rx_timeout";
	}
	return "none";
}

static void uart_inspect(struct device *dev, struct inspect *in)
{
	struct uart16550 *u = container_of(dev, struct uart16550, dev);
	bool connected, irq_level, rx_short;
	struct uart_regs r;

	device_lock(dev);
	r = u->r;
	connected = u->connected;
	irq_level = u->irq_level;
	rx_short = u->rx_short;
	device_unlock(dev);
	inspect_bool(in, SENS_UNSPEC, "connected", connected);
	inspect_bool(in, SENS_UNSPEC, "wait_for_rts", u->cfg.wait_for_rts);
	inspect_bool(in, SENS_UNSPEC, "back_end_waits", rx_short);
	inspect_bool(in, SENS_UNSPEC, "interrupt_level", irq_level);
	inspect_str(in, SENS_SENSITIVE, "interrupt_source", source_name(pending_source(&r)));
	inspect_u64(in, SENS_UNSPEC, "rx_buffered", r.rx.n);
	inspect_u64(in, SENS_UNSPEC, "tx_buffered", r.tx.n);
	inspect_u64(in, SENS_SENSITIVE, "rx_trigger", rx_trigger(&r));
	inspect_hex(in, SENS_SENSITIVE, "ier", r.ier);
	inspect_hex(in, SENS_SENSITIVE, "fcr", r.fcr);
	inspect_hex(in, SENS_SENSITIVE, "lcr", r.lcr);
	inspect_hex(in, SENS_SENSITIVE, "mcr", r.mcr);
	inspect_hex(in, SENS_SENSITIVE, "scr", r.scr);
	inspect_u64(in, SENS_SENSITIVE, "divisor", (uint32_t)r.dlm << 8 | r.dll);
	inspect_hex(in, SENS_SENSITIVE, "lsr", read_lsr(&r)); /* clears bits in the copy only */
	inspect_hex(in, SENS_SENSITIVE, "msr", read_msr(&r));
}

static const struct device_ops uart_ops = {
	.name = "uart16550",
	.reset = uart_reset,
	.io_read = uart_read,
	.io_write = uart_write,
	.inspect = uart_inspect,
	.destroy = uart_destroy,
};

int uart16550_create(const struct uart16550_cfg *cfg, const struct uart16550_wiring *w,
		     struct uart16550 **ret_uart)
{
	struct uart16550 *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	device_init(&u->dev, &uart_ops, cfg->name);
	u->cfg = *cfg;
	u->irq = w->irq;
	u->backend = w->backend;
	u->r.scr = 0xff;
	*ret_uart = u;
	return 0;
}

struct device *uart16550_device(struct uart16550 *u)
{
	return &u->dev;
}

size_t uart16550_rx(struct uart16550 *u, const uint8_t *buf, size_t len)
{
	size_t took = 0;

	device_lock(&u->dev);
	if (rx_open(u))
		while (took < len && ring_push(&u->r.rx, buf[took]))
			took++;
	u->rx_short = took < len;
	update_irq(u);
	device_unlock(&u->dev);
	return took;
}

void uart16550_tx_ready(struct uart16550 *u)
{
	device_lock(&u->dev);
	if (u->connected)
		flush_tx(u);
	update_irq(u);
	device_unlock(&u->dev);
}

void uart16550_set_connected(struct uart16550 *u, bool connected)
{
	uint8_t old;

	device_lock(&u->dev);
	old = msr_lines(&u->r);
	u->connected = connected && u->backend;
	u->r.msr_lines = u->connected ? MSR_DCD | MSR_CTS | MSR_DSR : 0;
	note_deltas(&u->r, old);
	if (!u->connected)
		ring_clear(&u->r.tx);
	offer_room(u);
	update_irq(u);
	device_unlock(&u->dev);
}
