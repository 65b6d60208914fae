#include "bridge/hub/audience.h"

#include "base/hash.h"
#include "bridge/identity/user.h"
#include "bridge/program.h"
#include "bridge/replay/lost_slots.h"
#include "bridge/replay/replay_tail.h"
#include "bridge/settings/settings.h"
#include "bridge/shard.h"
#include "signalr/hub/signalr_server.h"
#include <stdlib.h>
#include <string.h>

#define HASH_FUNCTION(key, len, out) (out) = (unsigned)hash_bytes((key), (len))
#define uthash_fatal(message) abort() /* not exit(): other threads run */
#include <uthash.h>

/* A connection's host data. NULL: mute, or refused. */
static char waiting_mark;  /* the session is asked */
static char attached_mark; /* the session knows it */

struct audience_ended {
    UT_hash_handle hh;
    uint64_t serial;
    uint64_t client;
    bool may_return;
};

static bool is_attached(const struct hub_connection *c)
{
    return hub_connection_data(c) == &attached_mark;
}

enum attach_kind { ATTACH, DETACH };

struct attach_mail {
    struct mail mail;
    enum attach_kind kind;
    unsigned from; /* the connection's shard */
    uint64_t serial;
    const char *refused; /* static, as in session_who */
    uint64_t client;     /* as in session_who */
    struct session_loss loss;
    bool lost; /* loss is filled */
    size_t key_len, username_len, profile_len;
    char text[]; /* key, then user name, then profile */
};

struct refusal_mail {
    struct mail mail;
    uint64_t serial;
    enum session_attach why;
};

static void mail_free(struct mail *mail)
{
    free(mail);
}

static void refusal_deliver(struct mail *mail, void *consumer)
{
    struct refusal_mail *r = (struct refusal_mail *)mail;

    audience_refused(consumer, r->serial, r->why);
    free(r);
}

static void refuse(struct shard *s, const struct attach_mail *attach, enum session_attach why)
{
    struct refusal_mail *r = mail_alloc(sizeof *r);

    r->mail = (struct mail){.deliver = refusal_deliver, .discard = mail_free, .control = true};
    r->serial = attach->serial;
    r->why = why;
    shard_post(s, attach->from, &r->mail);
}

/* On the session's shard. */
static void attach_deliver(struct mail *mail, void *consumer)
{
    struct attach_mail *a = (struct attach_mail *)mail;
    struct slice key = {a->text, a->key_len};
    struct shard *s = consumer;

    if (a->kind == DETACH) {
        session_table_detach(s->sessions, key, a->from, a->serial, a->lost ? &a->loss : NULL);
    } else {
        struct session_who who = {
            .key = key,
            .username = {a->text + a->key_len, a->username_len},
            .refused = a->refused,
            .client = a->client,
            .profile = {a->text + a->key_len + a->username_len, a->profile_len}};

        enum session_attach answer = session_table_attach(s->sessions, &who, a->from, a->serial);

        if (answer != SESSION_ATTACHED)
            refuse(s, a, answer);
    }
    free(a);
}

static struct attach_mail *attach_mail_new(struct shard *s, enum attach_kind kind, struct slice key,
                                           uint64_t serial, struct slice username,
                                           struct slice profile)
{
    struct attach_mail *a = mail_alloc(sizeof *a + key.len + username.len + profile.len);

    a->mail = (struct mail){.deliver = attach_deliver, .discard = mail_free, .control = true};
    a->kind = kind;
    a->from = s->index;
    a->serial = serial;
    a->key_len = key.len;
    a->username_len = username.len;
    memcpy(a->text, key.ptr, key.len);
    a->profile_len = profile.len;
    if (username.len > 0)
        memcpy(a->text + key.len, username.ptr, username.len);
    if (profile.len > 0)
        memcpy(a->text + key.len + username.len, profile.ptr, profile.len);
    return a;
}

/* loss: NULL: none. */
static void post_detach(struct shard *s, unsigned session_shard, struct slice key, uint64_t serial,
                        const struct session_loss *loss)
{
    struct attach_mail *a =
        attach_mail_new(s, DETACH, key, serial, (struct slice){0}, (struct slice){0});

    a->lost = loss != NULL;
    if (loss != NULL)
        a->loss = *loss;
    shard_post(s, session_shard, &a->mail);
}

void audience_connected(struct shard *s, struct hub_connection *c)
{
    const struct bridge_user *user = hub_connection_user_data(c);
    struct slice key = hub_connection_user_key(c);
    struct attach_mail *a;

    if (key.len == 0)
        return; /* anonymous and let in: connected and mute */
    hub_connection_set_data(c, &waiting_mark);
    a = attach_mail_new(s, ATTACH, key, hub_connection_serial(c), slice_of(user->username),
                        user_profile(user));
    a->refused = user->refused;
    a->client = user->client;
    shard_post(s, shard_of_user(s->program, key), &a->mail);
}

/* ---- the answer ---- */

/* NULL: it has not ended. The caller's to free. */
static struct audience_ended *take_ended(struct audience *a, uint64_t serial)
{
    struct audience_ended *ended;

    HASH_FIND(hh, a->ended, &serial, sizeof serial, ended);
    if (ended != NULL)
        HASH_DEL(a->ended, ended);
    return ended;
}

static struct hub_connection *find(struct shard *s, uint64_t serial)
{
    return s->signalr == NULL ? NULL : signalr_server_find_any(s->signalr, serial);
}

void audience_attached(struct shard *s, unsigned session_shard, struct slice key, uint64_t serial,
                       const struct session_start *start)
{
    struct hub_connection *c = find(s, serial);
    struct audience_ended *ended;
    struct session_loss loss = {0};
    struct bridge_user *user;

    if (c != NULL) { /* closing perhaps, then its end is still to come */
        user = hub_connection_user_data(c);
        user->fresh_ms = start->fresh_ms;
        hub_connection_set_data(c, &attached_mark);
        hub_connection_join_user(c, start->from, start->torn);
        return;
    }
    ended = take_ended(&s->audience, serial);
    if (ended != NULL) {
        loss.client = ended->client;
        hub_receipt_start(&loss.receipt, start->from, start->torn, 0);
        /* Not even the word of a tear has come. */
        hub_receipt_close(&loss.receipt, 0, start->torn, start->torn);
    }
    post_detach(s, session_shard, key, serial, ended != NULL && ended->may_return ? &loss : NULL);
    free(ended);
}

void audience_refused(struct shard *s, uint64_t serial, enum session_attach why)
{
    struct hub_connection *c = find(s, serial);

    if (c == NULL) {
        free(take_ended(&s->audience, serial));
        return;
    }
    hub_connection_set_data(c, NULL);
    /* One too many must not come back at once, and again. */
    if (why == SESSION_TOO_MANY)
        hub_connection_close(c, "The user is at the limit of connections.", false);
    else
        hub_connection_close(c, NULL, true);
}

/* ---- what fresh ones have loaded by themselves ---- */

struct missed {
    uint64_t since_ms;
    struct hub_buf *message;
};

static void send_unless_fresh(struct hub_connection *c, void *arg)
{
    const struct bridge_user *user = hub_connection_user_data(c);
    const struct missed *missed = arg;

    if (is_attached(c) && (user->fresh_ms == 0 || user->fresh_ms < missed->since_ms))
        hub_connection_send(c, missed->message);
}

void audience_send_missed(struct shard *s, struct slice key, uint64_t since_ms,
                          struct hub_buf *message)
{
    struct missed missed = {since_ms, message};

    signalr_server_each_of_user(s->signalr, key, send_unless_fresh, &missed);
}

/* ---- what the session asks ---- */

enum { RECEIPTS_MAX = LOST_SLOTS_MAX };

/* An answer: so many items, of one kind, and the key behind them. */
struct answer_mail {
    struct mail mail;
    unsigned from; /* the connections' shard */
    uint64_t ticket;
    uint64_t lowest; /* of session_received */
    size_t count, key_len;
    char *key; /* into the mail, like the items */
    uint64_t items[];
};

static struct answer_mail *answer_mail_new(const struct shard *s, struct slice key, uint64_t ticket,
                                           const void *items, size_t count, size_t size)
{
    struct answer_mail *m = mail_alloc(sizeof *m + count * size + key.len);

    m->mail.discard = mail_free;
    m->mail.control = true;
    m->from = s->index;
    m->ticket = ticket;
    m->count = count;
    m->key_len = key.len;
    m->key = (char *)m->items + count * size;
    memcpy(m->items, items, count * size);
    memcpy(m->key, key.ptr, key.len);
    return m;
}

/* ---- ... who may be lost */

struct check {
    uint64_t client;
    bool acks_are_the_clients;
    size_t count;
    struct session_doubt doubts[RECEIPTS_MAX];
};

static void checked_deliver(struct mail *mail, void *consumer)
{
    struct answer_mail *m = (struct answer_mail *)mail;
    struct shard *s = consumer;

    session_table_checked(s->sessions, (struct slice){m->key, m->key_len}, m->ticket, m->from,
                          (const struct session_doubt *)(void *)m->items, m->count);
    free(m);
}

static bool acks_are_the_clients(const struct shard *s)
{
    return s->program->settings->replay.tail != REPLAY_TAIL_LAST_PING;
}

static void check_one(struct hub_connection *c, void *arg)
{
    const struct bridge_user *user = hub_connection_user_data(c);
    struct check *check = arg;
    struct session_doubt *doubt = &check->doubts[check->count];

    if (check->count == RECEIPTS_MAX || !is_attached(c) || user->client != check->client ||
        !hub_connection_in_doubt(c, check->acks_are_the_clients, &doubt->receipt))
        return;
    doubt->conn_serial = hub_connection_serial(c);
    doubt->closing = !hub_connection_is_open(c);
    check->count++;
}

void audience_check(struct shard *s, unsigned session_shard, struct slice key, uint64_t client,
                    uint64_t ticket)
{
    struct check check = {.client = client, .acks_are_the_clients = acks_are_the_clients(s)};
    struct answer_mail *m;

    if (s->signalr != NULL)
        signalr_server_each_known(s->signalr, key, check_one, &check);
    m = answer_mail_new(s, key, ticket, check.doubts, check.count, sizeof check.doubts[0]);
    m->mail.deliver = checked_deliver;
    shard_post(s, session_shard, &m->mail);
}

/* ---- ... and what has been received */

struct receipts {
    enum settings_replay_tail tail;
    uint64_t lowest;
    size_t count;
    struct hub_receipt items[RECEIPTS_MAX];
};

static void received_deliver(struct mail *mail, void *consumer)
{
    struct answer_mail *m = (struct answer_mail *)mail;
    struct shard *s = consumer;
    const struct session_received received = {
        m->lowest, (const struct hub_receipt *)(void *)m->items, m->count};

    session_table_received(s->sessions, (struct slice){m->key, m->key_len}, m->ticket, &received);
    free(m);
}

/* Most have it all, and their number says it. What the others lack is told by the messages'
 * lengths, which the session knows. */
static void take_receipt(struct hub_connection *c, void *arg)
{
    struct receipts *r = arg;
    struct hub_receipt receipt;
    uint64_t number;

    if (!is_attached(c))
        return; /* the session speaks for it, or doesn't know it any more */
    hub_connection_receipt_now(c, &receipt);
    number = replay_tail_position(r->tail, &receipt, 0, NULL, NULL);
    if (number == HUB_RECEIPT_UNKNOWN && r->count < RECEIPTS_MAX) {
        r->items[r->count++] = receipt;
        return;
    }
    if (number == HUB_RECEIPT_UNKNOWN)
        number = receipt.first;
    if (number < r->lowest)
        r->lowest = number;
}

void audience_ask_received(struct shard *s, unsigned session_shard, struct slice key,
                           uint64_t ticket)
{
    struct receipts r;
    struct answer_mail *m;

    r.tail = s->program->settings->replay.tail;
    r.lowest = UINT64_MAX;
    r.count = 0; /* the items are large, and few are used */
    if (s->signalr != NULL)
        signalr_server_each_known(s->signalr, key, take_receipt, &r);
    m = answer_mail_new(s, key, ticket, r.items, r.count, sizeof r.items[0]);
    m->mail.deliver = received_deliver;
    m->lowest = r.lowest;
    shard_post(s, session_shard, &m->mail);
}

/* ---- the end ---- */

/* Without memory it counts as having left in good order. */
static void remember_ended(struct audience *a, const struct hub_connection *c, uint64_t client,
                           bool may_return)
{
    struct audience_ended *ended = malloc(sizeof *ended);

    if (ended == NULL)
        return;
    ended->serial = hub_connection_serial(c);
    ended->client = client;
    ended->may_return = may_return;
    HASH_ADD(hh, a->ended, serial, sizeof ended->serial, ended);
}

void audience_disconnected(struct shard *s, struct hub_connection *c, bool drained)
{
    const struct bridge_user *user = hub_connection_user_data(c);
    struct slice key = hub_connection_user_key(c);
    bool may_return = hub_connection_may_return(c, acks_are_the_clients(s));
    struct session_loss loss;

    if (hub_connection_data(c) == &waiting_mark)
        remember_ended(&s->audience, c, user->client, may_return);
    if (!is_attached(c))
        return;
    loss = (struct session_loss){
        .client = user->client, .drained = drained, .receipt = *hub_connection_receipt(c)};
    post_detach(s, shard_of_user(s->program, key), key, hub_connection_serial(c),
                may_return ? &loss : NULL);
}

void audience_close(struct audience *a)
{
    struct audience_ended *ended, *next;

    HASH_ITER(hh, a->ended, ended, next)
    {
        HASH_DEL(a->ended, ended);
        free(ended);
    }
}
