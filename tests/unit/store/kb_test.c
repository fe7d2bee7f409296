/* Knowledge bases on disk: what is written is read again, what fails changes nothing, readers keep their view. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "database.h"
#include "store/kb.h"

enum { DIM = 4 };

static char folder[64], path[96];

static int setup(void **state)
{
    (void)state;
    if (!database_place(folder, "kb.db", path))
        return -1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    database_remove(path);
    return rmdir(folder);
}

static struct store_kb *opened(void)
{
    struct store_kb *kb = NULL;
    struct att_err err;
    if (store_kb_open(path, "digest-of-the-encoder", DIM, &kb, &err) != ATT_OK)
        fail_msg("%s", err.message);
    return kb;
}

static const char *const alternates[] = {"track my parcel", "whats the status of my oder"};
static const int64_t prompts[] = {2, 9};
static const struct store_kb_entry order = {.id = 1,
                                            .lang = "en",
                                            .question = "Where is my order?",
                                            .answer = "Look here.",
                                            .alternates = alternates,
                                            .n_alternates = 2,
                                            .source = "faq",
                                            .metadata = "{\"topic\":\"orders\"}",
                                            .prompts = prompts,
                                            .n_prompts = 2};
static const struct store_kb_entry refund = {.id = 2,
                                             .lang = "zh",
                                             .question = "怎么退货？",
                                             .answer = "打开订单。",
                                             .source = "",
                                             .metadata = "{}",
                                             .context_only = true,
                                             .chitchat = true,
                                             .valid_from = 1700000000,
                                             .valid_until = 1800000000};
static const float vectors[4 * DIM] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};

static void put_both(struct store_kb *kb)
{
    const struct store_kb_entry both[2] = {order, refund};
    struct att_err err;
    if (store_kb_put(kb, both, 2, vectors, true, &err) != ATT_OK)
        fail_msg("%s", err.message);
}

static void keeps_entries_over_reopening(void **state)
{
    (void)state;
    struct store_kb *kb = opened();
    put_both(kb);
    store_kb_close(kb);
    kb = opened();
    const struct store_kb_view *view = store_kb_view(kb);
    assert_int_equal(view->n_entries, 2);
    assert_int_equal(view->n_texts, 4);
    assert_true(store_kb_same(view, &order));
    assert_true(store_kb_same(view, &refund));
    struct store_kb_entry changed = order;
    changed.answer = "Look there.";
    assert_false(store_kb_same(view, &changed));
    assert_memory_equal(view->vectors, vectors, sizeof vectors);
    assert_string_equal(view->entries[0].alternates[1], alternates[1]);
    assert_int_equal(view->entries[0].prompts[1], 9);
    assert_true(view->entries[1].context_only);
    assert_int_equal(store_kb_find(view, 2), 1);
    assert_int_equal(store_kb_find(view, 3), 2);
    /* All texts of an entry together have the n-grams of each. */
    for (size_t t = 0; t < view->n_texts; t++)
        for (size_t g = 0; g < view->texts[t].n_grams; g++) {
            const struct store_kb_terms *terms = &view->terms[view->texts[t].entry];
            size_t at = 0;
            while (at < terms->count && terms->grams[at] != view->texts[t].grams[g])
                at++;
            assert_true(at < terms->count);
            assert_true(at == 0 || terms->grams[at - 1] < terms->grams[at]);
        }
    store_kb_view_release(kb, view);
    store_kb_close(kb);
}

static void replaces_by_id_and_removes(void **state)
{
    (void)state;
    struct store_kb *kb = opened();
    put_both(kb);
    struct store_kb_entry shorter = order;
    shorter.n_alternates = 0;
    bool removed = false;
    assert_int_equal(store_kb_put(kb, &shorter, 1, vectors, false, NULL), ATT_OK);
    const struct store_kb_view *view = store_kb_view(kb);
    assert_int_equal(view->n_entries, 2);
    assert_int_equal(view->n_texts, 2);
    store_kb_view_release(kb, view);
    assert_int_equal(store_kb_remove(kb, 1, &removed, NULL), ATT_OK);
    assert_true(removed);
    assert_int_equal(store_kb_remove(kb, 1, &removed, NULL), ATT_OK);
    assert_false(removed);
    assert_int_equal(store_kb_clear(kb, NULL), ATT_OK);
    view = store_kb_view(kb);
    assert_int_equal(view->n_entries, 0);
    store_kb_view_release(kb, view);
    store_kb_close(kb);
}

static size_t matches(struct store_kb *kb, const char *query, size_t *first_entry)
{
    size_t texts[8], count = 0;
    struct att_err err = {.message = ""};
    const struct store_kb_view *view = store_kb_view(kb);
    if (store_kb_match(kb, view, query, strlen(query), texts, 8, &count, &err) != ATT_OK)
        fail_msg("%s: %s", query, err.message);
    if (count > 0)
        *first_entry = view->texts[texts[0]].entry;
    store_kb_view_release(kb, view);
    return count;
}

static void finds_by_trigrams_in_any_script(void **state)
{
    (void)state;
    struct store_kb *kb = opened();
    put_both(kb);
    size_t entry = 9;
    assert_true(matches(kb, "please track the parcel", &entry) > 0);
    assert_int_equal(entry, 0);
    assert_true(matches(kb, "么退货", &entry) == 1);
    assert_int_equal(entry, 1);
    assert_true(matches(kb, "退货", &entry) == 1); /* two characters: as a part of the text */
    assert_int_equal(entry, 1);
    assert_int_equal(matches(kb, "", &entry), 0);
    static const char *const hostile[] = {"\" OR 1", "NEAR(a b)", "x* AND (", "text:abc", "'; DROP TABLE texts;--",
                                          "\"\"\"",  "^abc",      "{a b}:c"};
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++)
        matches(kb, hostile[i], &entry);
    assert_true(matches(kb, "track", &entry) > 0);
    store_kb_close(kb);
}

static void a_failed_write_changes_nothing(void **state)
{
    (void)state;
    struct store_kb *kb = opened();
    put_both(kb);
    const size_t len = 40000;
    char *big = malloc(len + 1);
    memset(big, 'x', len);
    big[len] = '\0';
    struct store_kb_entry twice[2] = {order, order};
    twice[0].id = 3;
    twice[0].answer = big;
    twice[1].id = 4;
    twice[1].metadata = NULL; /* NOT NULL in the schema: the transaction fails at its last row */
    struct att_err err = {.status = ATT_OK};
    assert_int_not_equal(store_kb_put(kb, twice, 2, vectors, true, &err), ATT_OK);
    const struct store_kb_view *view = store_kb_view(kb);
    assert_int_equal(view->n_entries, 2);
    assert_true(store_kb_same(view, &order));
    store_kb_view_release(kb, view);
    assert_int_equal(store_kb_put(kb, &order, 1, vectors, false, &err), ATT_OK);
    store_kb_close(kb);
    free(big);
}

/* A file that may not grow stands for a full disk. */
static void a_full_disk_changes_nothing(void **state)
{
    (void)state;
    struct store_kb *kb = opened();
    put_both(kb);
    store_kb_close(kb);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit full = {4096, 4096};
        struct att_err err = {.message = ""};
        signal(SIGXFSZ, SIG_IGN);
        if (store_kb_open(path, "digest-of-the-encoder", DIM, &kb, &err) != ATT_OK || setrlimit(RLIMIT_FSIZE, &full))
            _exit(1);
        struct store_kb_entry third = order;
        third.id = 3;
        if (store_kb_put(kb, &third, 1, vectors, false, &err) != ATT_ESPACE || !strstr(err.message, path))
            _exit(2);
        const struct store_kb_view *view = store_kb_view(kb);
        bool same = view->n_entries == 2 && store_kb_same(view, &order);
        size_t texts[4], count = 0;
        if (!same || store_kb_match(kb, view, "my order", 8, texts, 4, &count, &err) != ATT_OK || count == 0)
            _exit(3);
        store_kb_view_release(kb, view);
        store_kb_close(kb);
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    kb = opened();
    const struct store_kb_view *view = store_kb_view(kb);
    assert_int_equal(view->n_entries, 2);
    store_kb_view_release(kb, view);
    assert_int_equal(store_kb_put(kb, &order, 1, vectors, false, NULL), ATT_OK);
    store_kb_close(kb);
}

/* Whatever allocation fails, the write is wholly there or not at all, and the next one succeeds. */
static void no_failed_allocation_breaks_it(void **state)
{
    (void)state;
    struct store_kb *kb = opened();
    put_both(kb);
    struct store_kb_entry third = order;
    third.id = 3;
    enum att_status status = ATT_ENOMEM;
    uint64_t k = 1;
    for (; status != ATT_OK; k++) {
        struct att_err err = {.message = ""};
        att_mem_fail_at(k, false);
        status = store_kb_put(kb, &third, 1, vectors, false, &err);
        att_mem_fail_at(0, false);
        assert_true(status == ATT_OK || (status == ATT_ENOMEM && strstr(err.message, "memory")));
        const struct store_kb_view *view = store_kb_view(kb);
        assert_int_equal(view->n_entries, status == ATT_OK ? 3 : 2);
        store_kb_view_release(kb, view);
    }
    assert_true(k > 5);
    store_kb_close(kb);
    for (k = 1, status = ATT_ENOMEM; status != ATT_OK; k++) {
        att_mem_fail_at(k, false);
        status = store_kb_open(path, "digest-of-the-encoder", DIM, &kb, NULL);
        att_mem_fail_at(0, false);
        assert_true(status == ATT_OK || status == ATT_ENOMEM);
    }
    const struct store_kb_view *view = store_kb_view(kb);
    assert_int_equal(view->n_entries, 3);
    store_kb_view_release(kb, view);
    store_kb_close(kb);
}

static void refuses_other_encoders_and_files(void **state)
{
    (void)state;
    struct store_kb *kb = opened();
    struct att_err err;
    store_kb_close(kb);
    assert_int_equal(store_kb_open(path, "another-encoder", DIM, &kb, &err), ATT_EFORMAT);
    assert_non_null(strstr(err.message, "another encoder"));
    assert_int_equal(store_kb_open(path, "digest-of-the-encoder", DIM + 1, &kb, &err), ATT_EFORMAT);
    assert_int_not_equal(store_kb_open("/nonexistent/kb.db", "d", DIM, &kb, &err), ATT_OK);
    assert_non_null(strstr(err.message, "/nonexistent/kb.db"));
    FILE *file = fopen(path, "wb");
    fputs("this is no database, but long enough to look like one at first sight.......................................",
          file);
    fclose(file);
    assert_int_equal(store_kb_open(path, "digest-of-the-encoder", DIM, &kb, &err), ATT_EFORMAT);
    unlink(path);
}

/* An acknowledged write is there after kill -9; an unacknowledged one is wholly there or not at all. */
static void acknowledged_writes_survive_a_kill(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        int acknowledged[2];
        assert_int_equal(pipe(acknowledged), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct store_kb *kb = NULL;
            if (store_kb_open(path, "digest-of-the-encoder", DIM, &kb, NULL) != ATT_OK)
                _exit(1);
            for (int64_t id = 100;; id++) {
                struct store_kb_entry entry = order;
                entry.id = id;
                if (store_kb_put(kb, &entry, 1, vectors, false, NULL) != ATT_OK ||
                    write(acknowledged[1], &id, sizeof id) != (ssize_t)sizeof id)
                    _exit(1);
            }
        }
        close(acknowledged[1]);
        int64_t last = 0, id;
        for (int i = 0; i < 3 + round && read(acknowledged[0], &id, sizeof id) == (ssize_t)sizeof id; i++)
            last = id;
        kill(child, 9);
        while (read(acknowledged[0], &id, sizeof id) == (ssize_t)sizeof id)
            last = id;
        waitpid(child, NULL, 0);
        close(acknowledged[0]);
        assert_true(last >= 100);
        struct store_kb *kb = opened();
        const struct store_kb_view *view = store_kb_view(kb);
        for (id = 100; id <= last; id++) {
            size_t at = store_kb_find(view, id);
            assert_true(at < view->n_entries);
            assert_int_equal(view->entries[at].n_alternates, 2);
        }
        store_kb_view_release(kb, view);
        store_kb_close(kb);
    }
}

struct shared {
    struct store_kb *kb;
    atomic_bool stop;
    atomic_size_t bad;
};

static void *reader(void *argument)
{
    struct shared *shared = argument;
    while (!atomic_load(&shared->stop)) {
        const struct store_kb_view *view = store_kb_view(shared->kb);
        for (size_t i = 0; i < view->n_texts; i++)
            if (view->texts[i].entry >= view->n_entries || !view->texts[i].text[0])
                atomic_fetch_add(&shared->bad, 1);
        size_t texts[4], count;
        if (store_kb_match(shared->kb, view, "order", 5, texts, 4, &count, NULL) != ATT_OK)
            atomic_fetch_add(&shared->bad, 1);
        store_kb_view_release(shared->kb, view);
    }
    return NULL;
}

static void readers_and_a_writer_do_not_meet(void **state)
{
    (void)state;
    struct shared shared = {.kb = opened()};
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, &shared), 0);
    for (int i = 0; i < 30; i++)
        put_both(shared.kb);
    atomic_store(&shared.stop, true);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&shared.bad), 0);
    store_kb_close(shared.kb);
}

/* A second handle of the file stands for another process: SQLite tells connections apart, not processes. */
static void a_refresh_reads_what_others_wrote(void **state)
{
    (void)state;
    struct store_kb *kb = opened(), *other = opened();
    put_both(kb);
    const struct store_kb_view *before = store_kb_view(kb);
    assert_int_equal(store_kb_refresh(kb, NULL), ATT_OK);
    const struct store_kb_view *after = store_kb_view(kb);
    assert_ptr_equal(before, after); /* one's own writes are no reason to read the file */
    store_kb_view_release(kb, after);
    struct store_kb_entry third = order;
    third.id = 3;
    assert_int_equal(store_kb_put(other, &third, 1, vectors, false, NULL), ATT_OK);
    after = store_kb_view(kb);
    assert_ptr_equal(before, after);
    store_kb_view_release(kb, after);
    assert_int_equal(store_kb_refresh(kb, NULL), ATT_OK);
    after = store_kb_view(kb);
    assert_int_equal(before->n_entries, 2);
    assert_int_equal(after->n_entries, 3);
    assert_int_equal(store_kb_find(after, 3), 2);
    store_kb_view_release(kb, before);
    assert_int_equal(store_kb_refresh(kb, NULL), ATT_OK);
    before = store_kb_view(kb);
    assert_ptr_equal(before, after);
    store_kb_view_release(kb, before);
    store_kb_view_release(kb, after);
    /* A write of our own reads the others' changes too, and leaves nothing to refresh. */
    third.id = 4;
    assert_int_equal(store_kb_put(other, &third, 1, vectors, false, NULL), ATT_OK);
    third.id = 5;
    assert_int_equal(store_kb_put(kb, &third, 1, vectors, false, NULL), ATT_OK);
    before = store_kb_view(kb);
    assert_int_equal(before->n_entries, 5);
    assert_int_equal(store_kb_refresh(kb, NULL), ATT_OK);
    after = store_kb_view(kb);
    assert_ptr_equal(before, after);
    store_kb_view_release(kb, before);
    store_kb_view_release(kb, after);
    store_kb_close(other);
    store_kb_close(kb);
}

static void a_failed_refresh_keeps_the_view(void **state)
{
    (void)state;
    struct store_kb *kb = opened(), *other = opened();
    put_both(kb);
    assert_int_equal(store_kb_remove(other, 2, &(bool){false}, NULL), ATT_OK);
    enum att_status status = ATT_ENOMEM;
    for (uint64_t k = 1; status != ATT_OK; k++) {
        att_mem_fail_at(k, false);
        status = store_kb_refresh(kb, NULL);
        att_mem_fail_at(0, false);
        assert_true(status == ATT_OK || status == ATT_ENOMEM);
        const struct store_kb_view *view = store_kb_view(kb);
        assert_int_equal(view->n_entries, status == ATT_OK ? 1 : 2);
        store_kb_view_release(kb, view);
    }
    store_kb_close(other);
    store_kb_close(kb);
}

static void the_last_reference_closes(void **state)
{
    (void)state;
    struct store_kb *kb = opened();
    assert_ptr_equal(store_kb_ref(kb), kb);
    put_both(kb);
    store_kb_close(kb);
    const struct store_kb_view *view = store_kb_view(kb);
    assert_int_equal(view->n_entries, 2);
    store_kb_view_release(kb, view);
    assert_int_equal(store_kb_put(kb, &order, 1, vectors, false, NULL), ATT_OK);
    store_kb_close(kb); /* a leak or a second free would show under the sanitizers */
    char wal[120];
    snprintf(wal, sizeof wal, "%s-wal", path);
    assert_int_not_equal(access(wal, F_OK), 0); /* the last connection removes the log */
}

static void *refresher(void *argument)
{
    struct shared *shared = argument;
    while (!atomic_load(&shared->stop))
        if (store_kb_refresh(shared->kb, NULL) != ATT_OK)
            atomic_fetch_add(&shared->bad, 1);
    return NULL;
}

static void a_refresh_meets_writers_here_and_elsewhere(void **state)
{
    (void)state;
    struct shared shared = {.kb = opened()};
    struct store_kb *other = opened();
    pthread_t threads[2];
    assert_int_equal(pthread_create(&threads[0], NULL, refresher, &shared), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, reader, &shared), 0);
    for (int i = 0; i < 15; i++) {
        put_both(other);
        put_both(shared.kb);
    }
    atomic_store(&shared.stop, true);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&shared.bad), 0);
    store_kb_close(other);
    store_kb_close(shared.kb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_entries_over_reopening),
        cmocka_unit_test(replaces_by_id_and_removes),
        cmocka_unit_test(finds_by_trigrams_in_any_script),
        cmocka_unit_test(a_failed_write_changes_nothing),
        cmocka_unit_test(readers_and_a_writer_do_not_meet),
        cmocka_unit_test(acknowledged_writes_survive_a_kill),
        cmocka_unit_test(a_full_disk_changes_nothing),
        cmocka_unit_test(no_failed_allocation_breaks_it),
        cmocka_unit_test(a_refresh_reads_what_others_wrote),
        cmocka_unit_test(a_failed_refresh_keeps_the_view),
        cmocka_unit_test(the_last_reference_closes),
        cmocka_unit_test(a_refresh_meets_writers_here_and_elsewhere),
        cmocka_unit_test(refuses_other_encoders_and_files),
    };
    return cmocka_run_group_tests_name("store/kb", tests, setup, teardown);
}
