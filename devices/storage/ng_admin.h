/* SPDX-License-Identifier: MIT */
/*
 * Admin commands to a real controller, by the kernel's blocking ioctl. Not for threads that serve
 * requests. Trust: answers are the device's: any bytes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "macros.h"
#include "nvme_proto.h"

/* The namespace behind a node /dev/ngXnY. Returns: 0, -errno. */
must_check int ng_admin_nsid(int fd, uint32_t *ret_nsid);

/* Identify data, all of it. Returns: 0, -errno, -EIO: the controller refused. */
must_check int ng_admin_identify(int fd, enum nvme_cns cns, uint32_t nsid,
				 uint8_t ret_data[NVME_IDENTIFY_BYTES]);

/* Current value of a feature. Returns as above. */
must_check int ng_admin_feature(int fd, enum nvme_feature id, uint32_t *ret_value);
