/*
 * POST /v1/report: a public-opinion report over stored or posted news.
 *
 *   {"from":…,"to":… | "window":"24h", "utc_offset":"+08:00",
 *    "entities":[…],"topics":[…],            only items that name one of them
 *    "lang":"en"|"zh", "format":"json"|"markdown"|"html", "top":10,
 *    "input":[news items]}                   instead of the store; classified in this call
 *
 * What it says and how it is counted is news/report.h's. It reads the disk, so the
 * daemon runs it apart from the threads that serve connections.
 */
#include <stdio.h>
#include <string.h>

#include "tasks/news/report_input.h"
#include "tasks/news/span.h"

enum { TOP_DEFAULT = 10, NAMES_MAX = 64, NAME_BYTES_MAX = 512, ITEMS_MAX = 200000 };
static const int64_t day_ms = 86400000;

enum format { FORMAT_JSON, FORMAT_MARKDOWN, FORMAT_HTML };

struct report_call {
    struct task_span span;
    bool span_given; /* else posted news makes its own */
    struct news_wish wish;
    enum format format;
    struct task_report_input input;
    bool posted;
};

/* ---- the request ---- */

/* A time as text: strings as they are, whole numbers as digits. */
static enum att_status take_time(struct task_call *call, const struct att_json *body, const char *name,
                                 const char **ret_text, struct att_err *err)
{
    const struct att_json *value = att_json_get(body, name);
    int64_t seconds;
    if (!att_json_is_number(value))
        return task_field_string(body, "", name, ret_text, NULL, err);
    char *text = task_alloc(call, 24, 1, err);
    if (!text)
        return err->status;
    if (!att_json_integer(value, 0, INT64_C(1) << 53, &seconds))
        return att_err_param(err, ATT_EINVAL, name, "%s: expected a time or whole seconds since 1970", name);
    snprintf(text, 24, "%lld", (long long)seconds);
    *ret_text = text;
    return ATT_OK;
}

static enum att_status parse_span(struct task_call *call, const struct att_json *body, struct report_call *report,
                                  struct att_err *err)
{
    struct task_span_words words = {0};
    enum att_status status = take_time(call, body, "from", &words.from, err);
    if (status == ATT_OK)
        status = take_time(call, body, "to", &words.to, err);
    if (status == ATT_OK)
        status = task_field_string(body, "", "window", &words.window, NULL, err);
    if (status == ATT_OK)
        status = task_field_string(body, "", "utc_offset", &words.utc_offset, NULL, err);
    if (status == ATT_OK)
        status = task_span_read(&words, call->now_ms, day_ms, &report->span, err);
    report->span_given = words.from || words.to || words.window;
    return status;
}

static enum att_status parse_names(struct task_call *call, const struct att_json *body, const char *name,
                                   const char *const **ret_names, size_t *ret_n, struct att_err *err)
{
    const struct att_json *list = att_json_get(body, name);
    size_t n = 0;
    enum att_status status = task_field_array(list, name, "names", false, NAMES_MAX, &n, err);
    if (status != ATT_OK)
        return status;
    const char **names = task_alloc(call, n + 1, sizeof *names, err);
    if (!names)
        return err->status;
    for (size_t i = 0; i < n; i++) {
        char path[48];
        size_t len = 0;
        const char *text = att_json_string(att_json_at(list, i), &len);
        snprintf(path, sizeof path, "%s[%zu]", name, i);
        if (!text || len == 0 || len > NAME_BYTES_MAX)
            return att_err_param(err, ATT_EINVAL, path, "%s: expected a string of 1 to %d bytes", path, NAME_BYTES_MAX);
        names[i] = text;
    }
    *ret_names = names;
    *ret_n = n;
    return ATT_OK;
}

static enum att_status parse_wish(struct task_call *call, const struct att_json *body, struct report_call *report,
                                  struct att_err *err)
{
    static const char *const languages[] = {"en", "zh", NULL}, *const formats[] = {"json", "markdown", "html", NULL};
    size_t language = 0, format = FORMAT_JSON;
    int64_t top = TOP_DEFAULT;
    enum att_status status = task_field_enum(body, "", "lang", languages, &language, err);
    if (status == ATT_OK)
        status = task_field_enum(body, "", "format", formats, &format, err);
    if (status == ATT_OK)
        status = task_field_int(body, "", "top", 1, NEWS_REPORT_TOP_MAX, &top, err);
    if (status == ATT_OK)
        status = parse_names(call, body, "entities", &report->wish.entities, &report->wish.n_entities, err);
    if (status == ATT_OK)
        status = parse_names(call, body, "topics", &report->wish.topics, &report->wish.n_topics, err);
    report->wish.chinese = language == 1;
    report->wish.top = (size_t)top;
    report->format = (enum format)format;
    return status;
}

static enum att_status parse_input(struct task_call *call, const struct att_json *body, struct report_call *report,
                                   struct att_err *err)
{
    const struct att_json *input = att_json_get(body, "input"), *name = att_json_get(body, "model");
    const struct task_model *model = call->env->news ? call->env->news->model : NULL;
    enum att_status status = ATT_OK;
    report->posted = att_json_type(input) != ATT_JSON_NULL;
    if (!report->posted && att_json_type(name) != ATT_JSON_NULL)
        return att_err_param(err, ATT_EINVAL, "model", "model: stands without input, expected news to classify");
    if (!report->posted && !call->env->news)
        return att_err_set(err, ATT_ENOTFOUND,
                           "no news store is configured ([news] path names its file), and no input is given");
    if (!report->posted)
        return ATT_OK;
    bool by_language = model && att_json_type(name) == ATT_JSON_NULL;
    if (!by_language)
        status = task_field_model(call, body, "classify", &model, err);
    call->model = model;
    return status == ATT_OK ? task_report_input_parse(call, input, by_language ? NULL : model, &report->input, err)
                            : status;
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const char *const fields[] = {"from", "to",     "window", "utc_offset", "entities",    "topics",   "lang",
                                         "top",  "format", "input",  "model",      "deadline_ms", "priority", NULL};
    struct report_call *report = task_alloc(call, 1, sizeof *report, err);
    if (!report)
        return err->status;
    call->state = report;
    call->reads = true;
    call->bulk = true;
    enum att_status status = task_fields_known(body, "", fields, err);
    if (status == ATT_OK)
        status = task_field_common(call, body, err);
    if (status == ATT_OK)
        status = parse_span(call, body, report, err);
    if (status == ATT_OK)
        status = parse_wish(call, body, report, err);
    return status == ATT_OK ? parse_input(call, body, report, err) : status;
}

/* ---- the report ---- */

/* Posted news without a window is all in it. */
static void span_of_input(struct report_call *report)
{
    const struct task_report_input *input = &report->input;
    report->span.from_ms = input->items[input->order[0]].time_ms;
    report->span.to_ms = input->items[input->order[input->n - 1]].time_ms + 1;
}

static void take_span(struct report_call *report)
{
    report->wish.from_ms = report->span.from_ms;
    report->wish.to_ms = report->span.to_ms;
    report->wish.offset_minutes = report->span.offset_minutes;
}

static enum att_status fill(struct task_call *call, struct report_call *report, struct news_set *set,
                            struct att_err *err)
{
    enum att_status status = ATT_OK;
    if (report->posted)
        status = task_report_input_conclude(call, &report->input, set, err);
    if (status == ATT_OK && report->posted && !report->span_given)
        span_of_input(report);
    take_span(report);
    return report->posted ? status : news_report_load(set, call->env->news->store, &report->wish, err);
}

static void write(struct task_call *call, const struct report_call *report, const struct news_report *counted,
                  struct att_jsonw *answer)
{
    switch (report->format) {
    case FORMAT_JSON:
        news_report_json(counted, answer);
        break;
    case FORMAT_MARKDOWN:
        call->content_type = "text/markdown; charset=utf-8";
        news_report_markdown(counted, answer);
        break;
    case FORMAT_HTML:
        call->content_type = "text/html; charset=utf-8";
        news_report_html(counted, answer);
        break;
    }
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    struct report_call *report = call->state;
    const struct news_view *view = call->env->news_view ? call->env->news_view : &news_view_default;
    struct news_lookup lookup =
        report->posted ? task_report_input_lookup(&report->input) : news_lookup_store(call->env->news->store);
    struct news_report *counted = task_alloc(call, 1, sizeof *counted, err);
    struct news_set set;
    if (!counted)
        return err->status;
    news_set_init(&set, view, report->posted ? report->input.n : ITEMS_MAX);
    enum att_status status = fill(call, report, &set, err);
    if (status == ATT_OK)
        status = news_report_build(&set, &report->wish, &lookup, call->arena, counted, err);
    if (status == ATT_OK && !report->posted)
        status = news_report_add_alerts(counted, call->env->news->store, call->arena, err);
    if (status == ATT_OK)
        write(call, report, counted, answer);
    news_set_finish(&set);
    return status;
}

const struct task task_report = {.name = "report", .parse = parse, .render = render};
