/* Item tables: what is read, every refusal with file, line and field, and the index of vectors, whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/attend.h"
#include "store/items.h"

enum { N_ITEMS = 5, DIMENSIONS = 3, HEADER_BYTES = 256 };
static const char encoder[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const char other_encoder[] = "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const char table[] =
    "{\"id\":\"b\",\"index\":2,\"title\":\"Blue\",\"year\":1993,\"genres\":[\"Drama\"],\"text\":\"Blue. Drama.\","
    "\"popularity\":7}\r\n"
    "\n"
    "{\"id\":\"a\",\"index\":1,\"title\":\"Am\u00e9lie\"}\n"
    "{\"index\":5,\"id\":\"5\",\"title\":null,\"popularity\":9007199254740992}";

static char folder[64], path[128], index_path[128];

static int start(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/items_test.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/items.jsonl", folder);
    snprintf(index_path, sizeof index_path, "%s/items.index", folder);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    unlink(path);
    unlink(index_path);
    return rmdir(folder);
}

static void write_file(const char *name, const void *bytes, size_t len)
{
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static struct store_items *opened(const char *text)
{
    struct store_items *items = NULL;
    struct att_err err = {.status = ATT_OK};
    write_file(path, text, strlen(text));
    if (store_items_open(folder, N_ITEMS, &items, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return items;
}

static void reads_a_table(void **state)
{
    (void)state;
    struct store_items *items = opened(table);
    assert_int_equal(store_items_count(items), N_ITEMS);
    assert_int_equal(store_items_find(items, "a"), 1);
    assert_int_equal(store_items_find(items, "b"), 2);
    assert_int_equal(store_items_find(items, "5"), 5);
    assert_int_equal(store_items_find(items, "1"), 0);
    assert_int_equal(store_items_find(items, ""), 0);
    const struct store_item *item = store_items_at(items, 2);
    assert_string_equal(item->id, "b");
    assert_string_equal(item->title, "Blue");
    assert_string_equal(item->text, "Blue. Drama.");
    assert_int_equal(item->text_len, 12);
    assert_int_equal(item->popularity, 7);
    /* The title stands for a text that is missing. */
    assert_string_equal(store_items_at(items, 1)->text, "Am\u00e9lie");
    assert_int_equal(store_items_at(items, 1)->popularity, 0);
    assert_string_equal(store_items_at(items, 5)->title, "");
    assert_int_equal(store_items_at(items, 5)->text_len, 0);
    assert_int_equal(store_items_at(items, 5)->popularity, INT64_C(1) << 53);
    assert_null(store_items_at(items, 0)->id);
    assert_null(store_items_at(items, 3)->id);
    assert_null(store_items_vectors(items));
    assert_int_equal(store_items_dimensions(items), 0);
    store_items_close(items);
    store_items_close(NULL);
}

static void finds_every_id_of_a_full_table(void **state)
{
    (void)state;
    enum { MANY = 3000 };
    struct store_items *items = NULL;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 1; i <= MANY; i++)
        fprintf(file, "{\"id\":\"item-%d\",\"index\":%d}\n", i * 7, i);
    fclose(file);
    /* The file itself may be named, too. */
    assert_int_equal(store_items_open(path, MANY, &items, NULL), ATT_OK);
    for (int i = 1; i <= MANY; i++) {
        char id[32];
        snprintf(id, sizeof id, "item-%d", i * 7);
        assert_int_equal(store_items_find(items, id), i);
        snprintf(id, sizeof id, "item-%d", i * 7 + 1);
        assert_int_equal(store_items_find(items, id), 0);
    }
    store_items_close(items);
}

static void refuses(const char *text, enum att_status status, const char *words)
{
    struct store_items *items = NULL;
    struct att_err err = {.status = ATT_OK};
    write_file(path, text, strlen(text));
    assert_int_equal(store_items_open(folder, N_ITEMS, &items, &err), status);
    assert_null(items);
    if (!strstr(err.message, words) || !strstr(err.message, "items.jsonl: "))
        fail_msg("%s: expected '%s'", err.message, words);
}

static void names_file_line_and_field(void **state)
{
    (void)state;
    char text[1024], id[300];
    struct store_items *items = NULL;
    struct att_err err;
    refuses("", ATT_EFORMAT, "holds no item");
    refuses("\n \n", ATT_EFORMAT, "holds no item");
    refuses("{\"id\":\"a\",\"index\":1}\n{", ATT_EFORMAT, "line 2: is no JSON object");
    refuses("\n[1]", ATT_EFORMAT, "line 2: is array, expected an object");
    refuses("{\"id\":\"a\"}", ATT_EFORMAT, "line 1: index: is missing, expected an integer from 1 to 5");
    refuses("{\"id\":\"a\",\"index\":0}", ATT_EFORMAT, "index: is 0, expected an integer from 1 to 5");
    refuses("{\"id\":\"a\",\"index\":6}", ATT_EFORMAT, "index: is 6");
    refuses("{\"id\":\"a\",\"index\":1.5}", ATT_EFORMAT, "index: is 1.5");
    refuses("{\"id\":\"a\",\"index\":\"1\"}", ATT_EFORMAT, "index: is \"1\"");
    refuses("{\"id\":\"a\",\"index\":1}\n{\"id\":\"b\",\"index\":1}", ATT_EFORMAT,
            "line 2: index: 1 is that of an earlier line, id \"a\"");
    refuses("{\"id\":\"a\",\"index\":1}\n{\"id\":\"a\",\"index\":2}", ATT_EFORMAT,
            "line 2: id: \"a\" is that of an earlier line, index 1");
    refuses("{\"index\":1}", ATT_EFORMAT, "id: is missing, expected a text of 1 to 256 bytes");
    refuses("{\"id\":7,\"index\":1}", ATT_EFORMAT, "id: is 7");
    refuses("{\"id\":\"\",\"index\":1}", ATT_EFORMAT, "id: is \"\"");
    refuses("{\"id\":\"a\",\"index\":1,\"title\":[]}", ATT_EFORMAT, "title: is array");
    refuses("{\"id\":\"a\",\"index\":1,\"text\":3}", ATT_EFORMAT, "text: is 3");
    refuses("{\"id\":\"a\",\"index\":1,\"popularity\":-1}", ATT_EFORMAT, "popularity: is -1");
    refuses("{\"id\":\"a\",\"index\":1,\"popularity\":0.5}", ATT_EFORMAT, "popularity: is 0.5");
    refuses("{\"id\":\"a\\u0000b\",\"index\":1}", ATT_EFORMAT, "line 1: is no JSON object");
    memset(id, 'x', sizeof id - 1);
    id[257] = '\0';
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"index\":1}", id);
    refuses(text, ATT_EFORMAT, "expected a text of 1 to 256 bytes");
    id[256] = '\0';
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"index\":1}", id);
    store_items_close(opened(text));
    unlink(path);
    assert_int_equal(store_items_open(folder, N_ITEMS, &items, &err), ATT_ENOTFOUND);
    assert_non_null(strstr(err.message, "items.jsonl: is missing"));
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(store_items_open(folder, N_ITEMS, &items, &err), ATT_EFORMAT);
    unlink(path);
}

static void survives_failed_allocations(void **state)
{
    (void)state;
    struct store_items *items = NULL;
    write_file(path, table, strlen(table));
    for (uint64_t k = 1; !items; k++) {
        struct att_err err;
        att_mem_fail_at(k, false);
        enum att_status status = store_items_open(folder, N_ITEMS, &items, &err);
        att_mem_fail_at(0, false);
        assert_true(status == ATT_OK ? items != NULL : status == ATT_ENOMEM && items == NULL);
        assert_true(k < 1000);
    }
    store_items_close(items);
}

/* ---- vectors ---- */

static const float vectors[(N_ITEMS + 1) * DIMENSIONS] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0.6f, 0, 0.8f};

static void write_index(void)
{
    struct store_items *items = opened(table);
    struct att_err err = {.status = ATT_OK};
    if (store_items_vectors_write(items, vectors, encoder, DIMENSIONS, &err) != ATT_OK)
        fail_msg("%s", err.message);
    store_items_close(items);
}

static void vectors_come_back(void **state)
{
    (void)state;
    char part[160];
    write_index();
    struct store_items *items = opened(table);
    struct att_err err = {.status = ATT_OK};
    if (store_items_vectors_load(items, encoder, DIMENSIONS, NULL, &err) != ATT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(store_items_dimensions(items), DIMENSIONS);
    assert_memory_equal(store_items_vectors(items), vectors, sizeof vectors);
    snprintf(part, sizeof part, "%s.part", index_path);
    assert_int_equal(access(part, F_OK), -1);
    store_items_close(items);
}

static void refuses_index(enum att_status status, const char *text, const char *digest, size_t dimensions,
                          const char *words)
{
    struct store_items *items = opened(text);
    struct att_err err = {.status = ATT_OK};
    assert_int_equal(store_items_vectors_load(items, digest, dimensions, NULL, &err), status);
    if (!strstr(err.message, words) || !strstr(err.message, "items.index: "))
        fail_msg("%s: expected '%s'", err.message, words);
    assert_null(store_items_vectors(items));
    store_items_close(items);
}

static void stale_vectors_are_refused(void **state)
{
    (void)state;
    unlink(index_path);
    refuses_index(ATT_ENOTFOUND, table, encoder, DIMENSIONS, "is missing; make it anew: attend items index");
    write_index();
    refuses_index(ATT_EFORMAT, table, other_encoder, DIMENSIONS, "was made with another encoder");
    refuses_index(ATT_EFORMAT, table, encoder, DIMENSIONS + 1, "was made with another encoder");
    refuses_index(ATT_EFORMAT, "{\"id\":\"a\",\"index\":1}", encoder, DIMENSIONS, "another items.jsonl");
}

/* Every byte of the file is under a check, but for the zeros that fill the header. */
static void damaged_vectors_are_refused(void **state)
{
    (void)state;
    enum { SIZE = HEADER_BYTES + sizeof vectors };
    unsigned char good[SIZE], bad[SIZE + 1] = {0};
    struct store_items *items = opened(table);
    write_index();
    FILE *file = fopen(index_path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(good, 1, SIZE, file), SIZE);
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
    for (size_t i = 0; i < SIZE; i++) {
        if (i >= 216 && i < HEADER_BYTES)
            continue;
        memcpy(bad, good, SIZE);
        bad[i] ^= 1u << (i % 8);
        write_file(index_path, bad, SIZE);
        assert_int_equal(store_items_vectors_load(items, encoder, DIMENSIONS, NULL, NULL), ATT_EFORMAT);
    }
    memcpy(bad, good, SIZE);
    for (size_t len = 0; len < SIZE; len += len < HEADER_BYTES + 4 ? 1 : 4) {
        write_file(index_path, bad, len);
        assert_int_equal(store_items_vectors_load(items, encoder, DIMENSIONS, NULL, NULL), ATT_EFORMAT);
    }
    write_file(index_path, bad, SIZE + 1);
    assert_int_equal(store_items_vectors_load(items, encoder, DIMENSIONS, NULL, NULL), ATT_EFORMAT);
    write_file(index_path, good, SIZE);
    assert_int_equal(store_items_vectors_load(items, encoder, DIMENSIONS, NULL, NULL), ATT_OK);
    store_items_close(items);
}

static void vectors_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    float odd[sizeof vectors / sizeof *vectors];
    struct store_items *items = opened(table);
    memcpy(odd, vectors, sizeof vectors);
    odd[4] = NAN;
    assert_int_equal(store_items_vectors_write(items, odd, encoder, DIMENSIONS, NULL), ATT_OK);
    refuses_index(ATT_EFORMAT, table, encoder, DIMENSIONS, "not finite");
    store_items_close(items);
}

/* A folder that cannot be written keeps what it has. */
static void a_failed_write_changes_nothing(void **state)
{
    (void)state;
    char part[160];
    struct att_err err = {.status = ATT_OK};
    write_index();
    struct store_items *items = opened(table);
    snprintf(part, sizeof part, "%s.part", index_path);
    assert_int_equal(mkdir(part, 0700), 0);
    assert_int_equal(store_items_vectors_write(items, vectors, other_encoder, DIMENSIONS, &err), ATT_EIO);
    assert_non_null(strstr(err.message, "items.index.part: cannot be created"));
    assert_int_equal(rmdir(part), 0);
    assert_int_equal(store_items_vectors_load(items, encoder, DIMENSIONS, NULL, NULL), ATT_OK);
    store_items_close(items);
}

/* What an earlier writer left when it was killed is no obstacle; one that is at work is. */
static void one_writer_at_a_time(void **state)
{
    (void)state;
    char part[160], stale[4096];
    struct att_err err = {.status = ATT_OK};
    write_index();
    struct store_items *items = opened(table);
    snprintf(part, sizeof part, "%s.part", index_path);
    memset(stale, 'x', sizeof stale);
    write_file(part, stale, sizeof stale);
    int holder = open(part, O_WRONLY);
    assert_int_equal(flock(holder, LOCK_EX), 0);
    assert_int_equal(store_items_vectors_write(items, vectors, other_encoder, DIMENSIONS, &err), ATT_EBUSY);
    assert_non_null(strstr(err.message, "items.index.part: another process is writing it"));
    assert_int_equal(access(part, F_OK), 0);
    assert_int_equal(store_items_vectors_load(items, encoder, DIMENSIONS, NULL, NULL), ATT_OK);
    store_items_close(items);
    close(holder);
    write_index();
    items = opened(table);
    assert_int_equal(store_items_vectors_load(items, encoder, DIMENSIONS, NULL, NULL), ATT_OK);
    assert_int_equal(access(part, F_OK), -1);
    store_items_close(items);
}

/* Processes write it again and again and are killed; whatever they leave, the index is one that was written whole. */
static void killed_writers_leave_a_whole_index(void **state)
{
    (void)state;
    char part[160];
    snprintf(part, sizeof part, "%s.part", index_path);
    write_index();
    struct store_items *items = opened(table);
    for (int round = 0; round < 8; round++) {
        pid_t children[2];
        for (int i = 0; i < 2; i++) {
            children[i] = fork();
            assert_true(children[i] >= 0);
            for (; children[i] == 0;)
                (void)!store_items_vectors_write(items, vectors, encoder, DIMENSIONS, NULL);
        }
        for (int i = 0; i < 2; i++) {
            usleep(2000 + 1500 * (useconds_t)round);
            kill(children[i], SIGKILL);
            waitpid(children[i], NULL, 0);
        }
        struct store_items *again = NULL;
        assert_int_equal(store_items_open(folder, N_ITEMS, &again, NULL), ATT_OK);
        assert_int_equal(store_items_vectors_load(again, encoder, DIMENSIONS, NULL, NULL), ATT_OK);
        store_items_close(again);
    }
    unlink(part);
    store_items_close(items);
}

/* A file that may not grow stands for a full disk. */
static void a_full_disk_keeps_the_index(void **state)
{
    (void)state;
    char part[160];
    struct att_err err = {.status = ATT_OK};
    struct rlimit before, little;
    write_index();
    struct store_items *items = opened(table);
    snprintf(part, sizeof part, "%s.part", index_path);
    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN);
    little = (struct rlimit){HEADER_BYTES + 8, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &little);
    enum att_status status = store_items_vectors_write(items, vectors, other_encoder, DIMENSIONS, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, ATT_ESPACE);
    assert_non_null(strstr(err.message, "items.index.part: cannot be written: File too large"));
    assert_int_equal(access(part, F_OK), -1);
    assert_int_equal(store_items_vectors_load(items, encoder, DIMENSIONS, NULL, NULL), ATT_OK);
    store_items_close(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_table),
        cmocka_unit_test(finds_every_id_of_a_full_table),
        cmocka_unit_test(names_file_line_and_field),
        cmocka_unit_test(survives_failed_allocations),
        cmocka_unit_test(vectors_come_back),
        cmocka_unit_test(stale_vectors_are_refused),
        cmocka_unit_test(damaged_vectors_are_refused),
        cmocka_unit_test(vectors_that_are_not_finite_are_refused),
        cmocka_unit_test(a_failed_write_changes_nothing),
        cmocka_unit_test(one_writer_at_a_time),
        cmocka_unit_test(killed_writers_leave_a_whole_index),
        cmocka_unit_test(a_full_disk_keeps_the_index),
    };
    return cmocka_run_group_tests_name("store/items", tests, start, stop);
}
