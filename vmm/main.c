/* SPDX-License-Identifier: MIT */
/*
 * Entry of the daemon: one binary, several programs, chosen by the name it is started under, or by
 * its first argument. What it expects of its surroundings is written down in daemon_env.h.
 */
#include <stddef.h>
#include <string.h>

#include "control.h"
#include "crash_main.h"
#include "macros.h"
#include "role_proto.h"
#include "vm_role.h"

static const struct role {
	const char *name;
	int (*main)(int argc, char **argv);
} roles[] = {
	{ ROLE_VM_NAME, vm_role_main },
	{ "underhill-crash", crash_main },
	{ "underhill-dump", dump_main },
};

static const struct role *role_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	for (size_t i = 0; i < ARRAY_SIZE(roles); i++) {
		if (!strcmp(slash ? slash + 1 : name, roles[i].name))
			return &roles[i];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	for (int skip = 0; skip < 2 && skip < argc; skip++) {
		const struct role *role = role_of(argv[skip]);

		if (role)
			return role->main(argc - skip, argv + skip);
	}
	return control_main(argc, argv);
}
