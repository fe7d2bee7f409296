/*
 * The texts of a chunk that models read: items, and sentences that name an entity.
 *
 * Equal tokens give equal bits, so each sequence runs once, whoever asks for it: a
 * sentence that is all its item says (what follows it being a link that the model
 * does not see), a report that many pass on word for word. Texts are found by a
 * hash of their tokens, in a table with linear probing that is at most half full.
 */
#include <string.h>

#include "tasks/news/ingest.h"

enum { CAPACITY_FIRST = 64, ITEM_TOKENS_MAX = 4096 };

static uint64_t hash_of(const struct task_windows *windows)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ (uintptr_t)windows->model ^ windows->count; /* FNV-1a */
    for (size_t i = 0; i < windows->text.count; i++)
        hash = (hash ^ (uint32_t)windows->text.items[i].id) * UINT64_C(1099511628211);
    return hash ^ hash >> 32;
}

/* Whether both give the same jobs. What stands before a text and what is left out of it follow from the model and the
 * number of windows. */
static bool are_same(const struct task_windows *a, const struct task_windows *b)
{
    if (a->model != b->model || a->count != b->count || a->text.count != b->text.count)
        return false;
    for (size_t i = 0; i < a->text.count; i++)
        if (a->text.items[i].id != b->text.items[i].id)
            return false;
    return true;
}

/* The slot of this text, or the empty one where it belongs. */
static size_t *slot_of(const struct ingest_texts *texts, const struct task_windows *windows)
{
    size_t place = (size_t)hash_of(windows) & (2 * texts->capacity - 1);
    while (texts->slots[place] != 0 && !are_same(&texts->windows[texts->slots[place] - 1], windows))
        place = (place + 1) & (2 * texts->capacity - 1);
    return &texts->slots[place];
}

static enum att_status grow(struct task_call *call, struct ingest_texts *texts, struct att_err *err)
{
    struct ingest_texts grown = {
        .n = texts->n, .n_run = texts->n_run, .capacity = texts->capacity ? 2 * texts->capacity : CAPACITY_FIRST};
    if (!(grown.windows = task_alloc(call, grown.capacity, sizeof *grown.windows, err)) ||
        !(grown.list = task_alloc(call, grown.capacity, sizeof *grown.list, err)) ||
        !(grown.slots = task_alloc(call, 2 * grown.capacity, sizeof *grown.slots, err)))
        return err->status;
    if (texts->n > 0) {
        memcpy(grown.windows, texts->windows, texts->n * sizeof *grown.windows);
        memcpy(grown.list, texts->list, texts->n * sizeof *grown.list);
    }
    for (size_t i = 0; i < texts->n; i++)
        *slot_of(&grown, &grown.windows[i]) = i + 1;
    *texts = grown;
    return ATT_OK;
}

enum att_status task_ingest_text_add(struct task_call *call, struct ingest_texts *texts, const struct task_model *model,
                                     enum ingest_text_kind kind, const char *text, size_t len, size_t *ret_index,
                                     struct att_err *err)
{
    const struct task_windows_options options = {.tokens_max = kind == INGEST_ITEM ? ITEM_TOKENS_MAX : 0,
                                                 .truncate = kind == INGEST_SENTENCE};
    struct task_windows windows;
    enum att_status status = texts->n < texts->capacity ? ATT_OK : grow(call, texts, err);
    if (status == ATT_OK)
        status = task_windows_plan(call, model, &options, text, len, NULL, 0, "text", &windows, err);
    if (status != ATT_OK)
        return status;
    if (windows.text.count + windows.prompt.count +
            att_tokenizer_special_count(att_model_tokenizer(model->model), false) ==
        0)
        return att_err_param(err, ATT_EINVAL, "text", "text: is empty for model \"%s\", which has no token for it",
                             model->name);
    size_t *slot = slot_of(texts, &windows);
    if (*slot == 0) {
        texts->windows[texts->n++] = windows;
        *slot = texts->n;
    }
    *ret_index = *slot - 1;
    if (kind == INGEST_ITEM)
        texts->list[*ret_index].is_item = true;
    return ATT_OK;
}

enum att_status task_ingest_texts_jobs(struct task_call *call, struct ingest_texts *texts, struct att_err *err)
{
    const struct task_windows_options options = {.logits = true};
    enum att_status status = ATT_OK;
    call->n_jobs = 0;
    if (texts->n > texts->n_run)
        status = task_windows_jobs(call, &options, texts->windows + texts->n_run, texts->n - texts->n_run, err);
    /* Vectors are wanted of items alone, and of their first windows. */
    for (size_t i = texts->n_run; status == ATT_OK && i < texts->n; i++) {
        const struct task_windows *windows = &texts->windows[i];
        size_t size = att_model_info(windows->model->model)->hidden_size;
        if (texts->list[i].is_item &&
            !(call->jobs[windows->first_job].pooled = task_alloc(call, size, sizeof(float), err)))
            status = err->status;
    }
    return status;
}

enum att_status task_ingest_texts_take(struct task_call *call, struct ingest_texts *texts, struct att_err *err)
{
    for (; texts->n_run < texts->n; texts->n_run++) {
        const struct task_windows *windows = &texts->windows[texts->n_run];
        struct ingest_text *text = &texts->list[texts->n_run];
        size_t n_logits = att_model_info(windows->model->model)->n_logits;
        float *logits = task_alloc(call, n_logits + 1, sizeof *logits, err);
        if (!logits)
            return err->status;
        task_windows_logits(call, windows, TASK_AGGREGATE_MEAN, n_logits, logits);
        text->logits = logits;
        text->vector = call->jobs[windows->first_job].pooled;
    }
    return ATT_OK;
}
