/* SPDX-License-Identifier: MIT */
/*
 * What `top` and `report` know of a VM: two readings of its tree turned into exits by VP and kind,
 * memory, and rates of everything else that counts. Works with what is there: on a confidential VM
 * most of it is not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli_flat.h"
#include "cli_str.h"
#include "cli_svc.h"

#define MODEL_VPS 256u
#define MODEL_KINDS 48u
#define MODEL_MEM 32u
#define MODEL_RATES 64u
#define MODEL_NAME 96u

struct model_rate {
	char name[MODEL_NAME * 2];
	double rate; /* per second */
	double total;
};

struct model_mem {
	char name[MODEL_NAME];
	double kib;
};

struct cli_model {
	double seconds; /* between the readings */
	size_t n_kinds, n_vps;
	char kind[MODEL_KINDS][MODEL_NAME];
	uint32_t vp[MODEL_VPS];
	double exit_rate[MODEL_VPS][MODEL_KINDS];
	double exit_total[MODEL_VPS][MODEL_KINDS];
	size_t n_mem, n_proc; /* kernel's figures; processes by memory, largest first */
	struct model_mem mem[MODEL_MEM], proc[MODEL_MEM];
	size_t n_rings, n_rates; /* the busiest first */
	struct model_rate ring[MODEL_RATES], rate[MODEL_RATES];
	bool vm_visible; /* is there a vm/ with something in it? */
};

/* One reading of a part of the tree. */
struct cli_reading {
	struct inspect_tree tree;
	struct cli_flat flat;
	uint64_t at_ms;
};

/* Returns: 0; -1 with c->err. Also fails when the node at @path is an error. */
must_check int cli_reading_take(struct cli_ctx *c, const char *path, uint32_t depth,
				struct cli_reading *ret_reading);
void cli_reading_fini(struct cli_reading *reading);

/**
 * cli_model_make - what happened between two readings
 * @last: may be NULL: then all rates are 0
 * Returns: a model, to be freed; NULL: no memory
 */
struct cli_model *cli_model_make(const struct cli_reading *now, const struct cli_reading *last);

double cli_model_kind_rate(const struct cli_model *m, size_t kind);
double cli_model_kind_total(const struct cli_model *m, size_t kind);
double cli_model_vp_rate(const struct cli_model *m, size_t vp);

/* Kinds by rate, then by total, largest first. @ret_order: n_kinds indices. */
void cli_model_kind_order(const struct cli_model *m, size_t ret_order[MODEL_KINDS]);

/* "12.3k", "4.56M": at most 6 characters. */
void cli_short_number(double val, char ret_text[16]);
/* "12.3 MiB" of KiB. */
void cli_short_kib(double kib, char ret_text[24]);
