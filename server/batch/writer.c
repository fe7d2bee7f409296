/*
 * The writer: a queue and its thread. It needs no bound of its own, since a
 * request is admitted before it gets here and keeps its place meanwhile.
 */
#include "server/batch/writer.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/mem.h"

struct srv_writer {
    pthread_t thread;
    pthread_mutex_t mutex; /* protects first, last, stopping */
    pthread_cond_t changed;
    struct srv_write *first, **last;
    bool stopping;
};

/* Waits; NULL when there will be no more. */
static struct srv_write *take(struct srv_writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    while (writer->first == NULL && !writer->stopping)
        pthread_cond_wait(&writer->changed, &writer->mutex);
    struct srv_write *write = writer->first;
    if (write != NULL) {
        writer->first = write->next;
        if (writer->first == NULL)
            writer->last = &writer->first;
    }
    pthread_mutex_unlock(&writer->mutex);
    return write;
}

static void *writer_main(void *argument)
{
    struct srv_write *write;

    while ((write = take(argument)) != NULL)
        write->run(write);
    return NULL;
}

static void writer_free(struct srv_writer *writer)
{
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->mutex);
    att_mem_free(writer);
}

enum att_status srv_writer_start(struct srv_writer **ret_writer, struct att_err *err)
{
    struct srv_writer *writer = att_mem_calloc(1, sizeof(*writer));

    if (writer == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for writing");
    writer->last = &writer->first;
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_cond_init(&writer->changed, NULL);
    if (pthread_create(&writer->thread, NULL, writer_main, writer) != 0) {
        writer_free(writer);
        return att_err_set(err, ATT_EIO, "cannot start the thread that writes");
    }
    *ret_writer = writer;
    return ATT_OK;
}

void srv_writer_submit(struct srv_writer *writer, struct srv_write *write)
{
    write->next = NULL;
    pthread_mutex_lock(&writer->mutex);
    *writer->last = write;
    writer->last = &write->next;
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->mutex);
}

void srv_writer_stop(struct srv_writer *writer)
{
    if (writer == NULL)
        return;
    pthread_mutex_lock(&writer->mutex);
    writer->stopping = true;
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->mutex);
    pthread_join(writer->thread, NULL);
    writer_free(writer);
}
