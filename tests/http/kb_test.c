/* Knowledge bases of a live daemon, with what a team does to them from the command line beside it. */
#include "live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <signal.h>
#include <unistd.h>

static struct live live;
static char folder[] = "/tmp/attend-kbs-XXXXXX", extra[256], encoder[4096];
static size_t reloads;

/* ' for ". */
static struct att_json *ok(const char *method, const char *path, const char *body)
{
    char *text = body ? strdup(body) : NULL;
    for (char *c = text; c && *c; c++)
        *c = *c == '\'' ? '"' : *c;
    struct reply reply = live_ask(&live, method, path, text, NULL);
    if (reply.status != 200)
        fail_msg("%s %s: %ld %s", method, path, reply.status, reply.body ? reply.body : "");
    struct att_json *json = reply_json(&reply);
    reply_free(&reply);
    free(text);
    return json;
}

static const char *text_of(const struct att_json *json, const char *name)
{
    const char *value = att_json_string(att_json_get(json, name), NULL);
    return value ? value : "";
}

static const struct att_json *answer_at(const struct att_json *json, size_t i)
{
    return att_json_at(att_json_get(json, "answers"), i);
}

/* The place of the entry among the answers, from 1 on; 0: it is none of them. */
static size_t rank_of(const struct att_json *json, int id)
{
    for (size_t i = 0; i < att_json_count(att_json_get(json, "answers")); i++)
        if (att_json_number(att_json_get(answer_at(json, i), "id"), 0) == id)
            return i + 1;
    return 0;
}

static size_t rank(const char *body, int id)
{
    struct att_json *json = ok("POST", "/v1/reply", body);
    size_t found = rank_of(json, id);
    att_json_destroy(json);
    return found;
}

static const char shop[] =
    "{'entries':["
    "{'id':1,'lang':'en','question':'Where is my order?','answer':'In My orders.','metadata':{'topic':'orders'},"
    "'prompts':[2]},"
    "{'id':2,'lang':'en','question':'How long does that take?','answer':'Two days.','context_only':true,"
    "'metadata':{'topic':'orders'}},"
    "{'id':3,'lang':'zh','question':'怎么退货？','answer':'打开订单，点退货。','metadata':{'topic':'returns'},"
    "'prompts':[4]},"
    "{'id':4,'lang':'zh','question':'要多久？','answer':'三天。','context_only':true,'metadata':{'topic':'returns'}}]}";

static int start(void **state)
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(encoder, sizeof encoder, "%s/tests/data/models/st-bert-mean", root ? root : ".");
    snprintf(extra, sizeof extra, "[kb desk]\npath = %s/desk.db\nmodel = encoder\n", folder);
    live_start(&live, extra);
    att_json_destroy(ok("PUT", "/v1/kb/default", shop));
    return 0;
}

static int stop(void **state)
{
    char path[96];
    (void)state;
    live_stop(&live);
    snprintf(path, sizeof path, "%s/desk.db", folder);
    unlink(path);
    return rmdir(folder);
}

/* An entry that makes sense as a follow-up only is found in a dialogue, first behind the entry that prompts for it. */
static void follow_ups_need_their_entry(void **state)
{
    (void)state;
    assert_int_equal(rank("{'question':'How long does that take?','top':50}", 2), 0);
    assert_int_equal(rank("{'question':'要多久？','top':50}", 4), 0);
    assert_int_equal(rank("{'question':'How long does that take?','previous_id':1}", 2), 1);
    assert_int_equal(rank("{'question':'要多久？','previous_id':3}", 4), 1);
    assert_int_equal(rank("{'question':'要多久？','context':[{'role':'user','content':'怎么退货？'},"
                          "{'role':'assistant','content':'打开订单，点退货。'}]}",
                          4),
                     1);
    struct att_json *json = ok("POST", "/v1/reply", "{'question':'Where is my order?','top':1}");
    const struct att_json *prompt = att_json_at(att_json_get(answer_at(json, 0), "prompts"), 0);
    assert_true(att_json_number(att_json_get(prompt, "id"), 0) == 2);
    assert_string_equal(text_of(prompt, "text"), "How long does that take?");
    att_json_destroy(json);
}

/* One id, two knowledge bases, two answers; and metadata that a request may ask for. */
static void knowledge_bases_are_apart(void **state)
{
    (void)state;
    att_json_destroy(
        ok("PUT", "/v1/kb/desk", "{'entries':[{'id':1,'question':'Where is my order?','answer':'Ask the desk.'}]}"));
    struct att_json *json = ok("POST", "/v1/reply", "{'question':'Where is my order?','kb':'desk'}");
    assert_string_equal(text_of(json, "kb"), "desk");
    assert_string_equal(text_of(answer_at(json, 0), "answer"), "Ask the desk.");
    att_json_destroy(json);
    json = ok("POST", "/v1/reply", "{'question':'Where is my order?'}");
    assert_string_equal(text_of(answer_at(json, 0), "answer"), "In My orders.");
    att_json_destroy(json);
    assert_int_equal(rank("{'question':'Where is my order?','filters':{'metadata':{'topic':'returns'}},'top':50}", 1),
                     0);
    assert_int_equal(rank("{'question':'Where is my order?','filters':{'metadata':{'topic':'returns','x':'y'},"
                          "'logic':'or'},'top':50}",
                          3),
                     1);
    att_json_destroy(ok("DELETE", "/v1/kb/desk", NULL));
    assert_int_equal(rank("{'question':'Where is my order?','kb':'desk'}", 1), 0);
}

static struct reply put_lines(const char *path, const char *lines)
{
    static const char *const headers[] = {"Content-Type: application/x-ndjson", NULL};
    return live_ask(&live, "PUT", path, lines, headers);
}

/* What an export wrote goes in again over HTTP; a line that is wrong fails alone. */
static void lines_are_imported(void **state)
{
    static char many[300 << 10];
    size_t len = 0;
    (void)state;
    struct reply exported = live_ask(&live, "GET", "/v1/kb/default/export", NULL, NULL);
    struct reply reply = put_lines("/v1/kb/desk/entries", exported.body);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "Content-Type"), "application/x-ndjson");
    assert_memory_equal(reply.body, "{\"line\":1,\"id\":1,\"status\":\"written\"}\n", 37);
    assert_non_null(strstr(reply.body, "{\"summary\":{\"lines\":4,\"written\":4,\"error\":0,\"omitted\":0}}\n"));
    reply_free(&reply);
    struct reply again = live_ask(&live, "GET", "/v1/kb/desk/export", NULL, NULL);
    assert_string_equal(again.body, exported.body);
    reply_free(&again);
    reply_free(&exported);
    reply = put_lines("/v1/kb/desk/entries?results=errors",
                      "\xef\xbb\xbf{\"id\":7,\"question\":\"开门时间\",\"answer\":\"九点\"}\n\nx\n"
                      "{\"id\":8,\"question\":\"a\",\"reply\":\"b\"}\n"
                      "{\"id\":7,\"question\":\"a\",\"answer\":\"b\"}");
    assert_int_equal(reply.status, 200);
    assert_null(strstr(reply.body, "written\"}"));
    assert_non_null(
        strstr(reply.body, "{\"line\":3,\"id\":null,\"status\":\"error\",\"error\":{\"code\":\"malformed_line\""));
    assert_non_null(strstr(
        reply.body, "{\"line\":4,\"id\":8,\"status\":\"error\",\"error\":{\"code\":\"invalid_value\",\"message\":"
                    "\"reply: is not a field"));
    assert_non_null(strstr(reply.body, "id: 7 stands on line 1 already"));
    assert_non_null(strstr(reply.body, "\"lines\":5,\"written\":1,\"error\":3,\"omitted\":1}"));
    reply_free(&reply);
    assert_int_equal(rank("{'question':'开门时间','kb':'desk'}", 7), 1);
    /* More than a chunk, and a question that the encoder could read the begin of alone. */
    for (int i = 0; i < 1500; i++)
        len += (size_t)snprintf(many + len, sizeof many - len,
                                "{\"id\":%d,\"question\":\"question %d of many\",\"answer\":\"%090d\"}\n", i + 1, i, i);
    len += (size_t)snprintf(many + len, sizeof many - len, "{\"id\":5000,\"answer\":\"a\",\"question\":\"");
    for (int i = 0; i < 3000; i++)
        len += (size_t)snprintf(many + len, sizeof many - len, "long ");
    snprintf(many + len, sizeof many - len, "\"}\n");
    reply = put_lines("/v1/kb/desk/entries?results=errors", many);
    assert_int_equal(reply.status, 200);
    assert_memory_equal(reply.body,
                        "{\"line\":1501,\"id\":5000,\"status\":\"error\",\"error\":{\"code\":\"limit_exceeded\"", 70);
    assert_non_null(strstr(reply.body, "\"lines\":1501,\"written\":1500,\"error\":1,"));
    reply_free(&reply);
    expect_error(put_lines("/v1/kb/desk/entries?results=some", "{}"), 422, "invalid_value", "results");
    expect_error(put_lines("/v1/kb/none/entries", "{}"), 404, "not_found", "kb");
    expect_error(put_lines("/v1/kb/desk", "{}"), 415, NULL, NULL);
    expect_error(live_ask_quoted(&live, "PUT", "/v1/kb/desk/entries/9",
                                 "{'question':'a','answer':'b','metadata':{'a':[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]}}"),
                 422, "invalid_value", "metadata");
    att_json_destroy(ok("DELETE", "/v1/kb/desk", NULL));
}

/* `attend kb VERB` on the file of "desk"; its exit status. */
static int attend_kb(const char *verb, const char *option, const char *value, char *output, size_t size)
{
    char path[96];
    snprintf(path, sizeof path, "%s/desk.db", folder);
    const char *const arguments[] = {"kb", verb, "--kb", path, "--model", encoder, option, value, NULL};
    return live_attend(arguments, output, size);
}

static void hang_up(void)
{
    live_signal(&live, SIGHUP);
    live_wait_logged(&live, "event=reloaded", ++reloads);
}

static const char sheet[] = "\xef\xbb\xbfid,question,answer,alternates,lang,prompts,product\r\n"
                            "1,\"Do you say \"\"hello\"\"?\",\"Yes.\nAlways, politely.\",good day|a\\|b,en,,card\r\n"
                            "2,你们几点开门？,\"早上九点，\n晚上六点关门。\",营业时间,zh,9,门店\r\n"
                            "3,What does express delivery cost?,Express delivery costs 9.95 dollars.,,en,,\r\n"
                            "4,What does express delivery cost us?,Express delivery costs 14.95 dollars.,,en,,\r\n";

/* A spreadsheet's file, imported while the daemon runs, answers after SIGHUP; the same comes out over HTTP and offline;
 * and it survives a crash. */
static void a_sheet_is_imported_beside_the_daemon(void **state)
{
    char path[128], output[16384];
    (void)state;
    snprintf(path, sizeof path, "%s", live_path(&live, "sheet.csv"));
    live_write(path, sheet, sizeof sheet - 1);
    if (attend_kb("import", "--file", path, output, sizeof output) != 0)
        fail_msg("%s", output);
    assert_non_null(strstr(output, "4 entries read, 4 written"));
    hang_up();
    struct att_json *json = ok("POST", "/v1/reply", "{'question':'你们几点开门','kb':'desk','top':1}");
    assert_string_equal(text_of(json, "decision"), "answered");
    assert_string_equal(text_of(answer_at(json, 0), "answer"), "早上九点，\n晚上六点关门。");
    assert_string_equal(text_of(att_json_get(answer_at(json, 0), "metadata"), "product"), "门店");
    att_json_destroy(json);
    assert_int_equal(rank("{'question':'a|b','kb':'desk','lang':'en'}", 1), 1);
    struct reply exported = live_ask(&live, "GET", "/v1/kb/desk/export?format=csv", NULL, NULL);
    assert_int_equal(exported.status, 200);
    assert_non_null(strstr(exported.body, "\"Do you say \"\"hello\"\"?\""));
    assert_int_equal(attend_kb("export", "--format", "csv", output, sizeof output), 0);
    assert_string_equal(output, exported.body);
    reply_free(&exported);
    live_crash(&live, extra);
    reloads = 0;
    assert_int_equal(rank("{'question':'你们几点开门','kb':'desk'}", 2), 1);
}

/* What `attend kb check` finds in it; and what `attend kb fit` stores, the daemon uses. */
static void it_is_checked_and_fitted(void **state)
{
    char path[128], output[65536], *lines = calloc(1, 65536), *at = lines;
    static const char *const questions[] = {"do you say hello", "你们几点开门", "express delivery cost"};
    (void)state;
    assert_int_equal(attend_kb("check", NULL, NULL, output, sizeof output), 1);
    assert_non_null(strstr(output, "contradiction"));
    assert_non_null(strstr(output, "dangling"));
    for (int i = 0; i < 75; i++) {
        at += snprintf(at, (size_t)(lines + 65536 - at), "{\"question\":\"%s %d\",\"expect\":%d}\n", questions[i % 3],
                       i, i % 3 + 1);
    }
    for (int i = 0; i < 20; i++)
        at += snprintf(at, (size_t)(lines + 65536 - at), "{\"question\":\"weather %d in paris\",\"expect\":null}\n", i);
    snprintf(path, sizeof path, "%s", live_path(&live, "questions.jsonl"));
    live_write(path, lines, strlen(lines));
    free(lines);
    struct att_json *json = ok("POST", "/v1/reply", "{'question':'express delivery','kb':'desk'}");
    assert_string_equal(text_of(json, "calibration"), "default");
    att_json_destroy(json);
    if (attend_kb("fit", "--data", path, output, sizeof output) != 0)
        fail_msg("%s", output);
    hang_up();
    json = ok("POST", "/v1/reply", "{'question':'express delivery','kb':'desk'}");
    assert_string_equal(text_of(json, "calibration"), "fitted");
    att_json_destroy(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follow_ups_need_their_entry), cmocka_unit_test(knowledge_bases_are_apart),
        cmocka_unit_test(lines_are_imported),          cmocka_unit_test(a_sheet_is_imported_beside_the_daemon),
        cmocka_unit_test(it_is_checked_and_fitted),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
