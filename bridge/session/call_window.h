/* bridge/session/call_window.h - how often one DDP connection may call each method.
 *
 * Rocket.Chat takes 10 calls of a method in 10 s by one connection, of a stream 40 in 40 s,
 * subscriptions included; beyond that it answers with an error, which counts as well (rocketchat.md
 * 7.1). Here no span of that length ever sees more, so a caller hears from us how long to wait.
 * Methods that the session itself needs leave it a part. Pure. */
#ifndef BRIDGE_SESSION_CALL_WINDOW_H
#define BRIDGE_SESSION_CALL_WINDOW_H

#include <stdint.h>

struct call_window;

struct call_windows { /* zero-initialised is empty */
    struct call_window *first;
    unsigned count;
};

/* 0: taken, the call may be sent. Else in so many ms. */
uint64_t call_windows_take(struct call_windows *w, const char *method, uint64_t now_ms);
void call_windows_free(struct call_windows *w);

#endif
