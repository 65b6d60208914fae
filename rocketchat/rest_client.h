/* rocketchat/rest_client.h - the few REST calls the bridge itself makes, by libcurl on a libuv
 * loop.
 *
 * Every call answers exactly once, later, never inside the call. Bodies are bounded; an answer that
 * is not JSON (a proxy's page) is an error like any other. TLS is verified unless told otherwise;
 * the proxy is explicit and the environment ignored. Facts: rocketchat.md 2.3, 5. Single-threaded.
 */
#ifndef ROCKETCHAT_REST_CLIENT_H
#define ROCKETCHAT_REST_CLIENT_H

#include "base/slice.h"
#include "rocketchat/rc_result.h"
#include <stdint.h>
#include <uv.h>

struct rest_client;
struct rest_call;

struct rest_client_options {
    const char *base_url; /* "https://chat.example.org[/prefix]", no trailing slash */
    const char *ca_file, *client_cert_file, *client_key_file, *proxy; /* NULL: none */
    bool tls_verify;
    unsigned timeout_ms, connect_timeout_ms;
    size_t max_body_bytes;
    unsigned max_connections; /* to the server, kept alive */
};

/* What X-RateLimit-* headers or a 429 said; known is false where nothing was said. */
struct rest_rate {
    bool known;
    uint32_t limit, remaining;
    uint64_t reset_in_ms; /* from now, by the Date header where there is one, else our clock */
};

struct rest_login {
    struct slice user_id, auth_token, username; /* plain text; borrowed for the call. username from
                                                   `me`, empty where the answer had none */
};
struct rest_me {
    struct slice user_id, username;
};

/* error NULL: it worked. */
typedef void (*rest_login_fn)(void *arg, const struct rest_login *login,
                              const struct rc_error *error, const struct rest_rate *rate);
typedef void (*rest_me_fn)(void *arg, const struct rest_me *me, const struct rc_error *error);
/* json: the raw body of a 200 answer. */
typedef void (*rest_json_fn)(void *arg, struct slice json, const struct rc_error *error);
typedef void (*rest_done_fn)(void *arg, const struct rc_error *error);

/* Any call of the API, as a user. */
struct rest_request {
    bool post;          /* else GET */
    struct slice path;  /* behind /api/v1/, as "users.info": letters, digits and -._/ */
    struct slice query; /* without '?', percent-encoded; may be empty */
    struct slice body;  /* of a POST, JSON */
    struct slice user_id, token;
    struct slice client_address; /* of whom it is asked for (X-Forwarded-For); may be empty */
    struct slice second_factor;  /* hex SHA-256 of the password, for routes that ask for a second
                                    factor; may be empty */
};
/* status 0: nothing came. body: raw, also behind an error; borrowed for the call. */
typedef void (*rest_any_fn)(void *arg, long status, struct slice body,
                            const struct rc_error *error);

int rest_client_new(uv_loop_t *loop, const struct rest_client_options *options,
                    struct rest_client **out);
void rest_client_free(struct rest_client *client, void (*done)(void *),
                      void *arg); /* cancels calls: RC_CANCELLED */

/* How far Rocket.Chat's clock is ahead of ours (CLOCK_REALTIME), at least: by the Date header of
 * its last answer, which was cut to a second and then took its way. False: none had one yet. */
bool rest_client_clock(const struct rest_client *client, int64_t *ahead_ms);

/* NULL: no memory, fn never runs. The handle is valid until fn ran. user_id and token travel in
 * headers: printable ASCII without spaces (what rest_login and rc ids that were checked give). */
struct rest_call *rest_login(struct rest_client *client, struct slice username,
                             struct slice password, rest_login_fn fn, void *arg);
struct rest_call *rest_logout(struct rest_client *client, struct slice user_id, struct slice token,
                              rest_done_fn fn, void *arg);
struct rest_call *rest_me(struct rest_client *client, struct slice user_id, struct slice token,
                          rest_me_fn fn, void *arg);
/* The same, with the address of whom it is asked for (X-Forwarded-For), empty: without. */
struct rest_call *rest_me_for(struct rest_client *client, struct slice user_id, struct slice token,
                              struct slice client_address, rest_me_fn fn, void *arg);
struct rest_call *rest_subscriptions_get(struct rest_client *client, struct slice user_id,
                                         struct slice token, rest_json_fn fn, void *arg);
struct rest_call *rest_rooms_get(struct rest_client *client, struct slice user_id,
                                 struct slice token, rest_json_fn fn, void *arg);
/* chat.syncMessages: a room's messages changed or deleted after since_ms (server time). rid: raw
 * text of an id. */
struct rest_call *rest_messages_since(struct rest_client *client, struct slice user_id,
                                      struct slice token, struct slice rid, int64_t since_ms,
                                      rest_json_fn fn, void *arg);
struct rest_call *rest_request(struct rest_client *client, const struct rest_request *request,
                               rest_any_fn fn, void *arg);
void rest_call_cancel(struct rest_call *call); /* fn runs later with RC_CANCELLED */

#endif
