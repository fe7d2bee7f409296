/*
 * A task: request JSON → jobs → answer JSON. No HTTP, no threads, no clocks.
 *
 *   parse   checks every field, tokenises, and leaves jobs in the call
 *   (someone runs the jobs: the daemon's workers, or task_run for the command line)
 *   advance optional: looks at the results and may leave another round of jobs
 *   render  writes the answer
 *
 * The same functions serve attentd and attend, so that the answers are bit for
 * bit the same. Everything a call needs lies in its arena; finish releases what
 * does not (references to models). A call is touched by one thread at a time.
 */
#ifndef TASK_TASK_H
#define TASK_TASK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/attend.h"

struct news_view;       /* news/set.h */
struct store_catalogue; /* store/catalogue.h */
struct store_entities;  /* store/entities.h */
struct store_follows;   /* store/follows.h */
struct store_items;     /* store/items.h */
struct store_kb;        /* store/kb.h */
struct store_news;      /* store/news.h */
struct store_users;     /* store/users.h */
struct task_generator;  /* see task_generator_open */

/* One sequence of model work. The task allocates the outputs it wants; NULL = not wanted. */
struct task_job {
    struct att_model *model;
    const int32_t *ids, *type_ids; /* type_ids may be NULL */
    size_t len;                    /* 1..max_tokens */
    const float *weights;          /* [len] of the tokens, as attend.h's struct att_batch has them; NULL: ones */
    float *pooled;                 /* [hidden_size] */
    float *logits;                 /* [n_logits] */
    float *hidden;                 /* [len][hidden_size]: the last hidden states */
    float *token_logits;           /* [len][n_logits], of a model whose logits are per token */
    float *attention;              /* [len]: see task_jobs_run */
    float *rollout;                /* [n_layers][len][len] work space: then attention is that of all layers */
    /* Recommenders: the best items for the pooled vector, which becomes the query's x; NULL: not wanted. */
    struct att_scan_query *scan;
    struct att_scan_answer found;
    enum att_status status; /* set by who ran it: ATT_OK, ATT_EDEADLINE, … */
    void *owner;            /* the runner's; tasks do not touch it */

    /* A text that is being written: the tokens go behind its past, and logits [logits_size] are of what follows the
     * last of them, attention [n_attention] of what that one looks at. Encoder-decoders: `source` tokens are encoded
     * first. */
    struct att_past *past; /* NULL: none */
    size_t n_attention;
    bool source;
    /* Called on the thread that ran it, when its outputs are there; or NULL. */
    void (*after)(struct task_job *job);
};

/* A model as the configuration names it. */
struct task_model {
    const char *name;
    struct att_model *model;
    struct store_items *items;         /* recommenders with an item table; else NULL */
    struct store_catalogue *catalogue; /* recommenders whose items may be changed; else NULL */
    struct store_follows *follows;     /* recommenders that have such a file; else NULL */
    struct task_generator *generator;  /* models that write text; else NULL */
    const struct task_model *encoder;  /* recommenders: embeds item texts and interests; NULL: none */
    bool is_trained;                   /* a classifier of POST /v1/classifiers, which may replace it */
    uint64_t version;                  /* 1 at the first load, one more each time that it was loaded anew; 0: never */
};

struct task_kb {
    const char *name;
    struct store_kb *kb;
    const struct task_model *encoder;
    const struct task_model *reranker;  /* a cross-encoder that orders the best entries anew; NULL: none */
    const struct task_model *reader;    /* extractive question answering: start and end logits a token; NULL: none */
    const struct task_model *generator; /* writes an answer from the entries that were found; NULL: none */
    double generated_cover_min;         /* which is withheld when they cover less of it than this, 0..1 */
    bool records;                       /* questions without one answer are kept, as feedback always is: */
    uint32_t record_days;               /* for so long, */
    size_t record_max;                  /* and the newest so many; 0 in both: no store is written */
};

/* Where ingested news goes, and what it is analysed with. */
struct task_news {
    struct store_news *store;
    const struct task_model *model;    /* its heads; NULL: nothing is classified */
    const struct task_model *model_zh; /* the same for items in Chinese; NULL: model */
    const struct task_model *ner;      /* a token classifier that finds entities; or NULL */
    struct store_entities *entities;   /* or NULL */
};

struct task_limits {
    size_t items_max;      /* texts, documents or candidates of one request */
    size_t text_bytes_max; /* one text */
    size_t tokens_max;     /* all texts of one request together */
    size_t history_max;    /* events of one recommend request */
    size_t answer_bytes_max;
    uint32_t deadline_ms_max, deadline_ms_default;
    size_t generation_tokens_max; /* prompt and new tokens of one text that is written */
};

/* Room for texts that are being written, of all requests together. */
struct task_room {
    atomic_size_t texts, bytes;
    size_t texts_max, bytes_max;
};

/* Names to things; the daemon and the command line each provide one. Lookups answer NULL for an unknown name. */
struct task_env {
    void *context;
    /* name NULL: the default model for `task` ("classify", "embed", "rerank", "recommend"): the one the configuration
     * marks, else the first loaded that can do it. */
    const struct task_model *(*find_model)(void *context, const char *name, const char *task);
    const struct task_kb *(*find_kb)(void *context, const char *name); /* NULL: the default knowledge base */
    struct store_users *users;                                         /* NULL: none are kept */
    const struct task_news *news;                                      /* NULL: none is configured */
    const struct news_view *news_view; /* how news are judged, stored or posted; NULL: by default */
    struct task_limits limits;
    const char *classifiers; /* folder of trained classifiers; NULL: there is none */
    struct task_room *room;  /* NULL: no bound */
};

/* One parameter of the URL's query, decoded. */
struct task_param {
    const char *name, *value;
};

/* A body of lines (NDJSON) of any length comes in chunks, each a call of its own: parse, jobs, render. What lasts from
 * one to the next. */
struct task_feed {
    const char *text; /* of this chunk: whole lines; the body's last may lack its end */
    size_t len, line_bytes_max;
    bool is_last;                 /* what follows it is the answer's end */
    const struct att_err *failed; /* the chunk before failed as a whole, and the rest of the body is not looked at */
    /* the task's own */
    size_t n_lines, counts[4], n_errors, n_omitted;
    size_t answer_bytes; /* rendered so far */
};

struct task_timing { /* filled by who runs the call */
    uint64_t tokenize_us, queue_us, compute_us, total_us;
};

/* What one answer looked like, without its text. */
struct task_observation {
    const struct task_model *model; /* of a head; or NULL: */
    const char *kb;                 /* label 0: the question was matched, 1: handed to a person */
    size_t head, label;
    bool abstained;
    float score;            /* of the label */
    size_t tokens, unknown; /* of the text, and those among them that the vocabulary has no word for */
};

struct task_call;
/* Between the last round and render: what takes seconds or changes the models' folders, not on a thread of connections.
 * settle follows in any case once deploy has succeeded: `serves` false undoes it, as the daemon could not serve the
 * outcome; NULL: nothing to do. `model`: what must be served then, NULL: nothing more than before. */
struct task_deployment {
    const char *model;
    enum att_status (*deploy)(struct task_call *call, struct att_err *err);
    enum att_status (*settle)(struct task_call *call, bool serves, struct att_err *err);
};

struct task_call {
    const struct task *task; /* parse may put another in its place, where the body says whose client it is */
    const struct task_env *env;
    struct att_arena *arena;
    const char *path_params[2];     /* {kb}, {id} of the route, percent-decoded; or NULL */
    const struct task_param *query; /* of the URL, in its order; tasks that read none ignore it */
    size_t n_query;
    const char *tail; /* bytes behind the JSON of the body: KServe's binary tensors; in the arena */
    size_t tail_len;
    struct task_feed *feed; /* a chunk of lines instead of the body; or NULL */
    int64_t now_ms;         /* Unix time when the request came */
    void *state;            /* the task's own, in the arena */
    struct task_job *jobs;  /* of this round */
    size_t n_jobs;
    const struct task_deployment *deployment; /* set by parse: what is served changes; NULL: it does not */
    const struct task_model *model;           /* the model that answers, for metrics; may be NULL */
    uint32_t deadline_ms;                     /* from the body; 0: none given */
    bool bulk;                                /* priority */
    bool writes; /* set by parse: render waits for the disk, and the daemon calls it apart */
    bool reads;  /* the same for one that reads the disk for long: apart, and in no writer's way */
    /* Set by parse where the answer is a stream: called after each round instead of render, it writes what the round
     * brought as server-sent events (task_event_begin); n_jobs 0: for the last time. */
    void (*stream)(struct task_call *call, struct att_jsonw *events);
    size_t prompt_tokens;  /* usage, set by parse */
    size_t explain_tokens; /* of what an explanation left out and asked again; part of usage.total_tokens */
    const struct task_observation *observations; /* set by render: for the figures of drift */
    size_t n_observations;
    struct task_timing timing;
    int http_status;          /* 200 unless the task says otherwise (201, 204) */
    const char *content_type; /* NULL: JSON; else render says so, and writes its bytes by att_jsonw_raw */
};

struct task {
    const char *name; /* "classify"; the route table and metrics use it */
    /* body is NULL when the method has none, and when call->feed holds lines instead. err is never NULL here; on
     * failure err->param names the field. */
    enum att_status (*parse)(struct task_call *call, const struct att_json *body, struct att_err *err);
    enum att_status (*advance)(struct task_call *call, struct att_err *err); /* NULL: one round; n_jobs 0: no more */
    enum att_status (*render)(struct task_call *call, struct att_jsonw *answer, struct att_err *err);
    void (*finish)(struct task_call *call); /* NULL: nothing but the arena */
    bool takes_array;                       /* the body may be an array; else it is an object */
};

extern const struct task task_generate, task_completions, task_chat_completions;
extern const struct task task_classify, task_embeddings, task_rerank, task_tokenize, task_reply, task_recommend;
/* POST /v1/eval. */
extern const struct task task_evaluate;
/* POST /v1/classifiers, DELETE /v1/classifiers/{name}. */
extern const struct task task_classifier_put, task_classifier_delete;
/* Knowledge-base administration: PUT/GET/DELETE /v1/kb/{kb}[/entries[/{id}]], GET …/export, GET and DELETE
 * …/suggestions. */
extern const struct task task_kb_put, task_kb_get, task_kb_delete, task_kb_entries_get, task_kb_entries_put,
    task_kb_entry_get, task_kb_entry_put, task_kb_entry_delete, task_kb_export, task_kb_suggest, task_kb_forget;
/* Items of a recommender: GET/PUT /v1/models/{id}/items, GET/PUT/DELETE …/items/{item}. */
extern const struct task task_items_get, task_items_put, task_item_get, task_item_put, task_item_delete;
/* POST /v1/feedback; GET and DELETE /v1/users/{user}. */
extern const struct task task_feedback, task_user_get, task_user_delete;

/* News: POST /v1/ingest, GET /v1/news[/{id}], DELETE /v1/news/{id}. */
extern const struct task task_ingest, task_news_list, task_news_get, task_news_delete;
/* GET /v1/alerts, GET /v1/trends, POST /v1/report. */
extern const struct task task_alerts, task_trends, task_report;
/* Bodies as other servers define them (tasks/wire/): unknown fields are ignored. task_rerank_either is rerank or TEI's.
 */
extern const struct task task_rerank_compatible, task_rerank_either, task_tei_rerank, task_tei_embed,
    task_tei_embed_all, task_tei_similarity, task_tei_predict, task_tei_tokenize, task_tei_decode, task_vllm_classify,
    task_vllm_score, task_kserve_infer;
/* The members "inputs" and "outputs" of a model's card in KServe's words. */
void task_kserve_metadata(const struct task_model *model, struct att_jsonw *answer);

/* ---- what a model writes with (tasks/generate/generator.c) ---- */

/* generation_config.json and chat templates of a model that generates, read when it is loaded. Immutable, counted by
 * references. */
enum att_status task_generator_open(const struct att_model *model, struct task_generator **ret_generator,
                                    struct att_err *err) ATT_MUST_USE;
struct task_generator *task_generator_ref(struct task_generator *generator);
void task_generator_close(struct task_generator *generator); /* NULL is allowed */

/* ---- running jobs (tasks/run.c) ---- */

/* Runs jobs of one model, all in one packed batch of `context` (their total must fit it): copies the wanted
 * outputs, sets each status. attention[t]: mean over the heads of the last layer of the attention that the pooled
 * positions pay to token t (mean pooling: mean over all queries; CLS: the first; recommenders: the last), sums to 1.
 * With rollout: through all layers, each as half its attention and half the residual connection. */
void task_jobs_run(struct att_context *context, struct task_job *const *jobs, size_t n_jobs);

/* A context for jobs of the model, texts that are written among them. */
enum att_status task_context_create(struct att_model *model, size_t max_tokens, size_t max_seqs,
                                    const struct task_limits *limits, struct att_context **ret_context,
                                    struct att_err *err) ATT_MUST_USE;

/* The contexts of one thread that runs calls without a server; made as models are met. */
struct task_contexts;
enum att_status task_contexts_create(struct task_contexts **ret_contexts, struct att_err *err) ATT_MUST_USE;
void task_contexts_destroy(struct task_contexts *contexts);

/* Whole life of one call without a server: parse, run all rounds, render. The answer is NUL-terminated JSON; free
 * with att_mem_free. */
enum att_status task_run(struct task_contexts *contexts, const struct task *task, const struct task_env *env,
                         const struct att_json *body, char **ret_answer, size_t *ret_len,
                         struct att_err *err) ATT_MUST_USE;

/* ---- what every task needs (tasks/field.c) ---- */

/* Refuses members of `object` that are not in `names` (NULL-terminated): ATT_EINVAL naming path.member. */
enum att_status task_fields_known(const struct att_json *object, const char *path, const char *const *names,
                                  struct att_err *err) ATT_MUST_USE;
/* Optional fields: *ret keeps its default when the member is absent or null. Errors name `path` + name. */
enum att_status task_field_string(const struct att_json *object, const char *path, const char *name,
                                  const char **ret_text, size_t *ret_len, struct att_err *err) ATT_MUST_USE;
enum att_status task_field_bool(const struct att_json *object, const char *path, const char *name, bool *ret,
                                struct att_err *err) ATT_MUST_USE;
enum att_status task_field_int(const struct att_json *object, const char *path, const char *name, int64_t min,
                               int64_t max, int64_t *ret, struct att_err *err) ATT_MUST_USE;
enum att_status task_field_number(const struct att_json *object, const char *path, const char *name, double min,
                                  double max, double *ret, struct att_err *err) ATT_MUST_USE;
/* One of the NULL-terminated words; *ret is its index. */
enum att_status task_field_enum(const struct att_json *object, const char *path, const char *name,
                                const char *const *words, size_t *ret, struct att_err *err) ATT_MUST_USE;
/* The length of the array `path`, which holds `what` ("texts"): at most `max`, and where it is required not 0; else it
 * may be absent or null. */
enum att_status task_field_array(const struct att_json *value, const char *path, const char *what, bool required,
                                 size_t max, size_t *ret_n, struct att_err *err) ATT_MUST_USE;
/* Refuses a value of more than `levels` objects and arrays in each other, itself counted: ATT_EINVAL. */
enum att_status task_field_depth(const struct att_json *value, const char *path, size_t levels,
                                 struct att_err *err) ATT_MUST_USE;
/* An object of metadata as JSON text in the call's arena, within store/metadata.h's bounds. Absent or null: *ret_text
 * keeps its default. */
enum att_status task_field_metadata(struct task_call *call, const struct att_json *value, const char *path,
                                    const char **ret_text, struct att_err *err) ATT_MUST_USE;
/* The number of texts in `path`, a text (not checked here) or an array that is not empty: at most limits.items_max. */
enum att_status task_field_inputs(const struct task_call *call, const struct att_json *value, const char *path,
                                  size_t *ret_n, struct att_err *err) ATT_MUST_USE;
/* ---- parameters of the URL (tasks/query.c) ---- */

/* Refuses parameters that are not in `names` (NULL-terminated), and any that stands twice. */
enum att_status task_query_known(const struct task_call *call, const char *const *names,
                                 struct att_err *err) ATT_MUST_USE;
/* The parameter's text, or NULL. */
const char *task_query_text(const struct task_call *call, const char *name);
/* *ret keeps its default when the parameter is absent. */
enum att_status task_query_int(const struct task_call *call, const char *name, int64_t min, int64_t max, int64_t *ret,
                               struct att_err *err) ATT_MUST_USE;
/* One of the NULL-terminated words; *ret is its index. */
enum att_status task_query_enum(const struct task_call *call, const char *name, const char *const *words, size_t *ret,
                                struct att_err *err) ATT_MUST_USE;

/* ---- what every task needs, continued (tasks/field.c) ---- */

/* deadline_ms and priority into the call. */
enum att_status task_field_common(struct task_call *call, const struct att_json *body,
                                  struct att_err *err) ATT_MUST_USE;
/* The same where other servers' clients call: "priority" may be anything, and counts where it is one of our words. */
enum att_status task_field_common_lenient(struct task_call *call, const struct att_json *body,
                                          struct att_err *err) ATT_MUST_USE;
/* "model" looked up for `task`; ATT_ENOTFOUND names it and lists what is loaded… never opened as a path. */
enum att_status task_field_model(struct task_call *call, const struct att_json *body, const char *task,
                                 const struct task_model **ret_model, struct att_err *err) ATT_MUST_USE;
/* A text of the request: UTF-8, at most limits.text_bytes_max, no U+0000. `required`: absent is an error. */
enum att_status task_field_text(const struct task_call *call, const struct att_json *value, const char *path,
                                const char **ret_text, size_t *ret_len, struct att_err *err) ATT_MUST_USE;
/* The same for bytes that are no JSON. */
enum att_status task_field_bytes(const struct task_call *call, const char *text, size_t len, const char *path,
                                 struct att_err *err) ATT_MUST_USE;
/* Encodes one text (and pair, or NULL) for `model` cut to its length, and fills job ids in the arena. `prompt` stands
 * before the text of a job without a pair: one of att_model_info's, or "". *ret_dropped counts tokens that were cut.
 * Charges call->prompt_tokens against limits.tokens_max. */
enum att_status task_job_encode(struct task_call *call, const struct task_model *model, const char *prompt,
                                const char *text, size_t len, const char *pair, size_t pair_len, const char *path,
                                struct task_job *job, size_t *ret_dropped, struct att_err *err) ATT_MUST_USE;
/* {"prompt_tokens":…,"total_tokens":…} and timing_ms as members of the open object. */
void task_render_usage(const struct task_call *call, struct att_jsonw *answer);
/* timing_ms alone. */
void task_render_timing(const struct task_call *call, struct att_jsonw *answer);
/* One event of a stream: whatever JSON value is written between the two. */
void task_event_begin(struct att_jsonw *events);
void task_event_end(struct att_jsonw *events);
enum { TASK_ID_BYTES = 64 };
/* "cls-<24 hex>": an id that no other answer has. */
void task_id_make(const char *prefix, char text[TASK_ID_BYTES]);
/* One as the member "id" of the open object. */
void task_render_id(struct att_jsonw *answer, const char *prefix);
/* "system_fingerprint": equal fingerprints give equal bits (weights and kernels). */
void task_render_fingerprint(struct att_jsonw *answer, const struct task_model *model);

#endif
