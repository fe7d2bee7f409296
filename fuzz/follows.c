/*
 * follows.jsonl of a recommender's folder. What is read is used: the rows of each item lie within the catalogue, and
 * the boosts of a sequence over all of them are finite, ascending by item, and the same when they are asked for again.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "fuzz/directory.h"
#include "fuzz/target.h"
#include "tasks/recommend/follows.h"

enum { ITEMS = 16, SEQUENCE = 40, ARENA_BYTES = 1 << 22 };

static void use(const struct store_follows *follows)
{
    struct att_arena arena;
    struct task_call call = {.arena = &arena};
    struct task_boost *boosts = NULL, *again = NULL;
    struct att_err err;
    int32_t ids[SEQUENCE];
    size_t n = 0, n_again = 0;
    for (size_t item = 1; item <= ITEMS; item++) {
        const struct store_follow *row = store_follows_of(follows, item, &n);
        for (size_t i = 0; i < n; i++)
            if (row[i].item < 1 || row[i].item > ITEMS || !(row[i].share >= 0 && row[i].share <= 1))
                abort();
    }
    for (size_t i = 0; i < SEQUENCE; i++)
        ids[i] = (int32_t)(1 + i * i % ITEMS);
    att_arena_init(&arena, ARENA_BYTES);
    if (task_follows_boosts(&call, follows, ids, SEQUENCE, &boosts, &n, &err) != ATT_OK ||
        task_follows_boosts(&call, follows, ids, SEQUENCE, &again, &n_again, &err) != ATT_OK || n != n_again)
        abort();
    for (size_t i = 0; i < n; i++)
        if (!isfinite(boosts[i].value) || boosts[i].value < 0 || (i > 0 && boosts[i].item <= boosts[i - 1].item) ||
            memcmp(&boosts[i], &again[i], sizeof boosts[i]) != 0)
            abort();
    att_arena_finish(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct store_follows *follows = NULL;
    struct att_err err;
    fuzz_directory_write("follows.jsonl", bytes, size);
    if (store_follows_open(fuzz_directory_path(), ITEMS, &follows, &err) == ATT_OK)
        use(follows);
    store_follows_close(follows);
    return 0;
}
