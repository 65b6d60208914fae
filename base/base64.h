/* base/base64.h - RFC 4648 base64 and base64url.
 *
 * encode pads BASE64_STD, not BASE64_URL, writes a NUL behind and returns the length without it:
 * out must hold BASE64_LEN(len) + 1. decode takes either alphabet's text as told, padding optional,
 * no white space, and refuses trailing bits that are not zero (one text, one meaning); false:
 * malformed or cap too small. */
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
