/* SPDX-License-Identifier: MIT */
#include "dps.h"

#include "json.h"
#include "le.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum field_kind { F_BOOL, F_U8, F_U16, F_U32, F_U64, F_STRING, F_GUID, F_ENUM, F_BYTES };

/* One member of the JSON and where it goes in struct dps. */
struct field {
	const char *name;
	enum field_kind kind;
	bool required;
	uint16_t off;
	uint64_t max; /* largest number */
	const char *const *names; /* F_ENUM: value i is names[i]; NULL ends */
	uint16_t len_off; /* F_BYTES: the uint8_t that gets the length */
};

#define AT(m) .off = offsetof(struct dps, m)
#define BOOL(n, m)                               \
	{                                        \
		.name = n, .kind = F_BOOL, AT(m) \
	}
#define BOOL_REQ(n, m)                                             \
	{                                                          \
		.name = n, .kind = F_BOOL, .required = true, AT(m) \
	}
#define U8(n, m, mx)                                      \
	{                                                 \
		.name = n, .kind = F_U8, .max = mx, AT(m) \
	}
#define U16(n, m)                                                  \
	{                                                          \
		.name = n, .kind = F_U16, .max = UINT16_MAX, AT(m) \
	}
#define STR(n, m)                                  \
	{                                          \
		.name = n, .kind = F_STRING, AT(m) \
	}
#define ENUM(n, m, nm)                                        \
	{                                                     \
		.name = n, .kind = F_ENUM, .names = nm, AT(m) \
	}
#define BYTES(n, m)                                                                         \
	{                                                                                   \
		.name = n, .kind = F_BYTES, AT(m), .len_off = offsetof(struct dps, m##_len) \
	}

static const char *const template_names[] = { "None", "MicrosoftWindows",
					      "MicrosoftUEFICertificateAuthority", NULL };
static const char *const boot_names[] = { "Floppy", "Optical", "HardDrive", "Network", NULL };
static const char *const lifetime_names[] = { "Default", "ReprovisionOnFailure", "Reprovision",
					      "Ephemeral", NULL };
static const char *const encryption_names[] = {
	"Auto", "None", "GspById", "GspKey", "HardwareSealing", NULL
};
static const char *const sealing_names[] = { "None", "Hash", "Signer", NULL };

static const struct field v1_fields[] = {
	BOOL("SecureBootEnabled", secure_boot_enabled),
	ENUM("SecureBootTemplateId", secure_boot_template, template_names),
	BOOL("EnableBattery", battery_enabled),
	BOOL("EnableProcessorIdle", processor_idle_enabled),
	BOOL("EnableTpm", tpm_enabled),
	BOOL("EnableHibernation", hibernation_enabled),
	BOOL("EnableFirmwareDebugging", firmware_debugging_enabled),
	{ .name = "BiosGuid", .kind = F_GUID, AT(bios_guid) },
	{ .name = "ConsoleMode", .kind = F_U32, .max = DPS_CONSOLE_NONE, AT(console_mode) },
	STR("SerialNumber", smbios.serial_number),
	STR("BaseBoardSerialNumber", smbios.base_board_serial_number),
	STR("ChassisSerialNumber", smbios.chassis_serial_number),
	STR("ChassisAssetTag", smbios.chassis_asset_tag),
};

static const struct field com_fields[2][3] = {
	{ BOOL("EnablePort", com[0].enabled), BOOL("DebuggerMode", com[0].debugger_mode),
	  BOOL("EnableVmbusRedirector", com[0].vmbus_redirector) },
	{ BOOL("EnablePort", com[1].enabled), BOOL("DebuggerMode", com[1].debugger_mode),
	  BOOL("EnableVmbusRedirector", com[1].vmbus_redirector) },
};

static const struct field static_fields[] = {
	BOOL_REQ("LegacyMemoryMap", legacy_memory_map),
	BOOL_REQ("PauseAfterBootFailure", pause_after_boot_failure),
	BOOL_REQ("PxeIpV6", pxe_ip_v6),
	BOOL_REQ("MeasureAdditionalPcrs", measure_additional_pcrs),
	BOOL_REQ("DisableFrontpage", disable_frontpage),
	BOOL_REQ("DisableSha384Pcr", disable_sha384_pcr),
	BOOL_REQ("MediaPresentEnabledByDefault", media_present_enabled_by_default),
	{ .name = "MemoryProtectionMode",
	  .kind = F_U8,
	  .required = true,
	  .max = 3,
	  AT(memory_protection_mode) },
	BOOL_REQ("VpciBootEnabled", vpci_boot_enabled),
	BOOL_REQ("NumLockEnabled", num_lock_enabled),
	BOOL_REQ("VmbusRedirectionEnabled", vmbus_redirection_enabled),
	BOOL_REQ("NoPersistentSecrets", no_persistent_secrets),
	BOOL_REQ("WatchdogEnabled", watchdog_enabled),
	BOOL("DefaultBootAlwaysAttempt", default_boot_always_attempt),
	BOOL("FirmwareModeIsPcat", firmware_mode_is_pcat),
	BOOL("AlwaysRelayHostMmio", always_relay_host_mmio),
	BOOL("ImcEnabled", imc_enabled),
	BOOL("CxlMemoryEnabled", cxl_memory_enabled),
	BOOL("ForceDmaBounceEnabled", force_dma_bounce_enabled),
	ENUM("GuestStateLifetime", guest_state_lifetime, lifetime_names),
	ENUM("GuestStateEncryptionPolicy", guest_state_encryption, encryption_names),
	ENUM("HardwareSealingPolicyId", sealing_policy, sealing_names),
	{ .name = "EfiDiagnosticsLogLevel",
	  .kind = F_U32,
	  .max = 2,
	  AT(efi_diagnostics_log_level) },
	{ .name = "ManagementVtlFeatures",
	  .kind = F_U64,
	  .max = UINT64_MAX,
	  AT(management_vtl_features) },
};

static const struct field static_smbios_fields[] = {
	STR("SystemManufacturer", smbios.system_manufacturer),
	STR("SystemProductName", smbios.system_product_name),
	STR("SystemVersion", smbios.system_version),
	STR("SystemSKUNumber", smbios.system_sku_number),
	STR("SystemFamily", smbios.system_family),
	STR("BiosLockString", smbios.bios_lock_string),
	STR("MemoryDeviceSerialNumber", smbios.memory_device_serial_number),
};

static const struct field dynamic_fields[] = {
	U16("NvdimmCount", nvdimm_count),
	BOOL("EnablePsp", enable_psp),
	BOOL("IsServicingScenario", is_servicing_scenario),
};

static const struct field dynamic_smbios_fields[] = {
	BYTES("ProcessorManufacturer", smbios.processor_manufacturer),
	BYTES("ProcessorVersion", smbios.processor_version),
	{ .name = "ProcessorID", .kind = F_U64, .max = UINT64_MAX, AT(smbios.processor_id) },
	U16("ExternalClock", smbios.external_clock),
	U16("MaxSpeed", smbios.max_speed),
	U16("CurrentSpeed", smbios.current_speed),
	U16("ProcessorCharacteristics", smbios.processor_characteristics),
	U16("ProcessorFamily2", smbios.processor_family2),
	U8("ProcessorType", smbios.processor_type, UINT8_MAX),
	U8("Voltage", smbios.voltage, UINT8_MAX),
	U8("Status", smbios.status, UINT8_MAX),
	U8("ProcessorUpgrade", smbios.processor_upgrade, UINT8_MAX),
};

/* ---- single values --------------------------------------------------------------------------- */

static int get_guid(const struct json *j, uint32_t node, struct guid *ret_g)
{
	char text[GUID_STR_LEN + 4];
	int r = json_string(j, node, text, sizeof(text));

	if (r < 0)
		return r;
	return guid_parse(text, strlen(text), ret_g) ? 0 : -EBADMSG;
}

static int get_enum(const struct json *j, uint32_t node, const char *const *names, int *ret_val)
{
	for (int i = 0; names[i]; i++) {
		if (json_string_is(j, node, names[i])) {
			*ret_val = i;
			return 0;
		}
	}
	return -EBADMSG;
}

static int get_number(const struct json *j, uint32_t node, const struct field *f, char *at)
{
	uint64_t val;
	int r = json_u64(j, node, f->max, &val);

	if (r < 0)
		return r;
	/* Little-endian: the low bytes are the value in every width. */
	memcpy(at, &val, f->kind == F_U8 ? 1 : f->kind == F_U16 ? 2 : f->kind == F_U32 ? 4 : 8);
	return 0;
}

static int get_bytes(const struct json *j, uint32_t node, const struct field *f, char *base)
{
	size_t len;
	int r = json_base64(j, node, (uint8_t *)base + f->off, DPS_STR_MAX, &len);

	if (r == 0)
		base[f->len_off] = (char)len;
	return r;
}

static int get_field(const struct json *j, uint32_t node, const struct field *f, struct dps *d)
{
	char *at = (char *)d + f->off;

	switch (f->kind) {
	case F_BOOL:
		return json_bool(j, node, (bool *)(void *)at);
	case F_U8:
	case F_U16:
	case F_U32:
	case F_U64:
		return get_number(j, node, f, at);
	case F_STRING:
		return json_string(j, node, at, DPS_STR_MAX);
	case F_GUID:
		return get_guid(j, node, (struct guid *)(void *)at);
	case F_ENUM:
		return get_enum(j, node, f->names, (int *)(void *)at);
	case F_BYTES:
		return get_bytes(j, node, f, (char *)d);
	}
	return -EBADMSG;
}

/* ---- the tree -------------------------------------------------------------------------------- */

struct walk {
	const struct json *j;
	struct dps *d;
	const char *why; /* the member at fault */
};

static int fail_at(struct walk *w, const char *name, int err)
{
	w->why = name;
	return err;
}

static int get_fields(struct walk *w, uint32_t obj, const struct field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t node = json_member(w->j, obj, fields[i].name);
		int r;

		/* null is how an absent optional member may be written. */
		if (node == JSON_NONE || json_is(w->j, node, JSON_NULL)) {
			if (fields[i].required)
				return fail_at(w, fields[i].name, -EBADMSG);
			continue;
		}
		r = get_field(w->j, node, &fields[i], w->d);
		if (r < 0)
			return fail_at(w, fields[i].name, r);
	}
	return 0;
}

/* An object inside obj; JSON_NONE is fine when it is optional. */
static int get_object(struct walk *w, uint32_t obj, const char *name, bool required,
		      uint32_t *ret_node)
{
	const uint32_t node = json_member(w->j, obj, name);

	if (node == JSON_NONE || json_is(w->j, node, JSON_NULL)) {
		*ret_node = JSON_NONE;
		return required ? fail_at(w, name, -EBADMSG) : 0;
	}
	*ret_node = node;
	return json_is(w->j, node, JSON_OBJECT) ? 0 : fail_at(w, name, -EBADMSG);
}

/* Fields of an object inside obj. */
static int get_sub(struct walk *w, uint32_t obj, const char *name, bool required,
		   const struct field *fields, size_t n)
{
	uint32_t sub;
	int r = get_object(w, obj, name, required, &sub);

	return r < 0 || sub == JSON_NONE ? r : get_fields(w, sub, fields, n);
}

static int get_boot_order(struct walk *w, uint32_t obj)
{
	static const char name[] = "PcatBootDeviceOrder";
	uint32_t node = json_member(w->j, obj, name);
	unsigned i = 0;

	for (unsigned d = 0; d < ARRAY_SIZE(w->d->pcat_boot_order); d++)
		w->d->pcat_boot_order[d] = (enum dps_boot_device)d;
	if (node == JSON_NONE || json_is(w->j, node, JSON_NULL))
		return 0;
	if (!json_is(w->j, node, JSON_ARRAY))
		return fail_at(w, name, -EBADMSG);
	for (node = w->j->nodes[node].first; node != JSON_NONE; node = w->j->nodes[node].next) {
		int val;

		if (i == ARRAY_SIZE(w->d->pcat_boot_order) ||
		    get_enum(w->j, node, boot_names, &val) < 0)
			return fail_at(w, name, -EBADMSG);
		w->d->pcat_boot_order[i++] = (enum dps_boot_device)val;
	}
	return i == ARRAY_SIZE(w->d->pcat_boot_order) ? 0 : fail_at(w, name, -EBADMSG);
}

static int get_settings_blob(struct walk *w, uint32_t obj)
{
	static const char name[] = "Vtl2Settings";
	const uint32_t node = json_member(w->j, obj, name);
	const size_t room = json_base64_room(w->j, node);
	int r;

	if (node == JSON_NONE || json_is(w->j, node, JSON_NULL) || json_string_is(w->j, node, ""))
		return 0;
	w->d->vtl2_settings = room ? malloc(room) : NULL;
	if (!w->d->vtl2_settings)
		return fail_at(w, name, room ? -ENOMEM : -EBADMSG);
	r = json_base64(w->j, node, w->d->vtl2_settings, room, &w->d->vtl2_settings_len);
	return r < 0 ? fail_at(w, name, r) : 0;
}

static int get_filter(struct walk *w, uint32_t obj)
{
	static const char name[] = "VpciInstanceFilter";
	const uint32_t node = json_member(w->j, obj, name);

	if (node == JSON_NONE || json_is(w->j, node, JSON_NULL))
		return 0;
	if (get_guid(w->j, node, &w->d->vpci_instance_filter) < 0)
		return fail_at(w, name, -EBADMSG);
	w->d->has_vpci_instance_filter = true;
	return 0;
}

static int get_generation_id(struct walk *w, uint32_t obj)
{
	static const char *const names[2] = { "GenerationIdLow", "GenerationIdHigh" };

	for (unsigned i = 0; i < 2; i++) {
		const uint32_t node = json_member(w->j, obj, names[i]);
		uint64_t val;

		if (node == JSON_NONE || json_is(w->j, node, JSON_NULL))
			continue;
		if (json_u64(w->j, node, UINT64_MAX, &val) < 0)
			return fail_at(w, names[i], -EBADMSG);
		le64_store(w->d->generation_id + 8 * i, val);
	}
	return 0;
}

static int get_v1(struct walk *w)
{
	uint32_t v1;
	int r = get_object(w, 0, "V1", true, &v1);

	if (r == 0)
		r = get_fields(w, v1, v1_fields, ARRAY_SIZE(v1_fields));
	if (r == 0)
		r = get_sub(w, v1, "Com1", false, com_fields[0], ARRAY_SIZE(com_fields[0]));
	if (r == 0)
		r = get_sub(w, v1, "Com2", false, com_fields[1], ARRAY_SIZE(com_fields[1]));
	return r;
}

static int get_static(struct walk *w, uint32_t v2)
{
	uint32_t obj;
	int r = get_object(w, v2, "Static", true, &obj);

	if (r == 0)
		r = get_fields(w, obj, static_fields, ARRAY_SIZE(static_fields));
	if (r == 0)
		r = get_sub(w, obj, "Smbios", true, static_smbios_fields,
			    ARRAY_SIZE(static_smbios_fields));
	if (r == 0)
		r = get_filter(w, obj);
	if (r == 0)
		r = get_boot_order(w, obj);
	if (r == 0)
		r = get_settings_blob(w, obj);
	return r;
}

static int get_dynamic(struct walk *w, uint32_t v2)
{
	uint32_t obj;
	int r = get_object(w, v2, "Dynamic", true, &obj);

	if (r == 0)
		r = get_fields(w, obj, dynamic_fields, ARRAY_SIZE(dynamic_fields));
	if (r == 0)
		r = get_generation_id(w, obj);
	if (r == 0)
		r = get_sub(w, obj, "Smbios", false, dynamic_smbios_fields,
			    ARRAY_SIZE(dynamic_smbios_fields));
	return r;
}

static int get_all(struct walk *w)
{
	uint32_t v2;
	int r = json_is(w->j, 0, JSON_OBJECT) ? 0 : fail_at(w, "(top level)", -EBADMSG);

	if (r == 0)
		r = get_v1(w);
	if (r == 0)
		r = get_object(w, 0, "V2", true, &v2);
	if (r == 0)
		r = get_static(w, v2);
	if (r == 0)
		r = get_dynamic(w, v2);
	return r;
}

int dps_parse(const char *json, size_t len, struct dps *ret_dps, const char **ret_why)
{
	struct dps d = { 0 };
	struct walk w = { .d = &d };
	struct json j = { 0 };
	int r;

	if (ret_why)
		*ret_why = "(syntax)";
	if (len > DPS_MAX_JSON)
		return -E2BIG;
	r = json_parse(json, len, &j);
	if (r < 0)
		return r;
	w.j = &j;
	r = get_all(&w);
	json_fini(&j);
	if (r < 0) {
		if (ret_why)
			*ret_why = w.why;
		dps_fini(&d);
		return r;
	}
	*ret_dps = d;
	return 0;
}

void dps_fini(struct dps *d)
{
	free(d->vtl2_settings);
	d->vtl2_settings = NULL;
	d->vtl2_settings_len = 0;
}
