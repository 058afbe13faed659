/* SPDX-License-Identifier: MIT */
/*
 * Copies that survive a fault: machine code between two labels that the signal handler of gmem.c
 * knows. A fault anywhere between them continues at trycopy_fault, which makes the routine return
 * -EFAULT. The routines touch no stack and save no registers, so that is always right.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

extern const char trycopy_begin[], trycopy_end[], trycopy_fault[];

/**
 * trycopy_mem / trycopy_zero - copy or clear
 * Lengths 1, 2, 4 and 8 are one access of that size. Returns: 0, -EFAULT. Any thread.
 */
int trycopy_mem(void *dst, const void *src, size_t len);
int trycopy_zero(void *dst, size_t len);

/**
 * trycopy_cmpxchg - atomic compare and exchange of 1, 2, 4 or 8 aligned bytes
 * @size: caller has checked it
 * @expected: in: value expected; out (unless -EFAULT): value found, in the low bytes
 * Returns: 1 exchanged, 0 not, -EFAULT
 */
int trycopy_cmpxchg(void *dst, uint64_t *expected, uint64_t desired, unsigned size);
