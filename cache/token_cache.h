/* cache/token_cache.h - each user's Rocket.Chat token, kept for a time to live.
 *
 * An entry under a user key says how to come back as that user (user id, token) and who holds the
 * DDP connection (session, instance, epoch). The entry bounds that connection: when it expires, is
 * replaced or removed, the owner who watches the key hears of it from the loop.
 *
 * One cache a shard, used on its loop's thread only. Every operation takes effect in the order of
 * the calls and answers exactly once, later, from the loop, never inside the call; answers and
 * notices come in one order, that of what they tell. Slices handed to a callback are borrowed for
 * the call. Tokens are wiped before their memory is freed. Writes and removals compare first (token
 * and epoch), so that a late loser never erases the winner.
 *
 * Time to live: put starts it, ±10 % so that a herd that came together does not leave together.
 * Absolute: nothing else restarts it. Sliding: token_cache_touch() does.
 *
 * Bounds: at max_entries a new key takes the place of the entry that has been unwatched longest: it
 * saves one login and nothing else. Watched entries are live connections and never make room; where
 * all are watched the newcomer is refused (TOKEN_CACHE_FULL): its session works without an entry or
 * tries later, and nobody who works is cut off. */
#ifndef CACHE_TOKEN_CACHE_H
#define CACHE_TOKEN_CACHE_H

#include "base/slice.h"
#include <stdint.h>

struct token_cache;
struct token_watch;

struct token_entry {
    struct slice rc_user_id, rc_username;
    struct slice auth_token;
    struct slice ddp_session; /* empty: none yet */
    struct slice instance;    /* who holds the DDP connection; may be empty */
    uint64_t epoch;           /* of the ownership; with the token it is what writers compare */
    int64_t issued_at_ms;     /* when Rocket.Chat issued the token; Unix time */
    uint64_t ttl_left_ms;     /* told in answers and notices; put ignores it */
};

enum token_cache_result {
    TOKEN_CACHE_OK,
    TOKEN_CACHE_MISSING,  /* get, remove: no entry */
    TOKEN_CACHE_CONFLICT, /* put, remove: what stands is not what was expected */
    TOKEN_CACHE_FULL,     /* put: see above */
};

/* What a writer believes to stand. put: NULL for "no entry". */
struct token_expect {
    struct slice auth_token;
    uint64_t epoch;
};

enum token_removal {
    TOKEN_REMOVAL_LOGOUT,  /* the user logged out */
    TOKEN_REMOVAL_REVOKED, /* an operator ended the session */
    TOKEN_REMOVAL_REFUSED, /* Rocket.Chat no longer takes the token */
};

struct token_notice {
    enum token_notice_kind {
        TOKEN_NOTICE_EXPIRED,  /* entry: the one that ended; its token still works */
        TOKEN_NOTICE_REPLACED, /* entry: the new one */
        TOKEN_NOTICE_REMOVED,  /* entry: the one that ended; why: reason */
    } kind;
    enum token_removal reason;
    const struct token_entry *entry;
};

/* Why an entry came to its end with nobody watching; its token should be logged out. */
enum token_orphan {
    TOKEN_ORPHAN_EXPIRED,
    TOKEN_ORPHAN_EVICTED, /* made room for another */
    TOKEN_ORPHAN_DRAINED, /* token_cache_drain() */
};

/* entry: get, put and remove: what stands after the operation (TOKEN_CACHE_OK of remove: what was
 * removed); NULL: nothing. */
typedef void (*token_cache_fn)(void *arg, enum token_cache_result result,
                               const struct token_entry *entry);
typedef void (*token_notice_fn)(void *arg, const struct token_notice *notice);
typedef void (*token_orphan_fn)(void *arg, struct slice key, const struct token_entry *entry,
                                enum token_orphan why);

struct token_cache_stats {
    uint64_t entries; /* now */
    uint64_t expirations;
    uint64_t conflicts;
    uint64_t evictions;
    uint64_t refusals; /* TOKEN_CACHE_FULL */
};

/* The owner's ear on a key, whether or not it has an entry; one watch a key, held by the one
 * session of that user (a second is our own mistake and asserted). NULL: no memory. After unwatch
 * no notice comes, queued ones included; the token of an expiry not yet told becomes an orphan. */
struct token_watch *token_cache_watch(struct token_cache *cache, struct slice key,
                                      token_notice_fn fn, void *arg);
void token_cache_unwatch(struct token_watch *watch);

/* False: no memory, nothing was done and fn never runs. by: the writer's own watch on the key,
 * which gets no notice of this change; NULL: a writer without one. All slices are copied. */
bool token_cache_get(struct token_cache *cache, struct slice key, token_cache_fn fn, void *arg);
bool token_cache_put(struct token_cache *cache, struct slice key, const struct token_expect *expect,
                     const struct token_entry *entry, const struct token_watch *by,
                     token_cache_fn fn, void *arg);
/* expect NULL: whatever stands (revocation). */
bool token_cache_remove(struct token_cache *cache, struct slice key,
                        const struct token_expect *expect, enum token_removal reason,
                        const struct token_watch *by, token_cache_fn fn, void *arg);

/* The entry was of use: restarts a sliding time to live if the entry is still the expected one. A
 * hint with no answer; with an absolute time to live it does nothing. */
void token_cache_touch(struct token_cache *cache, struct slice key,
                       const struct token_expect *expect);

/* At shutdown: entries that nobody but this process knows come out as orphans, watched ones too. */
void token_cache_drain(struct token_cache *cache);

const struct token_cache_stats *token_cache_stats(const struct token_cache *cache);

/* Watches must be gone. Answers still due come first, orphans do not; done is the last. */
void token_cache_free(struct token_cache *cache, void (*done)(void *arg), void *arg);

#endif
