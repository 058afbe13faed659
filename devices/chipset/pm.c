/* SPDX-License-Identifier: MIT */
/* Input: VTL0 (ports), devices (GPE lines). State: under dev->lock. Thread: any. */
#include "pm.h"

#include "clock.h"
#include "device.h"
#include "inspect.h"
#include "power.h"

#include <errno.h>
#include <stdlib.h>

#define PM1_PWRBTN 0x0100u

#define CTL_SCI_EN 0x0001u
#define CTL_SLP_TYP_SHIFT 10
#define CTL_SLP_TYP_MASK 0x1c00u
#define CTL_SLP_EN 0x2000u

/* Registers in order of offset; W1C = bits written as 1 are cleared. */
enum pm_reg {
	PM1_STS,
	PM1_EN,
	PM1_CTL,
	PM_TMR,
	GPE0_STS,
	GPE0_EN,
	P_CTL,
	P_LVL,
	GLB_STS,
	DEV_STS,
	GLB_EN,
	GLB_CTL,
	DEV_CTL,
	GP_IN,
	RESET_REG,
	GP_OUT,
	PM_REGS,
};

enum pm_kind { KIND_STORED, KIND_W1C, KIND_ZERO, KIND_CTL, KIND_TIMER, KIND_RESET };

struct pm_reg_info {
	uint8_t off;
	uint8_t size;
	uint8_t kind; /* enum pm_kind */
	uint32_t mask; /* bits that exist */
	uint32_t reset;
};

static const struct pm_reg_info reg_info[PM_REGS] = {
	[PM1_STS] = { 0x00, 2, KIND_W1C, 0xffff, 0 },
	[PM1_EN] = { 0x02, 2, KIND_STORED, 0x0521, 0 },
	[PM1_CTL] = { 0x04, 2, KIND_CTL, CTL_SCI_EN | CTL_SLP_TYP_MASK, CTL_SCI_EN },
	[PM_TMR] = { PM_OFF_TIMER, 4, KIND_TIMER, 0, 0 },
	[GPE0_STS] = { 0x0c, 2, KIND_W1C, 0xffff, 0 },
	[GPE0_EN] = { 0x0e, 2, KIND_STORED, 0x0f01, 0 },
	[P_CTL] = { 0x10, 4, KIND_STORED, 0x23e1e, 0 },
	[P_LVL] = { 0x14, 2, KIND_ZERO, 0, 0 },
	[GLB_STS] = { 0x18, 2, KIND_W1C, 0xffff, 0 },
	[DEV_STS] = { 0x1c, 4, KIND_W1C, 0xffffffff, 0 },
	[GLB_EN] = { 0x20, 2, KIND_STORED, 0x8d13, 0 },
	[GLB_CTL] = { 0x28, 4, KIND_STORED, 0x701ffe7, 0 },
	[DEV_CTL] = { 0x2c, 4, KIND_STORED, 0xffffffff, 0 },
	[GP_IN] = { 0x30, 3, KIND_ZERO, 0, 0 },
	[RESET_REG] = { PM_OFF_RESET, 1, KIND_RESET, 0, 0 },
	[GP_OUT] = { 0x34, 4, KIND_STORED, 0xffffffff, 0x7fffbfff },
};

/* What an access asks for beyond register bits; done after dev->lock is released. */
enum pm_action { ACT_NONE, ACT_POWER_OFF, ACT_HIBERNATE, ACT_RESET };

struct pm {
	struct device dev;
	struct irq_sink gpe_sink;
	struct pm_wiring w;
	uint32_t reg[PM_REGS];
	bool irq_level;
};

static uint32_t timer_now(const struct pm *pm)
{
	return (uint32_t)ns_to_ticks(clock_now_ns(pm->w.clock), PM_TIMER_HZ);
}

static void update_irq(struct pm *pm)
{
	bool level =
		(pm->reg[PM1_EN] && pm->reg[PM1_STS]) || (pm->reg[GPE0_EN] && pm->reg[GPE0_STS]);

	if (level != pm->irq_level) {
		pm->irq_level = level;
		irq_line_set(&pm->w.irq, level);
	}
}

static uint32_t reg_read(const struct pm *pm, unsigned int i)
{
	return reg_info[i].kind == KIND_TIMER ? timer_now(pm) : pm->reg[i];
}

static enum pm_action write_control(struct pm *pm, uint32_t val, uint32_t lanes)
{
	uint32_t keep = CTL_SLP_TYP_MASK & lanes;
	unsigned int typ;

	/* SCI_EN is fixed: there is no SMI mode to leave. SLP_EN is write-only. */
	pm->reg[PM1_CTL] = (pm->reg[PM1_CTL] & ~keep) | (val & keep);
	if (!(val & lanes & CTL_SLP_EN))
		return ACT_NONE;
	typ = (pm->reg[PM1_CTL] & CTL_SLP_TYP_MASK) >> CTL_SLP_TYP_SHIFT;
	if (typ == PM_SLP_TYP_S5)
		return ACT_POWER_OFF;
	if (typ == PM_SLP_TYP_S4)
		return ACT_HIBERNATE;
	device_unknown(&pm->dev);
	return ACT_NONE;
}

/* lanes: all ones in the bytes of the register that the access covers. */
static enum pm_action reg_write(struct pm *pm, unsigned int i, uint32_t val, uint32_t lanes)
{
	const struct pm_reg_info *info = &reg_info[i];
	uint32_t mask = info->mask & lanes;

	switch ((enum pm_kind)info->kind) {
	case KIND_STORED:
		pm->reg[i] = (pm->reg[i] & ~mask) | (val & mask);
		break;
	case KIND_W1C:
		pm->reg[i] &= ~(val & mask);
		break;
	case KIND_CTL:
		return write_control(pm, val, lanes);
	case KIND_RESET:
		return (val & lanes) == PM_RESET_VALUE ? ACT_RESET : ACT_NONE;
	case KIND_ZERO:
	case KIND_TIMER:
		break;
	}
	return ACT_NONE;
}

/* Where a register and an access overlap: byte position in the register, in the access, count. */
struct overlap {
	unsigned int in_reg, in_access, n;
};

static bool find_overlap(const struct pm_reg_info *info, const struct bus_access *a,
			 struct overlap *ret_o)
{
	unsigned int a_off = (unsigned int)a->off, a_end = a_off + a->size;
	unsigned int r_off = info->off, r_end = r_off + info->size;
	unsigned int from = MAX(a_off, r_off), to = MIN(a_end, r_end);

	if (from >= to)
		return false;
	*ret_o = (struct overlap){
		.in_reg = from - r_off,
		.in_access = from - a_off,
		.n = to - from,
	};
	return true;
}

static uint32_t lane_mask(unsigned int n)
{
	return n >= 4 ? UINT32_MAX : (1u << n * 8) - 1;
}

/* The hot path: all of the timer in one read, without the lock. */
static bool is_timer_read(const struct bus_access *a)
{
	return a->off == PM_OFF_TIMER && a->size == 4;
}

static enum bus_status pm_read(struct device *dev, const struct bus_access *a, uint64_t *ret_val)
{
	struct pm *pm = container_of(dev, struct pm, dev);
	bool found = false;
	struct overlap o;

	if (is_timer_read(a)) {
		*ret_val = timer_now(pm);
		return BUS_OK;
	}
	if (a->size > 4)
		return BUS_BAD;
	device_lock(dev);
	for (unsigned int i = 0; i < PM_REGS; i++) {
		uint32_t val;

		if (!find_overlap(&reg_info[i], a, &o))
			continue;
		val = reg_read(pm, i) >> o.in_reg * 8 & lane_mask(o.n);
		*ret_val |= (uint64_t)val << o.in_access * 8;
		found = true;
	}
	device_unlock(dev);
	return found ? BUS_OK : BUS_BAD;
}

static void act(struct pm *pm, enum pm_action action)
{
	const struct power_ops *power = pm->w.power;

	switch (action) {
	case ACT_NONE:
		break;
	case ACT_POWER_OFF:
		power->power_off(power->ctx);
		break;
	case ACT_HIBERNATE:
		power->hibernate(power->ctx);
		break;
	case ACT_RESET:
		power->reset(power->ctx);
		break;
	}
}

static enum bus_status pm_write(struct device *dev, const struct bus_access *a, uint64_t val)
{
	struct pm *pm = container_of(dev, struct pm, dev);
	enum pm_action action = ACT_NONE;
	bool found = false;
	struct overlap o;

	if (a->size > 4)
		return BUS_BAD;
	device_lock(dev);
	for (unsigned int i = 0; i < PM_REGS; i++) {
		uint32_t lanes, part;
		enum pm_action this;

		if (!find_overlap(&reg_info[i], a, &o))
			continue;
		lanes = lane_mask(o.n) << o.in_reg * 8;
		part = (uint32_t)(val >> o.in_access * 8) << o.in_reg * 8;
		this = reg_write(pm, i, part, lanes);
		action = MAX(action, this);
		found = true;
	}
	update_irq(pm);
	device_unlock(dev);
	act(pm, action);
	return found ? BUS_OK : BUS_BAD;
}

static void raise_status(struct pm *pm, enum pm_reg reg, uint32_t bits)
{
	device_lock(&pm->dev);
	pm->reg[reg] |= bits;
	update_irq(pm);
	device_unlock(&pm->dev);
}

static void gpe_set(void *ctx, unsigned int n, bool level)
{
	if (level && n < PM_GPE_LINES)
		raise_status(ctx, GPE0_STS, 1u << n);
}

void pm_power_button(struct pm *pm)
{
	raise_status(pm, PM1_STS, PM1_PWRBTN);
}

static void pm_reset(struct device *dev)
{
	struct pm *pm = container_of(dev, struct pm, dev);

	for (unsigned int i = 0; i < PM_REGS; i++)
		pm->reg[i] = reg_info[i].reset;
	update_irq(pm);
}

static void pm_destroy(struct device *dev)
{
	device_fini(dev);
	free(container_of(dev, struct pm, dev));
}

static void pm_inspect(struct device *dev, struct inspect *in)
{
	static const char *const name[PM_REGS] = {
		[PM1_STS] = "pm1_status",      [PM1_EN] = "pm1_enable",
		[PM1_CTL] = "pm1_control",     [PM_TMR] = "timer",
		[GPE0_STS] = "gpe0_status",    [GPE0_EN] = "gpe0_enable",
		[P_CTL] = "processor_control", [P_LVL] = "processor_level",
		[GLB_STS] = "global_status",   [DEV_STS] = "device_status",
		[GLB_EN] = "global_enable",    [GLB_CTL] = "global_control",
		[DEV_CTL] = "device_control",  [GP_IN] = "gp_input",
		[RESET_REG] = "reset",	       [GP_OUT] = "gp_output",
	};
	struct pm *pm = container_of(dev, struct pm, dev);
	uint32_t reg[PM_REGS];
	bool irq_level;

	device_lock(dev);
	for (unsigned int i = 0; i < PM_REGS; i++)
		reg[i] = reg_read(pm, i);
	irq_level = pm->irq_level;
	device_unlock(dev);
	inspect_bool(in, SENS_UNSPEC, "interrupt_level", irq_level);
	for (unsigned int i = 0; i < PM_REGS; i++)
		inspect_hex(in, SENS_SENSITIVE, name[i], reg[i]);
}

static const struct device_ops pm_ops = {
	.name = "pm",
	.flags = DEV_LOCKLESS,
	.reset = pm_reset,
	.io_read = pm_read,
	.io_write = pm_write,
	.inspect = pm_inspect,
	.destroy = pm_destroy,
};

int pm_create(const struct pm_wiring *w, struct pm **ret_pm)
{
	struct pm *pm = calloc(1, sizeof(*pm));

	if (!pm)
		return -ENOMEM;
	device_init(&pm->dev, &pm_ops, "pm");
	pm->gpe_sink = (struct irq_sink){ .set = gpe_set, .ctx = pm };
	pm->w = *w;
	pm_reset(&pm->dev);
	*ret_pm = pm;
	return 0;
}

struct device *pm_device(struct pm *pm)
{
	return &pm->dev;
}

const struct irq_sink *pm_gpe_sink(struct pm *pm)
{
	return &pm->gpe_sink;
}
