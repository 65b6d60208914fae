#include "tests/bench/ddp_data.h"
#include "tests/bench/bench_ws.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Seven digits for ever: a counter that grew one would move everything behind it. */
enum { FIRST_COUNT = 1000000, LAST_COUNT = 9999999, FRAME_BYTES = 1200, FRAME_CAP = 2048 };

static unsigned rooms;
static uint32_t *counts[DATA_MAX_USERS]; /* messages in each room of each user */
static unsigned turn[DATA_MAX_USERS];    /* whose room is next */
static uint64_t messages;

static struct {
    uint8_t bytes[FRAME_CAP];
    size_t len, payload;                         /* payload: where it begins */
    size_t uid, rid[2], id, count, ms[4], stamp; /* where what changes lies */
    size_t message, message_end;
} frame;

void bytes_text(struct bytes *b, const char *format, ...)
{
    char text[4096];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bytes_add(b, text, (size_t)len);
}

void data_user_id(unsigned user, char out[DATA_ID_LEN + 1])
{
    snprintf(out, DATA_ID_LEN + 1, "uid%014u", user);
}

static void room_id(unsigned user, unsigned room, char out[DATA_ID_LEN + 1])
{
    snprintf(out, DATA_ID_LEN + 1, "rid%06u%08u", user % 1000000, room % 100000000);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint32_t *counts_of(unsigned user)
{
    if (counts[user] == NULL) {
        counts[user] = net_alloc(rooms * sizeof(uint32_t));
        for (unsigned i = 0; i < rooms; i++)
            counts[user][i] = FIRST_COUNT;
    }
    return counts[user];
}

/* ---- documents ---- */

static unsigned long long listed_ms; /* the rooms' date: they do not change by being listed */

void data_add_subscriptions(struct bytes *out, unsigned user)
{
    const unsigned long long ms = now_ms();
    char uid[DATA_ID_LEN + 1], rid[DATA_ID_LEN + 1];

    data_user_id(user, uid);
    bytes_text(out, "[");
    for (unsigned i = 0; i < rooms; i++) {
        room_id(user, i, rid);
        bytes_text(out,
                   "%s{\"_id\":\"sub%s\",\"rid\":\"%s\",\"t\":\"p\",\"name\":\"room-%u\","
                   "\"fname\":\"Room %u\",\"u\":{\"_id\":\"%s\",\"username\":\"u%u\",\"name\":"
                   "\"User %u\"},\"open\":true,\"alert\":false,\"unread\":0,\"userMentions\":0,"
                   "\"groupMentions\":0,\"ts\":{\"$date\":%llu},\"ls\":{\"$date\":%llu},"
                   "\"lr\":{\"$date\":%llu},\"roles\":[\"owner\"],\"f\":false,"
                   "\"_updatedAt\":{\"$date\":%llu}}",
                   i == 0 ? "" : ",", rid + 3, rid, i, i, uid, user, user, ms, ms, ms, ms);
    }
    bytes_text(out, "]");
}

void data_add_rooms(struct bytes *out, unsigned user)
{
    const unsigned long long ms = listed_ms;
    char uid[DATA_ID_LEN + 1], rid[DATA_ID_LEN + 1];

    data_user_id(user, uid);
    bytes_text(out, "[");
    for (unsigned i = 0; i < rooms; i++) {
        room_id(user, i, rid);
        bytes_text(out,
                   "%s{\"_id\":\"%s\",\"t\":\"p\",\"name\":\"room-%u\",\"fname\":\"Room %u\","
                   "\"usersCount\":3,\"msgs\":%u,\"u\":{\"_id\":\"%s\",\"username\":\"u%u\"},"
                   "\"ro\":false,\"sysMes\":true,\"ts\":{\"$date\":%llu},\"lm\":{\"$date\":%llu},"
                   "\"lastMessage\":{\"_id\":\"old%s\",\"rid\":\"%s\",\"msg\":\"before\","
                   "\"ts\":{\"$date\":%llu},\"u\":{\"_id\":\"%s\",\"username\":\"u%u\"},"
                   "\"_updatedAt\":{\"$date\":%llu}},\"_updatedAt\":{\"$date\":%llu}}",
                   i == 0 ? "" : ",", rid, i, i, counts_of(user)[i], uid, user, ms, ms, rid + 3,
                   rid, ms, uid, user, ms, ms);
    }
    bytes_text(out, "]");
}

/* ---- frames ---- */

/* Puts the next piece of the template down; returns where it begins. */
static size_t put(const char *text)
{
    const size_t at = frame.len, len = strlen(text);

    memcpy(frame.bytes + at, text, len);
    frame.len += len;
    return at;
}

static size_t put_date(const char *before)
{
    size_t at;

    put(before);
    put("{\"$date\":");
    at = put("0000000000000");
    put("}");
    return at;
}

static void make_template(void)
{
    static const char id[] = "00000000000000000",
                      text[] = "a text of about the length that people write in a chat room";

    frame.len = frame.payload = ws_head(frame.bytes, WS_TEXT, FRAME_BYTES, false);
    put("{\"msg\":\"changed\",\"collection\":\"stream-notify-user\",\"id\":\"id\",\"fields\":"
        "{\"eventName\":\"");
    frame.uid = put(id);
    put("/rooms-changed\",\"args\":[\"updated\",{\"_id\":\"");
    frame.rid[0] = put(id);
    put("\",\"t\":\"p\",\"name\":\"ops-room\",\"fname\":\"Ops room\",\"usersCount\":3,\"msgs\":");
    frame.count = put("1000000");
    put(",\"u\":{\"_id\":\"uAna000000000001x\",\"username\":\"ana\"},\"ro\":false,\"sysMes\":true,"
        "\"default\":false");
    frame.ms[0] = put_date(",\"lm\":");
    put(",\"lastMessage\":");
    frame.message = put("{\"_id\":\"");
    frame.id = put(id);
    put("\",\"rid\":\"");
    frame.rid[1] = put(id);
    put("\",\"msg\":\"");
    frame.stamp = put("@ns:0000000000000000000");
    put(" ");
    put(text);
    put("\"");
    frame.ms[1] = put_date(",\"ts\":");
    put(",\"u\":{\"_id\":\"uAna000000000001x\",\"username\":\"ana\",\"name\":\"Ana Ruiz\"}");
    frame.ms[2] = put_date(",\"_updatedAt\":");
    put(",\"urls\":[],\"mentions\":[],\"channels\":[],\"md\":[{\"type\":\"PARAGRAPH\",\"value\":"
        "[{\"type\":\"PLAIN_TEXT\",\"value\":\"h\\u00e9llo \"},{\"type\":\"MENTION_USER\","
        "\"value\":{\"type\":\"PLAIN_TEXT\",\"value\":\"bruno\"}},{\"type\":\"PLAIN_TEXT\","
        "\"value\":\" ");
    put(text);
    put("\"}]}]");
    frame.message_end = put("}") + 1;
    frame.ms[3] = put_date(",\"_updatedAt\":");
    put(",\"topic\":\"");
    while (frame.len < frame.payload + FRAME_BYTES - 6)
        put("x");
    put("\"}]}}");
    while (frame.len < frame.payload + FRAME_BYTES)
        put(" ");
}

void data_init(unsigned rooms_of_each_user)
{
    listed_ms = now_ms();
    rooms = rooms_of_each_user;
    make_template();
}

static void patch(size_t at, uint64_t number, size_t digits)
{
    for (size_t i = digits; i > 0; i--, number /= 10)
        frame.bytes[at + i - 1] = (uint8_t)('0' + number % 10);
}

const uint8_t *data_frame(unsigned user, bool timed)
{
    char uid[DATA_ID_LEN + 1], rid[DATA_ID_LEN + 1];
    const unsigned room = turn[user]++ % rooms;
    uint32_t *count = &counts_of(user)[room];
    const uint64_t ms = now_ms();

    *count = *count == LAST_COUNT ? FIRST_COUNT : *count + 1;
    data_user_id(user, uid);
    room_id(user, room, rid);
    memcpy(frame.bytes + frame.uid, uid, DATA_ID_LEN);
    for (size_t i = 0; i < sizeof frame.rid / sizeof frame.rid[0]; i++)
        memcpy(frame.bytes + frame.rid[i], rid, DATA_ID_LEN);
    for (size_t i = 0; i < sizeof frame.ms / sizeof frame.ms[0]; i++)
        patch(frame.ms[i], ms, 13);
    patch(frame.id, ++messages, DATA_ID_LEN);
    patch(frame.count, *count, 7);
    memcpy(frame.bytes + frame.stamp, timed ? WS_MARK : "----", WS_MARK_LEN);
    patch(frame.stamp + WS_MARK_LEN, net_now_ns(), WS_STAMP_LEN - WS_MARK_LEN);
    return frame.bytes;
}

size_t data_frame_len(void)
{
    return frame.len;
}

void data_message_place(size_t *offset, size_t *len)
{
    *offset = frame.message - frame.payload;
    *len = frame.message_end - frame.message;
}
