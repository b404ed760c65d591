_Thread_local long total = 5;
_Thread_local char filler[20000];
static _Thread_local int uses;
long SUM(long a, long b, long c, long d) {
    total += a;
    filler[sizeof filler - 1] = 1;
    ++uses;
    return total + a * b + c * d + uses;
}
