/* bridge/doctor/doctor_internal.h - the doctor's parts.
 *
 *   doctor.c          the order of the checks, and how their results are written
 *   doctor_http.c     one HTTP exchange, waited for
 *   doctor_token.c    the keys, the token's carriers and claims, the account behind
 *   doctor_bridge.c   the running bridge: CORS, Origin, negotiate
 *   doctor_server.c   Rocket.Chat: TLS, clock, version, the admin's login and its limits
 *   doctor_user.c     the DDP connection, the user's login, the subscriptions */
#ifndef BRIDGE_DOCTOR_DOCTOR_INTERNAL_H
#define BRIDGE_DOCTOR_DOCTOR_INTERNAL_H

#include "base/byte_buf.h"
#include "bridge/doctor/doctor.h"
#include "bridge/identity/user.h"
#include "bridge/settings/settings.h"
#include <stdio.h>
#include <uv.h>

struct ddp_client;
struct rest_client;
struct rest_rate;

enum doctor_mark { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor {
    const struct settings *settings;
    unsigned counts[DOCTOR_FAIL + 1];
    struct slice token; /* empty: none was given */
    struct user_rules rules;
    struct jwt_keys *keys;
    bool token_good, limits_told;
    char username[RC_ACCOUNT_MAX_BYTES + 1]; /* Rocket.Chat's, of the token's user; empty: none */

    uv_loop_t loop;
    uv_prepare_t before_sleep;
    const bool *awaited; /* by doctor_wait() */
    struct ddp_client *ddp;
    struct rest_client *rest;
    char rest_url[RC_ADDRESS_URL_MAX];
};

/* One line. Bytes that could act on a terminal are shown as '?'. */
void doctor_say(struct doctor *d, enum doctor_mark mark, const char *check, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void doctor_wait(struct doctor *d, const bool *done); /* runs the loop until then */
int64_t doctor_wall_ms(void);
void doctor_keep(char *out, size_t cap, struct slice text); /* cut, NUL behind it */
/* A text member of a JSON object, its meaning; false: not there, or cap too small. */
bool doctor_text_member(struct slice json, const char *name, char *out, size_t cap);

/* ---- doctor_http.c ---- */

struct doctor_request {
    const char *method, *url;
    const char *headers[8]; /* "Name: value"; NULL behind the last */
    bool to_rocketchat;     /* with its TLS settings and its proxy */
    bool no_body;           /* the answer's is not read: an upgrade has none */
};

struct doctor_answer {
    long status;          /* 0: no answer */
    char error[256];      /* why there is none; plain words */
    bool tls_refused;     /* it was the certificate */
    bool refused;         /* nobody listens */
    struct byte_buf body; /* cut at 64 KiB */
    char allow_origin[300], allow_credentials[8], location[300];
    int64_t date_ms;               /* of the Date header; 0: none */
    char expires[64], issuer[160]; /* of the server's certificate; empty: no TLS */
};

void doctor_http(const struct doctor *d, const struct doctor_request *request,
                 struct doctor_answer *answer);
void doctor_answer_free(struct doctor_answer *answer);

/* ---- the checks, in their order ---- */
void doctor_keys(struct doctor *d);
void doctor_token(struct doctor *d);
void doctor_bridge(struct doctor *d);
void doctor_server(struct doctor *d);
void doctor_user(struct doctor *d);

/* What Rocket.Chat said of its limit behind a REST login; said once. */
void doctor_limits(struct doctor *d, const struct rest_rate *rate);

#endif
