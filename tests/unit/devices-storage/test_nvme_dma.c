/* SPDX-License-Identifier: MIT */
/* Data pointers: PRP lists and SGLs, good ones and others. */
#include "fake_disk.h"
#include "nvme_rig.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define NOWHERE 0x7000000000ull

static struct nvr r;
static struct disk *d;
static uint8_t want[1u << 19];

static void setup(void)
{
	nvr_init(&r);
	d = fake_disk(4096, 512);
	ck_assert_int_eq(nvme_ctrl_attach(r.c, 1, disk_get(d)), 0);
	nvr_ready(&r);
	for (size_t i = 0; i < sizeof(want); i++)
		want[i] = (uint8_t)(i * 13 + i / 251);
	memcpy(fake_disk_data(d, 0), want, sizeof(want));
}

static void fini(void)
{
	nvr_fini(&r);
	disk_put(d);
}

static uint16_t read_prp(uint32_t blocks, gpa_t prp1, gpa_t prp2)
{
	return nvr_do(&r, 1, nvr_rw(NVME_IO_READ, 1, 0, blocks, prp1, prp2), NULL);
}

static uint16_t read_sgl(uint32_t blocks, struct nvme_sgl s)
{
	struct nvme_sqe sqe = nvr_rw(NVME_IO_READ, 1, 0, blocks, 0, 0);

	sqe.flags = NVME_PSDT_SGL;
	memcpy(&sqe.prp1, &s, sizeof(s));
	return nvr_do(&r, 1, sqe, NULL);
}

static struct nvme_sgl sgl(enum nvme_sgl_type type, gpa_t addr, uint32_t len)
{
	return (struct nvme_sgl){ .addr = addr, .len = len, .id = (uint8_t)(type << 4) };
}

static uint64_t *words(gpa_t gpa)
{
	return nvr_at(&r, gpa);
}

START_TEST(prp_one_and_two)
{
	gpa_t a, b;

	setup();
	a = nvr_pages(&r, 1);
	(void)nvr_pages(&r, 1);
	b = nvr_pages(&r, 1);
	ck_assert_uint_eq(read_prp(8, a, 0), NVME_OK);
	ck_assert_mem_eq(nvr_at(&r, a), want, 4096);
	ck_assert_uint_eq(read_prp(16, a, b), NVME_OK);
	ck_assert_mem_eq(nvr_at(&r, b), want + 4096, 4096);
	/* an offset in the first: less there, the rest from the start of the second */
	ck_assert_uint_eq(read_prp(8, a + 0xe04, b), NVME_OK);
	ck_assert_mem_eq(nvr_at(&r, a + 0xe04), want, 0x1fc);
	ck_assert_mem_eq(nvr_at(&r, b), want + 0x1fc, 4096 - 0x1fc);
	ck_assert_uint_eq(read_prp(1, a + 0xe00, NOWHERE), NVME_OK); /* the second is unused */
	/* wrong offsets, no memory */
	ck_assert_uint_eq(read_prp(1, a + 2, 0), NVME_PRP_OFFSET_INVALID);
	ck_assert_uint_eq(read_prp(16, a, b + 8), NVME_PRP_OFFSET_INVALID);
	ck_assert_uint_eq(read_prp(8, NOWHERE, 0), NVME_DATA_TRANSFER_ERROR);
	ck_assert_uint_eq(read_prp(16, a, NOWHERE), NVME_DATA_TRANSFER_ERROR);
	ck_assert_uint_eq(read_prp(8, UINT64_MAX & ~0xfffull, 0), NVME_DATA_TRANSFER_ERROR);
	fini();
}
END_TEST

/* 512 KiB through lists that start anywhere in their page. */
START_TEST(prp_lists)
{
	static const uint32_t offs[] = { 0, 8, 0x7f8, 0xff0, 0xff8 };
	gpa_t data, list, next;

	setup();
	data = nvr_pages(&r, 130);
	list = nvr_pages(&r, 1);
	next = nvr_pages(&r, 1);
	for (size_t k = 0; k < ARRAY_SIZE(offs); k++) {
		const uint32_t room = (4096 - offs[k]) / 8;
		uint32_t n = 0;

		memset(nvr_at(&r, data), 0, 130 * 4096);
		/* every other page backwards: nothing can be merged */
		for (uint32_t i = 1; i < 128; i++) {
			gpa_t entry = data + (uint64_t)(i ^ 1) * 4096;

			if (n < room - 1 || 127 <= room)
				words(list + offs[k])[n] = entry;
			else
				words(next)[n - (room - 1)] = entry;
			n++;
		}
		if (127 > room)
			words(list + offs[k])[room - 1] = next;
		ck_assert_uint_eq(read_prp(1024, data + 4096, list + offs[k]), NVME_OK);
		for (uint32_t i = 1; i < 128; i++)
			ck_assert_mem_eq(nvr_at(&r, data + (uint64_t)(i ^ 1) * 4096),
					 want + i * 4096, 4096);
	}
	/* wrong: the list's own address, an entry's, the pointer's; no memory */
	ck_assert_uint_eq(read_prp(24, data, list + 4), NVME_PRP_OFFSET_INVALID);
	words(list)[0] = data + 4096;
	words(list)[1] = data + 8192 + 0x100;
	ck_assert_uint_eq(read_prp(24, data, list), NVME_PRP_OFFSET_INVALID);
	words(list)[1] = NOWHERE;
	ck_assert_uint_eq(read_prp(24, data, list), NVME_DATA_TRANSFER_ERROR);
	ck_assert_uint_eq(read_prp(24, data, NOWHERE), NVME_DATA_TRANSFER_ERROR);
	words(list)[511] = next + 8;
	ck_assert_uint_eq(read_prp(24, data, list + 0xff8), NVME_PRP_OFFSET_INVALID);
	words(list)[511] = NOWHERE;
	ck_assert_uint_eq(read_prp(24, data, list + 0xff8), NVME_DATA_TRANSFER_ERROR);
	words(list)[511] = list; /* a list that leads to itself ends when there is enough */
	words(list)[0] = data;
	ck_assert_uint_eq(read_prp(16, data, list + 0xff8), NVME_PRP_OFFSET_INVALID);
	words(list)[1] = data;
	ck_assert_uint_eq(read_prp(24, data, list + 0xff8), NVME_OK);
	fini();
}
END_TEST

START_TEST(neighbours_are_merged)
{
	const struct fake_disk_seen *seen;
	gpa_t data, list;

	setup();
	data = nvr_pages(&r, 128);
	list = nvr_pages(&r, 1);
	for (uint32_t i = 1; i < 128; i++)
		words(list)[i - 1] = data + (uint64_t)i * 4096;
	ck_assert_uint_eq(read_prp(1024, data, list), NVME_OK);
	ck_assert_mem_eq(nvr_at(&r, data), want, sizeof(want));
	ck_assert_uint_eq(fake_disk_log(d, &seen), 1);
	ck_assert_uint_eq(seen[0].n_iov, 1);
	fini();
}
END_TEST

START_TEST(sgl_data_blocks)
{
	gpa_t a;

	setup();
	a = nvr_pages(&r, 2);
	ck_assert_uint_eq(read_sgl(8, sgl(NVME_SGL_DATA, a + 3, 4096)), NVME_OK);
	ck_assert_mem_eq(nvr_at(&r, a + 3), want, 4096);
	ck_assert_uint_eq(read_sgl(1, sgl(NVME_SGL_DATA, a, 8192)), NVME_OK); /* too much is fine */
	ck_assert_uint_eq(read_sgl(8, sgl(NVME_SGL_DATA, a, 4095)), NVME_SGL_DATA_LENGTH);
	ck_assert_uint_eq(read_sgl(8, sgl(NVME_SGL_DATA, a, 0)), NVME_SGL_DATA_LENGTH);
	ck_assert_uint_eq(read_sgl(8, sgl(NVME_SGL_DATA, NOWHERE, 4096)), NVME_DATA_TRANSFER_ERROR);
	ck_assert_uint_eq(read_sgl(8, sgl(NVME_SGL_DATA, UINT64_MAX - 7, 4096)),
			  NVME_DATA_TRANSFER_ERROR);
	ck_assert_uint_eq(read_sgl(8, sgl(4, a, 4096)), NVME_SGL_INVALID_TYPE);
	ck_assert_uint_eq(read_sgl(8, (struct nvme_sgl){ .addr = a, .len = 4096, .id = 1 }),
			  NVME_SGL_INVALID_TYPE);
	ck_assert_uint_eq(read_sgl(8, sgl(NVME_SGL_BIT_BUCKET, 0, 4096)), NVME_OK);
	fini();
}
END_TEST

/* Segments that lead to one another; data in odd pieces, and some into buckets. */
START_TEST(sgl_segments)
{
	struct nvme_sgl *s, *t;
	gpa_t data, seg;

	setup();
	data = nvr_pages(&r, 4);
	seg = nvr_pages(&r, 2);
	s = nvr_at(&r, seg);
	t = nvr_at(&r, seg + 4096);
	memset(s, 0, 8192);
	s[0] = sgl(NVME_SGL_DATA, data + 1, 100);
	s[1] = sgl(NVME_SGL_BIT_BUCKET, 0, 300);
	s[2] = sgl(NVME_SGL_DATA, data + 5000, 12);
	s[3] = sgl(NVME_SGL_DATA, NOWHERE, 0); /* nothing is fine anywhere */
	s[4] = sgl(NVME_SGL_LAST_SEGMENT, seg + 4096, 32);
	t[0] = sgl(NVME_SGL_BIT_BUCKET, 0, 1);
	t[1] = sgl(NVME_SGL_DATA, data + 8192, 611);
	ck_assert_uint_eq(read_sgl(2, sgl(NVME_SGL_SEGMENT, seg, 80)), NVME_OK);
	ck_assert_mem_eq(nvr_at(&r, data + 1), want, 100);
	ck_assert_mem_eq(nvr_at(&r, data + 5000), want + 400, 12);
	ck_assert_mem_eq(nvr_at(&r, data + 8192), want + 413, 611);
	/* lengths of segments */
	ck_assert_uint_eq(read_sgl(2, sgl(NVME_SGL_SEGMENT, seg, 79)), NVME_SGL_INVALID_LAST);
	ck_assert_uint_eq(read_sgl(2, sgl(NVME_SGL_SEGMENT, seg, 0)), NVME_SGL_INVALID_LAST);
	ck_assert_uint_eq(read_sgl(2, sgl(NVME_SGL_SEGMENT, seg + 4, 80)), NVME_SGL_INVALID_LAST);
	ck_assert_uint_eq(read_sgl(2, sgl(NVME_SGL_SEGMENT, NOWHERE, 80)),
			  NVME_DATA_TRANSFER_ERROR);
	ck_assert_uint_eq(read_sgl(2, sgl(NVME_SGL_SEGMENT, seg, 64)), NVME_SGL_DATA_LENGTH);
	/* the way on must be the last, and a last segment has none */
	ck_assert_uint_eq(read_sgl(2, sgl(NVME_SGL_SEGMENT, seg, 96)), NVME_SGL_INVALID_LAST);
	ck_assert_uint_eq(read_sgl(2, sgl(NVME_SGL_LAST_SEGMENT, seg, 80)), NVME_SGL_INVALID_LAST);
	s[4].id |= 1;
	ck_assert_uint_eq(read_sgl(2, sgl(NVME_SGL_SEGMENT, seg, 80)), NVME_SGL_INVALID_TYPE);
	/* round and round */
	s[0] = sgl(NVME_SGL_BIT_BUCKET, 0, 0);
	s[1] = sgl(NVME_SGL_SEGMENT, seg, 32);
	ck_assert_uint_eq(read_sgl(2, sgl(NVME_SGL_SEGMENT, seg, 32)), NVME_SGL_INVALID_COUNT);
	/* a segment longer than any memory */
	ck_assert_uint_eq(read_sgl(2, sgl(NVME_SGL_SEGMENT, seg + 4128, 0xfffffff0)),
			  NVME_SGL_INVALID_COUNT);
	fini();
}
END_TEST

/* Writes take nothing from a bucket. */
START_TEST(sgl_write)
{
	struct nvme_sqe sqe = nvr_rw(NVME_IO_WRITE, 1, 100, 1, 0, 0);
	struct nvme_sgl first, *s;
	gpa_t data;

	setup();
	data = nvr_pages(&r, 2);
	s = nvr_at(&r, data + 4096);
	memcpy(nvr_at(&r, data), want, 512);
	s[0] = sgl(NVME_SGL_DATA, data, 256);
	s[1] = sgl(NVME_SGL_BIT_BUCKET, 0, 1000);
	s[2] = sgl(NVME_SGL_DATA, data + 256, 256);
	first = sgl(NVME_SGL_LAST_SEGMENT, data + 4096, 48);
	memcpy(&sqe.prp1, &first, sizeof(first));
	sqe.flags = NVME_PSDT_SGL_META;
	ck_assert_uint_eq(nvr_do(&r, 1, sqe, NULL), NVME_OK);
	ck_assert_mem_eq(fake_disk_data(d, 100), want, 512);
	fini();
}
END_TEST

/* More pieces than a request has room for. */
START_TEST(sgl_too_many_pieces)
{
	struct nvme_sgl *s;
	gpa_t data, seg;

	setup();
	data = nvr_pages(&r, 64);
	seg = nvr_pages(&r, 2);
	s = nvr_at(&r, seg);
	for (uint32_t i = 0; i < 300; i++)
		s[i] = sgl(NVME_SGL_DATA, data + i * 600, 512);
	ck_assert_uint_eq(read_sgl(256, sgl(NVME_SGL_LAST_SEGMENT, seg, 300 * 16)), NVME_OK);
	ck_assert_mem_eq(nvr_at(&r, data + 255 * 600), want + 255 * 512, 512);
	ck_assert_uint_eq(read_sgl(257, sgl(NVME_SGL_LAST_SEGMENT, seg, 300 * 16)),
			  NVME_SGL_INVALID_COUNT);
	fini();
}
END_TEST

UNIT_MAIN("devices-storage/nvme_dma", prp_one_and_two, prp_lists, neighbours_are_merged,
	  sgl_data_blocks, sgl_segments, sgl_write, sgl_too_many_pieces)
