/* See program.h. */
#include "tests/unit/cli/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS_MAX = 24 };

char program_path[4096], program_input[128], program_output[128];

void program_start(const char *folder)
{
    const char *build = getenv("ATT_BUILD_ROOT");
    snprintf(program_path, sizeof program_path, "%s/attend", build ? build : ".");
    snprintf(program_input, sizeof program_input, "%s/in", folder);
    snprintf(program_output, sizeof program_output, "%s/out", folder);
    write_file(program_input, "");
}

void program_stop(void)
{
    unlink(program_input);
    unlink(program_output);
}

void write_file(const char *path, const char *text)
{
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    fputs(text, stream);
    assert_int_equal(fclose(stream), 0);
}

const char *program_run(int *ret_status, const char *const *words)
{
    static char said[1 << 16];
    int status = -1;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int input = open(program_input, O_RDONLY), output = open(program_output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        char *argv[WORDS_MAX] = {program_path};
        for (int i = 0; words[i] && i < WORDS_MAX - 2; i++)
            argv[i + 1] = strdup(words[i]);
        if (input < 0 || output < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
            _exit(99);
        execv(program_path, argv);
        _exit(99);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    FILE *stream = fopen(program_output, "rb");
    assert_non_null(stream);
    said[fread(said, 1, sizeof said - 1, stream)] = '\0';
    fclose(stream);
    *ret_status = WEXITSTATUS(status);
    return said;
}

void program_expect(int status, const char *said, const char *const *words)
{
    int got;
    const char *text = program_run(&got, words);
    if (got != status || !strstr(text, said))
        fail_msg("status %d, expected %d: '%s' does not hold '%s'", got, status, text, said);
}
