/* tests/bench/load_token.h - the JWTs of the load client's users. */
#ifndef TESTS_BENCH_LOAD_TOKEN_H
#define TESTS_BENCH_LOAD_TOKEN_H

#include <stddef.h>

/* An HS256 token for user number `user`: sub "id-uN", name "uN", valid for a day. issuer is also
 * the audience. Cut to cap, which 512 bytes never need. */
void load_token(const char *key, const char *issuer, unsigned user, char *out, size_t cap);

#endif
