// Variables of libc that the program owns by copy relocations, because it is built without -fPIC.
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char** environ;
extern char* program_invocation_short_name;

int main(void) {
    fprintf(stdout, "to %s\n", "stdout");
    fprintf(stderr, "to stderr\n");
    fflush(stdout);

    char* arguments[] = {"program", "-a", "value", "-b", "rest", NULL};
    for (int option; (option = getopt(5, arguments, "a:b")) != -1;)
        printf("option %c, optarg %s, optind %d\n", option, optarg ? optarg : "none", optind);
    optind = 1;
    printf("again: %c\n", getopt(5, arguments, "a:b"));

    setenv("TZ", "XYZ-3ABC", 1);
    tzset();
    printf("%s %s %ld %d\n", tzname[0], tzname[1], timezone, daylight);

    char* own[] = {"ONLY=this", NULL};
    environ = own;
    printf("%s %s\n", getenv("ONLY"), getenv("TZ") ? "TZ is there" : "TZ is gone");
    putenv("MORE=that");
    for (char** variable = environ; *variable != NULL; ++variable) puts(*variable);

    FILE* saved = stdout;
    stdout = stderr;
    printf("now to stderr\n");
    stdout = saved;
    stdout = fopen("/dev/null", "w");
    puts("not seen");
    stdout = saved;
    program_invocation_short_name = "renamed";
    errno = ENOENT;
    printf("%m, %s\n", strerror(EINVAL));
    return 3;
}
