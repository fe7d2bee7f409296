/*
 * Structured log lines: logfmt or JSON on standard error, one write(2) a line, or
 * entries of systemd's journal.
 *
 * A line never holds text of a user: callers pass names, numbers and codes.
 * Values are escaped, so that no value can forge a line. Thread safe.
 */
#ifndef SRV_LOG_H
#define SRV_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum srv_log_level { SRV_LOG_DEBUG, SRV_LOG_INFO, SRV_LOG_WARN, SRV_LOG_ERROR };
enum srv_log_format { SRV_LOG_AUTO, SRV_LOG_LOGFMT, SRV_LOG_JSON, SRV_LOG_JOURNAL };

struct srv_log {
    atomic_int level;  /* enum srv_log_level; lines below it are dropped */
    atomic_int format; /* enum srv_log_format; not SRV_LOG_AUTO */
    int fd;
};

struct srv_log_field {
    const char *key;  /* NULL ends the list */
    const char *text; /* NULL: the number */
    double number;
};

#define SRV_TEXT(key, value) ((struct srv_log_field){(key), (value) != NULL ? (value) : "", 0})
#define SRV_NUMBER(key, value) ((struct srv_log_field){(key), NULL, (double)(value)})

/* SRV_LOG_AUTO: the journal when standard error is the journal's, else logfmt. */
void srv_log_set(struct srv_log *log, enum srv_log_level level, enum srv_log_format format);
void srv_log_fields(const struct srv_log *log, enum srv_log_level level, const char *event,
                    const struct srv_log_field *fields);

/* srv_log(log, SRV_LOG_INFO, "listening", SRV_TEXT("address", address), SRV_NUMBER("port", port)); */
#define srv_log(log, level, event, ...)                                                                                \
    srv_log_fields((log), (level), (event), (const struct srv_log_field[]){__VA_ARGS__, {0}})

#endif
