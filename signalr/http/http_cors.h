/* signalr/http/http_cors.h - which origins may read our answers, and which may open a WebSocket.
 *
 * Pure. Origins are compared exactly, byte for byte: browsers send them in one normal form. With
 * credentials "*" counts for nothing, so what a preflight asks for is echoed (Fetch standard, "CORS
 * protocol and credentials"). A preflight never carries the bearer token: nobody authenticates it.
 */
#ifndef SIGNALR_HTTP_HTTP_CORS_H
#define SIGNALR_HTTP_HTTP_CORS_H

#include "signalr/http/http_server.h"

struct byte_buf;

/* listed: NULL-terminated, NULL itself is an empty list. */
bool http_cors_listed(const char *const *listed, struct slice origin);

/* OPTIONS with Origin and Access-Control-Request-Method. */
bool http_cors_is_preflight(const struct http_view *v);

/* Appends header lines (each with its CR LF) that every answer to v gets; with an empty list, none.
 */
void http_cors_answer(const char *const *listed, const struct http_view *v, struct byte_buf *out);
/* Those a preflight's answer gets besides. */
void http_cors_preflight(const char *const *listed, const struct http_view *v,
                         struct byte_buf *out);

/* WebSockets have no CORS; the server looks itself. True: no Origin (not a browser), the origin of
 * the request's own host (scheme aside: TLS may end in front of us), or a listed one. */
bool http_cors_upgrade_allowed(const char *const *listed, const struct http_view *v);

#endif
