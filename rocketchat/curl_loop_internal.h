/* rocketchat/curl_loop_internal.h - libcurl's multi_socket interface on a libuv loop.
 *
 * libcurl says which sockets to watch and when to wake it; this translates to uv_poll and uv_timer.
 * `finished` is called from the loop, never inside curl_loop_add. */
#ifndef ROCKETCHAT_CURL_LOOP_INTERNAL_H
#define ROCKETCHAT_CURL_LOOP_INTERNAL_H

#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

struct curl_loop;

/* The transfer is over and already out of the multi handle; the owner cleans easy up. */
typedef void (*curl_loop_fn)(void *arg, CURL *easy, CURLcode code);

/* 0, or a negative libuv error. */
int curl_loop_new(uv_loop_t *loop, long max_connections, curl_loop_fn finished, void *arg,
                  struct curl_loop **out);
bool curl_loop_add(struct curl_loop *l, CURL *easy);    /* false: no memory */
void curl_loop_remove(struct curl_loop *l, CURL *easy); /* before the end; finished is not called */
/* No transfers left. done is called later, once. */
void curl_loop_free(struct curl_loop *l, void (*done)(void *arg), void *arg);

#endif
