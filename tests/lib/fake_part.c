/* SPDX-License-Identifier: MIT */
#include "fake_part.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bug.h"
#include "synic_host.h"

static void reset_vp(struct fake_part *f, uint32_t i)
{
	struct hvvp *vp = &f->part.vps[i];

	memset(vp, 0, sizeof(*vp));
	vp->part = &f->part;
	vp->index = i;
	for (enum vtl_index v = VTL0; v < VTL_COUNT; v++) {
		memset(&f->run[i][v], 0, sizeof(f->run[i][v]));
		vp->vtl[v].cpu = (struct kvm_cpu){ .fd = -1, .run = &f->run[i][v] };
		BUG_ON(synic_host_init(&vp->vtl[v].synic) != 0);
	}
}

void fake_part_reset(struct fake_part *f)
{
	struct hvpart *part = &f->part;

	for (uint32_t i = 0; i < FAKE_VPS; i++)
		reset_vp(f, i);
	for (enum vtl_index v = VTL0; v < VTL_COUNT; v++) {
		atomic_store(&part->vtl[v].guest_os_id, 0);
		atomic_store(&part->vtl[v].hypercall, 0);
		atomic_store(&part->vtl[v].ref_tsc, 0);
	}
	atomic_store(&part->vsm_config, 0);
	atomic_store(&part->msr_access, 0);
	atomic_store(&part->eoi_access, 0);
	atomic_store(&part->unknown_conn, 0);
	atomic_store(&part->retarget, 0);
	memset(part->pio_read, 0, sizeof(part->pio_read));
	memset(part->pio_write, 0, sizeof(part->pio_write));
	part->n_routes = part->next_route = 0;
	atomic_store(&part->stopping, false);
	part->ended = false;
}

static void make_view(const struct mem_host *m, uint8_t *map, struct gmem **ret_gm)
{
	struct gmem_region regions[MEM_MAX_RAM];

	for (size_t i = 0; i < m->n_ram; i++)
		regions[i] =
			(struct gmem_region){ m->ram[i].gpa, m->ram[i].len, map + m->ram[i].off };
	BUG_ON(gmem_create(regions, m->n_ram, ret_gm) != 0);
}

static struct fake_part *create(bool isolated)
{
	struct fake_part *f = calloc(1, sizeof(*f));
	struct mem_host *m;

	BUG_ON(!f);
	m = &f->part.mem;
	f->part.n_vps = FAKE_VPS;
	f->part.sys.fd = f->part.vtl[VTL0].vm = f->part.vtl[VTL2].vm = -1;
	f->part.sys.cpuid = calloc(1, sizeof(*f->part.sys.cpuid));
	f->part.vps = calloc(FAKE_VPS, sizeof(*f->part.vps));
	BUG_ON(!f->part.vps || !f->part.sys.cpuid);
	BUG_ON(pthread_mutex_init(&f->part.route_lock, NULL) != 0);
	BUG_ON(pthread_mutex_init(&f->part.hold_lock, NULL) != 0);
	BUG_ON(pthread_cond_init(&f->part.hold_cond, NULL) != 0);
	BUG_ON(pthread_mutex_init(&f->part.prot_lock, NULL) != 0);
	BUG_ON(pthread_mutex_init(&f->part.end_lock, NULL) != 0);
	f->part.end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->part.tsc_hz = 1000000000;
	f->part.tsc_scale = (uint64_t)(((unsigned __int128)10000000 << 64) / f->part.tsc_hz);
	BUG_ON(mem_host_plan(m, FAKE_VTL0_BYTES, FAKE_VTL2_BYTES, 0) != 0);
	f->part.isolated = m->isolated = isolated;
	BUG_ON(mem_host_create(m, -1, -1, false) != 0);
	make_view(m, m->map, &f->part.gm);
	make_view(m, m->host_map, &f->part.host_gm);
	fake_part_reset(f);
	return f;
}

struct fake_part *fake_part_create(void)
{
	return create(false);
}

struct fake_part *fake_part_create_isolated(void)
{
	return create(true);
}

void fake_part_destroy(struct fake_part *f)
{
	gmem_destroy(f->part.gm);
	gmem_destroy(f->part.host_gm);
	mem_host_destroy(&f->part.mem);
	(void)close(f->part.end_fd);
	free(f->part.sys.cpuid);
	free(f->part.vps);
	free(f);
}
