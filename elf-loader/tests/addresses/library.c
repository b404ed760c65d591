int library_function(int value) {
    return value + 1;
}
