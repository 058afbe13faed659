/* SPDX-License-Identifier: MIT */
#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINES 512u
#define MAX_LINE 900u
#define HEARD_BYTES 65536u
#define NS_PER_MS 1000000u

enum step_kind { STEP_EXPECT, STEP_SLEEP, STEP_SAY, STEP_DO, STEP_REFUSED };

struct step {
	enum step_kind kind;
	unsigned line; /* of the file */
	char *text;
	uint64_t ms;
};

/* What a stream said since the last line that was found in it. */
struct heard {
	char buf[HEARD_BYTES];
	size_t len;
};

struct scenario {
	const struct scenario_ops *ops;
	void *ctx;
	struct step step[MAX_LINES];
	unsigned n, at;
	bool asked; /* the request of this step is on its way */
	uint64_t until_ns; /* STEP_SLEEP */
	bool failed;
	char problem[1200];
	struct heard heard[SCENARIO_STREAMS];
	char path[256];
};

/* --- reading ---------------------------------------------------------------------------------- */

static bool keyword(char **text, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*text, word, len) || ((*text)[len] && (*text)[len] != ' '))
		return false;
	*text += len;
	*text += strspn(*text, " ");
	return true;
}

static bool parse_step(char *text, struct step *s)
{
	char *end;

	if (keyword(&text, "expect")) {
		s->kind = STEP_EXPECT;
	} else if (keyword(&text, "say")) {
		s->kind = STEP_SAY;
	} else if (keyword(&text, "sleep")) {
		s->kind = STEP_SLEEP;
		s->ms = strtoull(text, &end, 10);
		if (*end || end == text || s->ms > 3600000)
			return false;
	} else if (keyword(&text, "refused")) {
		s->kind = STEP_REFUSED;
	} else {
		s->kind = STEP_DO;
	}
	s->text = strdup(text);
	return s->text && (*text || s->kind == STEP_SAY);
}

static int load_lines(struct scenario *sc, FILE *f, char *why, size_t size)
{
	char line[MAX_LINE];

	for (unsigned no = 1; fgets(line, sizeof(line), f); no++) {
		char *text = line + strspn(line, " \t");
		size_t len = strcspn(text, "\n");

		if (text[len] != '\n' && !feof(f)) {
			snprintf(why, size, "%s:%u: the line is too long", sc->path, no);
			return -EINVAL;
		}
		while (len && strchr(" \t\r", text[len - 1]))
			len--;
		text[len] = 0;
		if (!len || *text == '#')
			continue;
		if (sc->n == MAX_LINES) {
			snprintf(why, size, "%s: more than %u lines", sc->path, MAX_LINES);
			return -E2BIG;
		}
		sc->step[sc->n].line = no;
		if (!parse_step(text, &sc->step[sc->n++])) {
			snprintf(why, size, "%s:%u: \"%s\" is not complete", sc->path, no, text);
			return -EINVAL;
		}
	}
	return 0;
}

int scenario_load(const char *path, const struct scenario_ops *ops, void *ctx,
		  struct scenario **ret_sc, char *ret_why, size_t size)
{
	struct scenario *sc = calloc(1, sizeof(*sc));
	FILE *f = fopen(path, "re");
	int r = -ENOMEM;

	snprintf(ret_why, size, "out of memory");
	if (!f) {
		r = -errno;
		snprintf(ret_why, size, "cannot read the scenario %s: %s", path, strerror(errno));
	} else if (sc) {
		sc->ops = ops;
		sc->ctx = ctx;
		snprintf(sc->path, sizeof(sc->path), "%s", path);
		r = load_lines(sc, f, ret_why, size);
	}
	if (f)
		(void)fclose(f);
	if (r < 0) {
		scenario_free(sc);
		return r;
	}
	*ret_sc = sc;
	return 0;
}

void scenario_free(struct scenario *sc)
{
	if (!sc)
		return;
	for (unsigned i = 0; i < sc->n; i++)
		free(sc->step[i].text);
	free(sc);
}

/* --- doing ------------------------------------------------------------------------------------ */

static bool was_heard(struct scenario *sc, const char *text)
{
	size_t len = strlen(text);

	for (unsigned i = 0; i < SCENARIO_STREAMS; i++) {
		struct heard *h = &sc->heard[i];
		char *p = memmem(h->buf, h->len, text, len);

		if (p) {
			h->len -= (size_t)(p + len - h->buf);
			memmove(h->buf, p + len, h->len);
			return true;
		}
	}
	return false;
}

/* The step at hand is done. */
static void next(struct scenario *sc)
{
	sc->at++;
	sc->asked = false;
	sc->until_ns = 0;
}

/* Do what can be done now. */
static void advance(struct scenario *sc, uint64_t now)
{
	while (!sc->failed && sc->at < sc->n) {
		const struct step *s = &sc->step[sc->at];

		switch (s->kind) {
		case STEP_EXPECT:
			if (!was_heard(sc, s->text))
				return;
			break;
		case STEP_SLEEP:
			if (!sc->until_ns)
				sc->until_ns = now + s->ms * NS_PER_MS;
			if (now < sc->until_ns)
				return;
			break;
		case STEP_SAY:
			sc->ops->say(sc->ctx, s->text);
			break;
		case STEP_DO:
		case STEP_REFUSED:
			if (!sc->asked) {
				sc->asked = true;
				sc->ops->request(sc->ctx, s->text);
			}
			return;
		}
		next(sc);
	}
}

void scenario_start(struct scenario *sc, uint64_t now_ns)
{
	sc->at = 0;
	sc->asked = sc->failed = false;
	sc->until_ns = 0;
	for (unsigned i = 0; i < SCENARIO_STREAMS; i++)
		sc->heard[i].len = 0;
	advance(sc, now_ns);
}

void scenario_output(struct scenario *sc, enum scenario_stream stream, const void *buf, size_t len,
		     uint64_t now_ns)
{
	struct heard *h = &sc->heard[stream];
	const char *p = buf;

	while (len) {
		size_t n = MIN(len, (size_t)HEARD_BYTES / 2);

		if (h->len + n > HEARD_BYTES) { /* the oldest is forgotten */
			size_t drop = h->len + n - HEARD_BYTES;

			h->len -= drop;
			memmove(h->buf, h->buf + drop, h->len);
		}
		memcpy(h->buf + h->len, p, n);
		h->len += n;
		p += n;
		len -= n;
		advance(sc, now_ns);
	}
}

void scenario_reply(struct scenario *sc, bool ok, const char *text, uint64_t now_ns)
{
	const struct step *s = &sc->step[sc->at];

	if (!sc->asked || sc->failed)
		return;
	if (ok == (s->kind == STEP_DO)) {
		next(sc);
		advance(sc, now_ns);
		return;
	}
	sc->failed = true;
	snprintf(sc->problem, sizeof(sc->problem), "%s:%u: %s: %s", sc->path, s->line, s->text,
		 ok ? "that was to be refused" : text);
}

uint64_t scenario_tick(struct scenario *sc, uint64_t now_ns)
{
	advance(sc, now_ns);
	return sc->until_ns;
}

const char *scenario_problem(struct scenario *sc)
{
	if (!sc->failed && sc->at < sc->n)
		snprintf(sc->problem, sizeof(sc->problem), "%s:%u: the run ended before: %s",
			 sc->path, sc->step[sc->at].line, sc->step[sc->at].text);
	return sc->failed || sc->at < sc->n ? sc->problem : NULL;
}
