/* SPDX-License-Identifier: MIT */
/*
 * What every emulated device has in common: a name, a lock, counters and a table of operations.
 * The device embeds struct device as its first member and is made by a typed constructor
 * foo_create(const struct foo_cfg *, const struct foo_wiring *, struct foo **ret): cfg holds
 * values, wiring the interfaces the device may use.
 *
 * Lock ranks of devices (a lock may be taken only while holding locks of lower rank):
 *   1  uart16550, rtc, pit, pm, i8042, reset port   (dev->lock)
 *   2  irqset
 *   3  ioapic, pic                                  (dev->lock)
 *   4  whatever the sinks of the owner take: irq_sink "extint", msi_sink, power_ops, char_backend,
 *      dev_timer_ops
 * Sinks are called with device locks held, so they must not call back into any device of this list.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "macros.h"

struct device;
struct inspect;

enum bus_space { BUS_PIO, BUS_MMIO };

#define BUS_SPACES 2u

/* BUS_BAD: no such register, or a size or alignment it does not take. The bus then answers a read
 * with all ones, counts, and logs with a rate limit. */
enum bus_status { BUS_OK, BUS_BAD };

struct bus_access {
	enum bus_space space;
	uint8_t size; /* bytes: 1, 2, 4, 8 */
	uint32_t region; /* as given to bus_claim() */
	uint32_t vp; /* the virtual processor that made the access */
	uint64_t addr;
	uint64_t off; /* addr minus the base of the claim; off + size may pass the claim's end */
};

/* io_* run without dev->lock: the device locks what it must by itself. */
#define DEV_LOCKLESS 1u

struct device_ops {
	const char *name; /* stable: logs, inspect, saved state */
	uint32_t flags; /* DEV_* */
	/* Guest-visible power-on state; dev->lock is held (also for DEV_LOCKLESS). Cannot fail. */
	void (*reset)(struct device *dev);
	/*
	 * On the thread of the VP that made the access: no blocking, no allocation. *ret_val is 0
	 * on entry; bits above the access size are dropped. A NULL io_read or io_write answers
	 * BUS_BAD.
	 */
	enum bus_status (*io_read)(struct device *dev, const struct bus_access *a,
				   uint64_t *ret_val);
	enum bus_status (*io_write)(struct device *dev, const struct bus_access *a, uint64_t val);
	/*
	 * Shows configuration, registers and state by name (calls of inspect.h); NULL: there is
	 * none. Takes dev->lock itself and only to copy: VPs wait for it. Registers and whatever
	 * else the guest decides are SENS_SENSITIVE. Changes nothing. Any thread without device
	 * locks.
	 */
	void (*inspect)(struct device *dev, struct inspect *in);
	void (*destroy)(struct device *dev);
};

/* Statistics: exact for devices with a lock, may lose a count for DEV_LOCKLESS ones. */
struct device_counts {
	atomic_ullong reads, writes;
	atomic_ullong bad; /* BUS_BAD answers */
	atomic_ullong unknown; /* undefined registers and commands, values that had to be dropped */
};

struct device {
	const struct device_ops *ops;
	const char *name; /* of this instance, static string */
	pthread_mutex_t lock; /* protects: the device's registers; rank: see top of file */
	struct device_counts count;
};

/**
 * device_init / device_fini - set up and release the common part
 * @name: instance name, lives as long as the device
 * Context: constructor and destroy operation of the device.
 */
void device_init(struct device *dev, const struct device_ops *ops, const char *name);
void device_fini(struct device *dev);

/* Reset under dev->lock. Any thread that holds no device lock. */
void device_reset(struct device *dev);

/* The state of a device and its counters ("stats"): an inspect_fn on the struct device. */
void device_inspect(struct inspect *in, const void *dev);

/* Calls ops->destroy; NULL is fine. The device must have been taken off the bus (bus_destroy). */
void device_destroy(struct device *dev);

/* One more in a counter that a single thread at a time writes (no bus-locked instruction). */
static inline void count_up(atomic_ullong *c)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/* The guest used something undefined; answered as the hardware would, and counted. */
static inline void device_unknown(struct device *dev)
{
	count_up(&dev->count.unknown);
}

static inline void device_lock(struct device *dev)
{
	(void)pthread_mutex_lock(&dev->lock);
}

static inline void device_unlock(struct device *dev)
{
	(void)pthread_mutex_unlock(&dev->lock);
}
