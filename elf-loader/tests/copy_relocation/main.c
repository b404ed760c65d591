// A program at a fixed address owns libc's variables that it mentions: both must see one variable.
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char** environ;
extern char* program_invocation_short_name;
extern int shared_counter;
extern int shared_table[4];
int bump(void);

static char* variables[] = {"ONE=1", "TWO=2", NULL};
static char* arguments[] = {"program", "-a", "-b", "value", "rest", NULL};

int main(void) {
    environ = variables;
    printf("%s %s\n", getenv("TWO"), getenv("HOME") ? "home" : "none");
    setenv("THREE", "3", 1);
    int count = 0;
    for (char** v = environ; *v; ++v) ++count;
    printf("%d\n", count);
    int option;
    while ((option = getopt(5, arguments, "ab:")) != -1)
        printf("%c %s %d\n", option, optarg ? optarg : "-", optind);
    printf("%s\n", arguments[optind]);
    setenv("TZ", "ABC-3DEF", 1);
    tzset();
    printf("%s %s %ld %d\n", tzname[0], tzname[1], timezone, daylight);
    printf("%s\n", strrchr(program_invocation_short_name, 'p') ? "name" : "no name");
    shared_counter = 41;
    printf("%d %d %d\n", bump(), shared_counter, shared_table[3]);
    FILE* memory = fmemopen(NULL, 64, "w");
    FILE* real = stdout;
    stdout = memory;
    printf("into memory");
    stdout = real;
    fprintf(stdout, "%ld\n", ftell(memory));
    fclose(memory);
    return 0;
}
