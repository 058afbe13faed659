/* SPDX-License-Identifier: MIT */
/* Pausing: said when every VP was seen outside VTL0, and refused in the original's words. */
#include "vm_pause.h"

#include <string.h>
#include <unistd.h>

#include "mock_vp.h"
#include "unit.h"
#include "vm.h"

#define N_VPS 2u

static struct vm vm;
static struct mock_vp mock[N_VPS];
static unsigned int answers, pauses, resumes;
static const char *last;

/* In place of the real set of VPs, whose object this program does not link. */
struct vcpu *vps_vcpu(struct vps *vps, vpidx_t vp)
{
	(void)vps;
	return vp < N_VPS ? &mock[vp].v : NULL;
}

void vps_pause(struct vps *vps)
{
	(void)vps;
	pauses++;
}

void vps_resume(struct vps *vps)
{
	(void)vps;
	resumes++;
}

static void on_done(void *ctx, const char *err)
{
	ck_assert_ptr_eq(ctx, &vm);
	answers++;
	last = err;
}

static void set_up(void)
{
	ck_assert_int_eq(loop_create_epoll(&vm.ctl), 0);
	vm_pause_init(&vm.pause, &vm);
	vm.dt.n_vps = N_VPS;
	for (uint32_t i = 0; i < N_VPS; i++)
		mock_vp_init(&mock[i]);
}

static void run_vp(uint32_t i)
{
	for (int k = 0; k < 20; k++) {
		loop_poll(mock[i].v.loop);
		loop_poll(vm.ctl);
		(void)usleep(100);
	}
}

static void tear_down(void)
{
	for (uint32_t i = 0; i < N_VPS; i++)
		mock_vp_fini(&mock[i]);
	vm_pause_fini(&vm.pause);
	loop_destroy(vm.ctl);
}

static void start(void)
{
	vm.started = true;
	vm.vps = (struct vps *)(void *)mock;
}

START_TEST(before_the_start)
{
	set_up();
	vm_pause(&vm.pause, on_done, &vm);
	ck_assert_uint_eq(answers, 1);
	ck_assert_str_eq(last, "worker has not been started yet");
	ck_assert_str_eq(vm_unpause(&vm.pause), "worker has not been started yet");
	ck_assert_uint_eq(pauses + resumes, 0);
	tear_down();
}
END_TEST

START_TEST(pause_and_resume)
{
	set_up();
	start();
	ck_assert_str_eq(vm_unpause(&vm.pause), "VM is currently running");
	vm_pause(&vm.pause, on_done, &vm);
	ck_assert_uint_eq(pauses, 1);
	run_vp(0);
	ck_assert_uint_eq(answers, 0); /* the other one may still be inside */
	run_vp(1);
	ck_assert_uint_eq(answers, 1);
	ck_assert_ptr_null(last);
	vm_pause(&vm.pause, on_done, &vm);
	ck_assert_uint_eq(answers, 2);
	ck_assert_str_eq(last, "VM is already paused");
	ck_assert_uint_eq(pauses, 1);
	ck_assert_ptr_null(vm_unpause(&vm.pause));
	ck_assert_uint_eq(resumes, 1);
	ck_assert_str_eq(vm_unpause(&vm.pause), "VM is currently running");
	tear_down();
}
END_TEST

START_TEST(a_vp_that_does_not_stop)
{
	set_up();
	start();
	vm_pause(&vm.pause, on_done, &vm);
	run_vp(0);
	for (int i = 0; i < 8000 && !answers; i++) {
		loop_poll(vm.ctl);
		(void)usleep(1000);
	}
	ck_assert_uint_eq(answers, 1);
	ck_assert_str_eq(last, "the virtual processors do not stop");
	run_vp(1); /* late: nobody waits any more */
	ck_assert_uint_eq(answers, 1);
	tear_down();
}
END_TEST

/* VTL0 has ended: a pause does not bring it back, a halt that was kept can be cleared. */
START_TEST(halted)
{
	set_up();
	start();
	ck_assert_str_eq(vm_clear_halt(&vm.pause), "VM is not halted");
	atomic_store(&vm.end, VM_END_POWER_OFF);
	vm_pause(&vm.pause, on_done, &vm);
	run_vp(0);
	run_vp(1);
	ck_assert_ptr_null(vm_unpause(&vm.pause));
	ck_assert_uint_eq(resumes, 0);
	vm.halted = true;
	ck_assert_ptr_null(vm_unpause(&vm.pause));
	ck_assert_uint_eq(resumes, 1);
	ck_assert_int_eq(atomic_load(&vm.end), VM_END_NONE);
	vm.halted = true;
	ck_assert_ptr_null(vm_clear_halt(&vm.pause));
	ck_assert_uint_eq(resumes, 2);
	tear_down();
}
END_TEST

UNIT_MAIN("vmm/pause", before_the_start, pause_and_resume, a_vp_that_does_not_stop, halted)
