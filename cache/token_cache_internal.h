/* cache/token_cache_internal.h - what a backend of the token cache provides. */
#ifndef CACHE_TOKEN_CACHE_INTERNAL_H
#define CACHE_TOKEN_CACHE_INTERNAL_H

#include "cache/token_cache.h"

struct token_cache_ops {
    struct token_watch *(*watch)(struct token_cache *cache, struct slice key, token_notice_fn fn,
                                 void *arg);
    void (*unwatch)(struct token_watch *watch);
    bool (*get)(struct token_cache *cache, struct slice key, token_cache_fn fn, void *arg);
    bool (*put)(struct token_cache *cache, struct slice key, const struct token_expect *expect,
                const struct token_entry *entry, const struct token_watch *by, token_cache_fn fn,
                void *arg);
    bool (*remove)(struct token_cache *cache, struct slice key, const struct token_expect *expect,
                   enum token_removal reason, const struct token_watch *by, token_cache_fn fn,
                   void *arg);
    void (*touch)(struct token_cache *cache, struct slice key, const struct token_expect *expect);
    void (*drain)(struct token_cache *cache);
    void (*free)(struct token_cache *cache, void (*done)(void *arg), void *arg);
};

/* First member of each backend's own struct. */
struct token_cache {
    const struct token_cache_ops *ops;
    struct token_cache_stats stats;
};

/* First member of each backend's own struct. */
struct token_watch {
    struct token_cache *cache;
};

#endif
