/* cache/memory_cache_internal.h - the memory cache on another clock, for its test. */
#ifndef CACHE_MEMORY_CACHE_INTERNAL_H
#define CACHE_MEMORY_CACHE_INTERNAL_H

#include "cache/memory_cache.h"

/* now_ms in the place of the loop's time. */
struct token_cache *memory_cache_new_with_clock(uv_loop_t *loop,
                                                const struct memory_cache_options *options,
                                                uint64_t (*now_ms)(void *arg), void *arg);
void memory_cache_tick(struct token_cache *cache); /* what its timer does */

#endif
