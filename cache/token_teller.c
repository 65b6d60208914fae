#include "cache/token_teller_internal.h"
#include <assert.h>
#include <stdlib.h>

/* --- entries, watches, answers --- */

static struct slice copy_in(char **at, struct slice s)
{
    struct slice copy = {*at, s.len};

    if (s.len > 0)
        memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return copy;
}

struct token_stored *token_stored_new(struct slice key, const struct token_entry *e)
{
    size_t size = sizeof(struct token_stored) + key.len + e->rc_user_id.len + e->rc_username.len +
                  e->auth_token.len + e->ddp_session.len + e->instance.len;
    struct token_stored *s = malloc(size);
    char *at;

    if (s == NULL)
        return NULL;
    at = s->bytes;
    *s = (struct token_stored){.refs = 1, .size = size, .entry = *e};
    s->key = copy_in(&at, key);
    s->entry.rc_user_id = copy_in(&at, e->rc_user_id);
    s->entry.rc_username = copy_in(&at, e->rc_username);
    s->entry.auth_token = copy_in(&at, e->auth_token);
    s->entry.ddp_session = copy_in(&at, e->ddp_session);
    s->entry.instance = copy_in(&at, e->instance);
    return s;
}

struct token_stored *token_stored_ref(struct token_stored *s)
{
    s->refs++;
    return s;
}

void token_stored_unref(struct token_stored *s)
{
    if (s == NULL || --s->refs > 0)
        return;
    explicit_bzero(s, s->size);
    free(s);
}

void token_ear_close(struct token_ear *ear)
{
    ear->closed = true;
    if (ear->queued == 0)
        free(ear);
}

struct token_answer *token_answer_new(token_cache_fn fn, void *arg)
{
    struct token_answer *a = malloc(sizeof *a);

    if (a != NULL)
        *a = (struct token_answer){.fn = fn, .arg = arg};
    return a;
}

/* --- telling --- */

static void tell_answer(struct token_answer *a)
{
    struct token_entry entry;

    if (a->stored != NULL) {
        entry = a->stored->entry;
        entry.ttl_left_ms = a->ttl_left_ms;
    }
    a->fn(a->arg, a->result, a->stored != NULL ? &entry : NULL);
    token_stored_unref(a->stored);
    free(a);
}

static void tell_orphan(struct token_teller *t, struct token_stored *s)
{
    if (t->closed == NULL)
        t->on_orphan(t->orphan_arg, s->key, &s->entry, (enum token_orphan)s->orphan);
}

static void tell_notice(struct token_teller *t, struct token_stored *s)
{
    struct token_ear *ear = s->ear;
    struct token_notice notice = {
        .kind = (enum token_notice_kind)s->notice,
        .reason = (enum token_removal)s->reason,
        .entry = s->successor != NULL ? &s->successor->entry : &s->entry,
    };

    if (!ear->closed) {
        ear->fn(ear->arg, &notice);
    } else if (s->notice == TOKEN_NOTICE_EXPIRED) { /* the owner left before it heard */
        s->orphan = TOKEN_ORPHAN_EXPIRED;
        tell_orphan(t, s);
    }
    if (--ear->queued == 0 && ear->closed)
        free(ear);
}

static void tell(struct token_teller *t, struct token_event *event)
{
    struct token_stored *s;

    if (event->kind == TOKEN_EVENT_ANSWER) {
        tell_answer((struct token_answer *)event);
        return;
    }
    s = (struct token_stored *)((char *)event - offsetof(struct token_stored, ended));
    if (event->kind == TOKEN_EVENT_NOTICE)
        tell_notice(t, s);
    else
        tell_orphan(t, s);
    token_stored_unref(s->successor);
    token_stored_unref(s);
}

/* What the callbacks queue waits for the next turn, so that other handles get theirs. */
static void tell_all(struct token_teller *t)
{
    struct token_event *event = t->first, *next;

    t->first = NULL;
    t->last = &t->first;
    for (; event != NULL; event = next) {
        next = event->next;
        tell(t, event);
    }
}

static void on_idle(uv_idle_t *idle)
{
    uv_idle_stop(idle);
    tell_all(idle->data);
}

static void queue(struct token_teller *t, struct token_event *event)
{
    assert(t->closed == NULL);
    event->next = NULL;
    *t->last = event;
    t->last = &event->next;
    uv_idle_start(&t->idle, on_idle);
}

void token_teller_init(struct token_teller *t, uv_loop_t *loop, token_orphan_fn on_orphan,
                       void *orphan_arg)
{
    *t = (struct token_teller){.on_orphan = on_orphan, .orphan_arg = orphan_arg};
    t->last = &t->first;
    uv_idle_init(loop, &t->idle);
    t->idle.data = t;
}

void token_teller_answer(struct token_teller *t, struct token_answer *a,
                         enum token_cache_result result, struct token_stored *s,
                         uint64_t ttl_left_ms)
{
    a->event.kind = TOKEN_EVENT_ANSWER;
    a->result = result;
    a->ttl_left_ms = ttl_left_ms;
    a->stored = s != NULL ? token_stored_ref(s) : NULL;
    queue(t, &a->event);
}

void token_teller_notice(struct token_teller *t, struct token_stored *s, struct token_ear *ear,
                         enum token_notice_kind kind)
{
    s->ended.kind = TOKEN_EVENT_NOTICE;
    s->notice = (uint8_t)kind;
    s->ear = ear;
    ear->queued++;
    queue(t, &s->ended);
}

void token_teller_orphan(struct token_teller *t, struct token_stored *s, enum token_orphan why)
{
    s->ended.kind = TOKEN_EVENT_ORPHAN;
    s->orphan = (uint8_t)why;
    queue(t, &s->ended);
}

static void on_idle_closed(uv_handle_t *idle)
{
    struct token_teller *t = idle->data;

    tell_all(t);
    t->closed(t->closed_arg);
}

void token_teller_close(struct token_teller *t, void (*closed)(void *arg), void *arg)
{
    t->closed = closed;
    t->closed_arg = arg;
    uv_close((uv_handle_t *)&t->idle, on_idle_closed);
}
