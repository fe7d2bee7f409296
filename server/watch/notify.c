/* Messages to systemd. STATUS= is what `systemctl status` shows: numbers and names, no text of a user. */
#include "server/watch/notify.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>

#include "core/base/clock.h"

void srv_notify_serving(struct srv_server *server, const char *trouble)
{
    struct srv_generation *generation = srv_generations_acquire(&server->generations);
    size_t n_models = generation->models.n_models, n_kbs = generation->models.n_kbs;

    srv_generations_release(&server->generations, generation);
    if (trouble == NULL)
        (void)sd_notifyf(0, "READY=1\nSTATUS=Serving %zu models and %zu knowledge bases on %s", n_models, n_kbs,
                         server->address);
    else
        (void)sd_notifyf(0, "READY=1\nSTATUS=Serving as before on %s; reload failed: %s", server->address, trouble);
}

void srv_notify_reloading(struct srv_server *server)
{
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Reloading; serving on %s", att_clock_us(),
                     server->address);
}

void srv_notify_stopping(void)
{
    (void)sd_notify(0, "STOPPING=1\nSTATUS=Answering accepted requests");
}

int srv_notify_interval_ms(void)
{
    uint64_t watchdog_us = 0;

    /* A third of the time: one message may be late. */
    return sd_watchdog_enabled(0, &watchdog_us) > 0 ? (int)(watchdog_us / 3000) + 1 : -1;
}

void srv_notify_alive(void)
{
    (void)sd_notify(0, "WATCHDOG=1");
}
