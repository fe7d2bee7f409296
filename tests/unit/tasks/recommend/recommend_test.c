/*
 * /v1/recommend: the model's own ranking, dislikes and times, unknown items by
 * their texts, interests, exclusion, diversity, reasons, and every refusal.
 * "bare" has no item table: ids are numbers. "movies" has a table of some of the
 * items and an encoder; equal texts have a cosine of 1, which is all that its
 * random weights know.
 */
#include "tests/unit/tasks/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/items.h"

enum { N_TABLE = 300, BODY_BYTES = 1 << 16 };

static struct task_model bare = {.name = "bare"}, movies = {.name = "movies"};
static const struct task_model *(*others)(void *context, const char *name, const char *task);
static char folder[64];

static const struct task_model *find_model(void *context, const char *name, const char *task)
{
    if (name && strcmp(name, "movies") == 0)
        return &movies;
    return !name || strcmp(name, "bare") == 0 ? &bare : others(context, name, task);
}

/* Items "m1" .. "m300": every third popular, text "film <n>". */
static int make_table(void)
{
    char path[128];
    snprintf(folder, sizeof folder, "/tmp/recommend_test.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/items.jsonl", folder);
    FILE *file = fopen(path, "w");
    for (int i = 1; file && i <= N_TABLE; i++)
        fprintf(file, "{\"id\":\"m%d\",\"index\":%d,\"title\":\"Film %d\",\"text\":\"film %d\",\"popularity\":%d}\n", i,
                i, i, i, i % 3 == 0 ? i : 0);
    return file && fclose(file) == 0 ? 0 : -1;
}

static void embed(const char *text, float *vector, size_t n)
{
    char body[128], path[48];
    snprintf(body, sizeof body, "{\"model\":\"encoder\",\"input\":\"%s\"}", text);
    struct att_json *answer = fixture_answer(&task_embeddings, body);
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "data.0.embedding.%zu", i);
        vector[i] = (float)fixture_number(answer, path);
    }
    att_json_destroy(answer);
}

static enum att_status load(struct att_err *err)
{
    static struct task_model encoder = {.name = "encoder"};
    char path[4096];
    const char *root = getenv("ATT_SOURCE_ROOT");
    const struct att_model_options options = {.dtype = ATT_F32};
    snprintf(path, sizeof path, "%s/tests/data/models/sasrec", root ? root : ".");
    enum att_status status = att_model_load(path, &options, &bare.model, err);
    if (status != ATT_OK)
        return status;
    encoder.model = fixture_model("encoder");
    movies.model = bare.model;
    movies.encoder = &encoder;
    const struct att_model_info *info = att_model_info(encoder.model);
    size_t n_items = att_model_info(bare.model)->vocab_size - 1;
    status = store_items_open(folder, n_items, &movies.items, err);
    if (status != ATT_OK)
        return status;
    float *vectors = calloc((n_items + 1) * info->hidden_size, sizeof *vectors);
    for (size_t i = 1; i <= N_TABLE; i++)
        embed(store_items_at(movies.items, i)->text, vectors + i * info->hidden_size, info->hidden_size);
    status = store_items_vectors_write(movies.items, vectors, info->digest, info->hidden_size, err);
    free(vectors);
    return status == ATT_OK ? store_items_vectors_load(movies.items, info->digest, info->hidden_size, NULL, err)
                            : status;
}

static int start(void **state)
{
    struct att_err err = {.status = ATT_OK};
    if (fixture_start(state) != 0 || make_table() != 0)
        return -1;
    others = fixture_env.find_model;
    fixture_env.find_model = find_model;
    fixture_env.limits.history_max = 400;
    fixture_env.limits.items_max = 500;
    if (load(&err) != ATT_OK) {
        fprintf(stderr, "%s\n", err.message);
        return -1;
    }
    return 0;
}

static int stop(void **state)
{
    char path[128];
    store_items_close(movies.items);
    att_model_unref(bare.model);
    snprintf(path, sizeof path, "%s/items.jsonl", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/items.index", folder);
    unlink(path);
    rmdir(folder);
    return fixture_stop(state);
}

static struct att_json *recommend(const char *body)
{
    return fixture_answer(&task_recommend, body);
}

static size_t n_items(const struct att_json *answer)
{
    return att_json_count(fixture_at(answer, "items"));
}

static const char *id_at(const struct att_json *answer, size_t i)
{
    char path[48];
    snprintf(path, sizeof path, "items.%zu.id", i);
    return fixture_text(answer, path);
}

static double number_at(const struct att_json *answer, size_t i, const char *name)
{
    char path[48];
    snprintf(path, sizeof path, "items.%zu.%s", i, name);
    return fixture_number(answer, path);
}

/* Position among the answers, or -1. */
static int place_of(const struct att_json *answer, const char *id)
{
    for (size_t i = 0; i < n_items(answer); i++)
        if (strcmp(id_at(answer, i), id) == 0)
            return (int)i;
    return -1;
}

static void expect_same(const char *body_a, const char *body_b)
{
    struct att_json *a = recommend(body_a), *b = recommend(body_b);
    assert_int_equal(n_items(a), n_items(b));
    for (size_t i = 0; i < n_items(a); i++) {
        assert_string_equal(id_at(a, i), id_at(b, i));
        assert_true(number_at(a, i, "logit") == number_at(b, i, "logit"));
    }
    att_json_destroy(a);
    att_json_destroy(b);
}

/* {"history":[12,7],"topk_ids":[…],"topk_scores":[…]} of golden.jsonl: seen items left out. */
static void check_reference(const char *line)
{
    static char body[BODY_BYTES];
    struct att_json *reference = NULL;
    assert_int_equal(att_json_parse(line, strlen(line), 0, 8, &reference, NULL), ATT_OK);
    const struct att_json *history = att_json_get(reference, "history"), *ids = att_json_get(reference, "topk_ids");
    size_t at = (size_t)snprintf(body, sizeof body, "{\"top_k\":%zu,\"history\":[", att_json_count(ids));
    for (size_t i = 0; i < att_json_count(history); i++)
        at += (size_t)snprintf(body + at, sizeof body - at, "%s{\"item\":\"%.0f\"}", i ? "," : "",
                               att_json_number(att_json_at(history, i), 0));
    snprintf(body + at, sizeof body - at, "]}");
    struct att_json *answer = recommend(body);
    assert_int_equal(n_items(answer), att_json_count(ids));
    for (size_t i = 0; i < att_json_count(ids); i++) {
        char id[24];
        double score = att_json_number(att_json_at(att_json_get(reference, "topk_scores"), i), 0);
        snprintf(id, sizeof id, "%.0f", att_json_number(att_json_at(ids, i), 0));
        assert_string_equal(id_at(answer, i), id);
        assert_true(fabs(number_at(answer, i, "logit") - score) <= 1e-4 * fabs(score));
        assert_true(number_at(answer, i, "rank") == (double)i + 1);
    }
    att_json_destroy(answer);
    att_json_destroy(reference);
}

static void ranks_as_the_model_does(void **state)
{
    (void)state;
    char path[4096], line[BODY_BYTES];
    const char *root = getenv("ATT_SOURCE_ROOT");
    size_t n = 0;
    snprintf(path, sizeof path, "%s/tests/data/models/sasrec/golden.jsonl", root ? root : ".");
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (; fgets(line, sizeof line, file); n++)
        check_reference(line);
    fclose(file);
    assert_true(n >= 5);
}

static void one_event_is_enough(void **state)
{
    (void)state;
    struct att_json *answer = recommend("{\"model\":\"movies\",\"user\":\"u1\",\"history\":[{\"item\":\"m7\"}]}");
    double sum = 0;
    assert_int_equal(n_items(answer), 10);
    assert_int_equal(place_of(answer, "m7"), -1);
    for (size_t i = 0; i < 10; i++) {
        char path[48];
        sum += number_at(answer, i, "score");
        snprintf(path, sizeof path, "items.%zu.source", i);
        assert_string_equal(fixture_text(answer, path), "sequence");
        assert_true(number_at(answer, i, "reasons.0.event") == 0);
        assert_true(number_at(answer, i, "reasons.0.weight") == 1);
        assert_true(i == 0 || number_at(answer, i, "logit") <= number_at(answer, i - 1, "logit"));
    }
    assert_true(sum > 0 && sum < 1);
    assert_string_equal(fixture_text(answer, "items.0.reasons.0.item"), "m7");
    assert_true(strncmp(fixture_text(answer, "items.0.title"), "Film ", 5) == 0);
    assert_true(fixture_number(answer, "weights.0.weight") == 1);
    assert_int_equal(att_json_count(fixture_at(answer, "unknown")), 0);
    assert_string_equal(fixture_text(answer, "model"), "movies");
    assert_true(strncmp(fixture_text(answer, "id"), "rec-", 4) == 0);
    att_json_destroy(answer);
}

static void items_that_the_table_lacks_are_not_answered(void **state)
{
    (void)state;
    struct att_json *answer =
        recommend("{\"model\":\"movies\",\"history\":[{\"item\":\"m7\"},{\"item\":\"m9\"}],\"top_k\":500}");
    assert_int_equal(n_items(answer), N_TABLE - 2);
    double sum = 0;
    for (size_t i = 0; i < n_items(answer); i++)
        sum += number_at(answer, i, "score");
    assert_true(fabs(sum - 1) < 1e-3);
    att_json_destroy(answer);
    answer = recommend("{\"history\":[{\"item\":\"1\"},{\"item\":\"0\"},{\"item\":\"01\"},{\"item\":\"1202\"},"
                       "{\"item\":\"99999999999999999999999\"},{\"item\":\"1x\"},{\"item\":\"1201\"}]}");
    assert_int_equal(att_json_count(fixture_at(answer, "unknown")), 5);
    assert_string_equal(fixture_text(answer, "unknown.4"), "1x");
    att_json_destroy(answer);
}

static void popular_items_fill_in(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"model\":\"movies\",\"top_k\":3}",
        "{\"model\":\"movies\",\"top_k\":3,\"history\":[],\"user\":null}",
        "{\"model\":\"movies\",\"top_k\":3,\"history\":[{\"item\":\"nothing\"}]}",
        "{\"model\":\"movies\",\"top_k\":3,\"history\":[{\"item\":\"m1\",\"type\":\"rate\",\"value\":1}]}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct att_json *answer = recommend(bodies[i]);
        assert_string_equal(id_at(answer, 0), "m300");
        assert_string_equal(id_at(answer, 1), "m297");
        assert_string_equal(fixture_text(answer, "items.2.source"), "popular");
        assert_true(fabs(number_at(answer, 0, "logit") - log(301)) < 1e-5);
        assert_int_equal(att_json_count(fixture_at(answer, "items.0.reasons")), 0);
        att_json_destroy(answer);
    }
    /* Without a table nothing is known, and the order is that of the indexes. */
    struct att_json *answer = recommend("{\"top_k\":3}");
    assert_string_equal(id_at(answer, 0), "1");
    assert_string_equal(id_at(answer, 2), "3");
    att_json_destroy(answer);
}

static void dislikes_do_not_attract(void **state)
{
    (void)state;
    expect_same("{\"history\":[{\"item\":\"5\",\"value\":1},{\"item\":\"9\",\"value\":5}]}",
                "{\"history\":[{\"item\":\"9\"}],\"exclude\":[\"5\"]}");
    expect_same("{\"history\":[{\"item\":\"5\"},{\"item\":\"9\"},{\"item\":\"5\",\"type\":\"rate\",\"value\":2}]}",
                "{\"history\":[{\"item\":\"9\"}],\"exclude\":[\"5\"]}");
    struct att_json *answer = recommend("{\"history\":[{\"item\":\"5\",\"value\":1},{\"item\":\"9\",\"value\":5}]}");
    assert_true(fixture_number(answer, "weights.0.weight") == 0);
    assert_true(fixture_number(answer, "weights.1.weight") == 1);
    att_json_destroy(answer);
}

static void times_make_the_order(void **state)
{
    (void)state;
    /* So close together that none is older. */
    expect_same("{\"history\":[{\"item\":\"5\",\"time\":0.3},{\"item\":\"9\",\"time\":0.1},"
                "{\"item\":\"7\",\"time\":0.2}]}",
                "{\"history\":[{\"item\":\"9\"},{\"item\":\"7\"},{\"item\":\"5\"}]}");
    /* Reasons name events by their place in the request. */
    struct att_json *answer = recommend("{\"history\":[{\"item\":\"5\",\"time\":30},{\"item\":\"9\",\"time\":10}]}");
    double sum = fixture_number(answer, "weights.0.weight") + fixture_number(answer, "weights.1.weight");
    assert_true(fabs(sum - 1) < 1e-3);
    assert_true(fixture_number(answer, "weights.1.event") == 1);
    for (size_t i = 0; i < n_items(answer); i++) {
        char path[48];
        snprintf(path, sizeof path, "items.%zu.reasons.0.item", i);
        bool first = number_at(answer, i, "reasons.0.event") == 0;
        assert_string_equal(fixture_text(answer, path), first ? "5" : "9");
    }
    att_json_destroy(answer);
}

static void the_newest_events_count(void **state)
{
    (void)state;
    static char body[BODY_BYTES];
    size_t at = (size_t)snprintf(body, sizeof body, "{\"history\":[");
    for (int i = 0; i < 210; i++)
        at += (size_t)snprintf(body + at, sizeof body - at, "%s{\"item\":\"%d\"}", i ? "," : "", 1 + i);
    snprintf(body + at, sizeof body - at, "]}");
    struct att_json *answer = recommend(body);
    assert_true(fixture_number(answer, "weights.9.weight") == 0);
    assert_int_equal(att_json_count(fixture_at(answer, "weights")), 210);
    assert_true(strtol(id_at(answer, 0), NULL, 10) > 210);
    att_json_destroy(answer);
}

static void unknown_items_never_fail(void **state)
{
    (void)state;
    struct att_json *answer = recommend(
        "{\"model\":\"movies\",\"history\":[{\"item\":\"x\"},{\"item\":\"m3\"},{\"item\":\"y\",\"text\":\"film 8\"},"
        "{\"item\":\"x\"}],\"candidates\":[\"m4\",\"z\",\"m4\",{\"id\":\"w\",\"text\":\"film 3\"},"
        "{\"id\":\"m5\",\"text\":\"other\"},{\"id\":\"x\",\"text\":\"seen\"},{\"id\":\"w\",\"text\":\"twice\"},{\"id\":"
        "\"v\",\"text\":\"\"}]}");
    assert_int_equal(n_items(answer), 3);
    assert_true(place_of(answer, "m4") >= 0 && place_of(answer, "m5") >= 0);
    int w = place_of(answer, "w");
    assert_true(w >= 0);
    char path[48];
    snprintf(path, sizeof path, "items.%d.source", w);
    assert_string_equal(fixture_text(answer, path), "content");
    static const char *const unknown[] = {"x", "y", "z", "w", "v"};
    assert_int_equal(att_json_count(fixture_at(answer, "unknown")), 5);
    for (size_t i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "unknown.%zu", i);
        assert_string_equal(fixture_text(answer, path), unknown[i]);
    }
    /* Both kinds of event have a share of what is liked. */
    assert_true(fixture_number(answer, "weights.0.weight") == 0);
    assert_true(fixture_number(answer, "weights.1.weight") > 0 && fixture_number(answer, "weights.2.weight") > 0);
    assert_true(fixture_number(answer, "usage.prompt_tokens") > 0);
    att_json_destroy(answer);
    /* Without texts to compare with there is nothing to rank them by. */
    answer = recommend("{\"history\":[{\"item\":\"3\"}],\"candidates\":[{\"id\":\"w\",\"text\":\"film 3\"},\"4\"]}");
    assert_int_equal(n_items(answer), 1);
    assert_string_equal(fixture_text(answer, "unknown.0"), "w");
    att_json_destroy(answer);
    answer = recommend("{\"history\":[{\"item\":\"3\"}],\"candidates\":[]}");
    assert_int_equal(n_items(answer), 0);
    att_json_destroy(answer);
}

static void texts_find_their_like(void **state)
{
    (void)state;
    struct att_json *answer =
        recommend("{\"model\":\"movies\",\"history\":[{\"item\":\"new\",\"text\":\"film 42\"}],\"top_k\":4}");
    assert_string_equal(id_at(answer, 0), "m42");
    assert_string_equal(fixture_text(answer, "items.0.source"), "content");
    assert_string_equal(fixture_text(answer, "items.0.reasons.0.item"), "new");
    assert_true(fixture_number(answer, "weights.0.weight") == 1);
    att_json_destroy(answer);
    answer = recommend("{\"model\":\"movies\",\"interest\":\"film 42\",\"top_k\":500}");
    assert_string_equal(fixture_text(answer, "items.0.source"), "content");
    assert_true(place_of(answer, "m42") >= 0 && place_of(answer, "m42") < 20);
    att_json_destroy(answer);
    answer = recommend("{\"model\":\"movies\",\"history\":[{\"item\":\"m7\"}],\"interest\":\"film 42\",\"top_k\":500,"
                       "\"candidates\":[\"m42\",\"m43\",{\"id\":\"n\",\"text\":\"film 42\"}]}");
    assert_int_equal(n_items(answer), 3);
    assert_true(place_of(answer, "n") < place_of(answer, "m43") || place_of(answer, "m42") < place_of(answer, "m43"));
    att_json_destroy(answer);
    /* A blank interest is none. */
    expect_same("{\"history\":[{\"item\":\"3\"}],\"interest\":\" \\n\"}", "{\"history\":[{\"item\":\"3\"}]}");
}

static void exclusion_is_by_id(void **state)
{
    (void)state;
    struct att_json *all =
        recommend("{\"model\":\"movies\",\"history\":[{\"item\":\"m7\"}],\"exclude_seen\":false,\"top_k\":500}");
    assert_int_equal(n_items(all), N_TABLE);
    assert_true(place_of(all, "m7") >= 0);
    char body[512];
    snprintf(body, sizeof body,
             "{\"model\":\"movies\",\"history\":[{\"item\":\"m7\"}],\"exclude\":[\"%s\",\"what\",\"c\"],"
             "\"candidates\":[\"%s\",\"m7\",\"m8\",{\"id\":\"c\",\"text\":\"film\"},{\"id\":\"d\",\"text\":\"film\"}]}",
             id_at(all, 0), id_at(all, 0));
    struct att_json *answer = recommend(body);
    assert_int_equal(n_items(answer), strcmp(id_at(all, 0), "m8") == 0 ? 1 : 2);
    assert_true(place_of(answer, "d") >= 0);
    assert_int_equal(place_of(answer, "c"), -1);
    att_json_destroy(answer);
    att_json_destroy(all);
}

static void diversity_reorders(void **state)
{
    (void)state;
    const char *models[] = {"bare", "movies"};
    for (size_t m = 0; m < 2; m++) {
        char body[256];
        const char *prefix = m ? "m" : "";
        snprintf(body, sizeof body, "{\"model\":\"%s\",\"history\":[{\"item\":\"%s9\"}],\"diversity\":0}", models[m],
                 prefix);
        struct att_json *plain = recommend(body);
        snprintf(body, sizeof body, "{\"model\":\"%s\",\"history\":[{\"item\":\"%s9\"}],\"diversity\":0.9}", models[m],
                 prefix);
        struct att_json *diverse = recommend(body);
        size_t moved = 0;
        assert_int_equal(n_items(diverse), 10);
        assert_string_equal(id_at(plain, 0), id_at(diverse, 0));
        for (size_t i = 0; i < 10; i++) {
            moved += strcmp(id_at(plain, i), id_at(diverse, i)) != 0;
            for (size_t k = 0; k < i; k++)
                assert_string_not_equal(id_at(diverse, i), id_at(diverse, k));
        }
        assert_true(moved > 0);
        att_json_destroy(plain);
        att_json_destroy(diverse);
    }
}

static void explanations_can_be_left_out(void **state)
{
    (void)state;
    struct att_json *answer = recommend("{\"history\":[{\"item\":\"9\"}],\"explain\":false}");
    assert_null(att_json_get(answer, "weights"));
    assert_null(att_json_get(fixture_at(answer, "items.0"), "reasons"));
    assert_non_null(att_json_get(answer, "unknown"));
    assert_non_null(att_json_get(answer, "timing_ms"));
    att_json_destroy(answer);
}

static void refused(const char *body, enum att_status status, const char *param, const char *words)
{
    fixture_refused(&task_recommend, body, status, param, words);
}

static void refusals_name_the_field(void **state)
{
    (void)state;
    refused("{\"histroy\":[]}", ATT_EINVAL, "histroy", "is not a field");
    refused("{\"model\":\"plain\"}", ATT_EUNSUPPORTED, "model", "is no recommender");
    refused("{\"model\":\"none\"}", ATT_ENOTFOUND, "model", "no model named");
    refused("{\"user\":7}", ATT_EINVAL, "user", "expected a string");
    refused("{\"history\":{}}", ATT_EINVAL, "history", "is object, expected an array");
    refused("{\"history\":[\"m1\"]}", ATT_EINVAL, "history[0]", "expected an object");
    refused("{\"history\":[{}]}", ATT_EINVAL, "history[0].item", "expected a text");
    refused("{\"history\":[{\"item\":\"1\"},{\"item\":12}]}", ATT_EINVAL, "history[1].item", "is number");
    refused("{\"history\":[{\"item\":\"\"}]}", ATT_EINVAL, "history[0].item", "expected 1 to 256");
    refused("{\"history\":[{\"item\":\"1\",\"type\":\"like\"}]}", ATT_EINVAL, "history[0].type", "\"buy\"");
    refused("{\"history\":[{\"item\":\"1\",\"value\":5.5}]}", ATT_EINVAL, "history[0].value", "expected 0 to 5");
    refused("{\"history\":[{\"item\":\"1\",\"value\":\"5\"}]}", ATT_EINVAL, "history[0].value", "is string");
    refused("{\"history\":[{\"item\":\"1\",\"time\":1763900000000}]}", ATT_EINVAL, "history[0].time",
            "is 1763900000000");
    refused("{\"history\":[{\"item\":\"1\",\"text\":[]}]}", ATT_EINVAL, "history[0].text", "is array");
    refused("{\"history\":[{\"item\":\"1\",\"when\":1}]}", ATT_EINVAL, "history[0].when", "is not a field");
    refused("{\"interest\":3}", ATT_EINVAL, "interest", "expected a text");
    refused("{\"interest\":\"running shoes\"}", ATT_EUNSUPPORTED, "interest", "attend items index");
    refused("{\"candidates\":\"m1\"}", ATT_EINVAL, "candidates", "expected an array");
    refused("{\"candidates\":[\"m1\",3]}", ATT_EINVAL, "candidates[1]", "expected an id or");
    refused("{\"candidates\":[{\"text\":\"a\"}]}", ATT_EINVAL, "candidates[0].id", "expected a text");
    refused("{\"candidates\":[{\"id\":\"a\",\"text\":1}]}", ATT_EINVAL, "candidates[0].text", "is number");
    refused("{\"candidates\":[{\"id\":\"a\",\"txt\":\"\"}]}", ATT_EINVAL, "candidates[0].txt", "is not a field");
    refused("{\"exclude\":[1]}", ATT_EINVAL, "exclude[0]", "is number");
    refused("{\"exclude\":{}}", ATT_EINVAL, "exclude", "expected an array");
    refused("{\"exclude_seen\":1}", ATT_EINVAL, "exclude_seen", "true or false");
    refused("{\"explain\":\"rollout\"}", ATT_EINVAL, "explain", "attention");
    refused("{\"explain\":3}", ATT_EINVAL, "explain", "true or false");
    refused("{\"faithfulness\":true}", ATT_EINVAL, "faithfulness", "occlusion");
    refused("{\"top_k\":0}", ATT_EINVAL, "top_k", "expected an integer from 1 to 500");
    refused("{\"top_k\":501}", ATT_EINVAL, "top_k", "from 1 to 500");
    refused("{\"diversity\":1.5}", ATT_EINVAL, "diversity", "expected 0 to 1");
    refused("{\"diversity\":0.5,\"top_k\":201}", ATT_EINVAL, "top_k", "at most 200 with diversity");
    refused("{\"deadline_ms\":0}", ATT_EINVAL, "deadline_ms", "expected an integer");
}

static void limits_are_told(void **state)
{
    (void)state;
    static char body[BODY_BYTES];
    for (int kind = 0; kind < 3; kind++) {
        static const char *const names[] = {"history", "candidates", "exclude"};
        size_t at = (size_t)snprintf(body, sizeof body, "{\"%s\":[", names[kind]);
        for (int i = 0; i <= (kind == 0 ? 400 : 500); i++)
            at += (size_t)snprintf(body + at, sizeof body - at, "%s%s", i ? "," : "",
                                   kind == 0 ? "{\"item\":\"1\"}" : "\"1\"");
        snprintf(body + at, sizeof body - at, "]}");
        refused(body, ATT_ELIMIT, names[kind], "expected at most");
    }
    char *text = fixture_body("{\"model\":\"movies\",\"interest\":\"%s\"}", "film", 2100);
    refused(text, ATT_ELIMIT, "interest", "");
    free(text);
    /* A text longer than the encoder is read in windows. */
    text = fixture_body("{\"model\":\"movies\",\"interest\":\"%s\",\"top_k\":1}", "film", 200);
    att_json_destroy(recommend(text));
    free(text);
}

static void equal_requests_get_equal_answers(void **state)
{
    (void)state;
    static const char body[] = "{\"model\":\"movies\","
                               "\"history\":[{\"item\":\"m7\"},{\"item\":\"q\",\"text\":\"film\"}],"
                               "\"interest\":\"film 3\",\"diversity\":0.3,\"top_k\":50}";
    expect_same(body, body);
}

/* Every failed allocation is an error of its own kind, and leaves nothing behind. */
static void survives_failed_allocations(void **state)
{
    (void)state;
    static const char text[] = "{\"model\":\"movies\","
                               "\"history\":[{\"item\":\"m7\"},{\"item\":\"q\",\"text\":\"film\"}],"
                               "\"interest\":\"film 3\",\"diversity\":0.3,"
                               "\"candidates\":[\"m9\",{\"id\":\"n\",\"text\":\"x\"}]}";
    struct att_json *body = NULL;
    struct att_err err;
    assert_int_equal(att_json_parse(text, strlen(text), 0, 8, &body, &err), ATT_OK);
    char *answer = NULL;
    for (uint64_t k = 1; !answer; k++) {
        struct task_contexts *contexts = NULL;
        size_t len = 0;
        assert_int_equal(task_contexts_create(&contexts, &err), ATT_OK);
        att_mem_fail_at(k, false);
        enum att_status status = task_run(contexts, &task_recommend, &fixture_env, body, &answer, &len, &err);
        att_mem_fail_at(0, false);
        assert_true(status == ATT_OK ? answer != NULL : status == ATT_ENOMEM);
        assert_true(k < 2000);
        task_contexts_destroy(contexts);
    }
    att_mem_free(answer);
    att_json_destroy(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_as_the_model_does),
        cmocka_unit_test(one_event_is_enough),
        cmocka_unit_test(items_that_the_table_lacks_are_not_answered),
        cmocka_unit_test(popular_items_fill_in),
        cmocka_unit_test(dislikes_do_not_attract),
        cmocka_unit_test(times_make_the_order),
        cmocka_unit_test(the_newest_events_count),
        cmocka_unit_test(unknown_items_never_fail),
        cmocka_unit_test(texts_find_their_like),
        cmocka_unit_test(exclusion_is_by_id),
        cmocka_unit_test(diversity_reorders),
        cmocka_unit_test(explanations_can_be_left_out),
        cmocka_unit_test(refusals_name_the_field),
        cmocka_unit_test(limits_are_told),
        cmocka_unit_test(equal_requests_get_equal_answers),
        cmocka_unit_test(survives_failed_allocations),
    };
    return cmocka_run_group_tests_name("tasks/recommend", tests, start, stop);
}
