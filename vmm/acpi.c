/* SPDX-License-Identifier: MIT */
/* See acpi.h. Table layouts are packed byte streams, so they are written with a cursor. */
#include "acpi.h"

#include <errno.h>
#include <string.h>

#include "aml.h"
#include "ckd.h"
#include "rd.h"

#define HEADER_BYTES 36u
#define CHECKSUM_OFF 9
#define LENGTH_OFF 4
#define MAX_VPS 2048u

#define LAPIC_GPA 0xfee00000u
#define IOAPIC_GPA 0xfec00000u

#define OEM_ID "MSFTVM"
#define OEM_TABLE_ID "KEEL01  "
#define CREATOR_ID "KEEL"

/* FADT fixed feature flags. */
#define FADT_WBINVD BIT(0)
#define FADT_PROC_C1 BIT(2)
#define FADT_PWR_BUTTON BIT(4)
#define FADT_SLP_BUTTON BIT(5)
#define FADT_RTC_S4 BIT(7)
#define FADT_TMR_VAL_EXT BIT(8)
#define FADT_RESET_REG BIT(10)
#define FADT_USE_PLATFORM_CLOCK BIT(15)
#define FADT_LEGACY_DEVICES BIT(0)
#define FADT_NO_VGA BIT(2)

/* Register block of the PM device. */
enum { PM_STATUS = 0, PM_CONTROL = 4, PM_TIMER = 8, PM_GPE0 = 0xc, PM_RESET = 0x33 };

static uint8_t checksum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return (uint8_t)-sum;
}

static void put_header(struct wr *w, const char *signature, uint8_t revision)
{
	wr_bytes(w, signature, 4);
	wr_le32(w, 0); /* length and checksum when the table is complete */
	wr_u8(w, revision);
	wr_u8(w, 0);
	wr_bytes(w, OEM_ID, 6);
	wr_bytes(w, OEM_TABLE_ID, 8);
	wr_le32(w, 1);
	wr_bytes(w, CREATOR_ID, 4);
	wr_le32(w, 1);
}

static void finish_table(uint8_t *table, size_t len)
{
	le32_store(table + LENGTH_OFF, (uint32_t)len);
	table[CHECKSUM_OFF] = 0;
	table[CHECKSUM_OFF] = checksum(table, len);
}

/* --- FADT ------------------------------------------------------------------------------------- */

static void put_zeros(struct wr *w, size_t n)
{
	void *p = wr_room(w, n);

	if (p)
		memset(p, 0, n);
}

/* Generic address structure in I/O space. @access: 1 byte, 2 word, 3 dword. */
static void put_gas(struct wr *w, uint16_t port, uint8_t bits, uint8_t access)
{
	wr_u8(w, 1);
	wr_u8(w, bits);
	wr_u8(w, 0);
	wr_u8(w, access);
	wr_le64(w, port);
}

static void put_fadt(struct wr *w, const struct acpi_cfg *cfg, uint32_t dsdt_gpa)
{
	const uint16_t pm = cfg->pm_base;
	uint32_t flags = (uint32_t)(FADT_WBINVD | FADT_PROC_C1 | FADT_PWR_BUTTON | FADT_SLP_BUTTON |
				    FADT_RTC_S4 | FADT_TMR_VAL_EXT | FADT_RESET_REG |
				    FADT_USE_PLATFORM_CLOCK);

	put_header(w, "FACP", 6);
	wr_le32(w, 0); /* FACS */
	wr_le32(w, dsdt_gpa);
	wr_u8(w, 0);
	wr_u8(w, 0); /* preferred profile: unspecified */
	wr_le16(w, cfg->sci);
	wr_le32(w, 0); /* no SMI command port: ACPI is always on */
	put_zeros(w, 4); /* enable, disable, S4BIOS, P-state */
	wr_le32(w, pm + PM_STATUS);
	wr_le32(w, 0);
	wr_le32(w, pm + PM_CONTROL);
	wr_le32(w, 0);
	wr_le32(w, 0); /* PM2 */
	wr_le32(w, pm + PM_TIMER);
	wr_le32(w, pm + PM_GPE0);
	wr_le32(w, 0);
	wr_u8(w, 4); /* lengths: PM1 event, control, PM2, timer, GPE0, GPE1 */
	wr_u8(w, 2);
	wr_u8(w, 0);
	wr_u8(w, 4);
	wr_u8(w, 4);
	wr_u8(w, 0);
	put_zeros(w, 2); /* GPE1 base, C-state control */
	wr_le16(w, 101); /* C2 and C3 latencies beyond the limits: not supported */
	wr_le16(w, 1001);
	put_zeros(w, 2 + 2 + 1 + 1 + 1 + 1); /* flush size and stride, duty, day and month alarm */
	wr_u8(w, 0x32); /* century byte of the RTC */
	wr_le16(w, (uint16_t)(FADT_LEGACY_DEVICES | FADT_NO_VGA));
	wr_u8(w, 0);
	wr_le32(w, flags);
	put_gas(w, (uint16_t)(pm + PM_RESET), 8, 1);
	wr_u8(w, 1); /* reset value */
	wr_le16(w, 0); /* ARM flags */
	wr_u8(w, 3); /* minor version: 6.3 */
	wr_le64(w, 0); /* X_FACS */
	wr_le64(w, dsdt_gpa);
	put_gas(w, (uint16_t)(pm + PM_STATUS), 32, 2);
	put_zeros(w, 12);
	put_gas(w, (uint16_t)(pm + PM_CONTROL), 16, 2);
	put_zeros(w, 24);
	put_gas(w, (uint16_t)(pm + PM_TIMER), 32, 3);
	put_gas(w, (uint16_t)(pm + PM_GPE0), 32, 2);
	put_zeros(w, 12 * 3); /* GPE1, sleep control, sleep status */
	put_zeros(w, 8); /* hypervisor vendor */
}

/* --- MADT ------------------------------------------------------------------------------------- */

static void put_override(struct wr *w, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	wr_u8(w, 2);
	wr_u8(w, 10);
	wr_u8(w, 0); /* ISA */
	wr_u8(w, irq);
	wr_le32(w, gsi);
	wr_le16(w, flags);
}

/* One processor: the short form where its ids fit. Returns whether the long form was needed. */
static bool put_lapic(struct wr *w, uint32_t uid, uint32_t apic_id)
{
	if (apic_id < 0xff && uid <= 0xff) {
		wr_u8(w, 0);
		wr_u8(w, 8);
		wr_u8(w, (uint8_t)uid);
		wr_u8(w, (uint8_t)apic_id);
		wr_le32(w, 1); /* enabled */
		return false;
	}
	wr_u8(w, 9);
	wr_u8(w, 16);
	wr_le16(w, 0);
	wr_le32(w, apic_id);
	wr_le32(w, 1);
	wr_le32(w, uid);
	return true;
}

/* LINT1 is NMI on all processors. */
static void put_nmi(struct wr *w, bool x2apic)
{
	wr_u8(w, 4);
	wr_u8(w, 6);
	wr_u8(w, 0xff);
	wr_le16(w, 0);
	wr_u8(w, 1);
	if (x2apic) {
		wr_u8(w, 0xa);
		wr_u8(w, 12);
		wr_le16(w, 0);
		wr_le32(w, 0xffffffff);
		wr_u8(w, 1);
		put_zeros(w, 3);
	}
}

static void put_madt(struct wr *w, const struct acpi_cfg *cfg)
{
	bool x2apic = false;

	put_header(w, "APIC", 5);
	wr_le32(w, LAPIC_GPA);
	wr_le32(w, cfg->with_pic ? 1 : 0);
	for (uint32_t i = 0; i < cfg->n_vps; i++)
		x2apic |= put_lapic(w, i + 1, cfg->apic_ids[i]);
	wr_u8(w, 1); /* IOAPIC */
	wr_u8(w, 12);
	wr_u8(w, 0);
	wr_u8(w, 0);
	wr_le32(w, IOAPIC_GPA);
	wr_le32(w, 0);
	put_override(w, cfg->sci, cfg->sci, 0xd); /* level, active high */
	if (cfg->with_pit)
		put_override(w, 0, 2, 0);
	put_nmi(w, x2apic);
}

/* --- DSDT ------------------------------------------------------------------------------------- */

static void put_sleep_state(struct aml *a, const char *name)
{
	aml_name(a, name);
	aml_package(a, 2);
	aml_integer(a, 0);
	aml_integer(a, 0);
	aml_close(a);
}

static void put_apic(struct aml *a)
{
	aml_device(a, "APIC");
	aml_name_eisaid(a, "_HID", "PNP0003");
	aml_crs_open(a);
	aml_res_memory32(a, LAPIC_GPA, 0x1000);
	aml_res_memory32(a, IOAPIC_GPA, 0x1000);
	aml_crs_close(a);
	aml_close(a);
}

static void put_uart(struct aml *a, const char *name, const char *label, uint8_t uid, uint16_t port,
		     uint32_t irq)
{
	aml_device(a, name);
	aml_name_eisaid(a, "_HID", "PNP0501");
	aml_name_string(a, "_DDN", label);
	aml_name_integer(a, "_UID", uid);
	aml_crs_open(a);
	aml_res_io(a, port, 8);
	aml_res_interrupt(a, irq, false);
	aml_crs_close(a);
	aml_close(a);
}

/* The module device whose windows VMBus devices draw from, and VMBus itself below it. */
static void put_vmbus(struct aml *a, const struct acpi_cfg *cfg)
{
	aml_device(a, "VMOD");
	aml_name_string(a, "_HID", "ACPI0004");
	aml_name_integer(a, "_UID", 0);
	aml_crs_open(a);
	for (size_t i = 0; i < ARRAY_SIZE(cfg->mmio); i++) {
		if (cfg->mmio[i].len)
			aml_res_qword_window(a, cfg->mmio[i].base, cfg->mmio[i].len);
	}
	aml_crs_close(a);
	aml_device(a, "VMBS");
	aml_name_string(a, "_HID", "VMBus");
	aml_name_integer(a, "_UID", 0);
	aml_name_integer(a, "_STA", 0xf);
	/* It has none of its own, but Linux gives up on the parent's windows when it cannot ask. */
	aml_crs_open(a);
	aml_crs_close(a);
	aml_close(a);
	aml_close(a);
}

/* Nothing on it needs memory or routed interrupts: IDE has its lines as on an old PC. */
static void put_pci(struct aml *a)
{
	aml_device(a, "PCI0");
	aml_name_eisaid(a, "_HID", "PNP0A03");
	aml_name_integer(a, "_UID", 0);
	aml_name_integer(a, "_BBN", 0);
	aml_crs_open(a);
	aml_res_bus_window(a, 0, 0);
	aml_res_io(a, 0xcf8, 8);
	aml_res_io_window(a, 0, 0xcf7);
	aml_res_io_window(a, 0xd00, 0xffff);
	aml_crs_close(a);
	aml_close(a);
}

static void put_rtc(struct aml *a)
{
	aml_device(a, "RTC0");
	aml_name_eisaid(a, "_HID", "PNP0B00");
	aml_name_integer(a, "_UID", 0);
	aml_crs_open(a);
	aml_res_io(a, 0x70, 2);
	aml_res_interrupt(a, 8, false);
	aml_crs_close(a);
	aml_close(a);
}

static void put_processors(struct aml *a, uint32_t n)
{
	static const char digits[] = "0123456789ABCDEF";

	for (uint32_t uid = 1; uid <= n; uid++) {
		char name[] = { 'P', digits[uid >> 8 & 15], digits[uid >> 4 & 15], digits[uid & 15],
				'\0' };

		aml_device(a, name);
		aml_name_string(a, "_HID", "ACPI0007");
		aml_name_integer(a, "_UID", uid);
		aml_close(a);
	}
}

static void put_dsdt(struct wr *w, const struct acpi_cfg *cfg)
{
	struct aml a;

	put_header(w, "DSDT", 2);
	aml_init(&a, w->p, w->left);
	put_sleep_state(&a, "\\_S0_");
	put_sleep_state(&a, "\\_S5_");
	aml_scope(&a, "\\_SB_");
	put_apic(&a);
	if (cfg->com1)
		put_uart(&a, "UAR1", "COM1", 1, 0x3f8, 4);
	if (cfg->com2)
		put_uart(&a, "UAR2", "COM2", 2, 0x2f8, 3);
	if (cfg->pci)
		put_pci(&a);
	put_vmbus(&a, cfg);
	put_rtc(&a);
	put_processors(&a, cfg->n_vps);
	aml_close(&a);
	if (!aml_end(&a))
		w->bad = true;
	else
		(void)wr_room(w, aml_end(&a));
}

/* --- all of them ------------------------------------------------------------------------------ */

static void put_rsdp(uint8_t *p, gpa_t xsdt_gpa)
{
	memset(p, 0, ACPI_RSDP_BYTES);
	memcpy(p, "RSD PTR ", 8);
	memcpy(p + 9, OEM_ID, 6);
	p[15] = 2;
	le32_store(p + 20, ACPI_RSDP_BYTES);
	le64_store(p + 24, xsdt_gpa);
	p[8] = checksum(p, 20);
	p[32] = checksum(p, ACPI_RSDP_BYTES);
}

/* Close the table that starts at @start, align the next one, and give its address. */
static gpa_t end_table(struct wr *w, uint8_t *base, size_t start, gpa_t gpa)
{
	if (!w->bad)
		finish_table(base + start, w->done - start);
	put_zeros(w, (size_t)(align_up(w->done, 64) - w->done));
	return gpa + start;
}

int acpi_build(const struct acpi_cfg *cfg, gpa_t tables_gpa, void *ret_tables, size_t cap,
	       size_t *ret_len, uint8_t ret_rsdp[ACPI_RSDP_BYTES])
{
	struct wr w = wr_make(ret_tables, cap);
	gpa_t dsdt, fadt, madt, xsdt;
	size_t start;

	if (!cfg->n_vps || cfg->n_vps > MAX_VPS)
		return -EINVAL;
	put_dsdt(&w, cfg);
	dsdt = end_table(&w, ret_tables, 0, tables_gpa);
	start = w.done;
	put_fadt(&w, cfg, (uint32_t)dsdt);
	fadt = end_table(&w, ret_tables, start, tables_gpa);
	start = w.done;
	put_madt(&w, cfg);
	madt = end_table(&w, ret_tables, start, tables_gpa);
	start = w.done;
	put_header(&w, "XSDT", 1);
	wr_le64(&w, fadt);
	wr_le64(&w, madt);
	xsdt = end_table(&w, ret_tables, start, tables_gpa);
	if (w.bad)
		return -ENOSPC;
	put_rsdp(ret_rsdp, xsdt);
	*ret_len = w.done;
	return 0;
}
