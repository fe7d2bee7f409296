/* Expat's events to items; see feed.h. */
#include "cli/feed.h"

#include <expat.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cli/feed_encoding.h"
#include "core/base/date.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"

enum { DEPTH_MAX = 64, FIELD_BYTES_MAX = 256 << 10, ID_BYTES_MAX = 256, SHORT_BYTES_MAX = 4096 };

enum field { NONE, TITLE, LINK, SUMMARY, CONTENT, PUBLISHED, UPDATED, ID, N_FIELDS };

static const struct {
    const char *name;
    enum field field;
} names[] = {
    {"title", TITLE},
    {"link", LINK},
    {"description", SUMMARY},
    {"summary", SUMMARY},
    {"encoded", CONTENT},
    {"content", CONTENT},
    {"pubDate", PUBLISHED},
    {"published", PUBLISHED},
    {"date", PUBLISHED},
    {"updated", UPDATED},
    {"guid", ID},
    {"id", ID},
};

struct feed {
    XML_Parser parser;
    struct att_jsonw *lines;
    const char *source;
    char *fields[N_FIELDS]; /* FIELD_BYTES_MAX each */
    size_t lens[N_FIELDS];
    char title[SHORT_BYTES_MAX]; /* of the feed */
    size_t title_len, depth, item_depth, field_depth, items;
    enum field field;
    bool in_item, is_feed, failed;
    const char *refused; /* why it was stopped */
};

/* Names come as "namespace|local". */
static const char *local_name(const char *name)
{
    const char *bar = strrchr(name, '|');
    return bar ? bar + 1 : name;
}

static void refuse(struct feed *feed, const char *why)
{
    feed->refused = why;
    XML_StopParser(feed->parser, XML_FALSE);
}

/* ---- texts ---- */

static const struct {
    const char *name;
    uint32_t character;
} references[] = {{"amp", '&'},      {"lt", '<'},       {"gt", '>'},       {"quot", '"'},      {"apos", '\''},
                  {"nbsp", ' '},     {"mdash", 0x2014}, {"ndash", 0x2013}, {"hellip", 0x2026}, {"rsquo", 0x2019},
                  {"lsquo", 0x2018}, {"ldquo", 0x201c}, {"rdquo", 0x201d}};

/* "&amp;" or "&#8217;" at text; its length, or 0. */
static size_t read_reference(const char *text, size_t len, uint32_t *ret)
{
    const char *end = memchr(text, ';', len < 12 ? len : 12);
    size_t n = end ? (size_t)(end - text) - 1 : 0;
    if (n < 2)
        return 0;
    if (text[1] == '#') {
        bool is_hex = text[2] == 'x' || text[2] == 'X';
        char *stop;
        unsigned long value = strtoul(text + 2 + is_hex, &stop, is_hex ? 16 : 10);
        if (stop != end || value < 0x20 || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
            return 0;
        *ret = (uint32_t)value;
        return n + 2;
    }
    for (size_t i = 0; i < sizeof references / sizeof *references; i++)
        if (strlen(references[i].name) == n && memcmp(text + 1, references[i].name, n) == 0) {
            *ret = references[i].character;
            return n + 2;
        }
    return 0;
}

/* Whether a tag stands inside words: what is bold is no word of its own. */
static bool is_inline(const char *tag)
{
    static const char *const inlines[] = {"a",    "abbr", "b",      "code", "em",  "font", "i", "ins",
                                          "mark", "s",    "strong", "span", "sub", "sup",  "u"};
    const char *name = tag + (*tag == '/');
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    for (size_t i = 0; i < sizeof inlines / sizeof *inlines; i++)
        if (strlen(inlines[i]) == len && strncasecmp(name, inlines[i], len) == 0)
            return true;
    return false;
}

/* HTML to plain text in place: tags go, references are read, white space is one blank. The new length. */
static size_t plain(char *text, size_t len)
{
    size_t to = 0;
    bool blank = true;
    for (size_t at = 0; at < len;) {
        uint32_t c = 0;
        size_t n = 1;
        const char *close = text[at] == '<' ? memchr(text + at, '>', len - at) : NULL;
        char put[4];
        if (close && at + 1 < len &&
            (strchr("/!?", text[at + 1]) || ((text[at + 1] | 32) >= 'a' && (text[at + 1] | 32) <= 'z'))) {
            const char *tag = text + at + 1;
            at = (size_t)(close - text) + 1;
            if (is_inline(tag))
                continue;
            c = ' ';
            n = 0;
        } else if (text[at] == '&' && (n = read_reference(text + at, len - at, &c)) > 0) {
            at += n;
            n = 0;
        } else {
            c = (unsigned char)text[at];
            n = 1;
        }
        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            at += n;
            if (!blank)
                text[to++] = ' ';
            blank = true;
            continue;
        }
        blank = false;
        if (n == 1) {
            text[to++] = text[at++];
            continue;
        }
        size_t bytes = att_utf8_put(c, put); /* never longer than the reference it stands for */
        memcpy(text + to, put, bytes);
        to += bytes;
    }
    return to > 0 && text[to - 1] == ' ' ? to - 1 : to;
}

/* "Mon, 06 Sep 2021 00:01:00 +0800" of RSS. */
static bool parse_mail_date(const char *text, int64_t *ret)
{
    static const struct {
        const char *name;
        int hours;
    } zones[] = {{"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5},
                 {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7}};
    const char *comma = strchr(text, ',');
    struct tm tm = {0};
    const char *rest = strptime(comma ? comma + 1 : text, " %d %b %Y %H:%M", &tm);
    long offset = 0;
    if (!rest)
        return false;
    if (*rest == ':')
        rest = strptime(rest, ":%S", &tm);
    while (rest && *rest == ' ')
        rest++;
    if (rest && (*rest == '+' || *rest == '-') && strspn(rest + 1, "0123456789") == 4) {
        long number = strtol(rest + 1, NULL, 10);
        offset = (number / 100 * 60 + number % 100) * 60 * (*rest == '-' ? -1 : 1);
    }
    for (size_t i = 0; rest && i < sizeof zones / sizeof *zones; i++)
        if (strncmp(rest, zones[i].name, 3) == 0)
            offset = zones[i].hours * 3600L;
    int64_t unix_s = (int64_t)timegm(&tm) - offset;
    *ret = unix_s;
    return unix_s >= 0;
}

static bool parse_date(const struct feed *feed, int64_t *ret)
{
    for (enum field field = PUBLISHED; field <= UPDATED; field++) {
        const char *text = feed->fields[field];
        size_t len = feed->lens[field];
        if (len > 0 && len < 64 && (att_date_parse(text, len, ret) || parse_mail_date(text, ret)))
            return true;
    }
    return false;
}

/* ---- items ---- */

/* At most max bytes, between characters. */
static size_t cut(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
        max--;
    return max;
}

static void put_field(struct feed *feed, const char *key, const char *text, size_t len, size_t max)
{
    len = cut(text, len, max);
    if (len == 0)
        return;
    att_jsonw_put_string(feed->lines, key, text, len);
}

static void end_item(struct feed *feed)
{
    enum field text = feed->lens[CONTENT] > feed->lens[SUMMARY] ? CONTENT : SUMMARY;
    int64_t unix_s = 0;
    for (enum field field = TITLE; field < N_FIELDS; field++) {
        feed->lens[field] = plain(feed->fields[field], feed->lens[field]);
        feed->fields[field][feed->lens[field]] = '\0';
    }
    feed->in_item = false;
    if (feed->lens[TITLE] == 0 && feed->lens[text] == 0)
        return;
    enum field id = feed->lens[ID] > 0 ? ID : LINK;
    att_jsonw_object_begin(feed->lines);
    if (feed->lens[id] <= ID_BYTES_MAX)
        put_field(feed, "id", feed->fields[id], feed->lens[id], ID_BYTES_MAX);
    if (feed->source)
        put_field(feed, "source", feed->source, strlen(feed->source), ID_BYTES_MAX);
    else
        put_field(feed, "source", feed->title, feed->title_len, ID_BYTES_MAX);
    if (feed->lens[LINK] <= SHORT_BYTES_MAX)
        put_field(feed, "url", feed->fields[LINK], feed->lens[LINK], SHORT_BYTES_MAX);
    put_field(feed, "title", feed->fields[TITLE], feed->lens[TITLE], SHORT_BYTES_MAX);
    put_field(feed, "text", feed->fields[text], feed->lens[text], FIELD_BYTES_MAX);
    if (parse_date(feed, &unix_s))
        att_jsonw_put_int(feed->lines, "time", unix_s);
    att_jsonw_object_end(feed->lines);
    feed->lines->comma = false; /* lines are documents of their own */
    att_jsonw_raw(feed->lines, "\n", 1);
    feed->lines->comma = false;
    feed->items++;
}

/* ---- events ---- */

static void add_link(struct feed *feed, const XML_Char **attributes)
{
    const char *href = NULL, *rel = "alternate";
    for (; *attributes; attributes += 2) {
        if (strcmp(attributes[0], "href") == 0)
            href = attributes[1];
        if (strcmp(attributes[0], "rel") == 0)
            rel = attributes[1];
    }
    if (!href || strcmp(rel, "alternate") != 0 || strlen(href) >= SHORT_BYTES_MAX)
        return;
    feed->lens[LINK] = strlen(href);
    memcpy(feed->fields[LINK], href, feed->lens[LINK]);
}

static void on_start(void *context, const XML_Char *name, const XML_Char **attributes)
{
    struct feed *feed = context;
    const char *local = local_name(name);
    if (++feed->depth > DEPTH_MAX) {
        refuse(feed, "elements are nested too deep");
        return;
    }
    feed->is_feed =
        feed->is_feed || strcmp(local, "rss") == 0 || strcmp(local, "feed") == 0 || strcmp(local, "RDF") == 0;
    if (!feed->in_item && (strcmp(local, "item") == 0 || strcmp(local, "entry") == 0)) {
        memset(feed->lens, 0, sizeof feed->lens);
        feed->in_item = true;
        feed->item_depth = feed->depth;
        return;
    }
    if (feed->field != NONE)
        return; /* XHTML inside of a field */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(local, names[i].name) == 0 &&
            (feed->in_item ? feed->depth == feed->item_depth + 1 : feed->depth <= 3)) {
            feed->field = names[i].field;
            feed->field_depth = feed->depth;
        }
    if (feed->in_item && feed->field == LINK)
        add_link(feed, attributes);
}

static void on_text(void *context, const XML_Char *text, int len)
{
    struct feed *feed = context;
    if (feed->field == NONE)
        return;
    if (!feed->in_item) {
        if (feed->field == TITLE && feed->items == 0 && (size_t)len < sizeof feed->title - feed->title_len) {
            memcpy(feed->title + feed->title_len, text, (size_t)len);
            feed->title_len += (size_t)len;
        }
        return;
    }
    size_t room = FIELD_BYTES_MAX - 1 - feed->lens[feed->field], n = (size_t)len < room ? (size_t)len : room;
    memcpy(feed->fields[feed->field] + feed->lens[feed->field], text, n);
    feed->lens[feed->field] += n;
}

static void on_end(void *context, const XML_Char *name)
{
    struct feed *feed = context;
    (void)name;
    if (feed->field != NONE && feed->depth == feed->field_depth) {
        if (!feed->in_item && feed->field == TITLE)
            feed->title_len = plain(feed->title, feed->title_len);
        feed->field = NONE;
    }
    if (feed->in_item && feed->depth == feed->item_depth)
        end_item(feed);
    feed->depth--;
}

static void on_doctype(void *context, const XML_Char *name, const XML_Char *system, const XML_Char *public,
                       int internal)
{
    (void)name;
    (void)system;
    (void)public;
    (void)internal;
    refuse(context, "it has a document type, which a feed needs not and may not have");
}

static enum att_status run(struct feed *feed, const char *bytes, size_t len, struct att_err *err)
{
    XML_SetUserData(feed->parser, feed);
    XML_SetElementHandler(feed->parser, on_start, on_end);
    XML_SetCharacterDataHandler(feed->parser, on_text);
    XML_SetStartDoctypeDeclHandler(feed->parser, on_doctype);
    XML_SetUnknownEncodingHandler(feed->parser, cli_feed_encoding, NULL);
    if (XML_Parse(feed->parser, bytes, (int)len, 1) != XML_STATUS_OK) {
        enum XML_Error code = XML_GetErrorCode(feed->parser);
        return att_err_set(err, code == XML_ERROR_NO_MEMORY ? ATT_ENOMEM : ATT_EFORMAT, "line %lu, column %lu: %s",
                           (unsigned long)XML_GetCurrentLineNumber(feed->parser),
                           (unsigned long)XML_GetCurrentColumnNumber(feed->parser) + 1,
                           feed->refused ? feed->refused : XML_ErrorString(code));
    }
    if (!feed->is_feed)
        return att_err_set(err, ATT_EFORMAT, "is neither RSS nor Atom");
    return feed->lines->failed ? att_err_set(err, ATT_ENOMEM, "out of memory for the items") : ATT_OK;
}

enum att_status cli_feed_parse(const char *bytes, size_t len, const char *source, struct att_jsonw *lines,
                               size_t *ret_items, struct att_err *err)
{
    struct feed feed = {.lines = lines, .source = source};
    enum att_status status = ATT_OK;
    char *room = att_mem_calloc(N_FIELDS, FIELD_BYTES_MAX);
    if (len > CLI_FEED_BYTES_MAX) {
        att_mem_free(room);
        return att_err_limit(err, NULL, CLI_FEED_BYTES_MAX, len, "has %zu bytes, expected at most %d", len,
                             CLI_FEED_BYTES_MAX);
    }
    feed.parser = XML_ParserCreateNS(NULL, '|');
    if (!room || !feed.parser)
        status = att_err_set(err, ATT_ENOMEM, "out of memory for a feed");
    for (size_t i = 0; status == ATT_OK && i < N_FIELDS; i++)
        feed.fields[i] = room + i * FIELD_BYTES_MAX;
    if (status == ATT_OK)
        status = run(&feed, bytes, len, err);
    if (feed.parser)
        XML_ParserFree(feed.parser);
    att_mem_free(room);
    if (status == ATT_OK)
        *ret_items = feed.items;
    return status;
}
