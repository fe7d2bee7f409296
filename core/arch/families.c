/* The list of architecture families. A new one is its own file and one name here. */
#include <stdio.h>
#include <string.h>

#include "core/arch/arch.h"

/* clang-format off */
#define FAMILIES(X) \
    X(albert) \
    X(bart) \
    X(bert) \
    X(bert4rec) \
    X(camembert) \
    X(deberta_v2) \
    X(distilbert) \
    X(electra) \
    X(gpt2) \
    X(llama) \
    X(marian) \
    X(mistral) \
    X(modernbert) \
    X(mpnet) \
    X(nomic_bert) \
    X(qwen2) \
    X(qwen3) \
    X(roberta) \
    X(sasrec) \
    X(t5) \
    X(transformer) \
    X(xlm_roberta)
/* clang-format on */

#define DECLARE(name) extern const struct att_arch att_arch_##name;
FAMILIES(DECLARE)

#define LIST(name) &att_arch_##name,
static const struct att_arch *const families[] = {FAMILIES(LIST)};

const struct att_arch *att_arch_find(const char *model_type)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strcmp(families[i]->model_type, model_type) == 0)
            return families[i];
    return NULL;
}

void att_arch_names(char *text, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < sizeof families / sizeof *families && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s", i ? ", " : "", families[i]->model_type);
}
