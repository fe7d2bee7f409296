/* Any bytes as a chat template: refused, or rendered within its limits. */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/chat/template.h"
#include "fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char messages[] =
        "[{\"role\":\"system\",\"content\":\" be brief \"},{\"role\":\"user\",\"content\":\"caf\xc3\xa9 <x> 1\"},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"a\\nb\"}],\"tool_calls\":[{\"n\":-1.5}]}]";
    enum { OUT_MAX = 1 << 16 };
    struct att_chat_template *template = NULL;
    struct att_json *root = NULL;
    char *text = NULL;
    size_t len = 0;
    if (att_chat_template_parse((const char *)bytes, size, &template, NULL) != ATT_OK)
        return 0;
    if (att_json_parse(messages, strlen(messages), 0, 8, &root, NULL) != ATT_OK)
        exit(1);
    struct att_chat_input input = {.messages = root, .bos_token = "<s>", .add_generation_prompt = true};
    if (att_chat_template_render(template, &input, OUT_MAX, &text, &len, NULL) == ATT_OK &&
        (len > OUT_MAX || text[len] != '\0'))
        abort();
    att_mem_free(text);
    att_json_destroy(root);
    att_chat_template_destroy(template);
    return 0;
}
