/* SPDX-License-Identifier: MIT */
/* What the daemon says about itself; defined by a file that the build makes. */
#pragma once

extern const char build_name[], build_version[];
extern const char build_revision[]; /* of the tree it was built from; "unknown" without git */
