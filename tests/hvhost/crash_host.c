/* SPDX-License-Identifier: MIT */
#include "crash_host.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "le.h"
#include "log.h"
#include "record.h"

#define LOG_AREA "crash"

#define MESSAGE_MAX 4096
#define LINES_MAX 64
#define KEEP_BYTES (MESSAGE_MAX + 512)

uint64_t crash_host_read(const struct hvvp *vp, uint32_t msr)
{
	if (msr == HVMSR_CRASH_CTL)
		return HV_CRASH_CTL_CAPS;
	return vp->vtl[VTL2].crash[msr - HVMSR_CRASH_P0];
}

/* What is no printable character or line end becomes a question mark. */
static void clean(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '\n' && text[i] != '\t' && (text[i] < ' ' || text[i] > '~'))
			text[i] = '?';
	}
	text[len] = 0;
}

/* Log the text, a line at a time, and find the one that tells most: the panic's, else the last. */
static void log_message(struct hvvp *vp, const char *text, char *ret_reason, size_t cap)
{
	bool found = false;
	unsigned int n = 0;

	while (*text && n++ < LINES_MAX) {
		const size_t len = strcspn(text, "\n");

		log_err(CONF, "vp %u: %.*s", vp->index, (int)len, text);
		if (len && !found)
			snprintf(ret_reason, cap, "%.*s", (int)MIN(len, cap - 1), text);
		found = found || strstr(ret_reason, "Kernel panic") != NULL;
		text += len + (text[len] == '\n');
	}
}

/* Keep the registers and the text for the file of last words; the first crash counts. */
static void keep(struct hvvp *vp, uint64_t ctl, const char *text)
{
	const uint64_t *p = vp->vtl[VTL2].crash;
	struct hvpart *part = vp->part;
	char *all = malloc(KEEP_BYTES);

	if (!all)
		return;
	snprintf(all, KEEP_BYTES,
		 "VTL2 crashed on vp %u\nP0 %#llx\nP1 %#llx\nP2 %#llx\nP3 %#llx\nP4 %#llx\n"
		 "control %#llx\n\n%s%s",
		 vp->index, (unsigned long long)p[0], (unsigned long long)p[1],
		 (unsigned long long)p[2], (unsigned long long)p[3], (unsigned long long)p[4],
		 (unsigned long long)ctl, *text ? text : "no message", *text ? "" : "\n");
	(void)pthread_mutex_lock(&part->end_lock);
	if (!part->panic_text && !part->ended) {
		part->panic_text = all;
		all = NULL;
	}
	(void)pthread_mutex_unlock(&part->end_lock);
	free(all);
}

static void report(struct hvvp *vp, uint64_t ctl)
{
	const uint64_t *p = vp->vtl[VTL2].crash;
	char text[MESSAGE_MAX + 1] = "", reason[160] = "no message";
	size_t len = (size_t)MIN(p[4], (uint64_t)MESSAGE_MAX);

	log_err(CONF, "vp %u: VTL2 crashed: %#llx %#llx %#llx %#llx %#llx, control %#llx",
		vp->index, (unsigned long long)p[0], (unsigned long long)p[1],
		(unsigned long long)p[2], (unsigned long long)p[3], (unsigned long long)p[4],
		(unsigned long long)ctl);
	if ((ctl & HV_CRASH_CTL_MESSAGE) && gm_read(vp->part->host_gm, p[3], text, len) == 0) {
		record_put(RECORD_CRASH, vp->index, text, len);
		clean(text, len);
		log_message(vp, text, reason, sizeof(reason));
	}
	keep(vp, ctl, text);
	part_end(vp->part, SESSION_VTL2_CRASH, "VTL2 crashed: %s", reason);
}

void crash_host_write(struct hvvp *vp, uint32_t msr, uint64_t val)
{
	uint8_t raw[8];

	le64_store(raw, val);
	record_put(RECORD_MSR, msr, raw, sizeof(raw));
	if (msr != HVMSR_CRASH_CTL)
		vp->vtl[VTL2].crash[msr - HVMSR_CRASH_P0] = val;
	else if (val & HV_CRASH_CTL_NOTIFY)
		report(vp, val);
}
