/* See world.h. */
#include "tests/fault/world.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/catalogue.h"
#include "store/entities.h"
#include "store/items.h"
#include "store/news.h"
#include "store/users.h"

enum { PLAIN, ENCODER, HEADS, MOVIES, CHAT, MODELS, BATCH_TOKENS = 256, CHAT_TOKENS = 512, ITEMS = 40 };

static const char *const folders[] = {"bert-sentiment", "st-bert-mean", "two-heads", "sasrec", "tiny-chat"};
static struct task_model models[] = {
    {.name = "plain"}, {.name = "encoder"}, {.name = "heads"}, {.name = "movies"}, {.name = "chat"}};
static struct att_context *contexts[MODELS];
static struct task_kb kb = {.name = "shop", .encoder = &models[ENCODER]};
static struct task_news news = {.model = &models[HEADS]};
static char folder[40];
static const struct store_users_limits user_limits = {.events_max = 20};

static const struct {
    const struct task *task;
    bool takes_body;
} tasks[] = {{&task_classify, true},         {&task_embeddings, true},      {&task_rerank, true},
             {&task_tokenize, true},         {&task_reply, true},           {&task_recommend, true},
             {&task_kb_put, true},           {&task_kb_entries_put, true},  {&task_kb_entry_put, true},
             {&task_kb_get, false},          {&task_kb_entries_get, false}, {&task_kb_entry_get, false},
             {&task_kb_entry_delete, false}, {&task_kb_delete, false},      {&task_feedback, true},
             {&task_user_get, false},        {&task_user_delete, false},    {&task_rerank_either, true},
             {&task_tei_embed, true},        {&task_tei_embed_all, true},   {&task_tei_similarity, true},
             {&task_tei_predict, true},      {&task_tei_tokenize, true},    {&task_tei_decode, true},
             {&task_vllm_classify, true},    {&task_vllm_score, true},      {&task_kserve_infer, true},
             {&task_evaluate, true},         {&task_generate, true},        {&task_completions, true},
             {&task_chat_completions, true}, {&task_ingest, true},          {&task_news_list, false},
             {&task_items_put, true},        {&task_item_put, true},        {&task_items_get, false},
             {&task_item_get, false},        {&task_item_delete, false}};

const struct task *world_task(size_t i)
{
    return tasks[i].task;
}

size_t world_tasks(void)
{
    return sizeof tasks / sizeof *tasks;
}

bool world_takes_body(size_t i)
{
    return tasks[i].takes_body;
}

struct store_kb *world_kb(void)
{
    return kb.kb;
}

const char *world_folder(void)
{
    return folder;
}

static const struct task_model *find_model(void *context, const char *name, const char *task)
{
    (void)context;
    /* The path of a call names the knowledge base, or the model: KServe, items. */
    if (!name || strcmp(name, kb.name) == 0)
        return &models[strcmp(task, "classify") == 0    ? HEADS
                       : strcmp(task, "recommend") == 0 ? MOVIES
                       : strcmp(task, "generate") == 0  ? CHAT
                                                        : ENCODER];
    for (size_t i = 0; i < MODELS; i++)
        if (strcmp(models[i].name, name) == 0)
            return &models[i];
    return NULL;
}

static const struct task_kb *find_kb(void *context, const char *name)
{
    (void)context;
    return !name || strcmp(name, kb.name) == 0 ? &kb : NULL;
}

static struct task_room room = {.texts_max = 2, .bytes_max = 1 << 20};

struct task_env world_env = {
    .find_model = find_model,
    .find_kb = find_kb,
    .limits = {.items_max = 16,
               .text_bytes_max = 8192,
               .tokens_max = 2000,
               .history_max = 50,
               .answer_bytes_max = 1 << 20,
               .deadline_ms_max = 10000,
               .deadline_ms_default = 1000,
               .generation_tokens_max = 100},
    .room = &room,
};

static struct att_model *find_base(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "encoder") == 0 ? models[ENCODER].model : NULL;
}

static enum att_status open_models(struct att_err *err)
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    const struct att_model_options options = {.find_base = find_base};
    enum att_status status = att_init(NULL, err);
    for (size_t i = 0; status == ATT_OK && i < MODELS; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/tests/data/models/%s", root ? root : ".", folders[i]);
        status = att_model_load(path, &options, &models[i].model, err);
        if (status == ATT_OK)
            status = task_context_create(models[i].model, i == CHAT ? CHAT_TOKENS : BATCH_TOKENS, 1, &world_env.limits,
                                         &contexts[i], err);
        if (status == ATT_OK && i == CHAT)
            status = task_generator_open(models[i].model, &models[i].generator, err);
    }
    return status;
}

/* Items "m1" .. of the recommender, with vectors that tell them apart. */
static enum att_status open_items(struct att_err *err)
{
    const struct att_model_info *info = att_model_info(models[ENCODER].model);
    size_t n = att_model_info(models[MOVIES].model)->vocab_size - 1, dimensions = info->hidden_size;
    char path[128];
    snprintf(path, sizeof path, "%s/items.jsonl", folder);
    FILE *file = fopen(path, "w");
    for (int i = 1; file && i <= ITEMS; i++)
        fprintf(file, "{\"id\":\"m%d\",\"index\":%d,\"title\":\"Film %d\",\"text\":\"film %d\",\"popularity\":%d}\n", i,
                i, i, i, i % 3);
    if (!file || fclose(file) != 0)
        return att_err_set(err, ATT_EIO, "%s: cannot be written", path);
    models[MOVIES].encoder = &models[ENCODER];
    enum att_status status = store_items_open(folder, n, &models[MOVIES].items, err);
    float *vectors = calloc((n + 1) * dimensions, sizeof *vectors);
    for (size_t i = 1; vectors && i <= ITEMS; i++)
        vectors[i * dimensions + i % dimensions] = 1;
    if (status == ATT_OK && vectors)
        status = store_items_vectors_write(models[MOVIES].items, vectors, info->digest, dimensions, err);
    if (status == ATT_OK)
        status = store_items_vectors_load(models[MOVIES].items, info->digest, dimensions, NULL, err);
    free(vectors);
    return status;
}

/* A store, and a dictionary of two. */
static enum att_status open_news(struct att_err *err)
{
    static const char dictionary[] = "{\"id\":\"acme\",\"name\":\"Acme\"}\n{\"id\":\"moutai\",\"name\":\"茅台\"}";
    const struct store_news_options rules = {.window_ms = 86400000, .similar_min = 0.6};
    char path[128];
    snprintf(path, sizeof path, "%s/news.db", folder);
    enum att_status status = store_entities_parse(dictionary, sizeof dictionary - 1, "dictionary", &news.entities, err);
    if (status == ATT_OK)
        status = store_news_open(path, &rules, &news.store, err);
    world_env.news = &news;
    return status;
}

enum att_status world_open(struct att_err *err)
{
    char path[128];
    /* Memory where there is some: thousands of transactions would wait for a disk. */
    snprintf(folder, sizeof folder, "%s/attend-world-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder))
        return att_err_set(err, ATT_EIO, "%s: cannot be made", folder);
    enum att_status status = open_models(err);
    if (status == ATT_OK)
        status = open_items(err);
    if (status != ATT_OK)
        return status;
    const struct att_model_info *info = att_model_info(models[ENCODER].model);
    snprintf(path, sizeof path, "%s/kb.db", folder);
    status = store_kb_open(path, info->digest, info->hidden_size, &kb.kb, err);
    snprintf(path, sizeof path, "%s/items.db", folder);
    if (status == ATT_OK)
        status = store_catalogue_open(path, info->digest, info->hidden_size, &models[MOVIES].catalogue, err);
    snprintf(path, sizeof path, "%s/users.db", folder);
    if (status == ATT_OK)
        status = store_users_open(path, &user_limits, &world_env.users, err);
    return status == ATT_OK ? open_news(err) : status;
}

void world_close(void)
{
    char path[400];
    store_kb_close(kb.kb);
    store_users_close(world_env.users);
    store_catalogue_close(models[MOVIES].catalogue);
    store_news_close(news.store);
    store_entities_unref(news.entities);
    store_items_close(models[MOVIES].items);
    for (size_t i = MODELS; i-- > 0;) {
        att_context_destroy(contexts[i]);
        task_generator_close(models[i].generator);
        att_model_unref(models[i].model);
    }
    DIR *files = opendir(folder);
    for (struct dirent *entry; files && (entry = readdir(files)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    if (files)
        closedir(files);
    rmdir(folder);
}

static enum att_status run_jobs(const struct task_call *call, struct att_err *err)
{
    for (size_t i = 0; i < call->n_jobs; i++) {
        struct task_job *job = &call->jobs[i];
        size_t m = 0;
        while (models[m].model != job->model)
            m++;
        task_jobs_run(contexts[m], &job, 1);
        if (job->status != ATT_OK)
            return att_err_set(err, job->status, "job %zu failed", i);
    }
    return ATT_OK;
}

static enum att_status run_rounds(struct task_call *call, const struct att_json *body, struct att_jsonw *answer,
                                  struct att_err *err)
{
    enum att_status status = call->task->parse(call, body, err);
    while (status == ATT_OK && call->n_jobs > 0) {
        status = run_jobs(call, err);
        if (!call->task->advance)
            break;
        if (status == ATT_OK)
            status = call->task->advance(call, err);
    }
    if (status == ATT_OK)
        status = call->task->render(call, answer, err);
    if (call->task->finish)
        call->task->finish(call);
    return status;
}

enum att_status world_run(const struct task *task, const char *id, const struct att_json *body, char **ret_answer,
                          size_t *ret_len, struct att_err *err)
{
    struct att_arena arena;
    struct att_jsonw answer;
    att_arena_init(&arena, 16 << 20);
    att_jsonw_init(&answer, world_env.limits.answer_bytes_max);
    struct task_call call = {
        .task = task, .env = &world_env, .arena = &arena, .http_status = 200, .path_params = {kb.name, id}};
    enum att_status status = run_rounds(&call, body, &answer, err);
    if (status == ATT_OK)
        status = att_jsonw_take(&answer, ret_answer, ret_len, err);
    att_jsonw_finish(&answer);
    att_arena_finish(&arena);
    return status;
}

/* Bytes of the first `n` lines. */
static size_t lines_len(const char *text, size_t len, size_t n)
{
    size_t at = 0;
    for (; n > 0 && at < len; n--) {
        const char *newline = memchr(text + at, '\n', len - at);
        at = newline ? (size_t)(newline - text) + 1 : len;
    }
    return at;
}

enum att_status world_feed(const struct task *task, const char *lines, size_t len, size_t chunk_lines,
                           char **ret_answer, size_t *ret_len, struct att_err *err)
{
    struct task_feed feed = {.line_bytes_max = 4096};
    struct att_jsonw answer;
    enum att_status status = ATT_OK;
    att_jsonw_init(&answer, world_env.limits.answer_bytes_max);
    do {
        struct att_arena arena;
        att_arena_init(&arena, 16 << 20);
        struct task_call call = {.task = task,
                                 .env = &world_env,
                                 .arena = &arena,
                                 .feed = &feed,
                                 .http_status = 200,
                                 .path_params = {kb.name, "1"}};
        const size_t before = answer.len;
        feed.text = lines;
        feed.len = lines_len(lines, len, chunk_lines);
        lines += feed.len;
        len -= feed.len;
        feed.is_last = len == 0;
        status = run_rounds(&call, NULL, &answer, err);
        feed.answer_bytes += answer.len - before;
        att_arena_finish(&arena);
    } while (status == ATT_OK && len > 0);
    if (status == ATT_OK)
        status = att_jsonw_take(&answer, ret_answer, ret_len, err);
    att_jsonw_finish(&answer);
    return status;
}

void world_start(void)
{
    struct att_err err = {.message = ""};
    if (world_open(&err) != ATT_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    atexit(world_close);
}
