/* SPDX-License-Identifier: MIT */
/*
 * The one door to memory that somebody else can write: guest RAM, shared rings, pages the host
 * shares. Copies are fault-safe: a page that vanished or is protected gives -EFAULT, never a
 * signal. No pointer into such memory leaves hcl/rt, except as an operand for io_uring.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

struct gmem;

/* One piece of guest RAM and where it is mapped in this process. */
struct gmem_region {
	gpa_t gpa; /* page aligned */
	uint64_t len; /* bytes, page multiple */
	void *host;
};

#define GMEM_MAX_REGIONS 1024

/**
 * gmem_create - describe guest RAM by its regions (copied, sorted; overlaps refused)
 * Returns: 0, -EINVAL, -ENOMEM. Context: start-up; the object is immutable afterwards.
 */
must_check int gmem_create(const struct gmem_region *regions, size_t n, struct gmem **ret_gm);
void gmem_destroy(struct gmem *gm);

/**
 * gm_read / gm_write / gm_zero - copy between private memory and guest RAM
 * Ranges may cross regions that touch. Returns: 0; -EFAULT when any byte is not RAM or not
 * accessible (a prefix may then have been copied). Context: any thread, no system call.
 * Trust: the bytes read are hostile: copy once, check the copy.
 */
must_check int gm_read(struct gmem *gm, gpa_t gpa, void *ret_buf, size_t len);
must_check int gm_write(struct gmem *gm, gpa_t gpa, const void *buf, size_t len);
must_check int gm_zero(struct gmem *gm, gpa_t gpa, uint64_t len);

/**
 * gm_cmpxchg - atomic compare and exchange of 1, 2, 4 or 8 naturally aligned bytes
 * @expected: in: value expected; out: value found
 * Returns: 1 exchanged, 0 not, -EFAULT, -EINVAL (size, alignment)
 */
must_check int gm_cmpxchg(struct gmem *gm, gpa_t gpa, unsigned size, uint64_t *expected,
			  uint64_t desired);

/* Is all of [gpa, gpa + len) RAM? */
bool gm_is_ram(const struct gmem *gm, gpa_t gpa, uint64_t len);

/**
 * gm_host_range - the mapping behind [gpa, gpa + len), for io_uring operands and hypervisor
 * shared pages owned by this process' own protocol code only
 * Returns: 0; -EFAULT when not contiguous RAM.
 */
must_check int gm_host_range(struct gmem *gm, gpa_t gpa, uint64_t len, void **ret_host);

/**
 * gm_pin_probe - may the kernel pin guest RAM for its own input and output?
 * Tries the ends of every region. Returns: 0: addresses of gm_host_range() may go to O_DIRECT,
 * registered buffers and passthrough; -EFAULT: they may not, data must be copied; another -errno:
 * not known (no io_uring), best treated the same. Context: any thread; makes system calls.
 */
must_check int gm_pin_probe(const struct gmem *gm);

/**
 * gm_copy_in / gm_copy_out - fault-safe copy between private memory and a shared mapping
 * For rings and pages mapped by other means (uio, /dev/mem). Returns: 0, -EFAULT.
 */
must_check int gm_copy_in(void *ret_buf, const void *shared, size_t len);
must_check int gm_copy_out(void *shared, const void *buf, size_t len);

/**
 * gm_install_fault_handler - catch SIGBUS/SIGSEGV of the copies above; other faults keep their
 * previous action. Context: once, before the first copy. Returns: 0, -errno.
 */
must_check int gm_install_fault_handler(void);

/* Faults of the copies above that were caught since the program began. Any thread. */
uint64_t gm_faults(void);
