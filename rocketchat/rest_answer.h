/* rocketchat/rest_answer.h - read what Rocket.Chat's REST API answered.
 *
 * Pure functions over (status, headers, body): no I/O, no clock. Versions 6, 7 and 8 word the same
 * failure differently, and a proxy in between may answer for them, so nothing is trusted: neither
 * that a body is JSON, nor its types, nor that the code stands where it stood last year.
 *
 *   200       {"success":true,...}, or {"status":"success",...} of login and logout
 *   400..     {"success":false,"error":"text [code]","errorType":"code","details":{}}
 *   401       {"status":"error","error":code,"message":text,"details":{}}; 8.x
 * {"success":false,"error":text} 429       text with "wait N seconds", X-RateLimit-Reset in ms
 * since the epoch
 *
 * A status of 401 or 403 refuses a user only with JSON behind it: a proxy's page says nothing about
 * them. Facts: rocketchat.md 2.3, 5.1, 5.2. */
#ifndef ROCKETCHAT_REST_ANSWER_H
#define ROCKETCHAT_REST_ANSWER_H

#include "rocketchat/rc_result.h"
#include "rocketchat/rest_client.h"

/* The headers that matter; zero-initialised: none seen. */
struct rest_headers {
    int64_t limit, remaining; /* -1 or 0 with has_* false */
    int64_t reset_ms;         /* since the epoch, by the server's clock */
    int64_t date_ms;          /* since the epoch, of the Date header */
    int64_t retry_after_s;
    bool has_limit, has_remaining, has_reset, has_date, has_retry_after;
};

/* One header line as it came, with or without CRLF. A status line starts over: an interim answer's
 * headers are not the final one's. */
void rest_headers_line(struct rest_headers *h, struct slice line);

/* now_ms: wall clock, ms since the epoch; used where the answer has no Date. */
void rest_headers_rate(const struct rest_headers *h, int64_t now_ms, struct rest_rate *out);

enum rest_kind { REST_KIND_LOGIN, REST_KIND_OTHER };

/* RC_OK: 2xx with a JSON object that does not say it failed. Otherwise *error says what went wrong,
 * retry_after_ms included where it was told. */
enum rc_result rest_answer_read(enum rest_kind kind, long status, const struct rest_headers *h,
                                int64_t now_ms, struct slice body, struct rc_error *error);

/* What login and me answer, after RC_OK; plain text, NUL-terminated. False: it is not all there, or
 * an id or token that could not stand in a header (RC_MALFORMED). username may be empty. */
struct rest_identity {
    char user_id[64], auth_token[256], username[256];
};
bool rest_answer_login(struct slice body, struct rest_identity *out);
bool rest_answer_me(struct slice body, struct rest_identity *out);

/* What settings.public answers, of one setting: it is switched on. One that is not listed is not.
 * False: that is no list of settings. */
bool rest_answer_setting(struct slice body, const char *id, bool *on);

#endif
