/* SPDX-License-Identifier: MIT */
/* A record of the log channel, from a paravisor that hvhost does not trust. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "../hvhost/gel_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char line[GEL_LINE_MAX];
	struct gel_rec rec;
	struct json j;
	size_t len;

	if (gel_check(data, size, &rec, &j))
		return 0;
	len = gel_line(&rec, &j, line);
	json_fini(&j);
	if (len != strlen(line) || strchr(line, '\n') || !rec.message.len ||
	    memchr(rec.message.p, '\n', rec.message.len))
		abort();
	return 0;
}
