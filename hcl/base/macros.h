/* SPDX-License-Identifier: MIT */
/*
 * The general macros of the project; anything else is an inline function. Freestanding: the boot
 * shim uses this header too.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define BUILD_ASSERT(cond, msg) _Static_assert(cond, msg)
#define BIT(n) (1ull << (n))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

/* Wire struct layout, proven where it is declared: name of the struct and its size in bytes. */
#define WIRE_SIZE(type, bytes) \
	BUILD_ASSERT(sizeof(type) == (bytes), #type " must be " #bytes " bytes")
#define WIRE_OFFSET(type, member, off) \
	BUILD_ASSERT(offsetof(type, member) == (off), #type "." #member " must be at " #off)

#define KEEL_PAGE_SIZE 4096u
#define KEEL_PAGE_SHIFT 12

/* Guest physical address in bytes; guest page number (address / 4096); virtual processor index. */
typedef uint64_t gpa_t;
typedef uint64_t gpn_t;
typedef uint32_t vpidx_t;
