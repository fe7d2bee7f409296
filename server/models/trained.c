/* From folders to sections; see trained.h. */
#include "server/models/trained.h"

#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "store/folder.h"

_Static_assert((int)STORE_FOLDER_NAME_MAX <= (int)SRV_NAME_MAX, "a folder's name is a model's");

static bool is_configured(const struct srv_config *config, const char *name)
{
    for (size_t i = 0; i < config->n_models; i++)
        if (strcmp(config->models[i].name, name) == 0)
            return true;
    return false;
}

/* The section of a folder; false when memory is out. */
static bool make_section(const char *parent, const char *name, struct srv_config_model *section)
{
    size_t size = strlen(parent) + strlen(name) + 2;

    section->path.text = att_mem_calloc(size, 1);
    section->where = att_mem_strdup(parent);
    if (section->path.text == NULL || section->where == NULL)
        return false;
    snprintf(section->path.text, size, "%s/%s", parent, name);
    memcpy(section->name, name, strlen(name) + 1);
    section->enabled.number = 1;
    return true;
}

enum att_status srv_trained_list(const struct srv_config *config, const struct srv_log *log,
                                 struct srv_config_model **ret_list, size_t *ret_count, struct att_err *err)
{
    const char *parent = srv_config_text(&config->server_classifiers);
    char names[STORE_FOLDERS_MAX][STORE_FOLDER_NAME_MAX + 1];
    struct srv_config_model *list;
    size_t n_names = 0, count = 0;
    enum att_status status = ATT_OK;

    *ret_list = NULL;
    *ret_count = 0;
    if (parent != NULL)
        status = store_folder_list(parent, names, &n_names, err);
    /* By the option's name: a request whose classifier cannot be served is told the same. */
    if (status != ATT_OK)
        return att_err_prefix(err, "[server] classifiers");
    if (n_names == 0)
        return ATT_OK;
    list = att_mem_calloc(n_names, sizeof(*list));
    for (size_t i = 0; list != NULL && i < n_names; i++) {
        if (is_configured(config, names[i])) {
            srv_log(log, SRV_LOG_WARN, "classifier_hidden", SRV_TEXT("name", names[i]),
                    SRV_TEXT("why", "the configuration has a model of this name"));
            continue;
        }
        if (!make_section(parent, names[i], &list[count++])) {
            srv_trained_free(list, count);
            list = NULL;
        }
    }
    if (list == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for the list of classifiers");
    *ret_list = list;
    *ret_count = count;
    return ATT_OK;
}

void srv_trained_free(struct srv_config_model *list, size_t count)
{
    for (size_t i = 0; list != NULL && i < count; i++) {
        att_mem_free(list[i].path.text);
        att_mem_free(list[i].where);
    }
    att_mem_free(list);
}
