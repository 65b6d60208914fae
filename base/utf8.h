/* base/utf8.h - UTF-8 validity (RFC 3629: no overlongs, no surrogates, nothing past U+10FFFF).
 *
 * Incremental: feed chunks in order; a sequence may be cut anywhere. Fails at the first byte that
 * can't belong, as RFC 6455 wants for text messages. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct utf8_check {
    uint8_t _need;       /* continuation bytes still missing */
    uint8_t _low, _high; /* bounds of the next one */
};

void utf8_check_init(struct utf8_check *u);
bool utf8_check_feed(struct utf8_check *u, const void *data, size_t len); /* false: invalid */
bool utf8_check_done(const struct utf8_check *u);                         /* nothing is cut off */
bool utf8_valid(const void *data, size_t len);

#endif
