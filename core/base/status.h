/*
 * Status codes and the one error record of the whole project.
 *
 * A function that can fail returns enum att_status and takes struct att_err
 * *err last; on failure it fills err with one sentence for a person that names
 * the file or field, the value, and what was expected. Outputs named ret_x are
 * untouched on failure. err may be NULL where the caller needs the code alone.
 */
#ifndef ATT_BASE_STATUS_H
#define ATT_BASE_STATUS_H

#include <stdint.h>

enum att_status {
    ATT_OK = 0,
    ATT_EINVAL,       /* a value of a request or argument is of a wrong type or out of range */
    ATT_ESYNTAX,      /* a request is not well-formed (JSON, UTF-8) */
    ATT_EFORMAT,      /* a file is malformed or inconsistent */
    ATT_EUNSUPPORTED, /* well-formed, but something this build does not implement */
    ATT_ENOTFOUND,    /* a name that nothing here has */
    ATT_ELIMIT,       /* over a documented limit: att_err.limit and .given say which */
    ATT_EBUSY,        /* a queue or quota is full: come back later */
    ATT_EUNREADY,     /* not started yet, or draining */
    ATT_EDEADLINE,    /* the deadline passed before the work was done */
    ATT_ENOMEM,       /* an allocation failed */
    ATT_ESPACE,       /* the disk is full or read-only */
    ATT_EIO,          /* any other failure of the operating system */
    ATT_EINTERNAL,    /* our own bug, seen in time */
    ATT_STATUS_COUNT
};

enum { ATT_ERR_MESSAGE_MAX = 400, ATT_ERR_PARAM_MAX = 96 };

struct att_err {
    enum att_status status;
    char message[ATT_ERR_MESSAGE_MAX]; /* UTF-8, one line, no control characters */
    char param[ATT_ERR_PARAM_MAX];     /* the request field as a path, input[3].text; or empty */
    uint64_t limit, given;             /* for ATT_ELIMIT, else 0 */
};

#define ATT_MUST_USE __attribute__((warn_unused_result))
#define ATT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Fills err (when not NULL) and returns status. Bytes that are not printable
 * UTF-8 become '?', so that a hostile name cannot forge a log line. */
enum att_status att_err_set(struct att_err *err, enum att_status status, const char *fmt, ...) ATT_PRINTF(3, 4);

/* The same, naming a request field in err->param. */
enum att_status att_err_param(struct att_err *err, enum att_status status, const char *param, const char *fmt, ...)
    ATT_PRINTF(4, 5);

/* ATT_ELIMIT with its two numbers. param may be NULL. */
enum att_status att_err_limit(struct att_err *err, const char *param, uint64_t limit, uint64_t given, const char *fmt,
                              ...) ATT_PRINTF(5, 6);

/* Puts "prefix: " before the message that err already holds. Returns err->status. */
enum att_status att_err_prefix(struct att_err *err, const char *fmt, ...) ATT_PRINTF(2, 3);

#endif
