_Thread_local double total = 0.5;
_Thread_local char filler[20000];
static _Thread_local int uses;
double SUM(double a, double b, double c, double d) {
    total += a;
    filler[sizeof filler - 1] = 1;
    ++uses;
    return total + a * b + c * d + uses;
}
