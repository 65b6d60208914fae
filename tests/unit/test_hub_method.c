/* The table of hub methods: arguments taken and refused, and what they become. */
#include "base/json_slice.h"
#include "bridge/hub/hub_method.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct hub_method *method(const char *name)
{
    const struct hub_method *m = hub_method_find(slice_of(name));

    assert_non_null(m);
    return m;
}

static void test_names(void **state)
{
    size_t count;
    const struct hub_method *table = hub_method_table(&count);

    (void)state;
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(hub_method_find(slice_of(table[i].name)), &table[i]);
    assert_ptr_equal(method("sENDmESSAGE"), method("SendMessage"));
    assert_null(hub_method_find(SLICE_LIT("SendMessag")));
    assert_null(hub_method_find(SLICE_LIT("")));
    assert_true(hub_method_is_stream(method("History")));
    assert_false(hub_method_is_stream(method("ListRooms")));
}

static void test_params(void **state)
{
    static const struct {
        const char *name, *args, *params, *body; /* params NULL: the arguments are refused */
    } rows[] = {
        {"SendMessage", "[\"r1\",\"h\\u00e9 \\\"\",\"abcdefgh012345678\"]",
         "[{\"_id\":\"abcdefgh012345678\",\"rid\":\"r1\",\"msg\":\"h\\u00e9 \\\"\"}]",
         "{\"message\":{\"_id\":\"abcdefgh012345678\",\"rid\":\"r1\",\"msg\":\"h\\u00e9 \\\"\"}}"},
        {"SendMessage", " [ \"r1\" , \"$1 ~0 >\" , null , \"m0\" , true ] ",
         "[{\"_id\":null,\"rid\":\"r1\",\"msg\":\"$1 ~0 >\",\"tmid\":\"m0\",\"tshow\":true}]",
         "{\"message\":{\"_id\":null,\"rid\":\"r1\",\"msg\":\"$1 ~0 >\",\"tmid\":\"m0\",\"tshow\":"
         "true}}"},
        {"SendMessage", "[\"r1\",\"\",null,null,false]",
         "[{\"_id\":null,\"rid\":\"r1\",\"msg\":\"\"}]",
         "{\"message\":{\"_id\":null,\"rid\":\"r1\",\"msg\":\"\"}}"},
        {"EditMessage", "[\"r1\",\"m1\",\"x\"]", "[{\"_id\":\"m1\",\"rid\":\"r1\",\"msg\":\"x\"}]",
         "{\"roomId\":\"r1\",\"msgId\":\"m1\",\"text\":\"x\"}"},
        {"DeleteMessage", "[\"r1\",\"m1\"]", "[{\"_id\":\"m1\",\"rid\":\"r1\"}]",
         "{\"roomId\":\"r1\",\"msgId\":\"m1\"}"},
        {"React", "[\"m1\",\":smile:\"]", "[\":smile:\",\"m1\",true]",
         "{\"messageId\":\"m1\",\"emoji\":\":smile:\",\"shouldReact\":true}"},
        {"React", "[\"m1\",\"smile\",false]", "[\"smile\",\"m1\",false]", NULL},
        {"MarkRead", "[\"r1\"]", "[\"r1\"]", "{\"rid\":\"r1\"}"},
        {"MarkRead", "[\"r1\",true]", "[\"r1\",true]", "{\"rid\":\"r1\",\"readThreads\":true}"},
        {"Typing", "[\"r1\"]", "[\"r1/user-activity\",\"a\\\"na\",[\"user-typing\"],{}]", NULL},
        {"Typing", "[\"r1\",false,\"m0\"]",
         "[\"r1/user-activity\",\"a\\\"na\",[],{\"tmid\":\"m0\"}]", NULL},
        {"Typing", "[\"r1\",true,null,\"Ana Ruiz\"]",
         "[\"r1/user-activity\",\"Ana Ruiz\",[\"user-typing\"],{}]", NULL},
        {"History", "[\"r1\"]", "[\"r1\",null,50,null,true]", NULL},
        {"History", "[\"r1\",1714557600123,100,false]",
         "[\"r1\",{\"$date\":1714557600123},100,null,false]", NULL},
        {"History", "[\"r1\",\"2024-05-01T10:00:00.123Z\",1]",
         "[\"r1\",{\"$date\":1714557600123},1,null,true]", NULL},
        {"History", "[\"r1\",{\"$date\":5}]", "[\"r1\",{\"$date\":5},50,null,true]", NULL},
        {"JoinRoom", "[\"r1\",\"code\"]", "[\"r1\",\"code\"]",
         "{\"roomId\":\"r1\",\"joinCode\":\"code\"}"},
        {"OpenDirectMessage", "[\"b\\u006fb\"]", "[\"b\\u006fb\"]", "{\"username\":\"b\\u006fb\"}"},

        {"SendMessage", "[\"r1\"]", NULL, NULL},
        {"SendMessage", "[\"r1\",null]", NULL, NULL},
        {"SendMessage", "[\"r1\",7]", NULL, NULL},
        {"SendMessage", "[7,\"x\"]", NULL, NULL},
        {"SendMessage", "[\"r1\",\"x\",\"short\"]", NULL, NULL},
        {"SendMessage", "[\"r1\",\"x\",\"abcdefgh01234567\\\"\"]", NULL, NULL},
        {"SendMessage", "[\"r1\",\"x\",null,null,1]", NULL, NULL},
        {"SendMessage", "[\"r1\",\"x\",null,null,true,null]", NULL, NULL},
        {"SendMessage", "[\"r1\",\"x\"", NULL, NULL},
        {"SendMessage", "[\"r1\",\"x\"] ]", NULL, NULL},
        {"SendMessage", "{}", NULL, NULL},
        {"SendMessage", "", NULL, NULL},
        {"MarkRead", "[\"\"]", NULL, NULL},
        {"MarkRead", "[\"r1/webrtc\"]", NULL, NULL},
        {"MarkRead", "[\"r 1\"]", NULL, NULL},
        {"MarkRead", "[\"r\\u0031\"]", NULL,
         NULL}, /* compared as it stands, so it must stand plain */
        {"MarkRead", "[\"r\xc3\xa9\"]", NULL, NULL},
        {"OpenRoom", "[\"__my_messages__\"]", NULL, NULL},
        {"OpenRoom", "[]", NULL, NULL},
        {"History", "[\"r1\",\"yesterday\"]", NULL, NULL},
        {"History", "[\"r1\",1.5]", NULL, NULL},
        {"History", "[\"r1\",{}]", NULL, NULL},
        {"History", "[\"r1\",null,0]", NULL, NULL},
        {"History", "[\"r1\",null,101]", NULL, NULL},
        {"OpenDirectMessage", "[\"\"]", NULL, NULL},
        {"ListRooms", "[1]", NULL, NULL},
        {"Register", "[1]", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct hub_method *m = method(rows[i].name);
        struct byte_buf out = {0};
        struct hub_args args;

        if (hub_args_parse(m, slice_of(rows[i].args), &args) != (rows[i].params != NULL))
            fail_msg("%s %s", rows[i].name, rows[i].args);
        if (rows[i].params == NULL)
            continue;
        hub_method_write(m->params, &args, SLICE_LIT("a\"na"), &out);
        byte_buf_putc(&out, '\0');
        assert_string_equal(out.data, rows[i].params);
        byte_buf_clear(&out);
        if (rows[i].body != NULL) {
            hub_method_write(m->body, &args, (struct slice){0}, &out);
            byte_buf_putc(&out, '\0');
            assert_string_equal(out.data, rows[i].body);
        }
        byte_buf_free(&out);
    }
}

static void test_named(void **state)
{
    static const struct {
        const char *args, *more; /* NULL: refused */
    } rows[] = {
        {"[\"m\"]", ""},
        {"[\"m\",1]", "1"},
        {"[\"m\", {\"a\":[1, 2]} ,null , \"x\"]", "{\"a\":[1, 2]} ,null , \"x\""},
        {"[\"m\",1,]", NULL},
        {"[\"m\",1", NULL},
        {"[\"m\",1] 2", NULL},
        {"[null]", NULL},
        {"[]", NULL},
    };
    struct hub_args args;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(hub_args_parse(method("Call"), slice_of(rows[i].args), &args),
                         rows[i].more != NULL);
        if (rows[i].more != NULL)
            assert_true(slice_eq(args.more, slice_of(rows[i].more)));
    }
}

/* Every row's templates are JSON once they are filled, with all of its arguments and with the
 * fewest it needs. */
static void test_all_templates(void **state)
{
    static const char *const samples[] = {
        [ARG_ROOM] = "\"r1\"", [ARG_ID] = "\"m1\"",  [ARG_NEW_ID] = "\"12345678901234567\"",
        [ARG_NAME] = "\"n\"",  [ARG_TEXT] = "\"t\"", [ARG_BOOL] = "true",
        [ARG_COUNT] = "7",     [ARG_DATE] = "8",
    };
    size_t count;
    const struct hub_method *table = hub_method_table(&count);

    (void)state;
    for (size_t i = 0; i < count; i++)
        for (int all = 0; all < 2; all++) {
            struct byte_buf json = {0}, out = {0};
            struct hub_args args;

            byte_buf_putc(&json, '[');
            for (unsigned n = 0; n < HUB_ARGS_MAX && table[i].args[n].kind != ARG_NONE; n++)
                if (all || n < table[i].needed)
                    byte_buf_printf(&json, "%s%s", n > 0 ? "," : "",
                                    samples[table[i].args[n].kind]);
            byte_buf_putc(&json, ']');
            assert_true(hub_args_parse(&table[i], byte_buf_slice(&json), &args));
            if (table[i].params != NULL) {
                hub_method_write(table[i].params, &args, SLICE_LIT("ana"), &out);
                assert_true(json_valid(out.data, out.len, JSON_MAX_DEPTH));
                byte_buf_clear(&out);
            }
            if (table[i].body != NULL) {
                hub_method_write(table[i].body, &args, SLICE_LIT("ana"), &out);
                assert_true(json_valid(out.data, out.len, JSON_MAX_DEPTH));
            }
            byte_buf_free(&json);
            byte_buf_free(&out);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_params),
        cmocka_unit_test(test_named),
        cmocka_unit_test(test_all_templates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
