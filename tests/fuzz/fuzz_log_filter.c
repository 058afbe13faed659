/* SPDX-License-Identifier: MIT */
/* A filter's text, from the host: refused or understood, and then every decision is bounded. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "log_filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[2 * LOG_FILTER_MAX], target[64] = "", why[128];
	struct log_filter filter, again;
	const size_t n = MIN(size, sizeof(text) - 1);
	int level;

	memcpy(text, data, n);
	text[n] = 0;
	if (log_filter_parse(text, &filter, why, sizeof(why)) < 0) {
		if (!strnlen(why, sizeof(why)) || strlen(why) >= sizeof(why))
			abort();
		return 0;
	}
	/* What was understood reads back as it was, and is understood the same way. */
	if (strcmp(filter.text, text) != 0 || filter.n > LOG_FILTER_ENTRIES ||
	    log_filter_parse(filter.text, &again, NULL, 0) < 0)
		abort();
	memcpy(target, text, MIN(strlen(text), sizeof(target) - 1));
	level = log_filter_level(&filter, target);
	if (level < LOG_OFF || level > LOG_TRACE || level != log_filter_level(&again, target))
		abort();
	return 0;
}
