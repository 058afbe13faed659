/* SPDX-License-Identifier: MIT */
/* The environment of a program: ours, changed as the request says, in the order of the names. */
#include "diag_priv.h"

#include "ckd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct var {
	const char *name;
	const char *val; /* NULL = removed */
	size_t name_len;
	size_t seq; /* of two with one name the later counts */
};

static int compare_names(const struct var *a, const struct var *b)
{
	const int c = memcmp(a->name, b->name, MIN(a->name_len, b->name_len));

	return c ? c : (a->name_len > b->name_len) - (a->name_len < b->name_len);
}

static int compare(const void *pa, const void *pb)
{
	const struct var *a = pa, *b = pb;
	const int c = compare_names(a, b);

	return c ? c : (a->seq > b->seq) - (a->seq < b->seq);
}

/* "NAME=value"; a leading '=' belongs to the name. False = not a variable. */
static bool split(const char *entry, struct var *ret_var)
{
	const char *eq = *entry ? strchr(entry + 1, '=') : NULL;

	if (!eq)
		return false;
	*ret_var = (struct var){ .name = entry, .val = eq + 1, .name_len = (size_t)(eq - entry) };
	return true;
}

/* Sort, and keep the last of each name unless it was removed. Returns how many there are. */
static size_t settle(struct var *v, size_t n)
{
	size_t kept = 0;

	qsort(v, n, sizeof(*v), compare);
	for (size_t i = 0; i < n; i++) {
		if (i + 1 < n && compare_names(&v[i], &v[i + 1]) == 0)
			continue;
		if (v[i].val)
			v[kept++] = v[i];
	}
	return kept;
}

static int join(const struct var *v, size_t n, char ***ret_env)
{
	size_t bytes = (n + 1) * sizeof(char *);
	char **env, *p;

	for (size_t i = 0; i < n; i++)
		bytes += v[i].name_len + strlen(v[i].val) + 2;
	env = malloc(bytes);
	if (!env)
		return -ENOMEM;
	p = (char *)(env + n + 1);
	for (size_t i = 0; i < n; i++) {
		const size_t val_len = strlen(v[i].val);

		env[i] = p;
		memcpy(p, v[i].name, v[i].name_len);
		p += v[i].name_len;
		*p++ = '=';
		memcpy(p, v[i].val, val_len + 1);
		p += val_len + 1;
	}
	env[n] = NULL;
	*ret_env = env;
	return 0;
}

int diag_env_build(char *const *base, const struct diag_env *env, size_t n_env, char ***ret_env)
{
	size_t n_base = 0, n = 0;
	struct var *v;
	int r;

	while (base[n_base])
		n_base++;
	v = calloc(n_base + n_env + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < n_base; i++) {
		if (split(base[i], &v[n]))
			n++;
	}
	for (size_t i = 0; i < n_env; i++)
		v[n++] = (struct var){ .name = env[i].name,
				       .val = env[i].val,
				       .name_len = strlen(env[i].name) };
	for (size_t i = 0; i < n; i++)
		v[i].seq = i;
	r = join(v, settle(v, n), ret_env);
	free(v);
	return r;
}
