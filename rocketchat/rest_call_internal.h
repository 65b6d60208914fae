/* rocketchat/rest_call_internal.h - one REST call: from its parts to libcurl, and from libcurl's
 * end to the caller's function. What is asked and in which words is rest_client.c's. */
#ifndef ROCKETCHAT_REST_CALL_INTERNAL_H
#define ROCKETCHAT_REST_CALL_INTERNAL_H

#include "base/byte_buf.h"
#include "rocketchat/curl_loop_internal.h"
#include "rocketchat/rest_answer.h"
#include "rocketchat/rest_transport_internal.h"

enum route {
    ROUTE_LOGIN,
    ROUTE_LOGOUT,
    ROUTE_ME,
    ROUTE_SUBSCRIPTIONS,
    ROUTE_ROOMS,
    ROUTE_MESSAGES,
    ROUTE_ANY
};

struct rest_client {
    struct curl_loop *curl;
    uv_timer_t deferred;     /* answers what can't be answered inside a call */
    uv_timer_cb on_deferred; /* of it; rest_client.c's */
    struct rest_call *calls; /* all that have not answered yet */
    struct rest_transport transport;
    bool freeing;
    bool has_clock;
    int64_t clock_ahead_ms; /* rest_client_clock() */
    long timeout_ms;
    size_t max_body_bytes;
    void (*done)(void *arg);
    void *done_arg;
};

union answer_fn {
    rest_login_fn login;
    rest_me_fn me;
    rest_json_fn json;
    rest_done_fn done;
    rest_any_fn any;
};

struct rest_call {
    struct rest_call *next, **link;
    struct rest_client *client;
    CURL *easy;
    struct curl_slist *request_headers;
    struct byte_buf request; /* may hold a password: wiped */
    size_t sent;             /* of it */
    struct byte_buf body;
    struct rest_headers headers;
    size_t header_bytes;
    char *target; /* ROUTE_ANY: path and query */
    long status;  /* of the answer; 0: none came */
    enum route route;
    enum rc_result failed; /* RC_OK: in libcurl's hands; else to be answered by `deferred` */
    union answer_fn fn;
    void *arg;
};

/* NULL: no memory. */
struct rest_call *rest_call_new(struct rest_client *client, enum route route, void *arg);
void rest_call_free(struct rest_call *c);
/* Takes c over, c->request as the body of a POST; NULL: freed, no memory. */
struct rest_call *rest_call_start(struct rest_call *c, bool is_post);

void rest_call_finished(void *arg, CURL *easy, CURLcode code); /* a curl_loop_fn */
/* Answers the calls that could not be answered where they ended; true: the client has none left. */
bool rest_call_answer_deferred(struct rest_client *client);

#endif
