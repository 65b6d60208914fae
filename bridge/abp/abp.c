#include "bridge/abp/abp.h"

#include "base/json_slice.h"
#include "bridge/abp/abp_call_internal.h"
#include "bridge/abp/abp_params.h"
#include "bridge/admin/metrics.h"
#include "bridge/identity/rc_account.h"
#include "bridge/log/log.h"
#include "bridge/program.h"
#include "bridge/provisioning/password_policy.h"
#include "bridge/shard.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Verbs by ABP's convention, from the name's first word (abp.md 2.2). */
static const struct {
    const char *action;
    enum http_method verb;
    enum abp_action what;
} own[] = {
    {"Im/Authenticate", HTTP_POST_, ABP_AUTHENTICATE},
    {"Im/Logout", HTTP_POST_, ABP_LOGOUT},
    {"Im/GetStatus", HTTP_GET_, ABP_GET_STATUS},
    {"Im/CreateUser", HTTP_POST_, ABP_CREATE_USER},
    {"Im/DeleteUser", HTTP_DELETE_, ABP_DELETE_USER},
};

/* What stands behind the base path; false: the path is another's. */
static bool action_of(const struct shard *s, const struct http_view *v, struct slice *action)
{
    struct slice base = slice_of(s->program->settings->abp.base_path);

    if (!s->program->settings->abp.enabled || v->path.len <= base.len ||
        v->path.ptr[base.len] != '/' ||
        !slice_eq_nocase((struct slice){v->path.ptr, base.len}, base))
        return false;
    *action = (struct slice){v->path.ptr + base.len + 1, v->path.len - base.len - 1};
    return true;
}

bool abp_is_for(const struct shard *s, const struct http_view *v)
{
    struct slice action;

    return action_of(s, v, &action);
}

static void refuse(struct abp *a, struct http_request *req, int status, const char *message)
{
    const struct abp_error error = {.status = status, .message = message};

    abp_answer(a, req, &error, (struct slice){0});
}

/* ---- who may ---- */

/* An administrator's role, where it counts: those of a tenant would act on everybody's chat. */
static bool is_admin(const struct settings *set, const struct user_caller *caller,
                     const char *const *roles)
{
    return (set->abp.tenant_admins || caller->who.identity->tenant[0] == '\0') &&
           user_has_role(set, caller, roles);
}

static bool is_allowed(const struct settings *set, const struct user_caller *caller,
                       enum abp_action what, const struct abp_row *row)
{
    const char *const *admins = (const char *const *)set->abp.admin_roles.items;
    const char *const *roles = row == NULL ? NULL : (const char *const *)row->roles;

    if (what == ABP_CREATE_USER || what == ABP_DELETE_USER)
        return is_admin(set, caller, admins);
    if (row == NULL)
        return true;
    if (row->as_admin)
        return is_admin(set, caller, roles == NULL ? admins : roles);
    return roles == NULL || user_has_role(set, caller, roles);
}

/* ---- what is asked of Rocket.Chat ---- */

static void fail_input(struct abp_call *c, const char *message, const char *member)
{
    const struct abp_error error = {.status = 400, .message = message, .member = member};

    abp_fail(c, &error);
}

static bool set_path(struct abp_call *c, const char *path)
{
    c->path = strdup(path);
    return c->path != NULL;
}

static void start_if(struct abp_call *c, bool memory)
{
    static const struct abp_error overload = {
        .status = 500, .code = 503, .message = "The bridge is overloaded. Please try again."};

    if (memory && !byte_buf_failed(&c->body) && !byte_buf_failed(&c->query))
        abp_call_start(c);
    else
        abp_fail(c, &overload);
}

/* The names nobody is mapped to are not made, nor removed, either. */
static bool is_reserved(const struct abp_call *c, struct slice name)
{
    const struct shard *s = c->abp->shard;

    return rc_account_is_reserved(s->program->rules.account, name) ||
           session_table_is_admin_name(s->sessions, name);
}

/* The bridge's own account would remove itself, and with it what all of this rests on. */
static bool is_reserved_id(const struct abp_call *c, struct slice user_id)
{
    return slice_eq(user_id, SLICE_LIT("rocket.cat")) ||
           session_table_is_admin(c->abp->shard->sessions, user_id);
}

static bool is_reserved_raw(const struct abp_call *c, struct slice raw)
{
    char *name = malloc(raw.len + 1);
    size_t len = 0;
    bool reserved = name == NULL || !json_string_unescape(raw, name, raw.len + 1, &len) ||
                    is_reserved(c, (struct slice){name, len});

    free(name);
    return reserved;
}

/* The one the bridge will log the user in with. */
static bool write_password(void *arg, struct slice raw_username, struct byte_buf *out)
{
    const struct settings *set = arg;
    char *username = malloc(raw_username.len + 1), made_up[PASSWORD_POLICY_BYTES];
    struct slice password = {0};
    size_t len;

    if (username != NULL &&
        json_string_unescape(raw_username, username, raw_username.len + 1, &len))
        password = password_policy_new(set, (struct slice){username, len}, made_up);
    if (password.len > 0)
        json_write_string(out, password);
    explicit_bzero(made_up, sizeof made_up);
    free(username);
    return password.len > 0;
}

static void create_user(struct abp_call *c, const struct http_view *v)
{
    const struct settings *set = c->abp->shard->program->settings;
    const struct abp_user_defaults defaults = {write_password, (void *)(uintptr_t)set};
    struct abp_new_user user;
    const char *member, *error;

    byte_buf_reserve(&c->body, v->body.len + 2048); /* a password goes in: no stray copies */
    error = abp_params_new_user(v->body, &defaults, &c->body, &user, &member);
    c->as_admin = c->post = true;
    if (error != NULL)
        fail_input(c, error, member);
    else if (is_reserved_raw(c, user.username))
        fail_input(c, "This user name is reserved.", "username");
    else
        start_if(c, set_path(c, "users.create"));
}

static bool query_text(struct slice query, const char *name, char *out, size_t cap,
                       struct slice *text)
{
    struct slice raw;

    *text = (struct slice){out, 0};
    return http_query_get(query, name, &raw) && http_percent_decode(raw, out, cap, &text->len) &&
           text->len > 0;
}

static void delete_user(struct abp_call *c, const struct http_view *v)
{
    char text[RC_ACCOUNT_MAX_BYTES], yes[8];
    struct slice who, confirmed;
    bool by_id = query_text(v->query, "userId", text, sizeof text, &who);
    bool by_name = !by_id && query_text(v->query, "username", text, sizeof text, &who);

    c->as_admin = c->post = true;
    if (!by_id && !by_name) {
        fail_input(c, "Rocket.Chat's userId, or the username, is required.", "userId");
        return;
    }
    if (by_name ? is_reserved(c, who) : is_reserved_id(c, who)) {
        fail_input(c, "This user is reserved.", by_name ? "username" : "userId");
        return;
    }
    byte_buf_puts(&c->body, by_id ? "{\"userId\":" : "{\"username\":");
    json_write_string(&c->body, who);
    if (query_text(v->query, "confirmRelinquish", yes, sizeof yes, &confirmed) &&
        slice_eq_nocase(confirmed, SLICE_LIT("true")))
        byte_buf_puts(&c->body, ",\"confirmRelinquish\":true");
    byte_buf_putc(&c->body, '}');
    start_if(c, set_path(c, "users.delete"));
}

static void call_mapped(struct abp_call *c, const struct http_view *v, const struct abp_row *row)
{
    const char *error;

    c->as_admin = row->as_admin;
    c->post = row->post;
    error = c->post ? abp_params_for_post(v->query, v->body, &c->body)
                    : abp_params_for_get(v->query, v->body, &c->query);
    if (error != NULL)
        fail_input(c, error, NULL);
    else
        start_if(c, set_path(c, row->path));
}

/* ---- routing ---- */

static bool find(const struct shard *s, enum http_method verb, struct slice action,
                 enum abp_action *what, const struct abp_row **row, char allow[48])
{
    *row = NULL;
    allow[0] = '\0';
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (!slice_eq_nocase(action, slice_of(own[i].action)))
            continue;
        *what = own[i].what;
        snprintf(allow, 48, "%s", abp_verb_name(own[i].verb));
        return own[i].verb == verb;
    }
    *what = ABP_MAPPED;
    *row = abp_map_find(s->program->abp_map, verb, action, allow);
    return *row != NULL;
}

static void answer_405(struct abp *a, struct http_request *req, const char *allow)
{
    const struct http_header header = {SLICE_LIT("Allow"), slice_of(allow)};
    const struct abp_error error = {.status = 405, .message = "The route has other verbs."};
    struct byte_buf body = {0};

    abp_envelope_error(&body, &error);
    metrics_inc(a->shard->metrics, METRIC_ABP_REFUSED);
    http_respond(req, &(struct http_response){.status = 405,
                                              .content_type = "application/json",
                                              .body = byte_buf_slice(&body),
                                              .headers = &header,
                                              .nheaders = 1});
    byte_buf_free(&body);
}

void abp_handle(struct shard *s, struct http_request *req)
{
    const struct http_view *v = http_request_view(req);
    const struct settings *set = s->program->settings;
    struct slice action = {0};
    enum abp_action what;
    const struct abp_row *row;
    struct user_caller caller;
    struct abp_call *c;
    char allow[48];

    action_of(s, v, &action);
    if (!find(s, v->method, action, &what, &row, allow)) {
        if (allow[0] != '\0')
            answer_405(s->abp, req, allow);
        else
            refuse(s->abp, req, 404, "There is no such route.");
        return;
    }
    if (!user_call(s, v, &caller)) {
        refuse(s->abp, req, 401, "You are not logged in.");
        return;
    }
    if (!is_allowed(set, &caller, what, row)) {
        log_info("abp_refused", LOG_ID("user", slice_of(caller.who.identity->user_key)),
                 LOG_SLICE("action", action));
        refuse(s->abp, req, 403, "You have not the role for this.");
    } else if ((c = abp_call_new(s->abp, req, what, &caller)) != NULL) {
        if (what == ABP_CREATE_USER)
            create_user(c, v);
        else if (what == ABP_DELETE_USER)
            delete_user(c, v);
        else if (row != NULL)
            call_mapped(c, v, row);
        else
            abp_call_start(c);
    }
    user_call_free(&caller);
}

void abp_gone(struct http_request *req)
{
    struct abp_call *c = http_request_data(req);

    if (c != NULL)
        abp_call_gone(c);
}
