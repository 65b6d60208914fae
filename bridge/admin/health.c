#include "bridge/admin/health.h"

#include "base/byte_buf.h"
#include "bridge/admin/metrics.h"
#include "bridge/login/login_desk.h"
#include "bridge/program.h"

static uint64_t sum(const struct program *p, enum metric which)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < p->nshards; i++)
        total += atomic_load_explicit(&metrics_block(p->metrics, i)->values[which],
                                      memory_order_relaxed);
    return total;
}

static void reason(struct byte_buf *json, unsigned *n, const char *text)
{
    byte_buf_printf(json, "%s\"%s\"", (*n)++ == 0 ? "" : ",", text);
}

bool health_write(const struct program *p, struct byte_buf *json)
{
    const int phase = atomic_load(&p->phase);
    struct byte_buf reasons = {0};
    const char *status = "ok";
    unsigned n = 0;

    if (!login_desk_admin_ok(p->desk))
        reason(&reasons, &n, "the admin account is not logged in at Rocket.Chat");
    if (login_desk_paused(p->desk))
        reason(&reasons, &n, "Rocket.Chat refuses this address's logins for now");
    /* One user's trouble is that user's; nobody live while some try is Rocket.Chat's. */
    if (sum(p, METRIC_SESSIONS_BACKOFF) > 0 && sum(p, METRIC_SESSIONS_LIVE) == 0)
        reason(&reasons, &n, "no user's connection to Rocket.Chat stands");
    if (n > 0)
        status = "degraded";
    if (phase != PROGRAM_SERVING)
        status = phase == PROGRAM_DRAINING ? "draining" : "starting";
    byte_buf_printf(json, "{\"status\":\"%s\",\"reasons\":[", status);
    byte_buf_put(json, byte_buf_slice(&reasons));
    byte_buf_puts(json, "]}\n");
    byte_buf_free(&reasons);
    return phase == PROGRAM_SERVING;
}
