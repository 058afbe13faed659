/* SPDX-License-Identifier: MIT */
#include "dps.h"
#include "inspect_get.h"
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

/* ---- the reader ------------------------------------------------------------------------------ */

static struct json j;

/* From an exact heap copy, so that the sanitizer sees a read beyond the end. */
static char *text;

static int parse_n(const char *s, size_t len)
{
	int r;

	text = malloc(len ? len : 1);
	ck_assert_ptr_nonnull(text);
	memcpy(text, s, len);
	r = json_parse(text, len, &j);
	if (r < 0) {
		free(text);
		text = NULL;
	}
	return r;
}

static int parse(const char *s)
{
	return parse_n(s, strlen(s));
}

static void done(void)
{
	json_fini(&j);
	free(text);
}

START_TEST(accepts)
{
	static const char *const good[] = { "{}",
					    "[]",
					    "null",
					    " true ",
					    "0",
					    "-0",
					    "10.5e+3",
					    "1E-2",
					    "\"\"",
					    "[1,[2,{}],\"x\"]",
					    "{\"a\":{\"b\":[false]},\"c\":null}",
					    "\"\\u00e9\\ud83d\\ude00\"",
					    "\"\xc3\xa9\xf0\x9f\x98\x80\"" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ck_assert_msg(parse(good[i]) == 0, "%s", good[i]);
		done();
	}
}
END_TEST

START_TEST(refuses)
{
	static const char *const bad[] = {
		"", " ", "{", "[", "]", "{]", "[}", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}",
		"{\"a\":1,}", "{a:1}", "{1:2}", "01", "1.", ".5", "1e", "+1", "-", "nul", "nulll",
		"true false", "\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"",
		"\"\\udc00\"", "\"\\ud800\\u0041\"", "\"a\nb\"", "\"\x80\"", "\"\xc0\xaf\"",
		"\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe2\x82\"", "\xef\xbb\xbf{}", "[1}",
		"{\"a\":1]", "\"\\u", "\"\\ud83d\\u", "[\"a\":1]",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(parse(bad[i]) == -EBADMSG, "%s", bad[i]);
	ck_assert_int_eq(parse_n("\"a\0b\"", 5), -EBADMSG);
}
END_TEST

START_TEST(limits)
{
	char deep[64];
	char *many = calloc(1, 2 * JSON_MAX_NODES + 16);

	memset(deep, '[', 16);
	memset(deep + 16, ']', 16);
	deep[32] = 0;
	ck_assert_int_eq(parse(deep), 0);
	done();
	memset(deep, '[', 17);
	memset(deep + 17, ']', 17);
	deep[34] = 0;
	ck_assert_int_eq(parse(deep), -E2BIG);
	many[0] = '[';
	for (size_t i = 0; i < JSON_MAX_NODES; i++)
		memcpy(many + 1 + 2 * i, "0,", 2);
	memcpy(many + 2 * JSON_MAX_NODES, "]", 2);
	ck_assert_int_eq(parse(many), -E2BIG);
	free(many);
}
END_TEST

START_TEST(values)
{
	char buf[8];
	uint64_t val;
	bool flag;

	ck_assert_int_eq(
		parse("{\"n\":18446744073709551615,\"m\":18446744073709551616,\"f\":1.0,"
		      "\"s\":\"a\\u00e9\\n\",\"t\":true,\"n\":1,\"neg\":-1,\"b\":\"AQI=\"}"),
		0);
	ck_assert_int_eq(json_u64(&j, json_member(&j, 0, "n"), UINT64_MAX, &val), 0);
	ck_assert_uint_eq(val, UINT64_MAX);
	ck_assert_int_eq(json_u64(&j, json_member(&j, 0, "n"), 5, &val), -EBADMSG);
	ck_assert_int_eq(json_u64(&j, json_member(&j, 0, "m"), UINT64_MAX, &val), -EBADMSG);
	ck_assert_int_eq(json_u64(&j, json_member(&j, 0, "f"), UINT64_MAX, &val), -EBADMSG);
	ck_assert_int_eq(json_u64(&j, json_member(&j, 0, "neg"), UINT64_MAX, &val), -EBADMSG);
	ck_assert_int_eq(json_u64(&j, json_member(&j, 0, "none"), UINT64_MAX, &val), -EBADMSG);
	ck_assert_int_eq(json_bool(&j, json_member(&j, 0, "t"), &flag), 0);
	ck_assert(flag);
	ck_assert_int_eq(json_bool(&j, json_member(&j, 0, "n"), &flag), -EBADMSG);
	ck_assert_int_eq(json_string(&j, json_member(&j, 0, "s"), buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "a\xc3\xa9\n");
	ck_assert_int_eq(json_string(&j, json_member(&j, 0, "s"), buf, 3), 0);
	ck_assert_str_eq(buf, "a"); /* cut between characters */
	ck_assert_int_eq(json_string(&j, json_member(&j, 0, "t"), buf, 3), -EBADMSG);
	ck_assert_uint_eq(json_member(&j, JSON_NONE, "x"), JSON_NONE);
	done();
}
END_TEST

static int base64(const char *s, size_t cap, uint8_t *buf, size_t *len)
{
	char quoted[64];
	int r;

	snprintf(quoted, sizeof(quoted), "\"%s\"", s);
	ck_assert_int_eq(parse(quoted), 0);
	r = json_base64(&j, 0, buf, cap, len);
	done();
	return r;
}

START_TEST(base64_forms)
{
	static const char *const bad[] = { "A",	   "AA",    "AAA",  "A===",	"=AAA",
					   "AA=A", "AAAA=", "A-AA", "AAAA AAA", "AA==AAAA" };
	uint8_t buf[16];
	size_t len;

	ck_assert_int_eq(base64("", 0, buf, &len), 0);
	ck_assert_uint_eq(len, 0);
	ck_assert_int_eq(base64("Zm9vYg==", 4, buf, &len), 0);
	ck_assert_uint_eq(len, 4);
	ck_assert_mem_eq(buf, "foob", 4);
	ck_assert_int_eq(base64("Zm9vYmE=", 5, buf, &len), 0);
	ck_assert_int_eq(base64("Zm9vYmFy", 5, buf, &len), -E2BIG);
	ck_assert_int_eq(base64("\\/\\/\\/\\/", 3, buf, &len), 0);
	ck_assert_mem_eq(buf, "\xff\xff\xff", 3);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(base64(bad[i], sizeof(buf), buf, &len) == -EBADMSG, "%s", bad[i]);
}
END_TEST

/* ---- platform settings ----------------------------------------------------------------------- */

#define STATIC_REQ                                                                                 \
	"\"LegacyMemoryMap\":false,\"PauseAfterBootFailure\":true,\"PxeIpV6\":false,"              \
	"\"MeasureAdditionalPcrs\":true,\"DisableFrontpage\":false,\"DisableSha384Pcr\":true,"     \
	"\"MediaPresentEnabledByDefault\":false,\"MemoryProtectionMode\":2,"                       \
	"\"VpciBootEnabled\":false,\"NumLockEnabled\":false,\"VmbusRedirectionEnabled\":true,"     \
	"\"NoPersistentSecrets\":false,\"WatchdogEnabled\":true,"
#define SMBIOS "\"Smbios\":{\"SystemManufacturer\":\"M\"}"
#define DOC(v1, st, dyn) "{\"V1\":{" v1 "},\"V2\":{\"Static\":{" st "},\"Dynamic\":{" dyn "}}}"

static struct dps d;
static const char *why;

static int dps(const char *s)
{
	size_t len = strlen(s);
	char *copy = malloc(len);
	int r;

	memcpy(copy, s, len);
	r = dps_parse(copy, len, &d, &why);
	free(copy);
	return r;
}

START_TEST(smallest)
{
	ck_assert_int_eq(dps(DOC("", STATIC_REQ SMBIOS, "")), 0);
	ck_assert(!d.com[0].enabled && !d.secure_boot_enabled && !d.tpm_enabled);
	ck_assert(d.pause_after_boot_failure && d.vmbus_redirection_enabled && d.watchdog_enabled);
	ck_assert_uint_eq(d.memory_protection_mode, 2);
	ck_assert_int_eq(d.pcat_boot_order[3], DPS_BOOT_NETWORK);
	ck_assert_str_eq(d.smbios.system_manufacturer, "M");
	ck_assert_ptr_null(d.vtl2_settings);
	dps_fini(&d);
}
END_TEST

START_TEST(everything)
{
	static const uint8_t bios[16] = { 4, 3, 2, 1, 6, 5, 8, 7, 9, 10, 11, 12, 13, 14, 15, 16 };
	static const uint8_t gen[16] = { 2, 1, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255,
					 255 };

	ck_assert_int_eq(dps(DOC("\"Com1\":{\"EnablePort\":true,\"EnableVmbusRedirector\":true},"
		"\"Com2\":{\"EnablePort\":true,\"DebuggerMode\":true},\"ConsoleMode\":1,"
		"\"SecureBootEnabled\":true,\"SecureBootTemplateId\":\"MicrosoftWindows\","
		"\"BiosGuid\":\"{01020304-0506-0708-090A-0B0C0D0E0F10}\",\"EnableTpm\":true,"
		"\"SerialNumber\":\"123\"",
		STATIC_REQ SMBIOS ",\"VpciInstanceFilter\":null,\"Vtl2Settings\":\"AAEC\","
		"\"PcatBootDeviceOrder\":[\"Network\",\"HardDrive\",\"Optical\",\"Floppy\"],"
		"\"GuestStateLifetime\":\"Ephemeral\",\"GuestStateEncryptionPolicy\":\"GspKey\","
		"\"HardwareSealingPolicyId\":\"Signer\",\"EfiDiagnosticsLogLevel\":2,"
		"\"ManagementVtlFeatures\":18446744073709551615,\"Unknown\":[1,{}]",
		"\"NvdimmCount\":65535,\"GenerationIdLow\":258,"
		"\"GenerationIdHigh\":18446744073709551615,\"IsServicingScenario\":true,"
		"\"Smbios\":{\"ProcessorManufacturer\":\"QQA=\",\"Voltage\":255}")), 0);
	ck_assert(d.com[0].enabled && d.com[0].vmbus_redirector && !d.com[0].debugger_mode);
	ck_assert(d.com[1].enabled && !d.com[1].vmbus_redirector && d.com[1].debugger_mode);
	ck_assert_int_eq(d.console_mode, DPS_CONSOLE_COM1);
	ck_assert_int_eq(d.secure_boot_template, DPS_SBT_WINDOWS);
	ck_assert_mem_eq(&d.bios_guid, bios, 16);
	ck_assert_mem_eq(d.generation_id, gen, 16);
	ck_assert_int_eq(d.pcat_boot_order[0], DPS_BOOT_NETWORK);
	ck_assert_int_eq(d.guest_state_lifetime, DPS_STATE_EPHEMERAL);
	ck_assert_int_eq(d.guest_state_encryption, DPS_ENC_GSP_KEY);
	ck_assert_int_eq(d.sealing_policy, DPS_SEAL_SIGNER);
	ck_assert_uint_eq(d.efi_diagnostics_log_level, 2);
	ck_assert_uint_eq(d.management_vtl_features, UINT64_MAX);
	ck_assert_uint_eq(d.vtl2_settings_len, 3);
	ck_assert_mem_eq(d.vtl2_settings, "\0\1\2", 3);
	ck_assert_uint_eq(d.smbios.processor_manufacturer_len, 2);
	ck_assert_uint_eq(d.smbios.voltage, 255);
	ck_assert_str_eq(d.smbios.serial_number, "123");
	ck_assert(!d.has_vpci_instance_filter);
	ck_assert_str_eq(inspect_get(dps_inspect, &d, "console_mode"), "\"com1\"");
	ck_assert_str_eq(inspect_get(dps_inspect, &d, "secure_boot_template"),
			 "\"microsoft_windows\"");
	ck_assert_str_eq(inspect_get(dps_inspect, &d, "bios_guid"),
			 "\"01020304-0506-0708-090a-0b0c0d0e0f10\"");
	ck_assert_str_eq(inspect_get(dps_inspect, &d, "pcat_boot_order/0"), "\"network\"");
	ck_assert_str_eq(inspect_get(dps_inspect, &d, "guest_state_lifetime"), "\"ephemeral\"");
	ck_assert_str_eq(inspect_get(dps_inspect, &d, "guest_state_encryption_policy"),
			 "\"gsp_key\"");
	ck_assert_str_eq(inspect_get(dps_inspect, &d, "hardware_sealing_policy"), "\"signer\"");
	ck_assert_str_eq(inspect_get(dps_inspect, &d, "smbios/processor_manufacturer"), "<4100>");
	dps_fini(&d);
}
END_TEST

START_TEST(long_strings_are_cut)
{
	char json[2048], name[512];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	snprintf(json, sizeof(json), DOC("\"SerialNumber\":\"%s\"", STATIC_REQ SMBIOS, ""), name);
	ck_assert_int_eq(dps(json), 0);
	ck_assert_uint_eq(strlen(d.smbios.serial_number), DPS_STR_MAX - 1);
	dps_fini(&d);
}
END_TEST

static void bad(const char *json, const char *member)
{
	ck_assert_msg(dps(json) < 0, "%s", member);
	ck_assert_str_eq(why, member);
}

START_TEST(wrong_members_are_named)
{
	bad("", "(syntax)");
	bad("[]", "(top level)");
	bad("{}", "V1");
	bad("{\"V1\":[]}", "V1");
	bad("{\"V1\":{}}", "V2");
	bad("{\"V1\":{},\"V2\":{}}", "Static");
	bad(DOC("", SMBIOS, ""), "LegacyMemoryMap");
	bad(DOC("", STATIC_REQ "\"X\":0", ""), "Smbios");
	bad("{\"V1\":{},\"V2\":{\"Static\":{" STATIC_REQ SMBIOS "}}}", "Dynamic");
	bad(DOC("\"EnableTpm\":1", STATIC_REQ SMBIOS, ""), "EnableTpm");
	bad(DOC("\"ConsoleMode\":4", STATIC_REQ SMBIOS, ""), "ConsoleMode");
	bad(DOC("\"Com1\":true", STATIC_REQ SMBIOS, ""), "Com1");
	bad(DOC("\"Com2\":{\"EnablePort\":\"yes\"}", STATIC_REQ SMBIOS, ""), "EnablePort");
	bad(DOC("\"SecureBootTemplateId\":\"Mine\"", STATIC_REQ SMBIOS, ""),
	    "SecureBootTemplateId");
	bad(DOC("\"BiosGuid\":\"0102\"", STATIC_REQ SMBIOS, ""), "BiosGuid");
	bad(DOC("\"BiosGuid\":\"01020304-0506-0708-090A_0B0C0D0E0F10\"", STATIC_REQ SMBIOS, ""),
	    "BiosGuid");
	bad(DOC("", STATIC_REQ SMBIOS ",\"PcatBootDeviceOrder\":[\"Network\"]", ""),
	    "PcatBootDeviceOrder");
	bad(DOC("", STATIC_REQ SMBIOS ",\"EfiDiagnosticsLogLevel\":3", ""),
	    "EfiDiagnosticsLogLevel");
	bad(DOC("", STATIC_REQ SMBIOS ",\"Vtl2Settings\":\"!!!!\"", ""), "Vtl2Settings");
	bad(DOC("", STATIC_REQ SMBIOS ",\"Vtl2Settings\":\"A\"", ""), "Vtl2Settings");
	bad(DOC("", STATIC_REQ SMBIOS ",\"Vtl2Settings\":5", ""), "Vtl2Settings");
	bad(DOC("", STATIC_REQ SMBIOS, "\"NvdimmCount\":65536"), "NvdimmCount");
	bad(DOC("", STATIC_REQ SMBIOS, "\"GenerationIdLow\":-1"), "GenerationIdLow");
	bad(DOC("", STATIC_REQ SMBIOS, "\"Smbios\":{\"Voltage\":256}"), "Voltage");
}
END_TEST

UNIT_MAIN("devices/get/dps", accepts, refuses, limits, values, base64_forms, smallest, everything,
	  long_strings_are_cut, wrong_members_are_named)
