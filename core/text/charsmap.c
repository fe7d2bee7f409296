/* The layout of a unit: value, or label and offset of the children (Darts, Yata et al. 2007). */
#include "core/text/charsmap.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Bytes written to `to`, or SIZE_MAX. */
static size_t decode(const char *text, size_t len, unsigned char *to)
{
    size_t n = 0, bits = 0;
    uint32_t held = 0;
    while (len > 0 && text[len - 1] == '=')
        len--;
    for (size_t i = 0; i < len; i++) {
        int value = digit(text[i]);
        if (value < 0)
            return SIZE_MAX;
        held = (held << 6 | (uint32_t)value) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            to[n++] = (unsigned char)(held >> bits);
        }
    }
    return n;
}

static uint32_t little(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

enum att_status att_charsmap_read(const char *base64, size_t len, const char *field, struct att_charsmap *ret_map,
                                  struct att_err *err)
{
    unsigned char *bytes = att_mem_calloc(len + 4, 1);
    struct att_charsmap map = {.units = NULL};
    if (!bytes)
        return att_err_set(err, ATT_ENOMEM, "out of memory for %s", field);
    size_t n = decode(base64, len, bytes), size = n != SIZE_MAX && n >= 4 ? little(bytes) : SIZE_MAX;
    enum att_status status = ATT_OK;
    if (size == SIZE_MAX || size > n - 4 || size % 4 != 0 || size == 0) {
        status = att_err_set(err, ATT_EFORMAT, "%s: is not a precompiled map of %zu bytes", field, len);
    } else {
        map.n_units = size / 4;
        map.block_len = n - 4 - size;
        map.units = att_mem_calloc(map.n_units, sizeof *map.units);
        map.block = att_mem_calloc(map.block_len + 1, 1);
        if (!map.units || !map.block)
            status = att_err_set(err, ATT_ENOMEM, "out of memory for %s", field);
    }
    for (size_t i = 0; status == ATT_OK && i < map.n_units; i++)
        map.units[i] = little(bytes + 4 + 4 * i);
    if (status == ATT_OK)
        memcpy(map.block, bytes + 4 + size, map.block_len);
    if (status == ATT_OK && !att_utf8_valid(map.block, map.block_len))
        status = att_err_set(err, ATT_EFORMAT, "%s: its replacements are not valid UTF-8", field);
    att_mem_free(bytes);
    if (status != ATT_OK)
        att_charsmap_finish(&map);
    else
        *ret_map = map;
    return status;
}

void att_charsmap_finish(struct att_charsmap *map)
{
    att_mem_free(map->units);
    att_mem_free(map->block);
    *map = (struct att_charsmap){.units = NULL};
}

static size_t offset(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & (1u << 9)) >> 6);
}

const char *att_charsmap_find(const struct att_charsmap *map, const char *text, size_t len)
{
    size_t node = offset(map->units[0]);
    for (size_t i = 0; i < len && text[i] != '\0'; i++) {
        uint32_t byte = (unsigned char)text[i];
        node ^= byte;
        if (node >= map->n_units)
            return NULL;
        uint32_t unit = map->units[node];
        if ((unit & (1u << 31 | 0xff)) != byte)
            return NULL;
        node ^= offset(unit);
        if (node >= map->n_units)
            return NULL;
        if (unit >> 8 & 1) {
            size_t value = map->units[node] & ~(1u << 31);
            return value < map->block_len ? map->block + value : NULL;
        }
    }
    return NULL;
}
