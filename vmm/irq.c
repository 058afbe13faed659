/* SPDX-License-Identifier: MIT */
/* See irq.h. */
#include "irq.h"

#include <errno.h>

#include "log.h"
#include "msi.h"

#define LOG_AREA "irq"

int irq_decode(uint64_t addr, uint32_t data, struct hvc_interrupt *ret_irq)
{
	uint8_t mode = msi_x86_mode(data);

	if ((addr & ~0xfffffull) != MSI_X86_ADDR)
		return -EINVAL;
	if (mode != HV_INT_FIXED && mode != HV_INT_LOWEST && mode != HV_INT_NMI &&
	    mode != HV_INT_INIT)
		return -EINVAL;
	*ret_irq = (struct hvc_interrupt){
		.type = (enum hv_int_type)mode,
		.level = data & MSI_X86_DATA_LEVEL,
		.logical = addr & MSI_X86_ADDR_LOGICAL,
		.dest = msi_x86_dest(addr),
		.vector = msi_x86_vector(data),
	};
	return 0;
}

void irq_deliver(void *ctx, uint64_t addr, uint32_t data)
{
	struct hvc_interrupt irq;
	int r = irq_decode(addr, data, &irq);

	if (r == 0)
		r = hvc_assert_interrupt(ctx, &irq);
	if (r)
		log_warn_rl(CONF, "interrupt %#llx/%#x not delivered (%d)",
			    (unsigned long long)addr, data, r);
}
