// The shortest call, and the same without exceptions.
#include "common.hpp"

int main() {
  auto client = helio::client::try_create({settings()});
  if (!client) return complain(client.error());
  auto answer = client->try_complete(question());
  if (!answer) return complain(answer.error());
  std::cout << answer->text() << '\n';
}
