/* SPDX-License-Identifier: MIT */
#include "hosted_busy.h"

#include <math.h>

#define VPS 4u
#define EVIL "<script>document.title='evil'</script>\"><b>"

struct vp {
	double s; /* since the load began */
	uint64_t idx;
};

/* A counter that goes at @rate, in waves of 8 seconds that differ from VP to VP. */
static uint64_t waves(const struct vp *vp, double rate)
{
	double phase = (double)vp->idx, turn = 0.785;

	return (uint64_t)(rate * (vp->s + 0.9 / turn * (cos(phase) - cos(turn * vp->s + phase))));
}

static void stats(struct inspect *in, const void *obj)
{
	static const struct {
		const char *name;
		double rate;
	} kinds[] = { { "io_port", 900 },
		      { "mmio", 2500 },
		      { "hypercall", 300 },
		      { "cpuid", 40 },
		      { "msr", 600 },
		      { "halt", 120 },
		      { "synic_deliverable", 80 },
		      { "eoi", 20 },
		      { "interrupt_deliverable", 350 } };
	const struct vp *vp = obj;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		inspect_count(in, SENS_UNSPEC, kinds[i].name,
			      waves(vp, kinds[i].rate / (double)(vp->idx + 1)));
}

static void backing(struct inspect *in, const void *obj)
{
	inspect_dir(in, SENS_UNSPEC, "stats", stats, obj);
}

static void one_vp(struct inspect *in, const void *obj)
{
	inspect_str(in, SENS_UNSPEC, "state", "running");
	inspect_dir(in, SENS_SAFE, "backing", backing, obj);
}

static void memory(struct inspect *in, double s)
{
	uint64_t used = 20000 + (uint64_t)(4000 * (1 + sin(s / 3)));

	inspect_u64(in, SENS_SAFE, "proc/meminfo/MemTotal", 65536);
	inspect_u64(in, SENS_SAFE, "proc/meminfo/MemFree", 60000 - used);
	inspect_u64(in, SENS_SAFE, "proc/meminfo/MemAvailable", 62000 - used);
	inspect_u64(in, SENS_SAFE, "proc/processes/keel/VmRSS", used / 4);
	inspect_u64(in, SENS_SAFE, "proc/processes/init/VmRSS", 180);
}

static void devices(struct inspect *in, double s)
{
	const struct vp one = { s, 0 };

	inspect_count(in, SENS_UNSPEC, "vm/scsi:0/channels/0/ring/in", waves(&one, 700));
	inspect_count(in, SENS_UNSPEC, "vm/scsi:0/channels/0/ring/out", waves(&one, 700));
	inspect_count(in, SENS_UNSPEC, "vm/net:0/queues/0/ring/in", waves(&one, 150));
	inspect_str(in, SENS_UNSPEC, "vm/scsi:0/unit_state", "running");
	inspect_str(in, SENS_UNSPEC, "vm/net:0/unit_state", EVIL);
	inspect_str(in, SENS_UNSPEC, "vm/<script>alert(1)/unit_state", "stopped");
	for (unsigned int i = 0; i < 8; i++) {
		static const char *const names[] = {
			"vm/scsi:0/latency/lt_1us",   "vm/scsi:0/latency/lt_4us",
			"vm/scsi:0/latency/lt_16us",  "vm/scsi:0/latency/lt_64us",
			"vm/scsi:0/latency/lt_256us", "vm/scsi:0/latency/lt_1ms",
			"vm/scsi:0/latency/lt_4ms",   "vm/scsi:0/latency/more"
		};

		inspect_count(in, SENS_UNSPEC, names[i],
			      waves(&one, 700) * (uint64_t)exp(-pow((double)i - 3, 2) / 3) +
				      waves(&one, 90) / (i + 1));
	}
}

void hosted_busy(struct inspect *in, const void *obj)
{
	const uint64_t *ns = obj;
	double s = (double)*ns / 1e9;

	memory(in, s);
	inspect_ns(in, SENS_SAFE, "boot/shim", 110000000);
	inspect_ns(in, SENS_SAFE, "boot/kernel", 240000000);
	inspect_ns(in, SENS_SAFE, "boot/daemon", 900000000);
	inspect_ns(in, SENS_SAFE, "boot/host_ready", 1020000000);
	inspect_ns(in, SENS_SAFE, "boot/vtl0_entry", 1350000000);
	for (unsigned int i = 0; i < VPS; i++) {
		static const char *const names[VPS] = { "vm/partition/vp/0", "vm/partition/vp/1",
							"vm/partition/vp/2", "vm/partition/vp/3" };
		const struct vp vp = { s, i };

		inspect_dir(in, SENS_SAFE, names[i], one_vp, &vp);
	}
	devices(in, s);
}
