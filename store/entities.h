/*
 * A dictionary of companies, people and whatever else news is about, and finding
 * them in a text:
 *
 *   {"id":"apple","name":"Apple Inc.","type":"company","ticker":"AAPL","aliases":["Apple","苹果公司"],"lang":"en"}
 *
 * one a line. All names are found in one pass (Aho–Corasick over characters);
 * of those that overlap the one that begins first counts, then the longest.
 *
 *   Names of Latin letters and digits match whole words, of any case where the
 *   name is small letters; a name with a capital first needs a capital ("Apple"
 *   is no apple), and capitals alone ("IBM") match as they are.
 *   Chinese, Japanese and Korean names match anywhere.
 *   A ticker of letters needs a mark before it: $AAPL, (AAPL), NASDAQ: AAPL. One
 *   with a market behind a point, 600519.SH, matches as it is.
 *
 * Immutable after loading; any thread may search.
 */
#ifndef STORE_ENTITIES_H
#define STORE_ENTITIES_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

enum { STORE_ENTITY_NAME_BYTES_MAX = 256, STORE_ENTITY_ALIASES_MAX = 64 };

struct store_entity {
    const char *id, *name, *type, *ticker, *lang; /* all but id and name may be "" */
};

struct store_mention {
    size_t start, end; /* bytes of the text */
    size_t entity;     /* index */
};

struct store_entities;

/* ATT_EFORMAT names file and line: a malformed one, an id or name that stands twice; ATT_ENOTFOUND: no such file. */
enum att_status store_entities_load(const char *path, struct store_entities **ret_entities,
                                    struct att_err *err) ATT_MUST_USE;
/* The same from memory; `name` stands in messages. */
enum att_status store_entities_parse(const char *bytes, size_t len, const char *name,
                                     struct store_entities **ret_entities, struct att_err *err) ATT_MUST_USE;
struct store_entities *store_entities_ref(struct store_entities *entities);
void store_entities_unref(struct store_entities *entities); /* NULL is allowed */
size_t store_entities_count(const struct store_entities *entities);
const struct store_entity *store_entities_at(const struct store_entities *entities, size_t index);
/* Index of an id, or the count. */
size_t store_entities_find(const struct store_entities *entities, const char *id);
/* At most `max` mentions in the order of the text, none overlapping another; their number. */
size_t store_entities_search(const struct store_entities *entities, const char *text, size_t len,
                             struct store_mention *mentions, size_t max);

#endif
