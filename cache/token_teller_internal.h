/* cache/token_teller_internal.h - answers and notices, told from the loop in the order they arose.
 *
 * Backends queue here, so that no callback runs inside the call that caused it. */
#ifndef CACHE_TOKEN_TELLER_INTERNAL_H
#define CACHE_TOKEN_TELLER_INTERNAL_H

#include "cache/token_cache_internal.h"
#include <uv.h>

struct token_event {
    struct token_event *next;
    enum { TOKEN_EVENT_ANSWER, TOKEN_EVENT_NOTICE, TOKEN_EVENT_ORPHAN } kind;
};

/* An entry as it was put. Counted: a table, answers and notices share it. It ends once, so its
 * notice is a part of it and needs no memory at the worst moment. Wiped when the last reference
 * goes. */
struct token_stored {
    unsigned refs;
    uint8_t reason;         /* enum token_removal, of a REMOVED notice */
    uint8_t notice, orphan; /* enum token_notice_kind, token_orphan; the teller's */
    struct token_entry entry;
    struct token_stored *successor; /* of a REPLACED notice; owned */
    /* the teller's */
    struct token_event ended;
    struct token_ear *ear;
    size_t size;
    struct slice key;
    char bytes[];
};

struct token_stored *token_stored_new(struct slice key, const struct token_entry *entry);
struct token_stored *token_stored_ref(struct token_stored *s); /* returns s */
void token_stored_unref(struct token_stored *s);               /* NULL is fine */

/* A watch. close: no notice comes from now on; freed when none is queued any more. */
struct token_ear {
    struct token_watch base;
    token_notice_fn fn;
    void *arg;
    void *owner; /* the backend's */
    unsigned queued;
    bool closed;
};

void token_ear_close(struct token_ear *ear);

struct token_answer {
    struct token_event event;
    token_cache_fn fn;
    void *arg;
    enum token_cache_result result;
    uint64_t ttl_left_ms;
    struct token_stored *stored;
};

struct token_answer *token_answer_new(token_cache_fn fn, void *arg); /* NULL: no memory */

struct token_teller {
    uv_idle_t idle;
    struct token_event *first, **last;
    token_orphan_fn on_orphan;
    void *orphan_arg;
    void (*closed)(void *arg); /* NULL: in use */
    void *closed_arg;
};

void token_teller_init(struct token_teller *t, uv_loop_t *loop, token_orphan_fn on_orphan,
                       void *orphan_arg);
/* Takes the answer; s may be NULL and is referenced. */
void token_teller_answer(struct token_teller *t, struct token_answer *a,
                         enum token_cache_result result, struct token_stored *s,
                         uint64_t ttl_left_ms);
/* s came to its end: these take the caller's reference. */
void token_teller_notice(struct token_teller *t, struct token_stored *s, struct token_ear *ear,
                         enum token_notice_kind kind);
void token_teller_orphan(struct token_teller *t, struct token_stored *s, enum token_orphan why);
/* What is queued is told, orphans excepted, then closed runs. */
void token_teller_close(struct token_teller *t, void (*closed)(void *arg), void *arg);

#endif
