/* rocketchat/rc_list.h - into the list that subscriptions/get or rooms/get answered.
 *
 * By DDP [...] or {"update":[...],"remove":[...]}, by REST the latter with an envelope. Facts:
 * rocketchat.md 6.2, 6.4. */
#ifndef ROCKETCHAT_RC_LIST_H
#define ROCKETCHAT_RC_LIST_H

#include "base/json_slice.h"

/* r stands before the answer, which is valid JSON. True: it stands in the list now, for
 * json_next_item(). False: there is none. */
bool rc_list_enter(struct json_reader *r);

#endif
