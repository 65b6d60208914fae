/* signalr/http/http_head.h - read one complete request head, and refuse what may be read two ways.
 *
 * Pure. The bytes have passed llhttp in strict mode already (http_parse.c); what it lets through
 * and we do not is refused here: a missing or second Host, folded lines, bare CR or LF, control
 * bytes, two lengths of any kind, transfer codings other than chunked, a body on a WebSocket
 * upgrade. Everything is checked again that this code relies on, so the function is safe on any
 * bytes.
 *
 * RFC 9110 (semantics), 9112 (messages); section numbers beside the rules in http_head.c. */
#ifndef SIGNALR_HTTP_HTTP_HEAD_H
#define SIGNALR_HTTP_HTTP_HEAD_H

#include "signalr/http/http_server.h"

#define HTTP_HEAD_MAX_HEADERS 128

struct http_head {
    enum http_method method;
    unsigned minor; /* HTTP/1.minor */
    struct slice path, query;
    struct slice host;           /* from an absolute-form target, else the Host field */
    struct http_header *headers; /* owned; the slices point into raw */
    size_t nheaders;
    uint64_t content_length;
    bool has_length, chunked;
    bool lacks_length; /* the method has a body: 411 */
    bool keep_alive;
    bool expect_continue;
    bool
        upgrade_websocket; /* Upgrade: websocket with Connection: upgrade; GET, HTTP/1.1, no body */
};

struct http_fault {
    int status;      /* the answer */
    const char *why; /* plain words, static, no peer bytes */
};

/* raw: request line to the empty line. True: *head is filled; free it with http_head_free().
 * False: *fault says why. */
bool http_head_read(struct slice raw, struct http_head *head, struct http_fault *fault);
/* What can be read of a head that broke, or was never finished, so that its refusal is in the words
 * of its route and can be read by its page: the request line, and the fields of the good lines
 * behind it. No more may be made of it: framing and host are not looked at, and what stood further
 * on may have said otherwise. False: not even the request line, or no memory. Free *head likewise.
 */
bool http_head_salvage(struct slice raw, struct http_head *head);
void http_head_free(struct http_head *head);

bool http_method_find(struct slice name, enum http_method *out); /* case matters: RFC 9110 9.1 */
bool http_is_tchar(char c);                                      /* RFC 9110 5.6.2 */

/* The next member of a comma-separated list, trimmed; empty members are skipped. False: no more. */
bool http_list_next(struct slice *rest, struct slice *member);

#endif
