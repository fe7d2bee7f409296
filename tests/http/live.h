/*
 * A real attentd for a test: started on a free port with its own folder and
 * configuration, spoken to by libcurl or by raw bytes, stopped by SIGTERM. A
 * daemon that dies of a signal, exits with another status than 0, leaks (under
 * the sanitizer) or logs an error fails the test.
 */
#ifndef LIVE_H
#define LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/base/json.h"

/* Under ThreadSanitizer a daemon is some ten times as slow, and as large. */
#if defined(__SANITIZE_THREAD__)
#define LIVE_SLOWNESS 10
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LIVE_SLOWNESS 10
#endif
#endif
#ifndef LIVE_SLOWNESS
#define LIVE_SLOWNESS 1
#endif

struct live {
    pid_t pid;
    int port;
    char folder[64];
    char socket[108]; /* not empty: live_ask goes through this unix socket */
    char ca[128];     /* not empty: live_ask speaks TLS, and trusts this certificate alone */
};

/* `extra`: lines of configuration after the models "sentiment", "encoder", "movies" and "chat", the knowledge base
 * "default" and a file of users; may begin with keys of [server]. News are stored in FOLDER/news.db, unless `extra` has
 * a section [news] of its own. */
void live_start(struct live *live, const char *extra);
/* Kills it, as a crash would, and starts it again in its folder. */
void live_crash(struct live *live, const char *extra);
/* The same with a listening socket handed over as systemd does. */
void live_start_with(struct live *live, const char *extra, int listen_fd);
/* The same on a unix socket in the folder, which live_ask uses from then on. */
void live_start_unix(struct live *live, const char *extra);
/* Another configuration in the place of the one it was started with. */
void live_configure(const struct live *live, const char *extra);
/* FOLDER/NAME of the daemon's folder, which live_wait removes with all that is in it; in a static buffer. */
const char *live_path(const struct live *live, const char *name);
void live_write(const char *path, const char *bytes, size_t len);
/* Copies the regular files of a folder into a new one. */
void live_copy_folder(const char *from, const char *to);
/* Until the log holds `text` so many times, at most ten seconds (times LIVE_SLOWNESS); fails then. */
void live_wait_logged(const struct live *live, const char *text, size_t times);
void live_signal(const struct live *live, int signal_number);
/* Waits for the exit that a signal asked for, and judges the log. */
void live_wait(struct live *live);
/* SIGTERM, then live_wait. */
void live_stop(struct live *live);
/* Removes the folder of a daemon whose end somebody else judges. */
void live_discard(const struct live *live);
/* Whether the log so far holds `text`. */
bool live_logged(const struct live *live, const char *text);

/* Runs attentd with these arguments (NULL-terminated) until it exits; its exit status, or -1 after a signal. What it
 * wrote to both outputs lands in `output`. */
int live_run(const char *const *arguments, char *output, size_t size);
/* The same with attend. */
int live_attend(const char *const *arguments, char *output, size_t size);
/* The same with the standard output alone. */
int live_attend_output(const char *const *arguments, char *output, size_t size);

struct reply {
    char asked[96]; /* "GET /v1/models", for messages */
    long status;    /* 0: no answer */
    bool refused;   /* no connection either */
    char *head;     /* header lines */
    char *body;     /* NUL-terminated */
    size_t len;
    double seconds;
};
/* body NULL: none. headers: NULL-terminated lines beside Content-Type: application/json, or NULL; the first may be
 * Content-Type: application/x-ndjson instead. */
struct reply live_ask(const struct live *live, const char *method, const char *path, const char *body,
                      const char *const *headers);
struct reply live_post(const struct live *live, const char *path, const char *body);
/* The same with ' for " in the body, or NULL. */
struct reply live_ask_quoted(const struct live *live, const char *method, const char *path, const char *body);
void reply_free(struct reply *reply);
/* The value of a header field, up to the line's end, in a buffer of this thread; NULL when absent. */
const char *reply_header(const struct reply *reply, const char *name);
/* The body as JSON; att_json_destroy. */
struct att_json *reply_json(const struct reply *reply);
/* Asserts the status, frees the reply; its body as JSON. */
struct att_json *expect_json(struct reply reply, long status);
/* Asserts the status, and for errors the shape of the body and (when not NULL) its code and param; frees. */
void expect_error(struct reply reply, long status, const char *code, const char *param);

/* A raw connection. */
int live_connect(const struct live *live);
void live_send(int fd, const char *bytes, size_t len);
void live_say(int fd, const char *text);
/* Reads until the peer closes or `milliseconds` pass; the bytes, NUL-terminated, in a static buffer. *ret_closed:
 * whether it closed. */
const char *live_read(int fd, int milliseconds, bool *ret_closed);
/* Sends bytes, reads until closed or quiet for a moment, closes. Same buffer as live_read. */
const char *live_exchange(const struct live *live, const char *bytes, bool *ret_closed);
/* How many status lines are in `text`. */
size_t count_answers(const char *text);

#endif
