/* SPDX-License-Identifier: MIT */
/*
 * The one decision about confidentiality. It is taken by every role at its very start, before any
 * socket, channel or log exists, from inputs that are measured when the partition is isolated: the
 * boot shim drops the host's words from the command line then, so all that is left in the
 * environment is the image's own. Nothing can change it later.
 *
 * Spec: OpenHCL guide, CVM restrictions.
 */
#pragma once

#include <stdbool.h>

enum confid_isolation {
	CONFID_ISO_NONE,
	CONFID_ISO_VBS,
	CONFID_ISO_SNP,
	CONFID_ISO_TDX,
	CONFID_ISO_UNKNOWN, /* a kind this build does not know */
};

struct confid {
	enum confid_isolation isolation; /* as the boot shim found it */
	bool confidential; /* isolated, or simulated by OPENHCL_CONFIDENTIAL */
	bool debug; /* OPENHCL_CONFIDENTIAL_DEBUG */
	/* Confidential and not debug: nothing that could hold a secret may reach the host. */
	bool restricted;
};

/* Looks a variable up in the environment; NULL = not set. */
typedef const char *(*confid_getenv_fn)(const char *name);

/**
 * confid_decide - take the decision
 * @get: NULL = the process's environment
 * @isolation: the value of the device tree's isolation-type, NULL = there is no such property. A
 *             word that is not known counts as isolated.
 * A variable says yes when it is neither empty nor "0". OPENHCL_CONFIDENTIAL restricts under
 * either of its names; OPENHCL_CONFIDENTIAL_DEBUG counts under the older name only where the newer
 * is not set.
 * Context: any thread, while nobody changes the environment
 */
struct confid confid_decide(confid_getenv_fn get, const char *isolation);

/* The same with the real environment and device tree (/proc/device-tree/openhcl/isolation-type). A
 * property that is there and cannot be read counts as isolated. /proc must be mounted. */
struct confid confid_read(void);

/* "none", "vbs", "snp", "tdx", "unknown". */
const char *confid_isolation_name(enum confid_isolation isolation);
