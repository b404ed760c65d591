int shared_counter = 7;
int shared_table[4] = {1, 2, 3, 4};
int bump(void) {
    return ++shared_counter;
}
