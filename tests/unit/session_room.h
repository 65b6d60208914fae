/* tests/unit/session_room.h - room r1 of a session's tests. Message N, two digits, was written N
 * seconds after the beginning, and is the room's Nth. */
#ifndef TESTS_UNIT_SESSION_ROOM_H
#define TESTS_UNIT_SESSION_ROOM_H

#define DATE(n) "{\"$date\":17000000" #n "000}"
#define MESSAGE(n)                                                                                 \
    "{\"_id\":\"m" #n                                                                              \
    "\",\"rid\":\"r1\",\"msg\":\"hi\",\"ts\":" DATE(n) ",\"_updatedAt\":" DATE(n) "}"
#define ROOM(n)                                                                                    \
    "{\"_id\":\"r1\",\"msgs\":" #n ",\"_updatedAt\":" DATE(n) ",\"lastMessage\":" MESSAGE(n) "}"

#endif
