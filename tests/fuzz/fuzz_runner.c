/* SPDX-License-Identifier: MIT */
/* A target with a planted bug: proves that the runner finds one and that it makes the test fail. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint16_t len;

	if (size < 4)
		return 0;
	memcpy(&len, data + 2, sizeof(len));
	if (data[0] == 0xff && len > 0x1000)
		abort();
	return 0;
}
