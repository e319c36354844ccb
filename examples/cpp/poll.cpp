// Inside a loop of the host's own: nothing blocks it, callbacks run where it polls.
#include "common.hpp"

#include <chrono>
#include <thread>

int main() try {
  helio::client client(settings());
  int running = 2, frames = 0;
  for (int number = 0; number < 2; number++) {
    client.submit(question("\"stream\":true"), [&running, number](const helio::event &event) {
      if (!event.text().empty() && event.is_chunk()) std::cout << number << ':' << event.text() << ' ' << std::flush;
      if (!event.is_done()) return;
      running--;
      if (event.status() != HELIO_OK) throw helio::failure(helio::error(event.error()));
    });
  }
  for (; running > 0; frames++) {
    client.poll(); // what a callback throws comes out here
    std::this_thread::sleep_for(std::chrono::milliseconds(16)); // the frame's own work
  }
  std::cout << '\n';
} catch (const helio::failure &failure) {
  return complain(failure.error());
}
