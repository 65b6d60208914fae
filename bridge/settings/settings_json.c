#include "bridge/settings/settings_json.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_DEPTH 16

struct reader {
    const char *name;
    struct settings_map *map;
    struct byte_buf *errors;
    bool full; /* said once that there are too many */
};

static void blank(char *text, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (text[i] != '\n' && text[i] != '\r')
            text[i] = ' ';
}

/* Index behind the string that opens at i. */
static size_t string_end(const char *text, size_t len, size_t i)
{
    for (i++; i < len && text[i] != '"'; i++)
        if (text[i] == '\\')
            i++;
    return i < len ? i + 1 : len;
}

/* Index behind the comment that opens at i; 0: it never ends. */
static size_t comment_end(const char *text, size_t len, size_t i)
{
    const char *end;

    if (text[i + 1] == '/') {
        end = memchr(text + i, '\n', len - i);
        return end == NULL ? len : (size_t)(end - text);
    }
    end = memmem(text + i + 2, len - i - 2, "*/", 2);
    return end == NULL ? 0 : (size_t)(end - text) + 2;
}

static size_t line_of(const char *text, size_t at)
{
    size_t line = 1;

    for (size_t i = 0; i < at; i++)
        line += text[i] == '\n';
    return line;
}

size_t settings_json_blank(char *text, size_t len)
{
    char before = '[';       /* the last character that counted */
    size_t comma = SIZE_MAX; /* a comma behind a value, with nothing but blanks since */
    size_t i = 0;

    while (i < len) {
        char c = text[i];

        if (c == '/' && i + 1 < len && (text[i + 1] == '/' || text[i + 1] == '*')) {
            size_t end = comment_end(text, len, i);

            if (end == 0)
                return line_of(text, i);
            blank(text, i, end);
            i = end;
            continue;
        }
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            i++;
            continue;
        }
        if ((c == '}' || c == ']') && comma != SIZE_MAX)
            text[comma] = ' ';
        comma = c == ',' && strchr("[{,:", before) == NULL ? i : SIZE_MAX;
        before = c;
        i = c == '"' ? string_end(text, len, i) : i + 1;
    }
    return 0;
}

static void put(struct reader *r, const char *key, const char *value, enum settings_value_kind kind)
{
    switch (settings_map_put(r->map, key, value, kind, FROM_FILE)) {
    case SETTINGS_PUT_OK:
        break;
    case SETTINGS_PUT_TWICE:
        byte_buf_printf(r->errors, "%s: ", r->name);
        settings_put_key(r->errors, key);
        byte_buf_puts(r->errors, " is given twice\n");
        break;
    case SETTINGS_PUT_FULL:
        if (!r->full)
            byte_buf_printf(r->errors, "%s: more than %d settings\n", r->name,
                            SETTINGS_MAX_ENTRIES);
        r->full = true;
        break;
    }
}

static void put_real(struct reader *r, const char *key, double value)
{
    char text[400]; /* %f of the largest double has 309 digits before the point */

    snprintf(text, sizeof text, "%.6f", value);
    put(r, key, text, VALUE_REAL);
}

static void put_integer(struct reader *r, const char *key, json_int_t value)
{
    char text[32];

    snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, value);
    put(r, key, text, VALUE_INTEGER);
}

static void walk(struct reader *r, const char *path, json_t *value, unsigned depth);

static void walk_member(struct reader *r, const char *path, const char *name, json_t *value,
                        unsigned depth)
{
    char key[SETTINGS_MAX_KEY];
    int len = snprintf(key, sizeof key, "%s%s%s", path, path[0] == '\0' ? "" : ":", name);

    /* Cut off, a key is still in its section, and is reported as unknown there. */
    if (len > 0 && settings_scope_of(key) != SCOPE_FOREIGN)
        walk(r, key, value, depth);
}

static void walk_object(struct reader *r, const char *path, json_t *object, unsigned depth)
{
    for (void *i = json_object_iter(object); i != NULL; i = json_object_iter_next(object, i))
        walk_member(r, path, json_object_iter_key(i), json_object_iter_value(i), depth + 1);
}

static void walk_array(struct reader *r, const char *path, json_t *array, unsigned depth)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        char index[24];

        snprintf(index, sizeof index, "%zu", i);
        walk_member(r, path, index, json_array_get(array, i), depth + 1);
    }
    if (json_array_size(array) == 0)
        put(r, path, "", VALUE_EMPTY_LIST);
}

static void walk(struct reader *r, const char *path, json_t *value, unsigned depth)
{
    if (depth > MAX_DEPTH) {
        byte_buf_printf(r->errors, "%s: ", r->name);
        settings_put_key(r->errors, path);
        byte_buf_puts(r->errors, " is nested too deeply\n");
        return;
    }
    if (json_object_size(value) > 0 || depth == 0) {
        walk_object(r, path, value, depth);
        return;
    }
    if (settings_scope_of(path) == SCOPE_ABOVE)
        return;
    switch (json_typeof(value)) {
    case JSON_ARRAY:
        walk_array(r, path, value, depth);
        break;
    case JSON_STRING:
        put(r, path, json_string_value(value), VALUE_TEXT);
        break;
    case JSON_INTEGER:
        put_integer(r, path, json_integer_value(value));
        break;
    case JSON_REAL:
        put_real(r, path, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        put(r, path, json_is_true(value) ? "true" : "false", VALUE_BOOL);
        break;
    case JSON_OBJECT:
        put(r, path, "{}", VALUE_EMPTY_OBJECT);
        break;
    case JSON_NULL: /* as if it were not there */
        break;
    }
}

/* jansson quotes the text around the error ("invalid token near 'hunter2'"): only what precedes it
 * is fit to print. */
static int safe_length(const char *message)
{
    const char *near = strstr(message, " near ");

    return (int)(near == NULL ? strlen(message) : (size_t)(near - message));
}

bool settings_json_read(const char *name, const char *text, size_t len, struct settings_map *map,
                        struct byte_buf *errors)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    struct reader r = {.name = name, .map = map, .errors = errors};
    char *copy;
    json_t *root = NULL;
    json_error_t error;
    size_t bad_line;
    bool is_object;

    if (len >= 3 && memcmp(text, byte_order_mark, 3) == 0) {
        text += 3;
        len -= 3;
    }
    copy = settings_must(malloc(len + 1));
    memcpy(copy, text, len);
    bad_line = settings_json_blank(copy, len);
    if (bad_line != 0) {
        byte_buf_printf(errors, "%s: line %zu: the comment never ends\n", name, bad_line);
        goto done;
    }
    root = json_loadb(copy, len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        byte_buf_printf(errors, "%s: line %d, column %d: %.*s\n", name, error.line, error.column,
                        safe_length(error.text), error.text);
    else if (!json_is_object(root))
        byte_buf_printf(errors, "%s: must be one JSON object\n", name);
    else
        walk(&r, "", root, 0);
done:
    is_object = json_is_object(root);
    json_decref(root);
    explicit_bzero(copy, len);
    free(copy);
    return is_object;
}
