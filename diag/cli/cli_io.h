/* SPDX-License-Identifier: MIT */
/* Bytes from one descriptor to another, and text of a VM line by line. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "cli_err.h"
#include "cli_str.h"
#include "cli_svc.h"
#include "macros.h"

#define CLI_IO_CHUNK 65536u

/* Write all of it. Returns: 0; -errno. */
must_check int cli_write_all(int fd, const void *data, size_t len);

/* Read what is there. Returns: bytes; 0: the end (a reset counts as one); -errno */
must_check ssize_t cli_read_some(int fd, void *ret_buf, size_t len);

/**
 * cli_copy - everything from one descriptor to the other
 * @what: context of an error
 * @ret_bytes: how much it was; may be NULL
 * Returns: 0; -1
 */
must_check int cli_copy(int from, int to, const char *what, struct cli_err *err,
			uint64_t *ret_bytes);

/*
 * Where a stream of a VM goes: to a descriptor as it is, as cleaned text, or as JSON events
 * {"stream":NAME,"data":TEXT}, one for each line.
 */
struct cli_sink {
	int fd;
	const char *name;
	enum { CLI_SINK_RAW, CLI_SINK_TEXT, CLI_SINK_JSON } kind;
	struct cli_str line; /* what has arrived of a line */
};

/* Returns: 0; -errno. @len 0: the end of the stream. */
must_check int cli_sink_put(struct cli_sink *sink, const char *data, size_t len);
void cli_sink_fini(struct cli_sink *sink);

/**
 * cli_stdio - connect a program in VTL2 to this one until its output ends
 * @out, @err: where its output and errors go
 * @out_only: the end of the output is the end, errors are not looked at (a terminal)
 * Returns: 0; -1
 */
must_check int cli_stdio(struct cli_ctx *c, struct svc_proc *proc, struct cli_sink *out,
			 struct cli_sink *err, bool out_only);

/**
 * cli_relay - bytes both ways, each with its own end, until both have ended
 * @a_in, @a_out: our side; may be the same socket. @sock: the other side
 * @until_sock: the end of @sock ends it all
 * Returns: 0; -errno of a read or write other than a reset
 */
must_check int cli_relay(int a_in, int a_out, int sock, bool until_sock);

/* Open an output file, or standard output when @path is NULL: refused when that is a terminal.
 * Returns: descriptor; -1 */
must_check int cli_output(const char *path, struct cli_err *err);
