// A conversation in the terminal; ends with the input. A turn that fails is forgotten.
#include "common.hpp"

int main() try {
  helio::client client(settings());
  helio::chat chat;
  for (std::string line; std::cout << "> " << std::flush, std::getline(std::cin, line);) {
    const std::size_t before = chat.size();
    try {
      chat.user(line);
      chat.add(client.complete(chat.request(parameters("\"stream\":true")),
                               [](const helio::event &event) {
                                 if (event.is_chunk()) std::cout << event.text() << std::flush;
                               }));
    } catch (const helio::failure &failure) {
      complain(failure.error());
      chat.remove(before);
    }
    std::cout << '\n';
  }
} catch (const helio::failure &failure) {
  return complain(failure.error());
}
