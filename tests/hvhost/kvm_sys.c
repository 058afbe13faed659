/* SPDX-License-Identifier: MIT */
#include "kvm_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hvmsr.h"

#define CPUID_MAX 256
#define HV_MSRS (HVMSR_LAST - HVMSR_FIRST + 1)
#define MSR_MTRR_CAP 0xfe
#define MSR_MTRR_PHYS0 0x200
#define MSR_MTRR_PHYS_COUNT 0x10
#define MSR_MTRR_FIX0 0x250
#define MSR_MTRR_FIX_COUNT 0x20
#define MSR_MTRR_DEF 0x2ff

int kvm_ioctl(int fd, unsigned long req, void *arg)
{
	int r = ioctl(fd, req, arg);

	return r < 0 ? -errno : r;
}

int kvm_ioctl_val(int fd, unsigned long req, unsigned long val)
{
	int r = ioctl(fd, req, val);

	return r < 0 ? -errno : r;
}

static int cap(int fd, unsigned long which)
{
	return kvm_ioctl_val(fd, KVM_CHECK_EXTENSION, which);
}

static int enable(int fd, uint32_t which, uint64_t arg)
{
	struct kvm_enable_cap e = { .cap = which, .args = { arg } };

	return kvm_ioctl(fd, KVM_ENABLE_CAP, &e);
}

/* --- calibration: where does RIP stand at an OUT exit? ---------------------------------------- */

static int calib_run(const struct kvm_sys *sys, int vm, uint8_t *page, uint64_t *ret_rip)
{
	/* 16-bit code at 0: out 0x80, al; hlt */
	static const uint8_t code[] = { 0xe6, 0x80, 0xf4 };
	struct kvm_userspace_memory_region slot = { .memory_size = KEEL_PAGE_SIZE,
						    .userspace_addr = (uintptr_t)page };
	struct kvm_regs regs = { .rflags = 2 };
	struct kvm_sregs sregs;
	struct kvm_cpu cpu;
	int r;

	memcpy(page, code, sizeof(code));
	r = kvm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot);
	if (r == 0)
		r = kvm_cpu_create(sys, vm, 0, &cpu);
	if (r < 0)
		return r;
	r = kvm_ioctl(cpu.fd, KVM_GET_SREGS, &sregs);
	if (r == 0) {
		sregs.cs.base = 0;
		sregs.cs.selector = 0;
		r = kvm_ioctl(cpu.fd, KVM_SET_SREGS, &sregs);
	}
	if (r == 0)
		r = kvm_ioctl(cpu.fd, KVM_SET_REGS, &regs);
	if (r == 0)
		r = kvm_ioctl_val(cpu.fd, KVM_RUN, 0);
	if (r == 0 && (cpu.run->exit_reason != KVM_EXIT_IO || cpu.run->io.port != 0x80))
		r = -EIO;
	if (r == 0)
		r = kvm_ioctl(cpu.fd, KVM_GET_REGS, &regs);
	*ret_rip = regs.rip;
	kvm_cpu_destroy(&cpu);
	return r;
}

static int calibrate(struct kvm_sys *sys)
{
	uint8_t *page = mmap(NULL, KEEL_PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t rip = 0;
	int vm, r;

	if (page == MAP_FAILED)
		return -errno;
	vm = kvm_ioctl_val(sys->fd, KVM_CREATE_VM, 0);
	r = vm < 0 ? vm : calib_run(sys, vm, page, &rip);
	if (vm >= 0)
		(void)close(vm);
	(void)munmap(page, KEEL_PAGE_SIZE);
	if (r < 0)
		return r;
	sys->out_advances = rip == 2;
	return rip == 0 || rip == 2 ? 0 : -EIO;
}

/* --- opening ---------------------------------------------------------------------------------- */

static int check_caps(int fd, const char **ret_why)
{
	static const struct {
		unsigned long cap;
		const char *why;
	} need[] = {
		{ KVM_CAP_SPLIT_IRQCHIP, "this KVM has no split irqchip" },
		{ KVM_CAP_X86_USER_SPACE_MSR, "this KVM cannot hand MSR accesses to user space" },
		{ KVM_CAP_X86_MSR_FILTER, "this KVM has no MSR filter" },
		{ KVM_CAP_SYNC_REGS, "this KVM has no register synchronisation" },
		{ KVM_CAP_IMMEDIATE_EXIT, "this KVM has no immediate_exit" },
		{ KVM_CAP_SIGNAL_MSI, "this KVM has no message-signalled interrupts" },
		{ KVM_CAP_READONLY_MEM, "this KVM has no read-only memory" },
		{ KVM_CAP_X2APIC_API, "this KVM has no 32-bit APIC ids" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(need); i++) {
		if (cap(fd, need[i].cap) <= 0) {
			*ret_why = need[i].why;
			return -ENOTSUP;
		}
	}
	return 0;
}

static int read_cpuid(struct kvm_sys *sys)
{
	sys->cpuid = calloc(1, sizeof(*sys->cpuid) + CPUID_MAX * sizeof(struct kvm_cpuid_entry2));
	if (!sys->cpuid)
		return -ENOMEM;
	sys->cpuid->nent = CPUID_MAX;
	return kvm_ioctl(sys->fd, KVM_GET_SUPPORTED_CPUID, sys->cpuid);
}

int kvm_sys_open(struct kvm_sys *sys, const char **ret_why)
{
	int r;

	*sys = (struct kvm_sys){ .fd = open("/dev/kvm", O_RDWR | O_CLOEXEC) };
	if (sys->fd < 0) {
		*ret_why = "/dev/kvm cannot be opened";
		return -errno;
	}
	r = check_caps(sys->fd, ret_why);
	if (r < 0)
		goto err;
	*ret_why = "KVM refuses basic requests";
	r = kvm_ioctl_val(sys->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (r < 0)
		goto err;
	sys->run_size = (size_t)r;
	r = read_cpuid(sys);
	if (r < 0)
		goto err;
	sys->tsc_deadline = cap(sys->fd, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	*ret_why = "KVM does not run a port access of a test guest";
	r = calibrate(sys);
	if (r < 0)
		goto err;
	return 0;
err:
	kvm_sys_close(sys);
	return r;
}

void kvm_sys_close(struct kvm_sys *sys)
{
	free(sys->cpuid);
	sys->cpuid = NULL;
	if (sys->fd >= 0)
		(void)close(sys->fd);
	sys->fd = -1;
}

/* --- VMs -------------------------------------------------------------------------------------- */

static struct kvm_msr_filter_range deny(uint32_t base, uint32_t count, uint8_t *zeros)
{
	return (struct kvm_msr_filter_range){
		.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
		.base = base,
		.nmsrs = count,
		.bitmap = zeros,
	};
}

static int set_msr_filter(int vm, bool mtrr)
{
	uint8_t zeros[HV_MSRS / 8] = { 0 }; /* one bit per MSR, clear = not KVM's */
	struct kvm_msr_filter f = { .flags = KVM_MSR_FILTER_DEFAULT_ALLOW };

	f.ranges[0] = deny(HVMSR_FIRST, HV_MSRS, zeros);
	if (mtrr) {
		f.ranges[1] = deny(MSR_MTRR_CAP, 1, zeros);
		f.ranges[2] = deny(MSR_MTRR_PHYS0, MSR_MTRR_PHYS_COUNT, zeros);
		f.ranges[3] = deny(MSR_MTRR_FIX0, MSR_MTRR_FIX_COUNT, zeros);
		f.ranges[4] = deny(MSR_MTRR_DEF, 1, zeros);
	}
	return kvm_ioctl(vm, KVM_X86_SET_MSR_FILTER, &f);
}

int kvm_vm_create(const struct kvm_sys *sys, uint64_t msr_reasons, bool deny_mtrr)
{
	int vm = kvm_ioctl_val(sys->fd, KVM_CREATE_VM, 0);
	int r;

	if (vm < 0)
		return vm;
	r = enable(vm, KVM_CAP_SPLIT_IRQCHIP, KVM_SYS_PINS);
	if (r == 0)
		r = enable(vm, KVM_CAP_X2APIC_API,
			   KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
	if (r == 0)
		r = enable(vm, KVM_CAP_X86_USER_SPACE_MSR,
			   msr_reasons | KVM_MSR_EXIT_REASON_FILTER);
	if (r == 0)
		r = set_msr_filter(vm, deny_mtrr);
	if (r < 0) {
		(void)close(vm);
		return r;
	}
	/* OUT to port 0x7e would otherwise behave unlike all others. Older kernels do not know
	 * it. */
	(void)enable(vm, KVM_CAP_DISABLE_QUIRKS2, KVM_X86_QUIRK_OUT_7E_INC_RIP);
	return vm;
}

int kvm_cpu_create(const struct kvm_sys *sys, int vm, uint32_t apic_id, struct kvm_cpu *ret)
{
	struct kvm_cpu cpu = { .run_size = sys->run_size };
	void *run;

	cpu.fd = kvm_ioctl_val(vm, KVM_CREATE_VCPU, apic_id);
	if (cpu.fd < 0)
		return cpu.fd;
	run = mmap(NULL, cpu.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu.fd, 0);
	if (run == MAP_FAILED) {
		int err = errno;

		(void)close(cpu.fd);
		return -err;
	}
	cpu.run = run;
	*ret = cpu;
	return 0;
}

void kvm_cpu_destroy(struct kvm_cpu *cpu)
{
	if (cpu->run)
		(void)munmap(cpu->run, cpu->run_size);
	if (cpu->fd >= 0)
		(void)close(cpu->fd);
	*cpu = (struct kvm_cpu){ .fd = -1 };
}

void kvm_cpu_zero_tsc_offset(const struct kvm_cpu *cpu)
{
	uint64_t zero = 0;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&zero,
	};

	(void)kvm_ioctl(cpu->fd, KVM_SET_DEVICE_ATTR, &attr);
}

int kvm_cpu_msr_get(const struct kvm_cpu *cpu, uint32_t msr, uint64_t *ret_val)
{
	struct {
		uint32_t nmsrs, pad;
		struct kvm_msr_entry entry;
	} m = { .nmsrs = 1, .entry.index = msr };
	int r = kvm_ioctl(cpu->fd, KVM_GET_MSRS, &m);

	if (r < 0)
		return r;
	if (r != 1)
		return -EINVAL;
	*ret_val = m.entry.data;
	return 0;
}

int kvm_cpu_msr_set(const struct kvm_cpu *cpu, uint32_t msr, uint64_t val)
{
	struct {
		uint32_t nmsrs, pad;
		struct kvm_msr_entry entry;
	} m = { .nmsrs = 1, .entry = { .index = msr, .data = val } };
	int r = kvm_ioctl(cpu->fd, KVM_SET_MSRS, &m);

	if (r < 0)
		return r;
	return r == 1 ? 0 : -EINVAL;
}

int kvm_vm_msi(int vm, uint64_t addr, uint32_t data)
{
	struct kvm_msi msi = {
		.address_lo = (uint32_t)addr,
		.address_hi = (uint32_t)(addr >> 32),
		.data = data,
	};

	return kvm_ioctl(vm, KVM_SIGNAL_MSI, &msi);
}
