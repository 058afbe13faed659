/* SPDX-License-Identifier: MIT */
/* Every command with its options. Letters of options that have none on the command line are only
 * how the program asks for them. */
#include "cli_cmds.h"

#define OPT_OUTPUT                                                                                 \
	{                                                                                          \
		'o', NULL, "OUTPUT", "The output file. Defaults to stdout", 0, 0, 0, 0, NULL, NULL \
	}
#define OPT_PID(help_text)                               \
	{                                                \
		'p', "pid", "PID", help_text, 0, 0, 'p', \
	}
#define OPT_NAME(help_text)                                \
	{                                                  \
		'n', "name", "NAME", help_text, 0, 0, 'n', \
	}
#define OPT_PERIOD                                                                              \
	{                                                                                       \
		0, "period", "SECONDS", "Seconds between two readings", 0, 0, 'P', 0, "1", NULL \
	}
#define OPT_COUNT                                                                   \
	{                                                                           \
		0, "count", "N", "Stop after N readings", 0, 0, 'C', 0, NULL, NULL, \
	}

const struct cli_cmd cli_cmds[] = {
	{
		.name = "shell",
		.about = "Starts an interactive terminal in VTL2",
		.args = { { "SHELL", "The shell process to start", CLI_ARG_MAYBE, "/bin/sh", NULL },
			  { "ARGS", "The arguments to pass to the shell process", CLI_ARG_RAW, NULL,
			    NULL } },
		.run = cmd_shell,
	},
	{
		.name = "run",
		.about = "Runs a process in VTL2",
		.more = "Input and output are connected; the exit status is the process's.\n"
			"With --json every line of output becomes an event, the last one has the exit\n"
			"status.",
		.args = { { "COMMAND", "The command to run", CLI_ARG_ONE, NULL, NULL },
			  { "ARGS", "Arguments to pass to the command", CLI_ARG_RAW, NULL, NULL } },
		.run = cmd_run,
	},
	{
		.name = "inspect",
		.alias = "i",
		.about = "Inspects the VM's state in VTL2",
		.more = "Paths look like a/b/c. Directories that were not asked for appear as '_'.",
		.opts = {
			{ 'r', NULL, NULL, "Recursively enumerate child nodes" },
			{ 'l', "limit", "LIMIT", "Limit the recursive inspection depth", 'r' },
			{ 'j', "json", NULL, "Output in JSON format" },
			{ 'p', NULL, NULL, "Poll periodically: counters become rates per second" },
			{ 0, "period", "PERIOD", "The poll period in seconds", 'p', 0, 'P', 0,
			  "1" },
			{ 0, "count", "COUNT", "The count of polls", 'p', 0, 'C' },
			{ 'u', "update", "UPDATE", "Update the path with a new value", 0, 'r' },
			{ 't', NULL, "TIMEOUT",
			  "Seconds to wait for the inspection. 0 means no timeout", 0, 'u', 0, 0, "1" },
		},
		.args = { { "PATH", "The path to inspect", CLI_ARG_MAYBE, NULL, NULL } },
		.run = cmd_inspect,
	},
	{
		.name = "update",
		.about = "Updates an inspectable value",
		.args = { { "PATH", "The path", CLI_ARG_ONE, NULL, NULL },
			  { "VALUE", "The new value", CLI_ARG_ONE, NULL, NULL } },
		.hidden = true,
		.run = cmd_update,
	},
	{
		.name = "start",
		.about = "Starts the VM if it's waiting for the signal to start",
		.more = "The VM must have been started with OPENHCL_WAIT_FOR_START set.",
		.opts = {
			{ 'e', "env", "ENV", "Environment variables to set, in the form X=Y", 0, 0,
			  0,			  CLI_OPT_MANY },
			{ 'u', "unset", "UNSET", "Environment variables to clear", 0, 0, 0,
			  CLI_OPT_MANY },
		},
		.args = { { "ARGS", "Extra command line arguments to append", CLI_ARG_REST, NULL,
			    NULL } },
		.run = cmd_start,
	},
	{
		.name = "kmsg",
		.about = "Writes the contents of the kernel message buffer, /dev/kmsg",
		.opts = {
			{ 'f', "follow", NULL,
			  "Keep waiting for and writing new data as it's logged" },
			{ 'r', "reconnect", NULL,
			  "Reconnect (retrying indefinitely) whenever the connection is lost" },
			{ 'v', "verbose", NULL,
			  "Write verbose information about the connection state" },
		},
		.run = cmd_kmsg,
	},
	{
		.name = "file",
		.about = "Writes the contents of the file",
		.opts = {
			{ 'f', "follow", NULL,
			  "Keep waiting for and writing new data as it's logged" },
			{ 'p', "file-path", "FILE_PATH", "The file in VTL2", 0, 0, 0,
			  CLI_OPT_REQUIRED },
		},
		.run = cmd_file,
	},
	{
		.name = "gdbserver",
		.about = "Starts GDB server on stdio",
		.more = "Use this with gdb's target command:\n\n"
			"    target remote |keeldiag PATH gdbserver\n\n"
			"Or for multi-process debugging:\n\n"
			"    target extended-remote |keeldiag PATH gdbserver --multi",
		.opts = {
			{ 0, "pid", "PID", "The pid to attach to; default: the control process",
			  0, 0,
			  'p' },
			{ 0, "multi", NULL,
			  "Use multi-process debugging, for use with gdb's extended-remote", 0, 'p',
			  'm' },
		},
		.run = cmd_gdbserver,
	},
	{
		.name = "gdbstub",
		.about = "Starts the GDB stub for debugging the guest on stdio",
		.more = "Use this with gdb's target command:\n\n"
			"    target remote |keeldiag PATH gdbstub",
		.opts = { { 'p', "port", "PORT", "The vsock port", 0, 0, 0, 0, "4" } },
		.run = cmd_gdbstub,
	},
	{
		.name = "crash",
		.about = "Crashes a process of VTL2",
		.opts = { OPT_PID("PID of the process to crash"),
			  OPT_NAME("Name of the process to crash") },
		.args = { { "CRASH_TYPE", "Type of crash: panic", CLI_ARG_ONE, NULL, "panic" } },
		.group = "pn",
		.run = cmd_crash,
	},
	{
		.name = "core-dump",
		.about = "Streams the ELF core dump file of a process to the host",
		.opts = { { 'v', "verbose", NULL, "Enable verbose output" },
			  OPT_PID("PID of the process to dump"),
			  OPT_NAME("Name of the process to dump") },
		.args = { { "DST",
			    "Destination file path. If omitted, the data is written to the standard "
			    "output unless it is a terminal",
			    CLI_ARG_MAYBE, NULL, NULL } },
		.group = "pn",
		.run = cmd_core_dump,
	},
	{
		.name = "restart",
		.about = "Restarts the VM worker process, keeping VTL0 running",
		.run = cmd_restart,
	},
	{
		.name = "perf-trace",
		.about = "Get the current contents of the performance trace buffer",
		.opts = { OPT_OUTPUT },
		.run = cmd_perf_trace,
	},
	{
		.name = "vsock-tcp-relay",
		.about = "Sets up a relay between a virtual socket and a TCP client on the host",
		.opts = { { 0, "allow-remote", NULL, "Listen on all addresses", 0, 0, 'a' },
			  { 'r', "reconnect", NULL,
			    "Wait for the next client whenever a connection is lost" } },
		.args = { { "VSOCK_PORT", "Port in VTL2", CLI_ARG_ONE, NULL, NULL },
			  { "TCP_PORT", "Port on the host", CLI_ARG_ONE, NULL, NULL } },
		.run = cmd_vsock_tcp_relay,
	},
	{ .name = "pause", .about = "Pause the VM (including all devices)", .run = cmd_pause },
	{ .name = "resume", .about = "Resume the VM", .run = cmd_resume },
	{
		.name = "dump-saved-state",
		.about = "Dumps the VM's VTL2 state without servicing or tearing down VTL2",
		.opts = { OPT_OUTPUT },
		.run = cmd_dump_saved_state,
	},
	{
		.name = "packet-capture",
		.about = "Starts a network packet capture trace",
		.opts = {
			{ 'w', NULL, "OUTPUT",
			  "Destination file path. The NIC's index is appended to the file name", 0, 0, 0,
			  0, "nic" },
			{ 'G', "seconds", "SECONDS", "How long to capture packets", 0,
			  0, 0, 0, "60" },
			{ 's', NULL, "SNAPLEN", "Length of the packet to capture", 0, 0, 0, 0,
			  "65535" },
		},
		.run = cmd_packet_capture,
	},
	{
		.name = "memory-profile-trace",
		.about = "Memory usage profile tracing",
		.opts = { OPT_PID("PID of the process to collect the trace for"),
			  OPT_NAME("Name of the process"), OPT_OUTPUT },
		.group = "pn",
		.run = cmd_memory_profile_trace,
	},
	{
		.name = "efi-diagnostics",
		.about = "Processes EFI diagnostics from guest memory and outputs the logs",
		.args = { { "LOG_LEVEL",
			    "Which entries: default (errors and warnings), info (and information), full",
			    CLI_ARG_ONE, NULL, "default|info|full" },
			  { "OUTPUT", "Where they go: stdout, tracing", CLI_ARG_ONE, NULL,
			    "stdout|tracing" } },
		.run = cmd_efi_diagnostics,
	},
	{
		.name = "watch",
		.about = "Shows a part of the tree again and again, what changed highlighted",
		.more = "Counters show their rate, too. On a terminal the picture stays\n"
			"in place (q ends it); otherwise one line per changed value.",
		.opts = { OPT_PERIOD, OPT_COUNT,
			  { 'l', "limit", "LIMIT", "Limit the depth", 0, 0, 0, 0, NULL },
			  { 'a', "all", NULL, "Show the values that did not change, too" } },
		.args = { { "PATH", "The path to watch", CLI_ARG_MAYBE, NULL, NULL } },
		.extra = true,
		.run = cmd_watch,
	},
	{
		.name = "tree",
		.about = "Browses the tree on the terminal",
		.more = "Arrows or h j k l move, / searches, n goes on, e changes a value,\n"
			"r reads again, a reads again by itself, ? shows all keys, q ends.",
		.opts = { OPT_PERIOD },
		.args = { { "PATH", "Where to start", CLI_ARG_MAYBE, NULL, NULL } },
		.extra = true,
		.run = cmd_tree,
	},
	{
		.name = "top",
		.about = "Shows exits per second by VP and kind, memory and rings",
		.opts = { OPT_PERIOD, OPT_COUNT },
		.extra = true,
		.run = cmd_top,
	},
	{
		.name = "report",
		.about = "Samples the VM and writes one HTML page with charts",
		.more = "The page needs nothing but itself: it opens offline, in any browser.",
		.opts = {
			{ 'd', "duration", "SECONDS", "How long to sample", 0, 0, 0, 0, "10" },
			{ 0, "period", "SECONDS", "Seconds between two samples", 0, 0, 'P', 0,
			  "1" },
			{ 'o', "output", "FILE", "The page", 0, 0, 0, 0, "keeldiag-report.html" },
		},
		.extra = true,
		.run = cmd_report,
	},
	{
		.name = "completion",
		.alias = "completions",
		.about = "Prints a completion script for a shell",
		.more = "bash: source <(keeldiag completion bash)\n"
			"zsh:  source <(keeldiag completion zsh)\n"
			"fish: keeldiag completion fish | source",
		.args = { { "SHELL", "bash, zsh or fish", CLI_ARG_ONE, NULL, "bash|zsh|fish" } },
		.no_vm = true,
		.extra = true,
		.run = cmd_completion,
	},
	{
		.name = "complete",
		.about = "Words that may follow, for the completion scripts",
		.args = { { "WORDS", "The command line so far", CLI_ARG_RAW, NULL, NULL } },
		.hidden = true,
		.no_vm = true,
		.run = cmd_complete,
	},
	{ 0 },
};
