/* SPDX-License-Identifier: MIT */
#include "cli_args.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct cli_opt cli_global_opts[] = {
	{ 0, "json", NULL, "Output in JSON format, errors too", 0, 0, 'j' },
	{ 'h', "help", NULL, "Print help", 0, 0, 'h' },
	{ 0 },
};

struct parser {
	const struct cli_cmd *cmds;
	int argc;
	char *const *argv;
	int i;
	struct cli_str *err;
	struct cli_parsed *p;
	bool only_args; /* after "--", or in raw arguments */
};

static char opt_id(const struct cli_opt *o)
{
	return o->id ? o->id : o->letter;
}

static bool opt_end(const struct cli_opt *o)
{
	return !o->letter && !o->name;
}

static size_t n_args(const struct cli_cmd *cmd)
{
	size_t n = 0;

	while (n < CLI_ARGS_MAX && cmd->args[n].name)
		n++;
	return n;
}

const struct cli_cmd *cli_cmd_find(const struct cli_cmd *cmds, const char *name)
{
	for (; cmds->name; cmds++)
		if (!strcmp(cmds->name, name) || (cmds->alias && !strcmp(cmds->alias, name)))
			return cmds;
	return NULL;
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* Distance of two words: insertions, deletions, changes, swapped neighbours. */
static unsigned int distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned int row[3][33];

	if (la > 32 || lb > 32)
		return 99;
	for (size_t j = 0; j <= lb; j++)
		row[1][j] = (unsigned int)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned int *cur = row[2], *up = row[1], *up2 = row[0];

		cur[0] = (unsigned int)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned int cost = a[i - 1] != b[j - 1];
			unsigned int d = MIN(up[j] + 1, cur[j - 1] + 1);

			d = MIN(d, up[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d = MIN(d, up2[j - 2] + 1);
			cur[j] = d;
		}
		memcpy(row[0], row[1], sizeof(row[0]));
		memcpy(row[1], row[2], sizeof(row[1]));
	}
	return row[1][lb];
}

const char *cli_similar(const char *word, const char *const *known, size_t n)
{
	size_t len = strlen(word);
	unsigned int best = 99;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		unsigned int d = distance(word, known[i]);

		if (len >= 3 && !strncmp(word, known[i], len))
			d = 1;
		if (d < best) {
			best = d;
			found = known[i];
		}
	}
	return best <= 1 + len / 4 ? found : NULL;
}

static int usage_error(struct parser *ps)
{
	cli_str_puts(ps->err, "\nUsage: ");
	if (ps->p->cmd)
		cli_usage_cmd(ps->p->cmd, ps->err);
	else
		cli_str_puts(ps->err, "keeldiag [OPTIONS] <VM> <COMMAND>");
	cli_str_puts(ps->err, "\n\nFor more information, try '--help'.\n");
	return -EINVAL;
}

static void quoted(struct parser *ps, const char *word)
{
	cli_str_plain(ps->err, word, strlen(word), 0);
}

static int unknown_command(struct parser *ps, const char *word)
{
	const char *names[64], *like;
	size_t n = 0;

	for (const struct cli_cmd *c = ps->cmds; c->name && n < ARRAY_SIZE(names); c++)
		if (!c->hidden)
			names[n++] = c->name;
	cli_str_puts(ps->err, "error: unrecognized subcommand '");
	quoted(ps, word);
	cli_str_puts(ps->err, "'\n");
	like = cli_similar(word, names, n);
	if (like)
		cli_str_printf(ps->err, "\n  tip: a similar subcommand exists: '%s'\n", like);
	else if (ps->p->vm && cli_cmd_find(ps->cmds, ps->p->vm))
		cli_str_printf(ps->err, "\n  tip: the VM comes first: keeldiag <VM> %s\n",
			       ps->p->vm);
	return usage_error(ps);
}

static int unknown_option(struct parser *ps, const char *word)
{
	const char *names[CLI_OPTS_MAX + 8], *like = NULL;
	size_t n = 0;

	if (word[0] == '-' && word[1] == '-') {
		if (ps->p->cmd)
			for (const struct cli_opt *o = ps->p->cmd->opts; !opt_end(o); o++)
				if (o->name)
					names[n++] = o->name;
		for (const struct cli_opt *o = cli_global_opts; !opt_end(o); o++)
			names[n++] = o->name;
		like = cli_similar(word + 2, names, n);
	}
	cli_str_puts(ps->err, "error: unexpected argument '");
	quoted(ps, word);
	cli_str_puts(ps->err, "' found\n");
	if (like)
		cli_str_printf(ps->err, "\n  tip: a similar argument exists: '--%s'\n", like);
	return usage_error(ps);
}

static void opt_words(struct cli_str *out, const struct cli_opt *o)
{
	if (o->name)
		cli_str_printf(out, "--%s", o->name);
	else
		cli_str_printf(out, "-%c", o->letter);
	if (o->value)
		cli_str_printf(out, " <%s>", o->value);
}

static int bad_choice(struct parser *ps, const char *value, const char *what, const char *choices)
{
	cli_str_puts(ps->err, "error: invalid value '");
	quoted(ps, value);
	cli_str_printf(ps->err, "' for '%s'\n  [possible values: ", what);
	for (; *choices; choices++)
		cli_str_printf(ps->err, *choices == '|' ? ", " : "%c", *choices);
	cli_str_puts(ps->err, "]\n");
	return usage_error(ps);
}

static bool choice_ok(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (const char *s = choices; s; s = strchr(s, '|') ? strchr(s, '|') + 1 : NULL)
		if (!strncmp(s, value, len) && (s[len] == '|' || !s[len]))
			return true;
	return false;
}

/* ---- options --------------------------------------------------------------------------------- */

static const struct cli_opt *find_opt(const struct parser *ps, char letter, const char *name,
				      size_t len)
{
	const struct cli_opt *tables[] = { ps->p->cmd ? ps->p->cmd->opts : NULL, cli_global_opts };

	for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
		for (const struct cli_opt *o = tables[t]; o && !opt_end(o); o++) {
			if (letter && o->letter == letter)
				return o;
			if (name && o->name && strlen(o->name) == len &&
			    !strncmp(o->name, name, len))
				return o;
		}
	}
	return NULL;
}

static const struct cli_opt *opt_by_id(const struct cli_cmd *cmd, char id)
{
	for (const struct cli_opt *o = cmd->opts; !opt_end(o); o++)
		if (opt_id(o) == id)
			return o;
	return NULL;
}

static int take_opt(struct parser *ps, const struct cli_opt *o, const char *value, bool is_long)
{
	struct cli_str words = { 0 };
	char id = opt_id(o);

	if (o->value && !value) {
		if (ps->i + 1 >= ps->argc) {
			cli_str_puts(ps->err, "error: a value is required for '");
			opt_words(ps->err, o);
			cli_str_puts(ps->err, "' but none was supplied\n");
			return usage_error(ps);
		}
		value = ps->argv[++ps->i];
	}
	if (o->choices && value && !choice_ok(o->choices, value)) {
		opt_words(&words, o);
		(void)bad_choice(ps, value, cli_str_text(&words), o->choices);
		cli_str_fini(&words);
		return -EINVAL;
	}
	if (!(o->flags & CLI_OPT_MANY) && id != 'h' && cli_has(ps->p, id)) {
		cli_str_puts(ps->err, "error: the argument '");
		opt_words(ps->err, o);
		cli_str_puts(ps->err, "' cannot be used multiple times\n");
		return usage_error(ps);
	}
	if (id == 'h' && o >= cli_global_opts && o < cli_global_opts + 2) {
		ps->p->help = true;
		ps->p->long_help = is_long;
	}
	ps->p->given[ps->p->n_given++] = (struct cli_given){ .id = id, .value = value };
	return 0;
}

static int parse_long(struct parser *ps, const char *word)
{
	const char *name = word + 2, *eq = strchr(name, '=');
	const struct cli_opt *o;

	if (!ps->p->vm && !strcmp(word, "--version")) {
		ps->p->version = true;
		return 0;
	}
	o = find_opt(ps, 0, name, eq ? (size_t)(eq - name) : strlen(name));
	if (!o)
		return unknown_option(ps, word);
	if (eq && !o->value) {
		cli_str_puts(ps->err, "error: unexpected value '");
		quoted(ps, eq + 1);
		cli_str_printf(ps->err, "' for '--%s' found; no more were expected\n", o->name);
		return usage_error(ps);
	}
	return take_opt(ps, o, eq ? eq + 1 : NULL, true);
}

static int parse_short(struct parser *ps, const char *word)
{
	const struct cli_opt *o;
	int r;

	for (const char *s = word + 1; *s; s++) {
		if (!ps->p->vm && s[0] == 'V' && !s[1]) {
			ps->p->version = true;
			return 0;
		}
		o = find_opt(ps, *s, NULL, 0);
		if (!o) {
			char one[3] = { '-', *s, 0 };

			return unknown_option(ps, one);
		}
		if (o->value && s[1])
			return take_opt(ps, o, s[1] == '=' ? s + 2 : s + 1, false);
		r = take_opt(ps, o, NULL, false);
		if (r < 0 || o->value)
			return r;
	}
	return 0;
}

/* ---- arguments ------------------------------------------------------------------------------- */

static int take_arg(struct parser *ps, const char *word)
{
	struct cli_parsed *p = ps->p;
	size_t n = n_args(p->cmd);
	const struct cli_arg *arg = NULL;

	if (p->n_pos < n)
		arg = &p->cmd->args[p->n_pos];
	else if (n && p->cmd->args[n - 1].kind >= CLI_ARG_REST)
		arg = &p->cmd->args[n - 1];
	if (!arg)
		return unknown_option(ps, word);
	if (arg->choices && !choice_ok(arg->choices, word))
		return bad_choice(ps, word, arg->name, arg->choices);
	p->pos[p->n_pos++] = word;
	if (n && p->cmd->args[n - 1].kind == CLI_ARG_RAW && p->n_pos >= n - 1)
		ps->only_args = true;
	return 0;
}

static int take_word(struct parser *ps, const char *word)
{
	struct cli_parsed *p = ps->p;
	const struct cli_cmd *cmd;

	if (p->cmd)
		return take_arg(ps, word);
	if (!p->vm) {
		if (!strcmp(word, "help")) {
			p->help = p->long_help = true;
			if (ps->i + 1 < ps->argc) {
				p->cmd = cli_cmd_find(ps->cmds, ps->argv[++ps->i]);
				return p->cmd ? 0 : unknown_command(ps, ps->argv[ps->i]);
			}
			return 0;
		}
		cmd = cli_cmd_find(ps->cmds, word);
		/* A command that needs no VM, or a question about one that does. */
		if (cmd && (cmd->no_vm ||
			    (ps->i + 1 < ps->argc && (!strcmp(ps->argv[ps->i + 1], "--help") ||
						      !strcmp(ps->argv[ps->i + 1], "-h")))))
			p->cmd = cmd;
		else
			p->vm = word;
		return 0;
	}
	p->cmd = cli_cmd_find(ps->cmds, word);
	return p->cmd ? 0 : unknown_command(ps, word);
}

static int check_opts(struct parser *ps)
{
	const struct cli_cmd *cmd = ps->p->cmd;

	for (const struct cli_opt *o = cmd->opts; !opt_end(o); o++) {
		bool has = cli_has(ps->p, opt_id(o));

		if ((!has && o->flags & CLI_OPT_REQUIRED) ||
		    (has && o->needs && !cli_has(ps->p, o->needs))) {
			cli_str_puts(
				ps->err,
				"error: the following required arguments were not provided:\n  ");
			opt_words(ps->err, has ? opt_by_id(cmd, o->needs) : o);
			cli_str_puts(ps->err, "\n");
			return usage_error(ps);
		}
		if (has && o->excludes && cli_has(ps->p, o->excludes)) {
			cli_str_puts(ps->err, "error: the argument '");
			opt_words(ps->err, o);
			cli_str_puts(ps->err, "' cannot be used with '");
			opt_words(ps->err, opt_by_id(cmd, o->excludes));
			cli_str_puts(ps->err, "'\n");
			return usage_error(ps);
		}
	}
	return 0;
}

/* Exactly one option of the group. */
static int check_group(struct parser *ps)
{
	const struct cli_cmd *cmd = ps->p->cmd;
	const struct cli_opt *found = NULL, *o;

	for (const char *id = cmd->group; id && *id; id++) {
		o = opt_by_id(cmd, *id);
		if (!o || !cli_has(ps->p, *id))
			continue;
		if (found) {
			cli_str_puts(ps->err, "error: the argument '");
			opt_words(ps->err, found);
			cli_str_puts(ps->err, "' cannot be used with '");
			opt_words(ps->err, o);
			cli_str_puts(ps->err, "'\n");
			return usage_error(ps);
		}
		found = o;
	}
	if (!cmd->group || found)
		return 0;
	cli_str_puts(ps->err, "error: the following required arguments were not provided:\n  <");
	for (const char *id = cmd->group; *id; id++) {
		cli_str_puts(ps->err, id > cmd->group ? "|" : "");
		opt_words(ps->err, opt_by_id(cmd, *id));
	}
	cli_str_puts(ps->err, ">\n");
	return usage_error(ps);
}

static int check_args(struct parser *ps)
{
	const struct cli_parsed *p = ps->p;
	size_t n = n_args(p->cmd);

	for (size_t i = p->n_pos; i < n; i++) {
		if (p->cmd->args[i].kind == CLI_ARG_ONE) {
			cli_str_printf(ps->err,
				       "error: the following required arguments were not "
				       "provided:\n  <%s>\n",
				       p->cmd->args[i].name);
			return usage_error(ps);
		}
	}
	return 0;
}

static int check_all(struct parser *ps)
{
	struct cli_parsed *p = ps->p;
	int r;

	if (p->help || p->version)
		return 0;
	if (!p->cmd) {
		if (!p->vm)
			cli_str_puts(ps->err,
				     "error: the following required arguments were not provided:\n"
				     "  <VM>\n");
		else
			cli_str_puts(ps->err, "error: 'keeldiag' requires a subcommand but one was "
					      "not provided\n");
		return usage_error(ps);
	}
	r = check_opts(ps);
	if (!r)
		r = check_group(ps);
	return r ? r : check_args(ps);
}

/* "--" ends the options. Before the arguments of another program it is dropped once, in them it is
 * theirs. */
static bool is_end_of_options(const struct parser *ps, const char *word)
{
	if (strcmp(word, "--"))
		return false;
	if (!ps->only_args)
		return true;
	for (size_t i = 0; i < ps->p->n_pos; i++)
		if (i && ps->p->pos[i][0] == '-')
			return false;
	return true;
}

int cli_parse(const struct cli_cmd *cmds, int argc, char *const *argv, struct cli_str *err,
	      struct cli_parsed *ret_parsed)
{
	struct cli_parsed p = { 0 };
	struct parser ps = { .cmds = cmds, .argc = argc, .argv = argv, .err = err, .p = &p };
	bool ended = false;
	size_t room = 1;
	int r = 0;

	for (int i = 0; i < argc; i++)
		room += 1 + strlen(argv[i]); /* joined letters count one by one */
	p.given = calloc(room, sizeof(*p.given));
	p.pos = calloc((size_t)argc + 1, sizeof(*p.pos));
	if (!p.given || !p.pos)
		r = -ENOMEM;
	for (ps.i = 1; !r && ps.i < argc; ps.i++) {
		const char *word = argv[ps.i];

		if (!ended && is_end_of_options(&ps, word)) {
			ended = true;
			ps.only_args = true;
		} else if (!ps.only_args && word[0] == '-' && word[1] == '-') {
			r = parse_long(&ps, word);
		} else if (!ps.only_args && word[0] == '-' && word[1]) {
			r = parse_short(&ps, word);
		} else {
			r = take_word(&ps, word);
		}
	}
	p.json = !r && cli_has(&p, 'j');
	if (!r)
		r = check_all(&ps);
	if (r) {
		cli_parsed_fini(&p);
		return r;
	}
	*ret_parsed = p;
	return 0;
}

void cli_parsed_fini(struct cli_parsed *parsed)
{
	free(parsed->given);
	free(parsed->pos);
	*parsed = (struct cli_parsed){ 0 };
}

/* ---- answers --------------------------------------------------------------------------------- */

bool cli_has(const struct cli_parsed *p, char id)
{
	for (size_t i = 0; i < p->n_given; i++)
		if (p->given[i].id == id)
			return true;
	return false;
}

const char *cli_value(const struct cli_parsed *p, char id)
{
	const struct cli_opt *o;

	for (size_t i = p->n_given; i > 0; i--)
		if (p->given[i - 1].id == id)
			return p->given[i - 1].value;
	o = p->cmd ? opt_by_id(p->cmd, id) : NULL;
	return o ? o->def : NULL;
}

const char *cli_pos(const struct cli_parsed *p, size_t i)
{
	if (i < p->n_pos)
		return p->pos[i];
	return i < n_args(p->cmd) ? p->cmd->args[i].def : NULL;
}

int cli_number(const char *text, uint64_t min, uint64_t max, const char *what, struct cli_err *err,
	       uint64_t *ret_val)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text < '0' || *text > '9' || v < min || v > max) {
		(void)cli_err_set(err, "%s must be a number from %llu to %llu, not '%.64s'", what,
				  (unsigned long long)min, (unsigned long long)max, text);
		return -1;
	}
	*ret_val = v;
	return 0;
}

int cli_seconds(const char *text, double min, double max, const char *what, struct cli_err *err,
		double *ret_val)
{
	double v;
	char *end;

	errno = 0;
	v = strtod(text, &end);
	if (*end == 's' && !end[1])
		end++;
	if (errno || end == text || *end || !isfinite(v) || v < min || v > max) {
		(void)cli_err_set(err, "%s must be seconds from %g to %g, not '%.64s'", what, min,
				  max, text);
		return -1;
	}
	*ret_val = v;
	return 0;
}
