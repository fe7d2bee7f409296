/* Where the templates and special tokens of a model come from, which of them is taken, and what is said of files that
 * are wrong. */
#include "core/chat/chat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/mem.h"

static char folder[] = "/tmp/attend-chat-XXXXXX";

/* In the order in which they may be removed. */
static const char *const names[] = {"tokenizer_config.json", "chat_template.jinja",
                                    "additional_chat_templates/tool_use.jinja", "additional_chat_templates/rag.jinja"};

static void path_of(const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", folder, name);
}

static int make_folder(void **state)
{
    char path[128];
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    path_of("additional_chat_templates", path);
    return mkdir(path, 0700);
}

static int remove_folder(void **state)
{
    char path[128];
    (void)state;
    path_of("additional_chat_templates", path);
    return rmdir(path) || rmdir(folder);
}

/* The templates of a directory with these files, NULL: without. The fail_at-th allocation of it fails. */
static enum att_status open_with(const char *const texts[4], uint64_t fail_at, struct att_chat **ret,
                                 struct att_err *err)
{
    struct att_dir dir;
    char path[128];
    for (size_t i = 0; i < 4; i++) {
        path_of(names[i], path);
        FILE *out = texts[i] ? fopen(path, "w") : NULL;
        if (texts[i] && (!out || fputs(texts[i], out) < 0 || fclose(out) != 0))
            fail_msg("%s cannot be written", path);
    }
    assert_int_equal(att_dir_open(folder, &dir, NULL), ATT_OK);
    att_mem_fail_at(fail_at, false);
    enum att_status status = att_chat_open(&dir, ret, err);
    att_mem_fail_at(0, false);
    att_dir_close(&dir);
    for (size_t i = 0; i < 4; i++) {
        path_of(names[i], path);
        unlink(path);
    }
    return status;
}

/* What the template of this name writes, "-" where there is none. */
static void writes(const struct att_chat *chat, const char *name, bool with_tools, const char *expected)
{
    const struct att_chat_template *template = att_chat_template(chat, name, with_tools);
    struct att_chat_input input = {.unk_token = "<given>"};
    char *text = NULL;
    size_t len = 0;
    if (!template) {
        assert_string_equal("-", expected);
        return;
    }
    att_chat_tokens(chat, &input);
    assert_int_equal(att_chat_template_render(template, &input, 256, &text, &len, NULL), ATT_OK);
    assert_string_equal(text, expected);
    att_mem_free(text);
}

static void templates_are_found(void **state)
{
    static const struct {
        const char *texts[4];
        const char *usual, *tools, *named; /* named: rag */
    } rows[] = {
        {{NULL}, "-", "-", "-"},
        {{"{}"}, "-", "-", "-"},
        {{"{\"chat_template\":null}"}, "-", "-", "-"},
        {{"{\"chat_template\":\"a\"}"}, "a", "a", "-"},
        {{"{\"chat_template\":[]}"}, "-", "-", "-"},
        {{"{\"chat_template\":[{\"name\":\"default\",\"template\":\"a\"},{\"name\":\"tool_use\",\"template\":\"b\"},"
          "{\"name\":\"rag\",\"template\":\"c\"}]}"},
         "a",
         "b",
         "c"},
        {{"{\"chat_template\":[{\"name\":\"rag\",\"template\":\"c\"}]}"}, "-", "-", "c"},
        {{"{\"chat_template\":\"a\"}", "file"}, "file", "file", "-"},
        {{NULL, "file", "tools", "rag"}, "file", "tools", "rag"},
        {{NULL, NULL, "tools"}, "-", "tools", "-"},
        {{"{\"bos_token\":\"<s>\",\"eos_token\":{\"content\":\"</s>\"},\"pad_token\":null,\"unk_token\":\"<unk>\"}",
          "{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ unk_token }}"},
         "<s></s><given>",
         "<s></s><given>",
         "-"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct att_chat *chat = NULL;
        struct att_err err = {.message = ""};
        if (open_with(rows[i].texts, 0, &chat, &err) != ATT_OK)
            fail_msg("row %zu: %s", i, err.message);
        writes(chat, NULL, false, rows[i].usual);
        writes(chat, "default", true, rows[i].usual);
        writes(chat, NULL, true, rows[i].tools);
        writes(chat, "rag", false, rows[i].named);
        att_chat_destroy(chat);
    }
    att_chat_destroy(NULL);
}

static void what_is_wrong_is_named(void **state)
{
    static const char expected[] = "tokenizer_config.json: chat_template: expected a string, or a list of objects with "
                                   "name and template";
    static const struct {
        const char *texts[4];
        enum att_status status;
        const char *says;
    } rows[] = {
        {{"{"}, ATT_EFORMAT, "tokenizer_config.json: not JSON"},
        {{"{\"chat_template\":5}"}, ATT_EFORMAT, expected},
        {{"{\"chat_template\":[5]}"}, ATT_EFORMAT, expected},
        {{"{\"chat_template\":[{\"name\":\"a\"}]}"}, ATT_EFORMAT, expected},
        {{"{\"chat_template\":[{\"template\":\"a\"}]}"}, ATT_EFORMAT, expected},
        {{"{\"chat_template\":\"{{\"}"},
         ATT_EFORMAT,
         "tokenizer_config.json: chat_template: line 1: a tag does not end"},
        {{NULL, "\n{{"}, ATT_EFORMAT, "chat_template.jinja: chat_template: line 2: a tag does not end"},
        {{NULL, NULL, "{{"},
         ATT_EFORMAT,
         "additional_chat_templates/tool_use.jinja: chat_template: line 1: a tag does"},
        {{NULL, NULL, NULL, "{% x %}"},
         ATT_EUNSUPPORTED,
         "additional_chat_templates/rag.jinja: chat_template: line 1: "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct att_chat *chat = NULL;
        struct att_err err = {.message = ""};
        enum att_status status = open_with(rows[i].texts, 0, &chat, &err);
        if (status != rows[i].status || strncmp(err.message, rows[i].says, strlen(rows[i].says)) != 0)
            fail_msg("row %zu: status %d, '%s', expected '%s'", i, (int)status, err.message, rows[i].says);
        assert_null(chat);
    }
}

/* As many templates as may be, and one more. */
static void templates_are_counted(void **state)
{
    char text[1024];
    const char *const texts[4] = {text};
    (void)state;
    for (int n = ATT_CHAT_TEMPLATES_MAX; n <= ATT_CHAT_TEMPLATES_MAX + 1; n++) {
        struct att_chat *chat = NULL;
        struct att_err err = {.message = ""};
        size_t len = (size_t)snprintf(text, sizeof text, "{\"chat_template\":[");
        for (int i = 0; i < n; i++)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s{\"name\":\"t%d\",\"template\":\"x\"}",
                                    i ? "," : "", i);
        snprintf(text + len, sizeof text - len, "]}");
        enum att_status status = open_with(texts, 0, &chat, &err);
        assert_int_equal(status, n == ATT_CHAT_TEMPLATES_MAX ? ATT_OK : ATT_ELIMIT);
        assert_string_equal(err.message, status == ATT_OK ? "" : "chat_template: has more than 16 templates");
        att_chat_destroy(chat);
    }
}

static void no_memory(void **state)
{
    static const char *const texts[4] = {
        "{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"chat_template\":[{\"name\":\"default\",\"template\":\"a\"}]}",
        NULL, "tools"};
    bool succeeded = false;
    (void)state;
    for (uint64_t k = 1; !succeeded && k < 1000; k++) {
        struct att_chat *chat = NULL;
        struct att_err err = {.message = ""};
        enum att_status status = open_with(texts, k, &chat, &err);
        succeeded = status == ATT_OK;
        if (!succeeded && (status != ATT_ENOMEM || chat))
            fail_msg("allocation %llu: status %d, '%s'", (unsigned long long)k, (int)status, err.message);
        att_chat_destroy(chat);
    }
    assert_true(succeeded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_are_found),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(templates_are_counted),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests_name("chat/chat", tests, make_folder, remove_folder);
}
