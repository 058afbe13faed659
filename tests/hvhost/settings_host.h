/* SPDX-License-Identifier: MIT */
/*
 * VTL2 settings as this host writes them, in every form that exists. Written by hand against the
 * field numbers and names, not against the paravisor's reader. Spec: spec/get-vmgs.md chapter 12.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "macros.h"
#include "vtl2_settings.h"

enum settings_form {
	SETTINGS_PROTOBUF, /* chunks by name, protobuf inside and outside */
	SETTINGS_JSON, /* chunks by name, JSON inside and outside */
	SETTINGS_MIXED, /* chunks by name, JSON inside protobuf */
	SETTINGS_FLAT_PROTOBUF, /* the old form without chunks */
	SETTINGS_FLAT_JSON,
};

/**
 * settings_host_write - a document that says @s
 * Identification strings that are empty are left out; NICs go into chunks of their own where there
 * are chunks, and into none when there are none.
 * @ret_buf: from malloc(); a NUL follows the @ret_len bytes
 * Returns: 0, -ENOMEM. Any thread.
 */
must_check int settings_host_write(const struct vtl2_settings *s, enum settings_form form,
				   uint8_t **ret_buf, size_t *ret_len);

/* Base64 with padding, from malloc(); NULL on lack of memory. */
char *settings_host_base64(const void *data, size_t len);
