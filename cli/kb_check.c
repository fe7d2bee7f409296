/*
 * attend kb check: what is wrong with the entries of a knowledge base, before
 * customers find it. Nothing is embedded: the vectors are those of the file.
 *
 *   confused        a phrasing that, left out, would be answered by another entry than its own
 *   same_text       a phrasing that stands in two entries
 *   duplicate       entries with nearly the same question and the same answer
 *   contradiction   the same with answers that differ in numbers or negation
 *   expired         an entry that answers no more
 *   dangling        a prompt for an entry that is not there or has expired
 *   unreachable     a follow-up that no entry prompts for
 *
 * same_text, contradiction and dangling are errors: then the exit status is 1.
 */
#include "cli/kb_verbs.h"

#include <stdlib.h>
#include <string.h>

#include "cli/contradict.h"
#include "core/base/clock.h"
#include "store/kb.h"
#include "store/lexical.h"
#include "tasks/kb/match.h"

enum { NEAREST = 64, KINDS = 7, TOLD_MAX = 20, ANSWER_BYTES_MAX = 64 << 20 };

/* Two questions are nearly the same from this score of kb_fit.h's features on (docs/replies.md: what that finds). */
static const float near_same = 0.815f, same_words = 0.9999f;

struct told {
    const char *kind; /* NULL: not used yet */
    size_t count;
};

struct check {
    const struct store_kb_view *view;
    struct task_fit fit;
    struct att_jsonw findings; /* members of an array */
    float *cosines;            /* [n_texts] */
    size_t *nearest;           /* [NEAREST] */
    uint32_t *grams;           /* of all texts of one entry */
    size_t *paired;            /* [n_entries] 1 + the entry that it was last told beside */
    size_t tested, own_found, errors, warnings;
    struct told told[KINDS + 1];
    int64_t now_s;
    bool json;
};

/* ---- telling ---- */

/* How often a kind was told. */
static struct told *told_of(struct check *check, const char *kind)
{
    size_t i = 0;
    while (check->told[i].kind && strcmp(check->told[i].kind, kind) != 0)
        i++;
    check->told[i].kind = kind;
    return &check->told[i];
}

static void tell(struct check *check, const char *kind, bool is_error, int64_t entry, int64_t other, const char *text,
                 const char *says)
{
    *(is_error ? &check->errors : &check->warnings) += 1;
    if (!check->json && ++told_of(check, kind)->count > TOLD_MAX)
        return;
    if (!check->json) {
        printf("%-14s %lld", kind, (long long)entry);
        if (other)
            printf(" and %lld", (long long)other);
        printf(": %s%s%s%s\n", says, text ? ": \"" : "", text ? text : "", text ? "\"" : "");
        return;
    }
    att_jsonw_object_begin(&check->findings);
    att_jsonw_put_text(&check->findings, "kind", kind);
    att_jsonw_put_bool(&check->findings, "error", is_error);
    att_jsonw_put_int(&check->findings, "entry", entry);
    if (other)
        att_jsonw_put_int(&check->findings, "other", other);
    if (text)
        att_jsonw_put_text(&check->findings, "text", text);
    att_jsonw_put_text(&check->findings, "says", says);
    att_jsonw_object_end(&check->findings);
}

/* ---- likeness ---- */

static const struct task_calibration *row_of(const struct check *check, size_t text)
{
    return check->view->texts[text].cjk ? &check->fit.cjk : &check->fit.latin;
}

static float lexical(const struct check *check, size_t a, size_t b)
{
    const struct store_kb_text *x = &check->view->texts[a], *y = &check->view->texts[b];
    return store_grams_cosine(check->view->idf, x->grams, x->n_grams, x->norm, y->grams, y->n_grams, y->norm);
}

/* The score of entry `entry` for text t, where t itself does not stand in it. first..end: the entry's texts. */
static float score_without(struct check *check, size_t t, size_t first, size_t end)
{
    const struct store_kb_view *view = check->view;
    const struct store_kb_text *text = &view->texts[t];
    struct task_match_features features = {.lexical = 0};
    float cosines[STORE_KB_TEXTS_MAX];
    size_t n = 0, n_grams = 0;
    for (size_t i = first; i < end; i++) {
        if (i == t)
            continue;
        float likeness = lexical(check, t, i);
        features.lexical = likeness > features.lexical ? likeness : features.lexical;
        cosines[n++] = check->cosines[i];
        memcpy(check->grams + n_grams, view->texts[i].grams, view->texts[i].n_grams * sizeof *check->grams);
        n_grams += view->texts[i].n_grams;
    }
    if (n == 0)
        return -1;
    n_grams = store_grams_distinct(check->grams, n_grams);
    task_match_cosines(cosines, n, &features);
    features.covered = store_grams_cover(view->idf, text->grams, text->n_grams, text->norm, check->grams, n_grams);
    return task_features_fuse(&features, row_of(check, t));
}

/* The first text of an entry: texts of one follow one another, in the order of writing. */
static size_t texts_begin(const struct store_kb_view *view, size_t t)
{
    while (t > 0 && view->texts[t - 1].entry == view->texts[t].entry)
        t--;
    return t;
}

static size_t texts_end(const struct store_kb_view *view, size_t t)
{
    size_t entry = view->texts[t].entry;
    while (t < view->n_texts && view->texts[t].entry == entry)
        t++;
    return t;
}

/* ---- findings ---- */

/* The texts nearest to t by the encoder, one an entry, as their indexes; t's own entry is among them. */
static size_t find_nearest(struct check *check, size_t t)
{
    const struct store_kb_view *view = check->view;
    size_t count = 0;
    for (size_t i = 0; i < view->n_texts; i++) {
        if (i == t)
            continue;
        size_t at = count;
        for (size_t k = 0; k < count; k++)
            if (view->texts[check->nearest[k]].entry == view->texts[i].entry)
                at = k;
        if (at < count) { /* this entry is there already, by another text */
            if (check->cosines[i] <= check->cosines[check->nearest[at]])
                continue;
        } else if (count < NEAREST) {
            count++;
        } else {
            at = NEAREST - 1;
            if (check->cosines[i] <= check->cosines[check->nearest[at]])
                continue;
        }
        for (; at > 0 && check->cosines[i] > check->cosines[check->nearest[at - 1]]; at--)
            check->nearest[at] = check->nearest[at - 1];
        check->nearest[at] = i;
    }
    return count;
}

static void look_for_confusion(struct check *check, size_t t, size_t n_nearest)
{
    const struct store_kb_view *view = check->view;
    size_t first = texts_begin(view, t), end = texts_end(view, t), best_entry = view->texts[t].entry;
    if (end - first < 2)
        return;
    float own = score_without(check, t, first, end), best = own;
    check->tested++;
    for (size_t k = 0; k < n_nearest; k++) {
        size_t i = check->nearest[k];
        if (view->texts[i].entry == view->texts[t].entry || view->texts[i].cjk != view->texts[t].cjk)
            continue;
        float score = score_without(check, t, texts_begin(view, i), texts_end(view, i));
        if (score > best) {
            best = score;
            best_entry = view->texts[i].entry;
        }
    }
    check->own_found += best_entry == view->texts[t].entry;
    const struct task_calibration *row = row_of(check, t);
    double answer = (double)task_calibration_score(row, best), lead = answer - (double)task_calibration_score(row, own);
    if (best_entry != view->texts[t].entry && answer >= check->fit.threshold && lead >= check->fit.margin)
        tell(check, "confused", false, view->entries[view->texts[t].entry].id, view->entries[best_entry].id,
             view->texts[t].text, "without this phrasing the other entry answers it");
}

static bool overlap_in_time(const struct store_kb_entry *a, const struct store_kb_entry *b)
{
    return (b->valid_until == 0 || a->valid_from < b->valid_until) &&
           (a->valid_until == 0 || b->valid_from < a->valid_until);
}

/* The question of one entry beside the texts of others; each pair of entries is looked at from the smaller id. */
static void look_for_pairs(struct check *check, size_t t, size_t n_nearest)
{
    const struct store_kb_view *view = check->view;
    const struct store_kb_entry *own = &view->entries[view->texts[t].entry];
    for (size_t k = 0; k < n_nearest; k++) {
        size_t i = check->nearest[k];
        const struct store_kb_entry *other = &view->entries[view->texts[i].entry];
        float words = lexical(check, t, i);
        const struct task_match_features features = {check->cosines[i], check->cosines[i], words, words};
        if (other->id <= own->id || !overlap_in_time(own, other) || strcmp(own->lang, other->lang) != 0)
            continue;
        if (words > same_words) {
            tell(check, "same_text", true, own->id, other->id, view->texts[t].text, "both have this phrasing");
            continue;
        }
        /* One pair of phrasings tells enough of two entries. */
        if (check->paired[view->texts[i].entry] == view->texts[t].entry + 1 ||
            task_features_fuse(&features, row_of(check, t)) < near_same)
            continue;
        check->paired[view->texts[i].entry] = view->texts[t].entry + 1;
        const char *differs = cli_contradict(own->answer, other->answer);
        if (strcmp(own->answer, other->answer) == 0)
            tell(check, "duplicate", false, own->id, other->id, view->texts[t].text,
                 "nearly the same question, and the same answer");
        else if (differs)
            tell(check, "contradiction", true, own->id, other->id, view->texts[t].text,
                 strcmp(differs, "numbers") == 0 ? "nearly the same question, but other numbers in the answer"
                                                 : "nearly the same question, but one answer denies");
        else
            tell(check, "duplicate", false, own->id, other->id, view->texts[t].text,
                 "nearly the same question with another answer");
    }
}

static bool is_prompted(const struct store_kb_view *view, int64_t id)
{
    for (size_t i = 0; i < view->n_entries; i++)
        for (size_t p = 0; p < view->entries[i].n_prompts; p++)
            if (view->entries[i].prompts[p] == id)
                return true;
    return false;
}

static void look_at_entry(struct check *check, const struct store_kb_entry *entry)
{
    const struct store_kb_view *view = check->view;
    char says[96];
    bool expired = entry->valid_until > 0 && entry->valid_until <= check->now_s;
    if (expired)
        tell(check, "expired", false, entry->id, 0, entry->question, "answers no more");
    for (size_t p = 0; p < entry->n_prompts && !expired; p++) {
        size_t next = store_kb_find(view, entry->prompts[p]);
        bool gone = next < view->n_entries && view->entries[next].valid_until > 0 &&
                    view->entries[next].valid_until <= check->now_s;
        if (next < view->n_entries && !gone)
            continue;
        snprintf(says, sizeof says, "prompts for %lld, which %s", (long long)entry->prompts[p],
                 gone ? "has expired" : "is not there");
        tell(check, "dangling", true, entry->id, 0, NULL, says);
    }
    if (entry->context_only && !is_prompted(view, entry->id))
        tell(check, "unreachable", false, entry->id, 0, entry->question, "a follow-up that no entry prompts for");
}

static void look(struct check *check)
{
    const struct store_kb_view *view = check->view;
    for (size_t i = 0; i < view->n_entries; i++)
        look_at_entry(check, &view->entries[i]);
    for (size_t t = 0; t < view->n_texts; t++) {
        att_dot_table(0, view->n_texts, view->dimensions, view->vectors, view->dimensions,
                      view->vectors + t * view->dimensions, check->cosines);
        size_t n = find_nearest(check, t);
        look_for_confusion(check, t, n);
        look_for_pairs(check, t, n);
    }
}

/* ---- the command ---- */

static enum att_status check_alloc(struct check *check, struct att_err *err)
{
    size_t most = 0;
    for (size_t t = 0; t < check->view->n_texts; t++)
        most = check->view->texts[t].n_grams > most ? check->view->texts[t].n_grams : most;
    check->cosines = att_mem_calloc(check->view->n_texts + 1, sizeof *check->cosines);
    check->nearest = att_mem_calloc(NEAREST, sizeof *check->nearest);
    check->grams = att_mem_calloc(most * STORE_KB_TEXTS_MAX + 1, sizeof *check->grams);
    check->paired = att_mem_calloc(check->view->n_entries + 1, sizeof *check->paired);
    return check->cosines && check->nearest && check->grams && check->paired
               ? ATT_OK
               : att_err_set(err, ATT_ENOMEM, "out of memory");
}

static enum att_status put_json(struct check *check, struct att_err *err)
{
    struct att_jsonw *w = &check->findings;
    att_jsonw_array_end(w);
    att_jsonw_put_size(w, "texts_tested", check->tested);
    att_jsonw_put_size(w, "found_themselves", check->own_found);
    att_jsonw_put_size(w, "errors", check->errors);
    att_jsonw_put_size(w, "warnings", check->warnings);
    att_jsonw_object_end(w);
    return cli_json_print(w, err);
}

static void put_summary(const struct check *check)
{
    for (size_t i = 0; check->told[i].kind; i++)
        if (check->told[i].count > TOLD_MAX)
            printf("%-14s and %zu more; --json lists all\n", check->told[i].kind, check->told[i].count - TOLD_MAX);
    printf("%zu of %zu phrasings find their entry without themselves; %zu errors, %zu warnings\n", check->own_found,
           check->tested, check->errors, check->warnings);
}

int cli_kb_check(const struct cli_env *env, const struct cli_options *options)
{
    struct store_kb *kb = cli_env_kb(env)->kb;
    struct att_err err;
    struct check check = {.view = store_kb_view(kb), .json = options->json, .now_s = att_clock_unix_s()};
    att_jsonw_init(&check.findings, ANSWER_BYTES_MAX);
    att_jsonw_object_begin(&check.findings);
    att_jsonw_key(&check.findings, "findings");
    att_jsonw_array_begin(&check.findings);
    enum att_status status =
        task_fit_parse(check.view->fit, att_model_info(cli_env_kb(env)->encoder->model), &check.fit, &err);
    if (status == ATT_OK)
        status = check_alloc(&check, &err);
    if (status == ATT_OK) {
        look(&check);
        if (check.json)
            status = put_json(&check, &err);
        else
            put_summary(&check);
    }
    att_mem_free(check.cosines);
    att_mem_free(check.nearest);
    att_mem_free(check.grams);
    att_mem_free(check.paired);
    att_jsonw_finish(&check.findings);
    store_kb_view_release(kb, check.view);
    if (status != ATT_OK)
        return cli_fail("kb", &err);
    return check.errors > 0 ? CLI_FAILED : CLI_OK;
}
