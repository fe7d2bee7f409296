/* Results of ingested items, and their summary; see ingest.h. */
#include <string.h>

#include "tasks/news/ingest.h"

static const char *const outcome_words[] = {[STORE_NEWS_NEW] = "new",
                                            [STORE_NEWS_DUPLICATE] = "duplicate",
                                            [STORE_NEWS_UPDATED] = "updated",
                                            [STORE_NEWS_ABSENT] = "error"};

const char *const task_ingest_count_names[] = {
    [STORE_NEWS_NEW] = "new", [STORE_NEWS_DUPLICATE] = "duplicate", [STORE_NEWS_UPDATED] = "updated", NULL};

static void put_place(const struct ingest *ingest, size_t index, const char *id, const char *status,
                      struct att_jsonw *answer)
{
    att_jsonw_object_begin(answer);
    att_jsonw_put_size(answer, ingest->lines ? "line" : "index", ingest->items[index].place);
    att_jsonw_put_text(answer, "id", id);
    att_jsonw_put_text(answer, "status", status);
}

static void put_result(const struct ingest *ingest, size_t index, const struct store_news_result *result,
                       struct att_jsonw *answer)
{
    static const struct att_err absent = {.message = "it was removed while it was compared; send it again"};
    const struct ingest_item *item = &ingest->items[index];
    const struct store_news_item *stored = &ingest->stored[index];
    if (item->err) {
        put_place(ingest, index, stored->id, "error", answer);
        task_feed_put_line_error(item->err, answer);
    } else {
        put_place(ingest, index, stored->id, outcome_words[result->outcome], answer);
        if (result->outcome == STORE_NEWS_ABSENT) {
            task_feed_put_error("conflict", &absent, answer);
        } else {
            att_jsonw_put_int(answer, "seq", result->seq);
            att_jsonw_put_int(answer, "cluster", result->cluster);
            att_jsonw_put_double(answer, "novelty", result->novelty, 3);
        }
        if (!item->known && *stored->sentiment)
            att_jsonw_put_text(answer, "sentiment", stored->sentiment);
    }
    att_jsonw_object_end(answer);
}

void task_ingest_put_results(const struct task_call *call, const struct ingest *ingest, struct task_feed *feed,
                             const struct store_news_result *results, struct att_jsonw *answer)
{
    for (size_t i = 0, k = 0; i < ingest->n_items; i++) {
        const struct store_news_result *result = ingest->items[i].err ? NULL : &results[k++];
        bool failed = !result || result->outcome == STORE_NEWS_ABSENT;
        if (!failed)
            feed->counts[result->outcome]++;
        if (!task_feed_count(call, feed, ingest->results, failed, answer->len))
            continue;
        put_result(ingest, i, result, answer);
        if (ingest->lines)
            task_feed_end_line(answer);
    }
}
