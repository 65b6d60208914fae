#include "bridge/hub/hub_caller.h"

#include "base/json_slice.h"
#include "bridge/hub/hub_method.h"
#include "bridge/identity/user.h"
#include "bridge/program.h"
#include "bridge/session/call_error.h"
#include "bridge/session/session_table.h"
#include "bridge/shard.h"
#include <stdlib.h>

struct request_mail {
    struct mail mail;
    struct call_id id;
    const struct hub_method *method;
    size_t key_len, args_len, address_len;
    char text[]; /* key, then arguments, then the client's address */
};

struct answer_mail {
    struct mail mail;
    struct call_id id;
    enum call_answer kind;
    size_t len;
    char text[];
};

/* The rest of a page that a stream has not sent yet. Owns the mail it came by. */
struct feed {
    struct answer_mail *page;
    struct json_reader reader;
    struct slice item; /* read, and not sent; ptr NULL: none */
};

static void mail_free(struct mail *mail)
{
    free(mail);
}

/* ---- to the session ---- */

static void fail(struct hub_connection *c, uint64_t call, const char *code, const char *words)
{
    struct byte_buf text = {0};

    call_error_write(&text, code, words, 0);
    byte_buf_putc(&text, '\0');
    hub_connection_answer(c, call, (struct slice){0},
                          byte_buf_failed(&text) ? "no-memory: out of memory" : text.data);
    byte_buf_free(&text);
}

/* Before the call was kept. */
static void refuse(struct hub_connection *c, const struct hub_invocation *inv, const char *code,
                   const char *words, uint64_t retry_ms)
{
    struct byte_buf text = {0};

    call_error_write(&text, code, words, retry_ms);
    byte_buf_putc(&text, '\0');
    hub_connection_complete(c, inv->invocation_id, (struct slice){0},
                            byte_buf_failed(&text) ? "no-memory: out of memory" : text.data);
    byte_buf_free(&text);
}

static void request_deliver(struct mail *mail, void *consumer)
{
    struct request_mail *m = (struct request_mail *)mail;
    struct shard *s = consumer;
    const struct call_request request = {
        .id = m->id,
        .method = m->method,
        .args = {m->text + m->key_len, m->args_len},
        .client_address = {m->text + m->key_len + m->args_len, m->address_len},
    };

    session_table_call(s->sessions, (struct slice){m->text, m->key_len}, &request);
    free(m);
}

static void post_request(struct shard *s, struct hub_connection *c, uint64_t call,
                         const struct hub_method *method, struct slice args)
{
    const struct slice key = hub_connection_user_key(c);
    const struct slice address = s->program->settings->im.forward_client_address
                                     ? hub_connection_client_address(c)
                                     : slice_of(NULL);
    const size_t size = sizeof(struct request_mail) + key.len + args.len + address.len;
    struct request_mail *m = malloc(size);

    if (m == NULL) {
        fail(c, call, "no-memory", "out of memory");
        return;
    }
    *m = (struct request_mail){
        .mail = {.deliver = request_deliver, .discard = mail_free, .bytes = (uint32_t)size},
        .id = {.shard = s->index, .serial = hub_connection_serial(c), .call = call},
        .method = method,
        .key_len = key.len,
        .args_len = args.len,
        .address_len = address.len,
    };
    memcpy(m->text, key.ptr, key.len);
    memcpy(m->text + key.len, args.ptr, args.len);
    if (address.len > 0)
        memcpy(m->text + key.len + args.len, address.ptr, address.len);
    if (shard_post(s, shard_of_user(s->program, key), &m->mail) == MAILBOX_POSTED)
        return;
    free(m);
    fail(c, call, "overload", "too much is under way");
}

/* ---- a call comes in ---- */

/* False: the invocation was refused. */
static bool has_right_form(struct hub_connection *c, const struct hub_invocation *inv,
                           const struct hub_method *method)
{
    const bool streams = hub_method_is_stream(method);

    if (inv->stream != streams)
        hub_connection_refuse(c, inv, streams ? HUB_REFUSE_STREAMING : HUB_REFUSE_NOT_STREAMING);
    else if (inv->stream_ids > 0)
        hub_connection_refuse(c, inv, HUB_REFUSE_STREAM_IDS);
    else
        return true;
    return false;
}

static bool may_call(const struct hub_connection *c)
{
    const struct bridge_user *user = hub_connection_user_data(c);

    return hub_connection_user_key(c).len > 0 && user != NULL && user->refused == NULL;
}

static void call(struct shard *s, struct hub_connection *c, const struct hub_invocation *inv,
                 const struct hub_method *method, const struct hub_args *args)
{
    uint64_t number;

    if (method->action == ACTION_NAMED &&
        session_call_listed(s->program->settings, hub_args_text(args, 0)) == NULL) {
        hub_connection_refuse(c, inv, HUB_REFUSE_UNAUTHORIZED);
        return;
    }
    switch (hub_connection_keep(c, inv, &number)) {
    case HUB_KEPT:
        post_request(s, c, number, method, inv->arguments);
        break;
    case HUB_KEEP_TOO_MANY:
        refuse(c, inv, "too-many-calls", "wait for answers first", 0);
        break;
    case HUB_KEEP_NOMEM:
        refuse(c, inv, "no-memory", "out of memory", 0);
        break;
    case HUB_KEEP_ID_IN_USE:
        break;
    }
}

bool hub_caller_invoke(struct shard *s, struct hub_connection *c, const struct hub_invocation *inv)
{
    const struct hub_method *method = hub_method_find(inv->target);
    struct hub_args args;
    uint64_t retry_ms;

    if (method == NULL)
        return false;
    if (!has_right_form(c, inv, method))
        return true;
    if (method->action != ACTION_REGISTER && !may_call(c))
        hub_connection_refuse(c, inv, HUB_REFUSE_UNAUTHORIZED);
    else if (method->action != ACTION_REGISTER && !hub_connection_take_turn(c, &retry_ms))
        refuse(c, inv, "too-many-calls", "slow down", retry_ms);
    else if (!hub_args_parse(method, inv->arguments, &args))
        hub_connection_refuse(c, inv, HUB_REFUSE_ARGUMENTS);
    else if (method->action == ACTION_REGISTER)
        hub_connection_complete(c, inv->invocation_id, (struct slice){0}, NULL);
    else
        call(s, c, inv, method, &args);
    return true;
}

/* ---- the answer ---- */

/* Until the client is slow, or the page is through. The call's end frees the feed. */
static void feed_on(struct hub_connection *c, uint64_t number, struct feed *f)
{
    while (f->item.ptr != NULL || json_next_item(&f->reader)) {
        if (f->item.ptr == NULL && !json_read_raw(&f->reader, &f->item))
            break;
        if (hub_connection_item(c, number, f->item) != HUB_ITEM_SENT)
            return;
        f->item = (struct slice){0};
    }
    hub_connection_answer(c, number, (struct slice){0}, NULL);
}

void hub_caller_resumed(struct hub_connection *c, uint64_t number, void *data)
{
    feed_on(c, number, data);
}

void hub_caller_ended(void *data)
{
    struct feed *f = data;

    free(f->page);
    free(f);
}

/* True: the mail is the feed's now. */
static bool begin_feed(struct hub_connection *c, struct answer_mail *page)
{
    const uint64_t number = page->id.call;
    struct feed *f = calloc(1, sizeof *f);

    if (f == NULL) {
        fail(c, number, "no-memory", "out of memory");
        return false;
    }
    f->page = page;
    json_reader_init(&f->reader, page->text, page->len, JSON_MAX_DEPTH);
    if (!json_enter_array(&f->reader) || !hub_connection_set_call_data(c, number, f)) {
        free(f); /* cancelled, or gone */
        return false;
    }
    feed_on(c, number, f);
    return true;
}

static void answer_deliver(struct mail *mail, void *consumer)
{
    struct answer_mail *a = (struct answer_mail *)mail;
    struct shard *s = consumer;
    struct hub_connection *c =
        s->signalr == NULL ? NULL : signalr_server_find(s->signalr, a->id.serial);

    if (c != NULL && a->kind == CALL_ITEMS && begin_feed(c, a))
        return;
    if (c != NULL && a->kind == CALL_RESULT)
        hub_connection_answer(c, a->id.call, (struct slice){a->text, a->len}, NULL);
    else if (c != NULL && a->kind == CALL_ERROR)
        hub_connection_answer(c, a->id.call, (struct slice){0}, a->text);
    free(a);
}

static void fill_answer(struct answer_mail *a, const struct call_id *id, enum call_answer kind,
                        struct slice text)
{
    a->mail.deliver = answer_deliver;
    a->mail.discard = mail_free;
    a->id = *id;
    a->kind = kind;
    a->len = text.len;
    if (text.len > 0)
        memcpy(a->text, text.ptr, text.len);
    a->text[text.len] = '\0';
}

/* An answer may be large, so it counts as data; the caller hears of one that finds no room. */
static void gate_answer(void *arg, const struct call_id *id, enum call_answer kind,
                        struct slice text)
{
    static const struct slice too_large = SLICE_LIT("overload: the answer is too large by now");
    struct shard *s = arg;
    struct answer_mail *a = calloc(1, sizeof *a + text.len + 1);

    if (a != NULL) {
        fill_answer(a, id, kind, text);
        a->mail.bytes = (uint32_t)(sizeof *a + text.len);
        if (shard_post(s, id->shard, &a->mail) == MAILBOX_POSTED)
            return;
        free(a);
    }
    a = mail_alloc(sizeof *a + too_large.len + 1);
    fill_answer(a, id, CALL_ERROR, too_large);
    a->mail.control = true;
    shard_post(s, id->shard, &a->mail);
}

struct call_gate hub_caller_gate(struct shard *s)
{
    return (struct call_gate){.answer = gate_answer, .arg = s};
}
