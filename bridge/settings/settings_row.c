/* bridge/settings/settings_row.c - how one table row reads, prints and frees its field. */
#include "base/json_slice.h"
#include "base/utf8.h"
#include "bridge/settings/settings_map.h"
#include "bridge/settings/settings_syntax.h"
#include "bridge/settings/settings_table.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static void *field(const struct settings_row *row, const struct settings *s)
{
    return (char *)s + row->offset;
}

static void put_seconds(struct byte_buf *out, int64_t ms)
{
    byte_buf_printf(out, "%" PRId64, ms / 1000);
    if (ms % 1000 != 0) {
        byte_buf_printf(out, ".%03" PRId64, ms % 1000);
        while (out->data != NULL && out->data[out->len - 1] == '0')
            out->len--;
    }
}

static void put_choices(struct byte_buf *out, const char *const *choices)
{
    if (choices[1] != NULL)
        byte_buf_puts(out, "one of ");
    for (size_t i = 0; choices[i] != NULL; i++)
        byte_buf_printf(out, "%s%s", i == 0 ? "" : ", ", choices[i]);
}

void settings_row_allowed(const struct settings_row *row, struct byte_buf *out)
{
    switch (row->type) {
    case SETTING_STRING:
        if (row->min == row->max)
            byte_buf_printf(out, "text of %" PRId64 " bytes", row->max);
        else if (row->min > 0)
            byte_buf_printf(out, "text of %" PRId64 " to %" PRId64 " bytes", row->min, row->max);
        else
            byte_buf_printf(out, "text of at most %" PRId64 " bytes", row->max);
        break;
    case SETTING_LIST:
    case SETTING_LISTEN:
        if (row->min > 0)
            byte_buf_printf(out, "a list of %" PRId64 " to %" PRId64 " values", row->min, row->max);
        else
            byte_buf_printf(out, "a list of at most %" PRId64 " values", row->max);
        break;
    case SETTING_COUNT:
    case SETTING_BYTES:
        byte_buf_printf(out, "%s from %" PRId64 " to %" PRId64,
                        row->type == SETTING_BYTES ? "bytes" : row->unit, row->min, row->max);
        break;
    case SETTING_SECONDS:
        byte_buf_puts(out, "seconds from ");
        put_seconds(out, row->min);
        byte_buf_puts(out, " to ");
        put_seconds(out, row->max);
        break;
    case SETTING_BOOL:
        byte_buf_puts(out, "true or false");
        break;
    case SETTING_ENUM:
        put_choices(out, row->choices);
        break;
    }
}

static void put_must_be(const struct settings_row *row, struct byte_buf *out)
{
    byte_buf_puts(out, "must be ");
    settings_row_allowed(row, out);
}

/* Digits, and a point with more digits, in thousandths. Beyond fifteen digits before the point
 * nothing is in anyone's bounds. */
static bool parse_thousandths(const char *text, int64_t *out)
{
    int64_t value = 0;
    unsigned digits = 0, decimals = 0;

    for (; isdigit((unsigned char)*text); text++) {
        if (++digits > 15)
            return false;
        value = value * 10 + (*text - '0');
    }
    if (digits == 0)
        return false;
    if (*text == '.') {
        for (text++; isdigit((unsigned char)*text); text++) {
            if (decimals < 3) {
                value = value * 10 + (*text - '0');
                decimals++;
            }
        }
    }
    for (; decimals < 3; decimals++)
        value *= 10;
    *out = value;
    return *text == '\0';
}

static bool parse_bool(const char *text, bool *out)
{
    if (strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0)
        *out = true;
    else if (strcasecmp(text, "false") == 0 || strcmp(text, "0") == 0)
        *out = false;
    else
        return false;
    return true;
}

static bool parse_enum(const char *text, const char *const *choices, unsigned *out)
{
    for (unsigned i = 0; choices[i] != NULL; i++) {
        if (strcasecmp(text, choices[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* NULL: good. */
static const char *check_item(const struct settings_row *row, char *text)
{
    const char *allowed = settings_check_text(text);

    return allowed == NULL && row->check != NULL ? row->check(text) : allowed;
}

/* Cuts text at separators into trimmed, non-empty items. The array is the caller's, the items point
 * into text. */
static char **split_items(char *text, const char *separators, size_t *count)
{
    char **items = settings_must(calloc(strlen(text) / 2 + 1, sizeof *items)), *saved = NULL;

    *count = 0;
    for (char *item = strtok_r(text, separators, &saved); item != NULL;
         item = strtok_r(NULL, separators, &saved)) {
        size_t len;

        item += strspn(item, " \t");
        len = strlen(item);
        while (len > 0 && (item[len - 1] == ' ' || item[len - 1] == '\t'))
            item[--len] = '\0';
        if (len > 0)
            items[(*count)++] = item;
    }
    return items;
}

static void list_free(struct settings_list *list, bool secret)
{
    for (size_t i = 0; i < list->count; i++) {
        if (secret)
            explicit_bzero(list->items[i], strlen(list->items[i]));
        free(list->items[i]);
    }
    free(list->items);
    *list = (struct settings_list){.items = NULL};
}

static const char *set_list(const struct settings_row *row, struct settings_list *list,
                            char *const *items, size_t count)
{
    list->items = settings_must(calloc(count + 1, sizeof *list->items));
    for (size_t i = 0; i < count; i++) {
        const char *allowed =
            items[i][0] == '\0' ? "must have no empty values" : check_item(row, items[i]);

        if (allowed != NULL)
            return allowed;
        list->items[list->count++] = settings_must(strdup(items[i]));
    }
    return NULL;
}

static const char *set_listen(struct settings_listen *listen, char *const *items, size_t count)
{
    listen->items = settings_must(calloc(count + 1, sizeof *listen->items));
    for (size_t i = 0; i < count; i++) {
        const char *allowed = listen_url_parse(slice_of(items[i]), &listen->items[listen->count]);

        if (allowed != NULL)
            return allowed;
        listen->count++;
    }
    return NULL;
}

static bool set_items(const struct settings_row *row, struct settings *s, char *const *texts,
                      size_t count, bool split, struct byte_buf *scratch)
{
    char **parts = NULL;
    const char *allowed;
    bool in_bounds;

    if (split) {
        parts = split_items(texts[0], row->type == SETTING_LISTEN ? ";," : ",", &count);
        texts = parts;
    }
    in_bounds = (int64_t)count >= row->min && (int64_t)count <= row->max;
    if (!in_bounds)
        allowed = NULL;
    else if (row->type == SETTING_LIST)
        allowed = set_list(row, field(row, s), texts, count);
    else
        allowed = set_listen(field(row, s), texts, count);
    free(parts);
    if (in_bounds && allowed == NULL)
        return true;
    if (allowed != NULL)
        byte_buf_puts(scratch, allowed);
    else
        put_must_be(row, scratch);
    settings_row_free(row, s);
    return false;
}

static bool set_string(const struct settings_row *row, char **out, char *text,
                       struct byte_buf *scratch)
{
    const char *allowed = NULL;
    int64_t len = (int64_t)strlen(text);

    if (len < row->min || len > row->max) {
        put_must_be(row, scratch);
        return false;
    }
    if (len > 0)
        allowed = check_item(row, text);
    if (allowed != NULL) {
        byte_buf_puts(scratch, allowed);
        return false;
    }
    *out = settings_must(strdup(text));
    return true;
}

bool settings_row_set(const struct settings_row *row, struct settings *s, char *const *texts,
                      size_t count, bool split, struct byte_buf *scratch)
{
    void *at = field(row, s);
    int64_t thousandths = 0;
    bool good = false;

    switch (row->type) {
    case SETTING_LIST:
    case SETTING_LISTEN:
        return set_items(row, s, texts, count, split, scratch);
    case SETTING_STRING:
        return set_string(row, at, texts[0], scratch);
    case SETTING_COUNT:
    case SETTING_BYTES:
        good = parse_thousandths(texts[0], &thousandths) && thousandths % 1000 == 0 &&
               thousandths / 1000 >= row->min && thousandths / 1000 <= row->max;
        if (good && row->type == SETTING_COUNT)
            *(uint32_t *)at = (uint32_t)(thousandths / 1000);
        else if (good)
            *(size_t *)at = (size_t)(thousandths / 1000);
        break;
    case SETTING_SECONDS:
        good = parse_thousandths(texts[0], &thousandths) && thousandths >= row->min &&
               thousandths <= row->max;
        if (good)
            *(uint32_t *)at = (uint32_t)thousandths;
        break;
    case SETTING_BOOL:
        good = parse_bool(texts[0], at);
        break;
    case SETTING_ENUM:
        good = parse_enum(texts[0], row->choices, at);
        break;
    }
    if (!good)
        put_must_be(row, scratch);
    return good;
}

static void put_list(struct byte_buf *out, const struct settings_list *list)
{
    byte_buf_putc(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            byte_buf_puts(out, ", ");
        json_write_string(out, slice_of(list->items[i]));
    }
    byte_buf_putc(out, ']');
}

static void put_listen(struct byte_buf *out, const struct settings_listen *listen)
{
    byte_buf_putc(out, '"');
    for (size_t i = 0; i < listen->count; i++)
        byte_buf_printf(out, "%s%s", i == 0 ? "" : ";", listen->items[i].text);
    byte_buf_putc(out, '"');
}

void settings_row_print(const struct settings_row *row, const struct settings *s,
                        struct byte_buf *out)
{
    const void *at = field(row, s);

    switch (row->type) {
    case SETTING_STRING:
        json_write_string(out, slice_of(*(char *const *)at));
        break;
    case SETTING_LIST:
        put_list(out, at);
        break;
    case SETTING_LISTEN:
        put_listen(out, at);
        break;
    case SETTING_COUNT:
        byte_buf_printf(out, "%" PRIu32, *(const uint32_t *)at);
        break;
    case SETTING_BYTES:
        byte_buf_printf(out, "%zu", *(const size_t *)at);
        break;
    case SETTING_SECONDS:
        put_seconds(out, *(const uint32_t *)at);
        break;
    case SETTING_BOOL:
        byte_buf_puts(out, *(const bool *)at ? "true" : "false");
        break;
    case SETTING_ENUM:
        json_write_string(out, slice_of(row->choices[*(const unsigned *)at]));
        break;
    }
}

bool settings_row_is_empty(const struct settings_row *row, const struct settings *s)
{
    const void *at = field(row, s);

    switch (row->type) {
    case SETTING_STRING:
        return (*(char *const *)at)[0] == '\0';
    case SETTING_LIST:
        return ((const struct settings_list *)at)->count == 0;
    default:
        return false;
    }
}

void settings_row_free(const struct settings_row *row, struct settings *s)
{
    char **text;
    struct settings_listen *listen;

    switch (row->type) {
    case SETTING_STRING:
        text = field(row, s);
        if (*text != NULL && row->secret)
            explicit_bzero(*text, strlen(*text));
        free(*text);
        *text = NULL;
        break;
    case SETTING_LIST:
        list_free(field(row, s), row->secret);
        break;
    case SETTING_LISTEN:
        listen = field(row, s);
        free(listen->items);
        *listen = (struct settings_listen){.items = NULL};
        break;
    default:
        break;
    }
}
