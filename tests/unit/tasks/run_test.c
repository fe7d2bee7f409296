/* Running jobs: outputs of a batch are those of single jobs bit for bit, attention sums to 1, no task leaks. */
#include "tests/unit/tasks/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { JOBS = 12, HIDDEN_MAX = 64, LEN_MAX = 40 };

struct made {
    int32_t ids[LEN_MAX], types[LEN_MAX];
    float pooled[HIDDEN_MAX], logits[8], attention[LEN_MAX];
};

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void make_job(struct att_model *model, uint32_t *seed, struct made *made, struct task_job *job)
{
    const struct att_model_info *info = att_model_info(model);
    memset(made, 0, sizeof *made);
    *job = (struct task_job){.model = model, .ids = made->ids, .pooled = made->pooled, .status = ATT_EINTERNAL};
    job->len = 1 + next(seed) % LEN_MAX;
    for (size_t t = 0; t < job->len; t++) {
        made->ids[t] = (int32_t)(next(seed) % info->vocab_size);
        made->types[t] = (int32_t)(next(seed) % 2);
    }
    job->type_ids = next(seed) % 3 ? made->types : NULL;
    job->logits = info->n_logits ? made->logits : NULL;
    job->attention = next(seed) % 2 ? made->attention : NULL;
}

static void batched_is_single_bit_for_bit(void **state)
{
    (void)state;
    static const char *const names[] = {"plain", "encoder", "heads"};
    static struct made single[JOBS], batched[JOBS];
    for (size_t m = 0; m < 3; m++) {
        struct att_model *model = fixture_model(names[m]);
        struct att_context *context = NULL;
        assert_int_equal(att_context_create(model, JOBS * LEN_MAX, JOBS, &context, NULL), ATT_OK);
        for (uint32_t round = 0; round < 20; round++) {
            struct task_job jobs[JOBS], *order[JOBS];
            uint32_t seed = 1000 * (uint32_t)m + round, again;
            for (size_t i = 0; i < JOBS; i++) {
                struct task_job *one = &jobs[i];
                make_job(model, &seed, &single[i], one);
                task_jobs_run(context, &one, 1);
                assert_int_equal(one->status, ATT_OK);
            }
            again = 1000 * (uint32_t)m + round;
            for (size_t i = 0; i < JOBS; i++) {
                make_job(model, &again, &batched[i], &jobs[i]);
                order[i] = &jobs[i];
            }
            for (size_t i = JOBS - 1; i > 0; i--) { /* shuffled */
                size_t j = next(&seed) % (i + 1);
                struct task_job *other = order[i];
                order[i] = order[j];
                order[j] = other;
            }
            task_jobs_run(context, order, JOBS);
            for (size_t i = 0; i < JOBS; i++) {
                assert_int_equal(jobs[i].status, ATT_OK);
                assert_memory_equal(single[i].pooled, batched[i].pooled, sizeof single[i].pooled);
                assert_memory_equal(single[i].logits, batched[i].logits, sizeof single[i].logits);
                assert_memory_equal(single[i].attention, batched[i].attention, sizeof single[i].attention);
            }
        }
        att_context_destroy(context);
    }
}

static void attention_sums_to_one(void **state)
{
    (void)state;
    static const char *const names[] = {"plain", "encoder"};
    static struct made made;
    for (size_t m = 0; m < 2; m++) {
        struct att_context *context = NULL;
        struct task_job job, *jobs = &job;
        uint32_t seed = 3;
        assert_int_equal(att_context_create(fixture_model(names[m]), LEN_MAX, 1, &context, NULL), ATT_OK);
        for (int round = 0; round < 10; round++) {
            double sum = 0;
            make_job(fixture_model(names[m]), &seed, &made, &job);
            job.attention = made.attention;
            made.attention[0] = 1e9f; /* what stood there before does not count */
            task_jobs_run(context, &jobs, 1);
            for (size_t t = 0; t < job.len; t++) {
                assert_true(made.attention[t] >= 0);
                sum += (double)made.attention[t];
            }
            assert_true(fabs(sum - 1) < 1e-5);
        }
        att_context_destroy(context);
    }
}

/* Bad ids cannot come from tasks; when they do, every job of the batch says so and nothing is written. */
static void a_batch_that_fails_marks_all_its_jobs(void **state)
{
    (void)state;
    static struct made made[2];
    struct att_context *context = NULL;
    struct task_job jobs[2], *order[2] = {&jobs[0], &jobs[1]};
    uint32_t seed = 9;
    assert_int_equal(att_context_create(fixture_model("plain"), 2 * LEN_MAX, 2, &context, NULL), ATT_OK);
    make_job(fixture_model("plain"), &seed, &made[0], &jobs[0]);
    make_job(fixture_model("plain"), &seed, &made[1], &jobs[1]);
    made[1].ids[0] = 1 << 30;
    task_jobs_run(context, order, 2);
    assert_int_not_equal(jobs[0].status, ATT_OK);
    assert_int_not_equal(jobs[1].status, ATT_OK);
    assert_true(made[0].pooled[0] == 0);
    att_context_destroy(context);
}

/* Every allocation of a whole call fails once: the call says so, and the next one is right again. */
static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    static const char body[] = "{\"model\":\"heads\",\"input\":[\"a quick test of memory\",\"and another\"],"
                               "\"explain\":\"attention\"}";
    struct task_contexts *contexts = NULL;
    struct att_json *root = NULL;
    struct att_err err;
    assert_int_equal(att_json_parse(body, strlen(body), 0, 8, &root, &err), ATT_OK);
    assert_int_equal(task_contexts_create(&contexts, &err), ATT_OK);
    uint64_t k = 0;
    for (bool done = false; !done;) {
        char *text = NULL;
        size_t len = 0;
        att_mem_fail_at(++k, false);
        enum att_status status = task_run(contexts, &task_classify, &fixture_env, root, &text, &len, &err);
        att_mem_fail_at(0, false);
        done = status == ATT_OK;
        if (!done)
            assert_int_equal(status, ATT_ENOMEM);
        att_mem_free(text);
        assert_true(k < 500);
    }
    assert_true(k > 5);
    task_contexts_destroy(contexts);
    att_json_destroy(root);
}

static void an_answer_over_the_limit_is_told(void **state)
{
    (void)state;
    size_t limit = fixture_env.limits.answer_bytes_max;
    fixture_env.limits.answer_bytes_max = 100;
    fixture_refused(&task_embeddings, "{'input':'hello'}", ATT_ELIMIT, "", "");
    fixture_env.limits.answer_bytes_max = limit;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batched_is_single_bit_for_bit),         cmocka_unit_test(attention_sums_to_one),
        cmocka_unit_test(a_batch_that_fails_marks_all_its_jobs), cmocka_unit_test(every_failed_allocation_is_survived),
        cmocka_unit_test(an_answer_over_the_limit_is_told),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
