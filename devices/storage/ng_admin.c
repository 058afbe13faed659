/* SPDX-License-Identifier: MIT */
#include "ng_admin.h"

#include <errno.h>
#include <linux/nvme_ioctl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ADMIN_TIMEOUT_MS 10000u

/* Returns: 0, -errno, -EIO for a status of the device. */
static int admin(int fd, struct nvme_passthru_cmd *cmd)
{
	long r;

	cmd->timeout_ms = ADMIN_TIMEOUT_MS;
	/* The C libraries do not agree on the type of an ioctl's number. */
	r = syscall(SYS_ioctl, fd, (unsigned long)NVME_IOCTL_ADMIN_CMD, cmd);
	if (r < 0)
		return -errno;
	return r ? -EIO : 0;
}

int ng_admin_nsid(int fd, uint32_t *ret_nsid)
{
	long r = syscall(SYS_ioctl, fd, (unsigned long)NVME_IOCTL_ID, NULL);

	if (r < 0)
		return -errno;
	*ret_nsid = (uint32_t)r;
	return 0;
}

int ng_admin_identify(int fd, enum nvme_cns cns, uint32_t nsid,
		      uint8_t ret_data[NVME_IDENTIFY_BYTES])
{
	struct nvme_passthru_cmd cmd = {
		.opcode = NVME_ADM_IDENTIFY,
		.nsid = nsid,
		.addr = (uintptr_t)ret_data,
		.data_len = NVME_IDENTIFY_BYTES,
		.cdw10 = cns,
	};

	memset(ret_data, 0, NVME_IDENTIFY_BYTES);
	return admin(fd, &cmd);
}

int ng_admin_feature(int fd, enum nvme_feature id, uint32_t *ret_value)
{
	struct nvme_passthru_cmd cmd = { .opcode = NVME_ADM_GET_FEATURES, .cdw10 = id };
	int r = admin(fd, &cmd);

	if (r == 0)
		*ret_value = cmd.result;
	return r;
}
