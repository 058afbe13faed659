/* SPDX-License-Identifier: MIT */
/* What a storvsp controller shows of itself. Thread: the owner's; others write the counters. */
#include "inspect.h"
#include "storvsp_priv.h"

static const char *const counter_names[STV_N_COUNTERS] = {
	[STV_N_WAKEUPS] = "wakeups",	   [STV_N_BELLS] = "guest_signals",
	[STV_N_REQUESTS] = "requests",	   [STV_N_COMPLETIONS] = "completions",
	[STV_N_BATCHES] = "batches",	   [STV_N_SIGNALS] = "interrupts",
	[STV_N_POLLS] = "polled",	   [STV_N_FULL] = "ring_full",
	[STV_N_ABSENT] = "absent_unit",	   [STV_N_FAULTS] = "bad_memory",
	[STV_N_VIOLATIONS] = "violations",
};

static void counts(struct inspect *in, const void *obj)
{
	const struct storvsp_chan *c = obj;

	for (unsigned i = 0; i < STV_N_COUNTERS; i++) {
		uint64_t n = c->past[i];

		if (c->sv)
			n += atomic_load_explicit(&c->sv->count[i], memory_order_relaxed);
		inspect_count(in, SENS_SAFE, counter_names[i], n);
	}
}

static const char *run_name(enum storvsp_run run)
{
	switch (run) {
	case RUN_CLOSED:
		return "closed";
	case RUN_SERVED:
		return "served";
	case RUN_ENDING:
		return "ending";
	}
	return "?";
}

static void chan_show(struct inspect *in, const void *obj)
{
	const struct storvsp_chan *c = obj;

	inspect_str(in, SENS_SAFE, "state", c->revoking ? "revoked" : run_name(c->run));
	inspect_u64(in, SENS_SAFE, "chan_id", vmbus_chan_id(c->ch));
	if (c->sv)
		inspect_u64(in, SENS_SAFE, "target_vp", c->sv->irq.vp);
	inspect_count(in, SENS_SAFE, "opens", c->opens);
	inspect_count(in, SENS_SAFE, "moves", c->moves);
	inspect_dir(in, SENS_SAFE, "count", counts, c);
}

static void chans_show(struct inspect *in, const void *obj)
{
	const struct storvsp *s = obj;

	list_for_each(l, &s->chans) {
		const struct storvsp_chan *c = container_of(l, struct storvsp_chan, link);

		inspect_dir_at(in, SENS_SAFE, c->index, chan_show, c);
	}
}

static void units_show(struct inspect *in, const void *obj)
{
	const struct storvsp *s = obj;

	for (unsigned t = 0; t < STORVSP_TARGETS; t++) {
		for (unsigned n = 0; n < STORVSP_LUNS; n++) {
			if (s->luns[t][n])
				inspect_dir_at(in, SENS_SAFE, t * STORVSP_LUNS + n,
					       scsi_unit_inspect, s->luns[t][n]->u);
		}
	}
}

void storvsp_inspect(struct inspect *in, const void *obj)
{
	const struct storvsp *s = obj;
	const uint32_t version = atomic_load_explicit(&s->version, memory_order_relaxed);

	inspect_str(in, SENS_SAFE, "kind", s->cfg.ide ? "ide" : "scsi");
	inspect_strf(in, SENS_SAFE, "version", "%u.%u", version >> 8, version & 0xff);
	inspect_u64(in, SENS_SAFE, "queue_depth", s->cfg.queue_depth);
	inspect_u64(in, SENS_SAFE, "poll_depth", s->cfg.poll_depth);
	inspect_u64(in, SENS_SAFE, "max_transfer", s->limits.max_transfer);
	inspect_u64(in, SENS_SAFE, "max_subchannels", s->limits.max_subchannels);
	inspect_u64(in, SENS_SAFE, "subchannels", s->subchannels);
	inspect_dir(in, SENS_SAFE, "channels", chans_show, s);
	inspect_dir(in, SENS_SAFE, "units", units_show, s);
}
