#include "signalr/hub/hub_token.h"
#include "base/base64.h"
#include "signalr/hub/home.h"
#include <sys/random.h>

enum {
    RANDOM_BYTES = 16,
    BATCH = 16, /* 256 bytes: as much as getrandom() gives in one piece, always */
};

bool hub_token_draw(char out[HUB_TOKEN_LEN], unsigned shard, unsigned nshards)
{
    uint8_t random[BATCH][RANDOM_BYTES];
    char text[BASE64_LEN(RANDOM_BYTES) + 1];
    /* One shard takes the first draw, so don't ask for more than that. */
    const size_t want = nshards == 1 ? RANDOM_BYTES : sizeof random;

    for (;;) {
        if (getrandom(random, want, 0) != (ssize_t)want)
            return false;
        for (size_t i = 0; i < want / RANDOM_BYTES; i++) {
            base64_encode(BASE64_URL, random[i], RANDOM_BYTES, text);
            if (home_of((struct slice){text, HUB_TOKEN_LEN}, nshards) == shard) {
                memcpy(out, text, HUB_TOKEN_LEN);
                return true;
            }
        }
    }
}
