#include "rocketchat/ddp_codec.h"
#include "rocketchat/ddp_connector_internal.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_CALLS = 256,           /* under way */
    MAX_READY = 4096,          /* subscriptions in force: rooms opened in all tabs, and more */
    MIN_ATTEMPT_MS = 2000,     /* for one of several addresses */
    MONOLITH_SESSION_LEN = 17, /* Meteor's Random.id(); the streamer's is a UUID */
};

/* WebSocket close codes, RFC 6455 7.4.1 */
enum { CLOSE_NORMAL = 1000, CLOSE_ABNORMAL = 1006, CLOSE_BAD_DATA = 1007, CLOSE_TOO_BIG = 1009 };

static const bool legal[DDP_NSTATES][DDP_NSTATES] = {
    [DDP_RESOLVING] = {[DDP_WAITING] = true, [DDP_ENDING] = true},
    [DDP_WAITING] = {[DDP_CONNECTING] = true, [DDP_ENDING] = true},
    [DDP_CONNECTING] = {[DDP_GREETING] = true, [DDP_ENDING] = true},
    [DDP_GREETING] = {[DDP_LIVE] = true, [DDP_ENDING] = true},
    [DDP_LIVE] = {[DDP_ENDING] = true},
};

static uint64_t now_ms(const struct ddp_connector *c)
{
    return uv_now(c->client->loop);
}

static void arm(struct ddp_connector *c, uint64_t deadline_ms)
{
    timer_wheel_arm(c->client->connector_timers, &c->timer, deadline_ms);
}

/* The only writer of c->state after the start. */
static void enter(struct ddp_connector *c, enum ddp_state to)
{
    assert(legal[c->state][to]);
    if (c->state == DDP_CONNECTING)
        ddp_client_connecting_over(c->client);
    if (to != DDP_WAITING && to != DDP_CONNECTING) {
        ddp_addresses_unref(c->addresses);
        c->addresses = NULL;
    }
    c->state = to;
    switch (to) {
    case DDP_WAITING:
        ddp_client_wait(c->client, c);
        break;
    case DDP_CONNECTING: /* its timer is armed for each address */
        break;
    case DDP_GREETING:
        arm(c, c->open_deadline_ms);
        break;
    case DDP_LIVE:
        arm(c, now_ms(c) + c->client->options.ping_ms);
        break;
    case DDP_ENDING:
        timer_wheel_cancel(c->client->connector_timers, &c->timer);
        ddp_resolve_wait_cancel(&c->resolve);
        ddp_client_wait_cancel(c->client, c);
        ddp_client_queue(c->client, c);
        break;
    case DDP_RESOLVING: /* the first state, never entered */
    case DDP_NSTATES:
        abort();
    }
}

/* The peer's words may be in it, and it goes to a log: bounded and printable. */
static void set_detail(struct ddp_connector *c, const char *detail)
{
    char *copy;

    if (detail == NULL)
        return;
    copy = strndup(detail, 200);
    if (copy == NULL)
        return;
    for (char *p = copy; *p != '\0'; p++)
        if (*p < ' ' || *p > '~')
            *p = '?';
    free(c->detail);
    c->detail = copy;
}

void ddp_connector_end(struct ddp_connector *c, enum ddp_end how, unsigned code, const char *detail)
{
    set_detail(c, detail);
    c->how = how;
    c->code = code;
    enter(c, DDP_ENDING);
}

/* --- opening --- */

/* Which address failed, and how. */
static void set_attempt_detail(struct ddp_connector *c, const char *reason)
{
    char detail[DDP_ADDRESS_MAX + 192];

    snprintf(detail, sizeof detail, "%s: %s", c->addresses->text[c->next_address - 1], reason);
    set_detail(c, detail);
}

static void try_addresses(struct ddp_connector *c)
{
    struct ddp_addresses *a = c->addresses;

    while (c->next_address < a->n) {
        const char *address = a->text[c->next_address++];
        uint64_t now = now_ms(c), left_ms, share_ms;

        left_ms = c->open_deadline_ms > now ? c->open_deadline_ms - now : 0;
        /* A dead address must leave time for those behind it. */
        share_ms = left_ms / (a->n - c->next_address + 1);
        if (share_ms < MIN_ATTEMPT_MS)
            share_ms = left_ms < MIN_ATTEMPT_MS ? left_ms : MIN_ATTEMPT_MS;
        c->http_status = 0;
        if (ddp_socket_connect(c, address)) {
            arm(c, now + share_ms);
            return;
        }
        set_attempt_detail(c, "cannot be reached");
    }
    ddp_resolver_forget(&c->client->resolver);
    ddp_connector_end(c, DDP_END_UNREACHABLE, CLOSE_ABNORMAL, NULL);
}

static void on_resolved(struct ddp_resolve_wait *w, struct ddp_addresses *addresses, int status)
{
    struct ddp_connector *c = (void *)((char *)w - offsetof(struct ddp_connector, resolve));

    if (status != 0) {
        ddp_connector_end(c, DDP_END_UNREACHABLE, CLOSE_ABNORMAL, uv_strerror(status));
        return;
    }
    ddp_addresses_ref(addresses);
    c->addresses = addresses;
    enter(c, DDP_WAITING);
}

void ddp_connector_start(struct ddp_connector *c)
{
    enter(c, DDP_CONNECTING);
    try_addresses(c);
}

struct ddp_connector *ddp_connector_open(struct ddp_client *client, const struct ddp_callbacks *cb,
                                         void *arg)
{
    struct ddp_connector *c = calloc(1, sizeof *c);
    int status;

    assert(cb->on_connected != NULL && cb->on_event != NULL && cb->on_document != NULL &&
           cb->on_subscription_end != NULL && cb->on_end != NULL);
    if (c == NULL)
        return NULL;
    c->client = client;
    c->cb = cb;
    c->arg = arg;
    c->out_tail = &c->out;
    c->calls_tail = &c->calls;
    c->state = DDP_RESOLVING;
    c->resolve.done = on_resolved;
    c->heard_ms = now_ms(c);
    c->open_deadline_ms = now_ms(c) + client->options.connect_timeout_ms;
    client->nconnectors++;
    arm(c, c->open_deadline_ms);
    status = ddp_resolver_ask(&client->resolver, &c->resolve);
    if (status != 0)
        ddp_connector_end(c, DDP_END_UNREACHABLE, CLOSE_ABNORMAL, uv_strerror(status));
    return c;
}

void ddp_connector_lost(struct ddp_connector *c, unsigned code, const char *reason)
{
    if (c->state == DDP_CONNECTING) {
        set_attempt_detail(c, reason);
        ddp_client_queue(c->client, c); /* the turn tries the next address */
        return;
    }
    ddp_connector_end(c, c->state == DDP_LIVE ? DDP_END_CLOSED : DDP_END_UNREACHABLE, code, reason);
}

/* --- sending --- */

bool ddp_connector_send(struct ddp_connector *c)
{
    struct byte_buf *frame = &c->client->scratch;
    struct ddp_out *out;

    if (byte_buf_failed(frame) || frame->len > DDP_MAX_OUT_BYTES - c->out_bytes)
        return false;
    out = malloc(sizeof *out + DDP_OUT_HEADROOM + frame->len);
    if (out == NULL)
        return false;
    out->next = NULL;
    out->len = frame->len;
    memcpy(out->bytes + DDP_OUT_HEADROOM, frame->data, frame->len);
    *c->out_tail = out;
    c->out_tail = &out->next;
    c->out_bytes += out->len;
    ddp_socket_wants_write(c);
    return true;
}

void ddp_connector_pop_out(struct ddp_connector *c)
{
    struct ddp_out *out = c->out;

    c->out = out->next;
    if (c->out == NULL)
        c->out_tail = &c->out;
    c->out_bytes -= out->len;
    free(out);
}

struct byte_buf *ddp_connector_scratch(struct ddp_connector *c)
{
    byte_buf_clear(&c->client->scratch);
    return &c->client->scratch;
}

/* --- received frames --- */

static void on_collection(struct ddp_connector *c, const struct ddp_frame *f)
{
    static const char stream[] = "stream-";
    struct ddp_event event;

    if (f->collection.ptr == NULL)
        return;
    if (f->collection.len < sizeof stream - 1 ||
        memcmp(f->collection.ptr, stream, sizeof stream - 1) != 0) {
        if (f->id.ptr != NULL)
            c->cb->on_document(c->arg, f->name, f->collection, f->id, f->fields);
        return;
    }
    if (f->msg != DDP_CHANGED || f->event_name.ptr == NULL)
        return;
    event = (struct ddp_event){.collection = f->collection,
                               .event_name = f->event_name,
                               .args = f->args,
                               .received_ns = uv_hrtime()};
    c->cb->on_event(c->arg, &event);
}

static void on_connected(struct ddp_connector *c, struct slice session)
{
    if (c->state != DDP_GREETING)
        return;
    c->monolith = session.len == MONOLITH_SESSION_LEN;
    enter(c, DDP_LIVE);
    c->cb->on_connected(c->arg, session);
}

static void on_frame(struct ddp_connector *c, const struct ddp_frame *f)
{
    switch (f->msg) {
    case DDP_PING: /* connect has gone out first: the streamer closes on a pong before it */
        ddp_write_pong(ddp_connector_scratch(c), f->id);
        ddp_connector_send(c); /* no room: the peer doesn't read, and will find out by itself */
        return;
    case DDP_CONNECTED:
        on_connected(c, f->session);
        return;
    case DDP_FAILED:
        if (c->state == DDP_GREETING)
            ddp_connector_end(c, DDP_END_FAILED, CLOSE_NORMAL, "no common DDP version");
        return;
    default:
        break;
    }
    if (c->state != DDP_LIVE)
        return;
    switch (f->msg) {
    case DDP_RESULT:
        ddp_connector_on_result(c, f);
        break;
    case DDP_READY:
        ddp_connector_on_ready(c, f->subs);
        break;
    case DDP_NOSUB:
        ddp_connector_on_nosub(c, f);
        break;
    case DDP_ADDED:
    case DDP_CHANGED:
    case DDP_REMOVED:
        on_collection(c, f);
        break;
    default: /* updated, pong, error, server_id, and what may be invented yet */
        break;
    }
}

void ddp_connector_opened(struct ddp_connector *c)
{
    ddp_connector_heard(c);
    enter(c, DDP_GREETING);
    ddp_write_connect(ddp_connector_scratch(c));
    if (!ddp_connector_send(c))
        ddp_connector_end(c, DDP_END_UNREACHABLE, CLOSE_NORMAL, "no memory");
}

void ddp_connector_heard(struct ddp_connector *c)
{
    c->heard_ms = now_ms(c);
    c->ping_sent = false;
}

void ddp_connector_chunk(struct ddp_connector *c, struct slice chunk, size_t announced, bool last)
{
    struct ddp_reassembly *reassembly = &c->client->reassembly;
    struct ddp_frame f;
    struct slice text;

    ddp_connector_heard(c);
    switch (ddp_reassembly_feed(reassembly, &c->partial, chunk, announced, last, &text)) {
    case DDP_CHUNK_MORE:
        return;
    case DDP_CHUNK_WHOLE:
        if (ddp_frame_parse(text, &f))
            on_frame(c, &f);
        else
            ddp_connector_end(c, DDP_END_MALFORMED, CLOSE_BAD_DATA, "a frame that is not DDP");
        break;
    case DDP_CHUNK_TOO_LARGE:
        ddp_connector_end(c, DDP_END_MALFORMED, CLOSE_TOO_BIG, "a frame that is too large");
        break;
    case DDP_CHUNK_NOMEM:
        ddp_connector_end(c, DDP_END_CLOSED, CLOSE_NORMAL, "no memory");
        break;
    }
    ddp_reassembly_done(reassembly, &c->partial);
}

/* --- time --- */

static void check_liveness(struct ddp_connector *c)
{
    const struct ddp_client_options *options = &c->client->options;
    uint64_t silent_ms = now_ms(c) - c->heard_ms;

    if (silent_ms >= options->dead_ms) {
        ddp_connector_end(c, DDP_END_DEAD, CLOSE_ABNORMAL, "nothing heard");
        return;
    }
    if (silent_ms >= options->ping_ms && !c->ping_sent) {
        ddp_write_ping(ddp_connector_scratch(c));
        c->ping_sent = ddp_connector_send(c);
    }
    arm(c, c->heard_ms + (silent_ms >= options->ping_ms ? options->dead_ms : options->ping_ms));
}

void ddp_connector_on_timer(struct ddp_connector *c)
{
    if (c->state == DDP_LIVE) {
        check_liveness(c);
        return;
    }
    if (now_ms(c) >= c->open_deadline_ms) {
        ddp_connector_end(c, DDP_END_TIMED_OUT, CLOSE_ABNORMAL,
                          c->state == DDP_RESOLVING  ? "resolving took too long"
                          : c->state == DDP_GREETING ? "no answer to connect"
                                                     : "connecting took too long");
        return;
    }
    set_attempt_detail(c, "connecting took too long");
    ddp_socket_drop(c, 0);
    try_addresses(c);
}

void ddp_connector_pass_on(struct ddp_connector *c, const struct ddp_callbacks *cb, void *arg)
{
    c->cb = cb;
    c->arg = arg;
}

/* --- the end --- */

void ddp_connector_close(struct ddp_connector *c)
{
    if (c->state != DDP_ENDING)
        ddp_connector_end(c, DDP_END_LOCAL, CLOSE_NORMAL, NULL);
}

static void finish(struct ddp_connector *c)
{
    /* 1006 means that nobody is there to be told. */
    ddp_socket_drop(c, c->code == CLOSE_ABNORMAL ? 0 : c->code);
    ddp_reassembly_done(&c->client->reassembly, &c->partial);
    ddp_connector_fail_calls(c, c->how == DDP_END_LOCAL ? RC_CANCELLED : RC_UNREACHABLE);
    while (c->out != NULL)
        ddp_connector_pop_out(c);
    assert(c->client->nconnectors > 0);
    c->client->nconnectors--; /* on_end may free the client */
    c->cb->on_end(c->arg, c->how, c->code, c->detail == NULL ? "" : c->detail);
    free(c->ready);
    free(c->detail);
    free(c);
}

void ddp_connector_turn(struct ddp_connector *c)
{
    if (c->state == DDP_ENDING)
        finish(c);
    else if (c->state == DDP_CONNECTING && c->wsi == NULL)
        try_addresses(c);
}

bool ddp_connector_is_monolith(const struct ddp_connector *c)
{
    return c->monolith;
}
