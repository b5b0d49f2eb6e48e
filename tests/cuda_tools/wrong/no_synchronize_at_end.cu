// expected: never-synchronized
#include <stdio.h>
__global__ void hello() { printf("hello\n"); }
int main() {
    hello<<<1, 1>>>();  // HERE: main may end before the kernel begins
    return 0;
}
