/*
 * Reading the configuration with libinih (the only file that includes it).
 *
 * inih tells no line numbers and cuts long names silently, so the lines go
 * through a reader here that counts them and refuses what inih would cut.
 * Drop-ins are read after the file and override single keys.
 */
#include "server/config/config.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/attend.h"

enum { LINE_BYTES_MAX = 1000, HEADING_BYTES_MAX = 49, WHERE_BYTES_MAX = 300, DROP_INS_MAX = 256 };

static const char *const level_words[] = {"debug", "info", "warn", "error", NULL};
static const char *const format_words[] = {"auto", "logfmt", "json", "journal", NULL};
static const char *const bool_words[] = {"no", "yes", NULL};
static const char *const dtype_words[] = {[ATT_F32] = "f32", [ATT_BF16] = "bf16", [ATT_INT8] = "int8", NULL};
static const char *const alert_words[] = {"blue", "yellow", "orange", "red", NULL};
static const char *const subject_words[] = {"event", "entity", "topic", "source", "all", NULL};
static const char *const *const words_of[] = {
    [SRV_LEVEL] = level_words, [SRV_FORMAT] = format_words,     [SRV_BOOL] = bool_words,
    [SRV_DTYPE] = dtype_words, [SRV_ALERT_LEVEL] = alert_words, [SRV_ALERT_SUBJECT] = subject_words,
};

/* "default" is a keyword of C: the field is called is_default. */
#define model_default is_default
#define model_path path
#define model_dtype dtype
#define model_encoder encoder
#define model_items items
#define model_catalogue catalogue
#define model_enabled enabled
#define kb_path path
#define kb_model model
#define kb_reranker reranker
#define kb_reader reader
#define kb_generator generator
#define kb_generated_cover_min generated_cover_min
#define kb_record record
#define kb_record_days record_days
#define kb_record_max record_max
#define alert_level level
#define alert_subject subject
#define alert_entity entity
#define alert_topic topic
#define alert_source source
#define alert_window_minutes window_minutes
#define alert_cooldown_minutes cooldown_minutes
#define alert_items_min items_min
#define alert_sources_min sources_min
#define alert_heat_min heat_min
#define alert_growth_min growth_min
#define alert_negative_share_min negative_share_min
#define alert_polarity_max polarity_max
#define alert_importance_min importance_min
#define webhook_url url
#define webhook_secret_file secret_file
#define webhook_levels levels
#define webhook_ca_file ca_file
#define webhook_timeout_ms timeout_ms
#define webhook_attempts_max attempts_max
#define TYPE_NUMBER SRV_NUMBER
#define TYPE_TEXT SRV_TEXT_VALUE
#define TYPE_LEVEL SRV_LEVEL
#define TYPE_FORMAT SRV_FORMAT
#define TYPE_BOOL SRV_BOOL
#define TYPE_DTYPE SRV_DTYPE
#define TYPE_DECIMAL SRV_DECIMAL
#define TYPE_ALERT SRV_ALERT_LEVEL
#define TYPE_SUBJECT SRV_ALERT_SUBJECT

static const struct srv_option options[] = {
#define SRV_OPTION(section, name, type, unit, otherwise, min, max, help)                                               \
    {#section, #name, TYPE_##type, unit,  otherwise,                                                                   \
     min,      max,   help,        false, offsetof(struct srv_config, section##_##name)},
#define SRV_OPTION_OF(section, name, type, unit, otherwise, min, max, help)                                            \
    {#section, #name, TYPE_##type, unit, otherwise,                                                                    \
     min,      max,   help,        true, offsetof(struct srv_config_##section, section##_##name)},
#include "server/config/options.def"
#undef SRV_OPTION
#undef SRV_OPTION_OF
};

enum { N_OPTIONS = sizeof(options) / sizeof(options[0]) };

const struct srv_option *srv_options(size_t *ret_count)
{
    *ret_count = N_OPTIONS;
    return options;
}

bool srv_option_needs_restart(const struct srv_option *option)
{
    static const char *const reloaded[] = {"api_keys",       "tls_certificate", "tls_key",
                                           "worker_threads", "cors_origins",    "classifiers"};

    if (strcmp(option->name, "header_bytes_max") == 0)
        return true;
    for (size_t i = 0; i < sizeof(reloaded) / sizeof(reloaded[0]); i++)
        if (strcmp(option->name, reloaded[i]) == 0)
            return false;
    return strcmp(option->section, "server") == 0;
}

bool srv_option_equal(const struct srv_option *option, const struct srv_config *a, const struct srv_config *b)
{
    const struct srv_value *in_a = (const void *)((const char *)a + option->offset);
    const struct srv_value *in_b = (const void *)((const char *)b + option->offset);

    assert(!option->named_section);
    if (in_a->text == NULL || in_b->text == NULL)
        return in_a->text == in_b->text && in_a->number == in_b->number;
    return strcmp(in_a->text, in_b->text) == 0;
}

double srv_config_decimal(const struct srv_value *value)
{
    return (double)(int64_t)value->number / 1000;
}

const char *srv_config_text(const struct srv_value *value)
{
    return value->text == NULL || strcmp(value->text, "none") == 0 ? NULL : value->text;
}

/* ---- one value ---- */

static enum att_status parse_number(const struct srv_option *option, const char *text, uint64_t *ret,
                                    struct att_err *err)
{
    bool scaled = strcmp(option->unit, "bytes") == 0 || strcmp(option->unit, "tokens") == 0;
    unsigned long long number;
    unsigned shift = 0;
    char *end;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (scaled && end > text && *end != '\0' && end[1] == '\0') {
        shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
        end += shift > 0;
    }
    if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0' || number > (UINT64_MAX >> shift))
        return att_err_set(err, ATT_EINVAL, "%s = '%s', expected a number%s%s", option->name, text,
                           option->unit[0] != '\0' ? " of " : "", option->unit);
    number <<= shift;
    if (number < option->min || number > option->max)
        return att_err_set(err, ATT_EINVAL, "%s = %s, expected %llu to %llu", option->name, text,
                           (unsigned long long)option->min, (unsigned long long)option->max);
    *ret = number;
    return ATT_OK;
}

/* "-0.25": at most three digits behind the point, kept as thousandths. */
static enum att_status parse_decimal(const struct srv_option *option, const char *text, uint64_t *ret,
                                     struct att_err *err)
{
    int64_t min = (int64_t)option->min, max = (int64_t)option->max, value = 0;
    const char *at = text + (text[0] == '-');
    size_t before = strspn(at, "0123456789"), after = at[before] == '.' ? strspn(at + before + 1, "0123456789") : 0;

    if (before == 0 || before > 9 || after > 3 || (after == 0 && at[before] == '.') ||
        at[before + (at[before] == '.' ? 1 + after : 0)] != '\0')
        return att_err_set(err, ATT_EINVAL, "%s = '%s', expected a number like 0.25, of at most three decimals",
                           option->name, text);
    for (size_t i = 0; i < before; i++)
        value = value * 10 + (at[i] - '0');
    for (size_t i = 0; i < 3; i++)
        value = value * 10 + (i < after ? at[before + 1 + i] - '0' : 0);
    value = text[0] == '-' ? -value : value;
    if (value < min || value > max)
        return att_err_set(err, ATT_EINVAL, "%s = %s, expected %g to %g", option->name, text, (double)min / 1000,
                           (double)max / 1000);
    *ret = (uint64_t)value;
    return ATT_OK;
}

static enum att_status parse_word(const struct srv_option *option, const char *text, uint64_t *ret, struct att_err *err)
{
    const char *const *words = words_of[option->type];
    char all[64] = "";
    size_t len = 0;

    for (size_t i = 0; words[i] != NULL; i++) {
        int n;

        if (strcmp(words[i], text) == 0) {
            *ret = i;
            return ATT_OK;
        }
        n = snprintf(all + len, sizeof(all) - len, "%s%s", i > 0 ? ", " : "", words[i]);
        len += n > 0 && (size_t)n < sizeof(all) - len ? (size_t)n : 0;
    }
    return att_err_set(err, ATT_EINVAL, "%s = '%s', expected one of %s", option->name, text, all);
}

static enum att_status set_value(const struct srv_option *option, struct srv_value *value, const char *text,
                                 struct att_err *err)
{
    char *copy;

    if (option->type == SRV_NUMBER)
        return parse_number(option, text, &value->number, err);
    if (option->type == SRV_DECIMAL)
        return parse_decimal(option, text, &value->number, err);
    if (option->type != SRV_TEXT_VALUE)
        return parse_word(option, text, &value->number, err);
    if (text[0] == '\0')
        return att_err_set(err, ATT_EINVAL, "%s is empty", option->name);
    copy = att_mem_strdup(text);
    if (copy == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for the configuration");
    att_mem_free(value->text);
    value->text = copy;
    return ATT_OK;
}

static struct srv_value *value_at(void *base, const struct srv_option *option)
{
    return (struct srv_value *)(void *)((char *)base + option->offset);
}

/* Defaults of a section, or of all sections without names (section NULL). Required texts stay NULL. */
static enum att_status set_defaults(void *base, const char *section, struct att_err *err)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct srv_option *option = &options[i];
        enum att_status status;

        if (section == NULL ? option->named_section : strcmp(option->section, section) != 0)
            continue;
        if (option->type == SRV_TEXT_VALUE && option->otherwise[0] == '\0')
            continue;
        status = set_value(option, value_at(base, option), option->otherwise, err);
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

enum att_status srv_config_init(struct srv_config *config, struct att_err *err)
{
    memset(config, 0, sizeof(*config));
    return set_defaults(config, NULL, err);
}

/* ---- sections with names ---- */

/* What every struct srv_config_model, _kb, … begins with. */
struct named {
    char name[SRV_NAME_MAX + 1];
    char *where;
};

static const struct {
    const char *section;
    size_t list, count, size, max;
} kinds[] = {
#define KIND(section, list, max)                                                                                       \
    {                                                                                                                  \
#section, offsetof(struct srv_config, list), offsetof(struct srv_config, n_##list),                            \
            sizeof(struct srv_config_##section), max                                                                   \
    }
    KIND(model, models, SRV_MODELS_MAX),
    KIND(kb, kbs, SRV_KBS_MAX),
    KIND(alert, alerts, SRV_ALERTS_MAX),
    KIND(webhook, webhooks, SRV_WEBHOOKS_MAX),
#undef KIND
};

enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static size_t *count_of(struct srv_config *config, size_t kind)
{
    return (size_t *)(void *)((char *)config + kinds[kind].count);
}

static struct named *named_at(struct srv_config *config, size_t kind, size_t i)
{
    return (struct named *)(void *)((char *)config + kinds[kind].list + i * kinds[kind].size);
}

void srv_config_finish(struct srv_config *config)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct srv_option *option = &options[i];

        if (!option->named_section)
            att_mem_free(value_at(config, option)->text);
        for (size_t kind = 0; option->named_section && kind < N_KINDS; kind++)
            for (size_t k = 0; strcmp(option->section, kinds[kind].section) == 0 && k < *count_of(config, kind); k++)
                att_mem_free(value_at(named_at(config, kind, k), option)->text);
    }
    for (size_t kind = 0; kind < N_KINDS; kind++)
        for (size_t i = 0; i < *count_of(config, kind); i++)
            att_mem_free(named_at(config, kind, i)->where);
    memset(config, 0, sizeof(*config));
}

static bool name_is_sane(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > SRV_NAME_MAX)
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len && name[0] != '.';
}

static enum att_status add_named(struct srv_config *config, size_t kind, const char *name, const char *where,
                                 void **ret_base, struct att_err *err)
{
    size_t *n = count_of(config, kind);
    struct named *named = named_at(config, kind, *n);
    enum att_status status;
    char *copy;

    if (*n == kinds[kind].max)
        return att_err_set(err, ATT_EINVAL, "more than %zu sections [%s NAME]", *n, kinds[kind].section);
    copy = att_mem_strdup(where);
    if (copy == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for the configuration");
    named->where = copy;
    memcpy(named->name, name, strlen(name) + 1);
    ++*n;
    status = set_defaults(named, kinds[kind].section, err);
    if (status == ATT_OK)
        *ret_base = named;
    return status;
}

/* The section's values; a named one is made when it is met first. `section` is one of the option table. */
static enum att_status find_base(struct srv_config *config, const char *section, const char *name, const char *where,
                                 void **ret_base, struct att_err *err)
{
    size_t kind = 0;

    if (name == NULL) {
        *ret_base = config;
        return ATT_OK;
    }
    if (!name_is_sane(name))
        return att_err_set(err, ATT_EINVAL,
                           "[%s %s]: a name is 1 to %d letters, digits, '.', '_' or '-', and begins with no '.'",
                           section, name, SRV_NAME_MAX);
    while (strcmp(kinds[kind].section, section) != 0)
        kind++;
    for (size_t i = 0; i < *count_of(config, kind); i++)
        if (strcmp(named_at(config, kind, i)->name, name) == 0) {
            *ret_base = named_at(config, kind, i);
            return ATT_OK;
        }
    return add_named(config, kind, name, where, ret_base, err);
}

enum att_status srv_config_set(struct srv_config *config, const char *section, const char *section_name,
                               const char *key, const char *value, const char *where, struct att_err *err)
{
    bool section_known = false;

    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct srv_option *option = &options[i];
        enum att_status status;
        void *base;

        if (strcmp(option->section, section) != 0 || option->named_section != (section_name != NULL))
            continue;
        section_known = true;
        if (strcmp(option->name, key) != 0)
            continue;
        status = find_base(config, section, section_name, where, &base, err);
        if (status == ATT_OK)
            status = set_value(option, value_at(base, option), value, err);
        if (status != ATT_OK)
            att_err_prefix(err, "%s", where);
        return status;
    }
    if (!section_known)
        return att_err_set(err, ATT_EINVAL, "%s: unknown section [%s%s%s]", where, section, section_name ? " " : "",
                           section_name ? section_name : "");
    return att_err_set(err, ATT_EINVAL, "%s: unknown key '%s' in [%s]", where, key, section);
}

/* ---- files ---- */

struct reading {
    struct srv_config *config;
    const char *path;
    FILE *file;
    unsigned line;
    enum att_status status;
    struct att_err *err;
    char (*seen)[HEADING_BYTES_MAX * 2 + 3]; /* "section\nkey" of this file, to refuse a key given twice */
    size_t n_seen, seen_capacity;
};

static void where_of(const struct reading *reading, char *where)
{
    snprintf(where, WHERE_BYTES_MAX, "%s:%u", reading->path, reading->line);
}

static void refuse_line(struct reading *reading, const char *message)
{
    if (reading->status == ATT_OK)
        reading->status = att_err_set(reading->err, ATT_EINVAL, "%s:%u: %s", reading->path, reading->line, message);
}

/* [section] or [section NAME]: known, and a named one exists from here on, with or without keys. */
static void read_heading(struct reading *reading, const char *line)
{
    char section[HEADING_BYTES_MAX + 1], where[WHERE_BYTES_MAX];
    size_t len = strcspn(line + 1, "]"), head_len;
    const char *name = NULL;
    void *base;

    if (len > HEADING_BYTES_MAX || line[1 + len] != ']') {
        refuse_line(reading, "a heading is [section] or [section NAME], of at most 49 bytes");
        return;
    }
    snprintf(section, sizeof(section), "%.*s", (int)len, line + 1);
    head_len = strcspn(section, " \t");
    if (section[head_len] != '\0') {
        name = section + head_len + strspn(section + head_len, " \t");
        section[head_len] = '\0';
    }
    where_of(reading, where);
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (strcmp(options[i].section, section) != 0 || options[i].named_section != (name != NULL))
            continue;
        reading->status = find_base(reading->config, section, name, where, &base, reading->err);
        if (reading->status != ATT_OK)
            att_err_prefix(reading->err, "%s", where);
        return;
    }
    refuse_line(reading, "unknown section, expected [server], [limits], [batching], [log], [news], [model NAME], "
                         "[kb NAME], [alert NAME] or [webhook NAME]");
}

/* fgets that counts lines and refuses those that inih would cut or skip. */
static char *read_line(char *line, int size, void *context)
{
    struct reading *reading = context;
    size_t len, name_len;

    if (reading->status != ATT_OK || fgets(line, size, reading->file) == NULL)
        return NULL;
    reading->line++;
    len = strlen(line);
    name_len = strcspn(line, "=:");
    if (len + 1 == (size_t)size && line[len - 1] != '\n')
        refuse_line(reading, "the line is too long");
    else if ((line[0] == ' ' || line[0] == '\t') && line[strspn(line, " \t\r\n")] != '\0')
        refuse_line(reading, "the line begins with a blank");
    else if (line[0] == '[')
        read_heading(reading, line);
    else if (line[0] != '#' && line[0] != ';' && name_len > HEADING_BYTES_MAX)
        refuse_line(reading, "the name is too long");
    return reading->status == ATT_OK ? line : NULL;
}

static bool note_seen(struct reading *reading, const char *section, const char *key)
{
    char entry[HEADING_BYTES_MAX * 2 + 3];

    snprintf(entry, sizeof(entry), "%s\n%s", section, key);
    for (size_t i = 0; i < reading->n_seen; i++)
        if (strcmp(reading->seen[i], entry) == 0)
            return false;
    if (reading->n_seen == reading->seen_capacity) {
        size_t capacity = reading->seen_capacity * 2 + 64;
        void *seen = att_mem_realloc(reading->seen, capacity, sizeof(reading->seen[0]));

        if (seen == NULL) {
            reading->status = att_err_set(reading->err, ATT_ENOMEM, "no memory for the configuration");
            return true;
        }
        reading->seen = seen;
        reading->seen_capacity = capacity;
    }
    memcpy(reading->seen[reading->n_seen++], entry, sizeof(entry));
    return true;
}

static int on_value(void *context, const char *section, const char *name, const char *value)
{
    struct reading *reading = context;
    char where[WHERE_BYTES_MAX], head[HEADING_BYTES_MAX + 1];
    const char *section_name;
    size_t head_len = strcspn(section, " \t");

    if (reading->status != ATT_OK)
        return 0;
    where_of(reading, where);
    section_name = section[head_len] != '\0' ? section + head_len + strspn(section + head_len, " \t") : NULL;
    snprintf(head, sizeof(head), "%.*s", (int)head_len, section);
    if (!note_seen(reading, section, name))
        reading->status =
            att_err_set(reading->err, ATT_EINVAL, "%s: [%s] %s was given before in this file", where, section, name);
    if (reading->status == ATT_OK)
        reading->status = srv_config_set(reading->config, head, section_name, name, value, where, reading->err);
    return reading->status == ATT_OK;
}

static enum att_status read_one(struct srv_config *config, const char *path, struct att_err *err)
{
    struct reading reading = {.config = config, .path = path, .err = err};
    struct stat facts;
    int bad_line;

    reading.file = fopen(path, "re");
    if (reading.file == NULL)
        return att_err_set(err, errno == ENOMEM ? ATT_ENOMEM : ATT_EIO, "%s: cannot be read: %s", path,
                           strerror(errno));
    if (fstat(fileno(reading.file), &facts) != 0 || !S_ISREG(facts.st_mode)) {
        fclose(reading.file);
        return att_err_set(err, ATT_EIO, "%s: is not a regular file", path);
    }
    ini_max_line = LINE_BYTES_MAX;
    ini_allow_inline_comments = false;
    bad_line = ini_parse_stream(read_line, &reading, on_value, &reading);
    if (reading.status == ATT_OK && bad_line != 0)
        reading.status = att_err_set(err, ATT_EINVAL, "%s:%d: neither [section] nor key = value", path, bad_line);
    fclose(reading.file);
    att_mem_free(reading.seen);
    return reading.status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of FILE.d that end in .conf, sorted, in `names`. No folder: none. */
static enum att_status list_drop_ins(const char *folder, char **names, size_t *ret_count, struct att_err *err)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    enum att_status status = ATT_OK;
    size_t n = 0;

    if (dir == NULL && errno != ENOENT)
        return att_err_set(err, errno == ENOMEM ? ATT_ENOMEM : ATT_EIO, "%s: cannot be read: %s", folder,
                           strerror(errno));
    while (dir != NULL && status == ATT_OK && (entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);

        if (entry->d_name[0] == '.' || len <= 5 || strcmp(entry->d_name + len - 5, ".conf") != 0)
            continue;
        if (n == DROP_INS_MAX)
            status = att_err_set(err, ATT_EINVAL, "%s: more than %d files", folder, DROP_INS_MAX);
        else if ((names[n] = att_mem_strdup(entry->d_name)) != NULL)
            n++;
        else
            status = att_err_set(err, ATT_ENOMEM, "no memory for the configuration");
    }
    if (dir != NULL)
        closedir(dir);
    qsort(names, n, sizeof(names[0]), compare_names);
    *ret_count = n;
    return status;
}

enum att_status srv_config_read(struct srv_config *config, const char *path, struct att_err *err)
{
    enum att_status status = read_one(config, path, err);
    char folder[WHERE_BYTES_MAX], file[WHERE_BYTES_MAX + 300];
    char *names[DROP_INS_MAX];
    size_t n_names = 0;
    int len;

    if (status != ATT_OK)
        return status;
    len = snprintf(folder, sizeof(folder), "%s.d", path);
    if (len < 0 || (size_t)len >= sizeof(folder))
        return att_err_set(err, ATT_EINVAL, "%s: the path is too long", path);
    status = list_drop_ins(folder, names, &n_names, err);
    for (size_t i = 0; i < n_names; i++) {
        snprintf(file, sizeof(file), "%s/%s", folder, names[i]);
        if (status == ATT_OK)
            status = read_one(config, file, err);
        att_mem_free(names[i]);
    }
    return status;
}
