/* SPDX-License-Identifier: MIT */
/* keel-igvm: build, dump and verify IGVM images. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "cleanup.h"
#include "dump.h"
#include "igvm_read.h"
#include "manifest.h"
#include "measure.h"
#include "tool_util.h"

#define EXIT_USAGE 2
#define IDENTITY_CLASS "7fb00ee4-a7ff-11ed-9e2f-00155d09de56"

static const char usage[] =
	"NAME\n"
	"    keel-igvm - build, inspect and check IGVM images\n"
	"\n"
	"SYNOPSIS\n"
	"    keel-igvm build --manifest M.json --resources R.json --output OUT.igvm\n"
	"    keel-igvm dump [--json] FILE.igvm\n"
	"    keel-igvm verify FILE.igvm\n"
	"\n"
	"DESCRIPTION\n"
	"    build   Lays out one image from a manifest and the files that the resource\n"
	"            list names. Writes OUT.igvm and, next to it, OUT.igvm.map: a text\n"
	"            that says what lies at which guest address, and the SHA-256 of each\n"
	"            input. Equal inputs give equal images. The launch digest is printed;\n"
	"            of an isolated image it is also written to OUT.igvm-vbs.json, with the\n"
	"            SVN and the debug policy, for whoever decides what may be released to\n"
	"            the VM.\n"
	"    dump    Prints every header of an image; runs of pages are joined. With\n"
	"            --json, one JSON object with one entry per header.\n"
	"    verify  Checks an image against every rule of the format, checksum included,\n"
	"            and prints the launch digest of each platform in it.\n"
	"\n"
	"MANIFEST\n"
	"    {\n"
	"      \"guest_arch\": \"x64\",\n"
	"      \"guest_configs\": [ {\n"
	"        \"guest_svn\": 1,\n"
	"        \"max_vtl\": 2,\n"
	"        \"isolation_type\": \"none\",\n"
	"        \"image\": { \"openhcl\": {\n"
	"          \"command_line\": \"...\",\n"
	"          \"static_command_line\": false,\n"
	"          \"memory_page_base\": 32768,\n"
	"          \"memory_page_count\": 16384,\n"
	"          \"linux\": { \"use_initrd\": true, \"command_line\": \"...\" }\n"
	"        } }\n"
	"      } ]\n"
	"    }\n"
	"    guest_svn            security version, for the endorsement of isolated images\n"
	"    isolation_type       \"none\", or { \"vbs\": { \"enable_debug\": false } }; with\n"
	"                         enable_debug, and only then, command_line must contain\n"
	"                         OPENHCL_CONFIDENTIAL_DEBUG=1\n"
	"    command_line         options of VTL2's kernel and daemon, measured; default \"\"\n"
	"    static_command_line  true: the host's options are never appended; default false\n"
	"    memory_page_base     first page of VTL2's memory; absent: 128 MiB, relocatable\n"
	"                         unless the image is isolated\n"
	"    memory_page_count    VTL2's memory in 4 KiB pages, a multiple of 512\n"
	"    linux                kernel, initrd and command line for VTL0; optional\n"
	"\n"
	"RESOURCES\n"
	"    { \"resources\": { \"NAME\": \"/path\", ... } } with these names:\n"
	"    underhill_kernel   VTL2 kernel, ELF vmlinux\n"
	"    openhcl_boot       boot shim, ELF\n"
	"    underhill_initrd   VTL2 initrd\n"
	"    linux_kernel       VTL0 kernel, ELF vmlinux (images with \"linux\")\n"
	"    linux_initrd       VTL0 initrd (with \"use_initrd\")\n"
	"\n"
	"EXIT STATUS\n"
	"    0   done; the image is good\n"
	"    1   refused or failed: one sentence on standard error says what and where\n"
	"    2   wrong use\n";

static int wrong_use(const char *why, const char *what)
{
	fprintf(stderr, "keel-igvm: %s%s; see keel-igvm --help.\n", why, what);
	return EXIT_USAGE;
}

static void print_hex(const uint8_t *p, size_t len)
{
	while (len--)
		printf("%02x", *p++);
	printf("\n");
}

/* Print the digest of one platform; -1 after a message. */
static int print_digest(const struct igvm_file *f, const struct igvm_platform *p)
{
	uint8_t d[MEASURE_SNP_LEN];
	size_t len = MEASURE_SNP_LEN;
	int r = 0;

	if (p->type == IGVM_PLATFORM_VSM_ISOLATION) {
		len = MEASURE_VBS_LEN;
		r = measure_vbs(f, p->mask, d);
	} else if (p->type == IGVM_PLATFORM_SEV_SNP) {
		r = measure_snp(f, p->mask, d);
	} else if (p->type == IGVM_PLATFORM_TDX) {
		r = measure_tdx(f, p->mask, d);
	} else {
		printf("launch digest %s: this platform has none\n", igvm_platform_name(p->type));
		return 0;
	}
	if (r < 0)
		return tool_err("the launch digest could not be computed: %s.", strerror(-r));
	printf("launch digest %s: ", igvm_platform_name(p->type));
	print_hex(d, len);
	return 0;
}

static int print_digests(const struct igvm_file *f)
{
	int r = 0;

	for (uint32_t type = IGVM_PLATFORM_NATIVE; type <= IGVM_PLATFORM_CCA && r == 0; type++) {
		const struct igvm_platform *p = igvm_platform_find(f, type);

		if (p)
			r = print_digest(f, p);
	}
	return r;
}

/* Check bytes and name the broken rule. 0, or -1 after a message. */
static int parse(const char *name, const void *data, size_t len, struct igvm_file **ret)
{
	struct igvm_error err;
	int r = igvm_parse(data, len, ret, &err);

	if (r == -EBADMSG)
		return tool_err("%s: offset %#llx: %s.", name, (unsigned long long)err.off,
				err.rule);
	return r < 0 ? tool_err("%s: %s.", name, strerror(-r)) : 0;
}

/* --- build ------------------------------------------------------------------------------- */

/* Identity document: what a relying party has to know about an isolated image. */
static int write_identity(const char *output, const struct igvm_file *f, uint32_t svn)
{
	const struct igvm_platform *p = igvm_platform_find(f, IGVM_PLATFORM_VSM_ISOLATION);
	auto_free char *path = NULL, *text = NULL;
	char hex[2 * MEASURE_VBS_LEN + 1];
	uint8_t d[MEASURE_VBS_LEN];

	if (!p || measure_vbs(f, p->mask, d) < 0)
		return tool_err("the launch digest could not be computed.");
	for (size_t i = 0; i < sizeof(d); i++)
		(void)snprintf(hex + 2 * i, 3, "%02X", d[i]);
	if (asprintf(&path, "%s-vbs.json", output) < 0) {
		path = NULL;
		return tool_err("not enough memory.");
	}
	if (asprintf(&text,
		     "{\"environment\":{\"class_id\":\"" IDENTITY_CLASS "\"},\"series\":[{"
		     "\"reference\":{\"vbs_boot_digest\":\"%s\"},\"endorsement\":{"
		     "\"vbs_isvsvn\":%u,\"build_info\":{\"debug_build\":%s}}}]}\n",
		     hex, svn,
		     igvm_vsm_isolation(f) == IGVM_VSM_VBS_DEBUG ? "true" : "false") < 0) {
		text = NULL;
		return tool_err("not enough memory.");
	}
	return file_write(path, text, strlen(text));
}

static int write_outputs(const char *output, const struct built *b, uint32_t svn)
{
	auto_free char *map = NULL;
	struct igvm_file *f;
	int r;

	/* The builder's own work goes through the reader before anybody else sees it. */
	if (parse(output, b->file, b->len, &f) < 0)
		return -1;
	r = file_write(output, b->file, b->len);
	if (r == 0 && asprintf(&map, "%s.map", output) < 0) {
		map = NULL;
		r = tool_err("not enough memory.");
	}
	if (r == 0)
		r = file_write(map, b->map, strlen(b->map));
	if (r == 0 && igvm_vsm_isolation(f) != IGVM_VSM_NONE)
		r = write_identity(output, f, svn);
	if (r == 0)
		r = print_digests(f);
	igvm_destroy(f);
	return r;
}

static int do_build(const char *manifest, const char *resources, const char *output)
{
	struct manifest m;
	struct resources res;
	struct built b;
	int r;

	if (manifest_read(manifest, &m) < 0)
		return EXIT_FAILURE;
	if (resources_read(resources, &res) < 0) {
		manifest_fini(&m);
		return EXIT_FAILURE;
	}
	r = build_image(&m, &res, &b);
	if (r == 0) {
		r = write_outputs(output, &b, m.guest_svn);
		built_fini(&b);
	}
	resources_fini(&res);
	manifest_fini(&m);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int cmd_build(int argc, char **argv)
{
	static const struct option options[] = {
		{ "manifest", required_argument, NULL, 'm' },
		{ "resources", required_argument, NULL, 'r' },
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *manifest = NULL, *resources = NULL, *output = NULL;
	int opt;

	while ((opt = getopt_long(argc, argv, "m:r:o:h", options, NULL)) != -1) {
		if (opt == 'm')
			manifest = optarg;
		else if (opt == 'r')
			resources = optarg;
		else if (opt == 'o')
			output = optarg;
		else if (opt == 'h')
			return fputs(usage, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
		else
			return wrong_use("unknown option for ", "build");
	}
	if (optind < argc)
		return wrong_use("unexpected argument ", argv[optind]);
	if (!manifest || !resources || !output)
		return wrong_use("build needs --manifest, --resources and --output", "");
	return do_build(manifest, resources, output);
}

/* --- dump and verify --------------------------------------------------------------------- */

static int with_file(const char *path, int (*fn)(const struct igvm_file *f, bool json), bool json)
{
	struct igvm_file *f;
	struct file_buf buf;
	int r;

	if (file_read(path, &buf) < 0)
		return EXIT_FAILURE;
	r = parse(path, buf.data, buf.len, &f);
	if (r == 0) {
		r = fn(f, json);
		igvm_destroy(f);
	}
	free(buf.data);
	if (r == 0 && fflush(stdout))
		r = tool_err("standard output: %s.", strerror(errno));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_dump(const struct igvm_file *f, bool json)
{
	if (json)
		dump_json(f, stdout);
	else
		dump_text(f, stdout);
	return 0;
}

static int run_verify(const struct igvm_file *f, bool json)
{
	static const char *const vsm[] = {
		[IGVM_VSM_NONE] = NULL,
		[IGVM_VSM_VBS] = "for VMs isolated by VBS, no debugging",
		[IGVM_VSM_VBS_DEBUG] = "for VMs isolated by VBS, DEBUGGING ALLOWED",
	};
	printf("good IGVM version %u image, %s, %zu bytes, checksum %#010x\n", igvm_version(f),
	       igvm_arch(f) == IGVM_ARCH_X64 ? "x64" : "AArch64", igvm_file_size(f),
	       igvm_checksum(f));
	if (vsm[igvm_vsm_isolation(f)])
		printf("%s\n", vsm[igvm_vsm_isolation(f)]);
	return print_digests(f);
}

static int cmd_file(int argc, char **argv, int (*fn)(const struct igvm_file *f, bool json),
		    bool has_json)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool json = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'j' && has_json)
			json = true;
		else if (opt == 'h')
			return fputs(usage, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
		else
			return wrong_use("unknown option for ", argv[0]);
	}
	if (argc - optind != 1)
		return wrong_use(argv[0], " needs exactly one file");
	return with_file(argv[optind], fn, json);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (!strcmp(verb, "build"))
		return cmd_build(argc - 1, argv + 1);
	if (!strcmp(verb, "dump"))
		return cmd_file(argc - 1, argv + 1, run_dump, true);
	if (!strcmp(verb, "verify"))
		return cmd_file(argc - 1, argv + 1, run_verify, false);
	if (!strcmp(verb, "--help") || !strcmp(verb, "-h") || !strcmp(verb, "help"))
		return fputs(usage, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	return wrong_use(*verb ? "unknown verb " : "no verb given", verb);
}
