/* bridge/session/event_map.h - Rocket.Chat's events as the hub messages that the frontend knows.
 *
 *   a message, first seen          getRoomMessageNotification(message)
 *   a later version of it          getRoomMessageUpdatedNotification(message), or the same target
 *                                  again, or nothing: Events:Updates
 *   subscriptions-changed          getRoomSubscriptionChangedNotification({"msg":doc,"method":m})
 *   an ephemeral message           getEphemeralMessageNotification(message)
 *   a reply that only its thread shows, first seen
 *                                  getThreadMessageNotification(message)
 *   a message that is gone         getRoomMessageDeletedNotification({"_id":id,"rid":rid})
 *   a session that is not live     bridgeStatus({"state":s,"code":c,"retryAfter":seconds})
 *   a gap                          resyncRequired({"rid":room or null,"reason":r})
 *
 * Further ones: further_events.h. Pure. Arguments are the bytes that came (dates may have been
 * converted before: Events:Dates), with one exception: a removed subscription's
 * document without a rid gets it as its first member. Each function returns one reference, the
 * caller's; NULL: no memory. Rules: design section 5. */
#ifndef BRIDGE_SESSION_EVENT_MAP_H
#define BRIDGE_SESSION_EVENT_MAP_H

#include "bridge/settings/settings.h"
#include "rocketchat/rc_event.h"
#include "signalr/protocol/hub_buf.h"

struct hub_buf *event_map_message(const struct rc_message *m);
/* updates: SEPARATE or SAME. */
struct hub_buf *event_map_message_update(const struct rc_message *m, enum settings_updates updates);
struct hub_buf *event_map_thread_message(const struct rc_message *m);
struct hub_buf *event_map_deleted(struct slice rid, struct slice id); /* raw texts */
struct hub_buf *event_map_ephemeral(const struct rc_message *m);

/* A room's change in the shape of a subscription event: Events:SubscriptionShape=room. */
struct hub_buf *event_map_room(const struct rc_event *event, bool raw_methods);
struct hub_buf *event_map_room_to(struct slice target, const struct rc_event *event,
                                  bool raw_methods); /* the same, to another target */

/* event->kind is RC_EVENT_SUBSCRIPTION. rid: raw text, what we remember; used where the document of
 * a removal has none; empty: not known either. raw_methods: Rocket.Chat's own word ("inserted")
 * instead of insert, update, remove. */
struct hub_buf *event_map_subscription(const struct rc_event *event, struct slice rid,
                                       bool raw_methods);

/* state: a word of ours. code: NULL or empty becomes null. retry_after_ms: 0 becomes null; told in
 * whole seconds, rounded up. */
struct hub_buf *event_map_status(const char *state, const char *code, uint64_t retry_after_ms);
/* rid: raw text; empty: all rooms. reason: a word of ours. */
struct hub_buf *event_map_resync(struct slice rid, const char *reason);

#endif
