/* SPDX-License-Identifier: MIT */
#include "hvcall_retarget.h"

#include <errno.h>
#include <string.h>

#include "ckd.h"
#include "hvcall.h"

#define BANKS 64u
#define NONE UINT32_MAX

/* The first processor of a word of the mask; false: one of them does not exist. */
static bool look_at_bank(const struct vcpu_env *env, uint32_t bank, uint64_t mask, uint32_t *io_vp)
{
	const uint32_t base = bank * 64;
	const uint64_t there = base >= env->n_vps	 ? 0
			       : env->n_vps - base >= 64 ? UINT64_MAX
							 : BIT(env->n_vps - base) - 1;

	if (mask & ~there)
		return false;
	if (mask && *io_vp == NONE)
		*io_vp = base + (uint32_t)__builtin_ctzll(mask);
	return true;
}

/* Format, mask of banks, the banks; what was not handed over does not count. */
static bool look_at_set(const struct vcpu_env *env, const uint8_t *in, size_t len, uint64_t format,
			uint32_t *io_vp)
{
	size_t off = sizeof(struct hv_retarget_in);
	uint64_t valid, bank;

	if (format == HV_VPSET_ALL) {
		*io_vp = 0;
		return true;
	}
	if (format != HV_VPSET_SPARSE_4K || !range_ok(off, sizeof(valid), len))
		return false;
	memcpy(&valid, in + off, sizeof(valid));
	for (uint32_t i = 0; i < BANKS; i++) {
		if (!(valid & BIT(i)))
			continue;
		off += sizeof(bank);
		if (!range_ok(off, sizeof(bank), len))
			return false;
		memcpy(&bank, in + off, sizeof(bank));
		if (!look_at_bank(env, i, bank, io_vp))
			return false;
	}
	return true;
}

uint16_t hvcall_retarget(const struct vcpu_env *env, const void *in, size_t len)
{
	struct hv_retarget_in r;
	uint32_t vp = NONE;
	bool ok;

	if (!env->retarget || len < sizeof(r))
		return HV_INVALID_DEVICE_ID;
	memcpy(&r, in, sizeof(r));
	if (r.partition != HV_PARTITION_SELF)
		return HV_INVALID_PARTITION_ID;
	if (r.flags & HV_RETARGET_SET)
		ok = look_at_set(env, in, len, r.mask, &vp);
	else
		ok = look_at_bank(env, 0, r.mask, &vp);
	if (r.source != HV_RETARGET_SOURCE_MSI || !ok || vp == NONE)
		return HV_INVALID_PARAMETER;
	switch (env->retarget(env->ctx, r.device_id, r.address, r.data, r.vector, vp)) {
	case 0:
		return HV_OK;
	case -ENOENT:
		return HV_INVALID_DEVICE_ID;
	default:
		return HV_INVALID_PARAMETER;
	}
}
