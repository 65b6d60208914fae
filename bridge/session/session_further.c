/* Further events of the user (further_events.h): subscribed behind the three that a session needs,
 * and only where the operator asks for them. What Rocket.Chat refuses stays off; what its limits
 * hold back comes later; neither touches the session. */
#include "bridge/log/log.h"
#include "bridge/session/user_session_internal.h"
#include <stdlib.h>

enum { RETRY_MS = 1000 };

static const struct further_stream {
    enum further_event event;
    const char *stream;
    const char *name; /* behind the user's id and a slash */
    bool of_user;     /* false: the name stands alone */
} streams[] = {
    {FURTHER_NOTIFICATION, "stream-notify-user", "notification", true},
    {FURTHER_USER_DATA, "stream-notify-user", "userData", true},
    {FURTHER_USER_STATUS, "stream-notify-logged", "user-status", false},
};

enum { NSTREAMS = sizeof streams / sizeof streams[0] };

struct further_sub {
    struct user_session *session;
    uint32_t id;
    uint8_t state; /* enum session_sub_state; WAITING is not used */
};

struct session_further {
    struct further_sub subs[NSTREAMS];
};

static bool is_wanted(const struct user_session *s, int i)
{
    return s->table->further.rows[streams[i].event].on;
}

static struct session_further *further_of(struct user_session *s)
{
    if (s->further != NULL || (s->further = calloc(1, sizeof *s->further)) == NULL)
        return s->further;
    for (int i = 0; i < NSTREAMS; i++)
        s->further->subs[i].session = s;
    return s->further;
}

static void retry_at(struct user_session *s, uint64_t wait_ms)
{
    s->further_at_ms = session_sooner(s->further_at_ms, session_now_ms(s->table) + wait_ms);
    session_rearm(s);
}

static void on_subscribed(void *arg, struct slice result, const struct rc_error *error)
{
    struct further_sub *sub = arg;
    struct user_session *s = sub->session;
    const int i = (int)(sub - s->further->subs);

    (void)result;
    if (error == NULL) {
        sub->state = SUB_READY;
    } else if (error->result == RC_RATE_LIMITED || error->result == RC_TIMED_OUT) {
        sub->state = SUB_NONE;
        retry_at(s, error->retry_after_ms > 0 ? error->retry_after_ms : RETRY_MS);
    } else if (error->result == RC_UNREACHABLE || error->result == RC_CANCELLED) {
        sub->state = SUB_NONE; /* the next connection tries again */
    } else {
        sub->state = SUB_REFUSED;
        log_warn("session_sub_refused", LOG_ID("user", slice_of(s->key)),
                 LOG_STR("event", streams[i].name), LOG_STR("code", error->code));
    }
}

/* 0: sent; else how long to wait. */
static uint64_t subscribe(struct user_session *s, int i)
{
    struct further_sub *sub = &s->further->subs[i];
    const uint64_t wait_ms = session_calls_pace(s, streams[i].stream);
    struct byte_buf params = {0};

    if (wait_ms > 0)
        return wait_ms;
    byte_buf_printf(&params, "[\"%s%s%s\",false]", streams[i].of_user ? s->user_id : "",
                    streams[i].of_user ? "/" : "", streams[i].name);
    sub->id = 0;
    if (!byte_buf_failed(&params))
        sub->id = ddp_connector_subscribe(s->ddp, streams[i].stream, byte_buf_slice(&params),
                                          s->table->settings->session.ready_timeout_ms,
                                          on_subscribed, sub);
    byte_buf_free(&params);
    if (sub->id == 0)
        return RETRY_MS;
    sub->state = SUB_PENDING;
    return 0;
}

void session_further_live(struct user_session *s)
{
    for (int i = 0; i < NSTREAMS && s->state == SESSION_LIVE; i++) {
        uint64_t wait_ms;

        if (!is_wanted(s, i) || further_of(s) == NULL || s->further->subs[i].state != SUB_NONE)
            continue;
        wait_ms = subscribe(s, i);
        if (wait_ms > 0)
            retry_at(s, wait_ms);
    }
}

void session_further_due(struct user_session *s)
{
    s->further_at_ms = 0;
    session_further_live(s);
}

void session_further_lost(struct user_session *s)
{
    s->further_at_ms = 0;
    for (int i = 0; s->further != NULL && i < NSTREAMS; i++)
        s->further->subs[i].state = SUB_NONE;
}

bool session_further_ended(struct user_session *s, uint32_t sub_id)
{
    for (int i = 0; s->further != NULL && i < NSTREAMS; i++)
        if (s->further->subs[i].state == SUB_READY && s->further->subs[i].id == sub_id) {
            s->further->subs[i].state = SUB_REFUSED;
            return true;
        }
    return false;
}

void session_further_report(const struct user_session *s, struct byte_buf *json)
{
    for (int i = 0; i < NSTREAMS; i++)
        if (is_wanted(s, i))
            byte_buf_printf(
                json, ",\"%s\":\"%s\"", streams[i].name,
                session_sub_state_name(s->further == NULL ? SUB_NONE : s->further->subs[i].state));
}

void session_further_free(struct user_session *s)
{
    free(s->further);
    s->further = NULL;
}
