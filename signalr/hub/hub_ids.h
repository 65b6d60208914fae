/* signalr/hub/hub_ids.h - the connections of one server by their public id.
 *
 * A set of pointers with open addressing: about 16 bytes a connection, where a linked table would
 * cost 60. The ids are the connections' own, not copied. Grows by doubling, never shrinks. */
#ifndef SIGNALR_HUB_HUB_IDS_H
#define SIGNALR_HUB_HUB_IDS_H

#include "base/slice.h"

struct hub_connection;

struct hub_ids {
    struct hub_connection **slots; /* NULL: free */
    size_t cap, count;             /* cap: a power of two, or 0 */
};

bool hub_ids_add(struct hub_ids *ids, struct hub_connection *c);    /* false: no memory */
void hub_ids_remove(struct hub_ids *ids, struct hub_connection *c); /* not in it: nothing */
struct hub_connection *hub_ids_find(const struct hub_ids *ids, struct slice id); /* NULL: none */
void hub_ids_free(struct hub_ids *ids);

#endif
