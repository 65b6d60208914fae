#include "tests/bench/ddp_answers.h"
#include "tests/bench/bench_ws.h"
#include "tests/bench/ddp_data.h"
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static unsigned generation = 1; /* part of every token; counted up by a revocation */
static unsigned stalled_first = 1, stalled_last;
static uint64_t logins;

void answers_revoke(void)
{
    generation++;
}

void answers_stall(unsigned first, unsigned last)
{
    stalled_first = first;
    stalled_last = last;
}

bool answers_stalled(unsigned user)
{
    return user >= stalled_first && user <= stalled_last;
}

uint64_t answers_logins(void)
{
    return logins;
}

/* ---- names and tokens ---- */

static unsigned user_of_name(const char *name)
{
    unsigned user;
    char end;

    if (name == NULL || sscanf(name, "u%u%c", &user, &end) != 1 || user >= DATA_MAX_USERS)
        return ANSWERS_NO_USER;
    return user;
}

static unsigned user_of_token(const char *token)
{
    unsigned user, when;

    if (token == NULL || sscanf(token, "token-%u-%u", &user, &when) != 2 || when != generation ||
        user >= DATA_MAX_USERS)
        return ANSWERS_NO_USER;
    return user;
}

static void add_token(struct bytes *out, unsigned user)
{
    bytes_text(out, "token-%06u-%06u-%028u", user, generation, 0); /* 43, as Meteor's */
}

static void add_user(struct bytes *out, unsigned user)
{
    char uid[DATA_ID_LEN + 1];

    data_user_id(user, uid);
    bytes_text(out,
               "\"_id\":\"%s\",\"username\":\"u%u\",\"name\":\"User %u\",\"active\":true,"
               "\"roles\":[\"user\"],\"status\":\"online\",\"type\":\"user\"",
               uid, user, user);
}

/* ---- DDP ---- */

static void send_text(struct peer *p, struct bytes *text)
{
    uint8_t head[WS_HEAD_MAX];
    struct bytes frame = {0};

    bytes_add(&frame, head, ws_head(head, WS_TEXT, text->len, false));
    bytes_add(&frame, text->data, text->len);
    peer_send(p, frame.data, frame.len);
    bytes_drop(&frame, frame.len);
    bytes_drop(text, text->len);
}

static void send_line(struct peer *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void send_line(struct peer *p, const char *format, ...)
{
    char text[1024];
    struct bytes out = {0};
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bytes_add(&out, text, (size_t)len);
    send_text(p, &out);
}

static void answer_login(struct peer *p, struct ddp_login *login, const char *id, json_t *how)
{
    const char *token = json_string_value(json_object_get(how, "resume"));
    const char *name = json_string_value(json_object_get(json_object_get(how, "user"), "username"));
    struct bytes out = {0};
    char uid[DATA_ID_LEN + 1];

    login->user = token != NULL ? user_of_token(token) : user_of_name(name);
    if (login->user == ANSWERS_NO_USER) {
        send_line(
            p,
            "{\"msg\":\"result\",\"id\":\"%s\",\"error\":{\"isClientSafe\":true,\"error\":403,"
            "\"reason\":\"You've been logged out by the server. Please log in again.\","
            "\"message\":\"[403]\",\"errorType\":\"Meteor.Error\"}}",
            id);
        send_line(p, "{\"msg\":\"updated\",\"methods\":[\"%s\"]}", id);
        return;
    }
    logins += token == NULL;
    data_user_id(login->user, uid);
    bytes_text(&out, "{\"msg\":\"added\",\"collection\":\"users\",\"id\":\"%s\",\"fields\":{", uid);
    add_user(&out, login->user);
    bytes_text(&out, "}}");
    send_text(p, &out);
    send_line(p, "{\"msg\":\"updated\",\"methods\":[\"%s\"]}", id);
    bytes_text(&out, "{\"msg\":\"result\",\"id\":\"%s\",\"result\":{\"id\":\"%s\",\"token\":\"", id,
               uid);
    add_token(&out, login->user);
    bytes_text(&out, "\",\"tokenExpires\":{\"$date\":4102444800000},\"type\":\"%s\"}}",
               token != NULL ? "resume" : "password");
    send_text(p, &out);
}

/* Without a date the whole list, with one what changed since: nothing. */
static void answer_list(struct peer *p, const char *id, json_t *since,
                        void (*add)(struct bytes *out, unsigned user), unsigned user)
{
    struct bytes out = {0};

    bytes_text(&out, "{\"msg\":\"result\",\"id\":\"%s\",\"result\":", id);
    if (since != NULL)
        bytes_text(&out, "{\"update\":[],\"remove\":[]}");
    else
        add(&out, user);
    bytes_text(&out, "}");
    send_text(p, &out);
    send_line(p, "{\"msg\":\"updated\",\"methods\":[\"%s\"]}", id);
}

static void answer_method(struct peer *p, struct ddp_login *login, json_t *message, const char *id)
{
    const char *method = json_string_value(json_object_get(message, "method"));
    json_t *first = json_array_get(json_object_get(message, "params"), 0);

    if (method == NULL)
        return;
    if (strcmp(method, "login") == 0) {
        answer_login(p, login, id, first);
    } else if (strcmp(method, "subscriptions/get") == 0) {
        answer_list(p, id, first, data_add_subscriptions, login->user);
    } else if (strcmp(method, "rooms/get") == 0) {
        answer_list(p, id, first, data_add_rooms, login->user);
        login->asked_rooms = true;
    } else if (strcmp(method, "messages/get") == 0) { /* the frames left nothing out */
        send_line(
            p, "{\"msg\":\"result\",\"id\":\"%s\",\"result\":{\"updated\":[],\"deleted\":[]}}", id);
        send_line(p, "{\"msg\":\"updated\",\"methods\":[\"%s\"]}", id);
    } else if (strcmp(method, "logout") == 0) {
        send_line(p, "{\"msg\":\"result\",\"id\":\"%s\"}", id);
    } else {
        send_line(
            p,
            "{\"msg\":\"result\",\"id\":\"%s\",\"error\":{\"isClientSafe\":true,\"error\":404,"
            "\"reason\":\"Method not found\",\"errorType\":\"Meteor.Error\"}}",
            id);
    }
}

void answer_ddp(struct peer *p, struct ddp_login *login, const uint8_t *text, size_t len)
{
    static unsigned sessions;
    json_t *message = json_loadb((const char *)text, len, 0, NULL);
    const char *msg = json_string_value(json_object_get(message, "msg"));
    const char *id = json_string_value(json_object_get(message, "id"));

    if (msg == NULL) {
        json_decref(message);
        return;
    }
    if (strcmp(msg, "connect") == 0) {
        send_line(p, "{\"msg\":\"connected\",\"session\":\"ses%014u\"}", ++sessions);
    } else if (strcmp(msg, "ping") == 0) {
        if (id != NULL)
            send_line(p, "{\"msg\":\"pong\",\"id\":\"%s\"}", id);
        else
            send_line(p, "{\"msg\":\"pong\"}");
    } else if (strcmp(msg, "sub") == 0 && id != NULL) {
        login->ready++;
        send_line(p, "{\"msg\":\"ready\",\"subs\":[\"%s\"]}", id);
    } else if (strcmp(msg, "unsub") == 0 && id != NULL) {
        send_line(p, "{\"msg\":\"nosub\",\"id\":\"%s\"}", id);
    } else if (strcmp(msg, "method") == 0 && id != NULL) {
        answer_method(p, login, message, id);
    }
    json_decref(message);
}

/* ---- REST ---- */

static void respond(struct peer *p, unsigned status, struct bytes *body)
{
    struct bytes out = {0};

    bytes_text(&out,
               "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
               status, status == 200 ? "OK" : "No", body->len);
    bytes_add(&out, body->data, body->len);
    peer_send(p, out.data, out.len);
    bytes_drop(&out, out.len);
    bytes_drop(body, body->len);
}

static void rest_login(struct peer *p, const char *text, size_t len)
{
    json_t *root = json_loadb(text, len, 0, NULL);
    const char *name = json_string_value(json_object_get(root, "username"));
    unsigned user;
    struct bytes body = {0};
    char uid[DATA_ID_LEN + 1];

    if (name == NULL)
        name = json_string_value(json_object_get(root, "user"));
    user = user_of_name(name);
    json_decref(root);
    if (answers_stalled(user))
        return;
    if (user == ANSWERS_NO_USER) {
        bytes_text(&body, "{\"status\":\"error\",\"error\":\"Unauthorized\",\"message\":"
                          "\"Unauthorized\"}");
        respond(p, 401, &body);
        return;
    }
    logins++;
    data_user_id(user, uid);
    bytes_text(&body, "{\"status\":\"success\",\"data\":{\"userId\":\"%s\",\"authToken\":\"", uid);
    add_token(&body, user);
    bytes_text(&body, "\",\"me\":{");
    add_user(&body, user);
    bytes_text(&body, "}}}");
    respond(p, 200, &body);
}

static void rest_me(struct peer *p, const uint8_t *request, size_t len)
{
    char token[64] = "";
    struct bytes body = {0};
    unsigned user;

    http_header(request, len, "X-Auth-Token", token, sizeof token);
    user = user_of_token(token);
    if (user == ANSWERS_NO_USER) {
        bytes_text(&body,
                   "{\"status\":\"error\",\"message\":\"You must be logged in to do this.\"}");
        respond(p, 401, &body);
        return;
    }
    bytes_text(&body, "{\"success\":true,");
    add_user(&body, user);
    bytes_text(&body, "}");
    respond(p, 200, &body);
}

void answer_rest(struct peer *p, const uint8_t *request, size_t len, const char *body,
                 size_t body_len)
{
    struct bytes out = {0};
    char path[64] = "";

    sscanf((const char *)request, "%*s %63[^? ]", path);
    if (strcmp(path, "/api/v1/login") == 0) {
        rest_login(p, body, body_len);
    } else if (strcmp(path, "/api/v1/me") == 0) {
        rest_me(p, request, len);
    } else if (strcmp(path, "/api/v1/logout") == 0) {
        bytes_text(&out,
                   "{\"status\":\"success\",\"data\":{\"message\":\"You've been logged out!\"}}");
        respond(p, 200, &out);
    } else if (strcmp(path, "/api/info") == 0) {
        bytes_text(&out, "{\"version\":\"7.10\",\"success\":true}");
        respond(p, 200, &out);
    } else {
        bytes_text(&out, "{\"success\":false,\"error\":\"Not found\"}");
        respond(p, 404, &out);
    }
}
