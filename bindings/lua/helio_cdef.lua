-- Made from include/helio.h by make_cdef.sh.
return [[
typedef struct helio_buffer helio_buffer;
typedef struct helio_chat helio_chat;
typedef struct helio_client helio_client;
typedef struct helio_error helio_error;
typedef void (*helio_log_fn)(int32_t level,
                             const char *target,
                             const char *message,
                             size_t message_len,
                             void *user_data);
typedef void (*helio_notify_fn)(void *user_data);
typedef struct helio_client_options {
  uint32_t struct_size;
  uint32_t flags;
  const char *config;
  size_t config_len;
  helio_log_fn log_fn;
  void *log_user_data;
  int32_t log_level;
  uint32_t reserved0;
  helio_notify_fn notify_fn;
  void *notify_user_data;
} helio_client_options;
typedef int32_t helio_status;
typedef uint32_t helio_event_kind;
typedef uint64_t helio_request_id;
typedef struct helio_event {
  uint32_t struct_size;
  helio_event_kind kind;
  helio_request_id request;
  void *user_data;
  const char *data;
  size_t len;
  const char *text;
  size_t text_len;
  const char *reasoning;
  size_t reasoning_len;
  helio_status status;
  int32_t http_status;
  const struct helio_error *error;
  const char *report;
  size_t report_len;
} helio_event;
typedef uint32_t helio_delivery;
typedef int32_t (*helio_event_fn)(const struct helio_event *event, void *user_data);
typedef struct helio_request_options {
  uint32_t struct_size;
  helio_delivery delivery;
  helio_request_id id;
  helio_event_fn on_event;
  void *user_data;
  const char *overrides;
  size_t overrides_len;
} helio_request_options;
 void helio_client_options_init(struct helio_client_options *opts, uint32_t struct_size);

helio_status helio_client_create(const struct helio_client_options *opts,
                                 struct helio_client **out_client,
                                 struct helio_error **out_error);

helio_status helio_client_set_api_key(struct helio_client *client,
                                      const char *key,
                                      size_t len);

helio_status helio_client_prewarm(struct helio_client *client);

helio_status helio_client_stats(struct helio_client *client,
                                struct helio_buffer **out_json);

helio_status helio_client_shutdown(struct helio_client *client);

helio_status helio_client_destroy(struct helio_client *client,
                                  uint32_t timeout_ms);

void helio_client_release(struct helio_client *client);

helio_status helio_poll(struct helio_client *client,
                        uint32_t timeout_ms,
                        uint32_t max_events,
                        uint32_t *out_delivered);

helio_status helio_next_event(struct helio_client *client,
                              uint32_t timeout_ms,
                              const struct helio_event **out_event);

void helio_event_release(const struct helio_event *event);
 size_t helio_pending_events(const struct helio_client *client);

helio_status helio_wakeup(struct helio_client *client);

intptr_t helio_wait_handle(struct helio_client *client);
 uint32_t helio_version_number(void);
 const char *helio_version_string(void);
 uint32_t helio_abi_version(void);

int32_t helio_has_feature(const char *name);
 const char *helio_status_name(helio_status status);
 void helio_request_options_init(struct helio_request_options *opts, uint32_t struct_size);

helio_request_id helio_reserve(struct helio_client *client);

helio_status helio_complete(struct helio_client *client,
                            const char *json,
                            size_t len,
                            const struct helio_request_options *opts,
                            struct helio_buffer **out_json,
                            struct helio_error **out_error);

helio_status helio_submit(struct helio_client *client,
                          const char *json,
                          size_t len,
                          const struct helio_request_options *opts,
                          helio_request_id *out_id,
                          struct helio_error **out_error);
 helio_status helio_cancel(struct helio_client *client, helio_request_id id);
 helio_status helio_cancel_all(struct helio_client *client);

const char *helio_buffer_data(const struct helio_buffer *buffer);
 size_t helio_buffer_size(const struct helio_buffer *buffer);
 void helio_buffer_free(struct helio_buffer *buffer);
 helio_status helio_error_status(const struct helio_error *error);
 int32_t helio_error_http_status(const struct helio_error *error);
 int64_t helio_error_retry_after_ms(const struct helio_error *error);
 const char *helio_error_message(const struct helio_error *error, size_t *out_len);
 const char *helio_error_code(const struct helio_error *error, size_t *out_len);
 const char *helio_error_type(const struct helio_error *error, size_t *out_len);

const char *helio_error_body(const struct helio_error *error,
                             size_t *out_len);

const char *helio_error_report(const struct helio_error *error,
                               size_t *out_len);
 struct helio_error *helio_error_copy(const struct helio_error *error);

void helio_error_free(struct helio_error *error);
 helio_status helio_chat_create(struct helio_chat **out_chat);
 void helio_chat_free(struct helio_chat *chat);

helio_status helio_chat_add(struct helio_chat *chat,
                            const char *role,
                            const char *text,
                            size_t len);

helio_status helio_chat_add_json(struct helio_chat *chat,
                                 const char *message);

helio_status helio_chat_add_reply(struct helio_chat *chat,
                                  const char *completion);

helio_status helio_chat_add_tool_result(struct helio_chat *chat,
                                        const char *tool_call_id,
                                        const char *text,
                                        size_t len);
 size_t helio_chat_count(const struct helio_chat *chat);

helio_status helio_chat_remove(struct helio_chat *chat,
                               size_t first,
                               size_t count);

helio_status helio_chat_request(const struct helio_chat *chat,
                                const char *parameters,
                                struct helio_buffer **out_body);

const struct helio_error *helio_chat_error(const struct helio_chat *chat);

helio_status helio_json_get(const char *json,
                            size_t len,
                            const char *pointer,
                            struct helio_buffer **out_value);
]]
