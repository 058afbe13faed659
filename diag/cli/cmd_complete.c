/* SPDX-License-Identifier: MIT */
/* Completion: the scripts for the shells, and the words they ask for. */
#include "cli_cmds.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cli_conn.h"

#define TIMEOUT_NS 1000000000u

static const char bash_script[] =
	"# Completion of keeldiag for bash.\n"
	"_keeldiag() {\n"
	"	local line\n"
	"	COMPREPLY=()\n"
	"	while IFS= read -r line; do\n"
	"		COMPREPLY+=(\"$line\")\n"
	"	done < <(\"${COMP_WORDS[0]}\" complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
	"	if [ ${#COMPREPLY[@]} -eq 1 ] && [[ ${COMPREPLY[0]} == */ ]]; then\n"
	"		compopt -o nospace\n"
	"	fi\n"
	"}\n"
	"complete -o default -F _keeldiag keeldiag\n";

static const char zsh_script[] =
	"#compdef keeldiag\n"
	"# Completion of keeldiag for zsh.\n"
	"_keeldiag() {\n"
	"	local -a found dirs\n"
	"	found=(\"${(@f)$(\"${words[1]}\" complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
	"	found=(${found:#})\n"
	"	if (( ${#found} == 0 )); then\n"
	"		_files\n"
	"		return\n"
	"	fi\n"
	"	dirs=(${(M)found:#*/})\n"
	"	found=(${found:#*/})\n"
	"	compadd -S '' -a dirs\n"
	"	compadd -a found\n"
	"}\n"
	"if (( $+functions[compdef] )); then compdef _keeldiag keeldiag; fi\n";

static const char fish_script[] = "# Completion of keeldiag for fish.\n"
				  "function __keeldiag_words\n"
				  "	set -l words (commandline -opc) (commandline -ct)\n"
				  "	$words[1] complete -- $words[2..-1] 2>/dev/null\n"
				  "end\n"
				  "complete -c keeldiag -a '(__keeldiag_words)'\n";

int cmd_completion(struct cli_ctx *c)
{
	const char *shell = cli_pos(c->args, 0);

	(void)fputs(!strcmp(shell, "bash")  ? bash_script
		    : !strcmp(shell, "zsh") ? zsh_script
					    : fish_script,
		    stdout);
	return 0;
}

static void offer(const char *word, const char *typed)
{
	if (!strncmp(word, typed, strlen(typed)))
		(void)puts(word);
}

static void offer_choices(const char *choices, const char *typed)
{
	char word[64];

	while (choices && *choices) {
		size_t len = strcspn(choices, "|");

		(void)snprintf(word, sizeof(word), "%.*s", (int)len, choices);
		offer(word, typed);
		choices += len + (choices[len] == '|');
	}
}

static void offer_opts(const struct cli_cmd *cmd, const char *typed)
{
	char word[64];

	for (const struct cli_opt *o = cmd->opts; o->letter || o->name; o++) {
		if (o->name)
			(void)snprintf(word, sizeof(word), "--%s", o->name);
		else
			(void)snprintf(word, sizeof(word), "-%c", o->letter);
		offer(word, typed);
	}
	for (const struct cli_opt *o = cli_global_opts; o->name; o++) {
		(void)snprintf(word, sizeof(word), "--%s", o->name);
		offer(word, typed);
	}
}

/* A VM chooses these names: what a shell would take for more than a word is not offered. */
static bool harmless(const char *name)
{
	return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789_.:@%+,=-")];
}

static int open_vm(struct cli_ctx *c, const char *vm)
{
	c->path = cli_vm_path(vm);
	c->rpc = cli_rpc_create(c->path);
	return c->rpc ? 0 : -1;
}

static void offer_paths(struct cli_ctx *c, const char *vm, const char *typed)
{
	const char *slash = strrchr(typed, '/');
	auto_free char *parent = NULL;
	struct inspect_tree tree;
	const char *rest = slash ? slash + 1 : typed;

	parent = strndup(typed, (size_t)(rest - typed));
	if (!parent || open_vm(c, vm) < 0 || svc_inspect(c, parent, 0, TIMEOUT_NS, &tree) < 0)
		return;
	if (tree.root->kind == INSPECT_DIR)
		for (const struct inspect_node *n = tree.root->child; n; n = n->next)
			if (harmless(n->name) && !strncmp(n->name, rest, strlen(rest)))
				printf("%s%s%s\n", parent, n->name,
				       n->kind == INSPECT_DIR || n->kind == INSPECT_UNEVALUATED
					       ? "/"
					       : "");
	inspect_tree_fini(&tree);
}

/* Names (or numbers) of the processes. */
static void offer_processes(struct cli_ctx *c, const char *vm, const char *typed, bool numbers)
{
	struct inspect_tree tree;

	if (open_vm(c, vm) < 0 || svc_inspect(c, "mesh/hosts", 1, TIMEOUT_NS, &tree) < 0)
		return;
	if (tree.root->kind == INSPECT_DIR) {
		for (const struct inspect_node *p = tree.root->child; p; p = p->next) {
			if (numbers && harmless(p->name))
				offer(p->name, typed);
			for (const struct inspect_node *n = p->kind == INSPECT_DIR ? p->child
										   : NULL;
			     n && !numbers; n = n->next)
				if (!strcmp(n->name, "name") && n->kind == INSPECT_STRING &&
				    harmless(n->str.data))
					offer(n->str.data, typed);
		}
	}
	inspect_tree_fini(&tree);
}

/* The option that the word before waits for a value of. */
static const struct cli_opt *waiting(const struct cli_cmd *cmd, const char *word)
{
	for (const struct cli_opt *o = cmd->opts; o->letter || o->name; o++) {
		if (!o->value)
			continue;
		if (word[0] == '-' && o->letter && word[1] == o->letter && !word[2])
			return o;
		if (!strncmp(word, "--", 2) && o->name && !strcmp(word + 2, o->name))
			return o;
	}
	return NULL;
}

static void offer_arg(struct cli_ctx *c, const struct cli_cmd *cmd, const char *vm,
		      const char *const *words, size_t n)
{
	const char *typed = words[n - 1];
	size_t pos = 0;

	for (size_t i = 0; i + 1 < n; i++) {
		if (words[i][0] != '-')
			pos++;
		else if (waiting(cmd, words[i]))
			i++;
	}
	if (pos >= CLI_ARGS_MAX || !cmd->args[pos].name)
		return;
	if (cmd->args[pos].choices)
		offer_choices(cmd->args[pos].choices, typed);
	else if (!strcmp(cmd->args[pos].name, "PATH"))
		offer_paths(c, vm, typed);
}

/* bash breaks words at ':'; put "vsock:PATH" together again. Returns: words left. */
static size_t join(const char **words, size_t n, char *buf, size_t size)
{
	if (n < 2 || strcmp(words[0], "vsock") || strcmp(words[1], ":"))
		return n;
	(void)snprintf(buf, size, "vsock:%s", n > 2 ? words[2] : "");
	words[0] = buf;
	if (n > 3)
		memmove(words + 1, words + 3, (n - 3) * sizeof(*words));
	return n > 3 ? n - 2 : 1;
}

static void complete(struct cli_ctx *c, const char **words, size_t n)
{
	const char *typed = words[n - 1];
	const struct cli_cmd *cmd, *first = cli_cmd_find(cli_cmds, words[0]);
	const struct cli_opt *opt;
	bool no_vm = first && first->no_vm;

	if (n == 1) {
		if (*typed)
			offer("completion", typed);
		return;
	}
	if (n == 2 && !no_vm) {
		for (cmd = cli_cmds; cmd->name; cmd++)
			if (!cmd->hidden && !cmd->no_vm)
				offer(cmd->name, typed);
		return;
	}
	cmd = no_vm ? first : cli_cmd_find(cli_cmds, words[1]);
	if (!cmd)
		return;
	opt = n > 2 ? waiting(cmd, words[n - 2]) : NULL;
	if (opt && opt->choices)
		offer_choices(opt->choices, typed);
	else if (opt && opt->value && !strcmp(opt->value, "NAME"))
		offer_processes(c, words[0], typed, false);
	else if (opt && opt->value && !strcmp(opt->value, "PID"))
		offer_processes(c, words[0], typed, true);
	else if (!opt && typed[0] == '-')
		offer_opts(cmd, typed);
	else if (!opt)
		offer_arg(c, cmd, words[0], words + (no_vm ? 1 : 2), n - (no_vm ? 1 : 2));
}

int cmd_complete(struct cli_ctx *c)
{
	auto_free const char **words = NULL;
	char vm[256];
	size_t n = c->args->n_pos;

	words = calloc(n + 1, sizeof(*words));
	if (!words || !n)
		return 0;
	memcpy(words, c->args->pos, n * sizeof(*words));
	complete(c, words, join(words, n, vm, sizeof(vm)));
	return 0;
}
