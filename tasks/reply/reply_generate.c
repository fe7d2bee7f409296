/*
 * A sentence of one's own, grounded on what was found: the entries that reach the
 * threshold are the facts of a prompt, and the generative model answers from
 * them alone, greedily, so that equal requests get equal texts. Where no entry
 * is good enough there is nothing to ground it on, and none is written. A text
 * that strays from the entries (grounding.h) is withheld. Nothing here makes the
 * reply fail: the entries are an answer without it.
 */
#include <stdio.h>
#include <string.h>

#include "tasks/generate/generation.h"
#include "tasks/reply/grounding.h"
#include "tasks/reply/reply.h"

enum { FACTS_MAX = 3, NEW_TOKENS = 128 };

/* Short, and the answers alone before the question: of forms tried on a model of 135 million weights, 10 of 12 answers
 * were right so, 8 with the rules of the task in the system's turn, 7 with the entries' questions too. What such a
 * model makes up, grounding.h finds. */
static const struct words {
    const char *system, *task, *question, *answer;
} english = {"You answer customers of a shop.", "Answer the customer's question from this text:\n\n",
             "\nQuestion: ", "\nAnswer:"},
  chinese = {"你是商店的客服。", "请根据以下资料回答客户的问题：\n\n", "\n问题：", "\n回答："};

/* Text that grows in a buffer of the arena, which is long enough. */
static void append(char *text, size_t *at, const char *part, size_t len)
{
    memcpy(text + *at, part, len);
    *at += len;
    text[*at] = '\0';
}

size_t task_reply_facts(const struct task_reply *reply)
{
    size_t n = 0;
    while (reply->decision == TASK_ANSWERED && n < FACTS_MAX && n < reply->n_matches &&
           (double)reply->matches[n].score >= reply->threshold)
        n++;
    return n;
}

/* The task, the entries' answers and the question; `answer` ends it, or is "". */
static char *prompt_of(struct task_call *call, const struct task_reply *reply, const struct words *words,
                       const char *answer, size_t *ret_len, struct att_err *err)
{
    size_t len = strlen(words->task) + strlen(words->question) + reply->question_len + strlen(answer) + 1, at = 0;
    for (size_t i = 0; i < task_reply_facts(reply); i++)
        len += strlen(reply->view->entries[reply->matches[i].entry].answer) + strlen("\n");
    char *text = task_alloc(call, len, 1, err);
    if (!text)
        return NULL;
    append(text, &at, words->task, strlen(words->task));
    for (size_t i = 0; i < task_reply_facts(reply); i++) {
        const char *fact = reply->view->entries[reply->matches[i].entry].answer;
        append(text, &at, fact, strlen(fact));
        append(text, &at, "\n", 1);
    }
    append(text, &at, words->question, strlen(words->question));
    append(text, &at, reply->question, reply->question_len);
    append(text, &at, answer, strlen(answer));
    *ret_len = at;
    return text;
}

/* Out of memory alone stops the reply; anything else is told. */
static enum att_status told(struct task_call *call, struct task_reply *reply, enum att_status status,
                            struct att_err *err)
{
    if (status == ATT_OK || status == ATT_ENOMEM)
        return status;
    reply->why_not = att_arena_copy(call->arena, err->message, strlen(err->message));
    if (!reply->why_not)
        return att_err_set(err, ATT_ENOMEM, "out of memory for the reply");
    call->n_jobs = 0;
    return ATT_OK;
}

enum att_status task_reply_generate_plan(struct task_call *call, struct task_reply *reply, struct att_err *err)
{
    const struct task_model *model = reply->kb->generator;
    const struct words *words = store_cjk_share(reply->question, reply->question_len) > 0.3f ? &chinese : &english;
    struct task_generation_ask ask = {.model = model, .path = "generate"};
    size_t len = 0;
    if (!model)
        reply->why_not = "no generative model is configured for this knowledge base";
    else if (reply->decision == TASK_CLARIFY)
        reply->why_not = "the customer is asked back first";
    else if (task_reply_facts(reply) == 0)
        reply->why_not = "no entry is good enough to answer from";
    if (reply->why_not)
        return ATT_OK;
    bool chats = task_generator_chats(model->generator);
    char *text = prompt_of(call, reply, words, chats ? "" : words->answer, &len, err);
    if (!text)
        return err->status;
    task_generation_defaults(model, &ask);
    ask.temperature = 0;
    ask.max_tokens = NEW_TOKENS;
    const struct task_turn turns[] = {{"system", words->system, strlen(words->system)}, {"user", text, len}};
    if (chats) {
        ask.turns = turns;
        ask.n_turns = sizeof turns / sizeof *turns;
    } else {
        ask.prompt = text;
        ask.prompt_len = len;
        ask.plain = true;
        ask.stops[0].text = "\n";
        ask.stops[0].len = 1;
        ask.n_stops = 1;
    }
    return told(call, reply, task_generation_begin(call, &ask, &reply->generation, err), err);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* What was written, without the white space around it. */
static struct task_source written_text(const struct task_reply *reply)
{
    size_t len = 0, settled = 0, begin = 0;
    const char *text = task_generation_text(reply->generation, &len, &settled);
    while (begin < len && is_blank(text[begin]))
        begin++;
    while (len > begin && is_blank(text[len - 1]))
        len--;
    return (struct task_source){text + begin, len - begin};
}

/* A number or address that is named in a message: cut between characters where it is long. */
static size_t shown(const char *text, size_t len)
{
    size_t most = 80;
    if (len <= most)
        return len;
    while (most > 0 && (text[most] & 0xc0) == 0x80)
        most--;
    return most;
}

/* Compares the text with the entries and the question; withholds it where it strays from them. */
static enum att_status check_grounding(struct task_call *call, struct task_reply *reply, struct att_err *err)
{
    size_t n_facts = task_reply_facts(reply), begin = 0, end = 0;
    /* The questions, the customer's first, then the entries' answers. */
    struct task_source sources[1 + 2 * FACTS_MAX], text = written_text(reply), *facts = sources + 1 + n_facts;
    char why[200];
    sources[0] = (struct task_source){reply->question, reply->question_len};
    for (size_t i = 0; i < n_facts; i++) {
        const struct store_kb_entry *entry = &reply->view->entries[reply->matches[i].entry];
        sources[1 + i] = (struct task_source){entry->question, strlen(entry->question)};
        facts[i] = (struct task_source){entry->answer, strlen(entry->answer)};
    }
    if (task_grounding_cover(call->arena, reply->view->idf, text, sources, 1 + n_facts, facts, n_facts, &reply->covered,
                             err) != ATT_OK)
        return err->status;
    if (text.len == 0)
        snprintf(why, sizeof why, "the model wrote nothing");
    else if (strcmp(task_generation_reason(reply->generation), "stop") != 0)
        snprintf(why, sizeof why, "it has no end within %d tokens", NEW_TOKENS);
    else if (task_grounding_foreign(text.text, text.len, sources, 1 + 2 * n_facts, &begin, &end))
        snprintf(why, sizeof why, "it says '%.*s', which neither the entries nor the question say",
                 (int)shown(text.text + begin, end - begin), text.text + begin);
    else if (reply->covered < reply->kb->generated_cover_min)
        snprintf(why, sizeof why, "the entries cover %.3g of it, expected generated_cover_min = %.3g or more",
                 reply->covered, reply->kb->generated_cover_min);
    else
        return ATT_OK;
    reply->why_not = att_arena_copy(call->arena, why, strlen(why));
    reply->withheld = true;
    return reply->why_not ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory for the reply");
}

enum att_status task_reply_generate(struct task_call *call, struct task_reply *reply, struct att_err *err)
{
    enum att_status status = told(call, reply, task_generation_step(reply->generation, call, err), err);
    if (status == ATT_OK && call->n_jobs == 0 && !reply->why_not)
        status = check_grounding(call, reply, err);
    return status;
}

static void put_sources(const struct task_reply *reply, struct att_jsonw *answer)
{
    att_jsonw_key(answer, "entries");
    att_jsonw_array_begin(answer);
    for (size_t i = 0; i < task_reply_facts(reply); i++)
        att_jsonw_int(answer, reply->view->entries[reply->matches[i].entry].id);
    att_jsonw_array_end(answer);
}

void task_reply_generate_render(const struct task_reply *reply, struct att_jsonw *answer)
{
    bool is_written = reply->generation && (!reply->why_not || reply->withheld);
    struct task_source text = is_written ? written_text(reply) : (struct task_source){0};
    att_jsonw_key(answer, "generated");
    if (is_written && !reply->withheld)
        att_jsonw_string(answer, text.text, text.len);
    else
        att_jsonw_null(answer);
    att_jsonw_key(answer, "generate");
    att_jsonw_object_begin(answer);
    att_jsonw_put_bool(answer, "available", reply->kb->generator != NULL);
    att_jsonw_put_text(answer, "why", reply->why_not);
    if (is_written) {
        att_jsonw_put_text(answer, "model", reply->kb->generator->name);
        put_sources(reply, answer);
        att_jsonw_put_double(answer, "covered", reply->covered, 4);
        if (reply->withheld)
            att_jsonw_put_string(answer, "withheld", text.text, text.len);
        att_jsonw_put_text(answer, "finish_reason", task_generation_reason(reply->generation));
        att_jsonw_put_size(answer, "completion_tokens", task_generation_new_tokens(reply->generation));
    }
    att_jsonw_object_end(answer);
}
