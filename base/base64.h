/* base/base64.h - RFC 4648 base64 and base64url.
 *
 * encode_url writes no padding and a NUL: cap must be at least BASE64_LEN(len) + 1. decode takes
 * either alphabet's text as told, padding optional, no white space, and refuses trailing bits that
 * are not zero (one text, one meaning); false: malformed or cap too small. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/slice.h"
#include <stdint.h>

#define BASE64_LEN(bytes) (((bytes) + 2) / 3 * 4)

enum base64_alphabet { BASE64_STD, BASE64_URL };

size_t base64_encode(enum base64_alphabet alphabet, const void *data, size_t len, char *out);
bool base64_decode(enum base64_alphabet alphabet, struct slice text, uint8_t *out, size_t cap,
                   size_t *out_len);

#endif
