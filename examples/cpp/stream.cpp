// An answer as it comes. BASE_URL, MODEL and PROMPT as in common.hpp.
#include "common.hpp"

int main() try {
  helio::client client(settings());
  for (const auto &chunk : client.stream(question("\"stream\":true"))) std::cout << chunk.text() << std::flush;
  std::cout << '\n';
} catch (const helio::failure &failure) {
  return complain(failure.error());
}
