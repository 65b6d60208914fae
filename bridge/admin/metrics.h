/* bridge/admin/metrics.h - counters, gauges and one histogram, for /metrics.
 *
 * Each is one row of the table below: symbol, kind, public name, label, help. Rows of one name
 * stand together. Every shard has a block of its own and is its only writer (a plain load and
 * store, no locked instruction); the block past the last shard's belongs to the process and may be
 * written by any thread, with the _shared functions. The scraper sums all blocks, from any thread.
 *
 * Text format: Prometheus exposition format 0.0.4. */
#ifndef BRIDGE_ADMIN_METRICS_H
#define BRIDGE_ADMIN_METRICS_H

#include "base/byte_buf.h"
#include <stdatomic.h>
#include <stdint.h>

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Runs of rows that are indexed by another module's enum (state, end reason, key) keep its order.
 */
#define METRICS_TABLE(X)                                                                           \
    X(CONNECTIONS_NEGOTIATED, GAUGE, "pushbridge_connections", "state=\"negotiated\"",             \
      "SignalR connections by state.")                                                             \
    X(CONNECTIONS_HANDSHAKE, GAUGE, "pushbridge_connections", "state=\"handshake\"", "")           \
    X(CONNECTIONS_OPEN, GAUGE, "pushbridge_connections", "state=\"open\"", "")                     \
    X(CONNECTIONS_CLOSING, GAUGE, "pushbridge_connections", "state=\"closing\"", "")               \
    X(HTTP_SOCKETS, GAUGE, "pushbridge_http_sockets", "",                                          \
      "Sockets of browsers and other HTTP clients, WebSockets included.")                          \
    X(QUEUE_BYTES, GAUGE, "pushbridge_queue_bytes", "", "Bytes waiting for connections.")          \
    X(NEGOTIATIONS, COUNTER, "pushbridge_negotiations_total", "", "Negotiations answered.")        \
    X(OPENED, COUNTER, "pushbridge_connections_opened_total", "", "Handshakes completed.")         \
    X(ENDED_CLIENT, COUNTER, "pushbridge_connections_ended_total", "reason=\"client\"",            \
      "Connections ended, by reason; slow are slow consumers.")                                    \
    X(ENDED_LOST, COUNTER, "pushbridge_connections_ended_total", "reason=\"lost\"", "")            \
    X(ENDED_TIMEOUT, COUNTER, "pushbridge_connections_ended_total", "reason=\"timeout\"", "")      \
    X(ENDED_HANDSHAKE, COUNTER, "pushbridge_connections_ended_total", "reason=\"handshake\"", "")  \
    X(ENDED_PROTOCOL, COUNTER, "pushbridge_connections_ended_total", "reason=\"protocol\"", "")    \
    X(ENDED_SLOW, COUNTER, "pushbridge_connections_ended_total", "reason=\"slow\"", "")            \
    X(ENDED_EXPIRED, COUNTER, "pushbridge_connections_ended_total", "reason=\"expired\"", "")      \
    X(ENDED_HOST, COUNTER, "pushbridge_connections_ended_total", "reason=\"host\"", "")            \
    X(ENDED_DRAIN, COUNTER, "pushbridge_connections_ended_total", "reason=\"drain\"", "")          \
    X(INVOCATIONS, COUNTER, "pushbridge_invocations_total", "result=\"served\"",                   \
      "Hub methods called.")                                                                       \
    X(INVOCATIONS_UNKNOWN, COUNTER, "pushbridge_invocations_total", "result=\"unknown\"", "")      \
    X(OPEN_CALLS, GAUGE, "pushbridge_open_calls", "", "Hub methods called and not answered yet.")  \
    X(CALLS, COUNTER, "pushbridge_calls_total", "",                                                \
      "Hub methods carried out by users' sessions at Rocket.Chat.")                                \
    X(OPEN_ROOMS, GAUGE, "pushbridge_open_rooms", "",                                              \
      "Rooms followed because a tab has opened them, once for all tabs of a user.")                \
    X(CALLS_REST, COUNTER, "pushbridge_calls_rest_total", "",                                      \
      "REST calls made for hub methods that Rocket.Chat has no DDP method for.")                   \
    X(CALLS_TOO_FAST, COUNTER, "pushbridge_calls_refused_total", "reason=\"rate\"",                \
      "Hub methods refused: the connection's rate, its open calls, Rocket.Chat's limits.")         \
    X(CALLS_TOO_MANY, COUNTER, "pushbridge_calls_refused_total", "reason=\"open\"", "")            \
    X(CALLS_PACED, COUNTER, "pushbridge_calls_refused_total", "reason=\"rocketchat\"", "")         \
    X(RESPONSES_1XX, COUNTER, "pushbridge_http_responses_total", "class=\"1xx\"",                  \
      "HTTP responses by class.")                                                                  \
    X(RESPONSES_2XX, COUNTER, "pushbridge_http_responses_total", "class=\"2xx\"", "")              \
    X(RESPONSES_3XX, COUNTER, "pushbridge_http_responses_total", "class=\"3xx\"", "")              \
    X(RESPONSES_4XX, COUNTER, "pushbridge_http_responses_total", "class=\"4xx\"", "")              \
    X(RESPONSES_5XX, COUNTER, "pushbridge_http_responses_total", "class=\"5xx\"", "")              \
    X(HTTP_BAD_REQUEST, COUNTER, "pushbridge_http_refused_total", "reason=\"bad_request\"",        \
      "HTTP requests refused before a handler saw them.")                                          \
    X(HTTP_ORIGIN, COUNTER, "pushbridge_http_refused_total", "reason=\"origin\"", "")              \
    X(HTTP_TOO_MANY, COUNTER, "pushbridge_http_refused_total", "reason=\"too_many\"", "")          \
    X(HTTP_TIMEOUT, COUNTER, "pushbridge_http_refused_total", "reason=\"timeout\"", "")            \
    X(HTTP_PROXY_HEADER, COUNTER, "pushbridge_http_refused_total", "reason=\"proxy_header\"", "")  \
    X(TOKENS_VERIFIED_0, COUNTER, "pushbridge_tokens_verified_total", "key=\"0\"",                 \
      "JWTs accepted, by the index of their key: SecurityKey, the previous ones, PEM files, "      \
      "JWKS.")                                                                                     \
    X(TOKENS_VERIFIED_1, COUNTER, "pushbridge_tokens_verified_total", "key=\"1\"", "")             \
    X(TOKENS_VERIFIED_2, COUNTER, "pushbridge_tokens_verified_total", "key=\"2\"", "")             \
    X(TOKENS_VERIFIED_3, COUNTER, "pushbridge_tokens_verified_total", "key=\"3\"", "")             \
    X(TOKENS_VERIFIED_4, COUNTER, "pushbridge_tokens_verified_total", "key=\"4\"", "")             \
    X(TOKENS_VERIFIED_5, COUNTER, "pushbridge_tokens_verified_total", "key=\"5\"", "")             \
    X(TOKENS_VERIFIED_6, COUNTER, "pushbridge_tokens_verified_total", "key=\"6\"", "")             \
    X(TOKENS_VERIFIED_7, COUNTER, "pushbridge_tokens_verified_total", "key=\"7\"", "")             \
    X(TOKENS_VERIFIED_MORE, COUNTER, "pushbridge_tokens_verified_total", "key=\"8+\"", "")         \
    X(AUTH_NO_TOKEN, COUNTER, "pushbridge_auth_failures_total", "reason=\"no_token\"",             \
      "Requests answered 401, by what was wrong.")                                                 \
    X(AUTH_TOO_LARGE, COUNTER, "pushbridge_auth_failures_total", "reason=\"too_large\"", "")       \
    X(AUTH_MALFORMED, COUNTER, "pushbridge_auth_failures_total", "reason=\"malformed\"", "")       \
    X(AUTH_HEADER, COUNTER, "pushbridge_auth_failures_total", "reason=\"header\"", "")             \
    X(AUTH_ALGORITHM, COUNTER, "pushbridge_auth_failures_total", "reason=\"algorithm\"", "")       \
    X(AUTH_UNKNOWN_KEY, COUNTER, "pushbridge_auth_failures_total", "reason=\"unknown_key\"", "")   \
    X(AUTH_SIGNATURE, COUNTER, "pushbridge_auth_failures_total", "reason=\"signature\"", "")       \
    X(AUTH_CLAIM_MALFORMED, COUNTER, "pushbridge_auth_failures_total",                             \
      "reason=\"claim_malformed\"", "")                                                            \
    X(AUTH_ISSUER, COUNTER, "pushbridge_auth_failures_total", "reason=\"issuer\"", "")             \
    X(AUTH_AUDIENCE, COUNTER, "pushbridge_auth_failures_total", "reason=\"audience\"", "")         \
    X(AUTH_NO_EXPIRY, COUNTER, "pushbridge_auth_failures_total", "reason=\"no_expiry\"", "")       \
    X(AUTH_EXPIRED, COUNTER, "pushbridge_auth_failures_total", "reason=\"expired\"", "")           \
    X(AUTH_NOT_YET_VALID, COUNTER, "pushbridge_auth_failures_total", "reason=\"not_yet_valid\"",   \
      "")                                                                                          \
    X(AUTH_REFRESH_TOKEN, COUNTER, "pushbridge_auth_failures_total", "reason=\"refresh_token\"",   \
      "")                                                                                          \
    X(AUTH_IDENTITY, COUNTER, "pushbridge_auth_failures_total", "reason=\"identity\"", "")         \
    X(SESSIONS_IDLE, GAUGE, "pushbridge_sessions", "state=\"idle\"",                               \
      "Rocket.Chat sessions of users, by state.")                                                  \
    X(SESSIONS_LOGGING_IN, GAUGE, "pushbridge_sessions", "state=\"logging_in\"", "")               \
    X(SESSIONS_CONNECTING, GAUGE, "pushbridge_sessions", "state=\"connecting\"", "")               \
    X(SESSIONS_AUTHENTICATING, GAUGE, "pushbridge_sessions", "state=\"authenticating\"", "")       \
    X(SESSIONS_SUBSCRIBING, GAUGE, "pushbridge_sessions", "state=\"subscribing\"", "")             \
    X(SESSIONS_LIVE, GAUGE, "pushbridge_sessions", "state=\"live\"", "")                           \
    X(SESSIONS_BACKOFF, GAUGE, "pushbridge_sessions", "state=\"backoff\"", "")                     \
    X(SESSIONS_REFUSED, GAUGE, "pushbridge_sessions", "state=\"refused\"", "")                     \
    X(SESSIONS_CLOSING, GAUGE, "pushbridge_sessions", "state=\"closing\"", "")                     \
    X(LOGINS_REST_OK, COUNTER, "pushbridge_logins_total", "road=\"rest\",result=\"ok\"",           \
      "Logins at Rocket.Chat, by road and result.")                                                \
    X(LOGINS_REST_REFUSED, COUNTER, "pushbridge_logins_total", "road=\"rest\",result=\"refused\"", \
      "")                                                                                          \
    X(LOGINS_REST_LIMITED, COUNTER, "pushbridge_logins_total", "road=\"rest\",result=\"limited\"", \
      "")                                                                                          \
    X(LOGINS_REST_FAILED, COUNTER, "pushbridge_logins_total", "road=\"rest\",result=\"failed\"",   \
      "")                                                                                          \
    X(LOGINS_DDP_OK, COUNTER, "pushbridge_logins_total", "road=\"ddp\",result=\"ok\"", "")         \
    X(LOGINS_DDP_REFUSED, COUNTER, "pushbridge_logins_total", "road=\"ddp\",result=\"refused\"",   \
      "")                                                                                          \
    X(LOGINS_DDP_LIMITED, COUNTER, "pushbridge_logins_total", "road=\"ddp\",result=\"limited\"",   \
      "")                                                                                          \
    X(LOGINS_DDP_FAILED, COUNTER, "pushbridge_logins_total", "road=\"ddp\",result=\"failed\"", "") \
    X(LOGINS_TOKEN_OK, COUNTER, "pushbridge_logins_total", "road=\"token\",result=\"ok\"", "")     \
    X(LOGINS_TOKEN_REFUSED, COUNTER, "pushbridge_logins_total",                                    \
      "road=\"token\",result=\"refused\"", "")                                                     \
    X(LOGINS_TOKEN_LIMITED, COUNTER, "pushbridge_logins_total",                                    \
      "road=\"token\",result=\"limited\"", "")                                                     \
    X(LOGINS_TOKEN_FAILED, COUNTER, "pushbridge_logins_total", "road=\"token\",result=\"failed\"", \
      "")                                                                                          \
    X(RESUMES_OK, COUNTER, "pushbridge_resumes_total", "result=\"ok\"",                            \
      "DDP logins with a kept token.")                                                             \
    X(RESUMES_REFUSED, COUNTER, "pushbridge_resumes_total", "result=\"refused\"", "")              \
    X(RESUMES_FAILED, COUNTER, "pushbridge_resumes_total", "result=\"failed\"", "")                \
    X(LOANS_OK, COUNTER, "pushbridge_token_loans_total", "result=\"ok\"",                          \
      "Users' tokens asked for by requests that act as the user.")                                 \
    X(LOANS_REFUSED, COUNTER, "pushbridge_token_loans_total", "result=\"refused\"", "")            \
    X(LOANS_TIMED_OUT, COUNTER, "pushbridge_token_loans_total", "result=\"timed_out\"", "")        \
    X(LOANS_TOKENS_DEAD, COUNTER, "pushbridge_tokens_found_dead_total", "",                        \
      "Lent tokens that Rocket.Chat no longer took.")                                              \
    X(LOGIN_QUEUE, GAUGE, "pushbridge_login_queue", "", "Logins waiting for their turn.")          \
    X(DDP_SOCKETS, GAUGE, "pushbridge_ddp_connections", "", "DDP connections open.")               \
    X(DDP_RECONNECTS, COUNTER, "pushbridge_ddp_reconnects_total", "",                              \
      "DDP connections opened again after a loss.")                                                \
    X(DDP_ENDED_UNREACHABLE, COUNTER, "pushbridge_ddp_ended_total", "how=\"unreachable\"",         \
      "DDP connections ended, by how; closed are those we closed.")                                \
    X(DDP_ENDED_TIMED_OUT, COUNTER, "pushbridge_ddp_ended_total", "how=\"timed-out\"", "")         \
    X(DDP_ENDED_FAILED, COUNTER, "pushbridge_ddp_ended_total", "how=\"ddp-version\"", "")          \
    X(DDP_ENDED_DEAD, COUNTER, "pushbridge_ddp_ended_total", "how=\"silent\"", "")                 \
    X(DDP_ENDED_CLOSED, COUNTER, "pushbridge_ddp_ended_total", "how=\"connection-lost\"", "")      \
    X(DDP_ENDED_MALFORMED, COUNTER, "pushbridge_ddp_ended_total", "how=\"malformed\"", "")         \
    X(DDP_ENDED_LOCAL, COUNTER, "pushbridge_ddp_ended_total", "how=\"closed\"", "")                \
    X(EVENTS_IN_ROOMS, COUNTER, "pushbridge_events_in_total", "event=\"rooms-changed\"",           \
      "Events from Rocket.Chat, by stream event.")                                                 \
    X(EVENTS_IN_SUBSCRIPTIONS, COUNTER, "pushbridge_events_in_total",                              \
      "event=\"subscriptions-changed\"", "")                                                       \
    X(EVENTS_IN_EPHEMERAL, COUNTER, "pushbridge_events_in_total", "event=\"message\"", "")         \
    X(EVENTS_IN_ROOM_MESSAGES, COUNTER, "pushbridge_events_in_total",                              \
      "event=\"stream-room-messages\"", "")                                                        \
    X(EVENTS_IN_DELETED, COUNTER, "pushbridge_events_in_total", "event=\"deleteMessage\"", "")     \
    X(EVENTS_IN_FURTHER, COUNTER, "pushbridge_events_in_total", "event=\"further\"", "")           \
    X(EVENTS_IN_OTHER, COUNTER, "pushbridge_events_in_total", "event=\"other\"", "")               \
    X(EVENTS_OUT_MESSAGE, COUNTER, "pushbridge_events_out_total",                                  \
      "target=\"getRoomMessageNotification\"",                                                     \
      "Events sent to users, by target; once for all tabs of a user.")                             \
    X(EVENTS_OUT_UPDATED, COUNTER, "pushbridge_events_out_total",                                  \
      "target=\"getRoomMessageUpdatedNotification\"", "")                                          \
    X(EVENTS_OUT_SUBSCRIPTION, COUNTER, "pushbridge_events_out_total",                             \
      "target=\"getRoomSubscriptionChangedNotification\"", "")                                     \
    X(EVENTS_OUT_EPHEMERAL, COUNTER, "pushbridge_events_out_total",                                \
      "target=\"getEphemeralMessageNotification\"", "")                                            \
    X(EVENTS_OUT_DELETED, COUNTER, "pushbridge_events_out_total",                                  \
      "target=\"getRoomMessageDeletedNotification\"", "")                                          \
    X(EVENTS_OUT_THREAD, COUNTER, "pushbridge_events_out_total",                                   \
      "target=\"getThreadMessageNotification\"", "")                                               \
    X(EVENTS_OUT_TYPING, COUNTER, "pushbridge_events_out_total",                                   \
      "target=\"getUserActivityNotification\"", "")                                                \
    X(EVENTS_OUT_READ, COUNTER, "pushbridge_events_out_total",                                     \
      "target=\"getRoomReadNotification\"", "")                                                    \
    X(EVENTS_OUT_USER_STATUS, COUNTER, "pushbridge_events_out_total",                              \
      "target=\"getUserStatusNotification\"", "")                                                  \
    X(EVENTS_OUT_NOTIFICATION, COUNTER, "pushbridge_events_out_total",                             \
      "target=\"getDesktopNotification\"", "")                                                     \
    X(EVENTS_OUT_USER_DATA, COUNTER, "pushbridge_events_out_total",                                \
      "target=\"getUserDataNotification\"", "")                                                    \
    X(EVENTS_OUT_ROOM, COUNTER, "pushbridge_events_out_total",                                     \
      "target=\"getRoomChangedNotification\"", "")                                                 \
    X(EVENTS_OUT_STATUS, COUNTER, "pushbridge_events_out_total", "target=\"bridgeStatus\"", "")    \
    X(EVENTS_OUT_RESYNC, COUNTER, "pushbridge_events_out_total", "target=\"resyncRequired\"", "")  \
    X(PUSHES_SENT, COUNTER, "pushbridge_pushes_total", "result=\"sent\"",                          \
      "Calls of /admin/push, by result.")                                                          \
    X(PUSHES_WRONG, COUNTER, "pushbridge_pushes_total", "result=\"wrong\"", "")                    \
    X(PUSHES_OVERLOAD, COUNTER, "pushbridge_pushes_total", "result=\"overload\"", "")              \
    X(PUSHED_CONNECTIONS, COUNTER, "pushbridge_pushed_connections_total", "",                      \
      "Connections that pushes were queued for.")                                                  \
    X(GROUPS_MISSED, COUNTER, "pushbridge_groups_missed_total", "",                                \
      "New connections that found no room in a group of their user.")                              \
    X(ROOMS_IN_REPAIR, GAUGE, "pushbridge_rooms_in_repair", "",                                    \
      "Rooms of sessions whose messages are incomplete, or about to be looked at, each for each.") \
    X(REPAIRS_MISSED, COUNTER, "pushbridge_repairs_asked_total", "reason=\"missed\"",              \
      "Rooms that sessions asked to have repaired, by what made them.")                            \
    X(REPAIRS_BURST, COUNTER, "pushbridge_repairs_asked_total", "reason=\"burst\"", "")            \
    X(REPAIRS_GAP, COUNTER, "pushbridge_repairs_asked_total", "reason=\"gap\"", "")                \
    X(REPAIRS_RUN, COUNTER, "pushbridge_repairs_run_total", "",                                    \
      "Queries for a room's messages handed out; one serves all sessions that asked.")             \
    X(REPAIRS_ANSWERED, COUNTER, "pushbridge_repairs_answered_total", "result=\"ok\"",             \
      "Sessions that heard the end of a query.")                                                   \
    X(REPAIRS_FAILED, COUNTER, "pushbridge_repairs_answered_total", "result=\"failed\"", "")       \
    X(EVENTS_HELD, COUNTER, "pushbridge_events_held_total", "",                                    \
      "Messages that waited for the repair of their room.")                                        \
    X(HOLDS_CUT, COUNTER, "pushbridge_holds_cut_total", "",                                        \
      "Rooms whose messages went out before their repair was through: time, count or bytes.")      \
    X(CATCH_UPS, COUNTER, "pushbridge_catch_ups_total", "", "Gaps of a session caught up with.")   \
    X(REPLAY_SLOTS_LEFT, COUNTER, "pushbridge_replay_slots_total", "event=\"left\"",               \
      "Places that lost connections left for their users' next ones, by what became of them.")     \
    X(REPLAY_SLOTS_CLAIMED, COUNTER, "pushbridge_replay_slots_total", "event=\"claimed\"", "")     \
    X(REPLAY_SLOTS_EXPIRED, COUNTER, "pushbridge_replay_slots_total", "event=\"expired\"", "")     \
    X(REPLAY_EVENTS, COUNTER, "pushbridge_replay_events_total", "",                                \
      "Events sent once more, to connections that came back.")                                     \
    X(REPLAY_OVERRUNS, COUNTER, "pushbridge_replay_overruns_total", "",                            \
      "Connections that came back for more than was kept, and were told so.")                      \
    X(REPLAY_BYTES, GAUGE, "pushbridge_replay_bytes", "",                                          \
      "Events kept for connections that may be lost.")                                             \
    X(DROPS_EXCLUDED, COUNTER, "pushbridge_events_dropped_total", "reason=\"excluded\"",           \
      "Events not sent on, by reason.")                                                            \
    X(DROPS_REPEATED, COUNTER, "pushbridge_events_dropped_total", "reason=\"repeated\"", "")       \
    X(DROPS_NO_MESSAGE, COUNTER, "pushbridge_events_dropped_total", "reason=\"no_message\"", "")   \
    X(DROPS_UPDATES_OFF, COUNTER, "pushbridge_events_dropped_total", "reason=\"updates_off\"", "") \
    X(DROPS_MAILBOX, COUNTER, "pushbridge_events_dropped_total", "reason=\"mailbox_full\"", "")    \
    X(DROPS_NO_MEMORY, COUNTER, "pushbridge_events_dropped_total", "reason=\"no_memory\"", "")     \
    X(IM_ANSWERED, COUNTER, "pushbridge_proxy_calls_total", "result=\"answered\"",                 \
      "Calls passed on to Rocket.Chat, by what became of them; refused: by us.")                   \
    X(IM_REFUSED, COUNTER, "pushbridge_proxy_calls_total", "result=\"refused\"", "")               \
    X(IM_LIMITED, COUNTER, "pushbridge_proxy_calls_total", "result=\"limited\"", "")               \
    X(IM_FAILED, COUNTER, "pushbridge_proxy_calls_total", "result=\"failed\"", "")                 \
    X(IM_GONE, COUNTER, "pushbridge_proxy_calls_total", "result=\"caller_gone\"", "")              \
    X(IM_RUNNING, GAUGE, "pushbridge_proxy_calls_running", "", "Proxied calls under way.")         \
    X(IM_RETRIED, COUNTER, "pushbridge_proxy_retries_total", "",                                   \
      "Calls sent again with a fresh token after a 401.")                                          \
    X(CACHE_ENTRIES, GAUGE, "pushbridge_token_cache_entries", "", "Tokens cached.")                \
    X(CACHE_EXPIRATIONS, COUNTER, "pushbridge_token_cache_expirations_total", "",                  \
      "Tokens whose time ended.")                                                                  \
    X(HANDED_OUT, GAUGE, "pushbridge_handed_out_tokens", "", "Tokens browsers were handed.")       \
    X(PROVISIONS_CREATED, COUNTER, "pushbridge_provisions_total", "result=\"created\"",            \
      "Users unknown to Rocket.Chat, by what became of them.")                                     \
    X(PROVISIONS_FAILED, COUNTER, "pushbridge_provisions_total", "result=\"failed\"", "")          \
    X(PROFILES_UPDATED, COUNTER, "pushbridge_profile_updates_total", "result=\"ok\"",              \
      "Names and e-mail addresses that had changed.")                                              \
    X(PROFILES_FAILED, COUNTER, "pushbridge_profile_updates_total", "result=\"failed\"", "")       \
    X(ABP_OK, COUNTER, "pushbridge_abp_requests_total", "result=\"ok\"",                           \
      "Requests to the routes of ABP's shape.")                                                    \
    X(ABP_REFUSED, COUNTER, "pushbridge_abp_requests_total", "result=\"refused\"", "")             \
    X(ABP_FAILED, COUNTER, "pushbridge_abp_requests_total", "result=\"failed\"", "")               \
    X(ABP_TIMED_OUT, COUNTER, "pushbridge_abp_timeouts_total", "",                                 \
      "Of the failed ones, those that Rocket.Chat let wait too long.")                             \
    X(LOG_DROPPED, COUNTER, "pushbridge_log_lines_dropped_total", "",                              \
      "Log lines dropped because stderr took no more.")                                            \
    X(HEAP_TRIMS, COUNTER, "pushbridge_heap_trims_total", "",                                      \
      "Times that freed memory was given back.")                                                   \
    X(START_TIME, GAUGE, "process_start_time_seconds", "",                                         \
      "When the process started, in seconds since the epoch.")

enum metric {
#define METRICS_SYMBOL(symbol, kind, name, label, help) METRIC_##symbol,
    METRICS_TABLE(METRICS_SYMBOL)
#undef METRICS_SYMBOL
        METRICS_COUNT
};

/* From a DDP frame's arrival to the end of its write to a socket. */
#define METRICS_PUSH_NAME "pushbridge_push_seconds"
#define METRICS_BUCKETS 18 /* upper bounds in metrics.c; one more for +Inf */

struct metrics_block {
    _Alignas(64) _Atomic uint64_t values[METRICS_COUNT];
    _Atomic uint64_t push_buckets[METRICS_BUCKETS + 1];
    _Atomic uint64_t push_sum_ns;
};

struct metrics;

struct metrics *metrics_new(unsigned nshards); /* NULL: no memory. Sets START_TIME */
void metrics_free(struct metrics *m);
/* shard == nshards: the process's own. Lives as long as m. */
struct metrics_block *metrics_block(struct metrics *m, unsigned shard);

/* By the block's owner only. A gauge may be given a negative delta. */
static inline void metrics_add(struct metrics_block *b, enum metric which, int64_t delta)
{
    uint64_t v = atomic_load_explicit(&b->values[which], memory_order_relaxed);

    atomic_store_explicit(&b->values[which], v + (uint64_t)delta, memory_order_relaxed);
}
static inline void metrics_inc(struct metrics_block *b, enum metric which)
{
    metrics_add(b, which, 1);
}
static inline void metrics_set(struct metrics_block *b, enum metric which, uint64_t value)
{
    atomic_store_explicit(&b->values[which], value, memory_order_relaxed);
}
void metrics_observe_push(struct metrics_block *b, uint64_t ns);

/* By any thread, on the process's own block. */
void metrics_add_shared(struct metrics *m, enum metric which, int64_t delta);

/* Over all blocks. */
uint64_t metrics_total(const struct metrics *m, enum metric which);

/* Appends the whole exposition. */
void metrics_write(const struct metrics *m, struct byte_buf *out);

#endif
