/* SPDX-License-Identifier: MIT */
/* The host's look at a core that VTL2 sent: any file. It ends with a sentence, good or bad. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../hvhost/core_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[CORE_CHECK_TEXT] = "";
	int fd = memfd_create("core", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	(void)!core_check(fd, text, sizeof(text));
	if (!*text || strlen(text) >= sizeof(text))
		abort();
	(void)close(fd);
	return 0;
}
