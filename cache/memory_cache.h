/* cache/memory_cache.h - the token cache in this process's memory: for a single instance. */
#ifndef CACHE_MEMORY_CACHE_H
#define CACHE_MEMORY_CACHE_H

#include "cache/token_cache.h"
#include <uv.h>

struct memory_cache_options {
    uint64_t ttl_ms; /* > 0 */
    bool sliding;
    size_t max_entries; /* > 0 */
    token_orphan_fn on_orphan;
    void *orphan_arg;
};

/* NULL: no memory. Free it with token_cache_free(). */
struct token_cache *memory_cache_new(uv_loop_t *loop, const struct memory_cache_options *options);

#endif
