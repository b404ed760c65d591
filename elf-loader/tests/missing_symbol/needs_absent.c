int nowhere_defined(void);
int (*pointer)(void) = nowhere_defined;
