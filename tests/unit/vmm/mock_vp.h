/* SPDX-License-Identifier: MIT */
/*
 * A hypervisor made of nothing: one VP whose exits are scripted, a register store behind the
 * register calls, a recorder behind hypercalls, and a megabyte of guest memory. For unit tests,
 * fuzzing and the exit benchmark.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bus.h"
#include "gmem.h"
#include "hvc.h"
#include "vcpu.h"

#define MOCK_RAM_BYTES (1u << 20)
#define MOCK_REGS 96
#define MOCK_CALLS 16

struct mock_call {
	uint64_t control;
	uint8_t in[64];
	uint32_t in_len;
};

struct mock_vp {
	struct mshv_run_page *run; /* page aligned */
	struct hv_register_page *page;
	struct vcpu v;
	struct vcpu_env env;
	struct hvc hvc;
	struct bus *bus;
	struct gmem *gm;
	uint8_t *ram;

	/* registers that are not in the pages */
	struct {
		uint32_t name;
		union hv_regval val;
	} regs[MOCK_REGS];
	unsigned int n_regs, reg_gets, reg_sets;

	/* what the next vp_run() does: copies of messages, one per run */
	const struct hv_message *script;
	size_t n_script, at;
	bool script_loops; /* start over instead of -EINTR at the end */
	bool page_valid; /* register page valid at each exit */
	unsigned int runs;

	struct mock_call calls[MOCK_CALLS];
	unsigned int n_calls;
	uint16_t call_status; /* answer of every hypercall */
	uint64_t xlate_gpa_page; /* translation: this page... */
	uint32_t xlate_code; /* ...or this code; event as below */
	struct hv_pending_event xlate_event;

	/* callbacks of the environment */
	unsigned int eois, acks, crashes, triple_faults;
	uint8_t last_eoi;
	struct vtl0_crash last_crash;
	uint32_t apic_ids[4];
};

/* Make everything, with a bus that tests may still claim on (bus_freeze() is theirs). Aborts on
 * failure: nothing here depends on input. */
void mock_vp_init(struct mock_vp *m);
void mock_vp_fini(struct mock_vp *m);

/* The register store, also for names that live in the pages elsewhere. */
union hv_regval *mock_reg(struct mock_vp *m, uint32_t name);
bool mock_has_reg(const struct mock_vp *m, uint32_t name);

/* Put a message into the run page and have it served, as after a real exit. */
void mock_exit(struct mock_vp *m, uint32_t type, const void *payload, uint8_t len);

/* A header for 64-bit code at @rip with an instruction of @ilen bytes. */
struct hv_x64_header mock_header64(uint64_t rip, uint8_t ilen);
