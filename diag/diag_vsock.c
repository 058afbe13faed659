/* SPDX-License-Identifier: MIT */
#include "diag_server.h"

#include "cleanup.h"

#include <errno.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h>

/* The original's is 4; the kernel drops what comes on top without an answer. */
#define BACKLOG 16

int diag_vsock_listen(uint32_t port, int *ret_fd)
{
	const struct sockaddr_vm sa = { .svm_family = AF_VSOCK,
					.svm_port = port,
					.svm_cid = VMADDR_CID_ANY };
	auto_close int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}
