// The proof of the kernels of brute_s8.cu: matrix instructions on bytes.
#include "brute.h"
#include "../kernels/brute_s8.cu"

int main(int count, char** arguments) {
  read_arguments(count, arguments);
  prove({"brute_s8_64", brute_s8_64, 1, 512, 5});
  prove({"brute_s8_128", brute_s8_128, 2, 256, 12});
  prove({"brute_s8_256", brute_s8_256, 4, 256, 31});
  return conclude("brute_s8");
}
