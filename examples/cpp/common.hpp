// What the C++ examples share: settings from the environment.
//
//   BASE_URL    where to ask instead of the Helicone gateway, e.g. http://127.0.0.1:8080/v1
//   MODEL       which model; gpt-4o-mini unless set
//   PROMPT      what to ask
//   MAX_TOKENS  how long an answer may be; the server's own limit unless set
#ifndef HELIO_EXAMPLES_COMMON_HPP
#define HELIO_EXAMPLES_COMMON_HPP

#include <cstdlib>
#include <helio.hpp>
#include <iostream>
#include <string>

inline std::string environment(const char *name, const char *otherwise) {
  const char *value = std::getenv(name);
  return value && *value ? value : otherwise;
}

inline std::string settings(const std::string &more = "") {
  const std::string url = environment("BASE_URL", "");
  const std::string own = url.empty() ? "" : "\"base_url\":\"" + url + "\"";
  return "{" + own + (own.empty() || more.empty() ? "" : ",") + more + "}";
}

// The parameters of a request, without its messages.
inline std::string parameters(const std::string &more = "") {
  const std::string most = environment("MAX_TOKENS", "");
  return "{\"model\":\"" + environment("MODEL", "gpt-4o-mini") + "\"" + (most.empty() ? "" : ",\"max_tokens\":" + most) +
         (more.empty() ? "" : "," + more) + "}";
}

// A request with one question.
inline helio::buffer question(const std::string &more = "") {
  helio::chat chat;
  return chat.user(environment("PROMPT", "Why is the sky blue?")).request(parameters(more));
}

inline int complain(const helio::error &error) {
  std::cerr << error.message() << " (" << helio::name(error.status()) << ")\n";
  return EXIT_FAILURE;
}

#endif
