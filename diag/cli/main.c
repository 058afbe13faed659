/* SPDX-License-Identifier: MIT */
/* keeldiag: the diagnostics client. */
#include "cli_cmds.h"

int main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
