/* bridge/im_proxy/im_counts.h - how many calls run, in all and for each caller: those of the proxy,
 * or those of the routes of ABP's shape.
 *
 * The shards of the process share one, so that the limits hold wherever a caller's sockets are.
 * Any thread; touched when a call comes and goes. */
#ifndef BRIDGE_IM_PROXY_IM_COUNTS_H
#define BRIDGE_IM_PROXY_IM_COUNTS_H

#include "base/slice.h"

struct im_counts;
struct im_count;

struct im_counts *im_counts_new(void);    /* NULL: no memory */
void im_counts_free(struct im_counts *c); /* nothing is counted any more; NULL is fine */

enum im_counts_take { IM_COUNTS_OK, IM_COUNTS_FULL, IM_COUNTS_CALLER_FULL, IM_COUNTS_NOMEM };

/* One more of caller's, unless that passes a limit. OK: *count is for im_counts_drop(). */
enum im_counts_take im_counts_take(struct im_counts *c, struct slice caller, unsigned most,
                                   unsigned most_of_caller, struct im_count **count);
void im_counts_drop(struct im_counts *c, struct im_count *count); /* NULL is fine */

#endif
