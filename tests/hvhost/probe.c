/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE_PORT 0x80
#define PROBE_SECONDS 5
#define PTE_FLAGS 0x3ull /* present, writable */
#define PTE_LARGE 0x83ull

static bool cpu_has_virtualization(void)
{
	char line[4096];
	bool found = false;
	FILE *f = fopen("/proc/cpuinfo", "re");

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "flags", 5) == 0)
			found = strstr(line, " vmx") || strstr(line, " svm");
	}
	(void)fclose(f);
	return found;
}

/* Page tables at 0x1000..0x3fff map the first 2 MiB; code at 0x4000:
 * mov rax, 0x123456789abcdef0; shr rax, 60 (gives 1); out 0x80, al; hlt */
static void build_guest(uint8_t *mem)
{
	static const uint8_t code[] = { 0x48, 0xb8, 0xf0, 0xde, 0xbc, 0x9a, 0x78,	0x56, 0x34,
					0x12, 0x48, 0xc1, 0xe8, 0x3c, 0xe6, PROBE_PORT, 0xf4 };
	uint64_t pml4e = 0x2000 | PTE_FLAGS, pdpte = 0x3000 | PTE_FLAGS, pde = PTE_LARGE;

	memcpy(mem + 0x1000, &pml4e, 8);
	memcpy(mem + 0x2000, &pdpte, 8);
	memcpy(mem + 0x3000, &pde, 8);
	memcpy(mem + 0x4000, code, sizeof(code));
}

static int enter_long_mode(int vcpu)
{
	struct kvm_segment code = {
		.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
	};
	struct kvm_segment data = { .limit = 0xffffffff,
				    .selector = 16,
				    .type = 3,
				    .present = 1,
				    .s = 1,
				    .db = 1,
				    .g = 1 };
	struct kvm_regs regs = { .rip = 0x4000, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cr3 = 0x1000;
	sregs.cr4 = 0x20;
	sregs.cr0 = 0x80000001;
	sregs.efer = 0x500;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}

/* In the child: exit status 0 when the guest's port write arrived with the right value. */
static int run_guest(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, vcpu, size;
	uint8_t *mem =
		mmap(NULL, 0x200000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region slot = { .memory_size = 0x200000 };
	struct kvm_run *run;

	if (kvm < 0 || mem == MAP_FAILED)
		return 1;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	slot.userspace_addr = (uintptr_t)mem;
	build_guest(mem);
	if (vm < 0 || size < 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return 1;
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0 || enter_long_mode(vcpu) < 0)
		return 1;
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED || ioctl(vcpu, KVM_RUN, 0) < 0)
		return 1;
	if (run->exit_reason != KVM_EXIT_IO || run->io.port != PROBE_PORT)
		return 1;
	return *((uint8_t *)run + run->io.data_offset) == 1 ? 0 : 1;
}

static bool guest_runs(void)
{
	int status = 1;
	pid_t pid = fork();

	if (pid < 0)
		return false;
	if (pid == 0) {
		(void)alarm(PROBE_SECONDS);
		_exit(run_guest());
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int probe_kvm(const char **ret_why)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		int err = errno;

		*ret_why = err == EACCES ? "/dev/kvm may not be opened (join the kvm group)"
					 : "there is no /dev/kvm";
		return -err;
	}
	(void)close(fd);
	if (!cpu_has_virtualization()) {
		*ret_why =
			"the CPU offers neither VMX nor SVM, so /dev/kvm cannot run ordinary guests";
		return -ENODEV;
	}
	if (!guest_runs()) {
		*ret_why = "/dev/kvm failed to run 64-bit guest code";
		return -EIO;
	}
	return 0;
}
