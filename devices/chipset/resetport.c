/* SPDX-License-Identifier: MIT */
#include "resetport.h"

#include "device.h"
#include "inspect.h"
#include "power.h"

#include <errno.h>
#include <stdlib.h>

#define RST_SYS 0x02u
#define RST_CPU 0x04u
#define RST_FULL 0x08u
#define RST_MASK (RST_SYS | RST_CPU | RST_FULL)

struct resetport {
	struct device dev;
	const struct power_ops *power;
	uint8_t val;
};

static enum bus_status resetport_read(struct device *dev, const struct bus_access *a,
				      uint64_t *ret_val)
{
	if (a->size != 1)
		return BUS_BAD;
	*ret_val = container_of(dev, struct resetport, dev)->val;
	return BUS_OK;
}

static enum bus_status resetport_write(struct device *dev, const struct bus_access *a, uint64_t val)
{
	struct resetport *rp = container_of(dev, struct resetport, dev);
	uint8_t old = rp->val;

	if (a->size != 1)
		return BUS_BAD;
	rp->val = (uint8_t)(val & RST_MASK);
	if (rp->val & ~old & RST_CPU)
		rp->power->reset(rp->power->ctx);
	return BUS_OK;
}

static void resetport_reset(struct device *dev)
{
	container_of(dev, struct resetport, dev)->val = 0;
}

static void resetport_destroy(struct device *dev)
{
	device_fini(dev);
	free(container_of(dev, struct resetport, dev));
}

static void resetport_inspect(struct device *dev, struct inspect *in)
{
	uint8_t val;

	device_lock(dev);
	val = container_of(dev, struct resetport, dev)->val;
	device_unlock(dev);
	inspect_hex(in, SENS_SENSITIVE, "value", val);
}

static const struct device_ops resetport_ops = {
	.name = "resetport",
	.reset = resetport_reset,
	.io_read = resetport_read,
	.io_write = resetport_write,
	.inspect = resetport_inspect,
	.destroy = resetport_destroy,
};

int resetport_create(const struct power_ops *power, struct device **ret_dev)
{
	struct resetport *rp = calloc(1, sizeof(*rp));

	if (!rp)
		return -ENOMEM;
	device_init(&rp->dev, &resetport_ops, "resetport");
	rp->power = power;
	*ret_dev = &rp->dev;
	return 0;
}
