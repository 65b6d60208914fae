/* One connection's WebSocket by libwebsockets 4.1.6, the client half of it only. The callback below
 * tells the connector what happened. A socket that the connector has let go of politely lingers: it
 * sends its close frame and waits for the answer; one without a user pointer is of no interest. */
#include "rocketchat/ddp_connector_internal.h"
#include <fcntl.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

_Static_assert(LWS_PRE <= DDP_OUT_HEADROOM, "libwebsockets writes its header before the bytes");

enum {
    /* Bytes a read takes and a chunk has: most frames then need one read and no copy. */
    RX_CHUNK_BYTES = 1408,
    /* libwebsockets allocates and clears two tables of this many entries, and scans one at every
     * close. Beyond 10 million, as in many containers, it silently falls back to 2,560. */
    FDS_MAX = 1 << 18,
};

/* All zero: no pings of its own. Its timers are one sorted list, so each pong would cost a walk
 * along all connections; we keep our own liveness deadline. */
static const lws_retry_bo_t no_pings;

/* Contexts share state of the process (log level, plugin, OpenSSL indexes). */
static uv_mutex_t process_lock;
static uv_once_t process_once = UV_ONCE_INIT;
static bool tls_initialised;

static void init_process(void)
{
    uv_mutex_init(&process_lock);
}

static void lock_process(void)
{
    uv_once(&process_once, init_process);
    uv_mutex_lock(&process_lock);
}

/* Their addresses are the user pointer of a socket that no connector has any more: */
static char lingering; /* it lingers */
static char forgetful; /* it dies behind this, and forgets its poll handle */

static void let_linger(struct lws *wsi, struct ddp_connector *c)
{
    lws_set_opaque_user_data(wsi, &lingering);
    c->client->nlingering++;
    c->wsi = NULL;
}

/* --- what libwebsockets tells --- */

/* Never anything but 0 from here, even if that was the end: having been told to close in the middle
 * of a frame, libwebsockets 4.1.6 goes on to fill its full receive buffer with what still comes,
 * past its end. The turn closes from outside. */
static int on_receive(struct lws *wsi, struct ddp_connector *c, const void *in, size_t len)
{
    if (c->state == DDP_ENDING)
        return 0;
    if (lws_frame_is_binary(wsi))
        ddp_connector_end(c, DDP_END_MALFORMED, LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE,
                          "a binary frame");
    else
        ddp_connector_chunk(c, (struct slice){in, len}, lws_remaining_packet_payload(wsi),
                            lws_is_final_fragment(wsi));
    return 0;
}

static int on_writable(struct lws *wsi, struct ddp_connector *c)
{
    while (c->out != NULL && c->state != DDP_ENDING) {
        struct ddp_out *out = c->out;
        int n = lws_write(wsi, out->bytes + DDP_OUT_HEADROOM, out->len, LWS_WRITE_TEXT);

        /* What the kernel didn't take of it is kept by libwebsockets. */
        if (n < 0 || (size_t)n < out->len)
            return -1;
        ddp_connector_pop_out(c);
        if (c->out != NULL && lws_send_pipe_choked(wsi)) {
            lws_callback_on_writable(wsi);
            break;
        }
    }
    return 0;
}

/* in: the close frame's payload. libwebsockets shows the codes 1012 to 1014 as 1002. */
static int on_peer_close(struct lws *wsi, struct ddp_connector *c, const unsigned char *in,
                         size_t len)
{
    char reason[160];
    unsigned code = len >= 2 ? (unsigned)in[0] << 8 | in[1] : LWS_CLOSE_STATUS_NO_STATUS;

    snprintf(reason, sizeof reason, "closed by the server%s%.*s", len > 2 ? ": " : "",
             len > 2 ? (int)len - 2 : 0, len > 2 ? (const char *)in + 2 : "");
    let_linger(wsi, c); /* libwebsockets answers */
    if (c->state != DDP_ENDING)
        ddp_connector_lost(c, code, reason);
    return 0;
}

static void poll_closed(uv_handle_t *handle)
{
    free(handle);
}

/* libwebsockets 4.1.6 forgets its poll handle when a TCP connection could not be made: the handle
 * would stay in the loop for good. */
static void close_forgotten_poll(uv_handle_t *poll)
{
    if (poll != NULL && !uv_is_closing(poll))
        uv_close(poll, poll_closed);
}

/* It is about to, as can be told by the socket, which is closed already: a server took the
 * connection and reset it before libwebsockets asked how it went. First it stops the handle once
 * more, which a closing one is not for: the wsi's end is the moment. That comes in the same call,
 * before anybody could open a descriptor of the handle's number on this loop. */
static void will_forget_poll(struct lws *wsi, struct ddp_connector *c)
{
    c->client->forgotten_poll = c->wsi_poll;
    lws_set_opaque_user_data(wsi, &forgetful);
}

/* Why the attempt failed, in words for an operator. in: libwebsockets' own. */
static void describe_failure(struct lws *wsi, const struct ddp_connector *c, const char *in,
                             char *out, size_t cap)
{
    socklen_t len = sizeof(int);
    int fd = lws_get_socket_fd(wsi), error = 0;

    if (fd >= 0)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (c->client->tls_problem != NULL)
        snprintf(out, cap, "certificate: %s", c->client->tls_problem);
    else if (c->http_status != 0 && c->http_status != 101)
        snprintf(out, cap, "HTTP status %u", c->http_status);
    else if (strncmp(in, "connect SSL", 11) == 0) /* and a number that says nothing */
        snprintf(out, cap, "TLS handshake failed");
    else if (error != 0)
        snprintf(out, cap, "%s", uv_strerror(uv_translate_sys_error(error)));
    else if (strncmp(in, "proxy", 5) == 0)
        snprintf(out, cap, "the proxy did not connect");
    else
        snprintf(out, cap, "%s", in);
}

static void on_connect_error(struct lws *wsi, struct ddp_connector *c, const char *in)
{
    char reason[160];

    describe_failure(wsi, c, in == NULL ? "connection failed" : in, reason, sizeof reason);
    c->client->tls_problem = NULL;
    if (lws_get_socket_fd(wsi) < 0)
        will_forget_poll(wsi, c);
    else
        lws_set_opaque_user_data(wsi, NULL);
    c->wsi = NULL;
    if (c->state != DDP_ENDING)
        ddp_connector_lost(c, LWS_CLOSE_STATUS_ABNORMAL_CLOSE, reason);
}

static void on_gone(struct ddp_connector *c)
{
    c->wsi = NULL;
    if (c->state != DDP_ENDING)
        ddp_connector_lost(c, LWS_CLOSE_STATUS_ABNORMAL_CLOSE, "connection lost");
}

/* The outcome is what is left in the store's error. */
static int on_verify(struct ddp_client *client, X509_STORE_CTX *store, bool good)
{
    if (!good && !client->options.tls_verify)
        X509_STORE_CTX_set_error(store, X509_V_OK);
    else if (!good)
        client->tls_problem = X509_verify_cert_error_string(X509_STORE_CTX_get_error(store));
    return 0;
}

static int dispatch(struct lws *wsi, struct ddp_connector *c, enum lws_callback_reasons reason,
                    void *in, size_t len)
{
    switch (reason) {
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        on_connect_error(wsi, c, in);
        return 0;
    case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP: /* not yet: any answer to the upgrade */
        c->http_status = lws_http_client_http_response(wsi);
        return 0;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        if (c->state != DDP_ENDING) /* else closed by an earlier event of the same poll */
            ddp_connector_opened(c);
        return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return on_receive(wsi, c, in, len);
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
        ddp_connector_heard(c);
        return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return on_writable(wsi, c);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        return on_peer_close(wsi, c, in, len);
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_WSI_DESTROY:
        lws_set_opaque_user_data(wsi, NULL);
        on_gone(c);
        return 0;
    default:
        return 0;
    }
}

static void end_without_connector(struct ddp_client *client, const void *how)
{
    if (how == &lingering) {
        client->nlingering--;
    } else {
        close_forgotten_poll(client->forgotten_poll);
        client->forgotten_poll = NULL;
    }
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    void *c;

    switch (reason) {
    case LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION:
        return on_verify(lws_context_user(lws_get_context(wsi)), user, len != 0);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
    case LWS_CALLBACK_CLIENT_RECEIVE:
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
    case LWS_CALLBACK_CLIENT_WRITEABLE:
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_WSI_DESTROY:
        break;
    default: /* much of it is told about a wsi that is none */
        return 0;
    }
    c = lws_get_opaque_user_data(wsi);
    if (c != NULL && c != &lingering && c != &forgetful)
        return dispatch(wsi, c, reason, in, len);
    if (c != NULL && reason == LWS_CALLBACK_WSI_DESTROY)
        end_without_connector(lws_context_user(lws_get_context(wsi)), c);
    return 0;
}

/* --- what the connector wants --- */

static uv_handle_t *handle_of(void *node)
{
    return (uv_handle_t *)(void *)((char *)node - offsetof(uv_handle_t, handle_queue));
}

/* libwebsockets' poll handles are its own. Those that we must know are found by when the loop got
 * them: libuv appends to its queue. */
static uv_handle_t *newest_handle(const uv_loop_t *loop)
{
    return handle_of(loop->handle_queue[1]);
}

static uv_handle_t *poll_made_since(const uv_loop_t *loop, const uv_handle_t *before)
{
    for (uv_handle_t *h = newest_handle(loop); h != before; h = handle_of(h->handle_queue[1]))
        if (h->type == UV_POLL)
            return h;
    return NULL;
}

/* libwebsockets takes the proxy from the vhost: the address it shall connect to this time. */
static void use_proxy(struct ddp_client *client, const char *address)
{
    char proxy[256];
    bool v6 = strchr(address, ':') != NULL;

    snprintf(proxy, sizeof proxy, "%s%s%s%s%s:%u",
             client->proxy_auth != NULL ? client->proxy_auth : "",
             client->proxy_auth != NULL ? "@" : "", v6 ? "[" : "", address, v6 ? "]" : "",
             (unsigned)client->proxy_port);
    lws_set_proxy(client->vhost, proxy);
}

bool ddp_socket_connect(struct ddp_connector *c, const char *address)
{
    struct ddp_client *client = c->client;
    struct lws_client_connect_info info = {
        .context = client->context,
        .vhost = client->vhost,
        .address = client->proxy_host != NULL ? client->connect_host : address,
        .port = client->options.port,
        .path = client->options.path,
        .host = client->host_header,
        .alpn = "http/1.1",
        .local_protocol_name = "ddp",
        .retry_and_idle_policy = &no_pings,
        /* The name is checked by the SSL_CTX (ddp_tls.c); a redirect is an error. */
        .ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT | LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK |
                          (client->tls != NULL ? LCCSCF_USE_SSL : 0),
    };
    const uv_handle_t *before = newest_handle(client->loop);
    uv_handle_t *poll;

    if (client->proxy_host != NULL)
        use_proxy(client, address);
    /* The user pointer comes afterwards: on failure nothing could take it back. */
    c->wsi = lws_client_connect_via_info(&info);
    poll = poll_made_since(client->loop, before);
    if (c->wsi == NULL) {
        client->tls_problem = NULL;
        close_forgotten_poll(poll);
        return false;
    }
    lws_set_opaque_user_data(c->wsi, c);
    c->wsi_poll = poll;
    return true;
}

void ddp_socket_wants_write(struct ddp_connector *c)
{
    if (c->wsi != NULL)
        lws_callback_on_writable(c->wsi);
}

void ddp_socket_drop(struct ddp_connector *c, unsigned code)
{
    struct lws *wsi = c->wsi;

    if (wsi == NULL)
        return;
    if (code != 0 && c->http_status == 101) {
        lws_close_reason(wsi, (enum lws_close_status)code, NULL, 0);
        let_linger(wsi, c);
    } else {
        lws_set_opaque_user_data(wsi, NULL);
        c->wsi = NULL;
    }
    /* With a close reason set it is no kill: the frame goes out, 5 s are left for the answer. */
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}

/* --- the context --- */

static bool create(struct ddp_client *client)
{
    static const struct lws_protocols protocols[] = {
        {.name = "ddp", .callback = callback, .rx_buffer_size = RX_CHUNK_BYTES},
        {0},
    };
    void *loops[] = {client->loop};
    int timeout_s = (int)(client->options.connect_timeout_ms / 1000) + 5; /* ours comes first */
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .foreign_loops = loops,
        .gid = -1,
        .uid = -1,
        .user = client,
        .protocols = protocols,
        .vhost_name = "ddp",
        .timeout_secs = (unsigned)timeout_s,
        .connect_timeout_secs = (unsigned)timeout_s,
        .retry_and_idle_policy = &no_pings,
        .provided_client_ssl_ctx = client->tls,
        .http_proxy_address = "", /* not NULL, or the environment's would be taken */
    };
    const uv_handle_t *before = newest_handle(client->loop);

    /* Each global initialisation moves the index under which libwebsockets finds its own in an SSL:
     * handshakes under way on other shards would fail. Once is enough. */
    if (client->tls != NULL && !tls_initialised)
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    client->context = lws_create_context(&info);
    if (client->context == NULL)
        return false;
    client->event_poll = poll_made_since(client->loop, before);
    if (client->tls != NULL) {
        tls_initialised = true;
        info.options |=
            LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT; /* of the vhost: it takes our SSL_CTX */
    }
    client->vhost = lws_create_vhost(client->context, &info);
    return client->vhost != NULL;
}

bool ddp_socket_init(struct ddp_client *client)
{
    struct rlimit limit, low;
    bool lowered = false, ok;

    lock_process();
    lws_set_log_level(0, NULL);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > FDS_MAX) {
        low = limit;
        low.rlim_cur = FDS_MAX;
        lowered = setrlimit(RLIMIT_NOFILE, &low) == 0;
    }
    ok = create(client);
    if (lowered)
        setrlimit(RLIMIT_NOFILE, &limit);
    uv_mutex_unlock(&process_lock);
    return ok;
}

/* --- its end --- */

/* Twice: the first call starts to close what is open, the second frees. */
static void destroy(struct ddp_client *client)
{
    lock_process();
    lws_context_destroy(client->context);
    uv_mutex_unlock(&process_lock);
}

/* libwebsockets 4.1.6 closes the descriptor of a context's events twice: at once, and by its number
 * when the poll handle is gone, a turn of the loop later. By then the number may be another
 * thread's descriptor. So the handle's end is kept back until the number is ours, for libwebsockets
 * to close it. */
static void on_event_poll_closed(uv_handle_t *poll)
{
    struct ddp_client *client = lws_context_user(lws_get_context(poll->data));

    client->event_poll_closed = true;
}

/* True: the number is taken, by us. */
static bool take_number(struct ddp_client *client)
{
    int got = fcntl(uv_backend_fd(client->loop), F_DUPFD_CLOEXEC, client->event_number);

    if (got == client->event_number)
        return true;
    if (got >= 0)
        close(got);
    return false;
}

void ddp_socket_destroy_begin(struct ddp_client *client)
{
    uv_handle_t *poll = client->event_poll;

    if (poll == NULL || uv_fileno(poll, &client->event_number) != 0)
        abort(); /* a context without events: not this libwebsockets */
    destroy(client);
    client->event_number_taken = take_number(client);
    client->close_event_poll = poll->close_cb;
    poll->close_cb = on_event_poll_closed;
}

/* False: not yet. */
static bool close_events(struct ddp_client *client)
{
    if (!client->event_number_taken)
        client->event_number_taken = take_number(client);
    if (!client->event_number_taken || !client->event_poll_closed)
        return false;
    client->close_event_poll(client->event_poll);
    client->event_poll = NULL;
    return true;
}

struct search {
    const void *context;
    bool found;
};

static void look_at(uv_handle_t *handle, void *arg)
{
    struct search *s = arg;

    s->found |= handle->data == s->context;
}

/* On a foreign loop, libwebsockets closes its handles over several turns and does not tell when it
 * is through. Two of them, which it closes last, point to the context. */
bool ddp_socket_destroy_done(struct ddp_client *client)
{
    struct search s = {.context = client->context};

    if (client->event_poll != NULL && !close_events(client))
        return false;
    uv_walk(client->loop, look_at, &s);
    if (s.found)
        return false;
    destroy(client);
    client->context = NULL;
    return true;
}
