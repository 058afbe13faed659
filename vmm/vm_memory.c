/* SPDX-License-Identifier: MIT */
/* Whose memory is whose: from the boot device tree to VTL0's RAM and the ranges it may not
 * touch. */
#include "vm_memory.h"

#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "vtl_low.h"

static void join(const struct bootdt *dt, bool vtl0, struct gpa_range *ret, size_t *ret_n)
{
	size_t n = 0;

	for (size_t i = 0; i < dt->n_mem; i++) {
		const struct bootdt_range *m = &dt->mem[i];

		if ((m->type == BOOTMEM_VTL0) != vtl0)
			continue;
		if (n && ret[n - 1].base + ret[n - 1].len == m->base)
			ret[n - 1].len += m->len;
		else
			ret[n++] = (struct gpa_range){ m->base, m->len };
	}
	*ret_n = n;
}

int vm_memory_split(const struct bootdt *dt, struct gpa_range **ret_ram, size_t *ret_n_ram,
		    struct gpa_range **ret_prot, size_t *ret_n_prot)
{
	auto_free struct gpa_range *ram = calloc(dt->n_mem + 1, sizeof(*ram));
	auto_free struct gpa_range *prot = calloc(dt->n_mem + 1, sizeof(*prot));

	if (!ram || !prot)
		return -ENOMEM;
	join(dt, true, ram, ret_n_ram);
	join(dt, false, prot, ret_n_prot);
	if (!*ret_n_ram)
		return -EBADMSG;
	*ret_ram = take_ptr(ram);
	*ret_prot = take_ptr(prot);
	return 0;
}

static int accept_run(struct hvc *h, gpa_t from, gpa_t to)
{
	if (from >= to)
		return 0;
	return hvc_accept_pages(h, from >> KEEL_PAGE_SHIFT, (to - from) >> KEEL_PAGE_SHIFT);
}

int vm_memory_accept(struct hvc *h, const struct bootdt *dt, const struct gpa_range *ram, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		gpa_t at = ram[i].base, end = at + ram[i].len;
		int r = 0;

		for (size_t k = 0; k < dt->n_accepted && r == 0; k++) {
			const struct bootdt_range *a = &dt->accepted[k];

			if (a->base + a->len <= at || a->base >= end)
				continue;
			r = accept_run(h, at, a->base);
			at = a->base + a->len;
		}
		if (r == 0)
			r = accept_run(h, at, end);
		if (r)
			return r;
	}
	return 0;
}

int vm_memory_map(int vtl_fd, const struct gpa_range *ram, size_t n, struct gmem **ret_gm)
{
	auto_free struct vtl_low_range *low = calloc(n, sizeof(*low));

	if (!low)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		low[i] = (struct vtl_low_range){ ram[i].base, ram[i].len };
	return vtl_low_create(vtl_fd, low, n, ret_gm);
}

void vm_memory_mmio(const struct bootdt *dt, struct acpi_window ret_win[2])
{
	const uint64_t gib4 = 1ull << 32;

	ret_win[0] = ret_win[1] = (struct acpi_window){ 0, 0 };
	for (size_t i = 0; i < dt->n_mmio; i++) {
		const struct bootdt_range *r = &dt->mmio[i];
		struct acpi_window *w = &ret_win[r->base >= gib4];

		/* The largest window on each side of 4 GiB is the one devices are placed in. */
		if (r->type == BOOTMEM_VTL0_MMIO && r->len > w->len)
			*w = (struct acpi_window){ r->base, r->len };
	}
}
