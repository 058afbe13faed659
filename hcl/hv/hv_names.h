/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

/* Names of protocol values for logs and inspection; "?" for unknown values. Any thread. */
const char *hv_call_name(uint16_t code);
const char *hv_status_name(uint16_t status);
const char *hv_message_name(uint32_t type);
const char *hv_register_name(uint32_t reg);
