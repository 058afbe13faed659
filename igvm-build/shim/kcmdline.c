/* SPDX-License-Identifier: MIT */
#include "kcmdline.h"

#include <errno.h>
#include <string.h>

/*
 * What every VTL2 kernel gets. noxsave is not a choice: Linux refuses to run above VTL0 with XSAVE.
 * Options of OpenHCL that only its own kernel knows are left out. An NVMe controller that does not
 * answer is asked to abort after 10 s and reset after 20: well before guests give up (Linux 180 s,
 * Windows 60 s). Its queues are as deep as a VP of VTL0 can fill them.
 */
static const char fixed[] =
	"loglevel=8 log_buf_len=128K printk.time=1 console_msg_format=syslog "
	"coredump_filter=0x33 cpufreq.off=1 cpuidle.off=1 cryptomgr.notests idle=halt "
	"initcall_blacklist=sbf_init lpj=3000000 no_timer_check noxsave oops=panic "
	"panic_on_warn=0 panic_print=0 panic=-1 printk.devkmsg=on reboot=t "
	"rootfstype=tmpfs sysctl.vm.compaction_proactiveness=0 tsc=reliable "
	"unknown_nmi_panic=1 rdinit=/init hv_storvsc.storvsc_vcpus_per_sub_channel=2048 "
	"hv_storvsc.storvsc_max_hw_queues=2 hv_storvsc.storvsc_ringbuffer_size=0x8000 "
	"nvme.io_queue_depth=256 nvme_core.io_timeout=10 nvme_core.max_retries=1 "
	"acpi=off clearcpuid=pcid iommu=off pci=off swiotlb=1,1";

struct text {
	char *p;
	size_t len;
	bool full;
};

static void put(struct text *t, const char *s, size_t len)
{
	if (t->full || len >= KCMDLINE_MAX - t->len) {
		t->full = true;
		return;
	}
	for (size_t i = 0; i < len; i++)
		t->p[t->len++] = s[i] == 0 || s[i] == '\n' || s[i] == '\r' ? ' ' : s[i];
	t->p[t->len] = 0;
}

static void put_str(struct text *t, const char *s)
{
	put(t, s, strlen(s));
}

static void put_number(struct text *t, uint32_t v)
{
	char digits[10];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	put(t, digits + n, sizeof(digits) - n);
}

int kcmdline_make(const struct kcmdline_in *in, char ret[KCMDLINE_MAX])
{
	struct text t = { .p = ret };

	put_str(&t, fixed);
	if (in->com3) {
		put_str(&t, " console=ttyS2,");
		put_number(&t, in->com3_speed);
	} else {
		put_str(&t, " console=ttynull");
	}
	put_str(&t, " OPENHCL_NVME_KEEP_ALIVE=");
	put_str(&t, in->keep_alive_off ? "disabled," : "");
	put_str(&t, in->keep_alive_host ? "host," : "nohost,");
	put_str(&t, in->pool ? "privatepool" : "noprivatepool");
	if (in->static_len) {
		put_str(&t, " ");
		put(&t, in->static_text, in->static_len);
	}
	if (*in->host_text) {
		put_str(&t, " ");
		put_str(&t, in->host_text);
	}
	/* Last, so that no other text has the last word. */
	if (in->isolated)
		put_str(&t, " OPENHCL_CONFIDENTIAL=1");
	return t.full ? -E2BIG : 0;
}
