#include "bridge/im_proxy/im_identity.h"

#include "base/hash.h"
#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define HASH_FUNCTION(key, len, out) (out) = (unsigned)hash_bytes((key), (len))
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) (element)->owner = NULL
#include <uthash.h>

#define ID_MAX_BYTES 64
#define ASKING_MAX 64 /* at once */

struct im_identity_wait {
    struct im_identity_wait *next, **link;
    im_identity_fn fn;
    void *arg;
};

struct entry {
    UT_hash_handle hh;
    struct im_identity *owner;
    uint8_t digest[IM_IDENTITY_DIGEST];
    uint64_t until_ms; /* 0: being asked */
    bool accepted, forgotten;
    struct im_identity_wait *waits;
    size_t id_len;
    char id[ID_MAX_BYTES];
};

struct im_identity {
    uv_loop_t *loop;
    struct rest_client *rest;
    unsigned ttl_ms, max_entries, asking;
    struct entry *entries; /* the oldest first */
};

struct im_identity *im_identity_new(uv_loop_t *loop, struct rest_client *rest, unsigned ttl_ms,
                                    unsigned max_entries)
{
    struct im_identity *c = calloc(1, sizeof *c);

    if (c != NULL)
        *c = (struct im_identity){
            .loop = loop, .rest = rest, .ttl_ms = ttl_ms, .max_entries = max_entries};
    return c;
}

static void drop(struct entry *e)
{
    assert(e->waits == NULL);
    HASH_DEL(e->owner->entries, e);
    free(e);
}

void im_identity_free(struct im_identity *c)
{
    struct entry *e, *next;

    if (c == NULL)
        return;
    HASH_ITER(hh, c->entries, e, next)
    drop(e);
    free(c);
}

/* id and token with a NUL between, which neither can hold. */
bool im_identity_digest(struct slice id, struct slice token, uint8_t out[IM_IDENTITY_DIGEST])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(md, id.ptr, id.len) == 1 && EVP_DigestUpdate(md, "", 1) == 1 &&
              EVP_DigestUpdate(md, token.ptr, token.len) == 1 &&
              EVP_DigestFinal_ex(md, out, NULL) == 1;

    EVP_MD_CTX_free(md);
    return ok;
}

static struct entry *find(struct im_identity *c, const uint8_t digest[IM_IDENTITY_DIGEST])
{
    struct entry *e;

    HASH_FIND(hh, c->entries, digest, IM_IDENTITY_DIGEST, e);
    return e;
}

/* Room for one more: the oldest that nobody waits for goes. */
static bool make_room(struct im_identity *c)
{
    struct entry *e, *next;

    if (HASH_COUNT(c->entries) < c->max_entries)
        return true;
    HASH_ITER(hh, c->entries, e, next)
    if (e->until_ms != 0) {
        drop(e);
        return true;
    }
    return false;
}

static void on_me(void *arg, const struct rest_me *me, const struct rc_error *error)
{
    struct entry *e = arg;
    struct im_identity *c = e->owner;
    enum im_identity_answer answer = IM_IDENTITY_UNKNOWN;
    struct im_identity_wait *w;

    if (me != NULL && slice_eq(me->user_id, (struct slice){e->id, e->id_len}))
        answer = IM_IDENTITY_ACCEPTED;
    else if (me != NULL || error->result == RC_UNAUTHORIZED || error->result == RC_DEACTIVATED)
        answer = IM_IDENTITY_REFUSED;
    c->asking--;
    /* Those who come meanwhile find the answer. */
    e->accepted = answer == IM_IDENTITY_ACCEPTED;
    e->until_ms = uv_now(c->loop) + (e->accepted ? c->ttl_ms : IM_IDENTITY_REFUSED_MS);
    while ((w = e->waits) != NULL) {
        e->waits = w->next;
        if (w->next != NULL)
            w->next->link = &e->waits;
        w->fn(w->arg, answer, error);
        free(w);
    }
    if (answer == IM_IDENTITY_UNKNOWN || e->forgotten)
        drop(e);
}

static struct entry *ask(struct im_identity *c, const uint8_t digest[IM_IDENTITY_DIGEST],
                         struct slice id, struct slice token, struct slice client_address)
{
    struct entry *e;

    if (id.len > ID_MAX_BYTES || c->asking >= ASKING_MAX || !make_room(c))
        return NULL;
    e = calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->owner = c;
    memcpy(e->digest, digest, IM_IDENTITY_DIGEST);
    memcpy(e->id, id.ptr, id.len);
    e->id_len = id.len;
    HASH_ADD(hh, c->entries, digest, IM_IDENTITY_DIGEST, e);
    if (e->owner == NULL) {
        free(e);
        return NULL;
    }
    if (rest_me_for(c->rest, id, token, client_address, on_me, e) == NULL) {
        drop(e);
        return NULL;
    }
    c->asking++;
    return e;
}

bool im_identity_ask(struct im_identity *c, struct slice user_id, struct slice token,
                     struct slice client_address, im_identity_fn fn, void *arg,
                     enum im_identity_answer *answer, struct im_identity_wait **wait)
{
    uint8_t digest[IM_IDENTITY_DIGEST];
    struct im_identity_wait *w;
    struct entry *e;

    *wait = NULL;
    if (!im_identity_digest(user_id, token, digest))
        return false;
    e = find(c, digest);
    if (e != NULL && e->until_ms != 0 && e->until_ms <= uv_now(c->loop)) {
        drop(e);
        e = NULL;
    }
    if (e != NULL && e->until_ms != 0) {
        *answer = e->accepted ? IM_IDENTITY_ACCEPTED : IM_IDENTITY_REFUSED;
        return true;
    }
    w = calloc(1, sizeof *w);
    if (w == NULL)
        return false;
    if (e == NULL)
        e = ask(c, digest, user_id, token, client_address);
    if (e == NULL) {
        free(w);
        return false;
    }
    *w = (struct im_identity_wait){e->waits, &e->waits, fn, arg};
    if (w->next != NULL)
        w->next->link = &w->next;
    e->waits = w;
    *wait = w;
    return false;
}

void im_identity_abandon(struct im_identity_wait *w)
{
    *w->link = w->next;
    if (w->next != NULL)
        w->next->link = w->link;
    free(w);
}

void im_identity_forget_digest(struct im_identity *c, const uint8_t digest[IM_IDENTITY_DIGEST])
{
    struct entry *e = find(c, digest);

    if (e != NULL && e->until_ms != 0)
        drop(e);
    else if (e != NULL)
        e->forgotten = true;
}

void im_identity_forget(struct im_identity *c, struct slice user_id, struct slice token)
{
    uint8_t digest[IM_IDENTITY_DIGEST];

    if (im_identity_digest(user_id, token, digest))
        im_identity_forget_digest(c, digest);
}
