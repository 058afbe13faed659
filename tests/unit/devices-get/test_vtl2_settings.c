/* SPDX-License-Identifier: MIT */
/* VTL2 settings: both encodings against hvhost's writer and against documents written by hand. */
#include "vtl2_settings.h"

#include "inspect_get.h"
#include "msgtab.h"
#include "../../hvhost/settings_host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static struct vtl2_settings *s;
static struct vtl2s_error err;

static int parse_n(const void *doc, size_t len)
{
	char *copy = malloc(len ? len : 1); /* exact, so that the sanitizer sees overruns */
	int r;

	if (len)
		memcpy(copy, doc, len);
	memset(&err, 0, sizeof(err));
	s = NULL;
	r = vtl2_settings_parse(copy, len, NULL, &s, &err);
	ck_assert(!r == !!s);
	ck_assert(!r == !err.id);
	free(copy);
	return r;
}

static int parse(const char *doc)
{
	return parse_n(doc, strlen(doc));
}

static void done(void)
{
	vtl2_settings_free(s);
	s = NULL;
}

/* ---- the whole in every form ----------------------------------------------------------------- */

static const struct guid dev_a = GUID_INIT(0x3217a48a, 0xc820, 0x4727, 1, 2, 3, 4, 5, 6, 7, 8);
static const struct guid dev_b = GUID_INIT(0x3217a48b, 0xc821, 0x4727, 1, 2, 3, 4, 5, 6, 7, 9);

static struct vtl2s_device single[] = { { VTL2S_DEV_NVME, { 0 }, 1 } };
static struct vtl2s_device striped[] = { { VTL2S_DEV_NVME, { 0 }, 2 },
					 { VTL2S_DEV_VSCSI, { 0 }, 0 },
					 { VTL2S_DEV_NVME, { 0 }, UINT32_MAX } };
static struct vtl2s_lun scsi_luns[] = {
	{ .location = 0,
	  .device_id = { .d1 = 1 },
	  .vendor = "Msft",
	  .product = "Virtual Disk",
	  .revision = "1.0",
	  .serial = "some \"serial\" \\ number",
	  .model = "a model",
	  .medium_rotation_rate = 7200,
	  .physical_sector_size = 4096,
	  .has_fua = true,
	  .fua = false,
	  .has_write_cache = true,
	  .write_cache = true,
	  .odx = true,
	  .disable_thin_provisioning = true,
	  .max_transfer_length = 1ull << 40,
	  .scsi_disk_size = 5ull << 30,
	  .n_devices = 1,
	  .devices = single },
	{ .location = 63,
	  .device_id = { .d1 = 2 },
	  .chunk_kb = 128,
	  .n_devices = 3,
	  .devices = striped },
	{ .location = 7, .device_id = { .d1 = 3 }, .is_dvd = true },
};
static struct vtl2s_lun ide_luns[] = {
	{ .channel = 0,
	  .location = 0,
	  .device_id = { .d1 = 4 },
	  .vendor = "12345678",
	  .product = "1234567890123456",
	  .revision = "1234",
	  .n_devices = 1,
	  .devices = single },
	{ .channel = 1,
	  .location = 1,
	  .device_id = { .d1 = 5 },
	  .is_dvd = true,
	  .n_devices = 1,
	  .devices = single },
};
static struct vtl2s_lun nvme_luns[] = {
	{ .location = 1, .device_id = { .d1 = 6 }, .n_devices = 1, .devices = single },
	{ .location = UINT32_MAX - 1, .device_id = { .d1 = 7 }, .n_devices = 1, .devices = single },
};
static struct vtl2s_controller controllers[] = {
	{ .instance = { .d1 = 0x11 },
	  .protocol = VTL2S_SCSI,
	  .io_queue_depth = 64,
	  .n_luns = 3,
	  .luns = scsi_luns },
	{ .instance = { .d1 = 0x12 }, .protocol = VTL2S_IDE, .n_luns = 2, .luns = ide_luns },
	{ .instance = { .d1 = 0x13 }, .protocol = VTL2S_NVME, .n_luns = 2, .luns = nvme_luns },
	{ .instance = { .d1 = 0x14 }, .protocol = VTL2S_SCSI },
};
static struct vtl2s_nic nics[] = {
	{ .instance = { .d1 = 0x21 }, .max_sub_channels = 4 },
	{ .instance = { .d1 = 0x22 }, .has_subordinate = true, .subordinate = { .d1 = 0x23 } },
};
static struct vtl2_settings all = { .scsi_sub_channels = 31,
				    .io_ring_size = 512,
				    .max_bounce_buffer_pages = 99,
				    .n_controllers = 4,
				    .controllers = controllers,
				    .n_nics = 2,
				    .nics = nics };

static void fill(void)
{
	single[0].path = dev_a;
	for (size_t i = 0; i < ARRAY_SIZE(striped); i++)
		striped[i].path = i ? dev_b : dev_a;
}

static int write_and_parse(const struct vtl2_settings *what, enum settings_form form)
{
	uint8_t *doc;
	size_t len;
	int r;

	ck_assert_int_eq(settings_host_write(what, form, &doc, &len), 0);
	r = parse_n(doc, len);
	free(doc);
	return r;
}

START_TEST(every_form)
{
	const enum settings_form form = (enum settings_form)_i;
	const bool flat = form == SETTINGS_FLAT_JSON || form == SETTINGS_FLAT_PROTOBUF;

	fill();
	ck_assert_msg(write_and_parse(&all, form) == 0, "%s: %s", err.id, err.text);
	ck_assert_uint_eq(s->scsi_sub_channels, 31);
	ck_assert_uint_eq(s->io_ring_size, 512);
	ck_assert_uint_eq(s->max_bounce_buffer_pages, 99);
	ck_assert_uint_eq(s->n_controllers, 4);
	for (uint32_t i = 0; i < 4; i++) {
		const struct vtl2s_controller *c = &s->controllers[i];

		ck_assert(guid_eq(&c->instance, &controllers[i].instance));
		ck_assert_int_eq(c->protocol, controllers[i].protocol);
		ck_assert_uint_eq(c->io_queue_depth, controllers[i].io_queue_depth);
		ck_assert_uint_eq(c->n_luns, controllers[i].n_luns);
		for (uint32_t k = 0; k < c->n_luns; k++)
			ck_assert_msg(vtl2s_lun_eq(&c->luns[k], &controllers[i].luns[k]),
				      "controller %u lun %u", i, k);
	}
	ck_assert_uint_eq(s->n_nics, flat ? 0 : 2);
	for (uint32_t i = 0; i < s->n_nics; i++) {
		ck_assert(guid_eq(&s->nics[i].instance, &nics[i].instance));
		ck_assert(guid_eq(&s->nics[i].subordinate, &nics[i].subordinate));
		ck_assert(s->nics[i].has_subordinate == nics[i].has_subordinate);
		ck_assert_uint_eq(s->nics[i].max_sub_channels, nics[i].max_sub_channels);
	}
	done();
}
END_TEST

/* Every prefix of a document and every byte changed: refused or understood, never worse. */
START_TEST(broken_documents)
{
	uint8_t *doc;
	size_t len;

	fill();
	ck_assert_int_eq(settings_host_write(&all, (enum settings_form)_i, &doc, &len), 0);
	for (size_t n = 0; n < len; n += 3) {
		(void)parse_n(doc, n);
		done();
	}
	for (size_t at = 0; at < len; at += 7) {
		doc[at] ^= (uint8_t)(1u << at % 8);
		(void)parse_n(doc, len);
		done();
	}
	free(doc);
}
END_TEST

/* ---- golden bytes ---------------------------------------------------------------------------- */

#define G1 "00000001-0000-0000-0000-000000000000"
#define G2 "00000002-0000-0000-0000-000000000000"

/* {4: {1: {1: G1, 2: 1, 3: {2: 5, 3: G2, 16: {1: 1, 2: {1: 1, 2: G1, 3: 9}}}}}, 2: 1} */
static const char golden[] = "\x22\x86\x01\x0a\x83\x01\x0a\x24" G1 "\x10\x01\x1a\x59"
			     "\x10\x05\x1a\x24" G2 "\x82\x01\x2e\x08\x01\x12\x2a"
			     "\x08\x01\x12\x24" G1 "\x18\x09"
			     "\x10\x01";

START_TEST(golden_protobuf)
{
	/* what hosts of today do not write yet is skipped: field 99 of every kind */
	static const char unknown[] = "\x98\x06\x05\x99\x06"
				      "12345678"
				      "\x9a\x06\x02xx\x9d\x06"
				      "1234";
	char doc[256];
	size_t len = 0;

	memcpy(doc, golden, sizeof(golden) - 1);
	len = sizeof(golden) - 1;
	ck_assert_msg(parse_n(doc, len) == 0, "%s: %s", err.id, err.text);
	ck_assert_uint_eq(s->n_controllers, 1);
	ck_assert_uint_eq(s->controllers[0].instance.d1, 1);
	ck_assert_uint_eq(s->controllers[0].n_luns, 1);
	ck_assert_uint_eq(s->controllers[0].luns[0].location, 5);
	ck_assert_uint_eq(s->controllers[0].luns[0].device_id.d1, 2);
	ck_assert_uint_eq(s->controllers[0].luns[0].devices[0].sub_path, 9);
	ck_assert_uint_eq(s->io_ring_size, 256);
	done();
	memcpy(doc + len, unknown, sizeof(unknown) - 1);
	len += sizeof(unknown) - 1;
	ck_assert_int_eq(parse_n(doc, len), 0);
	done();
	doc[len++] = (char)0x9b; /* a group */
	doc[len++] = 6;
	ck_assert_int_eq(parse_n(doc, len), -EBADMSG);
	ck_assert_str_eq(err.id, "Configuration.ProtobufFormatError");
}
END_TEST

/* A document that starts like JSON by chance: a string of 0x7b bytes after white space. */
START_TEST(protobuf_that_looks_like_json)
{
	char doc[0x7b + 2];

	memset(doc, 'x', sizeof(doc));
	doc[0] = '\n'; /* field 1, length-delimited */
	doc[1] = '{';
	/* the chunk inside: a name of 0x79 bytes */
	doc[2] = '\n';
	doc[3] = 0x79;
	ck_assert_int_eq(parse_n(doc, sizeof(doc)), -EBADMSG);
	ck_assert_str_eq(err.id, "Configuration.EmptyNamespaceChunk");
	/* neither: the JSON error counts */
	ck_assert_int_eq(parse("\n{oops"), -EBADMSG);
	ck_assert_str_eq(err.id, "Configuration.JsonFormatError");
}
END_TEST

/* ---- JSON ------------------------------------------------------------------------------------ */

#define LUN(members)                                                                             \
	"{\"version\":\"V1\",\"dynamic\":{\"storage_controllers\":[{\"instance_id\":\"" G1 "\"," \
	"\"protocol\":\"SCSI\",\"luns\":[{" members "}]}]}}"
#define DISK(members)                                                             \
	LUN("\"device_id\":\"" G2 "\",\"physical_devices\":{\"type\":\"SINGLE\"," \
	    "\"device\":{\"device_type\":\"NVME\",\"device_path\":\"" G1 "\","    \
	    "\"sub_device_path\":1}}" members)

START_TEST(json_spellings)
{
	static const char *const good[] = {
		DISK(""),
		DISK(",\"location\":\"5\""), /* numbers as strings */
		DISK(",\"productRevisionLevel\":\"1.0\""), /* lowerCamelCase */
		DISK(",\"chunkSizeInKb\":1,\"fua\":null"),
		" \n\t{\"version\":1}",
		"{\"version\":\"V1\",\"fixed\":{\"scsiSubChannels\":1}}",
		"{}",
		"",
		LUN("\"device_id\":\"" G2 "\",\"device_type\":\"nvme\",\"device_path\":\"" G1 "\","
		    "\"sub_device_path\":\"1\""), /* the form before physical_devices */
		LUN("\"is_dvd\":true"),
		LUN("\"is_dvd\":true,\"vendor_id\":\"far too long for a vendor\""),
	};
	static const char *const bad[] = {
		DISK(",\"location\":\"5x\""),
		DISK(",\"location\":\"\""),
		DISK(",\"location\":-1"),
		DISK(",\"location\":4294967296"),
		DISK(",\"location\":1.5"),
		DISK(",\"fua\":1"),
		DISK(",\"location\":\"18446744073709551616\""),
		DISK(",\"unheard_of\":1"),
		DISK(",\"fua\":true,\"fua\":true"),
		DISK(",\"chunk_SizeInKb\":1"),
		"{\"version\":\"V2\"}",
		"{\"version\":5}",
		"{\"dynamic\":[]}",
		"{\"version\":\"V1\",\"dynamic\":{\"storage_controllers\":{}}}",
		"{\"version\":\"V1\",\"dynamic\":{\"storage_controllers\":[1]}}",
		"{\"namespace_settings\":[{\"namespace\":\"Base\",\"settings\":\"?\"}]}",
		"{} {}",
		"{",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ck_assert_msg(parse(good[i]) == 0, "%s: %s %s", good[i], err.id, err.text);
		done();
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(parse(bad[i]) == -EBADMSG, "%s", bad[i]);
		ck_assert_str_eq(err.id, "Configuration.JsonFormatError");
	}
}
END_TEST

#define CTRL(members) "{\"version\":\"V1\",\"dynamic\":{\"storage_controllers\":[" members "]}}"
#define SCSI(id) "{\"instance_id\":\"" id "\",\"protocol\":\"scsi\"}"
#define IDE(members) \
	CTRL("{\"instance_id\":\"" G1 "\",\"protocol\":\"IDE\",\"luns\":[" members "]}")
#define NVME(members) \
	CTRL("{\"instance_id\":\"" G1 "\",\"protocol\":\"NVME\",\"luns\":[{" members "}]}")
#define BACKING(b) LUN("\"device_id\":\"" G2 "\",\"physical_devices\":{" b "}")
#define DEV "{\"device_type\":\"NVME\",\"device_path\":\"" G1 "\"}"
#define ON_DEV "\"physical_devices\":{\"type\":\"SINGLE\",\"device\":" DEV "}"
#define CHUNK(name, b64) \
	"{\"namespace_settings\":[{\"namespace\":\"" name "\",\"settings\":\"" b64 "\"}]}"

static const struct {
	const char *doc, *id;
} refused[] = {
	{ "{\"fixed\":{}}", "UnsupportedSchemaVersion" },
	{ "{\"version\":\"UNKNOWN\",\"dynamic\":{}}", "UnsupportedSchemaVersion" },
	{ CHUNK("Base", "e30="), "UnsupportedSchemaVersion" }, /* {} */
	{ CHUNK("Base", ""), "EmptyNamespaceChunk" },
	{ CHUNK("Bass", "e30="), "UnsupportedSchemaNamespace" },
	{ CHUNK("", "e30="), "UnsupportedSchemaNamespace" },
	{ CHUNK("Base", "eyA="), "JsonFormatError" }, /* "{ " */
	{ CHUNK("Base", "/w=="), "ProtobufFormatError" },
	{ CHUNK("NetworkDevice", "eyJuaWNfZGV2aWNlcyI6W3t9XX0="), "InvalidInstanceId" },
	{ CTRL(SCSI("nonsense")), "InvalidInstanceId" },
	{ CTRL("{\"instance_id\":\"" G1 "\"}"), "StorageInvalidControllerType" },
	{ CTRL(SCSI(G1) "," SCSI(G1)), "StorageControllerGuidAlreadyExists" },
	{ CTRL(SCSI(G1) "," SCSI(G2) "," SCSI("00000003-0000-0000-0000-000000000000") "," SCSI(
		  "00000004-0000-0000-0000-000000000000") "," SCSI("00000005-0000-0000-0000-000000000000")),
	  "StorageScsiControllerExceedsMaxLimits" },
	{ CTRL("{\"instance_id\":\"" G1 "\",\"protocol\":\"IDE\"},"
	       "{\"instance_id\":\"" G2 "\",\"protocol\":\"ide\"}"),
	  "StorageIdeChannelExceedsMaxLimits" },
	{ DISK(",\"location\":64"), "StorageLunLocationExceedsMaxLimits" },
	{ CTRL("{\"instance_id\":\"" G1 "\",\"protocol\":\"SCSI\",\"luns\":[{\"is_dvd\":true},"
	       "{\"is_dvd\":true}]}"),
	  "StorageLunLocationDuplicated" },
	{ IDE("{\"is_dvd\":true}"), "StorageIdeChannelNotProvided" },
	{ IDE("{\"is_dvd\":true,\"channel\":2}"), "StorageIdeChannelExceedsMaxLimits" },
	{ IDE("{\"is_dvd\":true,\"channel\":1,\"location\":2}"),
	  "StorageIdeChannelExceedsMaxLimits" },
	{ IDE("{\"is_dvd\":true,\"channel\":1},{\"is_dvd\":true,\"channel\":1}"),
	  "StorageIdeChannelInvalidConfiguration" },
	{ NVME("\"location\":0," ON_DEV), "StorageLunLocationExceedsMaxLimits" },
	{ NVME("\"location\":4294967295," ON_DEV), "StorageLunLocationExceedsMaxLimits" },
	{ NVME("\"location\":1,\"is_dvd\":true"), "StorageUnsupportedDeviceType" },
	{ BACKING("\"device\":" DEV), "StorageUnsupportedDeviceType" },
	{ BACKING("\"type\":\"SINGLE\""), "StorageInvalidPhysicalDiskCount" },
	{ BACKING("\"type\":\"SINGLE\",\"device\":" DEV ",\"devices\":[" DEV "]"),
	  "StorageInvalidPhysicalDiskCount" },
	{ BACKING("\"type\":\"STRIPED\",\"devices\":[" DEV "]"),
	  "StorageInvalidPhysicalDiskCount" },
	{ BACKING("\"type\":\"STRIPED\",\"device\":" DEV ",\"devices\":[" DEV "," DEV "]"),
	  "StorageInvalidPhysicalDiskCount" },
	{ BACKING("\"type\":\"SINGLE\",\"device\":{\"device_path\":\"" G1 "\"}"),
	  "StorageUnsupportedDeviceType" },
	{ BACKING("\"type\":\"SINGLE\",\"device\":{\"device_type\":\"nvme\"}"),
	  "InvalidInstanceId" },
	{ LUN("\"device_id\":\"" G2 "\""), "JsonFormatError" }, /* a disk without anything behind */
	{ LUN("\"device_id\":\"" G2 "\",\"device_path\":\"" G1 "\",\"device_type\":\"nvme\""),
	  "JsonFormatError" },
	{ DISK(",\"device_path\":\"" G1 "\""), "JsonFormatError" }, /* both forms */
	{ LUN("\"is_dvd\":true,\"device_path\":\"" G1 "\""), "JsonFormatError" },
	{ LUN(ON_DEV), "StorageInvalidDeviceId" },
	{ LUN(ON_DEV ",\"device_id\":\"00000000-0000-0000-0000-000000000000\""),
	  "StorageInvalidDeviceId" },
	{ DISK(",\"vendor_id\":\"123456789\""), "StorageInvalidVendorId" },
	{ DISK(",\"vendor_id\":\"\xc3\xa4\""), "StorageInvalidVendorId" },
	{ DISK(",\"product_id\":\"12345678901234567\""), "StorageInvalidProductId" },
	{ DISK(",\"product_revision_level\":\"1.0.0\""), "StorageInvalidProductRevisionLevel" },
	{ DISK(",\"product_revision_level\":\"\\u0007\""), "StorageInvalidProductRevisionLevel" },
	{ DISK(",\"ntfs_guid\":\"x\""), "StorageInvalidNtfsFormatGuid" },
};

START_TEST(validation_errors)
{
	char json[VTL2S_ERROR_JSON], want[120];

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		ck_assert_msg(parse(refused[i].doc) == -EBADMSG, "%s", refused[i].doc);
		ck_assert_str_eq(strchr(err.id, '.') + 1, refused[i].id);
		ck_assert_uint_gt(strlen(err.text), 5);
		vtl2s_error_json(&err, json);
		snprintf(want, sizeof(want), "[{\"error_id\":\"Configuration.%s\",\"message\":\"",
			 refused[i].id);
		ck_assert_msg(strncmp(json, want, strlen(want)) == 0, "%s", json);
		ck_assert_str_eq(json + strlen(json) - 2, "}]");
	}
}
END_TEST

START_TEST(error_texts_are_safe)
{
	char json[VTL2S_ERROR_JSON];
	char text[200];

	vtl2s_error_set(&err, "Configuration.JsonFormatError", "a \"b\" \\ %s", "\n\x7f\xc3\xa4");
	vtl2s_error_json(&err, json);
	ck_assert_str_eq(json, "[{\"error_id\":\"Configuration.JsonFormatError\",\"message\":"
			       "\"a \\\"b\\\" \\\\ ????\",\"file_name\":\"vtl2_settings\","
			       "\"line\":0}]");
	memset(text, '"', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	vtl2s_error_set(&err, "Configuration.StripedStorageCannotChangeControllerAtRuntime", "%s",
			text);
	vtl2s_error_json(&err, json);
	ck_assert_str_eq(json + strlen(json) - 2, "}]");
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

START_TEST(sizes)
{
	char *big = calloc(1, VTL2S_MAX_BYTES + 1);
	size_t n;

	memset(big, ' ', VTL2S_MAX_BYTES + 1);
	ck_assert_int_eq(parse_n(big, VTL2S_MAX_BYTES + 1), -E2BIG);
	memcpy(big, "{}", 2);
	ck_assert_int_eq(parse_n(big, VTL2S_MAX_BYTES), 0);
	done();
	/* empty controllers, each two bytes, until the document is full */
	memcpy(big, "\x22\xfc\xff\x3f", 4);
	for (n = 4; n < VTL2S_MAX_BYTES; n += 2)
		memcpy(big + n, "\x0a\x00", 2);
	ck_assert_int_eq(parse_n(big, VTL2S_MAX_BYTES), -E2BIG);
	ck_assert_str_eq(err.id, "Configuration.ProtobufFormatError");
	ck_assert_str_eq(err.text, "too much: storage_controllers");
	free(big);
}
END_TEST

/* All that may be there at once: 4 controllers of 64 LUNs, in both encodings. */
START_TEST(largest_configuration)
{
	static struct vtl2s_lun luns[4][64];
	static struct vtl2s_controller many[4];
	struct vtl2_settings big = { .n_controllers = 4, .controllers = many };

	fill();
	for (uint32_t c = 0; c < 4; c++) {
		many[c] = (struct vtl2s_controller){ .instance = { .d1 = c + 1 },
						     .protocol = VTL2S_SCSI,
						     .n_luns = 64,
						     .luns = luns[c] };
		for (uint32_t l = 0; l < 64; l++) {
			luns[c][l] = scsi_luns[0];
			luns[c][l].location = l;
		}
	}
	ck_assert_msg(write_and_parse(&big, (enum settings_form)_i) == 0, "%s: %s", err.id,
		      err.text);
	ck_assert_uint_eq(s->controllers[3].n_luns, 64);
	done();
}
END_TEST

/* ---- what is not spoken of stays ------------------------------------------------------------- */

static struct vtl2_settings *follow(struct vtl2_settings *old, const char *doc)
{
	struct vtl2_settings *new;

	ck_assert_int_eq(vtl2_settings_parse(doc, strlen(doc), old, &new, &err), 0);
	vtl2_settings_free(old);
	return new;
}

START_TEST(chunks_build_on_each_other)
{
	struct vtl2_settings *now;

	fill();
	ck_assert_int_eq(write_and_parse(&all, SETTINGS_MIXED), 0);
	/* NICs only: storage stays; {"nic_acceleration":[{G2.. unknown}]} changes nothing */
	now = follow(s, "{\"namespace_settings\":[{\"namespace\":\"NetworkDevice\",\"settings\":"
			"\"e30=\"}]}");
	ck_assert_uint_eq(now->n_nics, 0);
	ck_assert_uint_eq(now->n_controllers, 4);
	ck_assert_uint_eq(now->io_ring_size, 512);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert(vtl2s_lun_eq(&now->controllers[0].luns[i], &scsi_luns[i]));
	vtl2_settings_free(now);
	/* base without NICs: they stay */
	ck_assert_int_eq(write_and_parse(&all, SETTINGS_PROTOBUF), 0);
	now = follow(s, "{\"version\":\"V1\",\"dynamic\":{}}");
	ck_assert_uint_eq(now->n_controllers, 0);
	ck_assert_uint_eq(now->n_nics, 2);
	ck_assert_uint_eq(now->io_ring_size, 256);
	/* base with NICs: they replace the others */
	now = follow(now, "{\"version\":\"V1\",\"dynamic\":{\"nic_devices\":[{\"instance_id\":\"" G1
			  "\",\"subordinate_instance_id\":"
			  "\"00000000-0000-0000-0000-000000000000\"}]}}");
	ck_assert_uint_eq(now->n_nics, 1);
	ck_assert(!now->nics[0].has_subordinate);
	vtl2_settings_free(now);
}
END_TEST

/* ---- changes --------------------------------------------------------------------------------- */

static int change(const char *from, const char *to)
{
	struct vtl2_settings *a;
	int r;

	ck_assert_msg(parse(from) == 0, "%s: %s", from, err.text);
	a = s;
	ck_assert_msg(parse(to) == 0, "%s: %s", to, err.text);
	r = vtl2_settings_may_change(a, s, &err);
	vtl2_settings_free(a);
	done();
	return r;
}

#define NODISKS CTRL(SCSI(G1))
#define STRIPE                                                                     \
	LUN("\"device_id\":\"" G2 "\",\"physical_devices\":{\"type\":\"STRIPED\"," \
	    "\"devices\":[" DEV "," DEV "]}")
#define DVD "\"channel\":1,\"is_dvd\":true"
#define IDE_DISK "{\"channel\":0,\"device_id\":\"" G2 "\"," ON_DEV "}"

START_TEST(changes)
{
	static const struct {
		const char *from, *to, *id;
	} t[] = {
		{ NODISKS, NODISKS, NULL },
		{ NODISKS, DISK(""), NULL }, /* add */
		{ DISK(""), NODISKS, NULL }, /* remove */
		{ DISK(""), DISK(",\"fua\":true"), NULL }, /* replace */
		{ LUN("\"is_dvd\":true"), LUN("\"is_dvd\":true," ON_DEV), NULL },
		{ DISK(""), LUN("\"is_dvd\":true"), NULL },
		{ STRIPE, STRIPE, NULL },
		{ NODISKS, STRIPE, "StripedStorageCannotChangeControllerAtRuntime" },
		{ STRIPE, NODISKS, "StripedStorageCannotChangeControllerAtRuntime" },
		{ STRIPE, DISK(""), "StripedStorageCannotChangeControllerAtRuntime" },
		{ DISK(""), STRIPE, "StripedStorageCannotChangeControllerAtRuntime" },
		{ "{}", NODISKS, "StorageCannotAddRemoveControllerAtRuntime" },
		{ NODISKS, "{}", "StorageCannotAddRemoveControllerAtRuntime" },
		{ NODISKS, CTRL(SCSI(G2)), "StorageCannotAddRemoveControllerAtRuntime" },
		{ NODISKS, NVME("\"location\":1," ON_DEV),
		  "StorageCannotAddRemoveControllerAtRuntime" },
		{ NVME("\"location\":1," ON_DEV), NVME("\"location\":1," ON_DEV), NULL },
		{ NVME("\"location\":1," ON_DEV), NVME("\"location\":2," ON_DEV), NULL },
		{ NODISKS, IDE(""), "StorageCannotModifyIdeAtRuntime" },
		{ IDE(""), "{}", "StorageCannotModifyIdeAtRuntime" },
		{ IDE(""), IDE("{" DVD "}"), "StorageCannotModifyIdeAtRuntime" },
		{ IDE(IDE_DISK ",{" DVD "}"), IDE("{" DVD "}," IDE_DISK), NULL },
		{ IDE(IDE_DISK ",{" DVD "}"), IDE(IDE_DISK ",{" DVD "," ON_DEV "}"), NULL },
		{ IDE(IDE_DISK ",{" DVD "," ON_DEV "}"), IDE(IDE_DISK ",{" DVD "}"), NULL },
		{ IDE("{" DVD "," ON_DEV "}"),
		  IDE("{" DVD ",\"physical_devices\":{\"type\":1,\"device\":{\"device_type\":1,"
		      "\"device_path\":\"" G2 "\"}}}"),
		  "StorageCannotModifyIdeAtRuntime" },
		{ IDE("{" DVD "},{" DVD ",\"location\":1}"),
		  IDE("{" DVD "," ON_DEV "},{" DVD ",\"location\":1," ON_DEV "}"),
		  "StorageCannotModifyIdeAtRuntime" },
		{ IDE("{" DVD "}"), IDE("{" DVD ",\"serial_number\":\"x\"}"),
		  "StorageCannotModifyIdeAtRuntime" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		int r = change(t[i].from, t[i].to);

		ck_assert_msg(r == (t[i].id ? -EPERM : 0), "%zu: %s to %s: %d", i, t[i].from,
			      t[i].to, r);
		if (t[i].id)
			ck_assert_str_eq(strchr(err.id, '.') + 1, t[i].id);
	}
}
END_TEST

START_TEST(tree)
{
	fill();
	ck_assert_int_eq(write_and_parse(&all, SETTINGS_PROTOBUF), 0);
	ck_assert_str_eq(inspect_get(vtl2_settings_inspect, s, "fixed/scsi_sub_channels"), "31");
	ck_assert_str_eq(inspect_get(vtl2_settings_inspect, s,
				     "dynamic/storage_controllers/0/luns/1/physical_devices/1/"
				     "device_type"),
			 "\"vscsi\"");
	ck_assert_str_eq(inspect_get(vtl2_settings_inspect, s,
				     "dynamic/storage_controllers/0/luns/0/serial_number"),
			 "\"some \\\"serial\\\" \\\\ number\"");
	ck_assert_str_eq(inspect_get(vtl2_settings_inspect, s,
				     "dynamic/nic_devices/1/subordinate_instance_id"),
			 "\"00000023-0000-0000-0000-000000000000\"");
	done();
}
END_TEST

int main(void)
{
	const TTest *const forms[] = { every_form, broken_documents, largest_configuration };
	const TTest *const others[] = { golden_protobuf,
					protobuf_that_looks_like_json,
					json_spellings,
					validation_errors,
					error_texts_are_safe,
					sizes,
					chunks_build_on_each_other,
					changes,
					tree };
	const int a = unit_run("devices/get/vtl2_settings forms", forms, ARRAY_SIZE(forms),
			       SETTINGS_FLAT_JSON + 1);
	const int b = unit_run("devices/get/vtl2_settings", others, ARRAY_SIZE(others), 1);

	return a == EXIT_SUCCESS ? b : a;
}
