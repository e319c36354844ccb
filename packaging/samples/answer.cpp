// The same in C++.
#include <helio.hpp>
#include <iostream>

int main() try {
  helio::client client;
  std::cout << client.complete(helio::chat().user("Hi").request("{\"model\":\"gpt-4o-mini\"}")).text() << '\n';
} catch (const helio::failure &failure) {
  std::cerr << failure.what() << '\n';
  return 1;
}
