/* Loading and writing item tables; see items.h for the files. */
#include "store/items.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/attend.h"
#include "core/base/json.h"
#include "core/base/mem.h"

enum { PATH_BYTES = 4096, JSON_DEPTH = 8, ID_BYTES_MAX = 256, DIGEST = 64, HEADER = 8 + 4 + 4 + 8 + 2 * DIGEST };
static const size_t table_bytes_max = (size_t)2 << 30, arena_bytes_max = (size_t)4 << 30;
static const char magic[8] = "ATTITEMS";

struct slot {
    size_t index; /* 0: free */
};

struct store_items {
    struct att_arena arena;
    char *dir;
    struct store_item *items; /* [n_items + 1] */
    size_t n_items;
    struct slot *slots;       /* open addressing by the id's hash; a power of two */
    size_t n_slots;
    char digest[DIGEST + 1];  /* of items.jsonl */
    float *embeddings;
    size_t dimensions;
    const char *why;          /* embeddings are not there because … */
};

static enum att_status no_memory(struct att_err *err)
{
    return att_err_set(err, ATT_ENOMEM, "out of memory for the item table");
}

/* The whole file, NUL-terminated. Regular files only; never blocks. */
static enum att_status read_file(const char *dir, const char *name, char **ret_bytes, size_t *ret_len,
                                 struct att_err *err)
{
    char path[PATH_BYTES];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = n > 0 && n < PATH_BYTES ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW) : -1;
    if (fd < 0)
        return att_err_set(err, errno == ENOENT ? ATT_ENOTFOUND : ATT_EIO, "%s: %s", name, strerror(errno));
    enum att_status status = ATT_OK;
    char *bytes = NULL;
    size_t at = 0, len = 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > table_bytes_max)
        status = att_err_set(err, ATT_EFORMAT, "%s: expected a regular file of at most %zu bytes", name,
                             table_bytes_max);
    else if (!(bytes = att_mem_calloc((len = (size_t)st.st_size) + 1, 1)))
        status = no_memory(err);
    while (status == ATT_OK && at < len) {
        ssize_t got = read(fd, bytes + at, len - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            status = att_err_set(err, ATT_EIO, "%s: cannot be read to its end", name);
        else
            at += (size_t)got;
    }
    close(fd);
    if (status != ATT_OK) {
        att_mem_free(bytes);
        return status;
    }
    *ret_bytes = bytes;
    *ret_len = len;
    return ATT_OK;
}

static size_t hash(const char *id, size_t len)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)id[i]) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

static struct slot *slot_of(const struct store_items *items, const char *id, size_t len)
{
    for (size_t i = hash(id, len);; i++) {
        struct slot *slot = &items->slots[i & (items->n_slots - 1)];
        if (slot->index == 0)
            return slot;
        const char *own = items->items[slot->index].id;
        if (strlen(own) == len && memcmp(own, id, len) == 0)
            return slot;
    }
}

static const char *text_member(struct store_items *items, const struct att_json *line, const char *name,
                               const char *otherwise)
{
    size_t len;
    const char *text = att_json_string(att_json_get(line, name), &len);
    return text ? att_arena_copy(&items->arena, text, len) : otherwise;
}

static enum att_status take_line(struct store_items *items, const struct att_json *line, size_t number,
                                 struct att_err *err)
{
    size_t len = 0;
    int64_t index = 0;
    const char *id = att_json_string(att_json_get(line, "id"), &len);
    if (!id || len == 0 || len > ID_BYTES_MAX)
        return att_err_set(err, ATT_EFORMAT, "items.jsonl: line %zu: id: expected a string of 1 to %d bytes", number,
                           ID_BYTES_MAX);
    if (!att_json_integer(att_json_get(line, "index"), 1, (int64_t)items->n_items, &index))
        return att_err_set(err, ATT_EFORMAT, "items.jsonl: line %zu: index: expected an integer from 1 to %zu", number,
                           items->n_items);
    struct store_item *item = &items->items[index];
    struct slot *slot = slot_of(items, id, len);
    if (item->id || slot->index)
        return att_err_set(err, ATT_EFORMAT, "items.jsonl: line %zu: %s stands twice", number,
                           item->id ? "index" : "id");
    item->id = att_arena_copy(&items->arena, id, len);
    item->title = item->id ? text_member(items, line, "title", item->id) : NULL;
    item->text = item->title ? text_member(items, line, "text", item->title) : NULL;
    item->popularity = att_json_number(att_json_get(line, "popularity"), 0);
    if (!item->text)
        return no_memory(err);
    slot->index = (size_t)index;
    return ATT_OK;
}

static enum att_status parse_table(struct store_items *items, const char *text, size_t len, struct att_err *err)
{
    size_t number = 0;
    for (size_t at = 0; at < len;) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t end = newline ? (size_t)(newline - text) : len;
        struct att_json *line = NULL;
        number++;
        if (end > at) {
            enum att_status status = att_json_parse(text + at, end - at, 0, JSON_DEPTH, &line, err);
            if (status == ATT_OK)
                status = take_line(items, line, number, err);
            else
                status = att_err_prefix(err, "items.jsonl: line %zu", number);
            att_json_destroy(line);
            if (status != ATT_OK)
                return status == ATT_ESYNTAX ? (err ? (err->status = ATT_EFORMAT) : ATT_EFORMAT) : status;
        }
        at = end + 1;
    }
    return number > 0 ? ATT_OK : att_err_set(err, ATT_EFORMAT, "items.jsonl: is empty, expected one item a line");
}

static uint64_t little_endian(const unsigned char *bytes, size_t n)
{
    uint64_t value = 0;
    while (n-- > 0)
        value = value << 8 | bytes[n];
    return value;
}

/* Embeddings that do not belong here are left out, and items->why says so: ranking by content is then off. */
static enum att_status load_embeddings(struct store_items *items, const char *encoder_digest, size_t dimensions,
                                       struct att_err *err)
{
    char *bytes = NULL;
    size_t len = 0, floats = 0;
    struct att_err ignored;
    enum att_status status = read_file(items->dir, "item_embeddings.bin", &bytes, &len, &ignored);
    items->why = "item_embeddings.bin is missing: run attend items index";
    if (status != ATT_OK)
        return status == ATT_ENOMEM ? no_memory(err) : ATT_OK;
    const unsigned char *header = (const unsigned char *)bytes;
    bool sized = len >= HEADER && memcmp(bytes, magic, sizeof magic) == 0 && little_endian(header + 8, 4) == 1 &&
                 little_endian(header + 12, 4) == dimensions && little_endian(header + 16, 8) == items->n_items + 1 &&
                 att_size_mul(items->n_items + 1, dimensions, &floats) && (len - HEADER) / sizeof(float) == floats &&
                 (len - HEADER) % sizeof(float) == 0;
    if (!sized) {
        items->why = "item_embeddings.bin is damaged or of other sizes: run attend items index";
    } else if (memcmp(bytes + 24, encoder_digest, DIGEST) != 0) {
        items->why = "item_embeddings.bin was made with another encoder: run attend items index";
    } else if (memcmp(bytes + 24 + DIGEST, items->digest, DIGEST) != 0) {
        items->why = "item_embeddings.bin was made from another items.jsonl: run attend items index";
    } else if (!(items->embeddings = att_mem_aligned(floats, sizeof(float)))) {
        status = no_memory(err);
    } else {
        memcpy(items->embeddings, bytes + HEADER, floats * sizeof(float));
        items->dimensions = dimensions;
        items->why = NULL;
    }
    att_mem_free(bytes);
    return status;
}

enum att_status store_items_load(const char *dir, size_t n_items, const char *encoder_digest, size_t dimensions,
                                 struct store_items **ret_items, struct att_err *err)
{
    char *text = NULL;
    size_t len = 0;
    struct store_items *items = att_mem_calloc(1, sizeof *items);
    if (!items)
        return no_memory(err);
    att_arena_init(&items->arena, arena_bytes_max);
    items->n_items = n_items;
    items->why = "no encoder is given for this model";
    for (items->n_slots = 16; items->n_slots < 2 * n_items; items->n_slots *= 2)
        ;
    items->dir = att_mem_strdup(dir);
    items->items = att_mem_calloc(n_items + 1, sizeof *items->items);
    items->slots = att_mem_calloc(items->n_slots, sizeof *items->slots);
    enum att_status status = items->dir && items->items && items->slots ? read_file(dir, "items.jsonl", &text, &len, err)
                                                                        : no_memory(err);
    if (status == ATT_OK)
        status = parse_table(items, text, len, err);
    if (status == ATT_OK)
        att_digest(text, len, items->digest);
    if (status == ATT_OK && encoder_digest)
        status = load_embeddings(items, encoder_digest, dimensions, err);
    att_mem_free(text);
    if (status != ATT_OK)
        store_items_destroy(items);
    else
        *ret_items = items;
    return status;
}

void store_items_destroy(struct store_items *items)
{
    if (!items)
        return;
    att_arena_finish(&items->arena);
    att_mem_free(items->dir);
    att_mem_free(items->items);
    att_mem_free(items->slots);
    att_mem_free(items->embeddings);
    att_mem_free(items);
}

size_t store_items_count(const struct store_items *items)
{
    return items->n_items;
}

const struct store_item *store_items_at(const struct store_items *items, size_t index)
{
    return index >= 1 && index <= items->n_items && items->items[index].id ? &items->items[index] : NULL;
}

size_t store_items_find(const struct store_items *items, const char *id, size_t len)
{
    return slot_of(items, id, len)->index;
}

const float *store_items_embedding(const struct store_items *items, size_t index)
{
    return items->embeddings && index <= items->n_items ? items->embeddings + index * items->dimensions : NULL;
}

const float *store_items_embeddings(const struct store_items *items, const char **ret_why)
{
    if (ret_why)
        *ret_why = items->why;
    return items->embeddings;
}

static void put_little_endian(FILE *file, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fputc((int)(value >> (8 * i) & 255), file);
}

enum att_status store_items_write_embeddings(const struct store_items *items, const char *encoder_digest,
                                             size_t dimensions, const float *vectors, struct att_err *err)
{
    char path[PATH_BYTES], temporary[PATH_BYTES];
    size_t floats = (items->n_items + 1) * dimensions;
    assert(strlen(encoder_digest) == DIGEST);
    int n = snprintf(path, sizeof path, "%s/item_embeddings.bin", items->dir);
    int m = snprintf(temporary, sizeof temporary, "%s/item_embeddings.bin.new", items->dir);
    FILE *file = n > 0 && n < PATH_BYTES && m > 0 && m < PATH_BYTES ? fopen(temporary, "wb") : NULL;
    if (!file)
        return att_err_set(err, ATT_EIO, "item_embeddings.bin: cannot be written: %s", strerror(errno));
    fwrite(magic, 1, sizeof magic, file);
    put_little_endian(file, 1, 4);
    put_little_endian(file, dimensions, 4);
    put_little_endian(file, items->n_items + 1, 8);
    fwrite(encoder_digest, 1, DIGEST, file);
    fwrite(items->digest, 1, DIGEST, file);
    fwrite(vectors, sizeof *vectors, floats, file);
    bool good = fflush(file) == 0 && fsync(fileno(file)) == 0 && !ferror(file);
    good &= fclose(file) == 0;
    if (!good || rename(temporary, path) != 0) {
        unlink(temporary);
        return att_err_set(err, ATT_ESPACE, "item_embeddings.bin: cannot be written: %s", strerror(errno));
    }
    return ATT_OK;
}
