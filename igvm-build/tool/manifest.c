/* SPDX-License-Identifier: MIT */
/*
 * JSON in, structs out. Unknown fields are refused: a misspelt one would otherwise silently give an
 * image other than the one asked for. Input: files of the person who builds the image.
 * Spec: igvm-boot, "igvmfilegen inputs".
 */
#include "manifest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "cleanup.h"

#define U32_LIMIT 4294967295.0

static const char *const resource_names[RESOURCE_COUNT] = {
	[RESOURCE_UNDERHILL_KERNEL] = "underhill_kernel", [RESOURCE_OPENHCL_BOOT] = "openhcl_boot",
	[RESOURCE_UNDERHILL_INITRD] = "underhill_initrd", [RESOURCE_LINUX_KERNEL] = "linux_kernel",
	[RESOURCE_LINUX_INITRD] = "linux_initrd",
};

/* Names that exist but that no image built here uses. */
static const char *const other_resources[] = { "uefi", "underhill_sidecar" };

const char *resource_name(enum resource r)
{
	return resource_names[r];
}

static bool name_in(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(name, list[i]))
			return true;
	return false;
}

/* Is obj an object with fields of this list only? */
static int check_fields(const char *path, const char *what, const cJSON *obj,
			const char *const *list, size_t n)
{
	const cJSON *f;

	if (!cJSON_IsObject(obj))
		return tool_err("%s: \"%s\" must be an object.", path, what);
	cJSON_ArrayForEach(f, obj) {
		if (!name_in(f->string, list, n))
			return tool_err("%s: \"%s\" has an unknown field \"%s\".", path, what,
					f->string);
		if (cJSON_GetObjectItemCaseSensitive(obj, f->string) != f)
			return tool_err("%s: \"%s\" has two fields \"%s\".", path, what, f->string);
	}
	return 0;
}

static int get_string(const char *path, const cJSON *obj, const char *name, char **ret)
{
	const cJSON *f = cJSON_GetObjectItemCaseSensitive(obj, name);

	if (f && !cJSON_IsString(f))
		return tool_err("%s: \"%s\" must be a string.", path, name);
	*ret = strdup(f ? f->valuestring : "");
	return *ret ? 0 : tool_err("not enough memory.");
}

static int get_bool(const char *path, const cJSON *obj, const char *name, bool *ret)
{
	const cJSON *f = cJSON_GetObjectItemCaseSensitive(obj, name);

	if (f && !cJSON_IsBool(f))
		return tool_err("%s: \"%s\" must be true or false.", path, name);
	*ret = cJSON_IsTrue(f);
	return 0;
}

/* *ret_present false and *ret 0 when the field is not there. */
static int get_u32(const char *path, const cJSON *obj, const char *name, bool *ret_present,
		   uint32_t *ret)
{
	const cJSON *f = cJSON_GetObjectItemCaseSensitive(obj, name);
	double v = cJSON_IsNumber(f) ? f->valuedouble : 0;

	if (f && (!cJSON_IsNumber(f) || v < 0 || v > U32_LIMIT || v < floor(v) || v > floor(v)))
		return tool_err("%s: \"%s\" must be a whole number of at most 32 bits.", path,
				name);
	*ret_present = f != NULL;
	*ret = (uint32_t)v;
	return 0;
}

static int read_linux(const char *path, const cJSON *obj, struct manifest_linux *ret)
{
	static const char *const fields[] = { "use_initrd", "command_line" };

	if (check_fields(path, "linux", obj, fields, ARRAY_SIZE(fields)) < 0 ||
	    get_bool(path, obj, "use_initrd", &ret->use_initrd) < 0 ||
	    get_string(path, obj, "command_line", &ret->command_line) < 0)
		return -1;
	ret->present = true;
	return 0;
}

static int read_openhcl(const char *path, const cJSON *obj, struct manifest *m)
{
	static const char *const fields[] = { "command_line",
					      "static_command_line",
					      "memory_page_base",
					      "memory_page_count",
					      "uefi",
					      "linux" };
	const cJSON *linux_obj = cJSON_GetObjectItemCaseSensitive(obj, "linux");
	bool uefi, has_count;
	uint32_t base, count;

	if (check_fields(path, "openhcl", obj, fields, ARRAY_SIZE(fields)) < 0 ||
	    get_string(path, obj, "command_line", &m->command_line) < 0 ||
	    get_bool(path, obj, "static_command_line", &m->static_command_line) < 0 ||
	    get_bool(path, obj, "uefi", &uefi) < 0 ||
	    get_u32(path, obj, "memory_page_base", &m->has_base, &base) < 0 ||
	    get_u32(path, obj, "memory_page_count", &has_count, &count) < 0)
		return -1;
	m->memory_page_base = base;
	m->memory_page_count = count;
	if (!has_count)
		return tool_err("%s: \"openhcl\" needs \"memory_page_count\".", path);
	if (uefi && linux_obj)
		return tool_err("%s: \"uefi\" and \"linux\" exclude each other.", path);
	if (uefi)
		return tool_err("%s: images with UEFI are not supported yet.", path);
	return linux_obj && !cJSON_IsNull(linux_obj) ? read_linux(path, linux_obj, &m->linux_direct)
						     : 0;
}

/* --- isolation --------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Does a word of the text give name a value other than 0? The kernel hands on empty values, too. */
static bool has_setting(const char *text, const char *name, bool value)
{
	size_t len = strlen(name);

	for (const char *p = text; *p;) {
		const char *end = p;

		while (*end && !is_blank(*end))
			end++;
		if ((size_t)(end - p) > len && !strncmp(p, name, len) && p[len] == '=') {
			bool zero = end - p == (ptrdiff_t)len + 2 && p[len + 1] == '0';

			if (zero != value)
				return true;
		}
		p = *end ? end + 1 : end;
	}
	return false;
}

/*
 * The platform's debug policy and the daemon's are two switches that mean one thing. An image in
 * which they disagree promises to its owner what it does not keep.
 */
static int check_policy(const char *path, const struct manifest *m)
{
	bool words = has_setting(m->command_line, "OPENHCL_CONFIDENTIAL_DEBUG", true) ||
		     has_setting(m->command_line, "UNDERHILL_CONFIDENTIAL_DEBUG", true);

	if (m->isolation == MANIFEST_ISOLATION_NONE)
		return 0;
	/* The kernel would see other words than we do. */
	if (strchr(m->command_line, '"'))
		return tool_err(
			"%s: \"command_line\" of an isolated image has quotes: remove them.", path);
	if (has_setting(m->command_line, "OPENHCL_CONFIDENTIAL", false) ||
	    has_setting(m->command_line, "UNDERHILL_CONFIDENTIAL", false))
		return tool_err("%s: \"command_line\" of an isolated image switches "
				"OPENHCL_CONFIDENTIAL off: remove that word.",
				path);
	if (m->enable_debug && !words)
		return tool_err("%s: \"enable_debug\" is true but \"command_line\" lacks "
				"OPENHCL_CONFIDENTIAL_DEBUG=1: add that word, or set "
				"\"enable_debug\" to false.",
				path);
	if (!m->enable_debug && words)
		return tool_err("%s: \"command_line\" has OPENHCL_CONFIDENTIAL_DEBUG but "
				"\"enable_debug\" is false: remove that word, or set "
				"\"enable_debug\" to true.",
				path);
	return 0;
}

/* "none", or an object with one platform. */
static int read_isolation(const char *path, const cJSON *cfg, struct manifest *m)
{
	static const char *const kinds[] = { "vbs" }, *const fields[] = { "enable_debug" };
	const cJSON *iso = cJSON_GetObjectItemCaseSensitive(cfg, "isolation_type");
	const cJSON *vbs;

	m->isolation = MANIFEST_ISOLATION_NONE;
	if (cJSON_IsString(iso) && !strcmp(iso->valuestring, "none"))
		return 0;
	if (!cJSON_IsObject(iso) || cJSON_GetArraySize(iso) != 1)
		return tool_err("%s: \"isolation_type\" must be \"none\" or "
				"{\"vbs\": {\"enable_debug\": ...}}: no other is supported yet.",
				path);
	if (check_fields(path, "isolation_type", iso, kinds, ARRAY_SIZE(kinds)) < 0)
		return -1;
	vbs = cJSON_GetObjectItemCaseSensitive(iso, "vbs");
	if (check_fields(path, "vbs", vbs, fields, ARRAY_SIZE(fields)) < 0 ||
	    get_bool(path, vbs, "enable_debug", &m->enable_debug) < 0)
		return -1;
	if (!cJSON_GetObjectItemCaseSensitive(vbs, "enable_debug"))
		return tool_err("%s: \"vbs\" needs \"enable_debug\".", path);
	m->isolation = MANIFEST_ISOLATION_VBS;
	return 0;
}

static int read_config(const char *path, const cJSON *cfg, struct manifest *m)
{
	static const char *const fields[] = { "guest_svn", "max_vtl", "isolation_type", "image" };
	static const char *const images[] = { "openhcl" };
	const cJSON *image = cJSON_GetObjectItemCaseSensitive(cfg, "image");
	uint32_t max_vtl;
	bool present;

	if (check_fields(path, "guest_configs", cfg, fields, ARRAY_SIZE(fields)) < 0 ||
	    get_u32(path, cfg, "guest_svn", &present, &m->guest_svn) < 0 ||
	    get_u32(path, cfg, "max_vtl", &present, &max_vtl) < 0)
		return -1;
	if (!present || max_vtl != 2)
		return tool_err(
			"%s: \"max_vtl\" must be 2: images without a paravisor are not supported.",
			path);
	if (read_isolation(path, cfg, m) < 0 ||
	    check_fields(path, "image", image, images, ARRAY_SIZE(images)) < 0 ||
	    read_openhcl(path, cJSON_GetObjectItemCaseSensitive(image, "openhcl"), m) < 0)
		return -1;
	return check_policy(path, m);
}

static int read_manifest(const char *path, const cJSON *root, struct manifest *m)
{
	static const char *const fields[] = { "guest_arch", "guest_configs" };
	const cJSON *arch = cJSON_GetObjectItemCaseSensitive(root, "guest_arch");
	const cJSON *configs = cJSON_GetObjectItemCaseSensitive(root, "guest_configs");

	if (check_fields(path, "(top level)", root, fields, ARRAY_SIZE(fields)) < 0)
		return -1;
	if (!cJSON_IsString(arch) || strcmp(arch->valuestring, "x64"))
		return tool_err("%s: \"guest_arch\" must be \"x64\": no other is supported yet.",
				path);
	if (!cJSON_IsArray(configs) || cJSON_GetArraySize(configs) != 1)
		return tool_err("%s: \"guest_configs\" must list exactly one configuration.", path);
	return read_config(path, cJSON_GetArrayItem(configs, 0), m);
}

/* Parse a JSON file; NULL after a message. */
static cJSON *json_read(const char *path)
{
	struct file_buf f;
	const char *end = NULL;
	cJSON *root;

	if (file_read(path, &f) < 0)
		return NULL;
	root = cJSON_ParseWithLengthOpts((const char *)f.data, f.len + 1, &end, true);
	if (!root)
		(void)tool_err("%s: not valid JSON at byte %td.", path,
			       end ? end - (const char *)f.data : 0);
	free(f.data);
	return root;
}

int manifest_read(const char *path, struct manifest *ret)
{
	cJSON *root = json_read(path);
	int r;

	*ret = (struct manifest){ 0 };
	if (!root)
		return -1;
	r = read_manifest(path, root, ret);
	cJSON_Delete(root);
	if (r < 0)
		manifest_fini(ret);
	return r;
}

void manifest_fini(struct manifest *m)
{
	free(m->command_line);
	free(m->linux_direct.command_line);
	*m = (struct manifest){ 0 };
}

static int read_resource(const char *path, const cJSON *f, struct resources *res)
{
	if (!cJSON_IsString(f))
		return tool_err("%s: resource \"%s\" must be a path.", path, f->string);
	for (int i = 0; i < RESOURCE_COUNT; i++) {
		if (strcmp(f->string, resource_names[i]))
			continue;
		free(res->path[i]);
		res->path[i] = strdup(f->valuestring);
		return res->path[i] ? 0 : tool_err("not enough memory.");
	}
	if (name_in(f->string, other_resources, ARRAY_SIZE(other_resources)))
		return 0;
	return tool_err("%s: unknown resource \"%s\".", path, f->string);
}

int resources_read(const char *path, struct resources *ret)
{
	static const char *const fields[] = { "resources" };
	cJSON *root = json_read(path);
	const cJSON *list, *f;
	int r;

	*ret = (struct resources){ 0 };
	if (!root)
		return -1;
	r = check_fields(path, "(top level)", root, fields, ARRAY_SIZE(fields));
	list = cJSON_GetObjectItemCaseSensitive(root, "resources");
	if (r == 0 && !cJSON_IsObject(list))
		r = tool_err("%s: \"resources\" must be an object.", path);
	if (r == 0)
		cJSON_ArrayForEach(f, list)
			r = r < 0 ? r : read_resource(path, f, ret);
	cJSON_Delete(root);
	if (r < 0)
		resources_fini(ret);
	return r;
}

int resource_load(struct resources *res, enum resource r)
{
	if (!res->path[r])
		return tool_err("the resource list does not name \"%s\", which this image needs.",
				resource_names[r]);
	return res->file[r].data ? 0 : file_read(res->path[r], &res->file[r]);
}

void resources_fini(struct resources *res)
{
	for (int i = 0; i < RESOURCE_COUNT; i++) {
		free(res->path[i]);
		free(res->file[i].data);
	}
	*res = (struct resources){ 0 };
}
