/*
 * Everything that allocates, once for each allocation that fails: loading,
 * tokenising, chat templates, generating, the tables of items, knowledge bases,
 * the configuration, and one request of every task. It says ATT_ENOMEM and
 * nothing else, leaves outputs alone, leaks nothing (the sanitizer looks), and
 * succeeds as soon as memory is back.
 *
 * Built twice: as "memory" our own allocations fail (core/base/mem.h); as
 * "libraries" (FAIL_MALLOC, no sanitizer) malloc itself does, so those of SQLite,
 * inih, PCRE2, gnutls and the C library too. Libraries can do without some; then
 * success is right as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/chat/template.h"
#include "core/generate/generate.h"
#include "server/config/config.h"
#include "store/items.h"
#include "tests/fault/fail_malloc.h"
#include "tests/fault/world.h"

#ifdef FAIL_MALLOC
static struct fail_plan plan;
static const bool tolerant = true;

static void arm(uint64_t k, bool burst)
{
    fail_malloc_plan = &plan;
    atomic_store(&plan.failed, 0);
    atomic_store(&plan.until, LONG_MAX);
    long next = atomic_load(&plan.count) + (long)k;
    atomic_store(&plan.until, burst ? LONG_MAX : next + 1);
    atomic_store(&plan.from, next);
}

/* Whether an allocation failed since arm. */
static bool disarm(void)
{
    atomic_store(&plan.from, 0);
    return atomic_load(&plan.failed) > 0;
}
#else
static const bool tolerant = false;
static uint64_t failing;

static void arm(uint64_t k, bool burst)
{
    failing = att_mem_count() + k;
    att_mem_fail_at(k, burst);
}

static bool disarm(void)
{
    att_mem_fail_at(0, false);
    return att_mem_count() >= failing;
}
#endif

enum { MANY = DENSE, ALL = 512 }; /* DENSE: how many the build can afford where one try is dear */

typedef enum att_status (*work_fn)(const void *what, struct att_err *err);

/* Every allocation up to number `dense`, then fewer and fewer. Without failures the work gives `expected` (a refusal
 * has allocations too). Returns how many allocations it has. */
static uint64_t torture(const char *name, uint64_t dense, work_fn work, const void *what, enum att_status expected)
{
    uint64_t total = 0;
    for (int burst = 0; burst < 2; burst++) {
        for (uint64_t k = 1;; k += 1 + k / dense) {
            struct att_err err = {.message = ""};
            arm(k, burst);
            enum att_status status = work(what, &err);
            bool failed = disarm();
            if (!failed && status != expected)
                fail_msg("%s: status %d without failure: %s", name, (int)status, err.message);
            if (failed && status != ATT_ENOMEM && !(tolerant && status == expected))
                fail_msg("%s: status %d when allocation %llu fails: %s", name, (int)status, (unsigned long long)k,
                         err.message);
            if (failed && status == ATT_ENOMEM)
                assert_int_equal(err.status, ATT_ENOMEM);
            if (!failed) {
                total = k - 1;
                break;
            }
        }
    }
    return total;
}

static const char *source(const char *name, char path[4096])
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    snprintf(path, 4096, "%s/%s", root ? root : ".", name);
    return path;
}

static char *read_file(const char *path, size_t *ret_len)
{
    enum { FILE_MAX = 1 << 20 };
    FILE *file = fopen(path, "rb");
    char *bytes = calloc(1, FILE_MAX);
    assert_non_null(file);
    assert_non_null(bytes);
    *ret_len = fread(bytes, 1, FILE_MAX - 1, file);
    fclose(file);
    return bytes;
}

/* ---- models ---- */

static struct att_model *base;

static struct att_model *find_base(void *context, const char *name)
{
    (void)context;
    (void)name;
    return base;
}

static enum att_status load_and_compute(const void *what, struct att_err *err)
{
    const struct att_model_options options = {.find_base = find_base};
    struct att_model *model = NULL;
    struct att_context *context = NULL;
    enum att_status status = att_model_load(what, &options, &model, err);
    if (status != ATT_OK) {
        assert_null(model);
        return status;
    }
    status = att_context_create(model, 16, 2, &context, err);
    assert_true((status == ATT_OK) == (context != NULL));
    att_context_destroy(context);
    att_model_unref(model);
    return status;
}

static void models_load(void **state)
{
    static const char *const names[] = {"tests/data/models/bert-sentiment", "tests/data/models/two-heads",
                                        "tests/data/models/sasrec",         "tests/data/gguf/st-bert-mean",
                                        "tests/golden/data/bert4rec",       "tests/golden/data/qwen3"};
    char path[4096];
    (void)state;
    assert_int_equal(att_model_load(source("tests/data/models/st-bert-mean", path),
                                    &(struct att_model_options){.dtype = ATT_F32}, &base, NULL),
                     ATT_OK);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_true(torture(names[i], MANY, load_and_compute, source(names[i], path), ATT_OK) > 20);
    att_model_unref(base);
}

struct writing {
    struct att_model *model;
    struct att_generation generation;
};

static enum att_status generate(const void *what, struct att_err *err)
{
    static const int32_t ids[] = {5, 6, 7};
    static const uint32_t cu[] = {0, 3};
    const struct att_batch prompts = {.ids = ids, .cu_seqlens = cu, .n_seqs = 1};
    const struct writing *writing = what;
    struct att_generated results[2] = {{.ids = NULL}, {.ids = NULL}};
    enum att_status status = att_generate(writing->model, &writing->generation, &prompts, NULL, results, err);
    for (size_t i = 0; i < 2; i++) {
        assert_true(status == ATT_OK || results[i].ids == NULL);
        att_mem_free(results[i].ids);
    }
    return status;
}

static void texts_are_written(void **state)
{
    static const char *const names[] = {"tests/golden/data/qwen3", "tests/golden/data/t5-v1_1"};
    char path[4096];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct writing writing = {.model = NULL};
        const struct att_model_options options = {.dtype = ATT_F32};
        assert_int_equal(att_model_load(source(names[i], path), &options, &writing.model, NULL), ATT_OK);
        assert_int_equal(att_generation_defaults(writing.model, &writing.generation, NULL), ATT_OK);
        writing.generation.max_new_tokens = 4;
        writing.generation.num_beams = writing.generation.num_return_sequences = 2;
        assert_true(torture("beams", ALL, generate, &writing, ATT_OK) > 3);
        writing.generation.num_beams = 1;
        writing.generation.do_sample = true;
        assert_true(torture("samples", ALL, generate, &writing, ATT_OK) > 3);
        att_model_unref(writing.model);
    }
}

/* ---- texts ---- */

struct text {
    char *bytes;
    size_t len;
};

static enum att_status use_tokenizer(const struct att_tokenizer *tokenizer, struct att_err *err)
{
    static const char text[] = "Where's caf\xc3\xa9 \xe4\xb8\xad 42 [SEP] <s>?";
    struct att_tokens tokens;
    int32_t ids[80];
    char *decoded = NULL;
    att_tokens_init(&tokens);
    enum att_status status = att_tokenizer_encode(tokenizer, text, strlen(text), 0, 0, &tokens, err);
    size_t n = status == ATT_OK && tokens.count < 80 ? tokens.count : 0;
    for (size_t i = 0; i < n; i++)
        ids[i] = tokens.items[i].id;
    if (status == ATT_OK)
        status = att_tokenizer_decode(tokenizer, ids, n, false, &decoded, NULL, err);
    assert_true((status == ATT_OK) == (decoded != NULL));
    att_mem_free(decoded);
    att_tokens_finish(&tokens);
    return status;
}

static enum att_status load_text(const void *what, struct att_err *err)
{
    const struct text *json = what;
    struct att_tokenizer *tokenizer = NULL;
    enum att_status status = att_tokenizer_load_text(json->bytes, json->len, 0, 0, &tokenizer, err);
    assert_true((status == ATT_OK) == (tokenizer != NULL));
    if (status == ATT_OK)
        status = use_tokenizer(tokenizer, err);
    att_tokenizer_destroy(tokenizer);
    return status;
}

static enum att_status load_directory(const void *what, struct att_err *err)
{
    struct att_tokenizer *tokenizer = NULL;
    struct att_dir dir;
    enum att_status status = att_dir_open(what, &dir, err);
    if (status != ATT_OK)
        return status;
    status = att_tokenizer_open(&dir, 0, 0, &tokenizer, err);
    assert_true((status == ATT_OK) == (tokenizer != NULL));
    if (status == ATT_OK)
        status = use_tokenizer(tokenizer, err);
    att_tokenizer_destroy(tokenizer);
    att_dir_close(&dir);
    return status;
}

static void tokenizers_load_and_encode(void **state)
{
    static const char *const files[] = {"fuzz/corpus/tokenizer/unigram.json", "fuzz/corpus/tokenizer/fallback.json",
                                        "fuzz/corpus/tokenizer/byte_level.json", "fuzz/corpus/tokenizer/template.json",
                                        "tests/golden/tokenizers/wordpiece-small/tokenizer.json"};
    static const char *const folders[] = {"tests/data/models/bert-sentiment", "tests/data/gguf/pieces",
                                          "tests/data/gguf/st-bert-mean"};
    char path[4096];
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct text json = {.bytes = NULL};
        json.bytes = read_file(source(files[i], path), &json.len);
        assert_true(torture(files[i], MANY, load_text, &json, ATT_OK) > 20);
        free(json.bytes);
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        assert_true(torture(folders[i], MANY, load_directory, source(folders[i], path), ATT_OK) > 20);
}

static enum att_status render_chat(const void *what, struct att_err *err)
{
    static const char messages[] = "[{\"role\":\"user\",\"content\":\"caf\xc3\xa9 <x> 1\"},"
                                   "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"a\\nb\"}]}]";
    const struct text *source_text = what;
    struct att_chat_template *template = NULL;
    struct att_json *root = NULL;
    char *text = NULL;
    size_t len = 0;
    enum att_status status = att_chat_template_parse(source_text->bytes, source_text->len, &template, err);
    assert_true((status == ATT_OK) == (template != NULL));
    if (status == ATT_OK)
        status = att_json_parse(messages, strlen(messages), 0, 8, &root, err);
    const struct att_chat_input input = {.messages = root, .bos_token = "<s>", .add_generation_prompt = true};
    if (status == ATT_OK)
        status = att_chat_template_render(template, &input, 1 << 16, &text, &len, err);
    assert_true((status == ATT_OK) == (text != NULL));
    att_mem_free(text);
    att_json_destroy(root);
    att_chat_template_destroy(template);
    return status;
}

static void chats_are_rendered(void **state)
{
    static const char *const files[] = {"fuzz/corpus/chat/macros.jinja", "fuzz/corpus/chat/chatml.jinja"};
    char path[4096];
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct text template = {.bytes = NULL};
        template.bytes = read_file(source(files[i], path), &template.len);
        assert_true(torture(files[i], ALL, render_chat, &template, ATT_OK) > 20);
        free(template.bytes);
    }
}

/* ---- configuration ---- */

static enum att_status read_config(const void *what, struct att_err *err)
{
    static struct srv_config config;
    enum att_status status = srv_config_init(&config, err);
    if (status == ATT_OK)
        status = srv_config_read(&config, what, err);
    if (status == ATT_OK)
        status = srv_config_check(&config, err);
    if (status == ATT_OK)
        assert_int_equal(config.limits_items_max.number, 7); /* from the drop-in */
    srv_config_finish(&config);
    return status;
}

static void configurations_are_read(void **state)
{
    char folder[] = "/tmp/attend-fault-XXXXXX", path[60], drop_ins[64], drop_in[80], from[4096];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.conf", folder);
    snprintf(drop_ins, sizeof drop_ins, "%s.d", path);
    snprintf(drop_in, sizeof drop_in, "%s/1.conf", drop_ins);
    size_t len;
    char *text = read_file(source("fuzz/corpus/conf/full.conf", from), &len);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fwrite(text, 1, len, file);
    fclose(file);
    free(text);
    assert_int_equal(mkdir(drop_ins, 0700), 0);
    file = fopen(drop_in, "w");
    assert_non_null(file);
    fputs("[limits]\nitems_max = 7\n", file);
    fclose(file);
    assert_true(torture("configuration", ALL, read_config, path, ATT_OK) > 5);
    unlink(drop_in);
    rmdir(drop_ins);
    unlink(path);
    rmdir(folder);
}

/* ---- the store ---- */

static enum att_status open_items(const void *what, struct att_err *err)
{
    static char digest[65];
    struct store_items *items = NULL;
    static float vectors[101 * 4];
    enum att_status status = store_items_open(what, 100, &items, err);
    assert_true((status == ATT_OK) == (items != NULL));
    memset(digest, 'a', 64);
    for (size_t i = 1; i <= 40; i++)
        vectors[i * 4] = 1;
    if (status == ATT_OK)
        status = store_items_vectors_write(items, vectors, digest, 4, err);
    if (status == ATT_OK)
        status = store_items_vectors_load(items, digest, 4, NULL, err);
    store_items_close(items);
    return status;
}

static enum att_status use_kb(const void *what, struct att_err *err)
{
    static const char *const alternates[] = {"track my parcel"};
    static const float vectors[] = {1, 0, 0, 1};
    const struct store_kb_entry entry = {.id = 1,
                                         .lang = "en",
                                         .question = "Where is my order?",
                                         .answer = "There.",
                                         .source = "",
                                         .metadata = "{}",
                                         .alternates = alternates,
                                         .n_alternates = 1};
    struct store_kb *kb = NULL;
    size_t texts[4], count = SIZE_MAX;
    bool removed = false;
    enum att_status status = store_kb_open(what, "digest", 2, &kb, err);
    assert_true((status == ATT_OK) == (kb != NULL));
    if (status == ATT_OK)
        status = store_kb_put(kb, &entry, 1, vectors, true, err);
    if (status == ATT_OK) {
        const struct store_kb_view *view = store_kb_view(kb);
        assert_true(view->n_entries == 1 && view->n_texts == 2);
        assert_string_equal(view->entries[0].alternates[0], alternates[0]);
        status = store_kb_match(kb, view, "order", 5, texts, 4, &count, err);
        assert_true(status == ATT_OK ? count == 1 : count == SIZE_MAX);
        store_kb_view_release(kb, view);
    }
    if (status == ATT_OK)
        status = store_kb_remove(kb, 1, &removed, err);
    assert_true(status != ATT_OK || removed);
    store_kb_close(kb);
    return status;
}

static void the_store_opens_and_writes(void **state)
{
    char path[400];
    (void)state;
    assert_true(torture("items", ALL, open_items, world_folder(), ATT_OK) > 10);
    snprintf(path, sizeof path, "%s/own.db", world_folder());
    assert_true(torture("knowledge base", ALL, use_kb, path, ATT_OK) > 10);
}

/* ---- requests ---- */

struct request {
    const struct task *task;
    const char *body; /* or NULL */
    size_t len;
    size_t n_entries; /* of the knowledge base, once it is done */
};

static enum att_status run_request(const void *what, struct att_err *err)
{
    const struct request *request = what;
    struct att_json *body = NULL;
    const struct store_kb_view *before = store_kb_view(world_kb());
    char *answer = NULL;
    size_t len = 0;
    enum att_status status = request->body ? att_json_parse(request->body, request->len, 0, 32, &body, err) : ATT_OK;
    if (status == ATT_OK)
        status = world_run(request->task, "1", body, &answer, &len, err);
    assert_true((status == ATT_OK) == (answer != NULL));
    const struct store_kb_view *after = store_kb_view(world_kb());
    /* What failed wrote nothing; or all, and then found no memory to say so. */
    assert_true(status == ATT_OK || before == after || after->n_entries == request->n_entries);
    store_kb_view_release(world_kb(), after);
    store_kb_view_release(world_kb(), before);
    att_mem_free(answer);
    att_json_destroy(body);
    return status;
}

static const char fill[] = "{\"entries\":[{\"id\":1,\"question\":\"Where is my order?\",\"answer\":\"There.\","
                           "\"metadata\":{\"topic\":\"orders\"}}]}";

/* Every request of the corpus: one of each task at least. */
static void requests_are_answered(void **state)
{
    char folder[4096], path[4400];
    struct dirent *entry;
    size_t n = 0;
    (void)state;
    DIR *corpus = opendir(source("fuzz/corpus/request", folder));
    assert_non_null(corpus);
    while ((entry = readdir(corpus)) != NULL) {
        struct att_err err = {.message = ""};
        const struct request filling = {&task_kb_put, fill, strlen(fill), 1};
        if (entry->d_name[0] == '.')
            continue;
        assert_int_equal(run_request(&filling, &err), ATT_OK);
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        size_t len, task;
        char *text = read_file(path, &len);
        task = (uint8_t)(text[0] - 'a') % world_tasks();
        struct request request = {world_task(task), world_takes_body(task) ? text + 1 : NULL, len - 1, 0};
        enum att_status expected = run_request(&request, &err);
        const struct store_kb_view *view = store_kb_view(world_kb());
        request.n_entries = view->n_entries;
        store_kb_view_release(world_kb(), view);
        if (request.task == &task_kb_entry_delete)
            expected = ATT_ENOTFOUND; /* the second time */
        torture(entry->d_name, ALL, run_request, &request, expected);
        free(text);
        n++;
    }
    closedir(corpus);
    assert_true(n >= world_tasks());
}

struct feed {
    const struct task *task;
    const char *lines;
    size_t len, chunk_lines;
};

static enum att_status run_feed(const void *what, struct att_err *err)
{
    const struct feed *feed = what;
    char *answer = NULL;
    size_t len = 0;
    enum att_status status = world_feed(feed->task, feed->lines, feed->len, feed->chunk_lines, &answer, &len, err);
    assert_true((status == ATT_OK) == (answer != NULL));
    if (status == ATT_OK)
        assert_non_null(strstr(answer, "{\"summary\":{\"lines\":"));
    att_mem_free(answer);
    return status;
}

/* Lines, good and bad, in chunks: a chunk that lacks memory fails as a whole, and the same lines go in once there is
 * some. */
static void lines_are_answered(void **state)
{
    static const char items[] = "{\"id\":\"line-1\",\"title\":\"Dune\",\"text\":\"a film of sand\","
                                "\"metadata\":{\"year\":2024}}\n{\"id\":\"m1\",\"available\":false}\n\n"
                                "{\"id\":\"m2\",\"year\":3}\n{\"id\":\n{\"id\":\"line-2\",\"title\":\"Emma\"}\n";
    static const char news_lines[] = "{\"id\":\"fault-1\",\"text\":\"Acme shares rose\"}\n{\"text\":3}\n"
                                     "{\"id\":\"fault-2\",\"text\":\"Acme shares fell\"}\n";
    const struct feed feeds[] = {{&task_items_put, items, sizeof items - 1, 2},
                                 {&task_items_put, items, sizeof items - 1, 64},
                                 {&task_ingest, news_lines, sizeof news_lines - 1, 2}};
    (void)state;
    for (size_t i = 0; i < sizeof feeds / sizeof *feeds; i++) {
        struct att_err err = {.message = ""};
        assert_int_equal(run_feed(&feeds[i], &err), ATT_OK);
        assert_true(torture("lines", ALL, run_feed, &feeds[i], ATT_OK) > 10);
    }
}

static int start(void **state)
{
    struct att_err err = {.message = ""};
    (void)state;
    if (world_open(&err) == ATT_OK)
        return 0;
    fprintf(stderr, "%s\n", err.message);
    return -1;
}

static int stop(void **state)
{
    (void)state;
    world_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_load),
        cmocka_unit_test(texts_are_written),
        cmocka_unit_test(tokenizers_load_and_encode),
        cmocka_unit_test(chats_are_rendered),
        cmocka_unit_test(configurations_are_read),
        cmocka_unit_test(the_store_opens_and_writes),
        cmocka_unit_test(requests_are_answered),
        cmocka_unit_test(lines_are_answered),
    };
    return cmocka_run_group_tests_name("fault/memory", tests, start, stop);
}
