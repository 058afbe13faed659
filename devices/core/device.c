/* SPDX-License-Identifier: MIT */
/* The common part of all devices: lock, counters, reset, destruction. */
#include "device.h"

#include "inspect.h"

void device_init(struct device *dev, const struct device_ops *ops, const char *name)
{
	dev->ops = ops;
	dev->name = name;
	(void)pthread_mutex_init(&dev->lock, NULL); /* a default mutex cannot fail */
	atomic_init(&dev->count.reads, 0);
	atomic_init(&dev->count.writes, 0);
	atomic_init(&dev->count.bad, 0);
	atomic_init(&dev->count.unknown, 0);
}

void device_fini(struct device *dev)
{
	(void)pthread_mutex_destroy(&dev->lock);
}

void device_reset(struct device *dev)
{
	device_lock(dev);
	if (dev->ops->reset)
		dev->ops->reset(dev);
	device_unlock(dev);
}

static uint64_t count_get(const atomic_ullong *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static void inspect_counts(struct inspect *in, const void *obj)
{
	const struct device_counts *c = obj;

	inspect_count(in, SENS_UNSPEC, "reads", count_get(&c->reads));
	inspect_count(in, SENS_UNSPEC, "writes", count_get(&c->writes));
	inspect_count(in, SENS_UNSPEC, "bad", count_get(&c->bad));
	inspect_count(in, SENS_UNSPEC, "unknown", count_get(&c->unknown));
}

void device_inspect(struct inspect *in, const void *obj)
{
	struct device *dev = (struct device *)(uintptr_t)obj; /* only its lock changes */

	inspect_str(in, SENS_UNSPEC, "model", dev->ops->name);
	inspect_dir(in, SENS_UNSPEC, "stats", inspect_counts, &dev->count);
	if (dev->ops->inspect)
		dev->ops->inspect(dev, in);
}

void device_destroy(struct device *dev)
{
	if (dev && dev->ops->destroy)
		dev->ops->destroy(dev);
}
