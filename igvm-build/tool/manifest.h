/* SPDX-License-Identifier: MIT */
/* Image manifest and resource list (JSON), as OpenHCL's image builder defines them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "macros.h"
#include "tool_util.h"

enum manifest_isolation {
	MANIFEST_ISOLATION_NONE,
	MANIFEST_ISOLATION_VBS,
};

struct manifest_linux {
	bool present;
	bool use_initrd;
	char *command_line;
};

/* One guest configuration with an openhcl image. */
struct manifest {
	uint32_t guest_svn;
	enum manifest_isolation isolation;
	bool enable_debug; /* isolated: the platform's policy lets the host debug; measured */
	char *command_line; /* static text of VTL2's kernel */
	bool static_command_line; /* host text is never appended */
	bool has_base;
	uint64_t memory_page_base;
	uint64_t memory_page_count;
	struct manifest_linux linux_direct;
};

enum resource {
	RESOURCE_UNDERHILL_KERNEL,
	RESOURCE_OPENHCL_BOOT,
	RESOURCE_UNDERHILL_INITRD,
	RESOURCE_LINUX_KERNEL,
	RESOURCE_LINUX_INITRD,
	RESOURCE_COUNT,
};

struct resources {
	char *path[RESOURCE_COUNT]; /* NULL = not given */
	struct file_buf file[RESOURCE_COUNT];
};

/* Name of a resource as the JSON spells it. */
const char *resource_name(enum resource r);

/*
 * Read a manifest file. 0, or -1 after a message that names the file and the field. For an isolated
 * platform enable_debug and the measured command line have been found to say the same.
 */
must_check int manifest_read(const char *path, struct manifest *ret);
void manifest_fini(struct manifest *m);

/* Read the resource list and, of it, the paths; files are read by resource_load(). */
must_check int resources_read(const char *path, struct resources *ret);
must_check int resource_load(struct resources *res, enum resource r);
void resources_fini(struct resources *res);
