/* The daemon of a test, and two ways to talk to it. */
#include "live.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { READY_MS = 20000, RAW_MAX = 1 << 20 };

static const char *root_of(const char *name, const char *otherwise)
{
    const char *root = getenv(name);

    return root != NULL ? root : otherwise;
}

static void path_in(const struct live *live, const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", live->folder, name);
}

static char *read_file(const char *path)
{
    FILE *in = fopen(path, "r");
    char *text = calloc(1, 1 << 20);

    assert_non_null(text);
    if (in != NULL) {
        text[fread(text, 1, (1 << 20) - 1, in)] = '\0';
        fclose(in);
    }
    return text;
}

static void write_config(const struct live *live, const char *extra)
{
    bool on_unix = live->socket[0] != '\0';
    const char *source = root_of("ATT_SOURCE_ROOT", ".");
    char path[96];
    FILE *out;

    path_in(live, "attentd.conf", path, sizeof(path));
    out = fopen(path, "w");
    assert_non_null(out);
    fprintf(out,
            "[model sentiment]\npath = %s/tests/data/models/bert-sentiment\n"
            "[model encoder]\npath = %s/tests/data/models/st-bert-mean\n"
            "[model movies]\npath = %s/tests/data/models/sasrec\nencoder = encoder\ncatalogue = %s/items.db\n"
            "[kb default]\npath = %s/kb.db\nmodel = encoder\n"
            "[users]\npath = %s/users.db\n"
            "[server]\nclassifiers = %s/classifiers\nlisten = %s%s\n%s",
            source, source, source, live->folder, live->folder, live->folder, live->folder,
            on_unix ? "unix:" : "127.0.0.1:0", live->socket, extra);
    if (strstr(extra, "[news]") == NULL)
        fprintf(out, "\n[news]\npath = %s/news.db\n", live->folder);
    fprintf(out, "\n[model chat]\npath = %s/tests/data/models/tiny-chat\n", source);
    assert_int_equal(fclose(out), 0);
}

void live_configure(const struct live *live, const char *extra)
{
    write_config(live, extra);
}

const char *live_path(const struct live *live, const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", live->folder, name);
    return path;
}

void live_write(const char *path, const char *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(close(fd), 0);
}

void live_copy_folder(const char *from, const char *to)
{
    DIR *dir = opendir(from);
    const struct dirent *entry;

    assert_non_null(dir);
    assert_int_equal(mkdir(to, 0700), 0);
    while ((entry = readdir(dir)) != NULL) {
        char source[4096], target[4096];
        struct stat facts;
        FILE *in;
        char *bytes;

        snprintf(source, sizeof(source), "%s/%s", from, entry->d_name);
        snprintf(target, sizeof(target), "%s/%s", to, entry->d_name);
        if (stat(source, &facts) != 0 || !S_ISREG(facts.st_mode))
            continue;
        in = fopen(source, "r");
        bytes = malloc((size_t)facts.st_size + 1);
        assert_non_null(in);
        assert_non_null(bytes);
        assert_int_equal(fread(bytes, 1, (size_t)facts.st_size, in), facts.st_size);
        fclose(in);
        live_write(target, bytes, (size_t)facts.st_size);
        free(bytes);
    }
    closedir(dir);
}

static void nap_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

static void wait_ready(struct live *live)
{
    char path[96];

    path_in(live, "log", path, sizeof(path));
    for (int waited = 0; waited < READY_MS; waited += 10) {
        char *text = read_file(path);
        const char *ready = strstr(text, "ready on ");
        int state;

        if (ready != NULL && strchr(ready, '\n') != NULL)
            live->port = live->socket[0] != '\0' ? -1 : (int)strtol(ready + strlen("ready on 127.0.0.1:"), NULL, 10);
        if (live->port == 0 && waitpid(live->pid, &state, WNOHANG) == live->pid)
            fail_msg("the daemon did not start: %s", text);
        free(text);
        if (live->port != 0)
            return;
        nap_ms(10);
    }
    fail_msg("the daemon was not ready in %d ms", READY_MS);
}

/* Descriptor 3 and LISTEN_FDS, in the child. */
static void hand_over(int listen_fd)
{
    char pid[16];

    if (listen_fd == 3)
        fcntl(listen_fd, F_SETFD, 0);
    else
        dup2(listen_fd, 3);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_PID", pid, 1);
}

void live_start(struct live *live, const char *extra)
{
    live_start_with(live, extra, -1);
}

static void make_folder(struct live *live)
{
    memset(live, 0, sizeof(*live));
    snprintf(live->folder, sizeof(live->folder), "/tmp/attentd-http-XXXXXX");
    assert_non_null(mkdtemp(live->folder));
}

/* live->folder is made. */
static void launch(struct live *live, const char *extra, int listen_fd)
{
    char program[4096], config[96], log[96];

    write_config(live, extra);
    path_in(live, "attentd.conf", config, sizeof(config));
    path_in(live, "log", log, sizeof(log));
    snprintf(program, sizeof(program), "%s/attentd", root_of("ATT_BUILD_ROOT", "build"));
    live->pid = fork();
    assert_true(live->pid >= 0);
    if (live->pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);

        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies takes its daemon along */

        dup2(fd, STDERR_FILENO);
        dup2(fd, STDOUT_FILENO);
        if (listen_fd >= 0)
            hand_over(listen_fd);
        execl(program, "attentd", "--config", config, (char *)NULL);
        _exit(127);
    }
    wait_ready(live);
}

void live_start_with(struct live *live, const char *extra, int listen_fd)
{
    make_folder(live);
    launch(live, extra, listen_fd);
}

void live_crash(struct live *live, const char *extra)
{
    char log[96];
    int status;

    path_in(live, "log", log, sizeof(log));
    kill(live->pid, SIGKILL);
    assert_int_equal(waitpid(live->pid, &status, 0), live->pid);
    live->port = 0;
    unlink(log); /* it names the port of the first */
    launch(live, extra, -1);
}

void live_start_unix(struct live *live, const char *extra)
{
    make_folder(live);
    path_in(live, "http.sock", live->socket, sizeof(live->socket));
    launch(live, extra, -1);
}

void live_signal(const struct live *live, int signal_number)
{
    assert_int_equal(kill(live->pid, signal_number), 0);
}

bool live_logged(const struct live *live, const char *text)
{
    char path[96], *log;
    bool found;

    path_in(live, "log", path, sizeof(path));
    log = read_file(path);
    found = strstr(log, text) != NULL;
    free(log);
    return found;
}

void live_wait_logged(const struct live *live, const char *text, size_t times)
{
    for (int waited = 0; waited < 10000 * LIVE_SLOWNESS; waited += 10) {
        char path[96], *log;
        size_t n = 0;

        path_in(live, "log", path, sizeof(path));
        log = read_file(path);
        for (const char *at = strstr(log, text); at != NULL; at = strstr(at + 1, text))
            n++;
        free(log);
        if (n >= times)
            return;
        nap_ms(10);
    }
    fail_msg("the log does not say '%s' %zu times", text, times);
}

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *place)
{
    (void)facts;
    (void)kind;
    (void)place;
    return remove(path);
}

void live_discard(const struct live *live)
{
    nftw(live->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void live_wait(struct live *live)
{
    char path[96], *log;
    int state = 0;

    assert_int_equal(waitpid(live->pid, &state, 0), live->pid);
    path_in(live, "log", path, sizeof(path));
    log = read_file(path);
    if (state != 0 || strstr(log, "level=error") != NULL || strstr(log, "Sanitizer") != NULL)
        fputs(log, stderr);
    if (WIFSIGNALED(state))
        fail_msg("the daemon died of signal %d", WTERMSIG(state));
    if (WEXITSTATUS(state) != 0)
        fail_msg("the daemon exited with %d", WEXITSTATUS(state));
    if (strstr(log, "level=error") != NULL || strstr(log, "Sanitizer") != NULL)
        fail_msg("the daemon logged an error");
    free(log);
    live_discard(live);
}

void live_stop(struct live *live)
{
    live_signal(live, SIGTERM);
    live_wait(live);
}

static int run(const char *name, const char *const *arguments, bool with_errors, char *output, size_t size)
{
    char program[4096], *argv[16] = {program};
    int ends[2], state;
    size_t len = 0;
    ssize_t n;
    pid_t pid;

    snprintf(program, sizeof(program), "%s/%s", root_of("ATT_BUILD_ROOT", "build"), name);
    for (size_t i = 0; arguments[i] != NULL; i++)
        argv[i + 1] = strdup(arguments[i]);
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        if (with_errors)
            dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        execv(program, argv);
        _exit(127);
    }
    close(ends[1]);
    while (len < size - 1 && (n = read(ends[0], output + len, size - 1 - len)) > 0)
        len += (size_t)n;
    output[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &state, 0), pid);
    for (size_t i = 1; argv[i] != NULL; i++)
        free(argv[i]);
    return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

int live_run(const char *const *arguments, char *output, size_t size)
{
    return run("attentd", arguments, true, output, size);
}

int live_attend(const char *const *arguments, char *output, size_t size)
{
    return run("attend", arguments, true, output, size);
}

int live_attend_output(const char *const *arguments, char *output, size_t size)
{
    return run("attend", arguments, false, output, size);
}

/* ---- libcurl ---- */

struct text {
    char *bytes;
    size_t len;
};

static size_t append(char *bytes, size_t size, size_t count, void *context)
{
    struct text *text = context;

    text->bytes = realloc(text->bytes, text->len + size * count + 1);
    if (text->bytes == NULL)
        return 0;
    memcpy(text->bytes + text->len, bytes, size * count);
    text->len += size * count;
    text->bytes[text->len] = '\0';
    return size * count;
}

struct reply live_ask(const struct live *live, const char *method, const char *path, const char *body,
                      const char *const *headers)
{
    struct text head = {calloc(1, 1), 0}, answer = {calloc(1, 1), 0};
    bool has_type =
        headers != NULL && headers[0] != NULL && strcmp(headers[0], "Content-Type: application/x-ndjson") == 0;
    struct curl_slist *list = has_type ? NULL : curl_slist_append(NULL, "Content-Type: application/json");
    struct reply reply = {0};
    CURL *curl = curl_easy_init();
    CURLcode result;
    char url[512];

    assert_non_null(curl);
    snprintf(reply.asked, sizeof(reply.asked), "%s %s", method, path);
    snprintf(url, sizeof(url), "%s://127.0.0.1:%d%s", live->ca[0] != '\0' ? "https" : "http",
             live->port > 0 ? live->port : 80, path);
    for (; headers != NULL && *headers != NULL; headers++)
        list = curl_slist_append(list, *headers);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    if (live->socket[0] != '\0')
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, live->socket);
    if (live->ca[0] != '\0')
        curl_easy_setopt(curl, CURLOPT_CAINFO, live->ca);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L * LIVE_SLOWNESS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, append);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &head);
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
    }
    result = curl_easy_perform(curl);
    if (result == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
    reply.refused = result == CURLE_COULDNT_CONNECT;
    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME, &reply.seconds);
    curl_slist_free_all(list);
    curl_easy_cleanup(curl);
    reply.head = head.bytes;
    reply.body = answer.bytes;
    reply.len = answer.len;
    return reply;
}

struct reply live_post(const struct live *live, const char *path, const char *body)
{
    return live_ask(live, "POST", path, body, NULL);
}

struct reply live_ask_quoted(const struct live *live, const char *method, const char *path, const char *body)
{
    char *text = body != NULL ? strdup(body) : NULL;
    struct reply reply;

    for (char *c = text; c != NULL && *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    reply = live_ask(live, method, path, text, NULL);
    free(text);
    return reply;
}

void reply_free(struct reply *reply)
{
    free(reply->head);
    free(reply->body);
    memset(reply, 0, sizeof(*reply));
}

const char *reply_header(const struct reply *reply, const char *name)
{
    static _Thread_local char value[512];
    size_t len = strlen(name);

    for (const char *line = reply->head; line != NULL && *line != '\0';) {
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            const char *start = line + len + 1 + strspn(line + len + 1, " ");

            snprintf(value, sizeof(value), "%.*s", (int)strcspn(start, "\r\n"), start);
            return value;
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return NULL;
}

struct att_json *reply_json(const struct reply *reply)
{
    struct att_json *json = NULL;
    struct att_err err;

    if (att_json_parse(reply->body, reply->len, 0, 32, &json, &err) != ATT_OK)
        fail_msg("no JSON (%s): %s", err.message, reply->body);
    return json;
}

struct att_json *expect_json(struct reply reply, long status)
{
    struct att_json *json;

    if (reply.status != status)
        fail_msg("%s: status %ld, expected %ld: %s", reply.asked, reply.status, status, reply.body);
    json = reply_json(&reply);
    reply_free(&reply);
    return json;
}

void expect_error(struct reply reply, long status, const char *code, const char *param)
{
    struct att_json *json = expect_json(reply, status);
    const struct att_json *error = att_json_get(json, "error");

    assert_true(att_json_is_string(att_json_get(error, "message")));
    assert_true(att_json_is_string(att_json_get(error, "type")));
    assert_true(att_json_is_string(att_json_get(error, "request_id")));
    if (code != NULL)
        assert_string_equal(att_json_string(att_json_get(error, "code"), NULL), code);
    if (param != NULL) {
        assert_true(att_json_is_string(att_json_get(error, "param")));
        assert_string_equal(att_json_string(att_json_get(error, "param"), NULL), param);
    }
    att_json_destroy(json);
}

/* ---- raw ---- */

int live_connect(const struct live *live)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)live->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void live_send(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

        if (n <= 0)
            return; /* the daemon may close while we still send */
        bytes += n;
        len -= (size_t)n;
    }
}

void live_say(int fd, const char *text)
{
    live_send(fd, text, strlen(text));
}

const char *live_read(int fd, int milliseconds, bool *ret_closed)
{
    static char bytes[RAW_MAX];
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    size_t len = 0;

    *ret_closed = false;
    while (len < RAW_MAX - 1 && poll(&poll_fd, 1, milliseconds) > 0) {
        ssize_t n = recv(fd, bytes + len, RAW_MAX - 1 - len, 0);

        if (n <= 0) {
            *ret_closed = true;
            break;
        }
        len += (size_t)n;
    }
    bytes[len] = '\0';
    return bytes;
}

const char *live_exchange(const struct live *live, const char *bytes, bool *ret_closed)
{
    int fd = live_connect(live);
    const char *answer;

    live_send(fd, bytes, strlen(bytes));
    answer = live_read(fd, 400, ret_closed);
    close(fd);
    return answer;
}

size_t count_answers(const char *text)
{
    size_t n = 0;

    for (const char *at = strstr(text, "HTTP/1.1 "); at != NULL; at = strstr(at + 1, "HTTP/1.1 "))
        n++;
    return n;
}
