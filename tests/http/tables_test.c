/* The table of a large catalogue on a live daemon: mapped from a file that has no name, shared by the generations
 * before and after a reload, and in memory where its folder cannot have it. */
#include "live.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { ITEMS = 20000, WIDTH = 8 };

static const char body[] = "{\"model\":\"large\",\"history\":[{\"item\":\"7\"},{\"item\":\"11\"}],\"top_k\":5}";
static char folder[] = "/tmp/attentd-tables-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_config(int n_items)
{
    char text[512];

    snprintf(text, sizeof(text),
             "{\"model_type\":\"sasrec\",\"num_items\":%d,\"hidden_size\":%d,\"num_hidden_layers\":1,"
             "\"num_attention_heads\":1,\"max_position_embeddings\":8,\"layer_norm_eps\":1e-8}",
             n_items, WIDTH);
    live_write(path_of("config.json"), text, strlen(text));
}

struct tensor {
    const char *name;
    int rows, cols; /* cols 0: a vector */
    const char *base;
};

static const struct tensor tensors[] = {
    {"item_emb.weight", ITEMS + 1, WIDTH, "0"},
    {"pos_emb.weight", 9, WIDTH, "0"},
    {"attention_layernorms.0.weight", WIDTH, 0, "1"},
    {"attention_layernorms.0.bias", WIDTH, 0, "0"},
    {"attention_layers.0.in_proj_weight", 3 * WIDTH, WIDTH, "0"},
    {"attention_layers.0.in_proj_bias", 3 * WIDTH, 0, "0"},
    {"attention_layers.0.out_proj.weight", WIDTH, WIDTH, "0"},
    {"attention_layers.0.out_proj.bias", WIDTH, 0, "0"},
    {"forward_layernorms.0.weight", WIDTH, 0, "1"},
    {"forward_layernorms.0.bias", WIDTH, 0, "0"},
    {"forward_layers.0.conv1.weight", WIDTH, WIDTH, "0"},
    {"forward_layers.0.conv1.bias", WIDTH, 0, "0"},
    {"forward_layers.0.conv2.weight", WIDTH, WIDTH, "0"},
    {"forward_layers.0.conv2.bias", WIDTH, 0, "0"},
    {"last_layernorm.weight", WIDTH, 0, "1"},
    {"last_layernorm.bias", WIDTH, 0, "0"},
};

/* A model whose weights follow from a seed, so that its file is small. */
static int make_model(void **state)
{
    char text[4096];
    size_t at = (size_t)snprintf(text, sizeof(text), "{\"seed\":5,\"tensors\":[");

    (void)state;
    if (mkdtemp(folder) == NULL || mkdir(path_of("tables"), 0700) != 0)
        return 1;
    write_config(ITEMS);
    for (size_t i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++) {
        const struct tensor *t = &tensors[i];
        char shape[32];

        if (t->cols > 0)
            snprintf(shape, sizeof(shape), "%d,%d", t->rows, t->cols);
        else
            snprintf(shape, sizeof(shape), "%d", t->rows);
        at +=
            (size_t)snprintf(text + at, sizeof(text) - at, "%s{\"name\":\"%s\",\"shape\":[%s],\"base\":%s,\"amp\":0.5}",
                             i > 0 ? "," : "", t->name, shape, t->base);
    }
    at += (size_t)snprintf(text + at, sizeof(text) - at, "]}");
    live_write(path_of("weights_spec.json"), text, at);
    return 0;
}

static int remove_model(void **state)
{
    (void)state;
    (void)remove(path_of("config.json"));
    (void)remove(path_of("weights_spec.json"));
    (void)remove(path_of("tables")); /* empty, or the test failed */
    return rmdir(folder);
}

static const char *options(const char *tables)
{
    static char text[400];

    snprintf(text, sizeof(text), "item_tables = %s\n[model large]\npath = %s\n", tables, folder);
    return text;
}

/* Mappings of files in the folder, and of those the ones that can be written to. */
static size_t mappings(const struct live *live, const char *tables, size_t *ret_writable)
{
    char name[64], line[512];
    size_t n = 0;
    FILE *maps;

    *ret_writable = 0;
    snprintf(name, sizeof(name), "/proc/%d/maps", (int)live->pid);
    maps = fopen(name, "r");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) != NULL) {
        if (strstr(line, tables) == NULL)
            continue;
        assert_non_null(strstr(line, "(deleted)"));
        n++;
        *ret_writable += strstr(line, " rw-") != NULL;
    }
    fclose(maps);
    return n;
}

static double mapped_bytes(const struct live *live)
{
    struct reply reply = live_ask(live, "GET", "/v1/models/large", NULL, NULL);
    struct att_json *card = reply_json(&reply);
    double bytes = att_json_number(att_json_get(card, "mapped_bytes"), 0);

    assert_int_equal(reply.status, 200);
    att_json_destroy(card);
    reply_free(&reply);
    return bytes;
}

static void recommended(const struct live *live, char *ids, size_t size)
{
    struct reply reply = live_post(live, "/v1/recommend", body);
    struct att_json *answer = reply_json(&reply);
    const struct att_json *items = att_json_get(answer, "items");
    size_t at = 0;

    assert_int_equal(reply.status, 200);
    assert_int_equal(att_json_count(items), 5);
    for (size_t i = 0; i < 5; i++)
        at += (size_t)snprintf(ids + at, size - at, "%s %.9g, ",
                               att_json_string(att_json_get(att_json_at(items, i), "id"), NULL),
                               att_json_number(att_json_get(att_json_at(items, i), "logit"), 0));
    att_json_destroy(answer);
    reply_free(&reply);
}

static void mapped_and_shared(void **state)
{
    struct live live;
    char first[256], later[256], tables[128];
    size_t writable;

    (void)state;
    snprintf(tables, sizeof(tables), "%s", path_of("tables"));
    live_start(&live, options(tables));
    assert_true(mapped_bytes(&live) >= (double)ITEMS * WIDTH * 5);
    assert_int_equal(mappings(&live, tables, &writable), 2); /* in full, and in 8 bits */
    assert_int_equal(writable, 0);
    recommended(&live, first, sizeof(first));
    /* The model is loaded anew, its weights are the same. */
    write_config(ITEMS);
    live_signal(&live, SIGHUP);
    live_wait_logged(&live, "event=reloaded", 1);
    assert_true(live_logged(&live, "event=model name=large version=2"));
    assert_int_equal(mappings(&live, tables, &writable), 2);
    assert_int_equal(writable, 0);
    recommended(&live, later, sizeof(later));
    assert_string_equal(later, first);
    live_stop(&live);
}

static void in_memory_without_a_place(void **state)
{
    struct live live;
    char mapped[256], plain[256];

    (void)state;
    live_start(&live, options(path_of("tables")));
    recommended(&live, mapped, sizeof(mapped));
    live_stop(&live);
    live_start(&live, options(path_of("missing")));
    assert_true(live_logged(&live, "event=item_tables_in_memory"));
    assert_true(mapped_bytes(&live) < 1);
    recommended(&live, plain, sizeof(plain));
    assert_string_equal(plain, mapped);
    live_stop(&live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mapped_and_shared),
        cmocka_unit_test(in_memory_without_a_place),
    };

    return cmocka_run_group_tests_name("http/tables", tests, make_model, remove_model);
}
