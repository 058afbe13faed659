/* SPDX-License-Identifier: MIT */
/*
 * The walk. Every call of an inspect_fn makes nodes for those children of one directory that the
 * request is about: on the way to the addressed node only the one on the path, from there on all.
 * What was made is sorted, entries with one name are merged, and only then is the path followed
 * through the nodes: so the rules for names are in one place and hold for paths, too.
 *
 * Recursion is that of our own inspect functions, at most INSPECT_NEST_MAX deep.
 */
#include "inspect.h"

#include "cleanup.h"
#include "ckd.h"
#include "inspect_tree.h"
#include "utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WHY_MAX 512 /* bytes of the reason of a refused update */
#define UNLIMITED "unlimited"

struct inspect {
	struct inspect_tree *tree;
	struct inspect_node **tail; /* where the next child goes */
	const char *path; /* still to go, without leading '/'; "" = list everything */
	const char *update;
	uint32_t levels; /* of directories from here on, once everything is listed; at least 1 */
	uint32_t nest;
	enum inspect_sens max;
	bool full; /* a child had no room: the directory will become an error */
};

/* An entry: the directory it is in, which is not that of the inspect_fn when the name has a '/'. */
struct entry {
	struct inspect dir;
	enum inspect_sens sens;
	char name[INSPECT_NAME_MAX + 1];
	size_t name_len;
	const char *rest; /* of the path behind the name; NULL: not on a path */
};

static const char *skip_slashes(const char *p)
{
	return p + strspn(p, "/");
}

/* ---- making nodes -------------------------------------------------------------------------- */

static struct inspect_node *add_node(struct entry *e, enum inspect_kind kind)
{
	struct inspect_node *n = inspect_node_new(e->dir.tree, e->name, e->name_len);

	if (!n) {
		e->dir.full = true;
		return NULL;
	}
	n->kind = kind;
	n->sens = e->sens;
	*e->dir.tail = n;
	e->dir.tail = &n->next;
	return n;
}

static void add_error(struct entry *e, enum inspect_error err)
{
	struct inspect_node *n = add_node(e, INSPECT_ERROR);

	if (n)
		inspect_node_fail(n, err);
}

/*
 * A directory of that name: makes its node and the walk for its inside. false: it is not entered,
 * and whatever is to be said about it has been said.
 */
static bool enter(struct entry *e, struct inspect *ret_sub, struct inspect_node **ret_node)
{
	struct inspect sub = e->dir;
	struct inspect_node *n;

	sub.nest++;
	if (e->rest) {
		sub.path = skip_slashes(e->rest);
		if (!*sub.path && sub.update) {
			add_error(e, INSPECT_UNRESOLVED);
			return false;
		}
	} else if (--sub.levels == 0) {
		(void)add_node(e, INSPECT_UNEVALUATED);
		return false;
	}
	/* Its children are one deeper. */
	if (sub.nest >= INSPECT_NEST_MAX) {
		add_error(e, INSPECT_INTERNAL);
		return false;
	}
	n = add_node(e, INSPECT_DIR);
	if (!n)
		return false;
	sub.tail = &n->child;
	*ret_sub = sub;
	*ret_node = n;
	return true;
}

/* ---- names --------------------------------------------------------------------------------- */

/* The next part of a name; the empty ones around slashes are no parts. */
static bool next_part(const char **name, struct entry *e)
{
	const char *p = skip_slashes(*name);
	size_t len = strcspn(p, "/");

	if (len == 0)
		return false;
	(void)utf8_clean(p, len, e->name, sizeof(e->name));
	e->name_len = strlen(e->name);
	*name = p + len;
	return true;
}

/* Is the part on the path? Everything is when there is none left. */
static bool on_path(struct entry *e)
{
	e->rest = NULL;
	if (!*e->dir.path)
		return true;
	if (strncmp(e->dir.path, e->name, e->name_len) != 0)
		return false;
	e->rest = e->dir.path + e->name_len;
	return *e->rest == 0 || *e->rest == '/';
}

/* Find out where the entry goes, making directories on the way. false: not wanted, or no room. */
static bool place(struct inspect *in, enum inspect_sens sens, const char *name, struct entry *ret_e)
{
	struct entry *e = ret_e;

	if (in->full || sens > in->max)
		return false;
	e->dir = *in;
	e->sens = sens;
	if (!next_part(&name, e) || !on_path(e))
		return false;
	while (*skip_slashes(name)) {
		bool top = e->dir.nest == in->nest;
		struct inspect_node *node;
		struct inspect sub;
		bool entered = enter(e, &sub, &node);

		if (top)
			in->tail = e->dir.tail;
		in->full = e->dir.full;
		if (!entered)
			return false;
		e->dir = sub;
		if (!next_part(&name, e) || !on_path(e))
			return false;
	}
	return true;
}

/* After something was added: the directory of the inspect_fn goes on behind it. */
static void placed(struct inspect *in, const struct entry *e)
{
	if (e->dir.nest == in->nest)
		in->tail = e->dir.tail;
	in->full = e->dir.full;
}

bool inspect_wants(const struct inspect *in, const char *name)
{
	struct entry e;

	e.dir = *in;
	return next_part(&name, &e) && on_path(&e);
}

/* ---- directories --------------------------------------------------------------------------- */

void inspect_dir(struct inspect *in, enum inspect_sens sens, const char *name, inspect_fn fn,
		 const void *obj)
{
	struct inspect_node *node;
	struct inspect_mark mark;
	struct inspect sub;
	struct entry e;

	if (!place(in, sens, name, &e))
		return;
	if (enter(&e, &sub, &node)) {
		mark = inspect_mark(in->tree);
		fn(&sub, obj);
		if (sub.full) {
			inspect_rewind(in->tree, mark);
			inspect_node_fail(node, INSPECT_INTERNAL);
		}
	}
	placed(in, &e);
}

void inspect_dir_at(struct inspect *in, enum inspect_sens sens, uint64_t idx, inspect_fn fn,
		    const void *obj)
{
	char name[24];

	(void)snprintf(name, sizeof(name), "%" PRIu64, idx);
	inspect_dir(in, sens, name, fn, obj);
}

void inspect_flatten(struct inspect *in, inspect_fn fn, const void *obj)
{
	fn(in, obj);
}

void inspect_remote(struct inspect *in, enum inspect_sens sens, const char *name, uint32_t remote)
{
	struct inspect_node *n;
	const char *path;
	struct entry e;

	if (!place(in, sens, name, &e))
		return;
	path = e.rest ? skip_slashes(e.rest) : "";
	if (e.rest && !*path && in->update) {
		add_error(&e, INSPECT_UNRESOLVED);
	} else if (!e.rest && e.dir.levels == 1) {
		(void)add_node(&e, INSPECT_UNEVALUATED);
	} else {
		size_t len = strlen(path);
		char *copy = inspect_alloc(in->tree, len + 1);

		n = copy ? add_node(&e, INSPECT_PENDING) : NULL;
		if (n) {
			memcpy(copy, path, len + 1);
			n->flags = e.dir.nest + 1;
			n->pending.remote = remote;
			n->pending.depth = e.dir.levels - (e.rest ? 1 : 2);
			n->pending.path = copy;
		}
		e.dir.full = !n;
	}
	placed(in, &e);
}

/* ---- values -------------------------------------------------------------------------------- */

/* The node of a value that is read, kind and sens set; NULL: there is none to fill. */
static struct inspect_node *leaf(struct inspect *in, struct entry *e, enum inspect_kind kind)
{
	struct inspect_node *n = NULL;

	if (e->rest && *e->rest)
		add_error(e, INSPECT_NOT_DIR);
	else if (in->update)
		add_error(e, INSPECT_IMMUTABLE);
	else
		n = add_node(e, kind);
	placed(in, e);
	return n;
}

/* The same for an entry by its name; NULL also when the request is not about it. */
static struct inspect_node *value(struct inspect *in, enum inspect_sens sens, const char *name,
				  enum inspect_kind kind)
{
	struct entry e;

	return place(in, sens, name, &e) ? leaf(in, &e, kind) : NULL;
}

static void leaf_uint(struct inspect *in, enum inspect_sens sens, const char *name, uint64_t val,
		      uint32_t flags)
{
	struct inspect_node *n = value(in, sens, name, INSPECT_UNSIGNED);

	if (n) {
		n->u64 = val;
		n->flags = flags;
	}
}

void inspect_u64(struct inspect *in, enum inspect_sens sens, const char *name, uint64_t val)
{
	leaf_uint(in, sens, name, val, 0);
}

void inspect_hex(struct inspect *in, enum inspect_sens sens, const char *name, uint64_t val)
{
	leaf_uint(in, sens, name, val, INSPECT_F_HEX);
}

void inspect_count(struct inspect *in, enum inspect_sens sens, const char *name, uint64_t val)
{
	leaf_uint(in, sens, name, val, INSPECT_F_COUNT);
}

void inspect_binary(struct inspect *in, enum inspect_sens sens, const char *name, uint64_t val)
{
	leaf_uint(in, sens, name, val, INSPECT_F_BINARY);
}

void inspect_i64(struct inspect *in, enum inspect_sens sens, const char *name, int64_t val)
{
	struct inspect_node *n = value(in, sens, name, INSPECT_SIGNED);

	if (n)
		n->i64 = val;
}

void inspect_double(struct inspect *in, enum inspect_sens sens, const char *name, double val)
{
	struct inspect_node *n = value(in, sens, name, INSPECT_DOUBLE);

	if (n)
		n->d = val;
}

void inspect_bool(struct inspect *in, enum inspect_sens sens, const char *name, bool val)
{
	struct inspect_node *n = value(in, sens, name, INSPECT_BOOL);

	if (n)
		n->b = val;
}

/* Text or bytes into a node; without room for them the node becomes an error. */
static void set_data(struct inspect *in, struct inspect_node *n, const void *data, size_t len)
{
	size_t stored = len;
	void *p;

	if (n->kind == INSPECT_BYTES) {
		p = inspect_alloc(in->tree, len);
		if (p && len > 0)
			memcpy(p, data, len);
	} else {
		p = inspect_alloc_str(in->tree, data, len, &stored);
	}
	if (!p) {
		inspect_node_fail(n, INSPECT_INTERNAL);
		return;
	}
	n->str.data = p;
	n->str.len = stored;
}

void inspect_str(struct inspect *in, enum inspect_sens sens, const char *name, const char *val)
{
	struct inspect_node *n = value(in, sens, name, INSPECT_STRING);

	if (n)
		set_data(in, n, val, strlen(val));
}

void inspect_strf(struct inspect *in, enum inspect_sens sens, const char *name, const char *fmt,
		  ...)
{
	auto_free char *text = NULL;
	struct inspect_node *n = value(in, sens, name, INSPECT_STRING);
	va_list ap;
	int len;

	if (!n)
		return;
	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0) {
		text = NULL;
		inspect_node_fail(n, INSPECT_INTERNAL);
		return;
	}
	set_data(in, n, text, (size_t)len);
}

void inspect_bytes(struct inspect *in, enum inspect_sens sens, const char *name, const void *data,
		   size_t len)
{
	struct inspect_node *n = value(in, sens, name, INSPECT_BYTES);

	if (n)
		set_data(in, n, data, len);
}

void inspect_ns(struct inspect *in, enum inspect_sens sens, const char *name, uint64_t ns)
{
	inspect_strf(in, sens, name, "%" PRIu64 ".%09" PRIu64 "s", ns / 1000000000u,
		     ns % 1000000000u);
}

/* ---- values that can be changed ------------------------------------------------------------ */

/* What the client sees when his text is not of the node's type; NULL: it is. */
static const char *number_error(const char *text, uint64_t *ret_val)
{
	const char *p = text + (*text == '+');
	uint64_t val = 0;

	if (!*text)
		return "cannot parse integer from empty string";
	if (!*p)
		return "invalid digit found in string";
	for (; *p; p++) {
		if (*p < '0' || *p > '9')
			return "invalid digit found in string";
		if (ckd_mul(&val, val, 10u) || ckd_add(&val, val, (uint64_t)(*p - '0')))
			return "number too large to fit in target type";
	}
	*ret_val = val;
	return NULL;
}

static const char *bool_error(const char *text, bool *ret_val)
{
	*ret_val = strcmp(text, "true") == 0;
	if (*ret_val || strcmp(text, "false") == 0)
		return NULL;
	return "provided string was not `true` or `false`";
}

static const char *u64_error(const char *text)
{
	uint64_t val;

	return number_error(text, &val);
}

static const char *flag_error(const char *text)
{
	bool val;

	return bool_error(text, &val);
}

static const char *limit_error(const char *text)
{
	return strcmp(text, UNLIMITED) == 0 ? NULL : u64_error(text);
}

static const char *no_error(const char *text)
{
	(void)text;
	return NULL;
}

/* A value that can be changed: what its text must be, who takes it. */
struct mut {
	const char *(*error)(const char *text);
	inspect_update_fn update;
	void *ctx;
};

/* The update itself, when the request is one and means this entry. false: it was not made. */
static bool take_update(struct inspect *in, struct entry *e, const struct mut *m)
{
	char buf[WHY_MAX] = "";
	const char *why = m->error(in->update);
	struct inspect_node *n;

	if (!why && m->update(m->ctx, in->update, buf, sizeof(buf)) == 0)
		return true;
	if (!why) {
		buf[sizeof(buf) - 1] = 0;
		why = buf[0] ? buf : "refused";
	}
	n = add_node(e, INSPECT_ERROR);
	if (n) {
		n->kind = INSPECT_STRING;
		set_data(in, n, why, strlen(why));
		n->err = n->kind == INSPECT_STRING ? INSPECT_UPDATE : INSPECT_INTERNAL;
		n->kind = INSPECT_ERROR;
	}
	placed(in, e);
	return false;
}

/* The node to show, the new value as text in @ret_text when there is one; NULL: nothing to show. */
static struct inspect_node *value_mut(struct inspect *in, enum inspect_sens sens, const char *name,
				      enum inspect_kind kind, const struct mut *m,
				      const char **ret_text)
{
	struct inspect_node *n;
	struct entry e;

	*ret_text = NULL;
	if (!place(in, sens, name, &e))
		return NULL;
	if (!in->update || (e.rest && *e.rest))
		return leaf(in, &e, kind);
	if (!take_update(in, &e, m))
		return NULL;
	*ret_text = in->update;
	n = add_node(&e, kind);
	placed(in, &e);
	return n;
}

void inspect_mut_str(struct inspect *in, enum inspect_sens sens, const char *name, const char *val,
		     inspect_update_fn update, void *ctx)
{
	const struct mut m = { no_error, update, ctx };
	const char *text;
	struct inspect_node *n = value_mut(in, sens, name, INSPECT_STRING, &m, &text);

	if (n) {
		text = text ? text : val;
		set_data(in, n, text, strlen(text));
	}
}

void inspect_mut_u64(struct inspect *in, enum inspect_sens sens, const char *name, uint64_t val,
		     inspect_update_fn update, void *ctx)
{
	const struct mut m = { u64_error, update, ctx };
	const char *text;
	struct inspect_node *n = value_mut(in, sens, name, INSPECT_UNSIGNED, &m, &text);

	if (n) {
		n->u64 = val;
		if (text)
			(void)number_error(text, &n->u64);
	}
}

void inspect_mut_bool(struct inspect *in, enum inspect_sens sens, const char *name, bool val,
		      inspect_update_fn update, void *ctx)
{
	const struct mut m = { flag_error, update, ctx };
	const char *text;
	struct inspect_node *n = value_mut(in, sens, name, INSPECT_BOOL, &m, &text);

	if (n) {
		n->b = val;
		if (text)
			(void)bool_error(text, &n->b);
	}
}

void inspect_mut_limit(struct inspect *in, enum inspect_sens sens, const char *name, uint64_t val,
		       inspect_update_fn update, void *ctx)
{
	const struct mut m = { limit_error, update, ctx };
	const char *text;
	struct inspect_node *n = value_mut(in, sens, name, INSPECT_UNSIGNED, &m, &text);

	if (!n)
		return;
	if (text && number_error(text, &val))
		val = UINT64_MAX;
	n->u64 = val;
	if (val == UINT64_MAX) {
		n->kind = INSPECT_STRING;
		set_data(in, n, UNLIMITED, strlen(UNLIMITED));
	}
}

/* ---- requests ------------------------------------------------------------------------------ */

/* The node that the path means becomes the root. */
static void follow(struct inspect_tree *tree, const char *path)
{
	struct inspect_node *n = tree->root;

	while (*path && n->kind == INSPECT_DIR) {
		size_t len = strcspn(path, "/");
		struct inspect_node *child = inspect_child(n, path, len);

		if (!child) {
			inspect_node_fail(tree->root, INSPECT_NOT_FOUND);
			return;
		}
		n = child;
		path = skip_slashes(path + len);
	}
	n->name = "";
	n->next = NULL;
	tree->root = n;
}

int inspect_run(const struct inspect_request *req, inspect_fn fn, const void *obj, size_t max_bytes,
		struct inspect_tree *ret_tree)
{
	struct inspect_tree tree = { .left = max_bytes };
	struct inspect in = {
		.tree = &tree,
		.path = skip_slashes(req->path),
		.update = req->update,
		.levels = MIN(req->depth, INSPECT_DEPTH_MAX - 1) + 1,
		.max = req->max,
	};

	if (strnlen(req->path, INSPECT_PATH_MAX + 1) > INSPECT_PATH_MAX ||
	    (req->update && strnlen(req->update, INSPECT_VALUE_MAX + 1) > INSPECT_VALUE_MAX))
		return -EINVAL;
	tree.root = inspect_node_new(&tree, NULL, 0);
	if (!tree.root)
		return -ENOMEM;
	tree.root->kind = INSPECT_DIR;
	in.tail = &tree.root->child;
	if (!*in.path && in.update) {
		inspect_node_fail(tree.root, INSPECT_UNRESOLVED);
	} else {
		struct inspect_mark mark = inspect_mark(&tree);

		fn(&in, obj);
		if (in.full) {
			inspect_rewind(&tree, mark);
			inspect_node_fail(tree.root, INSPECT_INTERNAL);
		}
		inspect_sort(&tree);
		follow(&tree, in.path);
	}
	*ret_tree = tree;
	return 0;
}
