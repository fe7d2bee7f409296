/*
 * Any bytes as news: lines are items, their fields between tabs, and the report over them is HTML in which nothing
 * foreign is markup, and Markdown; both valid UTF-8, and of the same bytes when written again.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"
#include "fuzz/target.h"
#include "news/report.h"
#include "news/time.h"

enum { ITEMS_MAX = 64, FIELDS = 7 };

struct world {
    struct store_news_item items[ITEMS_MAX];
    size_t n;
};

static const int64_t begin_ms = 1795132800000, hour_ms = 3600000;

/* Cuts `text` into items; fields that are missing are empty. */
static void read_items(char *text, struct world *world)
{
    for (char *line = text; line && world->n < ITEMS_MAX;) {
        char *next = strchr(line, '\n'), *fields[FIELDS] = {line};
        if (next)
            *next++ = '\0';
        for (size_t i = 1; i < FIELDS; i++) {
            char *tab = fields[i - 1] ? strchr(fields[i - 1], '\t') : NULL;
            if (tab)
                *tab++ = '\0';
            fields[i] = tab;
        }
        for (size_t i = 0; i < FIELDS; i++)
            fields[i] = fields[i] ? fields[i] : text + strlen(text);
        struct store_news_item *item = &world->items[world->n++];
        size_t len = strlen(fields[1]);
        *item = (struct store_news_item){.seq = (int64_t)world->n,
                                         .id = fields[0],
                                         .title = fields[0],
                                         .text = fields[1],
                                         .source = fields[2],
                                         .url = fields[3],
                                         .topics = fields[4],
                                         .entities = fields[5],
                                         .sentiment = fields[6],
                                         .model = "m",
                                         .model_digest = "d",
                                         .polarity = (double)(len % 3) - 1,
                                         .engagement = (double)len,
                                         .time_ms = begin_ms + (int64_t)(world->n % 48) * hour_ms,
                                         .cluster = (int64_t)(1 + world->n / 3),
                                         .evidence_end = len / 2};
        line = next;
    }
}

static enum att_status find(void *context, int64_t seq, bool (*visit)(void *, const struct store_news_item *),
                            void *visitor, struct att_err *err)
{
    const struct world *world = context;
    (void)err;
    if (seq >= 1 && seq <= (int64_t)world->n)
        visit(visitor, &world->items[seq - 1]);
    return ATT_OK;
}

/* Every < begins one of our own tags. */
static void check_tags(const char *html)
{
    static const char *const tags[] = {"!DOCTYPE html>",
                                       "html",
                                       "head>",
                                       "meta ",
                                       "title",
                                       "style>",
                                       "body>",
                                       "header>",
                                       "h1>",
                                       "h2>",
                                       "h3>",
                                       "p",
                                       "section",
                                       "div",
                                       "b>",
                                       "span",
                                       "table>",
                                       "thead>",
                                       "tbody>",
                                       "tr>",
                                       "th",
                                       "td",
                                       "figure",
                                       "figcaption>",
                                       "svg",
                                       "desc",
                                       "rect",
                                       "text",
                                       "line",
                                       "g>",
                                       "polyline",
                                       "article>",
                                       "a ",
                                       "a>",
                                       "i>",
                                       "small>",
                                       "blockquote",
                                       "footer>",
                                       "ul>",
                                       "li>"};
    for (const char *at = html; (at = strchr(at, '<'));) {
        bool known = false;
        at += at[1] == '/' ? 2 : 1;
        for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
            known = known || strncmp(at, tags[i], strlen(tags[i])) == 0;
        check(known);
        check(strncmp(at, "a ", 2) != 0 || strncmp(at, "a rel=\"noopener noreferrer nofollow\" href=\"http", 46) == 0);
    }
}

static char *write(const struct news_report *report, void (*form)(const struct news_report *, struct att_jsonw *))
{
    struct att_jsonw w;
    struct att_err err;
    char *text = NULL;
    size_t len = 0;
    att_jsonw_init(&w, 64 << 20);
    form(report, &w);
    check(att_jsonw_take(&w, &text, &len, &err) == ATT_OK && strlen(text) == len && att_utf8_valid(text, len));
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct world world;
    static const struct news_view view = {.half_life_ms = 24 * 3600000, .noise_min = 0.5};
    const struct news_wish wish = {.from_ms = begin_ms,
                                   .to_ms = begin_ms + 48 * hour_ms,
                                   .chinese = size % 2,
                                   .offset_minutes = (int)(size % 5) * 60,
                                   .top = 1 + size % 10};
    const struct news_lookup lookup = {.context = &world, .item = find};
    struct news_set set;
    struct news_report report;
    struct att_arena arena;
    struct att_err err = {.message = ""};
    enum att_status status = ATT_OK;
    if (size > 1 << 16)
        return 0;
    char *text = att_mem_calloc(size + 1, 1);
    check(text != NULL);
    memcpy(text, bytes, size);
    world.n = 0;
    read_items(text, &world);
    att_arena_init(&arena, 64 << 20);
    news_set_init(&set, &view, ITEMS_MAX);
    /* Topics and entities are what the store wrote; here they may be no JSON, and are then refused. */
    for (size_t i = 0; i < world.n; i++) {
        status = news_set_add(&set, &world.items[i], &err);
        check(status == ATT_OK || (status == ATT_ESYNTAX && err.message[0]));
    }
    check(news_report_build(&set, &wish, &lookup, &arena, &report, &err) == ATT_OK);
    char *html = write(&report, news_report_html), *again = write(&report, news_report_html);
    check(strcmp(html, again) == 0);
    check_tags(html);
    char *markdown = write(&report, news_report_markdown), *json = write(&report, news_report_json);
    struct att_json *parsed = NULL;
    check(att_json_parse(json, strlen(json), 0, 16, &parsed, &err) == ATT_OK);
    att_json_destroy(parsed);
    att_mem_free(html);
    att_mem_free(again);
    att_mem_free(markdown);
    att_mem_free(json);
    news_set_finish(&set);
    att_arena_finish(&arena);
    att_mem_free(text);
    return 0;
}
