/* SPDX-License-Identifier: MIT */
/* Locals that release themselves, and the hand-over that stops them. Hosted code only. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

#define auto_free __attribute__((cleanup(cleanup_free)))
#define auto_close __attribute__((cleanup(cleanup_close)))

/* Give the pointer (or fd) to somebody else: the local becomes NULL (or -1). */
#define take_ptr(p)                        \
	({                                 \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                \
		taken_;                    \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}
