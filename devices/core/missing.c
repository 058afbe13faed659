/* SPDX-License-Identifier: MIT */
#include "missing.h"

#include "device.h"

#include <errno.h>
#include <stdlib.h>

static enum bus_status missing_read(struct device *dev, const struct bus_access *a,
				    uint64_t *ret_val)
{
	*ret_val = UINT64_MAX;
	return BUS_OK;
}

static enum bus_status missing_write(struct device *dev, const struct bus_access *a, uint64_t val)
{
	return BUS_OK;
}

static void missing_destroy(struct device *dev)
{
	device_fini(dev);
	free(dev);
}

static const struct device_ops missing_ops = {
	.name = "missing",
	.flags = DEV_LOCKLESS,
	.io_read = missing_read,
	.io_write = missing_write,
	.destroy = missing_destroy,
};

int missing_create(const char *name, struct device **ret_dev)
{
	struct device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return -ENOMEM;
	device_init(dev, &missing_ops, name);
	*ret_dev = dev;
	return 0;
}
