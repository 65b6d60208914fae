/* bridge/identity/jwt_keys.h - the set of keys tokens are verified with.
 *
 * A set is filled by the one who made it, then published: from the first jwt_keys_ref() on it never
 * changes, so threads share it without a lock, each holding its own reference. A JWKS refresh makes
 * a new set (jwt_keys_copy of the settings' keys, plus the document's) and every shard swaps its
 * reference when the message arrives.
 *
 * Keys have an index in their set, for counters, and a label that outlives the set. Copies keep the
 * order, so the settings' keys have the same index in every set. */
#ifndef BRIDGE_IDENTITY_JWT_KEYS_H
#define BRIDGE_IDENTITY_JWT_KEYS_H

#include "bridge/identity/jwt_key.h"

/* A token without kid is tried against every key of its kind: this bounds what it can cost. */
#define JWT_KEYS_MAX 32

struct jwt_keys;

enum jwt_keys_result {
    JWT_KEYS_VERIFIED,
    JWT_KEYS_UNKNOWN,  /* no key with this kid, or none of the algorithm's kind: worth a refresh */
    JWT_KEYS_MISMATCH, /* a key that should fit says no */
};

struct jwt_keys *jwt_keys_new(void);                        /* NULL: no memory */
struct jwt_keys *jwt_keys_copy(const struct jwt_keys *set); /* unpublished; shares the keys */
struct jwt_keys *jwt_keys_ref(struct jwt_keys *set);
void jwt_keys_unref(struct jwt_keys *set); /* NULL is fine */

/* Takes the caller's reference to key, also on failure. False: the set is full. */
bool jwt_keys_add(struct jwt_keys *set, struct jwt_key *key);

/* Every public key ("PUBLIC KEY", "RSA PUBLIC KEY") and certificate in a PEM text; at least one.
 * A private key is refused: it has no business here. Certificates give their key only, dates and
 * issuer aren't looked at: the operator vouches for the file. The keys have no kid. */
enum jwt_key_result jwt_keys_add_pem(struct jwt_keys *set, struct slice pem, struct slice label);
/* The same from a file of at most 256 KiB; JWT_KEY_MALFORMED when it can't be read. */
enum jwt_key_result jwt_keys_add_pem_file(struct jwt_keys *set, const char *path);

unsigned jwt_keys_count(const struct jwt_keys *set);
const struct jwt_key *jwt_keys_at(const struct jwt_keys *set, unsigned index); /* borrowed */

/* Keys with the token's kid are asked; when there are none, or the token names no kid, those
 * without kid (respectively all). Keys are asked only for algorithms of their kind. *index: who
 * said yes. */
enum jwt_keys_result jwt_keys_verify(const struct jwt_keys *set, enum jwt_alg alg, struct slice kid,
                                     struct slice signing_input, struct slice signature,
                                     unsigned *index);

#endif
