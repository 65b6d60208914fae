#include "bridge/audience.h"

#include "bridge/program.h"
#include "bridge/shard.h"
#include "bridge/user.h"
#include "signalr/hub/signalr_server.h"
#include <stdlib.h>
#include <string.h>

/* A connection's host data while the session knows it; NULL before and for the mute. */
static char attached_mark;

enum attach_kind { ATTACH, DETACH };

struct attach_mail {
    struct mail mail;
    enum attach_kind kind;
    unsigned from; /* the connection's shard */
    uint64_t serial;
    const char *refused; /* static, as in session_who */
    size_t key_len, username_len;
    char text[]; /* key, then user name */
};

struct answer_mail {
    struct mail mail;
    unsigned from; /* the session's shard */
    uint64_t serial;
    enum session_attach answer; /* a refusal; the other comes by the publisher */
    size_t key_len;
    char key[];
};

static void mail_free(struct mail *mail)
{
    free(mail);
}

static void answer_deliver(struct mail *mail, void *consumer)
{
    struct answer_mail *a = (struct answer_mail *)mail;

    audience_answered(consumer, a->from, (struct slice){a->key, a->key_len}, a->serial, a->answer);
    free(a);
}

static void refuse(struct shard *s, const struct attach_mail *attach, enum session_attach answer)
{
    struct answer_mail *a = mail_alloc(sizeof *a + attach->key_len);

    a->mail = (struct mail){.deliver = answer_deliver, .discard = mail_free, .control = true};
    a->from = s->index;
    a->serial = attach->serial;
    a->answer = answer;
    a->key_len = attach->key_len;
    memcpy(a->key, attach->text, attach->key_len);
    shard_post(s, attach->from, &a->mail);
}

/* On the session's shard. */
static void attach_deliver(struct mail *mail, void *consumer)
{
    struct attach_mail *a = (struct attach_mail *)mail;
    struct slice key = {a->text, a->key_len};
    struct shard *s = consumer;

    if (a->kind == DETACH) {
        session_table_detach(s->sessions, key, a->from, a->serial);
    } else {
        struct session_who who = {
            .key = key, .username = {a->text + a->key_len, a->username_len}, .refused = a->refused};

        enum session_attach answer = session_table_attach(s->sessions, &who, a->from, a->serial);

        if (answer != SESSION_ATTACHED)
            refuse(s, a, answer);
    }
    free(a);
}

static void post_attach(struct shard *s, enum attach_kind kind, unsigned session_shard,
                        struct slice key, uint64_t serial, const struct bridge_user *user)
{
    struct slice username = slice_of(user == NULL ? "" : user->username);
    struct attach_mail *a = mail_alloc(sizeof *a + key.len + username.len);

    a->mail = (struct mail){.deliver = attach_deliver, .discard = mail_free, .control = true};
    a->kind = kind;
    a->from = s->index;
    a->serial = serial;
    a->refused = user == NULL ? NULL : user->refused;
    a->key_len = key.len;
    a->username_len = username.len;
    memcpy(a->text, key.ptr, key.len);
    if (username.len > 0)
        memcpy(a->text + key.len, username.ptr, username.len);
    shard_post(s, session_shard, &a->mail);
}

void audience_connected(struct shard *s, struct hub_connection *c)
{
    struct slice key = hub_connection_user_key(c);

    if (key.len == 0)
        return; /* anonymous and let in: connected and mute */
    post_attach(s, ATTACH, shard_of_user(s->program, key), key, hub_connection_serial(c),
                hub_connection_user_data(c));
}

void audience_answered(struct shard *s, unsigned session_shard, struct slice key, uint64_t serial,
                       enum session_attach answer)
{
    struct hub_connection *c = s->signalr == NULL ? NULL : signalr_server_find(s->signalr, serial);

    if (answer != SESSION_ATTACHED) {
        /* One too many must not come back at once, and again. */
        if (c != NULL && answer == SESSION_TOO_MANY)
            hub_connection_close(c, "The user is at the limit of connections.", false);
        else if (c != NULL)
            hub_connection_close(c, NULL, true);
        return;
    }
    if (c == NULL) {
        /* It left while the answer was on its way; only now may it detach. */
        post_attach(s, DETACH, session_shard, key, serial, NULL);
        return;
    }
    hub_connection_set_data(c, &attached_mark);
    hub_connection_join_user(c);
}

void audience_disconnected(struct shard *s, struct hub_connection *c)
{
    struct slice key = hub_connection_user_key(c);

    if (hub_connection_data(c) == &attached_mark)
        post_attach(s, DETACH, shard_of_user(s->program, key), key, hub_connection_serial(c), NULL);
}
