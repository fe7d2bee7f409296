/* See feed_encoding.h. */
#include "cli/feed_encoding.h"

#include <iconv.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* The four-byte characters of GB18030 are rare; its others are those of GBK. */
static const struct {
    const char *name, *iconv_name;
} encodings[] = {
    {"GBK", "GBK"},
    {"GB2312", "GBK"},
    {"GB18030", "GBK"},
    {"Big5", "BIG5"},
    {"Shift_JIS", "CP932"},
    {"EUC-KR", "UHC"},
    {"windows-1250", "CP1250"},
    {"windows-1251", "CP1251"},
    {"windows-1252", "CP1252"},
    {"windows-1253", "CP1253"},
    {"windows-1254", "CP1254"},
    {"KOI8-R", "KOI8-R"},
    {"ISO-8859-2", "ISO-8859-2"},
    {"ISO-8859-9", "ISO-8859-9"},
    {"ISO-8859-15", "ISO-8859-15"},
};

/* The one character that the bytes stand for, or -1. */
static int character_of(iconv_t converter, const char *bytes, size_t len)
{
    unsigned char out[4];
    char *from = (char *)(uintptr_t)bytes, *to = (char *)out;
    size_t left = len, room = sizeof out;
    iconv(converter, NULL, NULL, NULL, NULL);
    if (iconv(converter, &from, &left, &to, &room) == (size_t)-1 || left > 0 || room > 0)
        return -1;
    return (int)((unsigned)out[0] | (unsigned)out[1] << 8 | (unsigned)out[2] << 16);
}

static int convert(void *data, const char *bytes)
{
    return character_of(data, bytes, 2);
}

static void release(void *data)
{
    iconv_close(data);
}

/* Whether a byte begins characters of two bytes. */
static bool leads(iconv_t converter, int byte)
{
    for (int second = 0x40; second < 0xff; second++)
        if (character_of(converter, (const char[]){(char)byte, (char)second}, 2) >= 0)
            return true;
    return false;
}

int cli_feed_encoding(void *context, const XML_Char *name, XML_Encoding *encoding)
{
    iconv_t converter = (iconv_t)-1;
    (void)context;
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++)
        if (strcasecmp(encodings[i].name, name) == 0)
            converter = iconv_open("UTF-32LE", encodings[i].iconv_name);
    if (converter == (iconv_t)-1)
        return XML_STATUS_ERROR;
    for (int byte = 0; byte < 256; byte++) {
        int character = byte < 0x80 ? byte : character_of(converter, (const char[]){(char)byte}, 1);
        encoding->map[byte] = character >= 0 ? character : leads(converter, byte) ? -2 : -1;
    }
    encoding->data = converter;
    encoding->convert = convert;
    encoding->release = release;
    return XML_STATUS_OK;
}
