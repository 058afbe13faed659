/* SPDX-License-Identifier: MIT */
/* The assertions of the test library, for helpers of tests in programs that are no tests: a failed
 * one ends the program. */
#pragma once

#include "bug.h"

#define ck_assert(x) BUG_ON(!(x))
#define ck_assert_uint_eq(a, b) BUG_ON((a) != (b))
#define ck_assert_uint_ne(a, b) BUG_ON((a) == (b))
#define ck_assert_uint_lt(a, b) BUG_ON((a) >= (b))
#define ck_assert_uint_le(a, b) BUG_ON((a) > (b))
#define ck_assert_int_eq(a, b) BUG_ON((a) != (b))
#define ck_assert_ptr_ne(a, b) BUG_ON((a) == (b))
#define ck_assert_ptr_nonnull(a) BUG_ON(!(a))
