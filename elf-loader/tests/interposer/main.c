// A preloaded library wraps puts and write, and reaches the next definition by RTLD_NEXT.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void) {
    puts("text");
    fflush(stdout);
    return write(1, "raw\n", 4) == 4 ? 0 : 1;
}
