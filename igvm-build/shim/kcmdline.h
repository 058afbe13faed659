/* SPDX-License-Identifier: MIT */
/* The command line of VTL2's kernel. Freestanding. Spec: igvm-boot, "Kernel command line". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

#define KCMDLINE_MAX 2048u /* of x86 kernels, with the NUL */

struct kcmdline_in {
	bool com3; /* console on COM3; else none */
	uint32_t com3_speed;
	bool keep_alive_host; /* the host supports NVMe keep-alive */
	bool keep_alive_off; /* switched off by option */
	bool pool; /* there is a GPA pool */
	bool isolated;
	const char *static_text; /* measured, @static_len bytes */
	size_t static_len;
	const char *host_text; /* "" when it must not be used */
};

/**
 * kcmdline_make - put the text together
 * @ret: NUL-terminated; NULs and line breaks of the inputs become blanks
 * Returns: 0; -E2BIG (longer than the kernel accepts)
 */
must_check int kcmdline_make(const struct kcmdline_in *in, char ret[KCMDLINE_MAX]);
