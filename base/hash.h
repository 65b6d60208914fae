/* base/hash.h - keyed hash for tables whose keys peers choose (SipHash-1-3).
 *
 * The key is drawn once per process before threads start, so nobody can aim at one bucket.
 * uthash users: #define HASH_FUNCTION(key, len, out) (out) = (unsigned)hash_bytes((key), (len)) */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

void hash_seed(const uint8_t key[16]); /* before the first hash_bytes; tests pass a fixed key */
void hash_key(uint8_t key[16]);        /* the one in use */
uint64_t hash_bytes(const void *data, size_t len);
/* The same in every process (FNV-1a), for what is compared with the past; not for tables. */
uint64_t hash_stable(const void *data, size_t len);

#endif
