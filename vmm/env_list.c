/* SPDX-License-Identifier: MIT */
/* See env_list.h. */
#include "env_list.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const fixed[] = {
	"OPENHCL_CONFIDENTIAL",
	"UNDERHILL_CONFIDENTIAL",
	"OPENHCL_CONFIDENTIAL_DEBUG",
	"UNDERHILL_CONFIDENTIAL_DEBUG",
};

static bool has_name(const char *entry, const char *name, size_t len)
{
	return !strncmp(entry, name, len) && entry[len] == '=';
}

static int check(const struct env_edit *e)
{
	if (!*e->name || strchr(e->name, '='))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		if (!strcmp(e->name, fixed[i]))
			return -EPERM;
	}
	return 0;
}

static void remove_name(char **env, size_t *n, const char *name)
{
	const size_t len = strlen(name);
	size_t to = 0;

	for (size_t i = 0; i < *n; i++) {
		if (has_name(env[i], name, len))
			free(env[i]);
		else
			env[to++] = env[i];
	}
	for (size_t i = to; i < *n; i++)
		env[i] = NULL;
	*n = to;
}

static int apply(char **env, size_t *n, const struct env_edit *e)
{
	char *entry;
	int r = check(e);

	if (r)
		return r;
	remove_name(env, n, e->name);
	if (!e->val)
		return 0;
	if (asprintf(&entry, "%s=%s", e->name, e->val) < 0)
		return -ENOMEM;
	env[(*n)++] = entry;
	return 0;
}

int env_list_create(char *const *base, const struct env_edit *edits, size_t n, char ***ret_env)
{
	size_t n_base = 0, used = 0;
	char **env;
	int r = 0;

	while (base[n_base])
		n_base++;
	env = calloc(n_base + n + 1, sizeof(*env));
	if (!env)
		return -ENOMEM;
	for (; used < n_base && r == 0; used++) {
		env[used] = strdup(base[used]);
		r = env[used] ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < n && r == 0; i++)
		r = apply(env, &used, &edits[i]);
	if (r) {
		env_list_destroy(env);
		return r;
	}
	*ret_env = env;
	return 0;
}

const char *env_list_get(char *const *env, const char *name)
{
	const size_t len = strlen(name);

	for (; *env; env++) {
		if (has_name(*env, name, len))
			return *env + len + 1;
	}
	return NULL;
}

void env_list_destroy(char **env)
{
	for (char **e = env; e && *e; e++)
		free(*e);
	free(env);
}
