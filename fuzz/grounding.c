/* Two halves of the input, text and source: a foreign part is a part of the text; a text is never foreign to itself,
 * and is covered by itself unless it has no words. */
#include "tasks/reply/grounding.h"
#include "core/base/mem.h"
#include "fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    const struct task_source text = {bytes, size / 2}, source = {bytes + size / 2, size - size / 2};
    const uint32_t none = 0;
    const struct store_idf idf = {&none, NULL, 0, 1};
    struct att_arena arena;
    struct att_err err;
    size_t begin = 0, end = 0;
    double cover = -1;
    if (task_grounding_foreign(text.text, text.len, &source, 1, &begin, &end))
        check(begin < end && end <= text.len);
    if (task_grounding_foreign(text.text, text.len, &text, 1, &begin, &end))
        check(end - begin > 32);
    att_arena_init(&arena, 64 << 20);
    check(task_grounding_cover(&arena, &idf, text, &source, 1, &source, 1, &cover, &err) == ATT_OK);
    check(cover >= 0 && cover <= 1);
    check(task_grounding_cover(&arena, &idf, text, &source, 1, &text, 1, &cover, &err) == ATT_OK);
    check(cover == 0 || cover == 1);
    att_arena_finish(&arena);
    return 0;
}
