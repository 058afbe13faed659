/* SPDX-License-Identifier: MIT */
/* See logfwd.h. */
#include "logfwd.h"

#include "role_proto.h"

void logfwd_init(struct logfwd *lf, const struct knobs *knobs, bool restricted)
{
	struct log_output to_host;

	lf->fwd = log_fwd_create();
	to_host = (struct log_output){ log_fwd_put, lf->fwd };
	logstart_init(&lf->common, knobs, restricted, lf->fwd ? &to_host : NULL);
}

void logfwd_attach(struct logfwd *lf, struct loop *loop, struct ipc *ipc)
{
	if (lf->fwd)
		log_fwd_attach(lf->fwd, loop, ipc, ROLE_LOG);
}

void logfwd_flush(struct logfwd *lf)
{
	logstart_flush(&lf->common);
	if (lf->fwd)
		log_fwd_flush(lf->fwd);
}

void logfwd_detach(struct logfwd *lf)
{
	if (lf->fwd)
		log_fwd_detach(lf->fwd);
}
