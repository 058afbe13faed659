/* SPDX-License-Identifier: MIT */
/*
 * The environment of the vm role when a client starts it: this process's, with the client's changes
 * over it. Variables that decide about confidentiality cannot be changed: that decision is taken.
 * Trust: names and values are the host's.
 */
#pragma once

#include <stddef.h>

#include "macros.h"

struct env_edit {
	const char *name;
	const char *val; /* NULL = remove */
};

/**
 * env_list_create - a changed copy
 * @base: NULL-terminated, "NAME=VALUE"
 * @ret_env: NULL-terminated; env_list_destroy() releases it
 * Returns: 0; -EINVAL (a name is empty or has a '='); -EPERM (see above); -ENOMEM
 */
must_check int env_list_create(char *const *base, const struct env_edit *edits, size_t n,
			       char ***ret_env);

/* Looks a variable up; NULL = not set. */
const char *env_list_get(char *const *env, const char *name);

/* Accepts NULL. */
void env_list_destroy(char **env);
