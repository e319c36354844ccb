// C++20: requests that are awaited. Two conversations go on side by side, on this one thread.
#include "common.hpp"

static helio::task talk(helio::client &client, int number, int &running) {
  helio::chat chat;
  for (const char *line : {"Name a river.", "And where does it end?"}) {
    auto answer = co_await client.async(chat.user(line).request(parameters())).softly();
    if (!answer) {
      complain(answer.error());
      break;
    }
    chat.add(*answer);
    std::cout << number << ": " << answer->text() << '\n';
  }
  running--;
}

int main() try {
  helio::client client(settings());
  int running = 2;
  talk(client, 1, running);
  talk(client, 2, running);
  while (running > 0) client.poll(HELIO_WAIT_FOREVER); // the coroutines go on in here
} catch (const helio::failure &failure) {
  return complain(failure.error());
}
