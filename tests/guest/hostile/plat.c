/* SPDX-License-Identifier: MIT */
/* What the boot loader left: command line, memory map, ACPI's list of processors. */
#include "hostile.h"

struct options opt = { .seed = 1, .seconds = 20, .storms = (1u << N_STORMS) - 1 };
struct platform plat;

static uint32_t get32(uint64_t gpa)
{
	uint32_t val;

	__builtin_memcpy(&val, (const void *)gpa, sizeof(val));
	return val;
}

static uint64_t get64(uint64_t gpa)
{
	return get32(gpa) | (uint64_t)get32(gpa + 4) << 32;
}

/* ---- command line ---------------------------------------------------------------------------- */

static const char *value_of(const char *word, const char *name)
{
	while (*name && *word == *name) {
		word++;
		name++;
	}
	return *name ? NULL : word;
}

static uint64_t parse_number(const char **text)
{
	const char *p = *text;
	unsigned base = 10;
	uint64_t val = 0;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
	}
	for (;; p++) {
		unsigned digit = 99;

		if (*p >= '0' && *p <= '9')
			digit = (unsigned)(*p - '0');
		else if ((*p | 32) >= 'a' && (*p | 32) <= 'f')
			digit = (unsigned)((*p | 32) - 'a' + 10);
		if (digit >= base)
			break;
		val = val * base + digit;
	}
	*text = p;
	return val;
}

static void parse_storms(const char *p)
{
	opt.storms = 0;
	for (;;) {
		size_t len = 0;

		while (p[len] && p[len] != ',' && p[len] != ' ')
			len++;
		if (!storm_by_name(p, len, &opt.storms))
			con_die("no storm of this name in hostile.tests", 0, 0);
		p += len;
		if (*p++ != ',')
			return;
	}
}

static void parse_word(const char *word)
{
	const char *val;

	if ((val = value_of(word, "hostile.seed=")) != NULL) {
		opt.seed = parse_number(&val);
	} else if ((val = value_of(word, "hostile.time=")) != NULL) {
		opt.seconds = parse_number(&val);
	} else if ((val = value_of(word, "hostile.tests=")) != NULL) {
		parse_storms(val);
	} else if ((val = value_of(word, "hostile.end=")) != NULL) {
		opt.end = *val;
	} else if ((val = value_of(word, "hostile.vtl2=")) != NULL) {
		opt.vtl2.base = parse_number(&val);
		if (*val == '-') {
			val++;
			opt.vtl2.end = parse_number(&val);
		}
	}
}

static void parse_cmdline(const char *p)
{
	while (p && *p) {
		while (*p == ' ')
			p++;
		parse_word(p);
		while (*p && *p != ' ')
			p++;
	}
}

/* ---- memory map ------------------------------------------------------------------------------ */

static void read_e820(uint64_t zero_page)
{
	uint8_t n = *(const uint8_t *)(zero_page + 0x1e8);

	for (unsigned i = 0; i < n && i < ARRAY_SIZE(plat.used); i++) {
		uint64_t entry = zero_page + 0x2d0 + 20ull * i;
		struct range *r = &plat.used[plat.n_used++];

		r->base = get64(entry);
		r->end = r->base + get64(entry + 8);
		if (get32(entry + 16) == 1 && r->end > plat.ram_end)
			plat.ram_end = r->end;
	}
}

bool plat_is_memory(uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < plat.n_used; i++) {
		if (gpa < plat.used[i].end && plat.used[i].base < gpa + len)
			return true;
	}
	return false;
}

/* ---- processors ------------------------------------------------------------------------------ */

static void add_cpu(uint32_t apic_id, uint32_t flags)
{
	if ((flags & 1) && plat.n_cpus < MAX_CPUS)
		plat.apic_ids[plat.n_cpus++] = apic_id;
}

static void read_madt(uint64_t madt)
{
	uint64_t end = madt + get32(madt + 4);
	uint64_t p = madt + 44;

	while (p + 2 <= end) {
		uint8_t type = *(const uint8_t *)p, len = *(const uint8_t *)(p + 1);

		if (len < 2)
			return;
		if (type == 0)
			add_cpu(*(const uint8_t *)(p + 3), get32(p + 4));
		else if (type == 9)
			add_cpu(get32(p + 4), get32(p + 8));
		p += len;
	}
}

static void read_acpi(uint64_t rsdp)
{
	uint64_t xsdt = rsdp ? get64(rsdp + 24) : 0;

	if (!xsdt || xsdt >> 32)
		return;
	for (uint64_t p = xsdt + 36; p + 8 <= xsdt + get32(xsdt + 4); p += 8) {
		if (get32(get64(p)) == 0x43495041) /* "APIC" */
			read_madt(get64(p));
	}
}

/* ---- features -------------------------------------------------------------------------------- */

static void read_features(void)
{
	uint32_t r[4];

	cpuid(0, 0, r);
	plat.amd = r[1] == 0x68747541 || r[1] == 0x6f677948; /* Auth, Hygo */
	cpuid(1, 0, r);
	plat.x2apic = r[2] & (1u << 21);
	plat.sse = r[3] & (1u << 25);
	plat.avx = (r[2] & (1u << 26)) && (r[2] & (1u << 28));
	if (r[2] & (1u << 31)) {
		cpuid(0x40000000, 0, r);
		plat.hyperv = r[1] == 0x7263694d && r[2] == 0x666f736f && r[3] == 0x76482074;
	}
	cpuid(0x80000008, 0, r);
	plat.phys_bits = (uint8_t)r[0];
	if (plat.phys_bits < 36 || plat.phys_bits > 52)
		plat.phys_bits = 36;
	plat.tsc_hz = plat.hyperv ? rdmsr(0x40000022) : 0;
	if (plat.tsc_hz < 100000000)
		plat.tsc_hz = 2000000000;
}

void plat_read(const uint8_t *zero_page)
{
	uint64_t zp = (uint64_t)zero_page;

	opt.end = default_end;
	parse_cmdline((const char *)(uint64_t)get32(zp + 0x228));
	read_e820(zp);
	read_acpi(get64(zp + 0x70));
	read_features();
	if (!plat.n_cpus)
		plat.n_cpus = 1;
}
