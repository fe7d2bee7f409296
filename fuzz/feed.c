/* Any bytes as a feed: refused with a sentence, or lines that are JSON objects. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/feed.h"
#include "core/base/mem.h"
#include "fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct att_err err = {.message = ""};
    struct att_jsonw lines;
    size_t items = 0, found = 0;
    att_jsonw_init(&lines, 16 << 20);
    enum att_status status = cli_feed_parse((const char *)bytes, size, NULL, &lines, &items, &err);
    check(status == ATT_OK || (status == ATT_EFORMAT && err.message[0]));
    for (size_t at = 0; status == ATT_OK && at < lines.len;) {
        const char *newline = memchr(lines.bytes + at, '\n', lines.len - at);
        struct att_json *item = NULL;
        check(newline != NULL);
        check(att_json_parse(lines.bytes + at, (size_t)(newline - lines.bytes) - at, 0, 8, &item, &err) == ATT_OK);
        check(att_json_is_object(item));
        att_json_destroy(item);
        at = (size_t)(newline - lines.bytes) + 1;
        found++;
    }
    check(status != ATT_OK || found == items);
    att_jsonw_finish(&lines);
    return 0;
}
