#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/replay/state_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[256], path[300], temporary[320];
static struct byte_buf got;

static int start(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(folder, sizeof folder, "%s/state_file.XXXXXX", tmp == NULL ? "/tmp" : tmp);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/state", folder);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    byte_buf_free(&got);
    unlink(path);
    unlink(temporary);
    rmdir(path);
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

static void check_content_of(const char *file, const char *want)
{
    byte_buf_clear(&got);
    assert_int_equal(state_file_read(file, &got), 0);
    assert_true(slice_eq(byte_buf_slice(&got), slice_of(want)));
}

static void check_content(const char *want)
{
    check_content_of(path, want);
}

static void test_written_private_and_whole(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(state_file_read(path, &got), ENOENT);
    assert_int_equal(state_file_write(path, SLICE_LIT("one")), 0);
    check_content("one");
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(state_file_write(path, SLICE_LIT("two")), 0);
    check_content("two");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(access(temporary, F_OK), -1);
}

/* A link in the place of the new file is not followed. */
static void test_links(void **state)
{
    char victim[300];

    (void)state;
    snprintf(victim, sizeof victim, "%s/victim", folder);
    assert_int_equal(state_file_write(victim, SLICE_LIT("precious")), 0);
    assert_int_equal(symlink(victim, temporary), 0);
    assert_int_equal(state_file_write(path, SLICE_LIT("one")), 0);
    check_content("one");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(victim, path), 0);
    assert_int_equal(state_file_read(path, &got), ELOOP);
    assert_int_equal(state_file_write(path, SLICE_LIT("two")), 0);
    check_content("two");
    check_content_of(victim, "precious");
    assert_int_equal(unlink(victim), 0);
}

static void test_what_is_no_state_file(void **state)
{
    int fd;

    (void)state;
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(state_file_read(path, &got), EINVAL);
    assert_int_not_equal(state_file_write(path, SLICE_LIT("x")), 0);
    assert_int_equal(access(temporary, F_OK), -1);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(state_file_read(path, &got), EINVAL); /* and does not wait */
    assert_int_equal(unlink(path), 0);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(ftruncate(fd, STATE_FILE_MAX_BYTES + 1), 0);
    close(fd);
    assert_int_equal(state_file_read(path, &got), EFBIG);
    assert_int_equal(got.len, 0);
}

static void test_anothers(void **state)
{
    (void)state;
    assert_int_equal(state_file_write(path, SLICE_LIT("forged")), 0);
    if (chown(path, 65534, (gid_t)-1) != 0)
        skip(); /* not root */
    assert_int_equal(state_file_read(path, &got), EPERM);
    assert_int_equal(got.len, 0);
}

static void test_no_folder(void **state)
{
    (void)state;
    assert_int_equal(state_file_write("/nowhere/at/all", SLICE_LIT("x")), ENOENT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(test_written_private_and_whole),
        T(test_links),
        T(test_what_is_no_state_file),
        T(test_anothers),
        T(test_no_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
