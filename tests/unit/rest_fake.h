/* tests/unit/rest_fake.h - rest_client.h's calls, recorded; the test answers them.
 *
 * Defines the functions themselves: the linker takes these and leaves the library's out. Include
 * once, in the test's only source file, behind cmocka.h. */
#ifndef TESTS_UNIT_REST_FAKE_H
#define TESTS_UNIT_REST_FAKE_H

#include "rocketchat/rest_client.h"
#include <stdio.h>
#include <stdlib.h>

enum rest_what {
    REST_LOGIN,
    REST_LOGOUT,
    REST_ME,
    REST_SUBSCRIPTIONS,
    REST_ROOMS,
    REST_MESSAGES,
    REST_ANY
};

struct rest_call {
    enum rest_what what;
    char user[300], token[300];             /* of login: user name and password */
    char path[100], body[500], address[64]; /* REST_ANY */
    union {
        rest_login_fn login;
        rest_me_fn me;
        rest_json_fn json;
        rest_any_fn any;
        rest_done_fn done;
    } fn;
    void *arg;
    bool answered, cancelled;
};

static struct rest_call *rests[256];
static unsigned nrests;

static int64_t rest_clock_ahead_ms = INT64_MIN; /* no answer had a date */

bool rest_client_clock(const struct rest_client *client, int64_t *ahead_ms)
{
    (void)client;
    *ahead_ms = rest_clock_ahead_ms;
    return rest_clock_ahead_ms != INT64_MIN;
}

static inline struct rest_call *rest_record(enum rest_what what, struct slice user,
                                            struct slice token, void *arg)
{
    struct rest_call *c = calloc(1, sizeof *c);

    assert_true(nrests < 256);
    c->what = what;
    snprintf(c->user, sizeof c->user, "%.*s", (int)user.len, user.ptr);
    snprintf(c->token, sizeof c->token, "%.*s", (int)token.len, token.ptr);
    c->arg = arg;
    rests[nrests++] = c;
    return c;
}

struct rest_call *rest_login(struct rest_client *client, struct slice username,
                             struct slice password, rest_login_fn fn, void *arg)
{
    struct rest_call *c = rest_record(REST_LOGIN, username, password, arg);

    (void)client;
    c->fn.login = fn;
    return c;
}

struct rest_call *rest_logout(struct rest_client *client, struct slice user_id, struct slice token,
                              rest_done_fn fn, void *arg)
{
    struct rest_call *c = rest_record(REST_LOGOUT, user_id, token, arg);

    (void)client;
    c->fn.done = fn;
    return c;
}

struct rest_call *rest_me(struct rest_client *client, struct slice user_id, struct slice token,
                          rest_me_fn fn, void *arg)
{
    struct rest_call *c = rest_record(REST_ME, user_id, token, arg);

    (void)client;
    c->fn.me = fn;
    return c;
}

struct rest_call *rest_me_for(struct rest_client *client, struct slice user_id, struct slice token,
                              struct slice client_address, rest_me_fn fn, void *arg)
{
    (void)client_address;
    return rest_me(client, user_id, token, fn, arg);
}

struct rest_call *rest_subscriptions_get(struct rest_client *client, struct slice user_id,
                                         struct slice token, rest_json_fn fn, void *arg)
{
    struct rest_call *c = rest_record(REST_SUBSCRIPTIONS, user_id, token, arg);

    (void)client;
    c->fn.json = fn;
    return c;
}

struct rest_call *rest_rooms_get(struct rest_client *client, struct slice user_id,
                                 struct slice token, rest_json_fn fn, void *arg)
{
    struct rest_call *c = rest_record(REST_ROOMS, user_id, token, arg);

    (void)client;
    c->fn.json = fn;
    return c;
}

struct rest_call *rest_messages_since(struct rest_client *client, struct slice user_id,
                                      struct slice token, struct slice rid, int64_t since_ms,
                                      rest_json_fn fn, void *arg)
{
    struct rest_call *c = rest_record(REST_MESSAGES, user_id, token, arg);

    (void)client;
    (void)rid;
    (void)since_ms;
    c->fn.json = fn;
    return c;
}

struct rest_call *rest_request(struct rest_client *client, const struct rest_request *request,
                               rest_any_fn fn, void *arg)
{
    struct rest_call *c = rest_record(REST_ANY, request->user_id, request->token, arg);

    (void)client;
    snprintf(c->path, sizeof c->path, "%.*s%s%.*s", (int)request->path.len, request->path.ptr,
             request->query.len > 0 ? "?" : "", (int)request->query.len, request->query.ptr);
    snprintf(c->body, sizeof c->body, "%.*s", (int)request->body.len,
             request->body.len == 0 ? "" : request->body.ptr);
    snprintf(c->address, sizeof c->address, "%.*s", (int)request->client_address.len,
             request->client_address.len == 0 ? "" : request->client_address.ptr);
    assert_int_equal(request->post, request->body.len > 0);
    c->fn.any = fn;
    return c;
}

void rest_call_cancel(struct rest_call *c)
{
    assert_false(c->answered);
    c->cancelled = true;
}

static inline void rest_answer(struct rest_call *c, const struct rest_login *login,
                               const struct rest_me *me, const char *json,
                               const struct rc_error *error)
{
    struct rest_rate rate = {0};

    assert_false(c->answered);
    c->answered = true;
    switch (c->what) {
    case REST_LOGIN:
        c->fn.login(c->arg, login, error, &rate);
        break;
    case REST_LOGOUT:
        c->fn.done(c->arg, error);
        break;
    case REST_ME:
        c->fn.me(c->arg, me, error);
        break;
    case REST_SUBSCRIPTIONS:
    case REST_ROOMS:
    case REST_MESSAGES:
        c->fn.json(c->arg, slice_of(json), error);
        break;
    case REST_ANY:
        c->fn.any(c->arg, error == NULL ? 200 : 400, slice_of(json), error);
        break;
    }
}

static inline void rest_fail(struct rest_call *c, enum rc_result result, const char *code)
{
    struct rc_error error;

    rc_error_of(&error, result);
    if (code != NULL)
        snprintf(error.code, sizeof error.code, "%s", code);
    rest_answer(c, NULL, NULL, NULL, &error);
}

/* The latest call of its kind, not answered; NULL: none. */
static inline struct rest_call *rest_pending(enum rest_what what)
{
    for (unsigned i = nrests; i-- > 0;)
        if (rests[i]->what == what && !rests[i]->answered && !rests[i]->cancelled)
            return rests[i];
    return NULL;
}

static inline unsigned rest_count(enum rest_what what)
{
    unsigned n = 0;

    for (unsigned i = 0; i < nrests; i++)
        n += rests[i]->what == what;
    return n;
}

/* Cancelled calls get their answer. */
static inline void rest_answer_cancelled(void)
{
    for (unsigned n = 0; n < nrests; n++)
        if (rests[n]->cancelled && !rests[n]->answered)
            rest_fail(rests[n], RC_CANCELLED, NULL);
}

static inline void rest_free_all(void)
{
    for (unsigned i = 0; i < nrests; i++) {
        assert_true(rests[i]->answered);
        free(rests[i]);
    }
    nrests = 0;
}

#endif
