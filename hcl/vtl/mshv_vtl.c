/* SPDX-License-Identifier: MIT */
/*
 * ioctl numbers and argument structs of the mshv_vtl driver, written down from the published
 * kernel interface. Input: the kernel (trusted). State: none. Thread: any.
 */
#include "mshv_vtl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MSHV_MAGIC 0xb8

struct regs_arg {
	uint32_t count;
	uint32_t rsvd;
	uint64_t regs_ptr;
};
WIRE_SIZE(struct regs_arg, 16);

struct ram_arg {
	uint64_t start_pfn;
	uint64_t last_pfn; /* exclusive */
};

struct poll_arg {
	uint32_t cpu;
	uint32_t fd;
};

struct setup_arg {
	uint64_t bitmap_bytes;
	uint64_t bitmap_ptr;
};

struct hvcall_arg {
	uint64_t control;
	uint64_t input_size;
	uint64_t input_ptr;
	uint64_t status;
	uint64_t output_size;
	uint64_t output_ptr;
};
WIRE_SIZE(struct hvcall_arg, 48);

struct post_arg {
	uint64_t type;
	uint32_t connection_id;
	uint32_t size;
	uint64_t payload; /* its address */
};
WIRE_SIZE(struct post_arg, 24);

struct pause_arg {
	uint8_t pause;
	uint8_t rsvd[7];
};
WIRE_SIZE(struct pause_arg, 8);

#define IOC_CHECK_EXTENSION _IOW(MSHV_MAGIC, 0x00, uint32_t)
#define IOC_GET_REGS _IOWR(MSHV_MAGIC, 0x05, struct regs_arg)
#define IOC_SET_REGS _IOW(MSHV_MAGIC, 0x06, struct regs_arg)
#define IOC_CREATE_VTL _IOR(MSHV_MAGIC, 0x1d, char)
#define IOC_HVCALL_SETUP _IOW(MSHV_MAGIC, 0x1e, struct setup_arg)
#define IOC_HVCALL _IOWR(MSHV_MAGIC, 0x1f, struct hvcall_arg)
#define IOC_ADD_VTL0_MEMORY _IOW(MSHV_MAGIC, 0x21, struct ram_arg)
#define IOC_SET_POLL_FILE _IOW(MSHV_MAGIC, 0x25, struct poll_arg)
#define IOC_RUN _IO(MSHV_MAGIC, 0x27)
/* On /dev/mshv_sint, whose numbers are its own. */
#define IOC_SINT_POST _IOW(MSHV_MAGIC, 0x23, struct post_arg)
#define IOC_SINT_PAUSE _IOW(MSHV_MAGIC, 0x25, struct pause_arg)

/* Page offsets of the VTL descriptor: CPU number, plus the kind of page from bit 16. */
#define PGOFF_REGISTER_PAGE (1ull << 16)

#define HVCALL_BITMAP_BYTES 8192 /* one bit per call code */

/*
 * The C libraries disagree about the type of the request; the kernel takes 32 bits. Straight into
 * the kernel: the library's frame has no unwind information, and this call is where a processor's
 * thread is when a debugger opens a core.
 */
static int do_ioctl(int fd, uint32_t req, void *arg)
{
#ifdef __x86_64__
	long r = SYS_ioctl;

	__asm__ volatile("syscall"
			 : "+a"(r)
			 : "D"((long)fd), "S"((unsigned long)req), "d"(arg)
			 : "rcx", "r11", "memory");
	return (int)r; /* a result or -errno */
#else
	long r = syscall(SYS_ioctl, fd, req, arg);

	return r < 0 ? -errno : (int)r;
#endif
}

int mshv_open(void)
{
	int fd = open("/dev/mshv", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int mshv_create_vtl(int mshv_fd)
{
	char ignored = 0;

	return do_ioctl(mshv_fd, IOC_CREATE_VTL, &ignored);
}

bool mshv_has_cap(int mshv_fd, enum mshv_cap cap)
{
	uint32_t arg = cap;

	return do_ioctl(mshv_fd, IOC_CHECK_EXTENSION, &arg) > 0;
}

int mshv_add_vtl0_memory(int vtl_fd, gpa_t gpa, uint64_t len)
{
	struct ram_arg arg = {
		.start_pfn = gpa >> KEEL_PAGE_SHIFT,
		.last_pfn = (gpa + len) >> KEEL_PAGE_SHIFT,
	};

	return do_ioctl(vtl_fd, IOC_ADD_VTL0_MEMORY, &arg);
}

int mshv_set_poll_file(int vtl_fd, uint32_t cpu, int fd)
{
	struct poll_arg arg = { .cpu = cpu, .fd = (uint32_t)fd };

	return do_ioctl(vtl_fd, IOC_SET_POLL_FILE, &arg);
}

static void *map_cpu_page(int vtl_fd, uint64_t pgoff)
{
	void *p = mmap(NULL, KEEL_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, vtl_fd,
		       (off_t)(pgoff << KEEL_PAGE_SHIFT));

	return p == MAP_FAILED ? NULL : p;
}

struct mshv_run_page *mshv_map_run_page(int vtl_fd, uint32_t cpu)
{
	return map_cpu_page(vtl_fd, cpu);
}

struct hv_register_page *mshv_map_register_page(int vtl_fd, uint32_t cpu)
{
	return map_cpu_page(vtl_fd, cpu | PGOFF_REGISTER_PAGE);
}

void mshv_unmap_page(void *page)
{
	if (page)
		(void)munmap(page, KEEL_PAGE_SIZE);
}

int mshv_run(int vtl_fd)
{
	int r = do_ioctl(vtl_fd, IOC_RUN, NULL);

	return r < 0 ? r : 0;
}

static int reg_ioctl(int vtl_fd, uint32_t req, struct hv_reg_assoc *assoc)
{
	struct regs_arg arg = { .count = 1, .regs_ptr = (uintptr_t)assoc };

	return do_ioctl(vtl_fd, req, &arg);
}

int mshv_get_reg(int vtl_fd, uint32_t name, union hv_regval *ret_val)
{
	struct hv_reg_assoc assoc = { .name = name };
	int r = reg_ioctl(vtl_fd, IOC_GET_REGS, &assoc);

	if (r < 0)
		return r;
	*ret_val = assoc.val;
	return 0;
}

int mshv_set_reg(int vtl_fd, uint32_t name, const union hv_regval *val)
{
	struct hv_reg_assoc assoc = { .name = name, .val = *val };

	return reg_ioctl(vtl_fd, IOC_SET_REGS, &assoc);
}

int mshv_hvcall_open(const uint16_t *codes, size_t n)
{
	static uint8_t bitmap[HVCALL_BITMAP_BYTES];
	struct setup_arg arg = { .bitmap_bytes = sizeof(bitmap), .bitmap_ptr = (uintptr_t)bitmap };
	int fd, r;

	for (size_t i = 0; i < n; i++)
		bitmap[codes[i] / 8] |= (uint8_t)(1u << (codes[i] % 8));
	fd = open("/dev/mshv_hvcall", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = do_ioctl(fd, IOC_HVCALL_SETUP, &arg);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	return fd;
}

int mshv_hvcall(int hvcall_fd, uint64_t control, const void *in, uint32_t in_len, void *ret_out,
		uint32_t out_len, uint64_t *ret_result)
{
	struct hvcall_arg arg = {
		.control = control,
		.input_size = in_len,
		.input_ptr = (uintptr_t)in,
		.output_size = out_len,
		.output_ptr = (uintptr_t)ret_out,
	};
	int r = do_ioctl(hvcall_fd, IOC_HVCALL, &arg);

	if (r < 0)
		return r;
	*ret_result = arg.status;
	return 0;
}

int mshv_vtl_low_open(void)
{
	int fd = open("/dev/mshv_vtl_low", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void *mshv_vtl_low_map(int low_fd, gpa_t gpa, uint64_t len, void *at)
{
	void *p = mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | (at ? MAP_FIXED : 0), low_fd,
		       (off_t)gpa);

	return p == MAP_FAILED ? NULL : p;
}

int mshv_sint_open(void)
{
	int fd = open("/dev/mshv_sint", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int mshv_sint_pause(int sint_fd, bool pause)
{
	struct pause_arg arg = { .pause = pause };

	return do_ioctl(sint_fd, IOC_SINT_PAUSE, &arg);
}

int mshv_sint_read(int sint_fd, struct hv_message *ret_msg)
{
	struct hv_message msg;
	ssize_t n = read(sint_fd, &msg, sizeof(msg));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n != sizeof(msg))
		return 0;
	*ret_msg = msg;
	return 1;
}

int mshv_sint_post(int sint_fd, uint32_t connection_id, uint32_t type, const void *buf, size_t len)
{
	struct post_arg arg = {
		.type = type,
		.connection_id = connection_id,
		.size = (uint32_t)len,
		.payload = (uintptr_t)buf,
	};

	return do_ioctl(sint_fd, IOC_SINT_POST, &arg);
}
