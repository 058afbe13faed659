/* SPDX-License-Identifier: MIT */
/* The registers of the NVMe controller; for its own files. */
#pragma once

#include "nvme_priv.h"

/* Make the PCI function of a controller whose cfg is there. Returns: 0, -errno. */
must_check int nvme_regs_create(struct nvme_ctrl *c);
