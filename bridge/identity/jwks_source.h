/* bridge/identity/jwks_source.h - keep a key set fresh from a JWKS file or URL.
 *
 * Reading, parsing and importing keys happen on libuv's thread pool; results come on the loop's
 * thread. Read once at start, then every refresh_ms, and after a failure sooner (min_gap_ms,
 * doubling up to refresh_ms). The last good set stays: a failure never takes keys away.
 *
 * A URL is http or https; certificates are verified; no redirects, no cookies, no netrc, no proxy
 * but the one named here (the environment's is ignored); an answer other than 200 is a failure.
 * Anybody can make up a kid, so jwks_source_hint() leads to a fetch at most every min_gap_ms.
 *
 * curl_global_init() must have run. */
#ifndef BRIDGE_IDENTITY_JWKS_SOURCE_H
#define BRIDGE_IDENTITY_JWKS_SOURCE_H

#include "bridge/identity/jwt_keys.h"

#include <uv.h>

enum jwks_source_result {
    JWKS_SOURCE_NEW_KEYS,
    JWKS_SOURCE_UNCHANGED, /* the same bytes as last time */
    JWKS_SOURCE_UNREACHABLE,
    JWKS_SOURCE_BAD_STATUS,
    JWKS_SOURCE_TOO_LARGE,
    JWKS_SOURCE_MALFORMED,
    JWKS_SOURCE_NO_USABLE_KEY,
    JWKS_SOURCE_NO_MEMORY,
    JWKS_SOURCE_NRESULTS
};

struct jwks_source_report {
    enum jwks_source_result result;
    struct jwt_keys *keys; /* NEW_KEYS: base and document together; borrowed, take a reference.
                              Otherwise NULL: go on with what you have */
    const char *detail;    /* UNREACHABLE: the library's words, a constant text; never NULL */
    long http_status;      /* 0: none */
    unsigned passed_over;  /* keys of the document that aren't used; see jwks.h */
};

typedef void (*jwks_source_fn)(void *arg, const struct jwks_source_report *report);

/* Strings are copied. */
struct jwks_source_options {
    const char *location; /* http://, https://, or the path of a file */
    const char *ca_file;  /* NULL or empty: the system's */
    const char *proxy;    /* NULL or empty: none */
    uint32_t timeout_ms;  /* one fetch, all of it; at least 1 */
    uint32_t refresh_ms;  /* at least 1 */
    uint32_t min_gap_ms;  /* 30,000 but in tests */
    bool allow_hmac;      /* take oct keys: only for a document as secret as they are */
};

#define JWKS_SOURCE_MIN_GAP_MS 30000

struct jwks_source;

/* base: keys every set starts with (the settings'); a reference is taken. The first fetch starts at
 * once; on_report comes after each, never inside a call. NULL: no memory. */
struct jwks_source *jwks_source_new(uv_loop_t *loop, const struct jwks_source_options *options,
                                    struct jwt_keys *base, jwks_source_fn on_report, void *arg);

/* A token named a kid that is not in the set. From any thread, until jwks_source_close(). Cheap. */
void jwks_source_hint(struct jwks_source *s);

/* No further report. A fetch under way is given up (within about a second); then on_closed, once,
 * when the source is gone. */
void jwks_source_close(struct jwks_source *s, void (*on_closed)(void *arg), void *arg);

const char *jwks_source_result_text(enum jwks_source_result result);

#endif
