/* SPDX-License-Identifier: MIT */
/* What inspect shows of the platform settings. The host knows them, it sent them; a restricted host
 * is told nothing of them all the same. */
#include "dps.h"

#include "inspect.h"

static const char *const sbt_name[] = { "none", "microsoft_windows", "microsoft_uefi_ca" };
static const char *const console_name[] = { "default", "com1", "com2", "none" };
static const char *const boot_name[] = { "floppy", "optical", "hard_drive", "network" };
static const char *const lifetime_name[] = { "default", "reprovision_on_failure", "reprovision",
					     "ephemeral" };
static const char *const encryption_name[] = { "auto", "none", "gsp_by_id", "gsp_key",
					       "hardware_sealing" };
static const char *const sealing_name[] = { "none", "hash", "signer" };

/* An enumeration by its table. */
#define NAME(table, val) ((size_t)(val) < ARRAY_SIZE(table) ? (table)[val] : "unknown")

static void show_guid(struct inspect *in, enum inspect_sens sens, const char *name,
		      const struct guid *g)
{
	char text[GUID_STR_LEN + 1];

	guid_format(g, text);
	inspect_str(in, sens, name, text);
}

static void inspect_com(struct inspect *in, const void *obj)
{
	const struct dps_com *c = obj;

	inspect_bool(in, SENS_UNSPEC, "enabled", c->enabled);
	inspect_bool(in, SENS_UNSPEC, "debugger_mode", c->debugger_mode);
	inspect_bool(in, SENS_UNSPEC, "vmbus_redirector", c->vmbus_redirector);
}

static void inspect_smbios(struct inspect *in, const void *obj)
{
	const struct dps_smbios *s = obj;

	inspect_str(in, SENS_SENSITIVE, "system_manufacturer", s->system_manufacturer);
	inspect_str(in, SENS_SENSITIVE, "system_product_name", s->system_product_name);
	inspect_str(in, SENS_SENSITIVE, "system_version", s->system_version);
	inspect_str(in, SENS_SENSITIVE, "system_sku_number", s->system_sku_number);
	inspect_str(in, SENS_SENSITIVE, "system_family", s->system_family);
	inspect_str(in, SENS_SENSITIVE, "bios_lock_string", s->bios_lock_string);
	inspect_str(in, SENS_SENSITIVE, "memory_device_serial_number",
		    s->memory_device_serial_number);
	inspect_str(in, SENS_SENSITIVE, "serial_number", s->serial_number);
	inspect_str(in, SENS_SENSITIVE, "base_board_serial_number", s->base_board_serial_number);
	inspect_str(in, SENS_SENSITIVE, "chassis_serial_number", s->chassis_serial_number);
	inspect_str(in, SENS_SENSITIVE, "chassis_asset_tag", s->chassis_asset_tag);
	inspect_bytes(in, SENS_SENSITIVE, "processor_manufacturer", s->processor_manufacturer,
		      s->processor_manufacturer_len);
	inspect_bytes(in, SENS_SENSITIVE, "processor_version", s->processor_version,
		      s->processor_version_len);
	inspect_hex(in, SENS_SENSITIVE, "processor_id", s->processor_id);
	inspect_u64(in, SENS_UNSPEC, "external_clock", s->external_clock);
	inspect_u64(in, SENS_UNSPEC, "max_speed", s->max_speed);
	inspect_u64(in, SENS_UNSPEC, "current_speed", s->current_speed);
	inspect_hex(in, SENS_UNSPEC, "processor_characteristics", s->processor_characteristics);
	inspect_hex(in, SENS_UNSPEC, "processor_family2", s->processor_family2);
	inspect_u64(in, SENS_UNSPEC, "processor_type", s->processor_type);
	inspect_u64(in, SENS_UNSPEC, "voltage", s->voltage);
	inspect_u64(in, SENS_UNSPEC, "status", s->status);
	inspect_u64(in, SENS_UNSPEC, "processor_upgrade", s->processor_upgrade);
}

static void inspect_boot_order(struct inspect *in, const void *obj)
{
	const struct dps *d = obj;
	char name[4] = "0";

	for (unsigned int i = 0; i < ARRAY_SIZE(d->pcat_boot_order); i++) {
		name[0] = (char)('0' + i);
		inspect_str(in, SENS_UNSPEC, name, NAME(boot_name, d->pcat_boot_order[i]));
	}
}

static void inspect_features(struct inspect *in, const void *obj)
{
	const struct dps *d = obj;

	inspect_bool(in, SENS_UNSPEC, "secure_boot_enabled", d->secure_boot_enabled);
	inspect_str(in, SENS_UNSPEC, "secure_boot_template",
		    NAME(sbt_name, d->secure_boot_template));
	inspect_bool(in, SENS_UNSPEC, "battery_enabled", d->battery_enabled);
	inspect_bool(in, SENS_UNSPEC, "processor_idle_enabled", d->processor_idle_enabled);
	inspect_bool(in, SENS_UNSPEC, "tpm_enabled", d->tpm_enabled);
	inspect_bool(in, SENS_UNSPEC, "hibernation_enabled", d->hibernation_enabled);
	inspect_bool(in, SENS_UNSPEC, "firmware_debugging_enabled", d->firmware_debugging_enabled);
	inspect_bool(in, SENS_UNSPEC, "legacy_memory_map", d->legacy_memory_map);
	inspect_bool(in, SENS_UNSPEC, "pause_after_boot_failure", d->pause_after_boot_failure);
	inspect_bool(in, SENS_UNSPEC, "pxe_ip_v6", d->pxe_ip_v6);
	inspect_bool(in, SENS_UNSPEC, "measure_additional_pcrs", d->measure_additional_pcrs);
	inspect_bool(in, SENS_UNSPEC, "disable_frontpage", d->disable_frontpage);
	inspect_bool(in, SENS_UNSPEC, "disable_sha384_pcr", d->disable_sha384_pcr);
	inspect_bool(in, SENS_UNSPEC, "media_present_enabled_by_default",
		     d->media_present_enabled_by_default);
	inspect_u64(in, SENS_UNSPEC, "memory_protection_mode", d->memory_protection_mode);
	inspect_bool(in, SENS_UNSPEC, "vpci_boot_enabled", d->vpci_boot_enabled);
	inspect_bool(in, SENS_UNSPEC, "num_lock_enabled", d->num_lock_enabled);
	inspect_bool(in, SENS_UNSPEC, "vmbus_redirection_enabled", d->vmbus_redirection_enabled);
	inspect_bool(in, SENS_UNSPEC, "no_persistent_secrets", d->no_persistent_secrets);
	inspect_bool(in, SENS_UNSPEC, "watchdog_enabled", d->watchdog_enabled);
	inspect_bool(in, SENS_UNSPEC, "default_boot_always_attempt",
		     d->default_boot_always_attempt);
	inspect_bool(in, SENS_UNSPEC, "firmware_mode_is_pcat", d->firmware_mode_is_pcat);
	inspect_bool(in, SENS_UNSPEC, "always_relay_host_mmio", d->always_relay_host_mmio);
	inspect_bool(in, SENS_UNSPEC, "imc_enabled", d->imc_enabled);
	inspect_bool(in, SENS_UNSPEC, "cxl_memory_enabled", d->cxl_memory_enabled);
	inspect_bool(in, SENS_UNSPEC, "force_dma_bounce_enabled", d->force_dma_bounce_enabled);
}

void dps_inspect(struct inspect *in, const void *obj)
{
	const struct dps *d = obj;

	inspect_flatten(in, inspect_features, d);
	inspect_dir(in, SENS_UNSPEC, "com1", inspect_com, &d->com[0]);
	inspect_dir(in, SENS_UNSPEC, "com2", inspect_com, &d->com[1]);
	show_guid(in, SENS_SENSITIVE, "bios_guid", &d->bios_guid);
	inspect_str(in, SENS_UNSPEC, "console_mode", NAME(console_name, d->console_mode));
	if (d->has_vpci_instance_filter)
		show_guid(in, SENS_UNSPEC, "vpci_instance_filter", &d->vpci_instance_filter);
	inspect_dir(in, SENS_UNSPEC, "pcat_boot_order", inspect_boot_order, d);
	inspect_str(in, SENS_UNSPEC, "guest_state_lifetime",
		    NAME(lifetime_name, d->guest_state_lifetime));
	inspect_str(in, SENS_UNSPEC, "guest_state_encryption_policy",
		    NAME(encryption_name, d->guest_state_encryption));
	inspect_str(in, SENS_UNSPEC, "hardware_sealing_policy",
		    NAME(sealing_name, d->sealing_policy));
	inspect_u64(in, SENS_UNSPEC, "efi_diagnostics_log_level", d->efi_diagnostics_log_level);
	inspect_binary(in, SENS_UNSPEC, "management_vtl_features", d->management_vtl_features);
	inspect_u64(in, SENS_UNSPEC, "nvdimm_count", d->nvdimm_count);
	inspect_bool(in, SENS_UNSPEC, "psp_enabled", d->enable_psp);
	inspect_bytes(in, SENS_SENSITIVE, "generation_id", d->generation_id,
		      sizeof(d->generation_id));
	inspect_bool(in, SENS_UNSPEC, "is_servicing_scenario", d->is_servicing_scenario);
	inspect_dir(in, SENS_UNSPEC, "smbios", inspect_smbios, &d->smbios);
	inspect_u64(in, SENS_UNSPEC, "vtl2_settings_bytes", d->vtl2_settings_len);
}
