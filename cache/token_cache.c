#include "cache/token_cache.h"
#include "cache/token_cache_internal.h"

struct token_watch *token_cache_watch(struct token_cache *cache, struct slice key,
                                      token_notice_fn fn, void *arg)
{
    return cache->ops->watch(cache, key, fn, arg);
}

void token_cache_unwatch(struct token_watch *watch)
{
    watch->cache->ops->unwatch(watch);
}

bool token_cache_get(struct token_cache *cache, struct slice key, token_cache_fn fn, void *arg)
{
    return cache->ops->get(cache, key, fn, arg);
}

bool token_cache_put(struct token_cache *cache, struct slice key, const struct token_expect *expect,
                     const struct token_entry *entry, const struct token_watch *by,
                     token_cache_fn fn, void *arg)
{
    return cache->ops->put(cache, key, expect, entry, by, fn, arg);
}

bool token_cache_remove(struct token_cache *cache, struct slice key,
                        const struct token_expect *expect, enum token_removal reason,
                        const struct token_watch *by, token_cache_fn fn, void *arg)
{
    return cache->ops->remove(cache, key, expect, reason, by, fn, arg);
}

void token_cache_touch(struct token_cache *cache, struct slice key,
                       const struct token_expect *expect)
{
    cache->ops->touch(cache, key, expect);
}

void token_cache_drain(struct token_cache *cache)
{
    cache->ops->drain(cache);
}

const struct token_cache_stats *token_cache_stats(const struct token_cache *cache)
{
    return &cache->stats;
}

void token_cache_free(struct token_cache *cache, void (*done)(void *arg), void *arg)
{
    cache->ops->free(cache, done, arg);
}
