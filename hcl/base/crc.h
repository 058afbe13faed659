/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

/**
 * crc32_update - CRC-32 (IEEE 802.3, reflected 0xEDB88320) over a buffer
 * @crc: 0 to start, or the result of an earlier call to continue
 * Returns: the checksum of everything so far. Freestanding, any thread.
 * Spec: IGVM file format (checksum, initrd_crc).
 */
uint32_t crc32_update(uint32_t crc, const void *buf, size_t len);
