/* bridge/identity/refused_tokens.h - the latest refused tokens and whose they say they are, so that
 * an operator can be told why a user has no connection.
 *
 * What a refused token says is proven by nothing: it is shown, and decides nothing. Bounded: the
 * oldest makes room, and one user refused for the same reason again takes no further place. One a
 * shard; zeroed is empty. */
#ifndef BRIDGE_IDENTITY_REFUSED_TOKENS_H
#define BRIDGE_IDENTITY_REFUSED_TOKENS_H

#include "base/slice.h"
#include <stdint.h>

#define REFUSED_TOKENS_MAX 64
#define REFUSED_TOKEN_NAME_MAX 320

struct refused_token {
    char key[REFUSED_TOKEN_NAME_MAX + 1];      /* user key */
    char username[REFUSED_TOKEN_NAME_MAX + 1]; /* Rocket.Chat's; may be empty */
    const char *reason;                        /* static text: which check failed */
    char address[64];
    uint64_t at_ms; /* of the latest */
    unsigned times; /* 0: a free place */
};

struct refused_tokens {
    struct refused_token rows[REFUSED_TOKENS_MAX];
};

/* Longer texts are cut. */
void refused_tokens_note(struct refused_tokens *t, struct slice key, struct slice username,
                         const char *reason, struct slice address, uint64_t now_ms);
/* The latest by user key or Rocket.Chat user name; NULL: none. */
const struct refused_token *refused_tokens_find(const struct refused_tokens *t, struct slice who);

#endif
