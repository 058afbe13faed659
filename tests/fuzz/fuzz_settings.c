/* SPDX-License-Identifier: MIT */
/*
 * VTL2 settings as the host may write them: two documents one after the other (the first byte says
 * how much belongs to the first), the second on top of the first. What was understood is written
 * again in every form and must be understood the same way.
 */
#include "fuzz.h"

#include "bug.h"
#include "vtl2_settings.h"
#include "../hvhost/settings_host.h"

#include <stdlib.h>
#include <string.h>

static void check_error(int r, const struct vtl2s_error *err)
{
	char json[VTL2S_ERROR_JSON];

	if (r == 0)
		return;
	BUG_ON(!err->id || !strchr(err->id, '.') || strlen(err->text) >= sizeof(err->text));
	vtl2s_error_json(err, json);
	BUG_ON(strlen(json) >= sizeof(json) || strcmp(json + strlen(json) - 2, "}]") != 0);
}

static struct vtl2_settings *parse(const uint8_t *doc, size_t len, const struct vtl2_settings *old)
{
	struct vtl2_settings *s = NULL;
	struct vtl2s_error err = { 0 };
	int r = vtl2_settings_parse(doc, len, old, &s, &err);

	BUG_ON(!r != !!s);
	check_error(r, &err);
	return s;
}

static void check_same(const struct vtl2_settings *a, const struct vtl2_settings *b)
{
	struct vtl2s_error err;

	BUG_ON(a->n_controllers != b->n_controllers);
	BUG_ON(a->scsi_sub_channels != b->scsi_sub_channels);
	for (uint32_t i = 0; i < a->n_controllers; i++) {
		const struct vtl2s_controller *ca = &a->controllers[i], *cb = &b->controllers[i];

		BUG_ON(!guid_eq(&ca->instance, &cb->instance) || ca->protocol != cb->protocol);
		BUG_ON(ca->n_luns != cb->n_luns);
		for (uint32_t k = 0; k < ca->n_luns; k++) {
			struct vtl2s_lun l = ca->luns[k];

			l.auto_format = false; /* which is not written */
			BUG_ON(!vtl2s_lun_eq(&l, &cb->luns[k]));
		}
	}
	check_error(vtl2_settings_may_change(a, b, &err), &err);
}

static void rewrite(const struct vtl2_settings *s)
{
	for (int form = SETTINGS_PROTOBUF; form <= SETTINGS_FLAT_JSON; form++) {
		struct vtl2_settings *again;
		uint8_t *doc;
		size_t len;

		BUG_ON(settings_host_write(s, (enum settings_form)form, &doc, &len) != 0);
		again = parse(doc, len, NULL);
		BUG_ON(!again);
		check_same(s, again);
		vtl2_settings_free(again);
		free(doc);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vtl2_settings *s, *next;
	struct vtl2s_error err;
	size_t first;

	if (!size)
		return 0;
	first = (size - 1) * data[0] / 255;
	s = parse(data + 1, first, NULL);
	if (s)
		rewrite(s);
	next = parse(data + 1 + first, size - 1 - first, s);
	if (s && next) {
		int r = vtl2_settings_may_change(s, next, &err);

		check_error(r, &err);
	}
	vtl2_settings_free(next);
	vtl2_settings_free(s);
	return 0;
}
