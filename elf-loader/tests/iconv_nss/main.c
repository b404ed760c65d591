// gconv modules and the files of NSS, which libc itself loads.
#include <errno.h>
#include <iconv.h>
#include <locale.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    iconv_t converter = iconv_open("KOI8-R", "UTF-8");
    char in[] = "\xd0\xb0\xd0\xb1", out[8] = {0};
    char *from = in, *to = out;
    size_t from_left = 4, to_left = sizeof out;
    printf("%d\n", converter != (iconv_t)-1);
    printf("%zu\n", iconv(converter, &from, &from_left, &to, &to_left));
    printf("%02x %02x\n", (unsigned char)out[0], (unsigned char)out[1]);
    iconv_close(converter);
    printf("%d %d\n", iconv_open("NO-SUCH", "UTF-8") == (iconv_t)-1, errno);
    struct passwd* root = getpwuid(0);
    printf("%s %s\n", root ? root->pw_name : "none", root ? root->pw_dir : "none");
    struct servent* service = getservbyname("domain", "udp");
    printf("%d\n", service ? service->s_port : -1);
    printf("%s\n", setlocale(LC_ALL, "C.UTF-8") ? "C.UTF-8" : "no locale");
    return 0;
}
