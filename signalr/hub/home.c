#include "signalr/hub/home.h"
#include "base/hash.h"

unsigned home_of(struct slice token, unsigned nshards)
{
    return (unsigned)(hash_bytes(token.ptr, token.len) % nshards);
}
