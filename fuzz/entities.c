/* Any bytes as a dictionary and a text behind it (parted by a NUL): refused by line, or mentions that lie in the text,
 * in order, and do not overlap. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/target.h"
#include "store/entities.h"

enum { MENTIONS_MAX = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct att_err err = {.message = ""};
    struct store_entities *entities = NULL;
    struct store_mention mentions[MENTIONS_MAX];
    const uint8_t *part = size > 0 ? memchr(bytes, 0, size) : NULL;
    size_t len = part ? (size_t)(part - bytes) : size;
    const char *text = part ? (const char *)part + 1 : "";
    size_t text_len = part ? size - len - 1 : 0, covered = 0;
    enum att_status status = store_entities_parse((const char *)bytes, len, "fuzz", &entities, &err);
    check(status == ATT_OK || (status == ATT_EFORMAT && strncmp(err.message, "fuzz: line ", 11) == 0));
    if (status != ATT_OK)
        return 0;
    size_t n = store_entities_search(entities, text, text_len, mentions, MENTIONS_MAX);
    check(n <= MENTIONS_MAX);
    for (size_t i = 0; i < n; i++) {
        check(mentions[i].start >= covered && mentions[i].end > mentions[i].start && mentions[i].end <= text_len);
        check(mentions[i].entity < store_entities_count(entities));
        covered = mentions[i].end;
    }
    store_entities_unref(entities);
    return 0;
}
