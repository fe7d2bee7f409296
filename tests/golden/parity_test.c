/*
 * Parity with the reference: `attend run` over case lines whose expected
 * outputs were computed by PyTorch, compared tensor by tensor: the largest
 * difference over the largest expected value. A small part lies in data/; all of
 * it is compared where ATT_SHARED names the folder of the full reference data,
 * and the real encoder where ATT_MINILM names its directory. (Not cmocka's
 * skip(): in TAP it reads as a failure.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/attend.h"

extern char **environ;

/* A correct f32 implementation lands near 1e-6; a wrong constant shows at 5e-4. */
static const double tolerance = 2e-5;
static char work_dir[] = "/tmp/attend-parity-XXXXXX";

/* ---- files and processes ---- */

static char *read_file(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    size_t len = 0, capacity = 1 << 16, got;
    char *text = malloc(capacity + 1);
    if (!file)
        fail_msg("%s cannot be opened", path);
    while ((got = fread(text + len, 1, capacity - len, file)) > 0) {
        len += got;
        if (len == capacity)
            text = realloc(text, (capacity *= 2) + 1);
    }
    fclose(file);
    text[len] = '\0';
    if (ret_len)
        *ret_len = len;
    return text;
}

/* attend run [--model dir] [extra…] < cases > out; the exit status. */
static int run_attend(const char *dir, const char *cases, const char *out, const char *const extra[4])
{
    const char *root = getenv("ATT_BUILD_ROOT");
    char program[4096];
    char *argv[12] = {program, "run"};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int n = 2, status = -1;
    snprintf(program, sizeof program, "%s/attend", root ? root : ".");
    if (dir) {
        argv[n++] = strdup("--model");
        argv[n++] = strdup(dir);
    }
    for (int i = 0; i < 4 && extra && extra[i]; i++)
        argv[n++] = strdup(extra[i]);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, cases, O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(posix_spawn(&pid, program, &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    for (int i = 2; i < n; i++)
        free(argv[i]);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* ---- comparing ---- */

struct worst {
    double error;
    char name[64], in[64];
};

static void compare_shapes(const char *in, const char *name, const struct att_json *expected,
                           const struct att_json *got)
{
    if (att_json_count(expected) != att_json_count(got))
        fail_msg("%s: %s has rank %zu, expected %zu", in, name, att_json_count(got), att_json_count(expected));
    for (size_t i = 0; i < att_json_count(expected); i++)
        if (att_json_number(att_json_at(expected, i), -1) != att_json_number(att_json_at(got, i), -2))
            fail_msg("%s: %s has another shape", in, name);
}

static double tensor_error(const struct att_json *expected, const struct att_json *got)
{
    double largest = 0, error = 0;
    for (size_t i = 0; i < att_json_count(expected); i++) {
        double x = att_json_number(att_json_at(expected, i), NAN);
        double y = att_json_number(att_json_at(got, i), NAN);
        largest = fmax(largest, fabs(x));
        error = isnan(x - y) ? INFINITY : fmax(error, fabs(x - y));
    }
    return error == 0 ? 0 : error / largest;
}

static void compare_lists(const char *in, const char *name, const struct att_json *expected, const struct att_json *got)
{
    if (att_json_count(expected) != att_json_count(got))
        fail_msg("%s: %s has %zu numbers, expected %zu", in, name, att_json_count(got), att_json_count(expected));
    for (size_t i = 0; i < att_json_count(expected); i++)
        if (att_json_number(att_json_at(expected, i), -1) != att_json_number(att_json_at(got, i), -2))
            fail_msg("%s: %s[%zu] is %g, expected %g", in, name, i, att_json_number(att_json_at(got, i), NAN),
                     att_json_number(att_json_at(expected, i), NAN));
}

/* What a model wrote: as JSON, to the letter. */
static void compare_written(const char *in, const char *name, const struct att_json *expected,
                            const struct att_json *got)
{
    struct att_jsonw texts[2];
    for (int i = 0; i < 2; i++) {
        att_jsonw_init(&texts[i], SIZE_MAX);
        att_jsonw_value(&texts[i], i == 0 ? expected : got);
    }
    if (texts[0].len != texts[1].len || memcmp(texts[0].bytes, texts[1].bytes, texts[0].len) != 0)
        fail_msg("%s: %s differs", in, name);
    att_jsonw_finish(&texts[0]);
    att_jsonw_finish(&texts[1]);
}

static void compare_case(const char *set, const struct att_json *expected, const struct att_json *got,
                         struct worst *worst)
{
    static const char *const lists[] = {"ids", "type_ids", "topk_ids"};
    static const char *const written[] = {"sequences", "finished", "sequence", "text", "prompt"};
    const struct att_json *tensors = att_json_get(expected, "outputs"), *tensor;
    const char *in = att_json_string(att_json_get(expected, "case"), NULL);
    const char *label = att_json_string(att_json_get(expected, "label"), NULL), *name;
    struct att_json_iter iter;
    assert_string_equal(att_json_string(att_json_get(got, "case"), NULL), in);
    if (att_json_get(got, "error"))
        fail_msg("%s: %s: %s", set, in, att_json_string(att_json_get(got, "error"), NULL));
    att_json_iter_init(&iter, tensors);
    while (att_json_iter_next(&iter, &name, &tensor)) {
        const struct att_json *other = att_json_get(att_json_get(got, "outputs"), name);
        if (!other)
            fail_msg("%s: %s: %s is missing", set, in, name);
        if (strcmp(name, "top8_ids") == 0 && att_json_get(att_json_get(expected, "inputs"), "src_mask"))
            continue; /* of padded rows, where all probabilities are 0 */
        compare_shapes(in, name, att_json_get(tensor, "shape"), att_json_get(other, "shape"));
        assert_int_equal(att_json_count(att_json_get(tensor, "data")), att_json_count(att_json_get(other, "data")));
        double error = tensor_error(att_json_get(tensor, "data"), att_json_get(other, "data"));
        if (error > worst->error) {
            worst->error = error;
            snprintf(worst->name, sizeof worst->name, "%s", name);
            snprintf(worst->in, sizeof worst->in, "%s", in);
        }
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (att_json_get(expected, lists[i]))
            compare_lists(in, lists[i], att_json_get(expected, lists[i]), att_json_get(got, lists[i]));
    for (size_t i = 0; i < sizeof written / sizeof *written; i++)
        if (att_json_get(expected, written[i]))
            compare_written(in, written[i], att_json_get(expected, written[i]), att_json_get(got, written[i]));
    if (label)
        assert_string_equal(att_json_string(att_json_get(got, "label"), NULL), label);
}

static struct att_json *next_line(char **at)
{
    struct att_json *root = NULL;
    struct att_err err;
    char *end = strchr(*at, '\n');
    if (!end)
        return NULL;
    if (att_json_parse(*at, (size_t)(end - *at), ATT_JSON_ALLOW_NUL, 32, &root, &err) != ATT_OK)
        fail_msg("%s", err.message);
    *at = end + 1;
    return root;
}

/* base: NAME=DIR of the model that it stands on; NULL: none. */
static void compare_set(const char *set, const char *model, const char *base, const char *cases)
{
    char out[256];
    struct worst worst = {.name = "-"};
    size_t count = 0;
    snprintf(out, sizeof out, "%s/out.jsonl", work_dir);
    int status = run_attend(model, cases, out, base ? (const char *const[4]){"--base", base} : NULL);
    char *expected = read_file(cases, NULL), *got = read_file(out, NULL), *e = expected, *g = got;
    struct att_json *one, *other;
    while ((one = next_line(&e)) != NULL) {
        other = next_line(&g);
        if (!other)
            fail_msg("%s: only %zu answers", set, count);
        compare_case(set, one, other, &worst);
        att_json_destroy(one);
        att_json_destroy(other);
        count++;
    }
    free(expected);
    free(got);
    assert_int_equal(status, 0);
    assert_true(count > 0);
    printf("# %-28s %4zu cases, largest error %.1e (%s of %s)\n", set, count, worst.error, worst.name, worst.in);
    /* The reference's own fp32 noise is 1.2e-5 in t5-v1_1, against 4e-6 of the next; other orders of summing show it.
     * The one logit of xlm-roberta-rerank is small against what it is summed of: plain sums are 9e-6 away,
     * groups 3.4e-5. */
    const bool noisy = strcmp(set, "t5-v1_1") == 0 || strcmp(set, "xlm-roberta-rerank") == 0;
    const double bound = noisy ? 2.5 * tolerance : tolerance;
    if (!(worst.error <= bound))
        fail_msg("%s: %s of %s differs by %.3g of its largest value", set, worst.name, worst.in, worst.error);
}

/* ---- the sets ---- */

static const char *source_path(char path[4096], const char *below)
{
    const char *root = getenv("ATT_SOURCE_ROOT");
    snprintf(path, 4096, "%s/tests/%s", root ? root : ".", below);
    return path;
}

static void the_part_kept_here_is_equal(void **state)
{
    (void)state;
    static const struct {
        const char *set, *model, *cases;
    } sets[] = {
        {"bert-seqcls", "golden/data/bert-seqcls", "golden/data/bert-seqcls/cases.jsonl"},
        {"bert-pair", "golden/data/bert-pair", "golden/data/bert-pair/cases.jsonl"},
        {"bert-sentiment", "data/models/bert-sentiment", "golden/data/bert-sentiment/cases.jsonl"},
        {"st-bert-mean", "data/models/st-bert-mean", "golden/data/st-bert-mean/cases.jsonl"},
        {"sasrec", "data/models/sasrec", "golden/data/sasrec/cases.jsonl"},
        {"sasrec-padded", "golden/data/sasrec-padded", "golden/data/sasrec-padded/cases.jsonl"},
        {"bert4rec", "golden/data/bert4rec", "golden/data/bert4rec/cases.jsonl"},
        {"albert-seqcls", "golden/data/albert-seqcls", "golden/data/albert-seqcls/cases.jsonl"},
        {"deberta-v2-conv", "golden/data/deberta-v2-conv-seqcls", "golden/data/deberta-v2-conv-seqcls/cases.jsonl"},
        {"modernbert-cls", "golden/data/modernbert-cls-seqcls", "golden/data/modernbert-cls-seqcls/cases.jsonl"},
        {"nomic-bert", "golden/data/nomic-bert-model", "golden/data/nomic-bert-model/cases.jsonl"},
        {"mpnet-model", "golden/data/mpnet-model", "golden/data/mpnet-model/cases.jsonl"},
        {"llama-f16", "golden/data/llama-f16", "golden/data/llama-f16/cases.jsonl"},
        {"qwen3", "golden/data/qwen3", "golden/data/qwen3/cases.jsonl"},
        {"t5-v1_1", "golden/data/t5-v1_1", "golden/data/t5-v1_1/cases.jsonl"},
        {"transformer-seeded", "golden/data/transformer-seeded", "golden/data/transformer-seeded/cases.jsonl"},
        {"adapter", "golden/data/adapter", "golden/data/adapter/cases.jsonl"},
        {"st-bert-mean.gguf", "data/gguf/st-bert-mean", "golden/data/st-bert-mean/cases.jsonl"},
        {"llama-f16.gguf", "data/gguf/llama-f16", "golden/data/llama-f16/cases.jsonl"},
        {"sampling", NULL, "golden/data/sampling/cases.jsonl"},
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        char model[4096], cases[4096];
        compare_set(sets[i].set, sets[i].model ? source_path(model, sets[i].model) : NULL, NULL,
                    source_path(cases, sets[i].cases));
    }
    char model[4096], base[4200], cases[4096];
    snprintf(base, sizeof base, "st-bert-mean=%s", source_path(model, "data/models/st-bert-mean"));
    compare_set("st-dense", source_path(model, "golden/data/st-dense"), base,
                source_path(cases, "golden/data/st-dense/cases.jsonl"));
}

/* Every folder below `kind` that has cases. */
static size_t compare_folders(const char *shared, const char *kind)
{
    char folder[2048], model[4096], cases[4200];
    size_t count = 0;
    snprintf(folder, sizeof folder, "%s/golden/%s", shared, kind);
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        snprintf(model, sizeof model, "%s/%s", folder, entry->d_name);
        snprintf(cases, sizeof cases, "%s/cases.jsonl", model);
        if (entry->d_name[0] == '.' || access(cases, R_OK) != 0)
            continue;
        compare_set(entry->d_name, model, NULL, cases);
        count++;
    }
    if (dir)
        closedir(dir);
    return count;
}

static void the_full_reference_is_equal(void **state)
{
    (void)state;
    const char *shared = getenv("ATT_SHARED");
    char cases[4096];
    if (!shared) {
        puts("# ATT_SHARED is not set");
        return;
    }
    assert_true(compare_folders(shared, "models") >= 31);
    assert_true(compare_folders(shared, "e2e") >= 7);
    assert_true(compare_folders(shared, "recsys") >= 3);
    assert_true(compare_folders(shared, "seed_transformer") >= 2);
    snprintf(cases, sizeof cases, "%s/golden/sampling/cases.jsonl", shared);
    compare_set("sampling", NULL, NULL, cases);
}

/* Lines {"text","embedding"} as case lines of the call embed. */
static void write_embed_cases(const char *from, const char *to)
{
    char *text = read_file(from, NULL), *at = text;
    FILE *file = fopen(to, "wb");
    struct att_json *line;
    for (size_t n = 0; (line = next_line(&at)) != NULL; n++) {
        struct att_jsonw w;
        char *bytes = NULL;
        size_t len = 0;
        char name[32];
        snprintf(name, sizeof name, "t%zu", n);
        att_jsonw_init(&w, SIZE_MAX);
        att_jsonw_object_begin(&w);
        att_jsonw_put_text(&w, "case", name);
        att_jsonw_put_text(&w, "call", "embed");
        att_jsonw_key(&w, "inputs");
        att_jsonw_object_begin(&w);
        att_jsonw_key(&w, "text");
        att_jsonw_value(&w, att_json_get(line, "text"));
        att_jsonw_object_end(&w);
        att_jsonw_object_end(&w);
        assert_int_equal(att_jsonw_take(&w, &bytes, &len, NULL), ATT_OK);
        fprintf(file, "%s\n", bytes);
        att_mem_free(bytes);
        att_json_destroy(line);
    }
    free(text);
    assert_int_equal(fclose(file), 0);
}

static void the_real_encoder_is_equal(void **state)
{
    (void)state;
    const char *shared = getenv("ATT_SHARED"), *model = getenv("ATT_MINILM");
    if (!shared || !model) {
        puts("# ATT_SHARED and ATT_MINILM are not set");
        return;
    }
    char from[4096], cases[256], out[256];
    double largest = 0;
    snprintf(from, sizeof from, "%s/golden/minilm/embeddings.jsonl", shared);
    snprintf(cases, sizeof cases, "%s/minilm.jsonl", work_dir);
    snprintf(out, sizeof out, "%s/out.jsonl", work_dir);
    write_embed_cases(from, cases);
    assert_int_equal(run_attend(model, cases, out, NULL), 0);
    char *expected = read_file(from, NULL), *got = read_file(out, NULL), *e = expected, *g = got;
    struct att_json *one, *other;
    while ((one = next_line(&e)) != NULL) {
        assert_non_null(other = next_line(&g));
        const struct att_json *a = att_json_get(one, "embedding");
        const struct att_json *b = att_json_get(att_json_get(att_json_get(other, "outputs"), "embedding"), "data");
        assert_int_equal(att_json_count(a), att_json_count(b));
        assert_int_equal((int)att_json_number(att_json_get(one, "n_tokens"), -1),
                         att_json_count(att_json_get(other, "ids")));
        for (size_t i = 0; i < att_json_count(a); i++)
            largest = fmax(
                largest, fabs(att_json_number(att_json_at(a, i), NAN) - att_json_number(att_json_at(b, i), INFINITY)));
        att_json_destroy(one);
        att_json_destroy(other);
    }
    free(expected);
    free(got);
    printf("# %-28s largest difference %.1e\n", "minilm", largest);
    assert_true(largest <= 2e-6);
}

/* Packed batches of any size, cases in any order, and any number of threads give the same bytes. */
static void batches_order_and_threads_change_no_byte(void **state)
{
    (void)state;
    static const char *const variants[][4] = {{"--batch-tokens", "1", NULL, NULL},
                                              {"--batch-tokens", "16", NULL, NULL},
                                              {"--threads", "2", "--batch-tokens", "5"}};
    char model[4096], cases[4096], out[256], other[256];
    source_path(model, "golden/data/bert-seqcls");
    source_path(cases, "golden/data/bert-seqcls/cases.jsonl");
    snprintf(out, sizeof out, "%s/out.jsonl", work_dir);
    snprintf(other, sizeof other, "%s/other.jsonl", work_dir);
    assert_int_equal(run_attend(model, cases, out, NULL), 0);
    char *expected = read_file(out, NULL);
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        assert_int_equal(run_attend(model, cases, other, variants[i]), 0);
        char *got = read_file(other, NULL);
        assert_string_equal(got, expected);
        free(got);
    }
    free(expected);
}

static void what_cannot_be_done_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *line, *words;
    } bad[] = {
        {"{\"case\":\"a\",\"call\":\"translate\",\"inputs\":{}}", "call: 'translate'"},
        {"{\"case\":\"b\",\"call\":\"forward\",\"inputs\":{\"input_ids\":[[1,2],[3]]}}", "inputs.input_ids[1]"},
        {"{\"case\":\"c\",\"call\":\"forward\",\"inputs\":{\"input_ids\":[[99999]]}}", "99999"},
        {"{\"case\":\"d\",\"call\":\"forward\",\"inputs\":{\"input_ids\":[[1,2]],\"attention_mask\":[[0,1]]}}",
         "attention_mask[0]"},
        {"{\"case\":\"e\",\"call\":\"forward\",\"inputs\":{\"input_ids\":[[1]]},\"outputs\":[\"cross_attentions.0\"]}",
         "cross_attentions.0"},
        {"{\"case\":\"f\",\"call\":\"forward\",\"inputs\":{\"decoder_input_ids\":[[1]]}}", "decoder_input_ids"},
        {"{\"case\":\"g\",\"call\":\"embed\",\"inputs\":{\"text\":\"no tokenizer here\"}}", "tokenizer"},
        {"{\"case\":\"h\",\"call\":\"recommend\",\"inputs\":{\"history\":[1]}}", "recommender"},
        {"not json", "line 1"},
        {"{\"case\":\"i\",\"call\":\"forward\",\"inputs\":{\"input_ids\":[[5,6]]}}", NULL},
    };
    char model[4096], cases[256], out[256];
    snprintf(cases, sizeof cases, "%s/bad.jsonl", work_dir);
    snprintf(out, sizeof out, "%s/out.jsonl", work_dir);
    FILE *file = fopen(cases, "wb");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        fprintf(file, "%s\n\n", bad[i].line);
    fclose(file);
    assert_int_equal(run_attend(source_path(model, "golden/data/bert-seqcls"), cases, out, NULL), 1);
    char *text = read_file(out, NULL), *at = text;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct att_json *line = next_line(&at);
        const char *error = att_json_string(att_json_get(line, "error"), NULL);
        assert_non_null(line);
        assert_int_equal(error != NULL, bad[i].words != NULL);
        if (error && !strstr(error, bad[i].words))
            fail_msg("'%s' does not name %s", error, bad[i].words);
        att_json_destroy(line);
    }
    assert_string_equal(at, "");
    free(text);
}

static int start(void **state)
{
    (void)state;
    return mkdtemp(work_dir) ? 0 : -1;
}

static int stop(void **state)
{
    static const char *const names[] = {"out.jsonl", "other.jsonl", "bad.jsonl", "minilm.jsonl"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", work_dir, names[i]);
        unlink(path);
    }
    return rmdir(work_dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_part_kept_here_is_equal), cmocka_unit_test(the_full_reference_is_equal),
        cmocka_unit_test(the_real_encoder_is_equal),   cmocka_unit_test(batches_order_and_threads_change_no_byte),
        cmocka_unit_test(what_cannot_be_done_is_told),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
