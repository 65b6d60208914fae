#include "bridge/im_proxy/im_counts.h"

#include "base/hash.h"
#include <assert.h>
#include <stdlib.h>
#include <uv.h>

#define HASH_FUNCTION(key, len, out) (out) = (unsigned)hash_bytes((key), (len))
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) (element)->calls = 0
#include <uthash.h>

struct im_count {
    UT_hash_handle hh;
    unsigned calls; /* 0: not in the table */
    size_t len;
    char caller[];
};

struct im_counts {
    uv_mutex_t lock;
    struct im_count *callers;
    unsigned calls;
};

struct im_counts *im_counts_new(void)
{
    struct im_counts *c = calloc(1, sizeof *c);

    if (c != NULL && uv_mutex_init(&c->lock) != 0) {
        free(c);
        return NULL;
    }
    return c;
}

void im_counts_free(struct im_counts *c)
{
    if (c == NULL)
        return;
    assert(c->calls == 0);
    uv_mutex_destroy(&c->lock);
    free(c);
}

static struct im_count *add(struct im_counts *c, struct slice caller)
{
    struct im_count *count = calloc(1, sizeof *count + caller.len);

    if (count == NULL)
        return NULL;
    memcpy(count->caller, caller.ptr, caller.len);
    count->len = caller.len;
    count->calls = 1;
    HASH_ADD_KEYPTR(hh, c->callers, count->caller, count->len, count);
    if (count->calls == 0) {
        free(count);
        return NULL;
    }
    return count;
}

static enum im_counts_take take(struct im_counts *c, struct slice caller, unsigned most,
                                unsigned most_of_caller, struct im_count **count)
{
    struct im_count *found;

    if (c->calls >= most)
        return IM_COUNTS_FULL;
    HASH_FIND(hh, c->callers, caller.ptr, caller.len, found);
    if (found != NULL && found->calls >= most_of_caller)
        return IM_COUNTS_CALLER_FULL;
    if (found != NULL)
        found->calls++;
    else
        found = add(c, caller);
    if (found == NULL)
        return IM_COUNTS_NOMEM;
    c->calls++;
    *count = found;
    return IM_COUNTS_OK;
}

enum im_counts_take im_counts_take(struct im_counts *c, struct slice caller, unsigned most,
                                   unsigned most_of_caller, struct im_count **count)
{
    enum im_counts_take result;

    uv_mutex_lock(&c->lock);
    result = take(c, caller, most, most_of_caller, count);
    uv_mutex_unlock(&c->lock);
    return result;
}

void im_counts_drop(struct im_counts *c, struct im_count *count)
{
    if (count == NULL)
        return;
    uv_mutex_lock(&c->lock);
    c->calls--;
    if (--count->calls == 0) {
        HASH_DEL(c->callers, count);
        free(count);
    }
    uv_mutex_unlock(&c->lock);
}
