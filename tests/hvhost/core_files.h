/* SPDX-License-Identifier: MIT */
/*
 * Where crash files end up: takes the records of core_stream.h apart, writes each file into one
 * folder under a name of its own, looks a core over when it is complete, and says in one sentence
 * what came. Bounded in number and size; a full disk ends a file, not the run.
 * Trust: the stream's writer is ours, what it carries is VTL2's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core_stream.h"
#include "macros.h"

struct core_files {
	const char *dir;
	void (*tell)(void *ctx, const char *sentence);
	void *ctx;
	uint8_t head[CORE_RECORD_HEAD];
	size_t head_len;
	uint32_t left; /* payload bytes of this record that are still to come */
	uint32_t text_len;
	char text[16]; /* payload of BEGIN and END */
	bool lost; /* the stream made no sense: the rest is ignored */
	int fd;
	bool is_core, failed;
	char path[4096];
	uint64_t bytes, total;
	unsigned n;
};

/* @dir: made when the first file comes. @tell: one line per file. */
void core_files_init(struct core_files *cf, const char *dir,
		     void (*tell)(void *ctx, const char *sentence), void *ctx);

/* Bytes of the stream, in any pieces. */
void core_files_data(struct core_files *cf, const uint8_t *buf, size_t len);

/* The stream ended: a file that is not finished is kept and called partial. */
void core_files_end(struct core_files *cf);
