/* SPDX-License-Identifier: MIT */
#include "pci_host.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "hvpart.h"
#include "log.h"
#include "synic_host.h"

#define LOG_AREA "pci-host"

#define MODE_FIXED 0
#define MODE_LOWEST 1
#define FIRST_VECTOR 16
#define DEST_ALL 0xffu

struct pci_host {
	struct hvpart *part;
	pthread_rwlock_t lock; /* protects: the devices; held for reading inside one */
	struct {
		const struct pci_host_ops *ops;
		void *ctx;
	} dev[PCI_HOST_MAX];
	unsigned n;
};

int pci_host_create(struct hvpart *part, struct pci_host **ret_ph)
{
	struct pci_host *ph = calloc(1, sizeof(*ph));
	int r;

	if (!ph)
		return -ENOMEM;
	ph->part = part;
	r = -pthread_rwlock_init(&ph->lock, NULL);
	if (r < 0) {
		free(ph);
		return r;
	}
	*ret_ph = ph;
	return 0;
}

void pci_host_destroy(struct pci_host *ph)
{
	if (!ph)
		return;
	(void)pthread_rwlock_destroy(&ph->lock);
	free(ph);
}

int pci_host_add(struct pci_host *ph, const struct pci_host_ops *ops, void *ctx)
{
	int r = -ENOSPC;

	(void)pthread_rwlock_wrlock(&ph->lock);
	if (ph->n < PCI_HOST_MAX) {
		ph->dev[ph->n].ops = ops;
		ph->dev[ph->n++].ctx = ctx;
		r = 0;
	}
	(void)pthread_rwlock_unlock(&ph->lock);
	return r;
}

void pci_host_remove(struct pci_host *ph, const void *ctx)
{
	unsigned n = 0;

	(void)pthread_rwlock_wrlock(&ph->lock);
	for (unsigned i = 0; i < ph->n; i++) {
		if (ph->dev[i].ctx != ctx)
			ph->dev[n++] = ph->dev[i];
	}
	ph->n = n;
	(void)pthread_rwlock_unlock(&ph->lock);
}

/* --- accesses --------------------------------------------------------------------------------- */

/* One access of 1, 2, 4 or 8 bytes; the lock is held. */
static bool access_one(struct pci_host *ph, uint64_t addr, unsigned size, bool write, uint64_t *val)
{
	for (unsigned i = 0; i < ph->n; i++) {
		const struct pci_host_ops *ops = ph->dev[i].ops;

		if (write ? ops->write(ph->dev[i].ctx, addr, size, *val)
			  : ops->read(ph->dev[i].ctx, addr, size, val))
			return true;
	}
	return false;
}

bool pci_host_mmio(struct pci_host *ph, uint64_t addr, uint32_t len, bool write, uint8_t *data)
{
	bool any = false;

	if (!write)
		memset(data, 0xff, len);
	if (!ph)
		return false;
	(void)pthread_rwlock_rdlock(&ph->lock);
	for (uint32_t done = 0; done < len;) {
		unsigned size = 8;
		uint64_t val = 0;

		while (size > len - done)
			size /= 2;
		if (write)
			memcpy(&val, data + done, size);
		if (access_one(ph, addr + done, size, write, &val)) {
			any = true;
			if (!write)
				memcpy(data + done, &val, size);
		}
		done += size;
	}
	(void)pthread_rwlock_unlock(&ph->lock);
	return any;
}

/* --- messages --------------------------------------------------------------------------------- */

/*
 * Messages are edges: what a driver may have written into a table beside what it was given (other
 * delivery modes, logical destinations, the withdrawal of a level) does nothing.
 */
static void deliver(void *ctx, uint64_t addr, uint32_t data)
{
	const struct pci_host *ph = ctx;
	struct hvpart *part = ph->part;
	uint32_t dest = msi_x86_dest(addr), mode = msi_x86_mode(data);
	struct hvvp *vp = part_vp(part, dest);

	if ((data & MSI_X86_DATA_LEVEL) && !(data & MSI_X86_DATA_ASSERT))
		return;
	if ((addr & MSI_X86_ADDR_MASK) != MSI_X86_ADDR || addr >> 32 ||
	    (addr & MSI_X86_ADDR_LOGICAL) || (mode != MODE_FIXED && mode != MODE_LOWEST) ||
	    msi_x86_vector(data) < FIRST_VECTOR || (!vp && dest != DEST_ALL)) {
		log_warn_rl(ALLOWED, "message %#x to %#llx: not one of ours", data,
			    (unsigned long long)addr);
		return;
	}
	if (vp) {
		synic_host_interrupt(vp, VTL2, msi_x86_vector(data));
		return;
	}
	for (uint32_t i = 0; i < part->n_vps; i++)
		synic_host_interrupt(&part->vps[i], VTL2, msi_x86_vector(data));
}

struct msi_sink pci_host_msi(struct pci_host *ph)
{
	return (struct msi_sink){ .deliver = deliver, .ctx = ph };
}

int pci_host_move(struct pci_host *ph, uint64_t device_id, uint64_t addr, uint32_t data,
		  uint32_t vector, const uint32_t *vps, unsigned n_vps)
{
	int r = -ENOENT;

	(void)pthread_rwlock_rdlock(&ph->lock);
	for (unsigned i = 0; i < ph->n && r == -ENOENT; i++)
		r = ph->dev[i].ops->retarget(ph->dev[i].ctx, device_id, addr, data, vector, vps,
					     n_vps);
	(void)pthread_rwlock_unlock(&ph->lock);
	return r;
}
