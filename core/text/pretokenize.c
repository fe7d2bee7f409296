/* The pre-tokenisers. A step reads one list of pieces and writes another. */
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/text/steps.h"
#include "core/text/unicode.h"

void att_pieces_finish(struct att_pieces *pieces)
{
    att_aligned_finish(&pieces->text);
    att_mem_free(pieces->items);
    *pieces = (struct att_pieces){.items = NULL};
}

void att_pieces_reset(struct att_pieces *pieces)
{
    att_aligned_reset(&pieces->text);
    pieces->count = 0;
    pieces->failed = false;
}

void att_pieces_close(struct att_pieces *pieces, size_t begin, uint32_t origin)
{
    if (pieces->text.len == begin)
        return;
    if (pieces->count == pieces->capacity) {
        size_t capacity = pieces->capacity ? 2 * pieces->capacity : 64;
        struct att_piece_span *items = att_mem_realloc(pieces->items, capacity, sizeof *items);
        if (!items) {
            pieces->failed = true;
            return;
        }
        pieces->items = items;
        pieces->capacity = capacity;
    }
    pieces->items[pieces->count++] = (struct att_piece_span){(uint32_t)begin, (uint32_t)pieces->text.len, origin};
}

void att_step_work_finish(struct att_step_work *work)
{
    for (int i = 0; i < 2; i++) {
        att_aligned_finish(&work->normal[i]);
        att_pieces_finish(&work->pieces[i]);
    }
    att_changes_finish(&work->changes);
    att_regex_match_destroy(work->match);
}

void att_steps_finish(struct att_steps *steps)
{
    for (size_t i = 0; i < steps->count; i++) {
        att_mem_free(steps->items[i].text);
        att_mem_free(steps->items[i].literal);
        att_regex_destroy(steps->items[i].regex);
        att_charsmap_finish(&steps->items[i].map);
    }
    steps->count = 0;
}

/* ---- cutting by matches ---- */

/* A slice that is written piece by piece. */
struct cutter {
    struct att_pieces *to;
    const struct att_aligned *from;
    enum att_behavior behavior;
    size_t begin;       /* of the open piece, in from */
    bool open, matched; /* matched: the open piece is, or begins with, a match */
};

static void close_piece(struct cutter *cutter, size_t end)
{
    if (!cutter->open || end <= cutter->begin)
        return;
    size_t at = cutter->to->text.len;
    att_aligned_copy(&cutter->to->text, cutter->from, cutter->begin, end);
    att_pieces_close(cutter->to, at, cutter->from->starts[cutter->begin]);
    cutter->open = false;
}

static void open_piece(struct cutter *cutter, size_t begin, bool matched)
{
    cutter->open = true;
    cutter->begin = begin;
    cutter->matched = matched;
}

/* The next segment [begin, end), a match or what lies between matches; segments come without gaps. */
static void cut(struct cutter *cutter, size_t begin, size_t end, bool match)
{
    if (begin == end)
        return;
    switch (cutter->behavior) {
    case ATT_REMOVED:
        if (match)
            break;
        open_piece(cutter, begin, false);
        close_piece(cutter, end);
        break;
    case ATT_ISOLATED:
        open_piece(cutter, begin, match);
        close_piece(cutter, end);
        break;
    case ATT_CONTIGUOUS:
        if (cutter->open && cutter->matched != match)
            close_piece(cutter, begin);
        if (!cutter->open)
            open_piece(cutter, begin, match);
        break;
    case ATT_MERGED_WITH_PREVIOUS: /* a match ends the piece before it, unless that is a match itself */
        if (cutter->open && !(match && !cutter->matched))
            close_piece(cutter, begin);
        if (!cutter->open)
            open_piece(cutter, begin, match);
        if (match)
            close_piece(cutter, end);
        break;
    case ATT_MERGED_WITH_NEXT: /* a match begins the piece behind it */
        if (cutter->open && (match || !cutter->matched))
            close_piece(cutter, begin);
        if (!cutter->open)
            open_piece(cutter, begin, match);
        else
            cutter->matched = match;
        break;
    }
}

typedef bool (*char_test)(uint32_t c, const struct att_step *step);

static bool is_space(uint32_t c, const struct att_step *step)
{
    (void)step;
    return att_char_classify(c) & ATT_CHAR_SPACE;
}

static bool is_punctuation(uint32_t c, const struct att_step *step)
{
    (void)step;
    return att_char_classify(c) & ATT_CHAR_PUNCTUATION;
}

static bool is_number(uint32_t c, const struct att_step *step)
{
    (void)step;
    return att_char_is_number(c);
}

static bool is_delimiter(uint32_t c, const struct att_step *step)
{
    size_t at = 0;
    return c == att_utf8_next(step->text, step->text_len, &at);
}

/* Every character that passes is a match of its own. */
static void cut_chars(const struct att_step *step, char_test test, enum att_behavior behavior,
                      const struct att_pieces *from, struct att_pieces *to)
{
    for (size_t p = 0; p < from->count; p++) {
        struct cutter cutter = {.to = to, .from = &from->text, .behavior = behavior};
        size_t end = from->items[p].end, begin = from->items[p].begin;
        for (size_t at = begin; at < end;) {
            size_t here = at;
            bool match = test(att_utf8_next(from->text.bytes, end, &at), step);
            if (!match)
                continue;
            cut(&cutter, begin, here, false);
            cut(&cutter, here, at, true);
            begin = at;
        }
        cut(&cutter, begin, end, false);
        close_piece(&cutter, end);
    }
}

/* Whitespace: runs of word characters, and runs of what is neither word nor space. */
static void cut_words(const struct att_pieces *from, struct att_pieces *to)
{
    for (size_t p = 0; p < from->count; p++) {
        struct cutter cutter = {.to = to, .from = &from->text, .behavior = ATT_ISOLATED};
        size_t end = from->items[p].end, begin = from->items[p].begin;
        int before = 0; /* 0 space, 1 word, 2 other */
        for (size_t at = begin; at < end;) {
            size_t here = at;
            uint32_t c = att_utf8_next(from->text.bytes, end, &at);
            int class = is_space(c, NULL) ? 0 : att_char_is_word(c) ? 1 : 2;
            if (class != before) {
                if (before != 0)
                    cut(&cutter, begin, here, true);
                begin = here;
            }
            before = class;
        }
        if (before != 0)
            cut(&cutter, begin, end, true);
    }
}

/* The next match within a slice; as att_regex_find. */
static int find(const struct att_step *step, struct att_step_work *work, const struct att_aligned *text, size_t begin,
                size_t end, size_t from, size_t *ret_begin, size_t *ret_end)
{
    if (step->regex) {
        int rc = att_regex_find(step->regex, work->match, text->bytes + begin, end - begin, from - begin, ret_begin,
                                ret_end);
        *ret_begin += begin;
        *ret_end += begin;
        return rc;
    }
    const char *found = memmem(text->bytes + from, end - from, step->literal, step->literal_len);
    if (!found)
        return 0;
    *ret_begin = (size_t)(found - text->bytes);
    *ret_end = *ret_begin + step->literal_len;
    return 1;
}

/* False: the pattern takes too long. */
static bool cut_matches(const struct att_step *step, enum att_behavior behavior, bool invert,
                        struct att_step_work *work, const struct att_pieces *from, struct att_pieces *to)
{
    for (size_t p = 0; p < from->count; p++) {
        struct cutter cutter = {.to = to, .from = &from->text, .behavior = behavior};
        size_t end = from->items[p].end, begin = from->items[p].begin, at = begin, match_begin = 0, match_end = 0;
        int rc = 0;
        while (at < end &&
               (rc = find(step, work, &from->text, from->items[p].begin, end, at, &match_begin, &match_end)) == 1) {
            if (match_end == match_begin) {
                at = match_end + 1;
                while (at < end && ((unsigned char)from->text.bytes[at] & 0xc0) == 0x80)
                    at++;
                continue;
            }
            cut(&cutter, begin, match_begin, invert);
            cut(&cutter, match_begin, match_end, !invert);
            begin = at = match_end;
        }
        if (rc < 0)
            return false;
        cut(&cutter, begin, end, invert);
        close_piece(&cutter, end);
    }
    return true;
}

/* ---- rewriting ---- */

static bool begins_with(const struct att_aligned *text, const struct att_piece_span *piece, const char *bytes,
                        size_t len)
{
    return piece->end - piece->begin >= len && memcmp(text->bytes + piece->begin, bytes, len) == 0;
}

/* `text` before a piece, aligned to its first character. */
static void put_before(const struct att_aligned *from, const struct att_piece_span *piece, const char *text, size_t len,
                       struct att_aligned *to)
{
    att_aligned_put(to, text, len, from->starts[piece->begin], from->ends[piece->begin]);
}

static void metaspace(const struct att_step *step, const struct att_pieces *from, struct att_pieces *to)
{
    for (size_t p = 0; p < from->count; p++) {
        const struct att_piece_span *piece = &from->items[p];
        size_t first = to->text.len;
        bool there =
            begins_with(&from->text, piece, step->text, step->text_len) || from->text.bytes[piece->begin] == ' ';
        bool wanted = step->prepend == ATT_PREPEND_ALWAYS || (step->prepend == ATT_PREPEND_FIRST && piece->origin == 0);
        if (wanted && !there)
            put_before(&from->text, piece, step->text, step->text_len, &to->text);
        for (size_t at = piece->begin; at < piece->end; at++) {
            if (from->text.bytes[at] == ' ')
                att_aligned_put(&to->text, step->text, step->text_len, from->text.starts[at], from->text.ends[at]);
            else
                att_aligned_copy(&to->text, &from->text, at, at + 1);
        }
        att_pieces_close(to, first, piece->origin);
    }
}

/* Adds the space that byte-level models want before the first word. */
static void prefix_space(const struct att_pieces *from, struct att_pieces *to)
{
    for (size_t p = 0; p < from->count; p++) {
        const struct att_piece_span *piece = &from->items[p];
        size_t first = to->text.len;
        if (from->text.bytes[piece->begin] != ' ')
            put_before(&from->text, piece, " ", 1, &to->text);
        att_aligned_copy(&to->text, &from->text, piece->begin, piece->end);
        att_pieces_close(to, first, piece->origin);
    }
}

static void to_byte_chars(const struct att_pieces *from, struct att_pieces *to)
{
    for (size_t p = 0; p < from->count; p++) {
        const struct att_piece_span *piece = &from->items[p];
        size_t first = to->text.len;
        for (size_t at = piece->begin; at < piece->end; at++) {
            char bytes[4];
            size_t len = att_utf8_put(att_byte_char((unsigned char)from->text.bytes[at]), bytes);
            att_aligned_put(&to->text, bytes, len, from->text.starts[at], from->text.ends[at]);
        }
        att_pieces_close(to, first, piece->origin);
    }
}

/* ---- the list ---- */

struct lists {
    struct att_pieces *from, *to;
    bool failed; /* some list before these lost text */
};

static void turn(struct lists *lists)
{
    struct att_pieces *next = lists->from;
    lists->failed |= next->failed || next->text.failed;
    lists->from = lists->to;
    lists->to = next;
    att_pieces_reset(lists->to);
}

/* One step, whose result is lists->to. False: a pattern takes too long. */
static bool run(const struct att_step *step, struct att_step_work *work, struct lists *lists)
{
    bool done = true;
    switch (step->kind) {
    case ATT_STEP_WHITESPACE:
        cut_words(lists->from, lists->to);
        break;
    case ATT_STEP_WHITESPACE_SPLIT:
        cut_chars(step, is_space, ATT_REMOVED, lists->from, lists->to);
        break;
    case ATT_STEP_BERT:
        cut_chars(step, is_space, ATT_REMOVED, lists->from, lists->to);
        turn(lists);
        cut_chars(step, is_punctuation, ATT_ISOLATED, lists->from, lists->to);
        break;
    case ATT_STEP_PUNCTUATION:
        cut_chars(step, is_punctuation, step->behavior, lists->from, lists->to);
        break;
    case ATT_STEP_DIGITS:
        cut_chars(step, is_number, step->left ? ATT_ISOLATED : ATT_CONTIGUOUS, lists->from, lists->to);
        break;
    case ATT_STEP_DELIMITER:
        cut_chars(step, is_delimiter, ATT_REMOVED, lists->from, lists->to);
        break;
    case ATT_STEP_SPLIT:
        done = cut_matches(step, step->behavior, step->left, work, lists->from, lists->to);
        break;
    case ATT_STEP_METASPACE:
        metaspace(step, lists->from, lists->to);
        if (step->right) {
            turn(lists);
            done = cut_matches(step, ATT_MERGED_WITH_NEXT, false, work, lists->from, lists->to);
        }
        break;
    default: /* ByteLevel */
        if (step->left) {
            prefix_space(lists->from, lists->to);
            turn(lists);
        }
        if (step->regex) {
            done = cut_matches(step, ATT_ISOLATED, false, work, lists->from, lists->to);
            turn(lists);
        }
        to_byte_chars(lists->from, lists->to);
        break;
    }
    return done;
}

enum att_status att_pretokenize(const struct att_steps *steps, const struct att_aligned *normal, size_t begin,
                                size_t end, uint32_t origin, struct att_step_work *work, const struct att_pieces **ret,
                                struct att_err *err)
{
    struct lists lists = {&work->pieces[0], &work->pieces[1], false};
    att_pieces_reset(lists.from);
    att_pieces_reset(lists.to);
    att_aligned_copy(&lists.from->text, normal, begin, end);
    att_pieces_close(lists.from, 0, origin);
    for (size_t i = 0; i < steps->count; i++) {
        if (!run(&steps->items[i], work, &lists))
            return att_regex_gave_up(work->match, "pre-tokenizer", err);
        turn(&lists);
        if (lists.failed)
            return att_err_set(err, ATT_ENOMEM, "out of memory for words");
    }
    *ret = lists.from;
    return lists.from->failed || lists.from->text.failed ? att_err_set(err, ATT_ENOMEM, "out of memory for words")
                                                         : ATT_OK;
}
