/* bridge/hub/hub_method.h - the hub methods a tab may call: arguments, and what each becomes at
 * Rocket.Chat.
 *
 * One table (hub_method.c) is the whole truth: name, arguments, the DDP method with a template for
 * its params, and the REST call that stands in where Rocket.Chat has no such method (any more).
 * Pure; nothing is built from a text but by json_slice, nothing of it is trusted.
 *
 * Templates are JSON with
 *   $n      the nth argument's JSON; null where it was not given
 *   ~n      the nth argument, a string, without its quotes
 *   ?n<x>   x where the nth argument was given
 *   ^n<x>   x where it was not
 *   !n<x>   x where the nth argument is true
 *   $u      the user's Rocket.Chat name, a string
 *
 * Methods, params and answers: rocketchat.md 5.3 and 6.4, and Rocket.Chat's sources of 6.x to 8.x,
 * apps/meteor/app/lib/server/methods/{sendMessage,updateMessage,deleteMessage,joinRoom,leaveRoom,
 * getSingleMessage}.ts, app/reactions/server/setReaction.ts, server/methods/{readMessages,
 * loadHistory,createDirectMessage}.ts, packages/streamer/src/notifications.module.ts.
 * REST calls that rocketchat.md leaves out, with their bodies (no other keys are taken there):
 * chat.react {messageId, emoji, shouldReact}, apps/meteor/app/api/server/v1/chat.ts @78da2ffb and
 * @00daca25, packages/rest-typings/src/v1/chat.ts (indexed id 513969683; a 5.x one, id 775069949,
 * takes no shouldReact, but that server has the method); channels.join {roomId, joinCode?}, public
 * channels alone, as the method: v1/channels.ts @062f17bf, ChannelsJoinProps (id 745605619). */
#ifndef BRIDGE_HUB_HUB_METHOD_H
#define BRIDGE_HUB_HUB_METHOD_H

#include "base/byte_buf.h"

enum { HUB_ARGS_MAX = 5 };

enum hub_arg_kind {
    ARG_NONE,
    ARG_ROOM,   /* a room's id */
    ARG_ID,     /* a message's */
    ARG_NEW_ID, /* 17 letters and digits, as Rocket.Chat's own */
    ARG_NAME,   /* a string, not empty */
    ARG_TEXT,   /* any string */
    ARG_BOOL,
    ARG_COUNT, /* 1 to 100 */
    ARG_DATE,  /* ms since 1970, an ISO text, or {"$date":ms} */
};

/* Who carries the method out. */
enum hub_action {
    ACTION_REGISTER, /* nobody: ABP's clients call it and want no answer of sense */
    ACTION_OPEN,     /* the session's opened rooms */
    ACTION_CLOSE,
    ACTION_CALL,   /* the row's DDP method */
    ACTION_SEND,   /* the same, and a look where its answer does not tell */
    ACTION_TYPING, /* the same, and a look before which of the user's names is needed */
    ACTION_ROOMS,  /* two lists, joined */
    ACTION_NAMED,  /* the DDP method that the first argument names */
};

enum hub_result {
    RESULT_NOTHING, /* null */
    RESULT_VALUE,   /* as it came */
    RESULT_ITEMS,   /* a stream of the messages in it */
};

struct hub_arg {
    enum hub_arg_kind kind;
    const char *fallback; /* JSON; NULL: without one it was not given */
};

struct hub_method {
    const char *name;
    enum hub_action action;
    enum hub_result result;
    unsigned needed; /* arguments that must be given */
    struct hub_arg args[HUB_ARGS_MAX];
    const char *method, *params; /* DDP */
    const char *route, *body;    /* REST, a POST below /api/v1/; NULL: there is none */
    const char *member;          /* of the REST answer, what the DDP result is; NULL: all of it */
};

const struct hub_method *hub_method_find(struct slice name); /* without case; NULL: none */
const struct hub_method *hub_method_table(size_t *count);
bool hub_method_is_stream(const struct hub_method *m);

struct hub_args {
    struct slice given[HUB_ARGS_MAX]; /* raw JSON, of the text or static; ptr NULL: not given */
    struct slice more;                /* ACTION_NAMED: what stands behind the first, with commas */
    char date[40];
};

/* json: the raw array of a call. False: too few, too many, or one of the wrong kind. The slices
 * point into json and out. */
bool hub_args_parse(const struct hub_method *m, struct slice json, struct hub_args *out);
/* The raw text between the quotes of an argument that is a string. */
struct slice hub_args_text(const struct hub_args *args, unsigned n);

void hub_method_write(const char *template, const struct hub_args *args, struct slice user,
                      struct byte_buf *out);

#endif
