/* SPDX-License-Identifier: MIT */
#include "diag_priv.h"

void diag_watch_init(struct diag_watch *w, struct loop *loop, int fd,
		     void (*fn)(void *ctx, uint32_t events), void *ctx)
{
	*w = (struct diag_watch){ .loop = loop, .fd = fd, .fn = fn, .ctx = ctx };
}

int diag_watch_set(struct diag_watch *w, uint32_t events)
{
	int r = 0;

	if (events == w->events)
		return 0;
	diag_watch_stop(w);
	if (events)
		r = loop_fd_add(&w->lfd, w->loop, w->fd, events, w->fn, w->ctx);
	if (r == 0)
		w->events = events;
	return r;
}

void diag_watch_stop(struct diag_watch *w)
{
	if (w->events)
		loop_fd_remove(&w->lfd);
	w->events = 0;
}
