/* bridge/settings/settings_nearest.c - which setting did a mistyped key mean?
 *
 * A name that is right but stands in the wrong section is found by its last part; else the name
 * with the smallest edit distance, as long as more is alike than is not. */
#include "bridge/settings/settings_table.h"
#include <ctype.h>
#include <strings.h>

#define LONGEST 128 /* bytes compared; longer than any name */

static const char *last_part(const char *key)
{
    const char *colon = strrchr(key, ':');

    return colon == NULL ? key : colon + 1;
}

/* A section where a value is wanted, or a list's item by something else than its number. */
static bool is_inside(const char *key, const char *name)
{
    size_t len = strlen(name);

    return strncasecmp(key, name, len) == 0 && key[len] == ':';
}

/* Levenshtein's, case folded, with two rows of the matrix in one. */
static size_t distance(const char *a, const char *b)
{
    size_t costs[LONGEST + 1], a_len = strnlen(a, LONGEST), b_len = strnlen(b, LONGEST);

    for (size_t j = 0; j <= b_len; j++)
        costs[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = costs[0];

        costs[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            size_t best = diagonal + !same;

            if (costs[j] + 1 < best)
                best = costs[j] + 1;
            if (costs[j - 1] + 1 < best)
                best = costs[j - 1] + 1;
            diagonal = costs[j];
            costs[j] = best;
        }
    }
    return costs[b_len];
}

const char *settings_nearest(const char *key)
{
    size_t count, best = SIZE_MAX;
    const struct settings_row *rows = settings_table(&count);
    const char *name = NULL;

    for (size_t i = 0; i < count; i++) {
        size_t d = distance(key, rows[i].name);

        if (d > 0 && (strcasecmp(last_part(key), last_part(rows[i].name)) == 0 ||
                      is_inside(key, rows[i].name)))
            d = 1;
        if (d < best) {
            best = d;
            name = rows[i].name;
        }
    }
    return name != NULL && best <= strnlen(last_part(key), LONGEST) / 2 + 1 ? name : NULL;
}
