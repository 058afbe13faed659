/* SPDX-License-Identifier: MIT */
/*
 * IGVM writer: collects headers and data and produces the file. Equal data blobs are stored once;
 * the result depends on nothing but the calls. Spec: IGVM file format, "Overall layout".
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "igvm_fmt.h"
#include "macros.h"

struct igvm_writer;

/* A writer for a file of IGVM_V1 (x64) or IGVM_V2. Returns NULL when memory is short. */
struct igvm_writer *igvm_writer_create(uint32_t version, uint32_t arch);

/* Release a writer; NULL is allowed. */
void igvm_writer_destroy(struct igvm_writer *w);

/**
 * igvm_writer_add - append one header
 * @body: @len bytes in wire form; a file_off member in it is filled in by the writer
 * @data: file data the header points at, or NULL (file_off becomes 0)
 * @data_len: its length; page data shorter than 4096 is padded with zeros
 * Returns: 0; -ENOMEM; -EINVAL (a kind that has no file_off was given data)
 */
must_check int igvm_writer_add(struct igvm_writer *w, uint32_t type, const void *body, uint32_t len,
			       const void *data, size_t data_len);

/**
 * igvm_writer_finish - lay the file out
 * @ret_file: the bytes, to be freed by the caller
 * Returns: 0; -ENOMEM; -EFBIG (above 4 GiB)
 */
must_check int igvm_writer_finish(struct igvm_writer *w, void **ret_file, size_t *ret_len);
