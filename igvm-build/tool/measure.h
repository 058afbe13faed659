/* SPDX-License-Identifier: MIT */
/* Launch digests of an image, as the platform's loader would compute them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "igvm_read.h"
#include "macros.h"

#define MEASURE_VBS_LEN 32u /* SHA-256 */
#define MEASURE_SNP_LEN 48u /* SHA-384 */
#define MEASURE_TDX_LEN 48u

/**
 * measure_vbs - boot digest of a VSM platform
 * measure_snp - launch digest of SEV-SNP
 * measure_tdx - MRTD
 * @mask: the platform's bit
 * Returns: 0; -ENOMEM (also: the crypto library failed)
 * Spec: igvm-boot, "Measurements". Order is the order of directives in the file.
 */
must_check int measure_vbs(const struct igvm_file *f, uint32_t mask, uint8_t ret[MEASURE_VBS_LEN]);
must_check int measure_snp(const struct igvm_file *f, uint32_t mask, uint8_t ret[MEASURE_SNP_LEN]);
must_check int measure_tdx(const struct igvm_file *f, uint32_t mask, uint8_t ret[MEASURE_TDX_LEN]);
