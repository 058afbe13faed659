/* SPDX-License-Identifier: MIT */
/*
 * Device platform settings (version 2): what the host wants this VM to look like, parsed from the
 * JSON that it sends. Trust: the host is hostile; sizes, depth, types and value ranges are checked,
 * unknown members are skipped. Spec: spec/get-vmgs.md chapter 6.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guid.h"
#include "macros.h"

#define DPS_MAX_JSON (1024u * 1024) /* the settings blob inside may be large */
#define DPS_STR_MAX 128 /* SMBIOS strings, cut to 127 bytes */

struct inspect;

enum dps_secure_boot_template { DPS_SBT_NONE, DPS_SBT_WINDOWS, DPS_SBT_UEFI_CA };
enum dps_console { DPS_CONSOLE_DEFAULT, DPS_CONSOLE_COM1, DPS_CONSOLE_COM2, DPS_CONSOLE_NONE };
enum dps_boot_device { DPS_BOOT_FLOPPY, DPS_BOOT_OPTICAL, DPS_BOOT_HARD_DRIVE, DPS_BOOT_NETWORK };
enum dps_state_lifetime { DPS_STATE_DEFAULT, DPS_STATE_REPROVISION_ON_FAILURE,
			  DPS_STATE_REPROVISION, DPS_STATE_EPHEMERAL };
enum dps_state_encryption { DPS_ENC_AUTO, DPS_ENC_NONE, DPS_ENC_GSP_BY_ID, DPS_ENC_GSP_KEY,
			    DPS_ENC_HARDWARE_SEALING };
enum dps_sealing_policy { DPS_SEAL_NONE, DPS_SEAL_HASH, DPS_SEAL_SIGNER };

struct dps_com {
	bool enabled;
	bool debugger_mode;
	bool vmbus_redirector;
};

struct dps_smbios {
	char system_manufacturer[DPS_STR_MAX];
	char system_product_name[DPS_STR_MAX];
	char system_version[DPS_STR_MAX];
	char system_sku_number[DPS_STR_MAX];
	char system_family[DPS_STR_MAX];
	char bios_lock_string[DPS_STR_MAX];
	char memory_device_serial_number[DPS_STR_MAX];
	char serial_number[DPS_STR_MAX];
	char base_board_serial_number[DPS_STR_MAX];
	char chassis_serial_number[DPS_STR_MAX];
	char chassis_asset_tag[DPS_STR_MAX];
	uint8_t processor_manufacturer[DPS_STR_MAX], processor_version[DPS_STR_MAX];
	uint8_t processor_manufacturer_len, processor_version_len;
	uint64_t processor_id;
	uint16_t external_clock, max_speed, current_speed, processor_characteristics;
	uint16_t processor_family2;
	uint8_t processor_type, voltage, status, processor_upgrade;
};

/* Members are in the order of the fact sheet. Absent optional members are false, 0 or empty. */
struct dps {
	bool secure_boot_enabled;
	enum dps_secure_boot_template secure_boot_template;
	bool battery_enabled, processor_idle_enabled, tpm_enabled, hibernation_enabled;
	bool firmware_debugging_enabled;
	struct dps_com com[2];
	struct guid bios_guid;
	enum dps_console console_mode;

	bool legacy_memory_map, pause_after_boot_failure, pxe_ip_v6, measure_additional_pcrs;
	bool disable_frontpage, disable_sha384_pcr, media_present_enabled_by_default;
	uint8_t memory_protection_mode; /* 0..3 */
	bool vpci_boot_enabled, num_lock_enabled, vmbus_redirection_enabled, no_persistent_secrets;
	bool watchdog_enabled;
	bool default_boot_always_attempt, firmware_mode_is_pcat, always_relay_host_mmio;
	bool imc_enabled, cxl_memory_enabled, force_dma_bounce_enabled;
	bool has_vpci_instance_filter;
	struct guid vpci_instance_filter;
	enum dps_boot_device pcat_boot_order[4];
	enum dps_state_lifetime guest_state_lifetime;
	enum dps_state_encryption guest_state_encryption;
	enum dps_sealing_policy sealing_policy;
	uint32_t efi_diagnostics_log_level; /* 0..2 */
	uint64_t management_vtl_features; /* DPS_MGMT_* */

	uint16_t nvdimm_count;
	bool enable_psp;
	uint8_t generation_id[16]; /* GenerationIdLow, GenerationIdHigh */
	bool is_servicing_scenario;

	struct dps_smbios smbios;

	uint8_t *vtl2_settings; /* decoded blob, NULL = none; owned */
	size_t vtl2_settings_len;
};

#define DPS_MGMT_STRICT_ENCRYPTION_POLICY BIT(0)
#define DPS_MGMT_LOAD_FIRMWARE_SUPPORTED BIT(1)
#define DPS_MGMT_CONTROL_AK_CERT_PROVISIONING BIT(2)
#define DPS_MGMT_ATTEMPT_AK_CERT_CALLBACK BIT(3)
#define DPS_MGMT_TX_ONLY_SERIAL_PORT BIT(4)

/**
 * dps_parse - parse and check the host's JSON
 * @json: private copy, need not end in NUL
 * @ret_dps: filled on success; release with dps_fini()
 * @ret_why: on failure: static text that names the member; may be NULL
 * Returns: 0; -EBADMSG (syntax, type, range, required member missing); -E2BIG; -ENOMEM
 * Context: any thread. Trust: host.
 */
must_check int dps_parse(const char *json, size_t len, struct dps *ret_dps, const char **ret_why);

/* The settings, named as the host's JSON names them: an inspect_fn on the struct dps. */
void dps_inspect(struct inspect *in, const void *d);

/* Release what the struct owns. Accepts a zeroed struct. */
void dps_fini(struct dps *d);
