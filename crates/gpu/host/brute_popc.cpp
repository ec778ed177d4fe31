// The proof of the kernels of brute_popc.cu: POPC, exact and of OR-ed words, and any number of words.
#include "brute.h"
#include "../kernels/brute_popc.cu"

int main(int count, char** arguments) {
  read_arguments(count, arguments);
  prove({"brute_popc_64", brute_popc_64, 1, 512, 5});
  prove({"brute_popc_128", brute_popc_128, 2, 512, 12});
  prove({"brute_popc_256", brute_popc_256, 4, 256, 90});
  prove({"brute_fold_64", brute_fold_64, 1, 512, 5});
  prove({"brute_fold_128", brute_fold_128, 2, 512, 12});
  prove({"brute_fold_256", brute_fold_256, 4, 512, 31});
  for (u32 words : {1u, 5u, 16u}) prove({"brute_popc_any", brute_popc_any, words, 128, 5 * words});
  return conclude("brute_popc");
}
