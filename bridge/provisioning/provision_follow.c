/* Profiles that may have changed: looked at one after the other, paced, and once for a change. */
#include "bridge/provisioning/provisioner_internal.h"

#include "base/hash.h"
#include "bridge/admin/metrics.h"
#include "bridge/log/log.h"
#include "bridge/program.h"
#include "bridge/shard.h"
#include <stdlib.h>

enum {
    SEEN = 16 * 1024,   /* users whose profile was looked at */
    MAX_FOLLOWS = 1000, /* waiting; those beyond are looked at with their next login */
    SECOND_FACTOR_PAUSE_MS = 30 * 60 * 1000,
};

static uint64_t hash_of(struct slice text)
{
    return hash_bytes(text.ptr, text.len);
}

bool provision_follow_note(struct provisioner *p, struct slice username, struct slice profile)
{
    uint64_t user = hash_of(username), now = hash_of(profile);
    size_t i = user % SEEN;

    if (p->seen == NULL || (p->seen[i].user == user && p->seen[i].profile == now))
        return false;
    p->seen[i].user = user;
    p->seen[i].profile = now;
    return true;
}

static void forget_profile(struct provisioner *p, struct slice username)
{
    p->seen[hash_of(username) % SEEN].user = 0;
}

/* ---- life ---- */

bool provision_follow_open(struct provisioner *p)
{
    if (p->settings->provisioning.enabled && p->settings->provisioning.follow) {
        p->seen = calloc(SEEN, sizeof *p->seen);
        if (p->seen == NULL)
            return false;
    }
    uv_timer_init(&p->shard->loop, &p->timer); /* cannot fail in libuv 1.x */
    p->timer.data = p;
    return true;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct provisioner *p = handle->data;
    void (*done)(void *) = p->done;
    void *arg = p->done_arg;

    free(p->seen);
    free(p);
    done(arg);
}

static void close_timer(struct provisioner *p)
{
    uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}

void provision_follow_close(struct provisioner *p)
{
    while (p->first != NULL) {
        struct provision *op = p->first;

        p->first = op->next;
        free(op);
    }
    if (p->following != NULL)
        provision_cancel(p->following);
    else
        close_timer(p);
}

/* ---- one after the other ---- */

static void on_timer(uv_timer_t *timer);

static void wake(struct provisioner *p, uint64_t in_ms)
{
    if (!p->closing && p->first != NULL && p->following == NULL &&
        !uv_is_active((uv_handle_t *)&p->timer))
        uv_timer_start(&p->timer, on_timer, in_ms, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct provisioner *p = timer->data;
    struct provision *op = p->first;

    if (op == NULL)
        return;
    p->first = op->next;
    if (p->first == NULL)
        p->last = &p->first;
    p->nfollows--;
    p->following = op;
    provision_go_on(op, STEP_INFO);
}

static void follow_ended(struct provisioner *p, uint64_t pause_ms)
{
    uint64_t gap =
        (uint64_t)60000 * p->shard->program->nshards / p->settings->provisioning.follows_per_minute;

    if (p->closing)
        close_timer(p);
    else if (p->first != NULL)
        wake(p, pause_ms > gap ? pause_ms : gap);
    else if (pause_ms > 0 || gap > 0) /* the next one, whenever it comes, waits as long */
        uv_timer_start(&p->timer, on_timer, pause_ms > gap ? pause_ms : gap, 0);
}

void provision_follow_finished(struct provision *op, const struct rc_error *error)
{
    struct provisioner *p = op->p;
    uint64_t pause = 0;

    if (error == NULL && op->step == STEP_UPDATE) {
        metrics_inc(p->shard->metrics, METRIC_PROFILES_UPDATED);
        log_info("profile_updated", LOG_ID("rc_user", slice_of(op->info.id)));
    } else if (error != NULL && error->result != RC_CANCELLED) {
        metrics_inc(p->shard->metrics, METRIC_PROFILES_FAILED);
        log_warn("profile_not_updated", LOG_ID("rc_user", op->username),
                 LOG_STR("call", provision_step_name(op->step)), LOG_STR("code", error->code));
        if (rc_result_is_transient(error->result))
            forget_profile(p, op->username); /* the next login tries again */
        pause = error->retry_after_ms;
        if (error->result == RC_TWO_FACTOR) {
            log_error("profiles_need_a_second_factor",
                      LOG_STR("hint", "give the administrator Im:AdminToken, a personal access "
                                      "token that ignores two-factor authentication"));
            pause = SECOND_FACTOR_PAUSE_MS;
        }
    }
    free(op);
    p->following = NULL;
    follow_ended(p, pause);
}

void provisioner_follow(struct provisioner *p, const struct provision_user *user)
{
    struct provision *op;

    if (user->profile.len == 0 || p->closing ||
        !provision_follow_note(p, user->username, user->profile))
        return;
    op = p->nfollows < MAX_FOLLOWS ? provision_new(p, user, NULL) : NULL;
    if (op == NULL) {
        forget_profile(p, user->username);
        return;
    }
    *p->last = op;
    p->last = &op->next;
    p->nfollows++;
    wake(p, 0);
}
