#include "bridge/settings/settings.h"
#include "base/json_slice.h"
#include "bridge/settings/settings_check.h"
#include "bridge/settings/settings_json.h"
#include "bridge/settings/settings_map.h"
#include "bridge/settings/settings_table.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_FILE_BYTES ((size_t)1024 * 1024)
#define MAX_SECRET_FILE_BYTES ((size_t)64 * 1024)
#define SHOWN_BYTES 100 /* of a refused value */

struct loader {
    struct settings *s;
    struct settings_map map;
    struct settings_notes *notes;
};

/* The values given for one row, as settings_row_set() takes them. */
struct given {
    char **texts; /* owned, items too */
    size_t count;
    bool split, wrong_kind;
    enum settings_origin origin;
};

static const char *origin_name(enum settings_origin origin)
{
    static const char *const names[] = {"default", "file", "environment", "secret file", "refused"};

    return names[origin];
}

void settings_notes_free(struct settings_notes *notes)
{
    byte_buf_free(&notes->errors);
    byte_buf_free(&notes->warnings);
}

/* Whole file with a NUL behind it, which the caller wipes and frees; NULL: errno tells. */
static char *read_file(const char *path, size_t most, size_t *len)
{
    FILE *f = fopen(path, "re");
    char *text;
    int error = 0;

    if (f == NULL)
        return NULL;
    text = settings_must(malloc(most + 2));
    *len = fread(text, 1, most + 1, f);
    if (ferror(f))
        error = errno == 0 ? EIO : errno;
    else if (*len > most)
        error = EFBIG;
    fclose(f);
    if (error != 0) {
        explicit_bzero(text, most + 1);
        free(text);
        errno = error;
        return NULL;
    }
    text[*len] = '\0';
    return text;
}

static void give(struct given *g, const char *text, size_t len)
{
    g->texts = settings_must(realloc(g->texts, (g->count + 1) * sizeof g->texts[0]));
    g->texts[g->count++] = settings_must(strndup(text, len));
}

static void given_free(struct given *g)
{
    for (size_t i = 0; i < g->count; i++) {
        explicit_bzero(g->texts[i], strlen(g->texts[i]));
        free(g->texts[i]);
    }
    free(g->texts);
    *g = (struct given){.texts = NULL};
}

static bool is_list(const struct settings_row *row)
{
    return row->type == SETTING_LIST || row->type == SETTING_LISTEN;
}

/* A JSON number in a text's place is taken where it reads the same (a password 123456). */
static bool kind_fits(const struct settings_row *row, enum settings_value_kind kind)
{
    switch (row->type) {
    case SETTING_STRING:
    case SETTING_LIST:
    case SETTING_LISTEN:
        return kind == VALUE_TEXT || kind == VALUE_INTEGER;
    default:
        return kind != VALUE_EMPTY_LIST && kind != VALUE_EMPTY_OBJECT;
    }
}

static void give_entry(const struct settings_row *row, struct settings_entry *e, struct given *g)
{
    e->used = true;
    g->origin = e->origin;
    if (is_list(row) && e->kind == VALUE_EMPTY_LIST)
        return;
    if (!kind_fits(row, e->kind))
        g->wrong_kind = true;
    give(g, e->value, strlen(e->value));
}

struct item {
    struct settings_entry *entry;
    unsigned long number;
};

static int by_number(const void *a, const void *b)
{
    unsigned long x = ((const struct item *)a)->number, y = ((const struct item *)b)->number;

    return (x > y) - (x < y);
}

/* KEY:0, KEY:1 and so on. Gaps are fine, as in .NET: one source may have replaced item 1 only. */
static void gather_items(struct loader *l, const struct settings_row *row, struct given *g)
{
    struct item *items = settings_must(calloc(l->map.count + 1, sizeof *items));
    size_t name_len = strlen(row->name), count = 0;

    for (size_t i = 0; i < l->map.count; i++) {
        struct settings_entry *e = &l->map.entries[i];
        const char *number = e->key + name_len + 1;

        if (strncasecmp(e->key, row->name, name_len) != 0 || e->key[name_len] != ':')
            continue;
        if (number[0] == '\0' || strlen(number) > 9 || number[strspn(number, "0123456789")] != '\0')
            continue;
        items[count++] = (struct item){e, strtoul(number, NULL, 10)};
    }
    qsort(items, count, sizeof *items, by_number);
    for (size_t i = 0; i < count; i++)
        give_entry(row, items[i].entry, g);
    free(items);
}

static void gather(struct loader *l, const struct settings_row *row, struct given *g)
{
    struct settings_entry *e = settings_map_find(&l->map, row->name);

    if (e != NULL) {
        give_entry(row, e, g);
        /* A pass phrase may hold a comma, so secrets are only ever listed item by item. */
        g->split = is_list(row) && !row->secret && g->count == 1;
        if (is_list(row) && row->secret && g->count == 1 && g->texts[0][0] == '\0') {
            enum settings_origin origin = g->origin;

            given_free(g);
            g->origin = origin;
        }
    } else if (is_list(row)) {
        gather_items(l, row, g);
    }
}

/* A secret file's trailing line end is the editor's. A list has one secret a line. */
static void give_secret_file(const struct settings_row *row, char *text, struct given *g)
{
    size_t len;

    if (row->type == SETTING_LIST) {
        char *saved = NULL;

        for (char *line = strtok_r(text, "\r\n", &saved); line != NULL;
             line = strtok_r(NULL, "\r\n", &saved))
            give(g, line, strlen(line));
        return;
    }
    len = strlen(text);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    give(g, text, len);
}

static void gather_secret_file(struct loader *l, const struct settings_row *row, struct given *g)
{
    struct byte_buf *errors = &l->notes->errors;
    char key[SETTINGS_MAX_KEY];
    struct settings_entry *e;
    char *text;
    size_t len;

    snprintf(key, sizeof key, "%sFile", row->name);
    e = settings_map_find(&l->map, key);
    if (e == NULL)
        return;
    e->used = true;
    if (e->value[0] == '\0')
        return;
    if (g->count > 0 && g->texts[0][0] != '\0') {
        byte_buf_printf(errors, "%s and %s: give one of them\n", row->name, key);
        return;
    }
    given_free(g);
    g->origin = FROM_SECRET_FILE;
    text = read_file(e->value, MAX_SECRET_FILE_BYTES, &len);
    if (text == NULL) {
        byte_buf_printf(errors, "%s: ", key);
        json_write_string(errors, slice_of(e->value));
        byte_buf_printf(errors, " can't be read: %s\n", strerror(errno));
        g->origin = FROM_NOWHERE;
        return;
    }
    if (memchr(text, '\0', len) != NULL) {
        byte_buf_printf(errors, "%s: the file has a NUL byte\n", key);
        g->origin = FROM_NOWHERE;
    } else {
        give_secret_file(row, text, g);
    }
    explicit_bzero(text, len);
    free(text);
}

/* Credentials may hide in an address that is refused for having them. */
static bool is_showable(const struct settings_row *row, const struct given *g)
{
    if (row->secret)
        return false;
    for (size_t i = 0; i < g->count; i++)
        if (strchr(g->texts[i], '@') != NULL)
            return false;
    return true;
}

static void put_shown(struct byte_buf *out, const struct given *g)
{
    for (size_t i = 0; i < g->count; i++) {
        size_t len = strlen(g->texts[i]);

        byte_buf_puts(out, i == 0 ? " " : ", ");
        json_write_string(out, (struct slice){g->texts[i], len < SHOWN_BYTES ? len : SHOWN_BYTES});
        if (len > SHOWN_BYTES || i == 3) {
            byte_buf_puts(out, "...");
            break;
        }
    }
}

static void set_default(struct loader *l, const struct settings_row *row)
{
    struct byte_buf scratch = {0};
    char *text = settings_must(strdup(row->fallback));
    bool split = is_list(row) && (!row->secret || text[0] == '\0');
    bool good = settings_row_set(row, l->s, &text, 1, split, &scratch);

    if (!good)
        abort(); /* a row whose default breaks its own bounds; a test tries them all */
    free(text);
    byte_buf_free(&scratch);
}

static void load_row(struct loader *l, const struct settings_row *row, unsigned char *origin)
{
    struct byte_buf *errors = &l->notes->errors, why = {0}, shown = {0};
    struct given g = {.origin = FROM_DEFAULT};
    bool good = true;

    gather(l, row, &g);
    if (row->secret)
        gather_secret_file(l, row, &g);
    *origin = (unsigned char)g.origin;
    if (g.origin == FROM_DEFAULT || g.origin == FROM_NOWHERE) {
        set_default(l, row);
        goto done;
    }
    if (is_showable(row, &g))
        put_shown(&shown, &g);
    if (g.wrong_kind) {
        byte_buf_puts(&why, "must be ");
        if (row->type == SETTING_STRING)
            byte_buf_puts(&why, "text in quotes");
        else if (is_list(row))
            byte_buf_puts(&why, "a list of texts in quotes");
        else
            settings_row_allowed(row, &why);
        good = false;
    } else {
        good = settings_row_set(row, l->s, g.texts, g.count, g.split, &why);
    }
    if (!good) {
        byte_buf_printf(errors, "%s:", row->name);
        byte_buf_put(errors, byte_buf_slice(&shown));
        byte_buf_putc(errors, ' ');
        byte_buf_put(errors, byte_buf_slice(&why));
        byte_buf_printf(errors, " (%s)\n", origin_name(g.origin));
        *origin = FROM_NOWHERE;
        set_default(l, row);
    }
done:
    given_free(&g);
    byte_buf_free(&why);
    byte_buf_free(&shown);
}

static bool is_section(const char *key)
{
    size_t count, len = strlen(key);
    const struct settings_row *rows = settings_table(&count);

    for (size_t i = 0; i < count; i++)
        if (strncasecmp(rows[i].name, key, len) == 0 && rows[i].name[len] == ':')
            return true;
    return false;
}

static void report_unknown(struct loader *l)
{
    struct byte_buf *errors = &l->notes->errors;

    for (size_t i = 0; i < l->map.count; i++) {
        const struct settings_entry *e = &l->map.entries[i];
        const char *nearest;

        if (e->used || settings_scope_of(e->key) != SCOPE_OURS ||
            (e->kind == VALUE_EMPTY_OBJECT && is_section(e->key)))
            continue;
        settings_put_key(errors, e->key); /* not the value: it may be a mistyped secret's */
        nearest = settings_nearest(e->key);
        if (is_section(e->key))
            byte_buf_puts(errors, ": is a section, not a value");
        else
            byte_buf_puts(errors, ": unknown");
        if (nearest != NULL && !is_section(e->key))
            byte_buf_printf(errors, "; did you mean %s?", nearest);
        byte_buf_printf(errors, " (%s)\n", origin_name(e->origin));
    }
}

static bool load(struct loader *l, char *const *environment, struct settings **out)
{
    size_t count;
    const struct settings_row *rows = settings_table(&count);
    bool good;

    if (environment != NULL)
        settings_map_environment(&l->map, environment, &l->notes->errors);
    l->s = settings_must(calloc(1, sizeof *l->s));
    l->s->_origins = settings_must(calloc(count, 1));
    for (size_t i = 0; i < count; i++)
        load_row(l, &rows[i], &l->s->_origins[i]);
    report_unknown(l);
    settings_map_free(&l->map);
    settings_check(l->s, l->notes);

    good = l->notes->errors.len == 0;
    if (!good) {
        settings_free(l->s);
        l->s = NULL;
    }
    *out = l->s;
    return good;
}

bool settings_load_text(const char *name, const char *text, size_t len, char *const *environment,
                        struct settings **out, struct settings_notes *notes)
{
    struct loader l = {.notes = notes};

    *out = NULL;
    return settings_json_read(name, text, len, &l.map, &notes->errors) &&
           load(&l, environment, out);
}

bool settings_load(const char *file, char *const *environment, struct settings **out,
                   struct settings_notes *notes)
{
    struct loader l = {.notes = notes};
    bool good;
    char *text;
    size_t len;

    if (file == NULL)
        return load(&l, environment, out);
    text = read_file(file, MAX_FILE_BYTES, &len);
    if (text == NULL) {
        byte_buf_printf(&notes->errors, "%s: can't be read: %s\n", file, strerror(errno));
        *out = NULL;
        return false;
    }
    good = settings_load_text(file, text, len, environment, out, notes);
    explicit_bzero(text, len);
    free(text);
    return good;
}

void settings_free(struct settings *s)
{
    size_t count;
    const struct settings_row *rows = settings_table(&count);

    if (s == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        settings_row_free(&rows[i], s);
    free(s->_origins);
    free(s);
}

void settings_print(const struct settings *s, struct byte_buf *out)
{
    size_t count;
    const struct settings_row *rows = settings_table(&count);

    byte_buf_puts(out, "{\n");
    for (size_t i = 0; i < count; i++) {
        const char *origin = origin_name(s->_origins[i]);

        if (rows[i].secret) {
            byte_buf_printf(out, "  // \"%s\": %s (%s)\n", rows[i].name,
                            settings_row_is_empty(&rows[i], s) ? "not set" : "***", origin);
            continue;
        }
        byte_buf_printf(out, "  \"%s\": ", rows[i].name);
        settings_row_print(&rows[i], s, out);
        byte_buf_printf(out, ", // %s\n", origin);
    }
    byte_buf_puts(out, "}\n");
}

void settings_help(struct byte_buf *out)
{
    size_t count;
    const struct settings_row *rows = settings_table(&count);

    for (size_t i = 0; i < count; i++) {
        byte_buf_printf(out, "  %s%s\n      %s\n      ", rows[i].name,
                        rows[i].secret ? " (or from a file: ...File)" : "", rows[i].help);
        settings_row_allowed(&rows[i], out);
        if (rows[i].fallback[0] != '\0')
            byte_buf_printf(out, "; default %s", rows[i].fallback);
        byte_buf_putc(out, '\n');
    }
}
