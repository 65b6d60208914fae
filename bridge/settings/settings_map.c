#include "bridge/settings/settings_map.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const struct {
    const char *key;
    bool ours;
} roots[] = {
    {"Urls", false},
    {"Im", true},
    {"Authentication:JwtBearer", false},
    {"App:CorsOrigins", false},
    {"PushBridge", true},
};

void *settings_must(void *memory)
{
    if (memory == NULL) {
        fputs("pushbridge: no memory to read the settings\n", stderr);
        exit(1);
    }
    return memory;
}

void settings_put_key(struct byte_buf *out, const char *key)
{
    for (; *key != '\0'; key++)
        byte_buf_putc(out, *key >= ' ' && *key <= '~' ? *key : '?');
}

/* key lies below section: "a:b:c" below "a:b". */
static bool is_below(const char *key, const char *section)
{
    size_t len = strlen(section);

    return strncasecmp(key, section, len) == 0 && key[len] == ':';
}

enum settings_scope settings_scope_of(const char *key)
{
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        if (strcasecmp(key, roots[i].key) == 0 || is_below(key, roots[i].key))
            return roots[i].ours ? SCOPE_OURS : SCOPE_SHARED;
        if (is_below(roots[i].key, key))
            return SCOPE_ABOVE;
    }
    return SCOPE_FOREIGN;
}

static void entry_clear(struct settings_entry *e)
{
    if (e->value != NULL)
        explicit_bzero(e->value, strlen(e->value));
    free(e->value);
    free(e->key);
    *e = (struct settings_entry){.key = NULL};
}

void settings_map_free(struct settings_map *map)
{
    for (size_t i = 0; i < map->count; i++)
        entry_clear(&map->entries[i]);
    free(map->entries);
    *map = (struct settings_map){.entries = NULL};
}

struct settings_entry *settings_map_find(const struct settings_map *map, const char *key)
{
    for (size_t i = 0; i < map->count; i++)
        if (strcasecmp(map->entries[i].key, key) == 0)
            return &map->entries[i];
    return NULL;
}

static void remove_at(struct settings_map *map, size_t i)
{
    entry_clear(&map->entries[i]);
    map->entries[i] = map->entries[--map->count];
    map->entries[map->count] = (struct settings_entry){.key = NULL};
}

/* Where the two forms of a list meet, "a,b" in one source and :0, :1 in the other, the later source
 * replaces the earlier one whole; mixed, the result would be neither. */
static void drop_other_form(struct settings_map *map, const char *key, enum settings_origin origin)
{
    for (size_t i = map->count; i-- > 0;) {
        const struct settings_entry *e = &map->entries[i];

        if (e->origin != origin && (is_below(e->key, key) || is_below(key, e->key)))
            remove_at(map, i);
    }
}

enum settings_put settings_map_put(struct settings_map *map, const char *key, const char *value,
                                   enum settings_value_kind kind, enum settings_origin origin)
{
    struct settings_entry *e = settings_map_find(map, key);

    if (e != NULL && e->origin == origin)
        return SETTINGS_PUT_TWICE;
    if (e == NULL) {
        drop_other_form(map, key, origin);
        if (map->count == SETTINGS_MAX_ENTRIES)
            return SETTINGS_PUT_FULL;
        if (map->count == map->cap) {
            map->cap = map->cap == 0 ? 64 : map->cap * 2;
            map->entries = settings_must(realloc(map->entries, map->cap * sizeof map->entries[0]));
        }
        e = &map->entries[map->count++];
    } else {
        entry_clear(e);
    }
    *e = (struct settings_entry){.key = settings_must(strdup(key)),
                                 .value = settings_must(strdup(value)),
                                 .kind = kind,
                                 .origin = origin};
    return SETTINGS_PUT_OK;
}

/* "A__B" to "A:B". False: not a name of ours. */
static bool environment_key(const char *name, size_t len, char key[SETTINGS_MAX_KEY])
{
    size_t n = 0;
    enum settings_scope scope;

    for (size_t i = 0; i < len; i++) {
        if (n == SETTINGS_MAX_KEY - 1)
            return false;
        if (name[i] == '_' && i + 1 < len && name[i + 1] == '_') {
            key[n++] = ':';
            i++;
        } else {
            key[n++] = name[i];
        }
    }
    key[n] = '\0';
    scope = settings_scope_of(key);
    /* A bare IM or PUSHBRIDGE names no setting and may well be somebody else's variable. */
    return scope == SCOPE_SHARED || (scope == SCOPE_OURS && strchr(key, ':') != NULL);
}

void settings_map_environment(struct settings_map *map, char *const *environment,
                              struct byte_buf *errors)
{
    for (; *environment != NULL; environment++) {
        const char *equals = strchr(*environment, '=');
        char key[SETTINGS_MAX_KEY];

        if (equals == NULL || !environment_key(*environment, (size_t)(equals - *environment), key))
            continue;
        if (settings_map_put(map, key, equals + 1, VALUE_TEXT, FROM_ENVIRONMENT) == SETTINGS_PUT_OK)
            continue;
        /* Names that differ in case alone, or a flood of them. */
        settings_put_key(errors, key);
        byte_buf_puts(errors, " is given twice, or too much is given, in the environment\n");
    }
}
