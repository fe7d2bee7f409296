/*
 * attend key NAME: makes an API key of the daemon. The key itself is printed once and kept nowhere; the file of keys
 * gets its SHA-256. 256 random bits need no slow hash.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

enum { RANDOM_BYTES = 32, KEY_BYTES_MAX = 64, LINE_BYTES_MAX = 512 };

static const char about[] =
    "usage: attend key NAME [--scopes infer,write,admin] [--limit requests_per_s=N] [--limit tokens_per_s=N] [--keys "
    "FILE]\n\n"
    "Makes an API key and prints it, once. Its line for the file that [server] api_keys names is added to --keys FILE\n"
    "(made with mode 0600), or printed behind the key. SIGHUP makes a running daemon read the file again.\n";

/* "atk_" and 64 hexadecimal digits would do; base64url keeps it short. */
static bool make_key(char key[KEY_BYTES_MAX])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[RANDOM_BYTES + 1] = {0};
    size_t n = 0;

    if (getrandom(bytes, RANDOM_BYTES, 0) != RANDOM_BYTES)
        return false;
    memcpy(key, "atk_", 4);
    for (n = 0; n * 6 < RANDOM_BYTES * 8; n++) {
        size_t bit = n * 6;
        unsigned pair = (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1];

        key[4 + n] = digits[pair >> (10 - bit % 8) & 63];
    }
    key[4 + n] = '\0';
    explicit_bzero(bytes, sizeof(bytes));
    return true;
}

static bool name_is_sane(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= 32 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

static bool scopes_are_sane(const char *scopes)
{
    while (*scopes != '\0') {
        size_t len = strcspn(scopes, ",");

        if (!(len == 5 &&
              (memcmp(scopes, "infer", 5) == 0 || memcmp(scopes, "write", 5) == 0 || memcmp(scopes, "admin", 5) == 0)))
            return false;
        scopes += len;
        if (*scopes == ',' && *++scopes == '\0')
            return false;
    }
    return true;
}

static bool limit_is_sane(const char *limit)
{
    static const char *const names[] = {"requests_per_s=", "tokens_per_s="};

    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(names[i]);

        if (strncmp(limit, names[i], len) == 0)
            return limit[len] >= '0' && limit[len] <= '9' && strspn(limit + len, "0123456789.") == strlen(limit + len);
    }
    return false;
}

/* One write, so that a reader sees the line whole or not at all. */
static enum att_status append(const char *path, const char *line, struct att_err *err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    size_t len = strlen(line);
    enum att_status status = ATT_OK;

    if (fd < 0)
        return att_err_set(err, ATT_EIO, "%s: cannot be written: %s", path, strerror(errno));
    if (write(fd, line, len) != (ssize_t)len || fsync(fd) != 0)
        status = att_err_set(err, ATT_EIO, "%s: cannot be written: %s", path, strerror(errno));
    close(fd);
    return status;
}

static enum att_status run(const struct cli_options *options, const char *name, struct att_err *err)
{
    char key[KEY_BYTES_MAX], digest[65], line[LINE_BYTES_MAX];
    int len;
    enum att_status status = ATT_OK;

    if (!make_key(key))
        return att_err_set(err, ATT_EIO, "the system gives no random bytes");
    att_digest(key, strlen(key), digest);
    if (digest[0] == '\0')
        return att_err_set(err, ATT_ENOMEM, "no memory for a digest");
    len = snprintf(line, sizeof(line), "%s %s %s", name, digest, options->scopes != NULL ? options->scopes : "infer");
    for (size_t i = 0; i < options->n_limits && len > 0 && (size_t)len < sizeof(line); i++)
        len += snprintf(line + len, sizeof(line) - (size_t)len, " %s", options->limits[i]);
    if (len < 0 || (size_t)len + 2 > sizeof(line))
        return att_err_set(err, ATT_EINVAL, "the line is too long");
    memcpy(line + len, "\n", 2);
    if (options->keys != NULL)
        status = append(options->keys, line, err);
    if (status == ATT_OK)
        printf("%s\n%s", key, options->keys == NULL ? line : "");
    explicit_bzero(key, sizeof(key));
    return status;
}

int cli_key(int argc, char **argv)
{
    struct cli_options options;
    struct att_err err;
    int usage = cli_options_parse(argc, argv, "keys scopes limit", about, &options);

    if (usage >= 0)
        return usage;
    if (options.n_rest != 1 || !name_is_sane(options.rest[0])) {
        fprintf(stderr,
                "attend key: expected one name of 1 to 32 letters, digits, '.', '_' or '-'; attend key --help\n");
        return CLI_USAGE;
    }
    if (options.scopes != NULL && (options.scopes[0] == '\0' || !scopes_are_sane(options.scopes))) {
        fprintf(stderr, "attend key: --scopes %s: expected infer, write, admin, with commas between\n", options.scopes);
        return CLI_USAGE;
    }
    for (size_t i = 0; i < options.n_limits; i++) {
        if (!limit_is_sane(options.limits[i])) {
            fprintf(stderr, "attend key: --limit %s: expected requests_per_s=N or tokens_per_s=N\n", options.limits[i]);
            return CLI_USAGE;
        }
    }
    return run(&options, options.rest[0], &err) == ATT_OK ? CLI_OK : cli_fail(argv[0], &err);
}
