/* SPDX-License-Identifier: MIT */
/* What changes the VM's state: start, crash, restart, pause, resume. */
#include "cli_cmds.h"

#include <diag.pb-c.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

int cmd_ok(struct cli_ctx *c)
{
	if (c->json)
		printf("{\"ok\":true}\n");
	return 0;
}

int cmd_start(struct cli_ctx *c)
{
	Diag__StartRequest req = DIAG__START_REQUEST__INIT;
	const struct cli_parsed *p = c->args;
	auto_free Diag__EnvPair *pairs = NULL;
	auto_free Diag__EnvPair **list = NULL;
	size_t n = 0;
	int r = -1;

	pairs = calloc(p->n_given + 1, sizeof(*pairs));
	list = calloc(p->n_given + 1, sizeof(*list));
	if (!pairs || !list)
		return cli_err_os(&c->err, ENOMEM);
	/* All that set first, then all that unset. */
	for (const char *id = "eu"; *id; id++) {
		for (size_t i = 0; i < p->n_given; i++) {
			const char *word = p->given[i].value;
			const char *eq =
				*id == 'e' && p->given[i].id == 'e' ? strchr(word, '=') : NULL;

			if (p->given[i].id != *id)
				continue;
			if (*id == 'e' && !eq) {
				(void)cli_err_set(&c->err,
						  "bad environment variable, expected VAR=value");
				goto out;
			}
			diag__env_pair__init(&pairs[n]);
			pairs[n].name = eq ? strndup(word, (size_t)(eq - word)) : strdup(word);
			if (eq) {
				pairs[n].value = (char *)(uintptr_t)(eq + 1);
				pairs[n].has_value_case = DIAG__ENV_PAIR__HAS_VALUE_VALUE;
			}
			list[n] = &pairs[n];
			n++;
		}
	}
	req.env = list;
	req.n_env = n;
	req.args = (char **)(uintptr_t)p->pos;
	req.n_args = p->n_pos;
	r = svc_call(c, SVC_UNDERHILL, "Start", &req.base, 0, NULL, NULL);
out:
	for (size_t i = 0; i < n; i++)
		free(pairs[i].name);
	return r < 0 ? -1 : cmd_ok(c);
}

int cmd_crash(struct cli_ctx *c)
{
	Diag__CrashRequest req = DIAG__CRASH_REQUEST__INIT;

	if (svc_pid_arg(c, &req.pid) < 0)
		return -1;
	printf(c->json ? "{\"pid\":%d}\n" : "Crashing PID: %d\n", req.pid);
	(void)fflush(stdout);
	/* Nobody may be left to answer. */
	(void)!svc_call(c, SVC_UNDERHILL, "Crash", &req.base, 0, NULL, NULL);
	return 0;
}

int cmd_restart(struct cli_ctx *c)
{
	return svc_simple(c, SVC_UNDERHILL, "Restart") < 0 ? -1 : cmd_ok(c);
}

int cmd_pause(struct cli_ctx *c)
{
	return svc_simple(c, SVC_UNDERHILL, "Pause") < 0 ? -1 : cmd_ok(c);
}

int cmd_resume(struct cli_ctx *c)
{
	return svc_simple(c, SVC_UNDERHILL, "Resume") < 0 ? -1 : cmd_ok(c);
}
