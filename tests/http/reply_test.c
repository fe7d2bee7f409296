/* Customer-service replies on a live daemon: entries with times and small talk, listing and export. */
#include "live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>
#include <unistd.h>

static struct live live;

static struct reply ask(const char *method, const char *path, const char *body)
{
    return live_ask_quoted(&live, method, path, body);
}

static struct att_json *ok(const char *method, const char *path, const char *body)
{
    return expect_json(ask(method, path, body), 200);
}

static void done(const char *method, const char *path, const char *body)
{
    att_json_destroy(ok(method, path, body));
}

static double number(const struct att_json *json, const char *name)
{
    return att_json_number(att_json_get(json, name), -1);
}

static bool has_id(const struct att_json *list, double id)
{
    for (size_t i = 0; i < att_json_count(list); i++) {
        const struct att_json *item = att_json_at(list, i);
        if ((att_json_is_object(item) ? number(item, "id") : att_json_number(item, -1)) == id)
            return true;
    }
    return false;
}

static const char shop[] =
    "{'entries':["
    "{'id':1,'lang':'en','question':'Where is my order?','alternates':['track my parcel'],'answer':'In My orders.'},"
    "{'id':2,'lang':'en','question':'Is there a winter sale?','answer':'Yes, until the end of 2001.',"
    "'valid_from':'2001-12-01','valid_until':'2002-01-01T00:00:00+01:00'},"
    "{'id':3,'lang':'en','question':'Do you sell flying cars?','answer':'We do now.','valid_from':'2999-01-01'},"
    "{'id':4,'lang':'en','question':'Thank you very much','answer':'You are welcome.','chitchat':true},"
    "{'id':5,'lang':'zh','question':'怎么退货？','answer':'打开订单，点退货。'}]}";

/* Beside "default", the same entries under a cross-encoder and a reader, and in files of this folder. */
static char folder[] = "/tmp/attend-reply-XXXXXX";

static int start(void **state)
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    char extra[4096];
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    root = root ? root : ".";
    snprintf(extra, sizeof extra,
             "[model cross]\npath = %s/tests/data/models/cross-encoder\n[model reader]\npath = "
             "%s/tests/data/models/reader\n"
             "[kb reranked]\npath = %s/reranked.db\nmodel = encoder\nreranker = cross\nreader = reader\n"
             "[kb kept]\npath = %s/kept.db\nmodel = encoder\nrecord = yes\nrecord_days = 7\nrecord_max = 12\n"
             "[model tiny]\npath = %s/tests/data/models/tiny-chat\n"
             "[kb written]\npath = %s/written.db\nmodel = encoder\ngenerator = tiny\ngenerated_cover_min = 0\n"
             "[kb strict]\npath = %s/strict.db\nmodel = encoder\ngenerator = tiny\n",
             root, root, folder, folder, root, folder, folder);
    live_start(&live, extra);
    done("PUT", "/v1/kb/default", shop);
    done("PUT", "/v1/kb/reranked", shop);
    done("PUT", "/v1/kb/kept", shop);
    done("PUT", "/v1/kb/written", shop);
    done("PUT", "/v1/kb/strict", shop);
    done("DELETE", "/v1/kb/kept/entries/4", NULL); /* to an untrained encoder everything is near to thanks */
    return 0;
}

static int stop(void **state)
{
    char path[96];
    (void)state;
    live_stop(&live);
    static const char *const names[] = {"kept", "reranked", "strict", "written"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s.db", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static void entries_are_listed_by_state_and_in_pages(void **state)
{
    (void)state;
    struct att_json *json = ok("GET", "/v1/kb/default", NULL);
    assert_true(number(json, "chitchat") == 1 && number(json, "pending") == 1 && number(json, "expired") == 1);
    att_json_destroy(json);
    json = ok("GET", "/v1/kb/default/entries?limit=2", NULL);
    assert_int_equal(att_json_count(att_json_get(json, "entries")), 2);
    assert_true(number(json, "next") == 2 && number(json, "left") == 3);
    assert_true(has_id(att_json_get(json, "expired"), 2));
    assert_string_equal(
        att_json_string(att_json_get(att_json_at(att_json_get(json, "entries"), 1), "valid_until"), NULL),
        "2001-12-31T23:00:00Z");
    att_json_destroy(json);
    json = ok("GET", "/v1/kb/default/entries?limit=2&after=2", NULL);
    assert_true(has_id(att_json_get(json, "entries"), 3) && has_id(att_json_get(json, "pending"), 3));
    assert_false(has_id(att_json_get(json, "expired"), 2));
    att_json_destroy(json);
    json = ok("GET", "/v1/kb/default/entries?state=expired", NULL);
    assert_int_equal(att_json_count(att_json_get(json, "entries")), 1);
    assert_true(att_json_type(att_json_get(json, "next")) == ATT_JSON_NULL);
    att_json_destroy(json);
    json = ok("GET", "/v1/kb/default/entries?lang=zh&contains=%E9%80%80%E8%B4%A7", NULL);
    assert_int_equal(att_json_count(att_json_get(json, "entries")), 1);
    att_json_destroy(json);
    expect_error(ask("GET", "/v1/kb/default/entries?limit=0", NULL), 422, "invalid_value", "limit");
    expect_error(ask("GET", "/v1/kb/default/entries?page=1", NULL), 422, NULL, "page");
    expect_error(ask("GET", "/v1/kb/default/entries?state=old", NULL), 422, "invalid_value", "state");
    expect_error(ask("PUT", "/v1/kb/default/entries/9", "{'question':'a','answer':'b','valid_from':'tomorrow'}"), 422,
                 "invalid_value", "valid_from");
    expect_error(ask("PUT", "/v1/kb/default/entries/9",
                     "{'question':'a','answer':'b','valid_from':'2026-02-01','valid_until':'2026-01-01'}"),
                 422, "invalid_value", "valid_until");
}

static void everything_is_exported(void **state)
{
    (void)state;
    struct reply reply = ask("GET", "/v1/kb/default/export", NULL);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "Content-Type"), "application/x-ndjson");
    size_t lines = 0;
    for (const char *at = reply.body; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, 5);
    assert_memory_equal(reply.body, "{\"id\":1,", 8);
    assert_non_null(strstr(reply.body, "}\n{\"id\":2,"));
    reply_free(&reply);
    reply = ask("GET", "/v1/kb/default/export?format=csv", NULL);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "Content-Type"), "text/csv; charset=utf-8");
    assert_memory_equal(reply.body, "id,lang,question,", 17);
    assert_non_null(strstr(reply.body, "\r\n5,zh,怎么退货？,\"\",打开订单，点退货。,"));
    reply_free(&reply);
    expect_error(ask("GET", "/v1/kb/default/export?format=xml", NULL), 422, "invalid_value", "format");
}

static const struct att_json *answer_at(const struct att_json *json, size_t i)
{
    return att_json_at(att_json_get(json, "answers"), i);
}

static const char *text(const struct att_json *json, const char *name)
{
    const char *value = att_json_string(att_json_get(json, name), NULL);
    return value ? value : "";
}

static void entries_answer_in_their_time_alone(void **state)
{
    (void)state;
    struct att_json *json = ok("POST", "/v1/reply", "{'question':'Is there a winter sale?','top':50}");
    assert_false(has_id(att_json_get(json, "answers"), 2));
    assert_false(has_id(att_json_get(json, "answers"), 3));
    att_json_destroy(json);
    done("PUT", "/v1/kb/default/entries/2",
         "{'lang':'en','question':'Is there a winter sale?','answer':'Yes, it goes on.','valid_from':1000000000}");
    json = ok("POST", "/v1/reply", "{'question':'Is there a winter sale?'}");
    assert_string_equal(text(json, "decision"), "answered");
    assert_true(number(answer_at(json, 0), "id") == 2);
    att_json_destroy(json);
    done("PUT", "/v1/kb/default", shop);
}

static void small_talk_and_languages(void **state)
{
    (void)state;
    struct att_json *json = ok("POST", "/v1/reply", "{'question':'Thank you very much'}");
    assert_string_equal(text(json, "decision"), "answered");
    assert_true(att_json_bool(att_json_get(answer_at(json, 0), "chitchat"), false));
    att_json_destroy(json);
    json = ok("POST", "/v1/reply", "{'question':'Thank you very much','filters':{'lang':'zh'},'top':9}");
    assert_int_equal(att_json_count(att_json_get(json, "answers")), 1);
    assert_true(has_id(att_json_get(json, "answers"), 5));
    att_json_destroy(json);
}

/* A lead under the margin is a question back, whether or not the second reaches the threshold. */
static void a_close_second_is_asked_about(void **state)
{
    (void)state;
    char body[160];
    done("PUT", "/v1/kb/default/entries/6",
         "{'lang':'en','question':'Where is my invoice?','answer':'In My invoices.'}");
    struct att_json *json = ok("POST", "/v1/reply", "{'question':'where is it','lang':'en'}");
    double first = number(answer_at(json, 0), "score"), second = number(answer_at(json, 1), "score");
    if (!(first > second && second > 0 && first < 1 && number(answer_at(json, 1), "id") != 4))
        fail_msg("%g %g", first, second);
    double best = number(answer_at(json, 0), "id");
    att_json_destroy(json);
    snprintf(body, sizeof body, "{'question':'where is it','lang':'en','threshold':%.9f,'margin':%.9f}",
             (first + second) / 2, (first - second) / 2);
    json = ok("POST", "/v1/reply", body);
    assert_string_equal(text(json, "decision"), "answered");
    assert_int_equal(att_json_count(att_json_get(json, "options")), 0);
    att_json_destroy(json);
    snprintf(body, sizeof body, "{'question':'where is it','lang':'en','threshold':%.9f,'margin':%.9f}",
             (first + second) / 2, (first - second) * 1.01);
    json = ok("POST", "/v1/reply", body);
    assert_string_equal(text(json, "decision"), "clarify");
    assert_true(number(att_json_at(att_json_get(json, "options"), 0), "id") == best);
    assert_int_equal(att_json_count(att_json_get(json, "options")), 2);
    assert_true(att_json_is_string(att_json_get(json, "fallback")));
    att_json_destroy(json);
    done("DELETE", "/v1/kb/default/entries/6", NULL);
}

/* The order is that of the cross-encoder over question and entry, bit for bit what /v1/rerank says of the same pair. */
static void a_cross_encoder_orders_the_best_entries(void **state)
{
    (void)state;
    char body[512];
    struct att_json *json =
        ok("POST", "/v1/reply", "{'question':'track my parcel','kb':'reranked','top':9,'explain':'features'}");
    assert_string_equal(text(json, "method"), "hybrid+rerank");
    assert_string_equal(text(json, "reranker"), "cross");
    assert_int_equal(att_json_count(att_json_get(json, "answers")), 3);
    for (size_t i = 0; i < 3; i++) {
        const struct att_json *answer = answer_at(json, i);
        double logit = number(att_json_get(answer, "features"), "rerank");
        snprintf(body, sizeof body, "{'model':'cross','query':'track my parcel','documents':['%s\\n%s']}",
                 text(answer, "matched"), text(answer, "answer"));
        struct att_json *pair = ok("POST", "/v1/rerank", body);
        double expected = number(att_json_at(att_json_get(pair, "results"), 0), "logit");
        double relevance = number(att_json_at(att_json_get(pair, "results"), 0), "relevance_score");
        assert_true(logit - expected < 1e-5 * (1 + expected * expected) &&
                    expected - logit < 1e-5 * (1 + expected * expected));
        assert_true(number(answer, "score") - relevance < 1e-6 && relevance - number(answer, "score") < 1e-6);
        assert_true(i == 0 || number(answer, "score") <= number(answer_at(json, i - 1), "score"));
        att_json_destroy(pair);
    }
    att_json_destroy(json);
    json = ok("POST", "/v1/reply", "{'question':'track my parcel','kb':'reranked','rerank':false}");
    assert_string_equal(text(json, "method"), "hybrid");
    assert_true(number(answer_at(json, 0), "id") == 1);
    att_json_destroy(json);
    json = ok("POST", "/v1/reply", "{'question':'track my parcel','rerank':true}");
    assert_string_equal(text(json, "method"), "hybrid"); /* this knowledge base has none, and says so */
    att_json_destroy(json);
}

static void spans_are_bytes_of_the_answer(void **state)
{
    (void)state;
    static const char long_answer[] =
        "{'lang':'zh','question':'运费多少？','answer':'我们每天发货。运费是12元。周末不送货。'}";
    struct att_json *json;
    done("PUT", "/v1/kb/default/entries/8", long_answer);
    done("PUT", "/v1/kb/reranked/entries/8", long_answer);
    json = ok("POST", "/v1/reply", "{'question':'运费是多少元','span':true,'top':1}");
    assert_true(number(answer_at(json, 0), "id") == 8);
    const struct att_json *span = att_json_get(answer_at(json, 0), "span");
    assert_string_equal(text(span, "method"), "sentence");
    assert_string_equal(text(span, "text"), "运费是12元。");
    assert_true(number(span, "start") == 21 && number(span, "end") == 21 + 17);
    att_json_destroy(json);
    json = ok("POST", "/v1/reply", "{'question':'运费多少？','span':true,'top':3,'kb':'reranked'}");
    size_t found = 0;
    for (size_t i = 0; i < att_json_count(att_json_get(json, "answers")); i++) {
        span = att_json_get(answer_at(json, i), "span");
        if (!att_json_is_object(span))
            continue;
        const char *answer = text(answer_at(json, i), "answer");
        assert_string_equal(text(span, "method"), "reader");
        assert_memory_equal(answer + (size_t)number(span, "start"), text(span, "text"), strlen(text(span, "text")));
        assert_true(number(span, "end") == number(span, "start") + (double)strlen(text(span, "text")));
        found++;
    }
    assert_true(found > 0);
    att_json_destroy(json);
    done("DELETE", "/v1/kb/default/entries/8", NULL);
    done("DELETE", "/v1/kb/reranked/entries/8", NULL);
}

static const struct att_json *suggestion_at(const struct att_json *json, size_t i)
{
    return att_json_at(att_json_get(json, "suggestions"), i);
}

static void reject(const char *reply, const char *question, int entry)
{
    char body[512];
    snprintf(body, sizeof body, "{'type':'rejected','kb':'kept','reply':'%s','entry':%d,'question':'%s'}", reply, entry,
             question);
    done("POST", "/v1/feedback", body);
}

/* What found no answer is kept where that is asked for, gathered, proposed, and forgotten. */
static void questions_without_an_answer_become_suggestions(void **state)
{
    (void)state;
    struct att_json *json = ok("POST", "/v1/reply", "{'question':'qqq zzz xxx','threshold':1}");
    assert_null(att_json_get(json, "recorded")); /* "default" keeps nothing */
    att_json_destroy(json);
    json = ok("POST", "/v1/reply", "{'question':'track my parcel','kb':'kept'}");
    assert_string_equal(text(json, "decision"), "answered");
    assert_false(att_json_bool(att_json_get(json, "recorded"), true));
    att_json_destroy(json);
    for (int i = 0; i < 3; i++) {
        json = ok("POST", "/v1/reply",
                  i == 1 ? "{'question':'DO YOU REPAIR BICYCLES','kb':'kept','threshold':1}"
                         : "{'question':'do you repair bicycles','kb':'kept','threshold':1}");
        assert_string_equal(text(json, "decision"), "handoff");
        assert_true(att_json_bool(att_json_get(json, "recorded"), false));
        att_json_destroy(json);
    }
    done("POST", "/v1/reply", "{'question':'你们修自行车吗','kb':'kept','threshold':1}");
    json = ok("GET", "/v1/kb/kept/suggestions", NULL);
    assert_true(att_json_bool(att_json_get(json, "recording"), false));
    assert_true(number(json, "questions") == 4);
    const struct att_json *first = suggestion_at(json, 0);
    assert_true(number(first, "count") >= 3);
    assert_int_equal(strncasecmp(text(first, "question"), "do you repair", 13), 0);
    assert_true(number(att_json_get(first, "kinds"), "handoff") >= 3);
    bool chinese = false;
    for (size_t i = 0; i < att_json_count(att_json_get(json, "suggestions")); i++)
        chinese |= strcmp(text(suggestion_at(json, i), "question"), "你们修自行车吗") == 0;
    assert_true(chinese);
    att_json_destroy(json);
    json = ok("GET", "/v1/kb/kept/suggestions?min=2&limit=1", NULL);
    assert_int_equal(att_json_count(att_json_get(json, "suggestions")), 1);
    att_json_destroy(json);
    json = ok("DELETE", "/v1/kb/kept/suggestions", NULL);
    assert_true(number(json, "deleted") == 4);
    att_json_destroy(json);
    /* The nearest entry was rejected, so it is not proposed again. */
    reject("rep-a", "track my parcel", 1);
    json = ok("GET", "/v1/kb/kept/suggestions", NULL);
    assert_true(number(att_json_get(suggestion_at(json, 0), "nearest"), "id") == 1);
    assert_string_equal(text(att_json_get(suggestion_at(json, 0), "proposal"), "as"), "entry");
    att_json_destroy(json);
    done("DELETE", "/v1/kb/kept/suggestions", NULL);
    json = ok("GET", "/v1/kb/kept/suggestions", NULL);
    assert_true(number(json, "questions") == 0);
    att_json_destroy(json);
    expect_error(ask("GET", "/v1/kb/kept/suggestions?days=0", NULL), 422, "invalid_value", "days");
}

static void feedback_on_replies_is_stored_once(void **state)
{
    (void)state;
    static const struct {
        const char *body, *param;
        long status;
    } cases[] = {
        {"{'type':'rejected','kb':'kept','entry':1,'question':'a'}", "reply", 422},
        {"{'type':'rejected','kb':'kept','reply':'rep-1','question':'a'}", "entry", 422},
        {"{'type':'escalated','kb':'kept','reply':'rep-1'}", "question", 422},
        {"{'type':'accepted','kb':'none','reply':'rep-1','entry':1}", "kb", 404},
        {"{'type':'accepted','reply':'rep-1','entry':1,'user':'u'}", "user", 422},
        {"{'events':[{'type':'accepted','reply':'rep-1','entry':1},{'type':'rejected','reply':'rep-1','entry':0}]}",
         "events[1].entry", 422},
        {"{'type':'liked','reply':'rep-1','entry':1}", "type", 422},
    };
    static const char both[] =
        "{'events':[{'type':'rejected','kb':'kept','reply':'rep-7','entry':1,'question':'kettle price'},"
        "{'type':'escalated','kb':'kept','reply':'rep-7','question':'kettle price'},"
        "{'type':'accepted','reply':'rep-8','entry':1}]}";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_error(ask("POST", "/v1/feedback", cases[i].body), cases[i].status, NULL, cases[i].param);
    struct att_json *json = ok("POST", "/v1/feedback", both);
    assert_true(number(json, "stored") == 3 && number(json, "duplicates") == 0);
    att_json_destroy(json);
    json = ok("POST", "/v1/feedback", both);
    assert_true(number(json, "stored") == 0 && number(json, "duplicates") == 3);
    att_json_destroy(json);
    json = ok("GET", "/v1/kb/kept/suggestions", NULL);
    assert_int_equal(att_json_count(att_json_get(json, "suggestions")), 1);
    assert_true(number(suggestion_at(json, 0), "count") == 2);
    att_json_destroy(json);
    /* Customers who accept it take it off the list. */
    done("POST", "/v1/feedback",
         "{'events':[{'type':'accepted','kb':'kept','reply':'rep-8','entry':1,'question':'kettle price'},"
         "{'type':'accepted','kb':'kept','reply':'rep-9','entry':1,'question':'kettle price'}]}");
    json = ok("GET", "/v1/kb/kept/suggestions", NULL);
    assert_int_equal(att_json_count(att_json_get(json, "suggestions")), 0);
    att_json_destroy(json);
    done("DELETE", "/v1/kb/kept/suggestions", NULL);
}

static void retention_bounds_what_is_kept(void **state)
{
    (void)state;
    char name[32], question[64];
    for (int i = 0; i < 15; i++) {
        snprintf(name, sizeof name, "rep-r%d", i);
        snprintf(question, sizeof question, "question number %d", i);
        reject(name, question, 1);
    }
    struct att_json *json = ok("GET", "/v1/kb/kept/suggestions", NULL);
    assert_true(number(json, "questions") == 12); /* record_max */
    att_json_destroy(json);
    done("DELETE", "/v1/kb/kept/suggestions", NULL);
}

/* A tiny untrained model writes anything; what counts is that it is asked, that equal requests get equal texts, and
 * that every refusal leaves the answers. */
static void a_text_is_written_from_the_entries(void **state)
{
    (void)state;
    char *texts[2];
    struct att_json *json = ok("POST", "/v1/reply", "{'question':'track my parcel','generate':true}");
    assert_true(att_json_type(att_json_get(json, "generated")) == ATT_JSON_NULL);
    assert_false(att_json_bool(att_json_get(att_json_get(json, "generate"), "available"), true));
    assert_true(number(answer_at(json, 0), "id") == 1);
    att_json_destroy(json);
    for (size_t i = 0; i < 2; i++) {
        json = ok("POST", "/v1/reply", "{'question':'track my parcel','kb':'written','generate':true,'span':true}");
        const struct att_json *generate = att_json_get(json, "generate");
        if (!att_json_is_string(att_json_get(json, "generated")))
            fail_msg("%s", text(generate, "why"));
        assert_string_equal(text(generate, "model"), "tiny");
        assert_true(att_json_number(att_json_at(att_json_get(generate, "entries"), 0), 0) == 1);
        assert_true(number(generate, "completion_tokens") > 0);
        assert_true(number(answer_at(json, 0), "id") == 1);
        texts[i] = strdup(text(json, "generated"));
        att_json_destroy(json);
    }
    assert_string_equal(texts[0], texts[1]);
    /* A token a byte: what looks like the end of a turn in a question is text there, too. */
    static const char *const questions[] = {"track my parcel", "track my parcel <|im_end|>"};
    double counts[2];
    for (size_t i = 0; i < 2; i++) {
        char body[160];
        snprintf(body, sizeof body, "{'question':'%s','kb':'written','generate':true,'threshold':0.1,'margin':0}",
                 questions[i]);
        json = ok("POST", "/v1/reply", body);
        assert_true(att_json_is_string(att_json_get(json, "generated")));
        counts[i] = number(att_json_get(json, "usage"), "prompt_tokens");
        att_json_destroy(json);
        snprintf(body, sizeof body, "{'input':'%s','model':'encoder'}", questions[i]);
        json = ok("POST", "/v1/tokenize", body);
        counts[i] -= number(att_json_at(att_json_get(json, "data"), 0), "count");
        att_json_destroy(json);
    }
    if (counts[1] != counts[0] + 11)
        fail_msg("%g tokens, then %g", counts[0], counts[1]);
    free(texts[0]);
    free(texts[1]);
    json = ok("POST", "/v1/reply",
              "{'question':'track my parcel','kb':'written','generate':true,'threshold':1,'margin':0,"
              "'filters':{'lang':'zh'}}");
    assert_string_equal(text(json, "decision"), "handoff");
    assert_string_equal(text(att_json_get(json, "generate"), "why"), "no entry is good enough to answer from");
    assert_true(att_json_bool(att_json_get(att_json_get(json, "generate"), "available"), false));
    att_json_destroy(json);
}

/* The tiny model knows its dialogues by heart, and looks at no entry. */
static void a_text_that_strays_from_the_entries_is_withheld(void **state)
{
    (void)state;
    struct att_json *shown = ok("POST", "/v1/reply", "{'question':'track my parcel','kb':'written','generate':true}");
    struct att_json *json = ok("POST", "/v1/reply", "{'question':'track my parcel','kb':'strict','generate':true}");
    const struct att_json *generate = att_json_get(json, "generate");
    assert_true(att_json_type(att_json_get(json, "generated")) == ATT_JSON_NULL);
    assert_non_null(strstr(text(generate, "why"), "expected generated_cover_min = 0.6 or more"));
    assert_string_equal(text(generate, "withheld"), text(shown, "generated"));
    assert_true(number(generate, "covered") < 0.6);
    assert_true(number(generate, "covered") == number(att_json_get(shown, "generate"), "covered"));
    assert_null(att_json_get(att_json_get(shown, "generate"), "withheld"));
    assert_true(number(answer_at(json, 0), "id") == 1);
    att_json_destroy(shown);
    att_json_destroy(json);
}

static void models_of_the_wrong_kind_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *key, *model, *words;
    } cases[] = {{"reranker", "encoder", "no cross-encoder"},
                 {"reader", "cross", "no extractive question-answering model"},
                 {"generator", "encoder", "is no generative model"},
                 {"reranker", "nobody", "is the name of no model"}};
    const char *root = getenv("ATT_SOURCE_ROOT");
    root = root ? root : ".";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char models[2][512], kb[512], output[8192];
        snprintf(models[0], sizeof models[0], "encoder=%s/tests/data/models/st-bert-mean", root);
        snprintf(models[1], sizeof models[1], "cross=%s/tests/data/models/cross-encoder", root);
        snprintf(kb, sizeof kb, "x=%s/x.db,model=encoder,%s=%s", folder, cases[i].key, cases[i].model);
        const char *const arguments[] = {"--listen", "127.0.0.1:0", "--model", models[0], "--model",
                                         models[1],  "--kb",        kb,        NULL};
        assert_int_not_equal(live_run(arguments, output, sizeof output), 0);
        if (!strstr(output, cases[i].words))
            fail_msg("%s", output);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_listed_by_state_and_in_pages),
        cmocka_unit_test(everything_is_exported),
        cmocka_unit_test(entries_answer_in_their_time_alone),
        cmocka_unit_test(small_talk_and_languages),
        cmocka_unit_test(a_close_second_is_asked_about),
        cmocka_unit_test(a_cross_encoder_orders_the_best_entries),
        cmocka_unit_test(spans_are_bytes_of_the_answer),
        cmocka_unit_test(questions_without_an_answer_become_suggestions),
        cmocka_unit_test(feedback_on_replies_is_stored_once),
        cmocka_unit_test(retention_bounds_what_is_kept),
        cmocka_unit_test(a_text_is_written_from_the_entries),
        cmocka_unit_test(a_text_that_strays_from_the_entries_is_withheld),
        cmocka_unit_test(models_of_the_wrong_kind_are_refused),
    };
    return cmocka_run_group_tests_name("http/reply", tests, start, stop);
}
