/*
 * Files: JSON lines from where the last run stopped, RSS and Atom as a whole.
 *
 * The state is a file of lines "OFFSET INODE PATH", written anew (and renamed
 * into place) after each batch. A file that became shorter, or another one
 * under its name, is read from its beginning; with --follow also while it is
 * open, which is how logs are rotated.
 */
#include "cli/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/feed.h"

enum { LINE_BYTES_MAX = 64 << 20, READ_BYTES = 64 << 10, NAP_MS = 200, PATH_BYTES = 4096, STATE_BYTES_MAX = 1 << 20 };

struct file {
    const char *path, *state, *source;
    const volatile sig_atomic_t *stop;
    bool follow, is_stdin, is_feed, feed_done;
    int fd; /* -1: not there (yet) */
    ino_t inode;
    int64_t offset, taken; /* of what is stored; of what was handed over */
    char *text;            /* read, and not handed over yet */
    size_t len, capacity;
    struct timespec changed; /* a feed: when it was last read */
};

/* ---- the state ---- */

static char *read_all(int fd, size_t max, size_t *ret_len)
{
    size_t capacity = READ_BYTES, len = 0;
    char *text = att_mem_calloc(capacity + 1, 1);
    while (text) {
        ssize_t got = read(fd, text + len, capacity - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        len += (size_t)got;
        if (len > max)
            break;
        if (len == capacity) {
            char *grown = att_mem_realloc(text, capacity * 2 + 1, 1);
            if (!grown) {
                att_mem_free(text);
                return NULL;
            }
            text = grown;
            capacity *= 2;
        }
    }
    if (text)
        text[len] = '\0';
    *ret_len = len;
    return text;
}

/* Where this file was left; 0 when it was not, or is another one. */
static void read_state(struct file *file)
{
    size_t len;
    int fd = file->state ? open(file->state, O_RDONLY | O_CLOEXEC) : -1;
    char *text = fd >= 0 ? read_all(fd, STATE_BYTES_MAX, &len) : NULL;
    for (const char *at = text; at && *at; at += strcspn(at, "\n"), at += *at == '\n') {
        int64_t offset = 0;
        uint64_t inode = 0;
        int name = 0;
        size_t path_len = strlen(file->path);
        if (sscanf(at, "%" SCNd64 " %" SCNu64 " %n", &offset, &inode, &name) >= 2 && name > 0 &&
            strncmp(at + name, file->path, path_len) == 0 &&
            (at[name + (int)path_len] == '\n' || at[name + (int)path_len] == '\0') && inode == (uint64_t)file->inode)
            file->offset = offset;
    }
    att_mem_free(text);
    if (fd >= 0)
        close(fd);
}

static enum att_status write_state(const struct file *file, struct att_err *err)
{
    char name[PATH_BYTES];
    size_t len = 0;
    int old_fd = open(file->state, O_RDONLY | O_CLOEXEC);
    char *old = old_fd >= 0 ? read_all(old_fd, STATE_BYTES_MAX, &len) : NULL;
    snprintf(name, sizeof name, "%s.new", file->state);
    FILE *out = fopen(name, "w");
    for (const char *at = old; out && at && *at;) {
        size_t line = strcspn(at, "\n"), path_len = strlen(file->path);
        /* The lines of other files stay. */
        if (line > path_len &&
            (strncmp(at + line - path_len, file->path, path_len) != 0 || at[line - path_len - 1] != ' '))
            fprintf(out, "%.*s\n", (int)line, at);
        at += line + (at[line] == '\n');
    }
    if (out)
        fprintf(out, "%" PRId64 " %" PRIu64 " %s\n", file->offset, (uint64_t)file->inode, file->path);
    bool ok = out && fflush(out) == 0 && fsync(fileno(out)) == 0;
    ok = (!out || fclose(out) == 0) && ok && rename(name, file->state) == 0;
    att_mem_free(old);
    if (old_fd >= 0)
        close(old_fd);
    return ok ? ATT_OK : att_err_set(err, ATT_EIO, "%s: cannot be written: %s", file->state, strerror(errno));
}

/* ---- opening ---- */

static enum att_status open_file(struct file *file, struct att_err *err)
{
    struct stat info;
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0 && errno == ENOENT && file->follow)
        return ATT_OK;
    if (file->fd < 0 || fstat(file->fd, &info) != 0)
        return att_err_set(err, ATT_ENOTFOUND, "%s: %s", file->path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return att_err_set(err, ATT_EFORMAT, "%s: is no regular file; - reads standard input", file->path);
    file->inode = info.st_ino;
    file->offset = 0;
    read_state(file);
    if (file->offset > info.st_size)
        file->offset = 0;
    file->taken = file->offset;
    file->len = 0;
    if (lseek(file->fd, (off_t)file->offset, SEEK_SET) < 0)
        return att_err_set(err, ATT_EIO, "%s: %s", file->path, strerror(errno));
    return ATT_OK;
}

/* Another file has this name now, or this one was cut: it is begun anew. */
static enum att_status look_again(struct file *file, struct att_err *err)
{
    struct stat info;
    if (file->fd >= 0 && (stat(file->path, &info) != 0 ||
                          (info.st_ino == file->inode && info.st_size >= file->taken + (int64_t)file->len)))
        return ATT_OK;
    if (file->fd >= 0) {
        close(file->fd);
        file->fd = -1;
        file->offset = 0;
        if (file->state && info.st_ino == file->inode) { /* cut: what the state says is of its life before */
            enum att_status status = write_state(file, err);
            if (status != ATT_OK)
                return status;
        }
    }
    return open_file(file, err);
}

/* ---- reading ---- */

static enum att_status fill(struct file *file, bool *ret_end, struct att_err *err)
{
    if (file->len > LINE_BYTES_MAX)
        return att_err_limit(err, NULL, LINE_BYTES_MAX, file->len, "%s: a line is longer than %d bytes", file->path,
                             LINE_BYTES_MAX);
    if (file->capacity < file->len + READ_BYTES + 1) {
        size_t capacity = (file->len + READ_BYTES) * 2;
        char *grown = att_mem_realloc(file->text, capacity, 1);
        if (!grown)
            return att_err_set(err, ATT_ENOMEM, "%s: out of memory", file->path);
        file->text = grown;
        file->capacity = capacity;
    }
    ssize_t got = file->fd >= 0 ? read(file->fd, file->text + file->len, READ_BYTES) : 0;
    *ret_end = got == 0;
    if (got < 0 && errno != EINTR && errno != EAGAIN)
        return att_err_set(err, ATT_EIO, "%s: cannot be read: %s", file->path, strerror(errno));
    file->len += got > 0 ? (size_t)got : 0;
    return ATT_OK;
}

/* Bytes up to the end of the last line that a batch takes. */
static size_t whole_lines(const struct file *file, bool is_last)
{
    size_t end = 0, lines = 0;
    for (size_t at = 0; at < file->len && lines < CLI_BATCH_LINES && end < CLI_BATCH_BYTES;) {
        const char *newline = memchr(file->text + at, '\n', file->len - at);
        if (!newline)
            return is_last ? file->len : end;
        end = at = (size_t)(newline - file->text) + 1;
        lines++;
    }
    return end;
}

static enum att_status next_lines(struct file *file, struct att_jsonw *lines, bool *ret_end, struct att_err *err)
{
    size_t take = whole_lines(file, false);
    bool end = false;
    enum att_status status = ATT_OK;
    while (status == ATT_OK && !end && take < CLI_BATCH_BYTES && !*file->stop) {
        size_t before = take;
        status = fill(file, &end, err);
        take = whole_lines(file, end && !file->follow);
        if (file->is_stdin && take > 0 && take == before)
            break;
        if (file->is_stdin && take > 0)
            break; /* what was piped in need not wait for more */
    }
    if (status != ATT_OK)
        return status;
    if (take > 0) {
        att_jsonw_raw(lines, file->text, take);
        lines->comma = false;
        if (file->text[take - 1] != '\n') {
            att_jsonw_raw(lines, "\n", 1);
            lines->comma = false;
        }
        memmove(file->text, file->text + take, file->len - take);
        file->len -= take;
        file->taken += (int64_t)take;
        return ATT_OK;
    }
    if (!file->follow) {
        *ret_end = true;
        return ATT_OK;
    }
    nanosleep(&(struct timespec){.tv_nsec = NAP_MS * 1000000L}, NULL);
    return look_again(file, err);
}

/* A feed is read whole whenever it has changed; known items are duplicates. */
static enum att_status next_feed(struct file *file, struct att_jsonw *lines, bool *ret_end, struct att_err *err)
{
    struct stat info;
    size_t len = 0, items = 0;
    if (stat(file->path, &info) != 0 && !file->follow)
        return att_err_set(err, ATT_ENOTFOUND, "%s: %s", file->path, strerror(errno));
    if (file->feed_done && !file->follow) {
        *ret_end = true;
        return ATT_OK;
    }
    if (file->feed_done && memcmp(&info.st_mtim, &file->changed, sizeof file->changed) == 0) {
        nanosleep(&(struct timespec){.tv_nsec = NAP_MS * 1000000L}, NULL);
        return ATT_OK;
    }
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    char *text = fd >= 0 ? read_all(fd, CLI_FEED_BYTES_MAX, &len) : NULL;
    if (fd >= 0)
        close(fd);
    if (!text)
        return att_err_set(err, ATT_EIO, "%s: cannot be read: %s", file->path, strerror(errno));
    enum att_status status = cli_feed_parse(text, len, file->source, lines, &items, err);
    att_mem_free(text);
    file->feed_done = true;
    file->changed = info.st_mtim;
    if (status == ATT_EFORMAT && file->follow) { /* half written: it changes again */
        lines->len = 0;
        return ATT_OK;
    }
    return status == ATT_OK ? ATT_OK : att_err_prefix(err, "%s", file->path);
}

static enum att_status next(void *context, struct att_jsonw *lines, bool *ret_end, struct att_err *err)
{
    struct file *file = context;
    return file->is_feed ? next_feed(file, lines, ret_end, err) : next_lines(file, lines, ret_end, err);
}

static enum att_status stored(void *context, struct att_err *err)
{
    struct file *file = context;
    file->offset = file->taken;
    return file->state && !file->is_stdin && !file->is_feed ? write_state(file, err) : ATT_OK;
}

static void close_file(void *context)
{
    struct file *file = context;
    if (file->fd > STDIN_FILENO)
        close(file->fd);
    att_mem_free(file->text);
    att_mem_free(file);
}

static bool looks_like_feed(const char *path)
{
    char head[256];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = fd >= 0 ? read(fd, head, sizeof head) : 0;
    const char *point = strrchr(path, '.');
    ssize_t at = 0;
    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return point && (strcmp(point, ".xml") == 0 || strcmp(point, ".rss") == 0 || strcmp(point, ".atom") == 0);
    if (got >= 3 && memcmp(head, "\xef\xbb\xbf", 3) == 0)
        at = 3;
    while (at < got && strchr(" \t\r\n", head[at]) && head[at])
        at++;
    return at < got && head[at] == '<';
}

enum att_status cli_source_file(const char *path, const struct cli_options *options, const volatile sig_atomic_t *stop,
                                struct cli_source *ret_source, struct att_err *err)
{
    struct file *file = att_mem_calloc(1, sizeof *file);
    enum att_status status = ATT_OK;
    if (!file)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    *file = (struct file){.path = path,
                          .state = options->state,
                          .source = options->source,
                          .stop = stop,
                          .follow = options->follow,
                          .is_stdin = strcmp(path, "-") == 0,
                          .fd = STDIN_FILENO};
    if (file->is_stdin) {
        file->follow = false;
    } else {
        file->fd = -1;
        file->is_feed = looks_like_feed(path);
        status = file->is_feed ? ATT_OK : open_file(file, err);
    }
    if (status != ATT_OK) {
        close_file(file);
        return status;
    }
    *ret_source = (struct cli_source){file, next, stored, close_file};
    return ATT_OK;
}
