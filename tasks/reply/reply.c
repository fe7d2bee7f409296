/*
 * POST /v1/reply: the best answers of a knowledge base for a customer's question
 * in its dialogue, and whether to give one (answered), to ask back (clarify) or
 * to fetch a person (handoff). See reply.h for the rounds.
 */
#include "tasks/reply/reply.h"

#include <stdio.h>
#include <string.h>

#include "store/kb_questions.h"
#include "store/lexical.h"
#include "store/metadata.h"
#include "tasks/explain/explain.h"
#include "tasks/generate/generation.h"

enum { EMBEDDED, RERANKED, SPANNED, WRITING }; /* rounds that are done, but for the last: it goes on */

/* ---- ranking ---- */

enum att_status task_reply_vector(struct task_call *call, const struct task_reply *reply, size_t which,
                                  float **ret_vector, struct att_err *err)
{
    const struct task_windows *windows = &reply->windows[which];
    size_t n = reply->view->dimensions;
    float *vector = task_alloc(call, n, sizeof *vector, err);
    if (!vector)
        return err->status;
    for (size_t w = 0; w < windows->count; w++) {
        const struct task_job *job = &reply->embed_jobs[windows->first_job + w];
        for (size_t i = 0; i < n; i++)
            vector[i] += job->pooled[i] * (float)job->len;
    }
    att_l2_normalize(n, vector);
    *ret_vector = vector;
    return ATT_OK;
}

static bool same_value(const struct att_json *a, const struct att_json *b)
{
    const char *text = att_json_string(a, NULL), *other = att_json_string(b, NULL);
    if (text || other)
        return text && other && strcmp(text, other) == 0;
    if (att_json_is_number(a))
        return att_json_is_number(b) && att_json_number(a, 0) == att_json_number(b, 1);
    return att_json_is_bool(a) && att_json_is_bool(b) && att_json_bool(a, false) == att_json_bool(b, true);
}

/* Whether an entry's metadata has all (or one) of the filter's members. */
static enum att_status passes(const struct task_reply *reply, const struct store_kb_entry *entry, bool *ret,
                              struct att_err *err)
{
    struct att_json *metadata = NULL;
    struct att_json_iter iter;
    const char *key;
    const struct att_json *wanted;
    enum att_status status =
        att_json_parse(entry->metadata, strlen(entry->metadata), 0, STORE_METADATA_DEPTH_MAX, &metadata, err);
    if (status == ATT_ENOMEM)
        return status;
    bool all = true, any = false;
    att_json_iter_init(&iter, reply->metadata);
    while (att_json_iter_next(&iter, &key, &wanted)) {
        bool same = same_value(wanted, att_json_get(metadata, key));
        all &= same;
        any |= same;
    }
    *ret = status == ATT_OK && (reply->match_any ? any : all);
    att_json_destroy(metadata);
    return ATT_OK;
}

/* Entries that may answer: valid now, and as the filters want. NULL stands for all. */
static enum att_status allow(struct task_call *call, const struct task_reply *reply, const bool **ret_allowed,
                             struct att_err *err)
{
    int64_t now_s = call->now_ms / 1000;
    bool *allowed = task_alloc(call, reply->view->n_entries + 1, sizeof *allowed, err);
    if (!allowed)
        return err->status;
    for (size_t i = 0; i < reply->view->n_entries; i++) {
        const struct store_kb_entry *entry = &reply->view->entries[i];
        allowed[i] =
            store_kb_valid(entry, now_s) && (!reply->filter_lang || strcmp(reply->filter_lang, entry->lang) == 0);
        enum att_status status = allowed[i] && reply->metadata ? passes(reply, entry, &allowed[i], err) : ATT_OK;
        if (status != ATT_OK)
            return status;
    }
    *ret_allowed = allowed;
    return ATT_OK;
}

static enum att_status rank(struct task_call *call, struct task_reply *reply, struct att_err *err)
{
    static const float shares[] = {[TASK_REWRITE_JOIN] = 1, [TASK_REWRITE_MIX] = 0.5f, [TASK_REWRITE_TURNS] = 0.5f};
    struct task_match_query query = {.previous_id = reply->previous_id,
                                     .follows = reply->rewrite != TASK_REWRITE_NONE,
                                     .joined_share = shares[reply->rewrite],
                                     .lang = reply->lang,
                                     .fit = &reply->fit};
    const struct {
        struct task_match_text *text;
        const char *bytes;
        size_t len;
    } texts[TASK_REPLY_TEXTS] = {[TASK_REPLY_QUESTION] = {&query.question, reply->question, reply->question_len},
                                 [TASK_REPLY_JOINED] = {&query.joined, reply->joined, reply->joined_len},
                                 [TASK_REPLY_TURN] = {&query.turn, reply->turn, reply->turn_len}};
    enum att_status status = allow(call, reply, &query.allowed, err);
    for (size_t i = 0; status == ATT_OK && i < reply->n_texts; i++) {
        float *vector = NULL;
        status = task_reply_vector(call, reply, i, &vector, err);
        *texts[i].text = (struct task_match_text){texts[i].bytes, texts[i].len, vector};
    }
    if (status == ATT_OK)
        status = task_match_rank(call, reply->kb->kb, reply->view, &query, reply->matches, TASK_REPLY_TOP_MAX,
                                 &reply->n_matches, err);
    return status;
}

/* ---- deciding ---- */

static const struct store_kb_entry *entry_of(const struct task_reply *reply, size_t match)
{
    return &reply->view->entries[reply->matches[match].entry];
}

static bool is_near(const struct task_reply *reply, size_t match)
{
    return (double)reply->matches[0].score - (double)reply->matches[match].score < reply->margin;
}

/* Small talk that is as near as a business answer goes behind it: the customer came for business. */
static void business_first(struct task_reply *reply)
{
    size_t at = 1;
    if (reply->n_matches == 0 || !entry_of(reply, 0)->chitchat)
        return;
    while (at < reply->n_matches && is_near(reply, at) && entry_of(reply, at)->chitchat)
        at++;
    if (at == reply->n_matches || !is_near(reply, at) || (double)reply->matches[at].score < reply->threshold)
        return;
    struct task_match business = reply->matches[at];
    memmove(&reply->matches[1], &reply->matches[0], at * sizeof business);
    reply->matches[0] = business;
}

/* A rival would lead the customer elsewhere: it says something else, and is no small talk beside business. That it
 * misses the threshold by a hair makes the first no surer. */
static bool is_rival(const struct task_reply *reply, size_t match)
{
    const struct store_kb_entry *first = entry_of(reply, 0), *other = entry_of(reply, match);
    return is_near(reply, match) && (first->chitchat || !other->chitchat) && strcmp(first->answer, other->answer) != 0;
}

static void decide(struct task_reply *reply)
{
    business_first(reply);
    if (reply->n_matches == 0 || (double)reply->matches[0].score < reply->threshold) {
        reply->decision = TASK_HANDOFF;
        return;
    }
    reply->decision = TASK_ANSWERED;
    for (size_t i = 1; i < reply->n_matches; i++)
        if (is_rival(reply, i))
            reply->decision = TASK_CLARIFY;
}

/* Small talk among small talk leaves no business undone, and what is longer than a question is none. */
static bool is_to_record(const struct task_reply *reply)
{
    return reply->kb->records && reply->decision != TASK_ANSWERED &&
           reply->question_len <= STORE_KB_QUESTION_BYTES_MAX &&
           !(reply->decision == TASK_CLARIFY && entry_of(reply, 0)->chitchat);
}

/* A follow-up is kept with the turn that it follows, where both are a question's length: alone it says little. A disk
 * that fails must not take the reply with it. */
static bool record(const struct task_call *call, const struct task_reply *reply, const char *id)
{
    bool joined = reply->joined && reply->joined_len <= STORE_KB_QUESTION_BYTES_MAX;
    int64_t now_s = call->now_ms / 1000;
    const struct store_kb_question question = {.time = now_s,
                                               .kind = reply->decision == TASK_CLARIFY ? STORE_KB_CLARIFY
                                                                                       : STORE_KB_HANDOFF,
                                               .entry = reply->n_matches > 0 ? entry_of(reply, 0)->id : 0,
                                               .reply = id,
                                               .text = joined ? reply->joined : reply->question};
    const struct store_kb_retention retention = {now_s - (int64_t)reply->kb->record_days * 86400,
                                                 reply->kb->record_max};
    struct att_err err;
    size_t added = 0;
    return store_kb_questions_add(reply->kb->kb, &question, 1, &retention, &added, &err) == ATT_OK;
}

/* ---- rounds ---- */

/* After the answers are found: what is written from them, if anything. */
static enum att_status begin_writing(struct task_call *call, struct task_reply *reply, struct att_err *err)
{
    reply->round = WRITING;
    call->n_jobs = 0;
    return reply->generates ? task_reply_generate_plan(call, reply, err) : ATT_OK;
}

/* What follows the round that is done; n_jobs 0: nothing more. */
static enum att_status advance(struct task_call *call, struct att_err *err)
{
    struct task_reply *reply = call->state;
    enum att_status status = ATT_OK;
    if (reply->round == WRITING)
        return task_reply_generate(call, reply, err);
    call->n_jobs = 0;
    if (reply->round == EMBEDDED) {
        status = rank(call, reply, err);
        reply->round = RERANKED;
        if (status == ATT_OK && reply->reranks && reply->n_matches > 0)
            return task_reply_rerank_plan(call, reply, err);
    }
    if (status == ATT_OK && reply->round == RERANKED) {
        if (reply->pair_windows)
            task_reply_rerank(call, reply);
        decide(reply);
        reply->records = call->writes = is_to_record(reply);
        reply->round = SPANNED;
        call->n_jobs = 0;
        status = reply->spans ? task_reply_span_plan(call, reply, err) : ATT_OK;
        return status == ATT_OK && call->n_jobs == 0 ? begin_writing(call, reply, err) : status;
    }
    if (status == ATT_OK)
        status = task_reply_span(call, reply, err);
    return status == ATT_OK ? begin_writing(call, reply, err) : status;
}

/* ---- answering ---- */

/* Only what would answer now, were it asked. */
static void put_prompts(const struct task_call *call, const struct task_reply *reply,
                        const struct store_kb_entry *entry, struct att_jsonw *answer)
{
    att_jsonw_key(answer, "prompts");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < entry->n_prompts; i++) {
        size_t next = store_kb_find(reply->view, entry->prompts[i]);
        if (next == reply->view->n_entries || !store_kb_valid(&reply->view->entries[next], call->now_ms / 1000))
            continue;
        att_jsonw_object_begin(answer);
        att_jsonw_put_int(answer, "id", entry->prompts[i]);
        att_jsonw_put_text(answer, "text", reply->view->entries[next].question);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
}

/* What the score was made of. */
static void put_features(const struct task_reply *reply, size_t i, struct att_jsonw *answer)
{
    const struct task_match *match = &reply->matches[i];
    att_jsonw_key(answer, "features");
    att_jsonw_object_begin(answer);
    att_jsonw_put_double(answer, "best", (double)match->features.best, 6);
    att_jsonw_put_double(answer, "near", (double)match->features.near, 6);
    att_jsonw_put_double(answer, "lexical", (double)match->features.lexical, 6);
    att_jsonw_put_double(answer, "covered", (double)match->features.covered, 6);
    att_jsonw_put_double(answer, "bonus", (double)match->bonus, 6);
    att_jsonw_put_double(answer, "s", (double)match->s, 6);
    att_jsonw_put_double(answer, "lead", (double)match->lead, 6);
    if (i < reply->n_reranked)
        att_jsonw_put_double(answer, "rerank", (double)match->rerank, 6);
    att_jsonw_object_end(answer);
}

static void put_span(const struct task_reply *reply, size_t i, struct att_jsonw *answer)
{
    const struct task_reply_span *span = i < TASK_REPLY_SPANS_MAX ? &reply->found[i] : NULL;
    att_jsonw_key(answer, "span");
    if (!span || span->end == 0) {
        att_jsonw_null(answer);
        return;
    }
    att_jsonw_object_begin(answer);
    att_jsonw_put_string(answer, "text", entry_of(reply, i)->answer + span->begin, span->end - span->begin);
    att_jsonw_put_size(answer, "start", span->begin);
    att_jsonw_put_size(answer, "end", span->end);
    att_jsonw_put_double(answer, "score", span->score, 6);
    att_jsonw_put_text(answer, "method", reply->kb->reader ? "reader" : "sentence");
    att_jsonw_object_end(answer);
}

static void put_match(const struct task_call *call, const struct task_reply *reply, size_t i, struct att_jsonw *answer)
{
    const struct task_match *match = &reply->matches[i];
    const struct store_kb_entry *entry = entry_of(reply, i);
    att_jsonw_object_begin(answer);
    att_jsonw_put_int(answer, "id", entry->id);
    att_jsonw_put_text(answer, "answer", entry->answer);
    att_jsonw_put_text(answer, "question", entry->question);
    att_jsonw_put_text(answer, "matched", reply->view->texts[match->text].text);
    att_jsonw_put_float(answer, "score", match->score);
    att_jsonw_put_double(answer, "logit", match->logit, 6);
    att_jsonw_put_double(answer, "confidence", match->confidence, 6);
    if (entry->chitchat)
        att_jsonw_put_bool(answer, "chitchat", true);
    att_jsonw_put_text(answer, "source", entry->source);
    att_jsonw_key(answer, "metadata");
    att_jsonw_raw(answer, entry->metadata, strlen(entry->metadata));
    if (reply->spans)
        put_span(reply, i, answer);
    if (reply->explains_features)
        put_features(reply, i, answer);
    put_prompts(call, reply, entry, answer);
    att_jsonw_object_end(answer);
}

/* What the application may say where there is no answer to give. */
static const char *fallback(const struct task_reply *reply, enum task_decision decision)
{
    bool chinese = store_cjk_share(reply->question, reply->question_len) > 0.3f;
    if (decision == TASK_CLARIFY)
        return chinese ? "您想问的是下面哪一个？" : "Which of these do you mean?";
    if (decision == TASK_HANDOFF)
        return chinese ? "这个问题我还答不好，为您转接人工客服。"
                       : "I cannot answer this one; a colleague will help you.";
    return NULL;
}

/* What to ask the customer about: the first answer and its rivals. */
static void put_options(const struct task_reply *reply, struct att_jsonw *answer)
{
    att_jsonw_key(answer, "options");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; reply->decision == TASK_CLARIFY && i < reply->n_matches; i++) {
        if (i > 0 && !is_rival(reply, i))
            continue;
        att_jsonw_object_begin(answer);
        att_jsonw_put_int(answer, "id", entry_of(reply, i)->id);
        att_jsonw_put_text(answer, "text", entry_of(reply, i)->question);
        att_jsonw_object_end(answer);
    }
    att_jsonw_array_end(answer);
}

/* By which model and numbers the answers were judged. */
static void put_judgement(const struct task_reply *reply, struct att_jsonw *answer)
{
    att_jsonw_put_text(answer, "reranker", reply->n_reranked > 0 ? reply->kb->reranker->name : NULL);
    att_jsonw_put_text(answer, "calibration",
                       (reply->n_reranked > 0 ? reply->fit.rerank.digest[0] != '\0' : reply->fit.fitted) ? "fitted"
                                                                                                         : "default");
    att_jsonw_put_double(answer, "threshold", reply->threshold, 6);
    att_jsonw_put_double(answer, "margin", reply->margin, 6);
}

/* For the share of questions that no entry answers. */
static void observe(struct task_call *call, struct task_reply *reply)
{
    reply->observation = (struct task_observation){.kb = reply->kb->name, .label = reply->decision == TASK_HANDOFF};
    call->observations = &reply->observation;
    call->n_observations = 1;
}

static enum att_status render(struct task_call *call, struct att_jsonw *answer, struct att_err *err)
{
    static const char *const decisions[] = {"handoff", "clarify", "answered"};
    struct task_reply *reply = call->state;
    enum att_status status = ATT_OK;
    char id[TASK_ID_BYTES];
    task_id_make("rep", id);
    att_jsonw_object_begin(answer);
    att_jsonw_put_text(answer, "id", id);
    att_jsonw_put_text(answer, "model", reply->kb->encoder->name);
    att_jsonw_put_text(answer, "kb", reply->kb->name);
    att_jsonw_put_text(answer, "method", reply->n_reranked > 0 ? "hybrid+rerank" : "hybrid");
    att_jsonw_put_text(answer, "decision", decisions[reply->decision]);
    observe(call, reply);
    att_jsonw_key(answer, "answers");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < reply->n_matches && i < reply->top; i++)
        put_match(call, reply, i, answer);
    att_jsonw_array_end(answer);
    att_jsonw_put_text(answer, "fallback", fallback(reply, reply->decision));
    put_options(reply, answer);
    put_judgement(reply, answer);
    if (reply->kb->records)
        att_jsonw_put_bool(answer, "recorded", reply->records && record(call, reply, id));
    if (reply->generates)
        task_reply_generate_render(reply, answer);
    if (reply->explains_attention) {
        call->jobs = reply->embed_jobs;
        att_jsonw_key(answer, "explain");
        status = task_explain_attention(call, &reply->windows[TASK_REPLY_QUESTION], reply->question,
                                        reply->question_len, answer, err);
    }
    task_render_usage(call, answer);
    att_jsonw_object_end(answer);
    return status;
}

static void finish(struct task_call *call)
{
    struct task_reply *reply = call->state;
    if (!reply)
        return;
    task_generation_finish(reply->generation);
    if (reply->view)
        store_kb_view_release(reply->kb->kb, reply->view);
}

const struct task task_reply = {
    .name = "reply", .parse = task_reply_parse, .advance = advance, .render = render, .finish = finish};
