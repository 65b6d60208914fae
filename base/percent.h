/* base/percent.h - percent-encoding (RFC 3986, 2.1). Pure. */
#ifndef BASE_PERCENT_H
#define BASE_PERCENT_H

#include "base/byte_buf.h"

/* Appends plain with everything encoded that is not unreserved: fit for a path's part, or for a
 * query's name or value. */
void percent_encode(struct byte_buf *out, struct slice plain);

#endif
