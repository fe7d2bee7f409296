/*
 * GET /v1/kb/{kb}/suggestions: what customers asked in vain, put together. The
 * questions that were kept (handed off, asked back about, rejected, escalated)
 * are embedded, the equal ones counted, and the rest gathered around the most
 * frequent ones: each goes to the first group whose leader is near. A group is
 * proposed as an alternate of the entry nearest to it, or as a new entry where
 * none is near or customers rejected that one. Deterministic: equal questions
 * give equal suggestions. Small talk, and what was accepted more often than not,
 * is left out.
 *
 * DELETE …/suggestions forgets the questions.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "store/kb_questions.h"
#include "store/lexical.h"
#include "tasks/kb/kb_call.h"
#include "tasks/kb/match.h"

enum { READ_MAX = 10000, DISTINCT_MAX = 1000, EXAMPLES = 5, LIMIT_MAX = 200 };

static const float same_subject = 0.55f;   /* s of two questions that ask about one thing */
static const float same_score = 0.5f;      /* and their score: encoders whose cosines are all high say more by that */
static const double alternate_share = 0.8; /* of the threshold, that the nearest entry's score must reach */

/* Equal questions together. */
struct asked {
    const char *text;
    size_t kinds[STORE_KB_KINDS], count; /* count: of those without an answer */
    int64_t first_id, last;              /* the newest, Unix seconds */
    int64_t rejected;                    /* an entry that was rejected, or 0 */
    float *vector;
    uint32_t *grams;
    size_t n_grams, nearest; /* text of the view; n_texts: none */
    float norm, score;       /* of the nearest entry */
    bool cjk, taken;
};

/* Questions about one thing. */
struct group {
    const struct asked *leader, *members[EXAMPLES];
    size_t n_members, count, kinds[STORE_KB_KINDS];
    int64_t last, rejected;
};

struct suggest {
    int64_t limit, since, min;
    struct store_kb_question *questions;
    struct asked *asked;
    size_t n_questions, n_asked;
    struct task_fit fit;
};

/* ---- gathering ---- */

static int by_text(const void *a, const void *b)
{
    const struct store_kb_question *x = a, *y = b;
    int order = strcasecmp(x->text, y->text);
    return order ? order : x->id < y->id ? -1 : x->id > y->id;
}

/* Most frequent first, then who asked first. */
static int by_count(const void *a, const void *b)
{
    const struct asked *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->first_id < y->first_id ? -1 : x->first_id > y->first_id;
}

static void add_question(struct asked *asked, const struct store_kb_question *question)
{
    asked->kinds[question->kind]++;
    asked->count += question->kind != STORE_KB_ACCEPTED;
    asked->last = question->time > asked->last ? question->time : asked->last;
    if (question->kind == STORE_KB_REJECTED)
        asked->rejected = question->entry;
}

/* The distinct questions that still want an answer, the most frequent DISTINCT_MAX. */
static enum att_status gather(struct task_call *call, struct suggest *suggest, struct att_err *err)
{
    struct store_kb_question *questions = suggest->questions;
    struct asked *all = task_alloc(call, suggest->n_questions + 1, sizeof *all, err);
    size_t n = 0;
    if (!all)
        return err->status;
    qsort(questions, suggest->n_questions, sizeof *questions, by_text);
    for (size_t i = 0; i < suggest->n_questions;) {
        struct asked *asked = &all[n];
        *asked = (struct asked){.text = questions[i].text, .first_id = questions[i].id};
        size_t begin = i;
        for (; i < suggest->n_questions && strcasecmp(questions[begin].text, questions[i].text) == 0; i++)
            add_question(asked, &questions[i]);
        n += asked->count > 0 && asked->kinds[STORE_KB_ACCEPTED] < asked->count && *asked->text != '\0';
    }
    qsort(all, n, sizeof *all, by_count);
    suggest->asked = all;
    suggest->n_asked = n < DISTINCT_MAX ? n : DISTINCT_MAX;
    return ATT_OK;
}

static enum att_status plan(struct task_call *call, const struct task_model *encoder, struct suggest *suggest,
                            struct att_err *err)
{
    size_t hidden = att_model_info(encoder->model)->hidden_size, dropped;
    call->jobs = task_alloc(call, suggest->n_asked + 1, sizeof *call->jobs, err);
    if (!call->jobs)
        return err->status;
    for (size_t i = 0; i < suggest->n_asked; i++) {
        struct asked *asked = &suggest->asked[i];
        uint32_t grams[STORE_GRAMS_MAX];
        enum att_status status =
            task_job_encode(call, encoder, att_model_info(encoder->model)->query_prompt, asked->text,
                            strlen(asked->text), NULL, 0, "questions", &call->jobs[i], &dropped, err);
        if (status != ATT_OK)
            return status;
        asked->n_grams = store_grams(asked->text, strlen(asked->text), grams);
        asked->cjk = store_cjk_share(asked->text, strlen(asked->text)) > 0.3f;
        asked->vector = task_alloc(call, hidden, sizeof *asked->vector, err);
        asked->grams = asked->vector ? task_alloc(call, asked->n_grams + 1, sizeof *asked->grams, err) : NULL;
        if (!asked->grams)
            return err->status;
        memcpy(asked->grams, grams, asked->n_grams * sizeof *grams);
        call->jobs[i].pooled = asked->vector;
    }
    call->n_jobs = suggest->n_asked;
    return ATT_OK;
}

static enum att_status parse(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    static const char *const names[] = {"limit", "days", "min", NULL};
    struct task_kb_call *kb_call = NULL;
    int64_t days = 30;
    (void)body;
    enum att_status status = task_kb_begin(call, false, &kb_call, err);
    struct suggest *suggest = status == ATT_OK ? task_alloc(call, 1, sizeof *suggest, err) : NULL;
    if (!suggest)
        return err->status;
    kb_call->state = suggest;
    kb_call->view = store_kb_view(kb_call->kb->kb);
    call->bulk = true;
    suggest->limit = 20;
    suggest->min = 1;
    status = task_query_known(call, names, err);
    if (status == ATT_OK)
        status = task_query_int(call, "limit", 1, LIMIT_MAX, &suggest->limit, err);
    if (status == ATT_OK)
        status = task_query_int(call, "days", 1, 3650, &days, err);
    if (status == ATT_OK)
        status = task_query_int(call, "min", 1, 1000000, &suggest->min, err);
    if (status == ATT_OK)
        status = task_fit_parse(kb_call->view->fit, att_model_info(kb_call->kb->encoder->model), &suggest->fit, err);
    suggest->since = call->now_ms / 1000 - days * 86400;
    if (status == ATT_OK)
        status = store_kb_questions_read(kb_call->kb->kb, suggest->since, READ_MAX, call->arena, &suggest->questions,
                                         &suggest->n_questions, err);
    if (status == ATT_OK)
        status = gather(call, suggest, err);
    return status == ATT_OK ? plan(call, kb_call->kb->encoder, suggest, err) : status;
}

/* ---- grouping ---- */

static const struct task_calibration *row_of(const struct suggest *suggest, const struct asked *asked)
{
    return asked->cjk ? &suggest->fit.cjk : &suggest->fit.latin;
}

static float fuse(const struct suggest *suggest, const struct asked *asked, float cosine, float words)
{
    const struct task_match_features features = {cosine, cosine, words, words};
    return task_features_fuse(&features, row_of(suggest, asked));
}

/* The nearest text of an entry that answers now. `cosines` is work space, [n_texts]. */
static void find_nearest(const struct task_call *call, const struct suggest *suggest, struct asked *asked,
                         float *cosines)
{
    const struct task_kb_call *kb_call = call->state;
    const struct store_kb_view *view = kb_call->view;
    float best = -1;
    att_dot_table(0, view->n_texts, view->dimensions, view->vectors, view->dimensions, asked->vector, cosines);
    asked->nearest = view->n_texts;
    for (size_t t = 0; t < view->n_texts; t++) {
        const struct store_kb_text *text = &view->texts[t];
        if (!store_kb_valid(&view->entries[text->entry], call->now_ms / 1000))
            continue;
        float words = store_grams_cosine(view->idf, asked->grams, asked->n_grams, asked->norm, text->grams,
                                         text->n_grams, text->norm);
        float s = fuse(suggest, asked, cosines[t], words);
        if (s > best) {
            best = s;
            asked->nearest = t;
        }
    }
    asked->score = best > 0 ? task_calibration_score(row_of(suggest, asked), best) : 0;
}

static bool is_near(const struct suggest *suggest, const struct store_kb_view *view, const struct asked *a,
                    const struct asked *b)
{
    float cosine;
    att_dot_table(0, 1, view->dimensions, a->vector, view->dimensions, b->vector, &cosine);
    float words = store_grams_cosine(view->idf, a->grams, a->n_grams, a->norm, b->grams, b->n_grams, b->norm);
    float s = fuse(suggest, a, cosine, words);
    return a->cjk == b->cjk && s >= same_subject && task_calibration_score(row_of(suggest, a), s) >= same_score;
}

/* ---- answering ---- */

static void put_nearest(const struct suggest *suggest, const struct store_kb_view *view, const struct asked *leader,
                        int64_t rejected, struct att_jsonw *answer)
{
    const struct store_kb_entry *entry =
        leader->nearest < view->n_texts ? &view->entries[view->texts[leader->nearest].entry] : NULL;
    bool alternate =
        entry && entry->id != rejected && (double)leader->score >= alternate_share * suggest->fit.threshold;
    att_jsonw_key(answer, "nearest");
    if (entry) {
        att_jsonw_object_begin(answer);
        att_jsonw_put_int(answer, "id", entry->id);
        att_jsonw_put_text(answer, "question", entry->question);
        att_jsonw_put_float(answer, "score", leader->score);
        att_jsonw_object_end(answer);
    } else {
        att_jsonw_null(answer);
    }
    att_jsonw_key(answer, "proposal");
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "as", alternate ? "alternate" : "entry");
    if (alternate)
        att_jsonw_put_int(answer, "entry", entry->id);
    att_jsonw_object_end(answer);
}

/* Takes the group of `leader`: those after it that are near and not taken. */
static void take_group(const struct suggest *suggest, const struct store_kb_view *view, struct asked *leader,
                       struct group *group)
{
    *group = (struct group){.leader = leader};
    for (struct asked *asked = leader; asked < suggest->asked + suggest->n_asked; asked++) {
        if (asked->taken || (asked != leader && !is_near(suggest, view, leader, asked)))
            continue;
        asked->taken = true;
        if (group->n_members < EXAMPLES)
            group->members[group->n_members++] = asked;
        group->count += asked->count;
        group->last = asked->last > group->last ? asked->last : group->last;
        group->rejected = group->rejected ? group->rejected : asked->rejected;
        for (size_t k = 0; k < STORE_KB_KINDS; k++)
            group->kinds[k] += asked->kinds[k];
    }
}

/* Largest first; leaders are in order of their own count already. */
static int by_size(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->leader < y->leader ? -1 : x->leader > y->leader;
}

static void put_group(const struct suggest *suggest, const struct store_kb_view *view, const struct group *group,
                      struct att_jsonw *answer)
{
    static const char *const kinds[] = {"handoff", "clarify", "accepted", "rejected", "escalated"};
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "question", group->leader->text);
    att_jsonw_put_size(answer, "count", group->count);
    att_jsonw_key(answer, "kinds");
    att_jsonw_object_begin(answer);
    for (size_t k = 0; k < STORE_KB_KINDS; k++)
        if (group->kinds[k] > 0)
            att_jsonw_put_size(answer, kinds[k], group->kinds[k]);
    att_jsonw_object_end(answer);
    att_jsonw_put_int(answer, "last", group->last);
    att_jsonw_key(answer, "examples");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < group->n_members; i++)
        att_jsonw_cstring(answer, group->members[i]->text);
    att_jsonw_array_end(answer);
    put_nearest(suggest, view, group->leader, group->rejected, answer);
    att_jsonw_object_end(answer);
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct task_kb_call *kb_call = call->state;
    const struct store_kb_view *view = kb_call->view;
    struct suggest *suggest = kb_call->state;
    float *cosines = task_alloc(call, view->n_texts + 1, sizeof *cosines, err);
    struct group *groups = cosines ? task_alloc(call, suggest->n_asked + 1, sizeof *groups, err) : NULL;
    size_t n_groups = 0;
    if (!groups)
        return err->status;
    for (size_t i = 0; i < suggest->n_asked; i++) {
        struct asked *asked = &suggest->asked[i];
        att_l2_normalize(view->dimensions, asked->vector);
        asked->norm = store_grams_norm(view->idf, asked->grams, asked->n_grams);
        find_nearest(call, suggest, asked, cosines);
        /* What small talk would answer is none of business. */
        asked->taken = asked->nearest < view->n_texts && (double)asked->score >= suggest->fit.threshold &&
                       view->entries[view->texts[asked->nearest].entry].chitchat;
    }
    for (size_t i = 0; i < suggest->n_asked; i++)
        if (!suggest->asked[i].taken)
            take_group(suggest, view, &suggest->asked[i], &groups[n_groups++]);
    qsort(groups, n_groups, sizeof *groups, by_size);
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "kb", kb_call->kb->name);
    att_jsonw_put_bool(answer, "recording", kb_call->kb->records);
    att_jsonw_put_size(answer, "questions", suggest->n_questions);
    att_jsonw_key(answer, "suggestions");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < n_groups && (int64_t)i < suggest->limit && (int64_t)groups[i].count >= suggest->min; i++)
        put_group(suggest, view, &groups[i], answer);
    att_jsonw_array_end(answer);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

/* ---- forgetting ---- */

static enum att_status parse_forget(struct task_call *call, const struct att_json *body, struct att_err *err)
{
    struct task_kb_call *kb_call = NULL;
    (void)body;
    call->writes = true;
    return task_kb_begin(call, false, &kb_call, err);
}

static enum att_status render_forget(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    const struct task_kb_call *kb_call = call->state;
    size_t removed = 0;
    enum att_status status = task_kb_told(store_kb_questions_clear(kb_call->kb->kb, &removed, err), err);
    if (status != ATT_OK)
        return status;
    att_jsonw_object_begin(answer);
    att_jsonw_put_size(answer, "deleted", removed);
    att_jsonw_object_end(answer);
    return ATT_OK;
}

const struct task task_kb_suggest = {.name = "kb_suggest", .parse = parse, .render = render, .finish = task_kb_finish};
const struct task task_kb_forget = {
    .name = "kb_forget", .parse = parse_forget, .render = render_forget, .finish = task_kb_finish};
