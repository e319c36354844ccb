/* helio for C++: the C interface of helio.h as values that clean up after themselves. Header only, C++17; with C++20
 * requests can be awaited.
 *
 *   helio::client client;
 *   for (const auto &chunk : client.stream(body)) std::cout << chunk.text();
 *
 * Failures come by choice: complete() throws helio::failure, try_complete() gives a helio::result. Without exceptions
 * (-fno-exceptions) only what begins with try_ can fail softly; the others end the program with the message.
 *
 * Text goes in as std::string_view and comes out as views of what the object holds. No exception crosses the C border: one
 * that a callback throws cancels its request, and comes out of the call that ran the callback. Nothing here costs more
 * than the C call it stands for, but for the state that a callback or a range needs.
 *
 * Threads: a client may be used by any number of threads, all other objects by one at a time. What helio.h says of
 * callbacks holds here, too. docs/cpp.md.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef HELIO_HPP
#define HELIO_HPP

#include <helio.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>

#if defined(__cpp_impl_coroutine) && defined(__has_include)
#  if __has_include(<coroutine>)
#    include <coroutine>
#    define HELIO_HAS_COROUTINES 1
#  endif
#endif

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
#  define HELIO_HAS_EXCEPTIONS 1
#endif

namespace helio {

using status = helio_status;
using request_id = helio_request_id;

/** The name of a status, like "HELIO_ERR_TIMEOUT". */
inline std::string_view name(status of) { return helio_status_name(of); }

namespace detail {
inline std::string_view view(const char *data, std::size_t len) {
  return data ? std::string_view(data, len) : std::string_view();
}
using part = const char *(*)(const helio_error *, std::size_t *);
inline std::string_view view(const helio_error *error, part of) {
  std::size_t len = 0;
  const char *data = of(error, &len);
  return view(data, len);
}
} // namespace detail

/** Text that the library gave: owned, ends in NUL. */
class buffer {
 public:
  buffer() = default;
  explicit buffer(helio_buffer *owned) : owned_(owned) {}
  std::string_view view() const { return detail::view(helio_buffer_data(owned_.get()), size()); }
  operator std::string_view() const { return view(); }
  /** Ends in NUL; "" where there is none. */
  const char *c_str() const { return owned_ ? helio_buffer_data(owned_.get()) : ""; }
  std::size_t size() const { return helio_buffer_size(owned_.get()); }
  bool empty() const { return size() == 0; }
  explicit operator bool() const { return owned_ != nullptr; }

 private:
  struct free {
    void operator()(helio_buffer *owned) const { helio_buffer_free(owned); }
  };
  std::unique_ptr<helio_buffer, free> owned_;
};

/** What went wrong, lent: of an event, or of an error that lives. */
class error_view {
 public:
  error_view(helio::status outcome, const helio_error *lent) : status_(outcome), error_(lent) {}
  helio::status status() const { return status_; }
  /** A sentence: what, where, what to do. */
  std::string_view message() const {
    std::string_view text = detail::view(error_, helio_error_message);
    return text.empty() ? name(status_) : text;
  }
  std::string_view code() const { return detail::view(error_, helio_error_code); }
  std::string_view type() const { return detail::view(error_, helio_error_type); }
  std::string_view body() const { return detail::view(error_, helio_error_body); }
  std::string_view report() const { return detail::view(error_, helio_error_report); }
  int http_status() const { return helio_error_http_status(error_); }
  /** Milliseconds; -1: another try makes no sense. */
  std::int64_t retry_after_ms() const { return helio_error_retry_after_ms(error_); }
  const helio_error *raw() const { return error_; }

 private:
  helio::status status_;
  const helio_error *error_;
};

/** What went wrong, owned, and what had come of the answer. */
class error {
 public:
  explicit error(helio::status outcome, helio_error *owned = nullptr, std::string_view arrived = {})
      : status_(outcome), owned_(owned, helio_error_free) {
    if (!arrived.empty()) partial_ = std::make_shared<const std::string>(arrived);
  }
  /** A copy of one that is lent. */
  explicit error(const error_view &lent, std::string_view arrived = {})
      : error(lent.status(), helio_error_copy(lent.raw()), arrived) {}
  error_view view() const { return {status_, owned_.get()}; }
  helio::status status() const { return status_; }
  std::string_view message() const { return view().message(); }
  std::string_view code() const { return view().code(); }
  std::string_view type() const { return view().type(); }
  std::string_view body() const { return view().body(); }
  std::string_view report() const { return view().report(); }
  int http_status() const { return view().http_status(); }
  std::int64_t retry_after_ms() const { return view().retry_after_ms(); }
  /** A chat.completion with what had arrived, or nothing. */
  std::string_view partial() const { return partial_ ? std::string_view(*partial_) : std::string_view(); }

 private:
  helio::status status_;
  std::shared_ptr<helio_error> owned_; // shared: exceptions are copied
  std::shared_ptr<const std::string> partial_;
};

#ifdef HELIO_HAS_EXCEPTIONS
/** An error, thrown. */
class failure : public std::exception {
 public:
  explicit failure(helio::error why) : error_(std::move(why)) {}
  const char *what() const noexcept override { return error_.message().data(); } // all of them end in NUL
  const helio::error &error() const noexcept { return error_; }
  helio::status status() const noexcept { return error_.status(); }

 private:
  helio::error error_;
};
#endif

namespace detail {
[[noreturn]] inline void raise(error why) {
#ifdef HELIO_HAS_EXCEPTIONS
  throw failure(std::move(why));
#else
  std::fprintf(stderr, "helio: %s\n", why.message().data());
  std::abort();
#endif
}
inline void check(status outcome) {
  if (outcome != HELIO_OK) raise(error(outcome));
}
} // namespace detail

/** A value, or why there is none. */
template <class T>
class [[nodiscard]] result {
 public:
  result(T is) : either_(std::move(is)) {}
  result(helio::error why) : either_(std::move(why)) {}
  bool has_value() const { return either_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  /** The value; what has none throws. */
  T &value() & {
    if (!has_value()) detail::raise(error());
    return *std::get_if<0>(&either_);
  }
  T &&value() && { return std::move(value()); }
  T &operator*() & { return value(); }
  T &&operator*() && { return std::move(value()); }
  T *operator->() { return &value(); }
  /** Only of one that has no value. */
  const helio::error &error() const { return *std::get_if<1>(&either_); }

 private:
  std::variant<T, helio::error> either_;
};

/** One value of a JSON document, by its JSON Pointer: a string unescaped, all else as it is written. Nothing there:
 * nothing. */
inline std::optional<std::string> json_get(std::string_view json, std::string_view pointer) {
  helio_buffer *found = nullptr;
  if (helio_json_get(json.data(), json.size(), std::string(pointer).c_str(), &found) != HELIO_OK) return std::nullopt;
  return std::string(buffer(found).view());
}

/** An answer: one chat.completion. */
class completion {
 public:
  completion() = default;
  explicit completion(buffer owned) : json_(std::move(owned)) {}
  explicit completion(std::string_view lent) : copy_(lent) {}
  /** As JSON. */
  std::string_view json() const { return json_ ? json_.view() : std::string_view(copy_); }
  /** The same, ending in NUL. */
  const char *c_str() const { return json_ ? json_.c_str() : copy_.c_str(); }
  /** What a choice says; "" where it says nothing. */
  std::string text(int choice = 0) const {
    auto said = get("/choices/" + std::to_string(choice) + "/message/content");
    return said && *said != "null" ? *said : std::string();
  }
  std::optional<std::string> get(std::string_view pointer) const { return json_get(json(), pointer); }

 private:
  buffer json_;
  std::string copy_;
};

/** What a request shows, lent: until the callback returns, or until the stream that shows it steps on. */
class event {
 public:
  explicit event(const helio_event *lent) : event_(lent) {}
  bool is_response() const { return event_->kind == HELIO_EVENT_RESPONSE; }
  bool is_chunk() const { return event_->kind == HELIO_EVENT_CHUNK; }
  bool is_done() const { return event_->kind == HELIO_EVENT_DONE; }
  request_id request() const { return event_->request; }
  /** JSON: the response's head, the chunk as it was sent, or one whole chat.completion. */
  std::string_view data() const { return detail::view(event_->data, event_->len); }
  /** What it adds to the choice with index 0; of DONE all of it. */
  std::string_view text() const { return detail::view(event_->text, event_->text_len); }
  std::string_view reasoning() const { return detail::view(event_->reasoning, event_->reasoning_len); }
  helio::status status() const { return event_->status; }
  int http_status() const { return event_->http_status; }
  /** Of a DONE whose status is not HELIO_OK. */
  error_view error() const { return {event_->status, event_->error}; }
  std::string_view report() const { return detail::view(event_->report, event_->report_len); }
  const helio_event *raw() const { return event_; }

 private:
  const helio_event *event_;
};

namespace detail {

/** An event that was taken: owned. */
class taken_event {
 public:
  taken_event() = default;
  explicit taken_event(const helio_event *owned) : owned_(owned) {}
  explicit operator bool() const { return owned_ != nullptr; }
  event operator*() const { return event(owned_.get()); }

 private:
  struct release {
    void operator()(const helio_event *owned) const { helio_event_release(owned); }
  };
  std::unique_ptr<const helio_event, release> owned_;
};

/** What a callback gives back, as C wants it: nothing and false go on, true and non-zero cancel. */
template <class F>
std::int32_t called(F &function, const event &of) {
  if constexpr (std::is_void_v<std::invoke_result_t<F &, const event &>>) {
    function(of);
    return 0;
  } else {
    return static_cast<std::int32_t>(function(of));
  }
}

/** What was thrown where no exception may pass, until it can be thrown again. */
class thrown {
 public:
  /** Run this. False: it threw. */
  template <class F>
  bool run(F &&body) {
#ifdef HELIO_HAS_EXCEPTIONS
    try {
      body();
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!first_) first_ = std::current_exception();
      return false;
    }
#else
    body();
#endif
    return true;
  }
  void again() {
#ifdef HELIO_HAS_EXCEPTIONS
    std::exception_ptr first;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      std::swap(first, first_);
    }
    if (first) std::rethrow_exception(first);
#endif
  }

 private:
#ifdef HELIO_HAS_EXCEPTIONS
  std::mutex mutex_;
  std::exception_ptr first_;
#endif
};

/** What a client needs beside its handle, at an address that stays. */
struct state {
  std::function<void(int, std::string_view, std::string_view)> log;
  std::function<void()> notify;
  thrown by_callbacks; // of poll()

  // Streams that are iterated: whoever waits first takes events, also those of the others.
  std::mutex mutex;
  std::condition_variable arrived;
  std::unordered_map<request_id, std::deque<taken_event>> waiting;
  bool is_pulling = false;
};

/** A callback of one blocking call. */
template <class F>
struct borrowed {
  F &function;
  thrown caught;
  bool is_over = false; // it threw: it sees no more
  static std::int32_t on_event(const helio_event *raw, void *user_data) noexcept {
    auto &self = *static_cast<borrowed *>(user_data);
    std::int32_t cancels = 1;
    if (!self.is_over) self.is_over = !self.caught.run([&] { cancels = called(self.function, event(raw)); });
    return cancels;
  }
};

/** A callback that lives until its DONE has returned. */
template <class F>
struct kept {
  F function;
  state *of;
  bool is_over = false;
  static std::int32_t on_event(const helio_event *raw, void *user_data) noexcept {
    auto *self = static_cast<kept *>(user_data);
    std::int32_t cancels = 1;
    if (!self->is_over) {
      self->is_over = !self->of->by_callbacks.run([&] { cancels = called(self->function, event(raw)); });
    }
    if (raw->kind == HELIO_EVENT_DONE) delete self;
    return cancels;
  }
  /** On a thread of the library nobody could catch it: as in std::thread, an exception ends the program. */
  static std::int32_t on_thread(const helio_event *raw, void *user_data) noexcept {
    auto *self = static_cast<kept *>(user_data);
    const std::int32_t cancels = called(self->function, event(raw));
    if (raw->kind == HELIO_EVENT_DONE) delete self;
    return cancels;
  }
};

inline void on_log(std::int32_t level, const char *target, const char *message, std::size_t len, void *data) noexcept {
  static_cast<state *>(data)->log(level, target, std::string_view(message, len));
}
inline void on_notify(void *data) noexcept { static_cast<state *>(data)->notify(); }

} // namespace detail

/** How a request is made. */
struct request_options {
  /** JSON: the per-request part of the config. */
  std::string_view overrides = {};
  /** 0, or one from client::reserve(), to cancel it by. */
  request_id id = 0;
};

namespace detail {
inline helio_request_options options_of(const request_options &from) {
  helio_request_options options;
  helio_request_options_init(&options, sizeof options);
  options.id = from.id;
  if (!from.overrides.empty()) {
    options.overrides = from.overrides.data();
    options.overrides_len = from.overrides.size();
  }
  return options;
}
} // namespace detail

/** The chunks of an answer as they come: a range, and what it all was. Leaving the loop cancels the request. Several may
 * be iterated at once, on one thread or on many. It does not outlive its client. */
class stream {
 public:
  class iterator {
   public:
    using value_type = event;
    using difference_type = std::ptrdiff_t;
    using pointer = const event *;
    using reference = const event &;
    using iterator_category = std::input_iterator_tag;
    iterator() = default;
    explicit iterator(stream *of) : of_(of) {}
    const event &operator*() const { return of_->chunk(); }
    const event *operator->() const { return &of_->chunk(); }
    iterator &operator++() {
      if (!of_->next()) of_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator &a, const iterator &b) { return a.of_ == b.of_; }
    friend bool operator!=(const iterator &a, const iterator &b) { return a.of_ != b.of_; }

   private:
    stream *of_ = nullptr;
  };

  stream(stream &&other) noexcept
      : client_(std::exchange(other.client_, nullptr)), state_(other.state_), id_(other.id_),
        status_(other.status_), taken_(std::move(other.taken_)), shown_(other.shown_), done_(std::move(other.done_)) {}
  stream &operator=(stream &&) = delete;
  ~stream() {
    if (!client_) return;
    helio_cancel(client_, id_);
    while (!is_over()) take(); // its DONE is on its way
    std::lock_guard<std::mutex> lock(state_->mutex);
    state_->waiting.erase(id_);
  }

  iterator begin() { return next() ? iterator(this) : iterator(); }
  iterator end() { return iterator(); }
  request_id id() const { return id_; }

  /** Step to the next chunk. False at the end; an end that is no success throws. */
  bool next() {
    if (try_next()) return true;
    if (status_ != HELIO_OK) detail::raise(error());
    return false;
  }
  /** The same without throwing: at the end status() says what it was. */
  bool try_next() {
    while (!is_over()) {
      take();
      if (taken_ && (*taken_).is_chunk()) {
        shown_.emplace(*taken_);
        return true;
      }
    }
    return false;
  }
  /** Where it was stepped to. */
  const event &chunk() const { return *shown_; }
  bool is_over() const { return done_ || status_ != HELIO_OK; }
  /** After the end: how it ended. */
  helio::status status() const { return status_; }
  /** After the end: one whole chat.completion, or what had come of it. */
  helio::completion completion() const { return helio::completion(done_ ? (*done_).data() : std::string_view()); }
  std::string_view report() const { return done_ ? (*done_).report() : std::string_view(); }
  /** After an end that is no success. */
  helio::error error() const {
    return done_ ? helio::error((*done_).error(), (*done_).data()) : helio::error(status_);
  }

 private:
  friend class client;
  stream(helio_client *client, detail::state *state, request_id id) : client_(client), state_(state), id_(id) {}

  void take() {
    std::unique_lock<std::mutex> lock(state_->mutex);
    auto &mine = state_->waiting[id_];
    while (mine.empty()) {
      if (state_->is_pulling) {
        state_->arrived.wait(lock);
        continue;
      }
      state_->is_pulling = true;
      lock.unlock();
      const helio_event *raw = nullptr;
      const helio::status outcome = helio_next_event(client_, HELIO_WAIT_FOREVER, &raw);
      lock.lock();
      state_->is_pulling = false;
      if (raw) {
        detail::taken_event one(raw);
        auto whose = state_->waiting.find(raw->request);
        if (whose != state_->waiting.end()) whose->second.push_back(std::move(one));
      }
      state_->arrived.notify_all();
      if (outcome != HELIO_OK && mine.empty()) { // called from a callback, or after a fork
        status_ = outcome;
        return;
      }
    }
    taken_ = std::move(mine.front());
    mine.pop_front();
    if ((*taken_).is_done()) {
      done_ = std::move(taken_);
      status_ = (*done_).status();
    }
  }

  helio_client *client_;
  detail::state *state_;
  request_id id_;
  helio::status status_ = HELIO_OK;
  detail::taken_event taken_;
  std::optional<event> shown_;
  detail::taken_event done_;
};

/** What a client is made of. */
struct client_options {
  /** JSON; empty: defaults and environment. */
  std::string_view config = {};
  /** On any thread, at once; see helio_log_fn. An exception ends the program. */
  std::function<void(int level, std::string_view target, std::string_view message)> log = nullptr;
  /** HELIO_LOG_…; 0: HELIO_LOG_WARN. */
  int log_level = 0;
  /** On any thread, at once; see helio_notify_fn. An exception ends the program. */
  std::function<void()> notify = nullptr;
};

#ifdef HELIO_HAS_COROUTINES
class awaited;
#endif

/** A client. Its end destroys it and waits: no callback runs after it. (Inside a callback of its own it is only released.) */
class client {
 public:
  explicit client(std::string_view config = {}) : client(client_options{config}) {}
  explicit client(client_options options) : client(try_create(std::move(options)).value()) {}
  static result<client> try_create(client_options options = {}) {
    if (helio_abi_version() != HELIO_ABI_VERSION) return helio::error(HELIO_ERR_UNSUPPORTED); // another libhelio.so
    auto state = std::make_unique<detail::state>();
    state->log = std::move(options.log);
    state->notify = std::move(options.notify);
    helio_client_options raw;
    helio_client_options_init(&raw, sizeof raw);
    if (!options.config.empty()) {
      raw.config = options.config.data();
      raw.config_len = options.config.size();
    }
    if (state->log) raw.log_fn = detail::on_log;
    if (state->notify) raw.notify_fn = detail::on_notify;
    raw.log_level = options.log_level;
    raw.log_user_data = raw.notify_user_data = state.get();
    helio_client *handle = nullptr;
    helio_error *error = nullptr;
    const helio::status outcome = helio_client_create(&raw, &handle, &error);
    if (outcome != HELIO_OK) return helio::error(outcome, error);
    return client(handle, std::move(state));
  }

  client(client &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)), state_(std::move(other.state_)) {}
  client &operator=(client &&other) noexcept {
    client gone(std::move(*this));
    handle_ = std::exchange(other.handle_, nullptr);
    state_ = std::move(other.state_);
    return *this;
  }
  ~client() {
    if (handle_ && helio_client_destroy(handle_, HELIO_WAIT_FOREVER) != HELIO_OK) {
      helio_client_release(handle_);
      static_cast<void>(state_.release()); // a call of log or notify may be under way
    }
  }

  // One call, on this thread ------------------------------------------------------------------------------------------

  /** Ask, and wait for the whole answer. */
  completion complete(std::string_view body, const request_options &options = {}) {
    return try_complete(body, options).value();
  }
  result<completion> try_complete(std::string_view body, const request_options &options = {}) {
    const helio_request_options raw = detail::options_of(options);
    return ask(body, raw);
  }
  /** The same, and `on_event` sees each event on this thread. It may return true to cancel. */
  template <class F, class = std::enable_if_t<std::is_invocable_v<F &, const event &>>>
  completion complete(std::string_view body, F &&on_event, const request_options &options = {}) {
    return try_complete(body, on_event, options).value();
  }
  template <class F, class = std::enable_if_t<std::is_invocable_v<F &, const event &>>>
  result<completion> try_complete(std::string_view body, F &&on_event, const request_options &options = {}) {
    helio_request_options raw = detail::options_of(options);
    detail::borrowed<std::remove_reference_t<F>> callback{on_event, {}};
    raw.on_event = callback.on_event;
    raw.user_data = &callback;
    auto answer = ask(body, raw);
    callback.caught.again();
    return answer;
  }

  // A range -----------------------------------------------------------------------------------------------------------

  /** The chunks of an answer, as they come. While streams of a client are iterated, nothing else takes its PULL events. */
  helio::stream stream(std::string_view body, const request_options &options = {}) {
    return try_stream(body, options).value();
  }
  result<helio::stream> try_stream(std::string_view body, const request_options &options = {}) {
    helio_request_options raw = detail::options_of(options);
    raw.delivery = HELIO_DELIVERY_PULL;
    if (!raw.id) raw.id = helio_reserve(handle_);
    {
      std::lock_guard<std::mutex> lock(state_->mutex); // another thread may take its first event
      state_->waiting[raw.id];
    }
    helio_error *error = nullptr;
    const helio::status outcome = helio_submit(handle_, body.data(), body.size(), &raw, nullptr, &error);
    if (outcome != HELIO_OK) {
      std::lock_guard<std::mutex> lock(state_->mutex);
      state_->waiting.erase(raw.id);
      return helio::error(outcome, error);
    }
    return helio::stream(handle_, state_.get(), raw.id);
  }

  // In the host's loop ------------------------------------------------------------------------------------------------

  /** Begin a request; `on_event` sees its events inside poll(). (HELIO_DELIVERY_THREAD: on a thread of the library, where an
   * exception ends the program.) It is destroyed after its DONE. */
  template <class F>
  request_id submit(std::string_view body, F on_event, const request_options &options = {},
                    helio_delivery delivery = HELIO_DELIVERY_POLL) {
    return try_submit(body, std::move(on_event), options, delivery).value();
  }
  template <class F>
  result<request_id> try_submit(std::string_view body, F on_event, const request_options &options = {},
                                helio_delivery delivery = HELIO_DELIVERY_POLL) {
    using kept = detail::kept<F>;
    auto callback = std::make_unique<kept>(kept{std::move(on_event), state_.get()});
    helio_request_options raw = detail::options_of(options);
    raw.delivery = delivery;
    raw.on_event = delivery == HELIO_DELIVERY_THREAD ? helio_event_fn(kept::on_thread) : helio_event_fn(kept::on_event);
    raw.user_data = callback.get();
    auto id = submit(body, raw);
    if (id) static_cast<void>(callback.release()); // its DONE deletes it
    return id;
  }
  /** Run the callbacks of what is pending; wait for the first at most so long. What a callback throws comes out here. */
  helio::status poll(std::uint32_t timeout_ms = 0, std::uint32_t max_events = 0, std::uint32_t *delivered = nullptr) {
    const helio::status outcome = helio_poll(handle_, timeout_ms, max_events, delivered);
    state_->by_callbacks.again();
    return outcome;
  }
#ifdef HELIO_HAS_COROUTINES
  /** co_await it: the coroutine goes on inside poll(), with the whole answer. */
  inline awaited async(std::string_view body, const request_options &options = {});
#endif

  // The rest, as in helio.h -------------------------------------------------------------------------------------------

  request_id reserve() { return helio_reserve(handle_); }
  void cancel(request_id id) { helio_cancel(handle_, id); }
  void cancel_all() { helio_cancel_all(handle_); }
  void set_api_key(std::string_view key) { detail::check(helio_client_set_api_key(handle_, key.data(), key.size())); }
  void prewarm() { detail::check(helio_client_prewarm(handle_)); }
  buffer stats() {
    helio_buffer *json = nullptr;
    detail::check(helio_client_stats(handle_, &json));
    return buffer(json);
  }
  void shutdown() { helio_client_shutdown(handle_); }
  std::size_t pending_events() const { return helio_pending_events(handle_); }
  void wakeup() { helio_wakeup(handle_); }
  std::intptr_t wait_handle() { return helio_wait_handle(handle_); }
  /** For functions of helio.h. */
  helio_client *raw() const { return handle_; }

 private:
#ifdef HELIO_HAS_COROUTINES
  friend class awaited;
#endif
  client(helio_client *handle, std::unique_ptr<detail::state> state) : handle_(handle), state_(std::move(state)) {}

  result<completion> ask(std::string_view body, const helio_request_options &raw) {
    helio_buffer *json = nullptr;
    helio_error *error = nullptr;
    const helio::status outcome = helio_complete(handle_, body.data(), body.size(), &raw, &json, &error);
    buffer answer(json);
    if (outcome != HELIO_OK) return helio::error(outcome, error, answer);
    return completion(std::move(answer));
  }
  result<request_id> submit(std::string_view body, const helio_request_options &raw) {
    request_id id = 0;
    helio_error *error = nullptr;
    const helio::status outcome = helio_submit(handle_, body.data(), body.size(), &raw, &id, &error);
    if (outcome != HELIO_OK) return helio::error(outcome, error);
    return id;
  }

  helio_client *handle_;
  std::unique_ptr<detail::state> state_;
};

#ifdef HELIO_HAS_COROUTINES
namespace detail {
/** Where a task that is resumed inside poll() leaves what it throws. */
inline thread_local std::exception_ptr *resumed = nullptr;
} // namespace detail

/** An answer to be awaited. */
class awaited {
 public:
  awaited(awaited &&) = delete;
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting) {
    waiting_ = waiting;
    helio_request_options raw = detail::options_of({overrides_, id_});
    raw.on_event = on_event;
    raw.user_data = this;
    auto id = of_->submit(body_, raw);
    if (id) return true;
    error_.emplace(id.error());
    return false;
  }
  completion await_resume() {
    if (error_) detail::raise(*error_);
    return std::move(answer_);
  }
  /** co_await request.softly(): a result, for code that does not throw. */
  auto softly() && {
    struct soft {
      awaited &hard;
      bool await_ready() const noexcept { return false; }
      bool await_suspend(std::coroutine_handle<> waiting) { return hard.await_suspend(waiting); }
      result<completion> await_resume() {
        if (hard.error_) return *hard.error_;
        return std::move(hard.answer_);
      }
    };
    return soft{*this};
  }

 private:
  friend class client;
  awaited(client &of, std::string_view body, const request_options &options)
      : of_(&of), body_(body), overrides_(options.overrides), id_(options.id) {}

  static std::int32_t on_event(const helio_event *raw, void *user_data) noexcept {
    if (raw->kind != HELIO_EVENT_DONE) return 0;
    auto *self = static_cast<awaited *>(user_data);
    const event done(raw);
    if (done.status() == HELIO_OK) {
      self->answer_ = completion(done.data());
    } else {
      self->error_.emplace(done.error(), done.data());
    }
    detail::state *state = self->of_->state_.get();
    state->by_callbacks.run([waiting = self->waiting_] { // it may be gone after this
#ifdef HELIO_HAS_EXCEPTIONS
      std::exception_ptr left;
      std::exception_ptr *before = std::exchange(detail::resumed, &left);
      waiting.resume();
      detail::resumed = before;
      if (left) std::rethrow_exception(left);
#else
      waiting.resume();
#endif
    });
    return 0;
  }

  client *of_;
  std::string body_, overrides_;
  request_id id_;
  std::coroutine_handle<> waiting_;
  completion answer_;
  std::optional<error> error_;
};

inline awaited client::async(std::string_view body, const request_options &options) { return {*this, body, options}; }

/** A coroutine that nobody waits for: it begins at once and goes on inside poll(), where what it throws comes out. */
struct task {
  struct promise_type {
    task get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept {
      if (!detail::resumed) std::terminate(); // before its first co_await: catch it there
      *detail::resumed = std::current_exception();
    }
  };
};
#endif

/** A conversation: see docs/conversation.md. What it refuses throws. */
class chat {
 public:
  chat() {
    helio_chat *made = nullptr;
    detail::check(helio_chat_create(&made));
    chat_.reset(made);
  }
  chat &add(const char *role, std::string_view text) { return did(helio_chat_add(raw(), role, text.data(), text.size())); }
  chat &system(std::string_view text) { return add("system", text); }
  chat &user(std::string_view text) { return add("user", text); }
  chat &assistant(std::string_view text) { return add("assistant", text); }
  /** A message as it is written, or an array of them. */
  chat &add_json(const std::string &message) { return did(helio_chat_add_json(raw(), message.c_str())); }
  /** The assistant's message, as servers want it back. */
  chat &add(const completion &reply) { return did(helio_chat_add_reply(raw(), reply.c_str())); }
  chat &add_tool_result(const std::string &call, std::string_view text) {
    return did(helio_chat_add_tool_result(raw(), call.c_str(), text.data(), text.size()));
  }
  std::size_t size() const { return helio_chat_count(raw()); }
  void remove(std::size_t first, std::size_t count = std::size_t(-1)) { helio_chat_remove(raw(), first, count); }
  /** The body of a request with these parameters, which are one JSON object. */
  buffer request(const std::string &parameters = "{}") const {
    helio_buffer *body = nullptr;
    did(helio_chat_request(raw(), parameters.c_str(), &body));
    return buffer(body);
  }
  helio_chat *raw() const { return chat_.get(); }

 private:
  struct free {
    void operator()(helio_chat *owned) const { helio_chat_free(owned); }
  };
  void did(helio::status outcome) const {
    if (outcome != HELIO_OK) detail::raise(error(error_view(outcome, helio_chat_error(raw()))));
  }
  chat &did(helio::status outcome) {
    std::as_const(*this).did(outcome);
    return *this;
  }
  std::unique_ptr<helio_chat, free> chat_;
};

/** Ask, call what the model asks for, and ask again, until it asks for nothing more or `rounds` are over. `call` gets the name
 * and the arguments (JSON, as the model wrote it) and returns the result's text. The answers are added to the chat. */
template <class Call>
completion run_tools(client &client, chat &chat, const std::string &parameters, Call &&call, int rounds = 8,
                     const request_options &options = {}) {
  while (true) {
    completion reply = client.complete(chat.request(parameters), options);
    chat.add(reply);
    int calls = 0;
    while (auto one = reply.get("/choices/0/message/tool_calls/" + std::to_string(calls))) {
      const std::string name = json_get(*one, "/function/name").value_or("");
      const std::string arguments = json_get(*one, "/function/arguments").value_or("");
      chat.add_tool_result(json_get(*one, "/id").value_or(""), call(std::string_view(name), std::string_view(arguments)));
      calls++;
    }
    if (calls == 0 || --rounds <= 0) return reply;
  }
}

} // namespace helio

#endif
