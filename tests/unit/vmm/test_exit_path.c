/* SPDX-License-Identifier: MIT */
/*
 * The promise of the exit path: for a device that answers from its registers, no allocation and no
 * system call besides entering VTL0. The kernel is the witness: a child runs tens of thousands of
 * exits under a seccomp filter that kills it at any system call but its last. Also: a VP that sits
 * in a device does not stall another VP.
 */
#include "unit.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exit_x64.h"
#include "hvmsr.h"
#include "log.h"
#include "mock_machine.h"
#include "vp_loop.h"

#define ROUNDS 20000u

static struct mock_machine mm;
static struct hv_message script[16];

/* Allocations while the guard is up; the allocator's own entry points are the ones counted. */
static atomic_bool guarded;
static atomic_uint allocations;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);

static void note(void)
{
	if (atomic_load_explicit(&guarded, memory_order_relaxed))
		atomic_fetch_add(&allocations, 1);
}

void *__wrap_malloc(size_t n)
{
	note();
	return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t m)
{
	note();
	return __real_calloc(n, m);
}

void *__wrap_realloc(void *p, size_t n)
{
	note();
	return __real_realloc(p, n);
}

static void add(size_t *n, uint32_t type, const void *payload, uint8_t len)
{
	script[*n].type = type;
	script[*n].payload_size = len;
	memcpy(script[*n].payload, payload, len);
	(*n)++;
}

static void add_io(size_t *n, uint8_t access, uint16_t port, uint8_t size)
{
	struct hv_io_msg m = { .h = mock_header64(0x1000, 1), .port = port, .info = size };

	m.h.access = access;
	add(n, HVMSG_IO_PORT, &m, sizeof(m));
}

/* Port reads and writes, MMIO, MSR, CPUID, EOI: what a guest does all day. */
static size_t make_script(void)
{
	struct hv_mem_msg mem = {
		.h = mock_header64(0x2000, 2),
		.ibytes_count = 2,
		.info = HV_MEM_GVA_VALID | HV_MEM_GVA_GPA_VALID,
		.gva = 0xfec00010,
		.gpa = 0xfec00010,
		.ibytes = { 0x8b, 0x03 },
	};
	struct hv_msr_msg msr = { .h = mock_header64(0, 2), .msr = HVMSR_CRASH_CTL };
	struct hv_cpuid_msg cpuid = { .h = mock_header64(0, 2), .rax = 0x40000082 };
	struct hv_apic_eoi_msg eoi = { .vector = 0x30 };
	size_t n = 0;

	mm.vp.run->ctx.gp[3] = 0xfec00010;
	add_io(&n, HV_ACC_READ, 0x3fd, 1); /* UART line status */
	add_io(&n, HV_ACC_WRITE, 0x3ff, 1); /* UART scratch */
	add_io(&n, HV_ACC_WRITE, 0x3f8, 1); /* UART data */
	add_io(&n, HV_ACC_READ, 0x408, 4); /* PM timer */
	add_io(&n, HV_ACC_READ, 0x21, 1); /* PIC mask */
	add_io(&n, HV_ACC_READ, 0x1234, 2); /* nobody's */
	add(&n, HVMSG_UNMAPPED_GPA, &mem, sizeof(mem)); /* IOAPIC data */
	add(&n, HVMSG_MSR, &msr, sizeof(msr));
	add(&n, HVMSG_CPUID, &cpuid, sizeof(cpuid));
	add(&n, HVMSG_APIC_EOI, &eoi, sizeof(eoi));
	return n;
}

static void setup(void)
{
	log_init(LOG_ERR, false, NULL, NULL);
	mock_machine_init(&mm);
	mm.vp.n_script = make_script();
	mm.vp.script = script;
	mm.vp.script_loops = true;
	for (int i = 0; i < 64; i++) /* first use of lazily made things */
		ck_assert_int_eq(vp_loop_step(&mm.vp.v), 0);
}

static void forbid_system_calls(void)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		_exit(99);
}

/* As _exit(), which a sanitizer would precede with a system call of its own. */
static void leave(int status)
{
	(void)syscall(SYS_exit_group, status);
}

/* Runs in a child: only exit_group is left to it. Status 0: all as promised. */
static void run_guarded(bool cheat)
{
	forbid_system_calls();
	atomic_store(&guarded, true);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		if (vp_loop_step(&mm.vp.v))
			leave(1);
	}
	if (cheat)
		(void)syscall(SYS_getppid);
	leave(atomic_load(&allocations) ? 2 : 0);
}

static int child_status(bool cheat)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		run_guarded(cheat);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

START_TEST(no_allocation_no_system_call)
{
	int status;

	setup();
	status = child_status(false);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	/* The guard itself works: one stray call and the child is gone. */
	status = child_status(true);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGSYS);
}
END_TEST

START_TEST(every_exit_was_served)
{
	static const enum exit_kind kinds[] = { EXIT_PIO, EXIT_MMIO, EXIT_MSR, EXIT_CPUID,
						EXIT_EOI };

	setup();
	for (unsigned int i = 0; i < 1000; i++)
		ck_assert_int_eq(vp_loop_step(&mm.vp.v), 0);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		ck_assert_uint_ge(atomic_load(&mm.vp.v.exits[kinds[i]]), 100);
	ck_assert_uint_eq(atomic_load(&mm.vp.v.exits[EXIT_UNKNOWN]), 0);
	ck_assert_uint_ge(mm.tx_bytes, 100);
}
END_TEST

/* --- two VPs ---------------------------------------------------------------------------------- */

struct slow_dev {
	struct device dev;
	atomic_bool inside, release;
};

static enum bus_status slow_read(struct device *dev, const struct bus_access *a, uint64_t *ret_val)
{
	struct slow_dev *s = container_of(dev, struct slow_dev, dev);

	(void)a;
	*ret_val = 1;
	atomic_store(&s->inside, true);
	while (!atomic_load(&s->release))
		(void)usleep(100);
	return BUS_OK;
}

static enum bus_status fast_read(struct device *dev, const struct bus_access *a, uint64_t *ret_val)
{
	(void)dev;
	(void)a;
	*ret_val = 2;
	return BUS_OK;
}

static const struct device_ops slow_ops = { .name = "slow", .io_read = slow_read };
static const struct device_ops fast_ops = { .name = "fast", .io_read = fast_read };

static struct mock_vp slow_vp, fast_vp;

static void *sit_in_device(void *arg)
{
	struct hv_io_msg m = { .h = mock_header64(0x1000, 1), .port = 0x600, .info = 1 };

	(void)arg;
	mock_exit(&slow_vp, HVMSG_IO_PORT, &m, sizeof(m));
	return NULL;
}

START_TEST(busy_vp_stalls_nobody)
{
	static struct slow_dev slow;
	static struct device fast;
	struct hv_io_msg m = { .h = mock_header64(0x1000, 1), .port = 0x601, .info = 1 };
	pthread_t thread;

	mock_vp_init(&slow_vp);
	mock_vp_init(&fast_vp);
	device_init(&slow.dev, &slow_ops, "slow");
	device_init(&fast, &fast_ops, "fast");
	ck_assert_int_eq(bus_claim(slow_vp.bus, BUS_PIO, 0x600, 1, &slow.dev, 0), 0);
	ck_assert_int_eq(bus_claim(slow_vp.bus, BUS_PIO, 0x601, 1, &fast, 0), 0);
	ck_assert_int_eq(bus_freeze(slow_vp.bus), 0);
	fast_vp.env.bus = slow_vp.bus; /* one machine, two processors */
	ck_assert_int_eq(pthread_create(&thread, NULL, sit_in_device, NULL), 0);
	while (!atomic_load(&slow.inside))
		(void)usleep(100);
	for (unsigned int i = 0; i < 1000; i++)
		mock_exit(&fast_vp, HVMSG_IO_PORT, &m, sizeof(m));
	ck_assert_uint_eq(atomic_load(&fast_vp.v.exits[EXIT_PIO]), 1000);
	ck_assert(!atomic_load(&slow.release));
	atomic_store(&slow.release, true);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(slow_vp.run->ctx.gp[0] & 0xff, 1);
}
END_TEST

UNIT_MAIN("vmm/exit_path", no_allocation_no_system_call, every_exit_was_served,
	  busy_vp_stalls_nobody)
