// Packed relative relocations: tables of pointers in a library and in the program.
#include <stdio.h>

extern const char* const words[40];
static const char* const own[] = {"x", "y", "z", "v", "w", "u", "t", "s", "r", "q"};

int main(void) {
    for (int i = 0; i < 40; i += 13) printf("%s ", words[i]);
    for (int i = 0; i < 10; i += 3) printf("%s ", own[i]);
    putchar('\n');
    return 0;
}
