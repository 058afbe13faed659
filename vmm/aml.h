/* SPDX-License-Identifier: MIT */
/*
 * A small ACPI machine language encoder: the objects our DSDT needs. Writes into a caller's buffer
 * with a sticky overflow flag. Containers nest up to AML_MAX_DEPTH. Spec: ACPI 6, "ACPI Machine
 * Language", "Resource data types".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "rd.h"

#define AML_MAX_DEPTH 8

struct aml {
	struct wr w;
	uint8_t *open[AML_MAX_DEPTH]; /* where the lengths of open containers go */
	unsigned int depth;
	uint8_t *resources; /* where the length word of an open resource buffer goes */
};

void aml_init(struct aml *a, void *buf, size_t len);

/* Bytes written; 0 when anything overflowed or nesting was wrong. */
size_t aml_end(const struct aml *a);

/* Containers. Names are 4 characters, padded with '_' by the caller; scopes start with '\'. */
void aml_scope(struct aml *a, const char *path);
void aml_device(struct aml *a, const char *name);
void aml_package(struct aml *a, uint8_t n_elements);
void aml_close(struct aml *a);

/* Name(name, ...): the object follows. */
void aml_name(struct aml *a, const char *path);
void aml_name_integer(struct aml *a, const char *path, uint64_t val);
void aml_name_string(struct aml *a, const char *path, const char *text);
/* @id: 3 letters and 4 hex digits, "PNP0501" */
void aml_name_eisaid(struct aml *a, const char *path, const char *id);
void aml_integer(struct aml *a, uint64_t val);

/* Name(_CRS, ResourceTemplate() { ... }) */
void aml_crs_open(struct aml *a);
void aml_crs_close(struct aml *a);
void aml_res_io(struct aml *a, uint16_t base, uint8_t len);
void aml_res_memory32(struct aml *a, uint32_t base, uint32_t len);
/* A producer's window [base, base + len). */
void aml_res_qword_window(struct aml *a, uint64_t base, uint64_t len);
/* Windows of a host bridge: bus numbers, ports; limits included. */
void aml_res_bus_window(struct aml *a, uint8_t first, uint8_t last);
void aml_res_io_window(struct aml *a, uint16_t first, uint16_t last);
void aml_res_interrupt(struct aml *a, uint32_t gsi, bool level);
