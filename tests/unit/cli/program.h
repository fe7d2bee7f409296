/* The built program attend, run as a user runs it. Its input and output are files of a test's own folder. */
#ifndef TEST_CLI_PROGRAM_H
#define TEST_CLI_PROGRAM_H

extern char program_path[4096], program_input[128], program_output[128];

/* Finds the program in ATT_BUILD_ROOT (else the working folder) and makes an empty FOLDER/in; the second removes what
 * both made. */
void program_start(const char *folder);
void program_stop(void);

void write_file(const char *path, const char *text);

/* What the program said on both streams, in a buffer until the next call; *ret_status its exit status. `words` end with
 * NULL. */
const char *program_run(int *ret_status, const char *const *words);
/* Fails the test where the status is another, or what was said does not hold `said`. */
void program_expect(int status, const char *said, const char *const *words);

#define EXPECT(status, said, ...) program_expect(status, said, (const char *const[]){__VA_ARGS__, NULL})

#endif
