/*
 * A news item as it is sent:
 *
 *   {"id":"n1","source":"reuters","url":"https://…","title":"…","text":"…","lang":"en",
 *    "time":"2026-11-28T09:30:00+08:00" | 1764293400,
 *    "engagement":120 | {"views":…,"likes":…,"comments":…,"shares":…}}
 *
 * Only a title or a text is required.
 */
#ifndef TASK_NEWS_ITEM_H
#define TASK_NEWS_ITEM_H

#include "store/news.h"
#include "tasks/task.h"

/* Checks every field; strings lie in `object` or the call's arena. What is not sent gets its default: an id from
 * source, title and text; a language where the script tells it; the time of the call. */
enum att_status task_news_item_read(struct task_call *call, const struct att_json *object, const char *path,
                                    struct store_news_item *ret_item, struct att_err *err) ATT_MUST_USE;
/* Title and text as one, as a model reads them: the title first. NUL-terminated, in the call's arena. */
enum att_status task_news_item_join(struct task_call *call, const struct store_news_item *item, const char **ret_text,
                                    size_t *ret_len, struct att_err *err) ATT_MUST_USE;
/* The model that classifies items of this language, or NULL. */
const struct task_model *task_news_model(const struct task_news *news, const char *lang);
/* The item as an answer shows it, an object. */
void task_news_item_render(const struct store_news_item *item, bool with_text, struct att_jsonw *answer);

#endif
