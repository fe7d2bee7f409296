/* Replies and knowledge-base administration, from request bodies to the stored file and back. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/kb.h"

static char folder[64], path[96];
static struct task_model encoder = {.name = "encoder"};
static struct task_kb kb = {.name = "shop", .encoder = &encoder};
static struct task_env env;
static int64_t now_s;

static const struct task_kb *find_kb(void *context, const char *name)
{
    (void)context;
    return !name || strcmp(name, "shop") == 0 ? &kb : NULL;
}

static int start(void **state)
{
    if (fixture_start(state) != 0)
        return -1;
    encoder.model = fixture_model("encoder");
    env = fixture_env;
    env.find_kb = find_kb;
    snprintf(folder, sizeof folder, "/tmp/attend-reply-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/kb.db", folder);
    const struct att_model_info *info = att_model_info(encoder.model);
    return store_kb_open(path, info->digest, info->hidden_size, &kb.kb, NULL) == ATT_OK ? 0 : -1;
}

static int stop(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char name[120];
    store_kb_close(kb.kb);
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
    return rmdir(folder) == 0 ? fixture_stop(state) : -1;
}

/* Runs a task with the {kb} and {id} of its path. The status; the parsed answer when it is ATT_OK. */
static enum att_status run(const struct task *task, const char *id, const char *body, struct att_json **ret_answer,
                           struct att_err *err)
{
    struct att_json *json = NULL;
    struct att_arena arena;
    struct att_jsonw w;
    char *text = NULL;
    size_t len = 0;
    att_arena_init(&arena, 16 << 20);
    att_jsonw_init(&w, 1 << 20);
    if (body)
        assert_int_equal(att_json_parse(body, strlen(body), 0, 32, &json, err), ATT_OK);
    struct task_call call = {
        .task = task, .env = &env, .arena = &arena, .path_params = {"shop", id}, .now_ms = now_s * 1000};
    enum att_status status = task->parse(&call, json, err);
    struct att_context *context = NULL;
    if (status == ATT_OK)
        assert_int_equal(att_context_create(encoder.model, 256, 1, &context, NULL), ATT_OK);
    while (status == ATT_OK && call.n_jobs > 0) {
        for (size_t i = 0; i < call.n_jobs; i++) {
            struct task_job *job = &call.jobs[i];
            task_jobs_run(context, &job, 1);
            assert_int_equal(job->status, ATT_OK);
        }
        if (!task->advance)
            break;
        status = task->advance(&call, err);
    }
    if (status == ATT_OK)
        status = task->render(&call, &w, err);
    if (status == ATT_OK)
        status = att_jsonw_take(&w, &text, &len, err);
    if (status == ATT_OK)
        assert_int_equal(att_json_parse(text, len, 0, 32, ret_answer, err), ATT_OK);
    if (task->finish)
        task->finish(&call);
    att_mem_free(text);
    att_jsonw_finish(&w);
    att_context_destroy(context);
    att_json_destroy(json);
    att_arena_finish(&arena);
    return status;
}

static struct att_json *answer(const struct task *task, const char *id, const char *body)
{
    struct att_json *json = NULL;
    struct att_err err = {.message = ""};
    if (run(task, id, body, &json, &err) != ATT_OK)
        fail_msg("%s: %s", body ? body : "", err.message);
    return json;
}

static const char entries[] =
    "{\"entries\":["
    "{\"id\":1,\"question\":\"Where is my order?\",\"alternates\":[\"track my parcel\"],\"answer\":\"In My orders.\","
    "\"lang\":\"en\",\"metadata\":{\"topic\":\"orders\",\"n\":3},\"prompts\":[2]},"
    "{\"id\":2,\"question\":\"How long does delivery take?\",\"answer\":\"Two days.\",\"context_only\":true},"
    "{\"id\":3,\"question\":\"怎么退货？\",\"alternates\":[\"我想退货\"],\"answer\":\"打开订单。\",\"lang\":\"zh\"}]}";

static void writes_reads_and_removes(void **state)
{
    (void)state;
    struct att_json *json = answer(&task_kb_put, NULL, entries);
    assert_int_equal((int)fixture_number(json, "entries"), 3);
    att_json_destroy(json);
    json = answer(&task_kb_entry_get, "1", NULL);
    assert_string_equal(fixture_text(json, "alternates.0"), "track my parcel");
    assert_string_equal(fixture_text(json, "metadata.topic"), "orders");
    att_json_destroy(json);
    json = answer(&task_kb_entry_put, "9", "{\"question\":\"Hi\",\"answer\":\"Hello\"}");
    assert_int_equal((int)fixture_number(json, "entries"), 4);
    att_json_destroy(json);
    json = answer(&task_kb_entries_get, NULL, NULL);
    assert_int_equal((int)fixture_number(json, "entries.3.id"), 9);
    att_json_destroy(json);
    att_json_destroy(answer(&task_kb_entry_delete, "9", NULL));
    json = answer(&task_kb_get, NULL, NULL);
    assert_int_equal((int)fixture_number(json, "entries"), 3);
    assert_int_equal((int)fixture_number(json, "texts"), 5);
    assert_int_equal((int)fixture_number(json, "languages.zh"), 1);
    assert_int_equal((int)fixture_number(json, "languages.en"), 1);
    att_json_destroy(json);
}

static void refuses_bad_entries(void **state)
{
    (void)state;
    static const struct {
        const struct task *task;
        const char *id, *body, *says;
    } cases[] = {
        {&task_kb_put, NULL, "{}", "entries"},
        {&task_kb_put, NULL, "{\"entries\":[]}", "entries: is empty"},
        {&task_kb_put, NULL, "{\"entries\":[3]}", "entries[0]"},
        {&task_kb_put, NULL, "{\"entries\":[{\"question\":\"a\",\"answer\":\"b\"}]}", "entries[0].id: is missing"},
        {&task_kb_put, NULL, "{\"entries\":[{\"id\":1,\"answer\":\"b\"}]}", "entries[0].question: is missing"},
        {&task_kb_put, NULL, "{\"entries\":[{\"id\":1,\"question\":\"\",\"answer\":\"b\"}]}", "question: is empty"},
        {&task_kb_put, NULL, "{\"entries\":[{\"id\":1,\"question\":\"a\",\"answer\":\"b\",\"x\":1}]}", "entries[0].x"},
        {&task_kb_put, NULL,
         "{\"entries\":[{\"id\":1,\"question\":\"a\",\"answer\":\"b\"},{\"id\":1,\"question\":\"a\",\"answer\":\"b\"}]"
         "}",
         "entries[1].id: 1 stands in entries[0] already"},
        {&task_kb_put, NULL, "{\"entries\":[{\"id\":1,\"question\":\"a\",\"answer\":\"b\",\"prompts\":[\"c\"]}]}",
         "prompts[0]"},
        {&task_kb_put, NULL, "{\"entries\":[{\"id\":1,\"question\":\"a\",\"answer\":\"b\",\"metadata\":[]}]}",
         "entries[0].metadata: is array"},
        {&task_kb_entry_put, "7", "{\"question\":3,\"answer\":\"b\"}", "question: is number"},
        {&task_kb_entry_put, "7", "[]", "the body"},
        {&task_kb_entry_put, "7", "{\"id\":8,\"question\":\"a\",\"answer\":\"b\"}", "differs"},
        {&task_kb_entry_get, "77", NULL, "no entry 77"},
        {&task_kb_entry_get, "1x", NULL, "number"},
        {&task_kb_entry_get, "-1", NULL, "number"},
        {&task_kb_entry_delete, "99999999999999999999", NULL, "number"},
    };
    att_json_destroy(answer(&task_kb_put, NULL, entries));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_json *json = NULL;
        struct att_err err = {.message = ""};
        assert_int_not_equal(run(cases[i].task, cases[i].id, cases[i].body, &json, &err), ATT_OK);
        assert_null(json);
        if (!strstr(err.message, cases[i].says))
            fail_msg("case %zu: '%s' does not say '%s'", i, err.message, cases[i].says);
    }
    struct att_json *json = answer(&task_kb_get, NULL, NULL);
    assert_int_equal((int)fixture_number(json, "entries"), 3);
    att_json_destroy(json);
}

static void answers_stored_questions(void **state)
{
    (void)state;
    att_json_destroy(answer(&task_kb_put, NULL, entries));
    static const struct {
        const char *body, *decision;
        int id;
    } cases[] = {
        {"{\"question\":\"Where is my order?\"}", "answered", 1},
        {"{\"question\":\"TRACK MY PARCEL\"}", "answered", 1},
        {"{\"question\":\"怎么退货？\"}", "answered", 3},
        {"{\"question\":\"Where is my order?\",\"threshold\":1,\"margin\":0,\"top\":1}", "answered", 1},
        {"{\"question\":\"请问现在几点\"}", "handoff", 0},
        {"{\"question\":\"Where is my order?\",\"filters\":{\"metadata\":{\"topic\":\"orders\",\"n\":3}}}", "answered",
         1},
        {"{\"question\":\"Where is my order?\",\"filters\":{\"metadata\":{\"topic\":\"x\",\"n\":3},\"logic\":\"or\"}}",
         "answered", 1},
        {"{\"question\":\"Where is my order?\",\"filters\":{\"metadata\":{\"topic\":\"x\"}}}", "handoff", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_json *json = answer(&task_reply, NULL, cases[i].body);
        if (strcmp(fixture_text(json, "decision"), cases[i].decision) != 0)
            fail_msg("%s: %s", cases[i].body, fixture_text(json, "decision"));
        if (cases[i].id)
            assert_int_equal((int)fixture_number(json, "answers.0.id"), cases[i].id);
        att_json_destroy(json);
    }
}

static void margin_turns_answers_into_questions(void **state)
{
    (void)state;
    att_json_destroy(answer(&task_kb_put, NULL,
                            "{\"entries\":[{\"id\":1,\"question\":\"return an item\",\"answer\":\"a\"},"
                            "{\"id\":2,\"question\":\"return an item now\",\"answer\":\"b\"}]}"));
    struct att_json *json =
        answer(&task_reply, NULL, "{\"question\":\"return an item\",\"threshold\":0.1,\"margin\":1}");
    assert_string_equal(fixture_text(json, "decision"), "clarify");
    assert_true(fixture_number(json, "answers.0.score") >= fixture_number(json, "answers.1.score"));
    att_json_destroy(json);
    json = answer(&task_reply, NULL, "{\"question\":\"return an item\",\"threshold\":0.1,\"margin\":0}");
    assert_string_equal(fixture_text(json, "decision"), "answered");
    att_json_destroy(json);
}

static void follow_ups_need_a_dialogue(void **state)
{
    (void)state;
    att_json_destroy(answer(&task_kb_put, NULL, entries));
    struct att_json *json = answer(&task_reply, NULL, "{\"question\":\"How long does delivery take?\"}");
    for (size_t i = 0; i < att_json_count(att_json_get(json, "answers")); i++)
        assert_true(att_json_number(att_json_get(att_json_at(att_json_get(json, "answers"), i), "id"), 0) != 2);
    att_json_destroy(json);
    json = answer(
        &task_reply, NULL,
        "{\"question\":\"How long does delivery take?\",\"context\":[{\"role\":\"user\",\"content\":\"Where is my "
        "order?\"},{\"role\":\"assistant\",\"content\":\"In My orders.\"}]}");
    assert_int_equal((int)fixture_number(json, "answers.0.id"), 2);
    att_json_destroy(json);
    json = answer(&task_reply, NULL, "{\"question\":\"How long does delivery take?\",\"previous_id\":1}");
    assert_int_equal((int)fixture_number(json, "answers.0.id"), 2);
    att_json_destroy(json);
}

/* The assistant's turn is an entry's own answer: its prompts gain, however the user had asked. */
static void an_answer_given_back_names_its_entry(void **state)
{
    (void)state;
    static const char format[] = "{\"question\":\"and then?\",\"context\":[{\"role\":\"user\",\"content\":\"hello\"},"
                                 "{\"role\":\"assistant\",\"content\":\"%s\"}]}";
    char said[256], other[256];
    att_json_destroy(answer(&task_kb_put, NULL, entries));
    snprintf(said, sizeof said, format, "In My orders.");
    snprintf(other, sizeof other, format, "打开订单。");
    struct att_json *json = answer(&task_reply, NULL, said), *without = answer(&task_reply, NULL, other);
    double gained = 0, plain = 0;
    for (size_t i = 0; i < 3; i++) {
        const struct att_json *a = att_json_at(att_json_get(json, "answers"), i);
        const struct att_json *b = att_json_at(att_json_get(without, "answers"), i);
        if (att_json_number(att_json_get(a, "id"), 0) == 2)
            gained = att_json_number(att_json_get(a, "score"), 0);
        if (att_json_number(att_json_get(b, "id"), 0) == 2)
            plain = att_json_number(att_json_get(b, "score"), 0);
    }
    assert_true(gained > plain);
    att_json_destroy(json);
    att_json_destroy(without);
}

static const char seasonal[] =
    "{\"entries\":["
    "{\"id\":1,\"question\":\"winter sale\",\"answer\":\"Over.\",\"valid_until\":1000},"
    "{\"id\":2,\"question\":\"winter sale\",\"answer\":\"Now.\",\"valid_from\":1000,\"valid_until\":2000},"
    "{\"id\":3,\"question\":\"winter sale\",\"answer\":\"Soon.\",\"valid_from\":2000},"
    "{\"id\":4,\"question\":\"thank you\",\"answer\":\"Welcome.\",\"chitchat\":true},"
    "{\"id\":5,\"question\":\"thank you\",\"answer\":\"We thank you for your payment.\",\"lang\":\"de\"}]}";

static void entries_answer_in_their_time_alone(void **state)
{
    (void)state;
    static const struct {
        int64_t now_s;
        const char *answer;
    } cases[] = {{0, "Over."}, {999, "Over."}, {1000, "Now."}, {1999, "Now."}, {2000, "Soon."}};
    att_json_destroy(answer(&task_kb_put, NULL, seasonal));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        now_s = cases[i].now_s;
        struct att_json *json = answer(&task_reply, NULL, "{\"question\":\"winter sale\"}");
        assert_string_equal(fixture_text(json, "answers.0.answer"), cases[i].answer);
        assert_string_equal(fixture_text(json, "decision"), "answered");
        att_json_destroy(json);
    }
    now_s = 0;
}

static void prompts_are_offered_in_their_time_alone(void **state)
{
    (void)state;
    static const struct {
        int64_t now_s;
        int prompt;
    } cases[] = {{999, 2}, {1000, 3}, {1999, 3}, {2000, 4}};
    att_json_destroy(
        answer(&task_kb_put, NULL,
               "{\"entries\":[{\"id\":1,\"question\":\"winter sale\",\"answer\":\"Ask.\",\"prompts\":[2,3,4]},"
               "{\"id\":2,\"question\":\"before\",\"answer\":\"Over.\",\"valid_until\":1000},"
               "{\"id\":3,\"question\":\"now\",\"answer\":\"Now.\",\"valid_from\":1000,\"valid_until\":2000},"
               "{\"id\":4,\"question\":\"later\",\"answer\":\"Soon.\",\"valid_from\":2000}]}"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        now_s = cases[i].now_s;
        struct att_json *json = answer(&task_reply, NULL, "{\"question\":\"winter sale\"}");
        assert_int_equal((int)fixture_number(json, "answers.0.id"), 1);
        assert_int_equal(att_json_count(fixture_at(json, "answers.0.prompts")), 1);
        assert_int_equal((int)fixture_number(json, "answers.0.prompts.0.id"), cases[i].prompt);
        att_json_destroy(json);
    }
    now_s = 0;
}

/* Of two that are equally near, business comes first, and small talk is no reason to ask back. */
static void small_talk_steps_back(void **state)
{
    (void)state;
    att_json_destroy(answer(&task_kb_put, NULL, seasonal));
    struct att_json *json = answer(&task_reply, NULL, "{\"question\":\"thank you\"}");
    assert_string_equal(fixture_text(json, "decision"), "answered");
    assert_int_equal((int)fixture_number(json, "answers.0.id"), 5);
    assert_true(att_json_bool(fixture_at(json, "answers.1.chitchat"), false));
    att_json_destroy(json);
    json = answer(&task_reply, NULL, "{\"question\":\"thank you\",\"lang\":\"fr\"}");
    assert_int_equal((int)fixture_number(json, "answers.0.id"), 4);
    att_json_destroy(json);
    json = answer(&task_reply, NULL, "{\"question\":\"thank you\",\"filters\":{\"lang\":\"de\"}}");
    assert_int_equal(att_json_count(att_json_get(json, "answers")), 1);
    att_json_destroy(json);
}

static void a_question_back_names_its_options(void **state)
{
    (void)state;
    att_json_destroy(answer(&task_kb_put, NULL,
                            "{\"entries\":[{\"id\":1,\"question\":\"return an item\",\"answer\":\"a\"},"
                            "{\"id\":2,\"question\":\"return an item now\",\"answer\":\"b\"},"
                            "{\"id\":3,\"question\":\"return an item here\",\"answer\":\"a\"}]}"));
    struct att_json *json =
        answer(&task_reply, NULL, "{\"question\":\"return an item\",\"threshold\":0.5,\"margin\":0.5,\"top\":1}");
    if (strcmp(fixture_text(json, "decision"), "clarify") == 0) {
        assert_int_equal(att_json_count(att_json_get(json, "options")), 2); /* what says the same is no option */
        assert_int_equal((int)fixture_number(json, "options.0.id"), 1);
        assert_int_equal((int)fixture_number(json, "options.1.id"), 2);
        assert_string_equal(fixture_text(json, "options.1.text"), "return an item now");
    } else {
        fail_msg("%s", fixture_text(json, "decision"));
    }
    att_json_destroy(json);
}

static void the_part_that_answers_is_found(void **state)
{
    (void)state;
    static const char text[] = "Parcels leave at noon. The fee is 3.95 euro. 周末不发货。";
    char body[512];
    snprintf(body, sizeof body,
             "{\"entries\":[{\"id\":1,\"question\":\"parcel fee\",\"answer\":\"%s\"},"
             "{\"id\":2,\"question\":\"opening hours\",\"answer\":\"Nine to five.\"}]}",
             text);
    att_json_destroy(answer(&task_kb_put, NULL, body));
    struct att_json *json = answer(&task_reply, NULL, "{\"question\":\"the fee is 3.95 euro\",\"span\":true}");
    assert_int_equal((int)fixture_number(json, "answers.0.id"), 1);
    assert_string_equal(fixture_text(json, "answers.0.span.text"), "The fee is 3.95 euro.");
    assert_memory_equal(text + (size_t)fixture_number(json, "answers.0.span.start"), "The fee", 7);
    assert_int_equal((int)fixture_number(json, "answers.0.span.end"), 44);
    assert_string_equal(fixture_text(json, "answers.1.span.text"), "Nine to five.");
    att_json_destroy(json);
    json = answer(&task_reply, NULL, "{\"question\":\"opening hours\",\"span\":true,\"top\":1}");
    assert_string_equal(fixture_text(json, "answers.0.span.text"), "Nine to five.");
    att_json_destroy(json);
}

static void features_say_what_the_score_is_made_of(void **state)
{
    (void)state;
    att_json_destroy(answer(&task_kb_put, NULL, entries));
    struct att_json *json =
        answer(&task_reply, NULL, "{\"question\":\"Where is my order?\",\"explain\":\"features\",\"generate\":true}");
    assert_true(fixture_number(json, "answers.0.features.best") > 0.999);
    assert_true(fixture_number(json, "answers.0.features.lexical") > 0.999);
    assert_true(fixture_number(json, "answers.0.features.lead") > 0);
    assert_true(att_json_type(att_json_get(json, "generated")) == ATT_JSON_NULL);
    assert_false(att_json_bool(fixture_at(json, "generate.available"), true));
    att_json_destroy(json);
}

static void a_calibration_in_the_file_is_used(void **state)
{
    (void)state;
    static const char row[] =
        "{\"best\":1,\"near\":0,\"lexical\":0,\"covered\":0,\"floor\":0.5,\"half\":0.7,\"knee\":0.8,"
        "\"per_s\":0,\"per_lead\":0,\"bias\":1}";
    char fit[1024];
    att_json_destroy(answer(&task_kb_put, NULL, entries));
    snprintf(fit, sizeof fit, "{\"threshold\":0.9,\"margin\":0.2,\"latin\":%s,\"cjk\":%s}", row, row);
    assert_int_equal(store_kb_fit_put(kb.kb, fit, NULL), ATT_OK);
    struct att_json *json = answer(&task_reply, NULL, "{\"question\":\"Where is my order?\"}");
    assert_string_equal(fixture_text(json, "calibration"), "fitted");
    assert_true(fixture_number(json, "threshold") == 0.9 && fixture_number(json, "margin") == 0.2);
    assert_true(fixture_number(json, "answers.0.logit") == 1);
    att_json_destroy(json);
    json = answer(&task_kb_get, NULL, NULL);
    assert_true(fixture_number(json, "fit.latin.floor") == 0.5);
    att_json_destroy(json);
    assert_int_equal(store_kb_fit_put(kb.kb, "{\"threshold\":0.9,\"margin\":0.2}", NULL), ATT_OK);
    struct att_err err = {.message = ""};
    assert_int_equal(run(&task_reply, NULL, "{\"question\":\"a\"}", &json, &err), ATT_EFORMAT);
    assert_non_null(strstr(err.message, "calibration is damaged: latin.best"));
    assert_int_equal(store_kb_fit_put(kb.kb, NULL, NULL), ATT_OK);
}

static void refuses_bad_questions(void **state)
{
    (void)state;
    static const struct {
        const char *body, *param;
    } cases[] = {
        {"{}", "question"},
        {"{\"question\":\"\"}", "question"},
        {"{\"question\":3}", "question"},
        {"{\"question\":\"a\",\"kb\":\"other\"}", "kb"},
        {"{\"question\":\"a\",\"kb\":3}", "kb"},
        {"{\"question\":\"a\",\"top\":0}", "top"},
        {"{\"question\":\"a\",\"top\":1e9}", "top"},
        {"{\"question\":\"a\",\"threshold\":2}", "threshold"},
        {"{\"question\":\"a\",\"margin\":\"x\"}", "margin"},
        {"{\"question\":\"a\",\"context\":\"x\"}", "context"},
        {"{\"question\":\"a\",\"context\":[{\"role\":\"king\",\"content\":\"x\"}]}", "context[0].role"},
        {"{\"question\":\"a\",\"context\":[{\"content\":\"x\"}]}", "context[0]"},
        {"{\"question\":\"a\",\"context\":[{\"role\":\"user\",\"content\":null}]}", "context[0].content"},
        {"{\"question\":\"a\",\"filters\":{\"x\":1}}", "filters.x"},
        {"{\"question\":\"a\",\"generate\":\"yes\"}", "generate"},
        {"{\"question\":\"a\",\"span\":1}", "span"},
        {"{\"question\":\"a\",\"rewrite\":\"best\"}", "rewrite"},
        {"{\"question\":\"a\",\"lang\":7}", "lang"},
        {"{\"question\":\"a\",\"filters\":{\"lang\":[]}}", "filters.lang"},
        {"{\"question\":\"a\",\"previous_id\":-1}", "previous_id"},
        {"{\"question\":\"a\",\"questoin\":\"a\"}", "questoin"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct att_json *json = NULL;
        struct att_err err = {.message = ""};
        assert_int_not_equal(run(&task_reply, NULL, cases[i].body, &json, &err), ATT_OK);
        if (strcmp(err.param, cases[i].param) != 0)
            fail_msg("%s: param '%s', expected '%s' (%s)", cases[i].body, err.param, cases[i].param, err.message);
    }
}

static void an_empty_knowledge_base_hands_off(void **state)
{
    (void)state;
    att_json_destroy(answer(&task_kb_delete, NULL, NULL));
    struct att_json *json =
        answer(&task_reply, NULL, "{\"question\":\"Where is my order?\",\"explain\":\"attention\"}");
    assert_string_equal(fixture_text(json, "decision"), "handoff");
    assert_int_equal(att_json_count(att_json_get(json, "answers")), 0);
    assert_true(att_json_count(fixture_at(json, "explain.tokens")) > 0);
    att_json_destroy(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_reads_and_removes),
        cmocka_unit_test(refuses_bad_entries),
        cmocka_unit_test(answers_stored_questions),
        cmocka_unit_test(margin_turns_answers_into_questions),
        cmocka_unit_test(follow_ups_need_a_dialogue),
        cmocka_unit_test(an_answer_given_back_names_its_entry),
        cmocka_unit_test(entries_answer_in_their_time_alone),
        cmocka_unit_test(prompts_are_offered_in_their_time_alone),
        cmocka_unit_test(small_talk_steps_back),
        cmocka_unit_test(a_question_back_names_its_options),
        cmocka_unit_test(the_part_that_answers_is_found),
        cmocka_unit_test(features_say_what_the_score_is_made_of),
        cmocka_unit_test(a_calibration_in_the_file_is_used),
        cmocka_unit_test(refuses_bad_questions),
        cmocka_unit_test(an_empty_knowledge_base_hands_off),
    };
    return cmocka_run_group_tests_name("tasks/reply", tests, start, stop);
}
