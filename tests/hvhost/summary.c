/* SPDX-License-Identifier: MIT */
#include "summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macros.h"

static const char *const exit_names[] = { "pio",	"mmio",	    "msr",  "hypercall",
					  "vtl return", "hlt",	    "eoi",  "irq window",
					  "kick",	"shutdown", "other" };

void summary_init(struct summary *s)
{
	memset(s, 0, sizeof(*s));
	s->end = -1;
}

void summary_note(struct summary *s, const char *text)
{
	if (s->n_notes < SUMMARY_NOTES)
		snprintf(s->notes[s->n_notes], sizeof(s->notes[0]), "%s", text);
	s->n_notes++;
}

static void parse_counts(uint64_t *ret_n, const char *val)
{
	char *end;

	for (unsigned i = 0; i < SUMMARY_COUNTS; i++) {
		ret_n[i] = strtoull(val, &end, 10);
		if (*end != ',')
			break;
		val = end + 1;
	}
}

/* Of one session more. */
static void add_counts(uint64_t *n, const char *val)
{
	uint64_t more[SUMMARY_COUNTS] = { 0 };

	parse_counts(more, val);
	for (unsigned i = 0; i < SUMMARY_COUNTS; i++)
		n[i] += more[i];
}

static void report_line(struct summary *s, const char *line)
{
	static const struct {
		const char *key;
		size_t off;
	} times[] = {
		{ "shim", offsetof(struct summary, shim_ns) },
		{ "kernel", offsetof(struct summary, kernel_ns) },
		{ "vmbus", offsetof(struct summary, vmbus_ns) },
		{ "get", offsetof(struct summary, get_ns) },
		{ "vtl0", offsetof(struct summary, vtl0_ns) },
	};
	const char *val = strchr(line, '=');
	size_t key_len;

	if (!val)
		return;
	key_len = (size_t)(val++ - line);
	for (unsigned i = 0; i < ARRAY_SIZE(times); i++) {
		if (strlen(times[i].key) == key_len && memcmp(line, times[i].key, key_len) == 0)
			*(uint64_t *)(void *)((char *)s + times[i].off) = strtoull(val, NULL, 10);
	}
	if (strncmp(line, "end=", 4) == 0)
		s->end = (int)strtol(val, NULL, 10);
	else if (strncmp(line, "vtl0_started=", 13) == 0)
		s->vtl0_started = *val == '1';
	else if (strncmp(line, "vtl0_exits=", 11) == 0)
		parse_counts(s->vtl0_exits, val);
	else if (strncmp(line, "vtl2_exits=", 11) == 0)
		parse_counts(s->vtl2_exits, val);
	else if (strncmp(line, "note=", 5) == 0)
		summary_note(s, val);
	else if (strncmp(line, "vtl2_log=", 9) == 0)
		add_counts(s->vtl2_log, val);
	else if (strncmp(line, "text=", 5) == 0)
		snprintf(s->text, sizeof(s->text), "%s", val);
}

void summary_report(struct summary *s, const char *text)
{
	char buf[4096], *save = NULL;

	snprintf(buf, sizeof(buf), "%s", text);
	for (char *line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		report_line(s, line);
}

static void log_line(struct summary *s)
{
	const char *p = strstr(s->line, "stats {");

	if (!p)
		return;
	snprintf(s->stats[s->n_stats % SUMMARY_STATS], sizeof(s->stats[0]), "%.1000s", p + 6);
	s->n_stats++;
}

void summary_log(struct summary *s, const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (buf[i] != '\n') {
			if (s->line_len < sizeof(s->line) - 1)
				s->line[s->line_len++] = (char)buf[i];
			continue;
		}
		s->line[s->line_len] = 0;
		log_line(s);
		s->line_len = 0;
	}
}

static void print_phase(const char *name, uint64_t ns)
{
	if (ns)
		fprintf(stderr, "  %-28s %8.1f ms\n", name, (double)ns / 1e6);
}

static void print_counts(const char *who, const uint64_t *n)
{
	fprintf(stderr, "%s exits:", who);
	for (unsigned i = 0; i < ARRAY_SIZE(exit_names); i++) {
		if (n[i])
			fprintf(stderr, " %s %llu", exit_names[i], (unsigned long long)n[i]);
	}
	fputc('\n', stderr);
}

void summary_print(const struct summary *s, unsigned resets)
{
	fprintf(stderr, "boot, since the image was loaded:\n");
	print_phase("shim", s->shim_ns);
	print_phase("VTL2 kernel", s->kernel_ns);
	print_phase("VTL2 VMBus connected", s->vmbus_ns);
	print_phase("paravisor spoke to the host", s->get_ns);
	print_phase("VTL0 started", s->vtl0_ns);
	print_counts("VTL0", s->vtl0_exits);
	print_counts("VTL2", s->vtl2_exits);
	for (unsigned i = s->n_stats - MIN(s->n_stats, (unsigned)SUMMARY_STATS); i < s->n_stats;
	     i++)
		fprintf(stderr, "paravisor: %s\n", s->stats[i % SUMMARY_STATS]);
	fprintf(stderr, "paravisor's log: %llu records", (unsigned long long)s->vtl2_log[0]);
	if (s->vtl2_log[1])
		fprintf(stderr, ", %llu were none", (unsigned long long)s->vtl2_log[1]);
	if (s->vtl2_log[2])
		fprintf(stderr, ", %llu not stored", (unsigned long long)s->vtl2_log[2]);
	fputc('\n', stderr);
	if (resets)
		fprintf(stderr, "guest restarts: %u\n", resets);
	if (s->emulator_faults)
		fprintf(stderr, "emulator faults (runs repeated): %u\n", s->emulator_faults);
	for (unsigned i = 0; i < MIN(s->n_notes, (unsigned)SUMMARY_NOTES); i++)
		fprintf(stderr, "crash: %s\n", s->notes[i]);
	if (s->n_notes > SUMMARY_NOTES)
		fprintf(stderr, "crash: and %u more\n", s->n_notes - SUMMARY_NOTES);
	if (s->text[0])
		fprintf(stderr, "end: %s\n", s->text);
}
