/* SPDX-License-Identifier: MIT */
/* The one function every fuzz target defines. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/**
 * LLVMFuzzerTestOneInput - feed one input to the code under test
 * Returns: 0. Any crash, sanitizer report or hang is a finding.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
