/* Lines to a daemon by libcurl, or to a store here; see sink.h. */
#include "cli/sink.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "store/news.h"

enum {
    ATTEMPTS_MAX = 12,
    WAIT_MS_FIRST = 250,
    WAIT_MS_MAX = 30000,
    ANSWER_BYTES_MAX = 64 << 20,
    KEY_BYTES_MAX = 512,
    URL_BYTES_MAX = 1024,
    DEPTH_MAX = 16
};

struct bytes {
    char *text;
    size_t len, capacity;
};

struct cli_sink {
    const volatile sig_atomic_t *stop;
    CURL *curl; /* NULL: a store here */
    struct curl_slist *headers;
    char url[URL_BYTES_MAX], error[CURL_ERROR_SIZE];
    struct bytes answer;
    long retry_after_s;
    struct cli_env *env;
    struct task_contexts *contexts;
};

/* ---- answers ---- */

static bool append(struct bytes *bytes, const char *text, size_t len)
{
    if (len > ANSWER_BYTES_MAX - bytes->len)
        return false;
    if (bytes->len + len + 1 > bytes->capacity) {
        size_t capacity = (bytes->len + len + 1) * 2;
        char *grown = att_mem_realloc(bytes->text, capacity, 1);
        if (!grown)
            return false;
        bytes->text = grown;
        bytes->capacity = capacity;
    }
    memcpy(bytes->text + bytes->len, text, len);
    bytes->len += len;
    bytes->text[bytes->len] = '\0';
    return true;
}

static size_t on_bytes(char *text, size_t size, size_t n, void *context)
{
    struct cli_sink *sink = context;
    return append(&sink->answer, text, size * n) ? size * n : 0;
}

static uint64_t count_of(const struct att_json *summary, const char *key)
{
    double count = att_json_number(att_json_get(summary, key), 0);
    return count > 0 ? (uint64_t)count : 0;
}

static void add_summary(const struct att_json *summary, struct cli_sink_counts *counts)
{
    counts->fresh += count_of(summary, "new");
    counts->duplicate += count_of(summary, "duplicate");
    counts->updated += count_of(summary, "updated");
    counts->error += count_of(summary, "error");
}

static void tell_error(const struct att_json *result)
{
    const char *id = att_json_string(att_json_get(result, "id"), NULL);
    const char *message = att_json_string(att_json_get(att_json_get(result, "error"), "message"), NULL);
    fprintf(stderr, "attend ingest: %s: %s\n", id ? id : "a line", message ? message : "refused");
}

/* NDJSON of results and a summary. ATT_EIO: the daemon could not store all. */
static enum att_status read_results(struct cli_sink *sink, struct cli_sink_counts *counts, struct att_err *err)
{
    bool summed = false;
    for (const char *at = sink->answer.text; at && *at;) {
        size_t len = strcspn(at, "\n");
        struct att_json *line = NULL;
        if (att_json_parse(at, len, 0, DEPTH_MAX, &line, err) != ATT_OK)
            return att_err_set(err, ATT_EIO, "%s: answers what is no result", sink->url);
        const struct att_json *summary = att_json_get(line, "summary"), *error = att_json_get(line, "error");
        const char *message = att_json_string(att_json_get(error, "message"), NULL);
        if (summary && error)
            att_err_set(err, ATT_EBUSY, "%s: stopped: %.200s", sink->url, message ? message : "");
        else if (summary)
            add_summary(summary, counts);
        else if (error)
            tell_error(line);
        summed = summed || (summary && !error);
        att_json_destroy(line);
        at += len + (at[len] == '\n');
    }
    return summed ? ATT_OK : err->status;
}

/* ---- a daemon ---- */

static enum att_status post_once(struct cli_sink *sink, const char *lines, size_t len, struct cli_sink_counts *counts,
                                 struct att_err *err)
{
    long status = 0;
    sink->answer.len = 0;
    if (sink->answer.text)
        sink->answer.text[0] = '\0';
    curl_easy_setopt(sink->curl, CURLOPT_POSTFIELDS, lines);
    curl_easy_setopt(sink->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    CURLcode code = curl_easy_perform(sink->curl);
    if (code != CURLE_OK)
        return att_err_set(err, ATT_EBUSY, "%s: %s", sink->url,
                           sink->error[0] ? sink->error : curl_easy_strerror(code));
    curl_easy_getinfo(sink->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_off_t after = 0;
    curl_easy_getinfo(sink->curl, CURLINFO_RETRY_AFTER, &after);
    sink->retry_after_s = (long)after;
    err->status = ATT_EIO;
    att_err_set(err, ATT_EIO, "%s: answers without a summary", sink->url);
    if (status == 200)
        return read_results(sink, counts, err);
    return att_err_set(err, status == 429 || status >= 500 ? ATT_EBUSY : ATT_EINVAL, "%s: %ld: %.200s", sink->url,
                       status, sink->answer.text ? sink->answer.text : "");
}

static void sleep_ms(const struct cli_sink *sink, uint64_t ms)
{
    for (uint64_t waited = 0; waited < ms && !*sink->stop; waited += 50)
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
}

static enum att_status post(struct cli_sink *sink, const char *lines, size_t len, struct cli_sink_counts *counts,
                            struct att_err *err)
{
    uint64_t wait_ms = WAIT_MS_FIRST;
    enum att_status status = ATT_EBUSY;
    for (int attempt = 1; !*sink->stop; attempt++) {
        status = post_once(sink, lines, len, counts, err);
        if (status != ATT_EBUSY || attempt == ATTEMPTS_MAX)
            break;
        uint64_t asked_ms = (uint64_t)sink->retry_after_s * 1000;
        fprintf(stderr, "attend ingest: %s; again in %.1f s\n", err->message,
                (double)(asked_ms > wait_ms ? asked_ms : wait_ms) * 1e-3);
        sleep_ms(sink, asked_ms > wait_ms ? asked_ms : wait_ms);
        wait_ms = wait_ms * 2 < WAIT_MS_MAX ? wait_ms * 2 : WAIT_MS_MAX;
    }
    return status;
}

static enum att_status add_key(struct cli_sink *sink, const char *path, struct att_err *err)
{
    char key[KEY_BYTES_MAX], line[KEY_BYTES_MAX + 32];
    FILE *file = fopen(path, "r");
    if (!file)
        return att_err_set(err, ATT_ENOTFOUND, "%s: %s", path, strerror(errno));
    char *read = fgets(key, sizeof key, file);
    fclose(file);
    if (!read || strcspn(key, "\r\n") == 0)
        return att_err_set(err, ATT_EFORMAT, "%s: is empty, expected an API key", path);
    key[strcspn(key, "\r\n")] = '\0';
    snprintf(line, sizeof line, "Authorization: Bearer %s", key);
    sink->headers = curl_slist_append(sink->headers, line);
    return ATT_OK;
}

/* "http://…", "https://…", or "unix:PATH". */
static enum att_status open_daemon(struct cli_sink *sink, const struct cli_options *options, struct att_err *err)
{
    const char *url = options->url;
    bool on_unix = strncmp(url, "unix:", 5) == 0;
    size_t len = strlen(url);
    if (!on_unix && strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return att_err_set(err, ATT_EINVAL, "--url: is '%.200s', expected http://…, https://… or unix:PATH", url);
    while (!on_unix && len > 0 && url[len - 1] == '/')
        len--;
    if (len > URL_BYTES_MAX - 64)
        return att_err_set(err, ATT_EINVAL, "--url: is longer than %d bytes", URL_BYTES_MAX - 64);
    snprintf(sink->url, sizeof sink->url, "%.*s/v1/ingest?results=errors", on_unix ? 16 : (int)len,
             on_unix ? "http://localhost" : url);
    sink->curl = curl_easy_init();
    sink->headers = curl_slist_append(NULL, "Content-Type: application/x-ndjson");
    if (!sink->curl || !sink->headers)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    if (options->key_file) {
        enum att_status status = add_key(sink, options->key_file, err);
        if (status != ATT_OK)
            return status;
    }
    if (on_unix)
        curl_easy_setopt(sink->curl, CURLOPT_UNIX_SOCKET_PATH, url + 5);
    curl_easy_setopt(sink->curl, CURLOPT_URL, sink->url);
    curl_easy_setopt(sink->curl, CURLOPT_HTTPHEADER, sink->headers);
    curl_easy_setopt(sink->curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(sink->curl, CURLOPT_WRITEDATA, sink);
    curl_easy_setopt(sink->curl, CURLOPT_ERRORBUFFER, sink->error);
    curl_easy_setopt(sink->curl, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(sink->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(sink->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    return ATT_OK;
}

/* ---- a store here ---- */

/* The lines that are JSON, as one array; the others are told and counted. */
static enum att_status join_lines(const char *lines, size_t len, struct bytes *array, struct cli_sink_counts *counts,
                                  struct att_err *err)
{
    size_t n = 0;
    bool ok = append(array, "[", 1);
    for (size_t begin = 0; ok && begin < len;) {
        const char *newline = memchr(lines + begin, '\n', len - begin);
        size_t end = newline ? (size_t)(newline - lines) : len;
        struct att_json *json = NULL;
        if (end > begin && att_json_parse(lines + begin, end - begin, 0, DEPTH_MAX, &json, err) != ATT_OK) {
            fprintf(stderr, "attend ingest: a line: %s\n", err->message);
            counts->error++;
        } else if (end > begin) {
            ok = (n++ == 0 || append(array, ",", 1)) && append(array, lines + begin, end - begin);
        }
        att_json_destroy(json);
        begin = end + 1;
    }
    return ok && append(array, "]", 1) ? ATT_OK : att_err_set(err, ATT_ENOMEM, "out of memory");
}

static enum att_status store(struct cli_sink *sink, const char *lines, size_t len, struct cli_sink_counts *counts,
                             struct att_err *err)
{
    struct bytes array = {NULL, 0, 0};
    struct att_json *body = NULL, *answer = NULL;
    char *text = NULL;
    size_t text_len = 0;
    enum att_status status = join_lines(lines, len, &array, counts, err);
    if (status == ATT_OK)
        status = att_json_parse(array.text, array.len, 0, DEPTH_MAX, &body, err);
    if (status == ATT_OK)
        status = task_run(sink->contexts, &task_ingest, cli_env_task(sink->env), body, &text, &text_len, err);
    if (status == ATT_OK)
        status = att_json_parse(text, text_len, 0, DEPTH_MAX, &answer, err);
    if (status == ATT_OK) {
        const struct att_json *data = att_json_get(answer, "data");
        for (size_t i = 0; i < att_json_count(data); i++)
            if (att_json_get(att_json_at(data, i), "error"))
                tell_error(att_json_at(data, i));
        add_summary(att_json_get(answer, "summary"), counts);
    }
    att_json_destroy(answer);
    att_json_destroy(body);
    att_mem_free(text);
    att_mem_free(array.text);
    return status;
}

/* ---- both ---- */

enum att_status cli_sink_create(const struct cli_options *options, const volatile sig_atomic_t *stop,
                                struct cli_sink **ret_sink, struct att_err *err)
{
    struct cli_sink *sink = att_mem_calloc(1, sizeof *sink);
    if (!sink)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    sink->stop = stop;
    enum att_status status;
    if (options->url) {
        status = open_daemon(sink, options, err);
    } else {
        status = cli_env_create(options, &sink->env, err);
        if (status == ATT_OK)
            status = task_contexts_create(&sink->contexts, err);
    }
    if (status == ATT_OK)
        *ret_sink = sink;
    else
        cli_sink_destroy(sink);
    return status;
}

void cli_sink_destroy(struct cli_sink *sink)
{
    if (!sink)
        return;
    curl_slist_free_all(sink->headers);
    curl_easy_cleanup(sink->curl);
    task_contexts_destroy(sink->contexts);
    cli_env_destroy(sink->env);
    att_mem_free(sink->answer.text);
    att_mem_free(sink);
}

enum att_status cli_sink_put(struct cli_sink *sink, const char *lines, size_t len, struct cli_sink_counts *counts,
                             struct att_err *err)
{
    struct cli_sink_counts added = {0};
    for (size_t i = 0; i < len; i++)
        added.lines += lines[i] == '\n';
    enum att_status status = sink->curl ? post(sink, lines, len, &added, err) : store(sink, lines, len, &added, err);
    if (status != ATT_OK)
        return status;
    counts->lines += added.lines;
    counts->fresh += added.fresh;
    counts->duplicate += added.duplicate;
    counts->updated += added.updated;
    counts->error += added.error;
    return ATT_OK;
}
