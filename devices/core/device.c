/* SPDX-License-Identifier: MIT */
/* The common part of all devices: lock, counters, reset, destruction. */
#include "device.h"

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

void device_destroy(struct device *dev)
{
	if (dev && dev->ops->destroy)
		dev->ops->destroy(dev);
}
