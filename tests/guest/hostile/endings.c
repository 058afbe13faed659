/* SPDX-License-Identifier: MIT */
/* What the guest does last when its command line does not say: one program per ending. */
#include "hostile.h"

const char default_end = HOSTILE_END;
