/* SPDX-License-Identifier: MIT */
#include "mock_machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "irq.h"
#include "uart16550.h"

struct dev_timer {
	uint64_t deadline_ns;
};

static uint64_t now(void *ctx)
{
	const struct mock_machine *mm = ctx;

	return mm->now_ns;
}

static int timer_make(void *ctx, void (*fn)(void *fn_ctx), void *fn_ctx,
		      struct dev_timer **ret_timer)
{
	struct dev_timer *t = calloc(1, sizeof(*t));

	(void)ctx;
	(void)fn;
	(void)fn_ctx;
	if (!t)
		return -ENOMEM;
	*ret_timer = t;
	return 0;
}

static void timer_arm(struct dev_timer *t, uint64_t deadline_ns)
{
	t->deadline_ns = deadline_ns;
}

static void timer_cancel(struct dev_timer *t)
{
	t->deadline_ns = 0;
}

static void timer_destroy(struct dev_timer *t)
{
	free(t);
}

static const struct dev_timer_ops timer_ops = {
	.create = timer_make,
	.arm = timer_arm,
	.cancel = timer_cancel,
	.destroy = timer_destroy,
};

static void msi_deliver(void *ctx, uint64_t addr, uint32_t data)
{
	struct mock_machine *mm = ctx;

	mm->msis++;
	irq_deliver(&mm->vp.hvc, addr, data);
}

static void extint_set(void *ctx, unsigned int line, bool level)
{
	struct mock_machine *mm = ctx;

	(void)line;
	vcpu_extint_line(&mm->vp.v, level);
}

static void power_off(void *ctx)
{
	((struct mock_machine *)ctx)->power_offs++;
}

static void reset(void *ctx)
{
	((struct mock_machine *)ctx)->resets++;
}

static void hibernate(void *ctx)
{
	((struct mock_machine *)ctx)->hibernates++;
}

static size_t com_tx(void *ctx, const uint8_t *buf, size_t len)
{
	struct mock_machine *mm = ctx;

	(void)buf;
	mm->tx_bytes += len;
	return len;
}

static void real_eoi(void *ctx, uint8_t vector)
{
	struct mock_vp *vp = ctx;
	struct mock_machine *mm = container_of(vp, struct mock_machine, vp);

	vp->eois++;
	machine_eoi(mm->machine, vector);
}

static uint8_t real_ack(void *ctx)
{
	struct mock_vp *vp = ctx;
	struct mock_machine *mm = container_of(vp, struct mock_machine, vp);

	vp->acks++;
	return machine_extint_ack(mm->machine);
}

void mock_machine_init(struct mock_machine *mm)
{
	struct machine_cfg cfg = { .n_vps = 1, .com = { true, true } };
	struct machine_wiring w = {
		.msi = &mm->msi,
		.extint = &mm->extint,
		.power = &mm->power,
		.clock = &mm->clock,
		.timers = &mm->timers,
		.com = { &mm->com, NULL },
	};
	int r;

	memset(mm, 0, sizeof(*mm));
	mock_vp_init(&mm->vp);
	mm->now_ns = 1000000000;
	mm->clock = (struct vm_clock){ .now_ns = now, .utc_ns = now, .ctx = mm };
	mm->timers = (struct dev_timers){ .ops = &timer_ops, .ctx = mm };
	mm->msi = (struct msi_sink){ .deliver = msi_deliver, .ctx = mm };
	mm->extint = (struct irq_sink){ .set = extint_set, .ctx = mm };
	mm->power = (struct power_ops){ .power_off = power_off, .reset = reset,
					.hibernate = hibernate, .ctx = mm };
	mm->com = (struct char_backend){ .tx = com_tx, .ctx = mm };
	r = machine_create(&cfg, &w, &mm->machine);
	BUG_ON(r);
	uart16550_set_connected(machine_com(mm->machine, 0), true);
	mm->vp.env.bus = machine_bus(mm->machine);
	mm->vp.env.eoi = real_eoi;
	mm->vp.env.extint_ack = real_ack;
}

void mock_machine_fini(struct mock_machine *mm)
{
	machine_destroy(mm->machine);
	mock_vp_fini(&mm->vp);
}
