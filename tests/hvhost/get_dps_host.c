/* SPDX-License-Identifier: MIT */
#include "get_dps_host.h"

#include "cleanup.h"
#include "guid.h"
#include "settings_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define JSON_ROOM 4096

static const char *word(bool val)
{
	return val ? "true" : "false";
}

/* A VM id that stays the same from run to run, so that logs can be compared. */
static const struct guid default_bios_guid =
	GUID_INIT(0x6b65656c, 0x0000, 0x4000, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01);

char *get_dps_host_json(const struct get_host_cfg *cfg)
{
	static const struct guid none;
	char bios[GUID_STR_LEN + 1];
	auto_free char *settings = settings_host_base64(cfg->settings, cfg->settings_len);
	const size_t room = JSON_ROOM + (settings ? strlen(settings) : 0);
	char *json = settings ? malloc(room) : NULL;
	struct timespec now;
	int n;

	if (!json)
		return NULL;
	guid_format(guid_eq(&cfg->bios_guid, &none) ? &default_bios_guid : &cfg->bios_guid, bios);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	n = snprintf(
		json, room,
		"{\"V1\":{\"SecureBootEnabled\":false,\"SecureBootTemplateId\":\"None\","
		"\"EnableBattery\":false,\"EnableProcessorIdle\":false,\"EnableTpm\":false,"
		"\"Com1\":{\"EnablePort\":%s,\"DebuggerMode\":false,\"EnableVmbusRedirector\":%s},"
		"\"Com2\":{\"EnablePort\":%s,\"DebuggerMode\":false,\"EnableVmbusRedirector\":%s},"
		"\"EnableFirmwareDebugging\":false,\"EnableHibernation\":false,"
		"\"SerialNumber\":\"0000-0001\",\"BaseBoardSerialNumber\":\"0000-0002\","
		"\"ChassisSerialNumber\":\"0000-0003\",\"ChassisAssetTag\":\"0000-0004\","
		"\"BiosGuid\":\"%s\",\"ConsoleMode\":0},"
		"\"V2\":{\"Static\":{\"LegacyMemoryMap\":false,\"PauseAfterBootFailure\":false,"
		"\"PxeIpV6\":false,\"MeasureAdditionalPcrs\":true,\"DisableFrontpage\":false,"
		"\"DisableSha384Pcr\":false,\"MediaPresentEnabledByDefault\":false,"
		"\"MemoryProtectionMode\":0,\"DefaultBootAlwaysAttempt\":false,"
		"\"VpciBootEnabled\":false,\"VpciInstanceFilter\":null,\"NumLockEnabled\":false,"
		"\"PcatBootDeviceOrder\":[\"Floppy\",\"Optical\",\"HardDrive\",\"Network\"],"
		"\"Smbios\":{\"SystemManufacturer\":\"Keel\",\"SystemProductName\":\"hvhost\","
		"\"SystemVersion\":\"1.0\",\"SystemSKUNumber\":\"None\","
		"\"SystemFamily\":\"Virtual Machine\",\"BiosLockString\":\"\","
		"\"MemoryDeviceSerialNumber\":\"None\"},"
		"\"Vtl2Settings\":%s%s%s,\"VmbusRedirectionEnabled\":%s,"
		"\"NoPersistentSecrets\":true,\"WatchdogEnabled\":false,"
		"\"FirmwareModeIsPcat\":false,\"AlwaysRelayHostMmio\":false,\"ImcEnabled\":false,"
		"\"CxlMemoryEnabled\":false,\"GuestStateLifetime\":\"Default\","
		"\"GuestStateEncryptionPolicy\":\"Auto\",\"ManagementVtlFeatures\":0},"
		"\"Dynamic\":{\"NvdimmCount\":0,\"EnablePsp\":false,"
		"\"GenerationIdLow\":%llu,\"GenerationIdHigh\":%llu,\"AcpiTables\":[],"
		"\"IsServicingScenario\":false,"
		"\"Smbios\":{\"ProcessorManufacturer\":\"S2VlbAA=\",\"ProcessorVersion\":"
		"\"VmlydHVhbAA=\",\"ProcessorID\":0,\"ExternalClock\":0,\"MaxSpeed\":0,"
		"\"CurrentSpeed\":0,\"ProcessorCharacteristics\":0,\"ProcessorFamily2\":0,"
		"\"ProcessorType\":3,\"Voltage\":0,\"Status\":65,\"ProcessorUpgrade\":1}}}}",
		word(cfg->com_enabled[0]), word(cfg->com_vmbus_redirector[0]),
		word(cfg->com_enabled[1]), word(cfg->com_vmbus_redirector[1]), bios,
		*settings ? "\"" : "", *settings ? settings : "null", *settings ? "\"" : "",
		word(cfg->vmbus_redirection), (unsigned long long)now.tv_nsec * 2654435761ull,
		(unsigned long long)now.tv_sec);
	if (n < 0 || (size_t)n >= room) {
		free(json);
		return NULL;
	}
	return json;
}
