/* signalr/hub/hub_inbox.h - hub messages out of a byte stream, with memory only while one is cut
 * off.
 *
 * Bytes come in pieces of any size. Whole messages are handed out where they stand; only a message
 * whose end has not come yet is copied, and its memory goes when it is complete. Zero-initialised
 * is empty. */
#ifndef SIGNALR_HUB_HUB_INBOX_H
#define SIGNALR_HUB_HUB_INBOX_H

#include "base/slice.h"
#include <stdint.h>

struct hub_inbox {
    char *_bytes; /* NULL: no message is cut off */
    uint32_t _len, _cap;
    bool _whole; /* _bytes was handed out and goes at the next call */
};

enum hub_inbox_result {
    HUB_INBOX_MESSAGE,
    HUB_INBOX_EMPTY, /* all bytes are taken; come back with more */
    HUB_INBOX_TOO_LARGE,
    HUB_INBOX_NOMEM,
};

/* Takes from the front of *bytes. *body is borrowed until the next call with the same inbox, and no
 * longer than the bytes it may point into. max_message counts the separator. */
enum hub_inbox_result hub_inbox_next(struct hub_inbox *in, struct slice *bytes, size_t max_message,
                                     struct slice *body);
void hub_inbox_free(struct hub_inbox *in); /* leaves it empty */

#endif
