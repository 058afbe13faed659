/* SPDX-License-Identifier: MIT */
#include "crash_host.h"

#include <string.h>

#include "le.h"
#include "log.h"
#include "record.h"

#define LOG_AREA "crash"

#define MESSAGE_MAX 4096
#define LINES_MAX 64

uint64_t crash_host_read(const struct hvvp *vp, uint32_t msr)
{
	if (msr == HVMSR_CRASH_CTL)
		return HV_CRASH_CTL_CAPS;
	return vp->vtl[VTL2].crash[msr - HVMSR_CRASH_P0];
}

/* The text, a line at a time. Returns its last non-empty line, which is usually the reason. */
static void log_message(struct hvvp *vp, char *text, const char **ret_first)
{
	char *save = NULL;
	unsigned int n = 0;

	*ret_first = NULL;
	for (char *line = strtok_r(text, "\r\n", &save); line && n < LINES_MAX;
	     line = strtok_r(NULL, "\r\n", &save), n++) {
		if (!*ret_first)
			*ret_first = line;
		log_err(CONF, "vp %u: %s", vp->index, line);
	}
}

static void report(struct hvvp *vp, uint64_t ctl)
{
	const uint64_t *p = vp->vtl[VTL2].crash;
	char text[MESSAGE_MAX + 1];
	const char *first = NULL;
	size_t len = (size_t)MIN(p[4], (uint64_t)MESSAGE_MAX);

	log_err(CONF, "vp %u: VTL2 crashed: %#llx %#llx %#llx %#llx %#llx, control %#llx",
		vp->index, (unsigned long long)p[0], (unsigned long long)p[1],
		(unsigned long long)p[2], (unsigned long long)p[3], (unsigned long long)p[4],
		(unsigned long long)ctl);
	if ((ctl & HV_CRASH_CTL_MESSAGE) && gm_read(vp->part->host_gm, p[3], text, len) == 0) {
		record_put(RECORD_CRASH, vp->index, text, len);
		text[len] = 0;
		log_message(vp, text, &first);
	}
	part_end(vp->part, SESSION_VTL2_CRASH, "VTL2 crashed: %.200s",
		 first ? first : "no message, see the log");
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
