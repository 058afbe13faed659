/* SPDX-License-Identifier: MIT */
/*
 * The role *control*, which PID 1 starts: it takes the decision about confidentiality, owns the
 * host's log channel and the diagnostics sockets, starts the role *vm* and watches over it. When
 * that ends, for whatever reason, this ends too, and with it VTL2.
 */
#pragma once

/* Returns: enum daemon_exit, that of the vm role where it has one. */
int control_main(int argc, char **argv);
