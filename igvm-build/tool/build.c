/* SPDX-License-Identifier: MIT */
/* The image builder's outer steps: read resources, lay out, write, describe. */
#include "build.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "build_priv.h"

static int load_elf(struct build *b, enum resource which, struct elf_img *ret)
{
	const struct file_buf *f = &b->res->file[which];
	const char *why;

	if (resource_load(b->res, which) < 0)
		return -1;
	if (elf_parse(f->data, f->len, ret, &why) < 0)
		return tool_err("%s: resource %s %s.", b->res->path[which], resource_name(which),
				why);
	return 0;
}

static int load_vtl2(struct build *b)
{
	if (load_elf(b, RESOURCE_UNDERHILL_KERNEL, &b->kernel) < 0 ||
	    load_elf(b, RESOURCE_OPENHCL_BOOT, &b->shim) < 0 ||
	    resource_load(b->res, RESOURCE_UNDERHILL_INITRD) < 0)
		return -1;
	if (!b->res->file[RESOURCE_UNDERHILL_INITRD].len)
		return tool_err("%s: the initrd is empty.",
				b->res->path[RESOURCE_UNDERHILL_INITRD]);
	return 0;
}

static void print_hash(FILE *out, const struct file_buf *f)
{
	uint8_t d[32] = { 0 };

	if (!EVP_Digest(f->data, f->len, d, NULL, EVP_sha256(), NULL))
		return; /* the map then shows no digest; the image is complete all the same */
	for (size_t i = 0; i < sizeof(d); i++)
		fprintf(out, "%02x", d[i]);
}

/* What lies where, and what it was made of: text without paths, so that it is reproducible too. */
static void print_map(FILE *out, const struct build *b)
{
	const struct layout *lo = &b->lo;

	fprintf(out, "VTL2 memory  %#llx-%#llx (%llu MiB), used to %#llx, %s\n",
		(unsigned long long)lo->start, (unsigned long long)(lo->start + lo->size - 1),
		(unsigned long long)(lo->size / MIB), (unsigned long long)lo->used_end,
		b->m->has_base || b->m->isolation != MANIFEST_ISOLATION_NONE ? "fixed"
									     : "relocatable");
	if (b->m->isolation == MANIFEST_ISOLATION_VBS)
		fprintf(out, "isolation by VBS, %s\n",
			b->m->enable_debug ? "debugging allowed" : "no debugging");
	fprintf(out, "kernel entry %#llx, shim entry %#llx\n\n",
		(unsigned long long)lo->kernel_entry, (unsigned long long)lo->shim_entry);
	fprintf(out, "%-12s %-12s %10s  %s\n", "first", "last", "content", "what");
	for (size_t i = 0; i < b->img.n_range; i++) {
		const struct image_range *r = &b->img.range[i];

		fprintf(out, "%#012llx %#012llx %10llu  %s\n",
			(unsigned long long)r->gpn * KEEL_PAGE_SIZE,
			(unsigned long long)(r->gpn + r->pages) * KEEL_PAGE_SIZE - 1,
			(unsigned long long)r->bytes, r->tag);
	}
	fprintf(out, "\nSHA-256 of the inputs\n");
	for (int i = 0; i < RESOURCE_COUNT; i++) {
		if (!b->res->file[i].data)
			continue;
		print_hash(out, &b->res->file[i]);
		fprintf(out, "  %s\n", resource_name((enum resource)i));
	}
}

static int make_map(const struct build *b, char **ret_map)
{
	size_t len;
	FILE *out = open_memstream(ret_map, &len);

	if (!out)
		return tool_err("not enough memory.");
	print_map(out, b);
	if (fclose(out)) {
		free(*ret_map);
		return tool_err("not enough memory.");
	}
	return 0;
}

int build_image(const struct manifest *m, struct resources *res, struct built *ret)
{
	struct build b = { .m = m, .res = res };
	struct built out = { 0 };
	int r;

	r = load_vtl2(&b);
	if (r == 0)
		r = layout_plan(&b);
	if (r == 0)
		r = build_vtl2(&b);
	if (r == 0)
		r = build_vtl0(&b);
	if (r == 0)
		r = image_sort(&b.img);
	if (r == 0)
		r = build_write(&b, &out.file, &out.len);
	if (r == 0)
		r = make_map(&b, &out.map);
	image_fini(&b.img);
	if (r < 0)
		built_fini(&out);
	else
		*ret = out;
	return r;
}

void built_fini(struct built *b)
{
	free(b->file);
	free(b->map);
	*b = (struct built){ 0 };
}
