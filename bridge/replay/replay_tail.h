/* bridge/replay/replay_tail.h - what a connection counts as having received, by the setting
 * PushBridge:Replay:Tail. Pure. */
#ifndef BRIDGE_REPLAY_REPLAY_TAIL_H
#define BRIDGE_REPLAY_REPLAY_TAIL_H

#include "bridge/settings/settings.h"
#include "signalr/hub/hub_receipt.h"

/* A number, or HUB_RECEIPT_UNKNOWN. receipt: closed; floor, length: as in hub_receipt_before().
 * length NULL: nobody knows any, so that most which lack something are unknown. */
uint64_t replay_tail_position(enum settings_replay_tail tail, const struct hub_receipt *receipt,
                              uint64_t floor, uint32_t (*length)(void *arg, uint64_t number),
                              void *arg);

#endif
