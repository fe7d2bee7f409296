/* See fixture.h. */
#include "tests/unit/tasks/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct task_model models[3] = {{.name = "plain"}, {.name = "encoder"}, {.name = "heads"}};
static struct task_contexts *contexts;

static const struct task_model *find_model(void *context, const char *name, const char *task)
{
    (void)context;
    if (!name)
        return &models[strcmp(task, "classify") == 0 ? 0 : 1];
    for (size_t i = 0; i < 3; i++)
        if (strcmp(models[i].name, name) == 0)
            return &models[i];
    return NULL;
}

static const struct task_kb *find_kb(void *context, const char *name)
{
    (void)context;
    (void)name;
    return NULL;
}

struct task_env fixture_env = {
    .find_model = find_model,
    .find_kb = find_kb,
    .limits = {.items_max = 16,
               .text_bytes_max = 8192,
               .tokens_max = 2000,
               .history_max = 50,
               .answer_bytes_max = 1 << 20,
               .deadline_ms_max = 10000,
               .deadline_ms_default = 1000},
};

struct att_model *fixture_model(const char *name)
{
    return find_model(NULL, name, "")->model;
}

static struct att_model *find_base(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "encoder") == 0 ? models[1].model : NULL;
}

int fixture_start(void **state)
{
    static const char *const folders[] = {"bert-sentiment", "st-bert-mean", "two-heads"};
    const char *root = getenv("ATT_SOURCE_ROOT");
    struct att_err err = {.status = ATT_OK};
    const struct att_model_options options = {.find_base = find_base};
    (void)state;
    enum att_status status = att_init(NULL, &err);
    for (size_t i = 0; status == ATT_OK && i < 3; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/tests/data/models/%s", root ? root : ".", folders[i]);
        status = att_model_load(path, &options, &models[i].model, &err);
    }
    if (status == ATT_OK)
        status = task_contexts_create(&contexts, &err);
    if (status != ATT_OK)
        fprintf(stderr, "%s\n", err.message);
    return status == ATT_OK ? 0 : -1;
}

int fixture_stop(void **state)
{
    (void)state;
    task_contexts_destroy(contexts);
    for (size_t i = 0; i < 3; i++)
        att_model_unref(models[i].model);
    return 0;
}

static struct att_json *parse_body(const char *body)
{
    struct att_json *root = NULL;
    struct att_err err;
    char *text = strdup(body);
    for (char *c = text; strncmp(body, "{'", 2) == 0 && *c; c++)
        *c = *c == '\'' ? '"' : *c;
    if (att_json_parse(text, strlen(text), 0, 32, &root, &err) != ATT_OK)
        fail_msg("the test's own body: %s", err.message);
    free(text);
    return root;
}

static enum att_status run(const struct task *task, const char *body, struct att_json **ret_answer, struct att_err *err)
{
    struct att_json *root = parse_body(body);
    char *text = NULL;
    size_t len = 0;
    enum att_status status;
    status = task_run(contexts, task, &fixture_env, root, &text, &len, err);
    if (status == ATT_OK) {
        assert_int_equal(strlen(text), len);
        if (att_json_parse(text, len, 0, 32, ret_answer, err) != ATT_OK)
            fail_msg("the answer is no JSON: %s", err->message);
    }
    att_mem_free(text);
    att_json_destroy(root);
    return status;
}

struct att_json *fixture_answer(const struct task *task, const char *body)
{
    struct att_json *answer = NULL;
    struct att_err err = {.status = ATT_OK};
    if (run(task, body, &answer, &err) != ATT_OK)
        fail_msg("%.80s: %s", body, err.message);
    return answer;
}

void fixture_refused(const struct task *task, const char *body, enum att_status status, const char *param,
                     const char *words)
{
    struct att_json *answer = NULL;
    struct att_err err = {.status = ATT_OK};
    enum att_status got = run(task, body, &answer, &err);
    if (got == ATT_OK)
        fail_msg("%.80s: was answered", body);
    if (got != status || err.status != status || strcmp(err.param, param) != 0 || !strstr(err.message, words))
        fail_msg("%.80s: status %d, param '%s', message '%s'", body, (int)got, err.param, err.message);
    if (status == ATT_ELIMIT)
        assert_true(err.given == 0 || err.given > err.limit); /* the size of an answer cut short is not known */
}

const struct att_json *fixture_at(const struct att_json *root, const char *path)
{
    const struct att_json *at = root;
    char part[128];
    for (const char *p = path; *p;) {
        size_t len = strcspn(p, ".");
        snprintf(part, sizeof part, "%.*s", (int)len, p);
        at = att_json_is_array(at) ? att_json_at(at, (size_t)strtoul(part, NULL, 10)) : att_json_get(at, part);
        if (!at)
            fail_msg("%s: %s is absent", path, part);
        p += len + (p[len] == '.');
    }
    return at;
}

const char *fixture_text(const struct att_json *root, const char *path)
{
    const char *text = att_json_string(fixture_at(root, path), NULL);
    if (!text)
        fail_msg("%s is no string", path);
    return text;
}

double fixture_number(const struct att_json *root, const char *path)
{
    const struct att_json *value = fixture_at(root, path);
    if (!att_json_is_number(value))
        fail_msg("%s is no number", path);
    return att_json_number(value, 0);
}

char *fixture_body(const char *format, const char *word, size_t count)
{
    size_t word_len = strlen(word), at = (size_t)(strstr(format, "%s") - format), size = strlen(format);
    char *body = malloc(size + count * (word_len + 1) + 1), *p = body + at;
    memcpy(body, format, at);
    for (size_t i = 0; i < count; i++) {
        memcpy(p, word, word_len);
        p[word_len] = ' ';
        p += word_len + 1;
    }
    memcpy(p, format + at + 2, size - at - 1);
    return body;
}
