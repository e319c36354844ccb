// What helio.hpp promises, each against the scripted server whose base URL is the first argument. The second argument is
// the promise. Ends with 0 if it is kept. Built in C++17 and C++20, with sanitizers, and without exceptions and RTTI.
#include <helio.hpp>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>
#if defined(__cpp_lib_ranges)
#  include <ranges>
static_assert(std::ranges::input_range<helio::stream>);
#endif

#define CHECK(holds)                                                          \
  do {                                                                        \
    if (!(holds)) {                                                           \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds);        \
      std::exit(1);                                                           \
    }                                                                         \
  } while (0)

static std::string base_url;

static helio::client make(const std::string &more = "") {
  const std::string config = "{\"base_url\":\"" + base_url + "\",\"retry\":{\"base_ms\":1}" + more + "}";
  return std::move(helio::client::try_create({config}).value());
}

static helio::buffer body(const std::string &text, bool stream) {
  helio::chat chat;
  return chat.user(text).request(stream ? "{\"model\":\"m\",\"stream\":true}" : "{\"model\":\"m\"}");
}

static void whole() {
  auto client = make();
  auto answer = client.try_complete(body("one", false));
  CHECK(answer && answer->text() == "You said: one");
  CHECK(answer->get("/choices/0/finish_reason") == "stop" && !answer->get("/nothing"));
  CHECK(answer->json().size() == std::strlen(answer->c_str()));
  helio::client moved(std::move(client)), assigned = make();
  assigned = std::move(moved);
  CHECK(assigned.try_complete(body("two", true))->text() == "You said: two");
  CHECK(!assigned.stats().empty());
}

static void refused() {
  auto client = make();
  auto answer = client.try_complete("{\"model\":\"refuse\",\"messages\":[]}");
  CHECK(!answer);
  const helio::error error = answer.error(), copy = error;
  CHECK(copy.status() == HELIO_ERR_BAD_REQUEST && copy.http_status() == 400 && copy.code() == "model_refused");
  CHECK(copy.message().find("never served") != std::string_view::npos && copy.retry_after_ms() == -1);
  CHECK(!copy.report().empty() && !copy.body().empty() && copy.partial().empty());
  CHECK(helio::name(copy.status()) == "HELIO_ERR_BAD_REQUEST");
  CHECK(!helio::client::try_create({"{\"no_such_key\":1}"}));
  CHECK(!client.try_complete("not json"));
  CHECK(helio::error(HELIO_ERR_TIMEOUT).message() == "HELIO_ERR_TIMEOUT");
}

static void callback() {
  auto client = make();
  std::string text;
  int kinds[4] = {0, 0, 0, 0};
  auto answer = client.try_complete(body("a b c", true), [&](const helio::event &event) {
    kinds[event.raw()->kind]++;
    if (event.is_chunk()) text += event.text();
  });
  CHECK(answer && text == "You said: a b c" && answer->text() == text);
  CHECK(kinds[HELIO_EVENT_RESPONSE] == 1 && kinds[HELIO_EVENT_CHUNK] > 3 && kinds[HELIO_EVENT_DONE] == 1);
  auto cancelled = client.try_complete(body("a b c", true), [](const helio::event &event) { return event.is_chunk(); });
  CHECK(!cancelled && cancelled.error().status() == HELIO_ERR_CANCELLED && !cancelled.error().partial().empty());
}

static std::string read(helio::stream stream) {
  std::string text;
  while (stream.try_next()) text += stream.chunk().text();
  CHECK(stream.is_over() && stream.status() == HELIO_OK && stream.completion().text() == text);
  CHECK(!stream.report().empty());
  return text;
}

static void range() {
  auto client = make();
  CHECK(read(std::move(*client.try_stream(body("one two three", true)))) == "You said: one two three");
  {
    auto one = std::move(*client.try_stream(body("first", true)));
    auto two = std::move(*client.try_stream(body("second", true)));
    CHECK(read(std::move(two)) == "You said: second"); // meanwhile events of the other are taken, too
    CHECK(read(std::move(one)) == "You said: first");
  }
  {
    auto left = std::move(*client.try_stream(body("never read", true)));
    CHECK(left.id() != 0);
  }
  {
    auto left = std::move(*client.try_stream(body("read a little of this", true)));
    CHECK(left.try_next());
  }
  CHECK(client.pending_events() == 0);
  auto failed = std::move(*client.try_stream("{\"model\":\"refuse\",\"messages\":[]}"));
  CHECK(!failed.try_next() && failed.status() == HELIO_ERR_BAD_REQUEST);
  CHECK(failed.error().code() == "model_refused");
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int number = 0; number < 8; number++) {
    threads.emplace_back([&client, &right, number] {
      const std::string said = "number " + std::to_string(number);
      for (int round = 0; round < 20; round++) right += read(std::move(*client.try_stream(body(said, true)))) == "You said: " + said;
    });
  }
  for (auto &thread : threads) thread.join();
  CHECK(right == 160);
  client.shutdown();
  CHECK(client.try_stream(body("late", true)).error().status() == HELIO_ERR_SHUT_DOWN);
}

static void polled() {
  auto client = make();
  int done = 0;
  std::string text;
  auto destroyed = std::make_shared<int>(0);
  std::weak_ptr<int> watched = destroyed;
  client.submit(body("a b", true), [&, destroyed](const helio::event &event) {
    text += event.is_chunk() ? std::string(event.text()) : "";
    done += event.is_done();
  });
  destroyed.reset();
  CHECK(!watched.expired());
  while (!done) CHECK(client.poll(HELIO_WAIT_FOREVER) == HELIO_OK);
  CHECK(text == "You said: a b" && watched.expired());
  std::atomic<bool> over{false};
  client.submit(
      body("c", true), [&over](const helio::event &event) { over = event.is_done(); }, {}, HELIO_DELIVERY_THREAD);
  while (!over) std::this_thread::yield();
  CHECK(!client.try_submit("[]", [](const helio::event &) {}));
  const auto id = client.reserve();
  client.cancel(id);
  CHECK(client.try_complete(body("x", false), {{}, id}).error().status() == HELIO_ERR_CANCELLED);
  client.submit(body("d", true), [](const helio::event &) {}); // its DONE comes inside the client's end
}

static void talked() {
  auto client = make();
  helio::chat chat;
  chat.system("s").user("first");
  chat.add(*client.try_complete(chat.request("{\"model\":\"m\"}")));
  CHECK(chat.size() == 3);
  chat.add_json("[{\"role\":\"user\",\"content\":\"x\"}]").assistant("y").add_tool_result("c1", "z");
  chat.remove(4);
  CHECK(chat.size() == 4);
  CHECK(helio::json_get(chat.request(), "/messages/2/content") == "You said: first");
  CHECK(!helio::json_get("{", "/a") && helio::json_get("{\"a\":\"\\u00fc\"}", "/a") == "\xc3\xbc");
}

static void logged() {
  std::atomic<int> lines{0}, notes{0};
  const std::string config = "{\"base_url\":\"" + base_url + "\"}";
  helio::client_options options{config};
  options.log = [&](int, std::string_view target, std::string_view message) { lines += !target.empty() && !message.empty(); };
  options.log_level = HELIO_LOG_DEBUG;
  options.notify = [&] { notes++; };
  helio::client client = std::move(helio::client::try_create(std::move(options)).value());
  auto stream = std::move(*client.try_stream(body("one", true)));
  while (stream.try_next()) {
  }
  CHECK(lines > 0 && notes > 0);
}

#ifdef HELIO_HAS_EXCEPTIONS
struct own {};

static void thrown() {
  auto client = make();
  try {
    client.complete("{\"model\":\"refuse\",\"messages\":[]}");
    CHECK(false); // it threw
  } catch (const helio::failure &failure) {
    const helio::failure copy = failure;
    CHECK(copy.status() == HELIO_ERR_BAD_REQUEST && std::strstr(copy.what(), "never served"));
  }
  try {
    for (const auto &chunk : client.stream("{\"model\":\"refuse\",\"messages\":[]}")) CHECK(chunk.is_response());
    CHECK(false); // it threw
  } catch (const helio::failure &failure) {
    CHECK(failure.status() == HELIO_ERR_BAD_REQUEST);
  }
  int seen = 0;
  try {
    client.complete(body("a b c", true), [&](const helio::event &event) {
      seen++;
      if (event.is_chunk()) throw own();
    });
    CHECK(false); // it threw
  } catch (const own &) {
    CHECK(seen == 2); // RESPONSE, and the chunk that it threw at
  }
  client.submit(body("a b c", true), [](const helio::event &event) {
    if (event.is_chunk()) throw own();
  });
  try {
    while (client.poll(HELIO_WAIT_FOREVER) == HELIO_OK) {
    }
    CHECK(false); // it threw
  } catch (const own &) {
  }
  std::string text;
  for (const auto &chunk : client.stream(body("after it", true))) text += chunk.text();
  CHECK(text == "You said: after it");
  for (const auto &chunk : client.stream(body("left", true))) {
    CHECK(chunk.is_chunk());
    break;
  }
  try {
    helio::chat().add("bot", "x");
    CHECK(false); // it threw
  } catch (const helio::failure &failure) {
    CHECK(std::strstr(failure.what(), "\"bot\""));
  }
}
#endif

#ifdef HELIO_HAS_COROUTINES
static helio::task ask(helio::client &client, std::string text, std::string &said) {
  auto answer = co_await client.async(body(text, true)).softly();
  said = answer ? answer->text() : std::string(answer.error().code());
}

static helio::task fail(helio::client &client) {
  co_await client.async("{\"model\":\"refuse\",\"messages\":[]}");
}

static void awaited() {
  auto client = make();
  std::vector<std::string> said(20);
  const auto here = std::this_thread::get_id();
  for (std::size_t number = 0; number < said.size(); number++) ask(client, std::to_string(number), said[number]);
  for (bool all = false; !all;) {
    client.poll(HELIO_WAIT_FOREVER);
    all = true;
    for (const auto &one : said) all = all && !one.empty();
  }
  for (std::size_t number = 0; number < said.size(); number++) CHECK(said[number] == "You said: " + std::to_string(number));
  CHECK(here == std::this_thread::get_id());
  std::string refused;
  auto soft = [](helio::client &of, std::string &out) -> helio::task {
    auto answer = co_await of.async("[]").softly();
    out = answer ? "" : std::string(helio::name(answer.error().status()));
  };
  soft(client, refused); // refused at once: it never waits
  CHECK(refused == "HELIO_ERR_INVALID_JSON");
#ifdef HELIO_HAS_EXCEPTIONS
  fail(client);
  try {
    while (client.poll(HELIO_WAIT_FOREVER) == HELIO_OK) {
    }
    CHECK(false); // it threw
  } catch (const helio::failure &failure) {
    CHECK(failure.status() == HELIO_ERR_BAD_REQUEST);
  }
#else
  static_cast<void>(fail);
#endif
}
#endif

int main(int argc, char **argv) {
  CHECK(argc == 3);
  base_url = argv[1];
  const std::string promise = argv[2];
  const std::pair<const char *, void (*)()> all[] = {
      {"whole", whole},   {"refused", refused}, {"callback", callback}, {"range", range},
      {"polled", polled}, {"talked", talked},   {"logged", logged},
#ifdef HELIO_HAS_EXCEPTIONS
      {"thrown", thrown},
#endif
#ifdef HELIO_HAS_COROUTINES
      {"awaited", awaited},
#endif
  };
  for (const auto &[name, function] : all) {
    if (promise == name || promise == "all") {
      std::puts(name);
      function();
    }
  }
  return 0;
}
