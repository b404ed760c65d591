// Protected and hidden symbols, weak undefined ones, -Bsymbolic, and unique ones over two
// libraries.
#include <stdio.h>

int interposed(void) {
    return 1;
}
int call_protected(void);
int call_plain(void);
int call_symbolic(void);
int symbolic(void) {
    return 1;
}
extern int nowhere(void) __attribute__((weak));
int* unique_from_a(void);
int* unique_from_b(void);

int main(void) {
    printf("protected %d plain %d symbolic %d\n", call_protected(), call_plain(), call_symbolic());
    printf("weak %d\n", nowhere == NULL);
    printf("unique %d\n", unique_from_a() == unique_from_b());
    return 0;
}
