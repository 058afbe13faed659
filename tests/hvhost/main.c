/* SPDX-License-Identifier: MIT */
/* hvhost: a Hyper-V look-alike on Linux/KVM. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"
#include "ctl_front.h"
#include "front.h"
#include "opts.h"
#include "probe.h"

#define STATUS_USAGE 2

static int do_probe(void)
{
	const char *why = NULL;

	if (probe_kvm(&why) == 0) {
		puts("kvm");
		return 0;
	}
	printf("tcg (%s)\n", why);
	return 0;
}

static int do_run(int argc, char **argv)
{
	struct opts opts;
	int r = opts_parse(argc, argv, &opts);

	if (r)
		return r < 0 ? STATUS_USAGE : 0;
	return front_run(&opts);
}

int main(int argc, char **argv)
{
	if (getpid() == 1)
		agent_init();
	if (argc >= 2 && strcmp(argv[1], "run") == 0)
		return do_run(argc - 1, argv + 1);
	if (argc >= 2 && strcmp(argv[1], "probe") == 0)
		return do_probe();
	if (argc >= 2 && strcmp(argv[1], "control") == 0)
		return ctl_front_client(argc - 1, argv + 1);
	fputs("usage: hvhost run --image FILE [options] | hvhost control PATH VERB | hvhost probe\n"
	      "see hvhost run --help\n",
	      argc >= 2 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
	return argc >= 2 && strcmp(argv[1], "--help") == 0 ? 0 : STATUS_USAGE;
}
