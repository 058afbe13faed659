/* SPDX-License-Identifier: MIT */
/*
 * The role *vm*: everything of the daemon that concerns VTL0 and its devices. It is started by the
 * role *control* with a socket (role_proto.h) and ends when that does.
 */
#pragma once

/* Runs until the VM ends. Returns: enum daemon_exit */
int vm_role_main(int argc, char **argv);
