#define W(n) #n "0", #n "1", #n "2", #n "3", #n "4", #n "5", #n "6", #n "7", #n "8", #n "9"
const char* const words[40] = {W(a), W(b), W(c), W(d)};
