// Two versions of one function: the default one, and an old one that dlvsym and old programs use.
#include <dlfcn.h>
#include <stdio.h>

int answer(void);
int old_answer(void);
__asm__(".symver old_answer, answer@V1");

int main(void) {
    printf("%d %d\n", answer(), old_answer());
    int (*v1)(void) = (int (*)(void))dlvsym(RTLD_DEFAULT, "answer", "V1");
    int (*v2)(void) = (int (*)(void))dlvsym(RTLD_DEFAULT, "answer", "V2");
    int (*plain)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "answer");
    printf("%d %d %d\n", v1(), v2(), plain());
    return 0;
}
