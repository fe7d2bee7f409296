/* Statements, and a rendering from its input to its text. */
#include <string.h>

#include "core/chat/parser.h"
#include "core/chat/run.h"

static bool assign(struct att_run *run, const struct att_node *node, struct att_value value)
{
    struct att_value one = value;
    if (node->n_names > 1 && (value.kind != ATT_VALUE_LIST || value.list->count != node->n_names))
        return att_run_fail(run, ATT_EINVAL, "%zu values are expected for %zu names, got %s", node->n_names,
                            node->n_names, att_value_kind_name(value));
    for (size_t i = 0; i < node->n_names; i++) {
        if (node->n_names > 1)
            one = value.list->items[i];
        if (!att_dict_set(&run->arena, &run->frame->variables, node->names[i], one))
            return att_run_no_memory(run);
    }
    return true;
}

static bool run_scope(struct att_run *run, const struct att_node *body)
{
    struct att_frame frame = {.outer = run->frame};
    run->frame = &frame;
    bool done = att_run_statement(run, body);
    run->frame = frame.outer;
    return done;
}

static bool run_set(struct att_run *run, const struct att_node *node)
{
    struct att_chat_buffer buffer = att_run_buffer(run), *out = run->out;
    struct att_value value, space;
    if (node->a) {
        if (!att_run_evaluate(run, node->a, &value))
            return false;
    } else {
        run->out = &buffer;
        bool done = run_scope(run, node->b);
        run->out = out;
        if (!done || !att_run_written(run, &buffer))
            return false;
        value = att_value_text(buffer.bytes, buffer.len);
    }
    run->line = node->line;
    if (!node->text.bytes)
        return assign(run, node, value);
    struct att_node name = {.kind = ATT_NODE_NAME, .text = node->names[0], .line = node->line};
    if (!att_run_evaluate(run, &name, &space))
        return false;
    if (space.kind != ATT_VALUE_NAMESPACE)
        return att_run_fail(run, ATT_EINVAL, "only a namespace's attribute can be set");
    return att_dict_set(&run->arena, space.dict, node->text, value) || att_run_no_memory(run);
}

/* The items that the loop's condition lets through. */
static bool filter_items(struct att_run *run, const struct att_node *node, const struct att_list *all,
                         struct att_list **ret)
{
    struct att_list *kept = att_list_create(&run->arena);
    struct att_frame frame = {.outer = run->frame};
    bool done = kept != NULL || att_run_no_memory(run);
    run->frame = &frame;
    for (size_t i = 0; done && i < all->count; i++) {
        struct att_value truth;
        done = assign(run, node, all->items[i]) && att_run_evaluate(run, node->d, &truth);
        if (done && att_value_true(truth) && !att_list_push(&run->arena, kept, all->items[i]))
            done = att_run_no_memory(run);
    }
    run->frame = frame.outer;
    *ret = kept;
    return done;
}

static bool run_loop(struct att_run *run, const struct att_node *node, const struct att_list *items)
{
    struct att_loop *loop = att_arena_alloc(&run->arena, 1, sizeof *loop);
    struct att_frame frame = {.outer = run->frame};
    struct att_value value = {.kind = ATT_VALUE_LOOP, .loop = loop};
    bool done = loop != NULL || att_run_no_memory(run);
    run->frame = &frame;
    for (size_t i = 0; done && i < items->count; i++) {
        *loop = (struct att_loop){items, i};
        frame.variables.count = 0; /* what an iteration sets ends with it */
        done = att_dict_set(&run->arena, &frame.variables, (struct att_text){"loop", 4}, value)
                   ? assign(run, node, items->items[i]) && att_run_statement(run, node->b)
                   : att_run_no_memory(run);
        bool stop = run->jump == ATT_JUMP_BREAK;
        run->jump = ATT_JUMP_NONE;
        if (stop)
            break;
    }
    run->frame = frame.outer;
    return done;
}

static bool run_for(struct att_run *run, const struct att_node *node)
{
    struct att_value of;
    struct att_list *items;
    if (!att_run_evaluate(run, node->a, &of) || !att_run_items(run, of, &items) ||
        (node->d && !filter_items(run, node, items, &items)))
        return false;
    if (items->count > 0)
        return run_loop(run, node, items);
    return !node->c || run_scope(run, node->c);
}

static bool run_if(struct att_run *run, const struct att_node *node)
{
    struct att_value truth;
    if (!att_run_evaluate(run, node->a, &truth))
        return false;
    if (att_value_true(truth))
        return att_run_statement(run, node->b);
    return !node->c || att_run_statement(run, node->c);
}

static bool run_output(struct att_run *run, const struct att_node *node)
{
    struct att_value value;
    if (!att_run_evaluate(run, node->a, &value))
        return false;
    att_value_print(run->out, value);
    return att_run_written(run, run->out);
}

static bool run_block(struct att_run *run, const struct att_node *node)
{
    for (size_t i = 0; i < node->n_items && run->jump == ATT_JUMP_NONE; i++)
        if (!att_run_statement(run, node->items[i]))
            return false;
    return true;
}

static bool run_one(struct att_run *run, const struct att_node *node)
{
    struct att_value macro = {.kind = ATT_VALUE_MACRO, .macro = node};
    switch (node->kind) {
    case ATT_NODE_TEXT:
        att_buffer_put(run->out, node->text.bytes, node->text.len);
        return att_run_written(run, run->out);
    case ATT_NODE_OUTPUT:
        return run_output(run, node);
    case ATT_NODE_BLOCK:
        return run_block(run, node);
    case ATT_NODE_IF:
        return run_if(run, node);
    case ATT_NODE_FOR:
        return run_for(run, node);
    case ATT_NODE_SET:
        return run_set(run, node);
    case ATT_NODE_SCOPE:
        return run_scope(run, node->b);
    case ATT_NODE_MACRO:
        return att_dict_set(&run->arena, &run->frame->variables, node->text, macro) || att_run_no_memory(run);
    default:
        run->jump = node->kind == ATT_NODE_BREAK ? ATT_JUMP_BREAK : ATT_JUMP_CONTINUE;
        return true;
    }
}

bool att_run_statement(struct att_run *run, const struct att_node *node)
{
    if (!att_run_enter(run, node))
        return false;
    bool done = run_one(run, node);
    run->depth--;
    return done;
}

/* ---- input ---- */

static bool set_json(struct att_run *run, const char *name, const struct att_json *json)
{
    struct att_value value = {.kind = ATT_VALUE_NONE};
    if (json && !att_value_of_json(&run->arena, json, 0, &value))
        return att_run_fail(run, ATT_ELIMIT, "%s: nested deeper than %d, or too large", name, ATT_CHAT_DEPTH_MAX);
    return att_dict_set(&run->arena, &run->top->variables, (struct att_text){name, strlen(name)}, value) ||
           att_run_no_memory(run);
}

static bool set_text(struct att_run *run, const char *name, const char *text)
{
    return !text ||
           att_dict_set(&run->arena, &run->top->variables, (struct att_text){name, strlen(name)},
                        att_value_text(text, strlen(text))) ||
           att_run_no_memory(run);
}

static bool set_input(struct att_run *run, const struct att_chat_input *input)
{
    struct att_json_iter iter;
    const struct att_json *member;
    const char *name;
    bool done = set_json(run, "tools", input->tools) && set_json(run, "documents", input->documents) &&
                set_text(run, "bos_token", input->bos_token) && set_text(run, "eos_token", input->eos_token) &&
                set_text(run, "pad_token", input->pad_token) && set_text(run, "unk_token", input->unk_token);
    att_json_iter_init(&iter, input->extra);
    while (done && att_json_is_object(input->extra) && att_json_iter_next(&iter, &name, &member))
        done = set_json(run, name, member);
    return done && set_json(run, "messages", input->messages) &&
           (att_dict_set(&run->arena, &run->top->variables, (struct att_text){"add_generation_prompt", 21},
                         att_value_boolean(input->add_generation_prompt)) ||
            att_run_no_memory(run));
}

/* ---- templates ---- */

/* Newlines as Jinja reads them: \r\n and \r are \n. */
static size_t copy_lines(char *to, const char *from, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        to[n++] = from[i] == '\r' ? '\n' : from[i];
        i += from[i] == '\r' && i + 1 < len && from[i + 1] == '\n';
    }
    return n;
}

enum att_status att_chat_template_parse(const char *source, size_t len, struct att_chat_template **ret_template,
                                        struct att_err *err)
{
    struct att_lexemes lexemes = {0};
    if (len > ATT_CHAT_SOURCE_MAX)
        return att_err_limit(err, NULL, ATT_CHAT_SOURCE_MAX, len, "chat_template: has %zu bytes, at most %d", len,
                             ATT_CHAT_SOURCE_MAX);
    struct att_chat_template *template = att_mem_calloc(1, sizeof *template);
    if (!template)
        return att_err_set(err, ATT_ENOMEM, "out of memory for a chat template");
    att_arena_init(&template->arena, SIZE_MAX);
    char *lines = att_arena_copy(&template->arena, source, len);
    enum att_status status = lines
                                 ? att_chat_lex(&template->arena, lines, copy_lines(lines, source, len), &lexemes, err)
                                 : att_err_set(err, ATT_ENOMEM, "out of memory for a chat template");
    if (status == ATT_OK)
        status = att_chat_parse(&template->arena, &lexemes, &template->root, err);
    if (status != ATT_OK) {
        att_chat_template_destroy(template);
        return status;
    }
    *ret_template = template;
    return ATT_OK;
}

void att_chat_template_destroy(struct att_chat_template *template)
{
    if (!template)
        return;
    att_arena_finish(&template->arena);
    att_mem_free(template);
}

enum att_status att_chat_template_render(const struct att_chat_template *template, const struct att_chat_input *input,
                                         size_t max_bytes, char **ret_text, size_t *ret_len, struct att_err *err)
{
    struct att_err own;
    struct att_frame top = {0};
    struct att_chat_buffer out = {.limit = max_bytes};
    struct att_run run = {
        .input = input, .frame = &top, .top = &top, .out = &out, .steps = ATT_CHAT_STEPS_MAX, .err = err ? err : &own};
    att_arena_init(&run.arena, ATT_CHAT_MEMORY_MAX);
    out.arena = &run.arena;
    bool done = set_input(&run, input) && att_run_statement(&run, template->root);
    char *text = done ? att_mem_calloc(out.len + 1, 1) : NULL;
    if (done && !text)
        done = att_run_no_memory(&run);
    if (done) {
        if (out.len > 0)
            memcpy(text, out.bytes, out.len);
        *ret_text = text;
        *ret_len = out.len;
    }
    att_arena_finish(&run.arena);
    return done ? ATT_OK : run.err->status;
}
