// An answer by a schema, taken apart.
#include "common.hpp"

int main() try {
  helio::client client(settings());
  const auto answer = client.complete(question(R"("response_format":{"type":"json_schema","json_schema":{"name":"city",
    "strict":true,"schema":{"type":"object","properties":{"name":{"type":"string"},"population":{"type":"integer"}},
    "required":["name","population"],"additionalProperties":false}}})"));
  const std::string city = answer.text();
  const auto name = helio::json_get(city, "/name"), population = helio::json_get(city, "/population");
  if (!name || !population) { // refused, or cut at max_tokens
    std::cerr << answer.get("/choices/0/finish_reason").value_or("no finish") << ": " << city << '\n';
    return 1;
  }
  std::cout << *name << ": " << *population << '\n';
} catch (const helio::failure &failure) {
  return complain(failure.error());
}
