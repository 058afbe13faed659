/* SPDX-License-Identifier: MIT */
/*
 * The two programs of this folder, roles of the one binary:
 *
 *   underhill-crash PID TID SIGNAL NAME   core helper of the kernel ("|... %p %i %s %e"):
 *       ELF core on stdin, to the host over the crash dump channel. UNDERHILL_CRASH_TIMEOUT=seconds
 *       (15), UNDERHILL_CRASH_NO_KMSG, UNDERHILL_CRASH_NO_REDIRECT (leave stdout and stderr),
 *       UNDERHILL_CRASH_VERBOSE.
 *   underhill-dump [-v] PID               ELF core of a live process on stdout, messages on stderr.
 *
 * Both do nothing on a restricted VM. Spec: spec/diag.md 7.1, 7.3.
 */
#pragma once

/* Return the exit status: 0, or 1 and a line that says why. */
int crash_main(int argc, char **argv);
int dump_main(int argc, char **argv);
