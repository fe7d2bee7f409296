/*
 * Log lines. Built in a buffer on the stack and written at once, so that lines
 * of several threads do not mix; a line that does not fit is cut, never split.
 *
 *   ts=2026-01-31T09:15:02.123Z level=info event=request method=POST status=200
 */
#include "server/watch/log.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/watch/journal.h"

enum { LINE_MAX_BYTES = 2048 };

struct line {
    char bytes[LINE_MAX_BYTES];
    size_t len;
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static void put(struct line *line, const char *bytes, size_t len)
{
    /* Two bytes stay free for the closing brace and the newline. */
    size_t room = LINE_MAX_BYTES - 2 - line->len;

    if (len > room)
        len = room;
    memcpy(line->bytes + line->len, bytes, len);
    line->len += len;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* Quoted as JSON in both formats; logfmt leaves plain words bare. */
static void put_quoted(struct line *line, const char *text)
{
    put(line, "\"", 1);
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        char escaped[8];

        if (c == '"' || c == '\\') {
            escaped[0] = '\\';
            escaped[1] = (char)c;
            put(line, escaped, 2);
        } else if (c < 0x20 || c == 0x7f) {
            put(line, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\u%04x", c));
        } else {
            put(line, p, 1);
        }
    }
    put(line, "\"", 1);
}

static bool is_plain(const char *text)
{
    if (*text == '\0')
        return false;
    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p <= 0x20 || *p == '"' || *p == '=' || *p == '\\' || (unsigned char)*p >= 0x7f)
            return false;
    return true;
}

static void put_number(struct line *line, double number)
{
    char text[40];
    int n;

    if (!isfinite(number))
        number = 0;
    if (fabs(number) < 1e15 && number == floor(number))
        n = snprintf(text, sizeof(text), "%" PRId64, (int64_t)number);
    else
        n = snprintf(text, sizeof(text), "%.3f", number);
    if (n > 0 && (size_t)n < sizeof(text))
        put(line, text, (size_t)n);
}

static void put_field(struct line *line, enum srv_log_format format, const struct srv_log_field *field, bool first)
{
    if (format == SRV_LOG_JSON) {
        put_text(line, first ? "{" : ",");
        put_quoted(line, field->key);
        put_text(line, ":");
    } else {
        if (!first)
            put_text(line, " ");
        put_text(line, field->key);
        put_text(line, "=");
    }
    if (field->text == NULL)
        put_number(line, field->number);
    else if (format == SRV_LOG_JSON || !is_plain(field->text))
        put_quoted(line, field->text);
    else
        put_text(line, field->text);
}

static void put_time(struct line *line, enum srv_log_format format)
{
    struct timespec now;
    struct tm tm;
    char date[32], text[48];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof(text), "%s.%03ldZ", date, now.tv_nsec / 1000000);
    put_field(line, format, &SRV_TEXT("ts", (const char *)text), true);
}

void srv_log_set(struct srv_log *log, enum srv_log_level level, enum srv_log_format format)
{
    if (format == SRV_LOG_AUTO)
        format = srv_journal_is_stderr() ? SRV_LOG_JOURNAL : SRV_LOG_LOGFMT;
    atomic_store_explicit(&log->level, (int)level, memory_order_relaxed);
    atomic_store_explicit(&log->format, (int)format, memory_order_relaxed);
}

static bool send_to_journal(enum srv_log_level level, const char *event, const struct srv_log_field *fields)
{
    static const int priorities[] = {
        [SRV_LOG_DEBUG] = 7, [SRV_LOG_INFO] = 6, [SRV_LOG_WARN] = 4, [SRV_LOG_ERROR] = 3}; /* as of syslog(3) */
    struct line line = {.len = 0};

    put_text(&line, event);
    for (const struct srv_log_field *field = fields; field->key != NULL; field++)
        put_field(&line, SRV_LOG_LOGFMT, field, false);
    line.bytes[line.len] = '\0';
    return srv_journal_send(priorities[level], line.bytes, event, fields);
}

void srv_log_fields(const struct srv_log *log, enum srv_log_level level, const char *event,
                    const struct srv_log_field *fields)
{
    enum srv_log_format format = (enum srv_log_format)atomic_load_explicit(&log->format, memory_order_relaxed);
    struct line line = {.len = 0};

    if ((int)level < atomic_load_explicit(&log->level, memory_order_relaxed))
        return;
    if (format == SRV_LOG_JOURNAL && send_to_journal(level, event, fields))
        return;
    put_time(&line, format);
    put_field(&line, format, &SRV_TEXT("level", level_names[level]), false);
    put_field(&line, format, &SRV_TEXT("event", event), false);
    for (; fields->key != NULL; fields++)
        put_field(&line, format, fields, false);
    if (format == SRV_LOG_JSON)
        line.bytes[line.len++] = '}';
    line.bytes[line.len++] = '\n';
    /* A log that cannot be written must not stop the service. */
    if (write(log->fd, line.bytes, line.len) < 0)
        return;
}
