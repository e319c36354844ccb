// Tools: the model asks for functions to be called, and goes on with what they gave.
#include "common.hpp"

static std::string call(std::string_view name, std::string_view arguments) {
  const auto a = helio::json_get(arguments, "/a"), b = helio::json_get(arguments, "/b");
  if (name != "add") return "error: there is no such function";
  if (!a || !b) return "error: the arguments must be JSON like {\"a\":1,\"b\":2}";
  return std::to_string(std::strtod(a->c_str(), nullptr) + std::strtod(b->c_str(), nullptr));
}

int main() try {
  helio::client client(settings());
  helio::chat chat;
  chat.user(environment("PROMPT", "What is 4711 + 815?"));
  const std::string with_tools = parameters(R"("tools":[{"type":"function","function":{"name":"add","parameters":{
    "type":"object","properties":{"a":{"type":"number"},"b":{"type":"number"}},"required":["a","b"]}}}])");
  std::cout << helio::run_tools(client, chat, with_tools, call).text() << '\n';
} catch (const helio::failure &failure) {
  return complain(failure.error());
}
