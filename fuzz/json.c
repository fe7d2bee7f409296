/* Any bytes as JSON: refused, or written again as JSON that reads back. */
#include <stdlib.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct att_json *json = NULL, *again = NULL;
    struct att_jsonw w;
    char *text = NULL;
    size_t len = 0;
    if (att_json_parse((const char *)bytes, size, 0, 64, &json, NULL) != ATT_OK)
        return 0;
    att_jsonw_init(&w, 64 << 20);
    att_jsonw_value(&w, json);
    if (att_jsonw_take(&w, &text, &len, NULL) != ATT_OK || att_json_parse(text, len, 0, 64, &again, NULL) != ATT_OK)
        abort();
    att_json_destroy(again);
    att_json_destroy(json);
    att_mem_free(text);
    return 0;
}
