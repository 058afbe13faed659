/* SPDX-License-Identifier: MIT */
/* The commands. Each returns an exit status, or -1 with c->err. */
#pragma once

#include "cli_svc.h"

/* All of them; ends with an entry without name. */
extern const struct cli_cmd cli_cmds[];

/* Understand and run one command line. Returns: the exit status. */
int cli_main(int argc, char **argv);

/* Tell that a command without output of its own is done: nothing, or {"ok":true} as JSON. */
int cmd_ok(struct cli_ctx *c);

int cmd_shell(struct cli_ctx *c);
int cmd_run(struct cli_ctx *c);
int cmd_gdbserver(struct cli_ctx *c);
int cmd_core_dump(struct cli_ctx *c);

int cmd_inspect(struct cli_ctx *c);
int cmd_update(struct cli_ctx *c);
int cmd_efi_diagnostics(struct cli_ctx *c);

int cmd_start(struct cli_ctx *c);
int cmd_crash(struct cli_ctx *c);
int cmd_restart(struct cli_ctx *c);
int cmd_pause(struct cli_ctx *c);
int cmd_resume(struct cli_ctx *c);

int cmd_kmsg(struct cli_ctx *c);
int cmd_file(struct cli_ctx *c);
int cmd_perf_trace(struct cli_ctx *c);
int cmd_dump_saved_state(struct cli_ctx *c);
int cmd_memory_profile_trace(struct cli_ctx *c);

int cmd_gdbstub(struct cli_ctx *c);
int cmd_vsock_tcp_relay(struct cli_ctx *c);
int cmd_packet_capture(struct cli_ctx *c);

int cmd_watch(struct cli_ctx *c);
int cmd_tree(struct cli_ctx *c);
int cmd_top(struct cli_ctx *c);
int cmd_report(struct cli_ctx *c);
int cmd_completion(struct cli_ctx *c);
/* Words that may follow, for the completion scripts: "-- WORDS..." */
int cmd_complete(struct cli_ctx *c);
