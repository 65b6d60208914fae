/* tests/unit/ws_vectors.h - reads tests/data/ws_vectors.txt; the format is described there. */
#ifndef TESTS_UNIT_WS_VECTORS_H
#define TESTS_UNIT_WS_VECTORS_H

#include "base/byte_buf.h"
#include "signalr/http/ws_frame.h"
#include "signalr/protocol/ws_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* after the four above */
#include <cmocka.h>

enum { WS_VECTOR_PONGS = 16 };

struct ws_vector {
    char name[80];
    struct byte_buf frames; /* as on the wire, masked */
    struct byte_buf data;
    struct byte_buf pongs[WS_VECTOR_PONGS];
    size_t npongs;
    unsigned close, end; /* 0: not that */
    bool open;
};

static inline unsigned wsv_hex(const char *p)
{
    unsigned v = 0;

    assert_int_equal(sscanf(p, "%2x", &v), 1);
    return v;
}

static inline void wsv_payload(const char *text, struct byte_buf *out)
{
    if (text[0] == 'x') {
        for (text++; text[0] != '\0'; text += 2)
            byte_buf_putc(out, (char)wsv_hex(text));
    } else if (text[0] == '*') {
        char *end;
        unsigned long n = strtoul(text + 1, &end, 10);

        while (n-- > 0)
            byte_buf_putc(out, *end);
    } else {
        for (; *text != '\0'; text++)
            byte_buf_putc(out, *text == '_' ? ' ' : *text);
    }
}

/* One client frame; mask NULL: not masked. */
static inline void wsv_frame(struct byte_buf *out, unsigned first, const void *payload, size_t len,
                             const uint8_t *mask)
{
    uint8_t head[WS_HEADER_MAX];
    size_t n = ws_header_write(head, WS_OP_TEXT, len);

    head[0] = (uint8_t)first;
    if (mask != NULL)
        head[1] |= 0x80;
    byte_buf_append(out, head, n);
    if (mask != NULL)
        byte_buf_append(out, mask, 4);
    for (size_t i = 0; i < len; i++)
        byte_buf_putc(out,
                      (char)(((const uint8_t *)payload)[i] ^ (mask != NULL ? mask[i % 4] : 0)));
}

static inline void wsv_add(struct byte_buf *out, char *word)
{
    static const struct {
        const char *name;
        unsigned opcode;
    } ops[] = {{"T", 1}, {"B", 2}, {"C", 0}, {"ping", 9}, {"pong", 10}, {"close", 8}};
    static unsigned turn;
    uint8_t mask[4] = {(uint8_t)(0x37 + turn), 0xfa, (uint8_t)(0x21 * turn), 0x3d};
    unsigned first = 0x80;
    char *payload = strrchr(word, ':');
    struct byte_buf bytes = {0};
    bool masked = true;
    size_t len, i;

    turn++;
    assert_non_null(payload);
    *payload++ = '\0';
    if (strcmp(word, "raw") == 0) {
        for (; *payload != '\0'; payload += 2)
            byte_buf_putc(out, (char)wsv_hex(payload));
        return;
    }
    if (*word == '!') {
        masked = false;
        word++;
    }
    if (*word == '^') {
        first |= (unsigned)(word[1] - '0') << 4;
        word += 3;
    }
    len = strlen(word);
    if (word[len - 1] == '-') {
        first &= ~0x80u;
        word[len - 1] = '\0';
    }
    if (strncmp(word, "0x", 2) == 0) {
        first |= (unsigned)strtoul(word, NULL, 16);
    } else {
        for (i = 0; i < sizeof ops / sizeof ops[0] && strcmp(ops[i].name, word) != 0; i++)
            ;
        assert_true(i < sizeof ops / sizeof ops[0]);
        first |= ops[i].opcode;
    }
    wsv_payload(payload, &bytes);
    wsv_frame(out, first, bytes.data, bytes.len, masked ? mask : NULL);
    byte_buf_free(&bytes);
}

static inline void wsv_outcome(struct ws_vector *v, char *word)
{
    if (strcmp(word, "open") == 0)
        v->open = true;
    else if (strncmp(word, "data=", 5) == 0)
        wsv_payload(word + 5, &v->data);
    else if (strncmp(word, "pong=", 5) == 0)
        wsv_payload(word + 5, &v->pongs[v->npongs++]);
    else if (strncmp(word, "close=", 6) == 0)
        v->close = (unsigned)atoi(word + 6);
    else if (strncmp(word, "end=", 4) == 0)
        v->end = (unsigned)atoi(word + 4);
    else
        fail_msg("%s: outcome %s", v->name, word);
}

static inline void wsv_each(void (*fn)(const struct ws_vector *v))
{
    FILE *f = fopen(TEST_DATA "/ws_vectors.txt", "r");
    char line[4096];
    size_t n = 0;

    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        struct ws_vector v = {0};
        char *at, *name, *frames, *outcome, *word;

        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0')
            continue;
        name = strtok_r(line, "|", &at);
        frames = strtok_r(NULL, "|", &at);
        outcome = strtok_r(NULL, "|", &at);
        assert_non_null(outcome);
        snprintf(v.name, sizeof v.name, "%s", name);
        for (word = strtok_r(frames, " ", &at); word != NULL; word = strtok_r(NULL, " ", &at))
            wsv_add(&v.frames, word);
        for (word = strtok_r(outcome, " ", &at); word != NULL; word = strtok_r(NULL, " ", &at))
            wsv_outcome(&v, word);
        fn(&v);
        n++;
        byte_buf_free(&v.frames);
        byte_buf_free(&v.data);
        for (size_t i = 0; i < v.npongs; i++)
            byte_buf_free(&v.pongs[i]);
    }
    fclose(f);
    assert_true(n > 100);
}

#endif
