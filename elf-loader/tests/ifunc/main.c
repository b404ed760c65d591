// An IFUNC of a library, called and taken by address; its resolver uses the library's own data.
#include <stdio.h>

int chosen(int value);
int call_inside(int value);

int main(void) {
    int (*pointer)(int) = chosen;
    printf("%d %d %d\n", chosen(1), pointer(2), call_inside(3));
    return 0;
}
