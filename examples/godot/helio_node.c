/* A node for Godot 3 (GDNative, whose interface is C): asks, and tells what comes by signals, from the frame.
 * README.md says how a script uses it. Everything here runs on the engine's main thread: helio_poll in _process calls
 * `hear`, which emits the signals, so there is nothing to lock. */

#include <gdnative_api_struct.gen.h>
#include <helio.h>
#include <stdlib.h>
#include <string.h>

#define CLASS "HelioNode"

static const godot_gdnative_core_api_struct *core;
static const godot_gdnative_ext_nativescript_api_struct *scripts;
static godot_method_bind *emit_signal;

/* One node. */
typedef struct node {
  godot_object *object;
  helio_client *client;
} node;

/* Values ---------------------------------------------------------------------------------------- */

static godot_string string_of(const char *text, size_t len) {
  godot_string made;
  core->godot_string_new(&made);
  core->godot_string_parse_utf8_with_len(&made, text ? text : "", text ? (godot_int)len : 0);
  return made;
}

static godot_variant variant_of(const char *text, size_t len) {
  godot_variant made;
  godot_string string = string_of(text, len);
  core->godot_variant_new_string(&made, &string);
  core->godot_string_destroy(&string);
  return made;
}

static godot_variant number(int64_t value) {
  godot_variant made;
  core->godot_variant_new_int(&made, value);
  return made;
}

/* The UTF-8 of an argument, to be destroyed. */
static godot_char_string utf8_of(const godot_variant *argument) {
  godot_string string = core->godot_variant_as_string(argument);
  godot_char_string made = core->godot_string_utf8(&string);
  core->godot_string_destroy(&string);
  return made;
}

/* Signals --------------------------------------------------------------------------------------- */

/* `arguments` are destroyed. */
static void tell(node *n, const char *signal, godot_variant *arguments, int count) {
  const godot_variant *all[4];
  godot_variant name = variant_of(signal, strlen(signal)), nothing;
  godot_variant_call_error error;
  int i;
  all[0] = &name;
  for (i = 0; i < count; i++) all[i + 1] = &arguments[i];
  nothing = core->godot_method_bind_call(emit_signal, n->object, all, count + 1, &error);
  core->godot_variant_destroy(&nothing);
  for (i = 0; i < count; i++) core->godot_variant_destroy(&arguments[i]);
  core->godot_variant_destroy(&name);
}

/* Called inside helio_poll, and once more for each request that is alive in helio_client_destroy. */
static int32_t hear(const helio_event *event, void *user_data) {
  node *n = user_data;
  godot_variant arguments[3];
  if (!n->object) return 0; /* the node is going: nobody listens any more */
  arguments[0] = number((int64_t)event->request);
  if (event->kind == HELIO_EVENT_CHUNK && event->text) {
    arguments[1] = variant_of(event->text, event->text_len);
    tell(n, "chunk", arguments, 2);
  } else if (event->kind == HELIO_EVENT_DONE && event->status == HELIO_OK) {
    arguments[1] = variant_of(event->data, event->len);
    tell(n, "finished", arguments, 2);
  } else if (event->kind == HELIO_EVENT_DONE) {
    const char *status = helio_status_name(event->status);
    size_t len;
    const char *message = helio_error_message(event->error, &len);
    arguments[1] = variant_of(status, strlen(status));
    arguments[2] = variant_of(message, len);
    tell(n, "failed", arguments, 3);
  }
  return 0;
}

static void tell_refusal(node *n, helio_status status, helio_error *error) {
  const char *name = helio_status_name(status);
  size_t len;
  const char *message = helio_error_message(error, &len);
  godot_variant arguments[3];
  arguments[0] = number(0);
  arguments[1] = variant_of(name, strlen(name));
  arguments[2] = variant_of(message, len);
  tell(n, "failed", arguments, 3);
  helio_error_free(error);
}

/* Methods --------------------------------------------------------------------------------------- */

/* configure(config: String): JSON; before the first ask. Without it the environment counts. */
static godot_variant configure(godot_object *object, void *class_data, void *data, int count, godot_variant **arguments) {
  node *n = data;
  helio_client_options options;
  helio_error *error = NULL;
  helio_status status;
  godot_char_string config;
  (void)object, (void)class_data;
  if (count != 1) return number(0);
  config = utf8_of(arguments[0]);
  helio_client_destroy(n->client, HELIO_WAIT_FOREVER);
  n->client = NULL;
  helio_client_options_init(&options, sizeof options);
  options.config = core->godot_char_string_get_data(&config);
  status = helio_client_create(&options, &n->client, &error);
  if (status != HELIO_OK) tell_refusal(n, status, error);
  core->godot_char_string_destroy(&config);
  return number(status == HELIO_OK);
}

/* ask(request: String) -> int: the request's number, 0 if it was refused ("failed" says why). Never waits. */
static godot_variant ask(godot_object *object, void *class_data, void *data, int count, godot_variant **arguments) {
  node *n = data;
  helio_request_options options;
  helio_request_id id = 0;
  helio_error *error = NULL;
  helio_status status = HELIO_OK;
  godot_char_string request;
  (void)object, (void)class_data;
  if (count != 1) return number(0);
  if (!n->client) status = helio_client_create(NULL, &n->client, &error);
  if (status == HELIO_OK) {
    request = utf8_of(arguments[0]);
    helio_request_options_init(&options, sizeof options);
    options.on_event = hear;
    options.user_data = n;
    status = helio_submit(n->client, core->godot_char_string_get_data(&request), HELIO_STRLEN, &options, &id, &error);
    core->godot_char_string_destroy(&request);
  }
  if (status != HELIO_OK) tell_refusal(n, status, error);
  return number((int64_t)id);
}

/* stop(request: int = 0): ends one request, or all of the node; "failed" comes with HELIO_ERR_CANCELLED. */
static godot_variant stop(godot_object *object, void *class_data, void *data, int count, godot_variant **arguments) {
  node *n = data;
  int64_t id = count == 1 ? core->godot_variant_as_int(arguments[0]) : 0;
  (void)object, (void)class_data;
  if (id) helio_cancel(n->client, (helio_request_id)id);
  else helio_cancel_all(n->client);
  return number(0);
}

/* _process(delta) and poll(): emits the signals of all that has come. A script that polls by itself calls set_process(false). */
static godot_variant poll_once(godot_object *object, void *class_data, void *data, int count, godot_variant **arguments) {
  node *n = data;
  (void)object, (void)class_data, (void)count, (void)arguments;
  helio_poll(n->client, 0, 0, NULL); /* 0 ms: never waits */
  return number(0);
}

static void *create(godot_object *object, void *class_data) {
  node *n = calloc(1, sizeof *n);
  (void)class_data;
  if (n) n->object = object;
  return n;
}

static void destroy(godot_object *object, void *class_data, void *data) {
  node *n = data;
  (void)object, (void)class_data;
  n->object = NULL;
  helio_client_destroy(n->client, HELIO_WAIT_FOREVER); /* NULL is fine; each request gets its DONE here */
  free(n);
}

/* Registration ---------------------------------------------------------------------------------- */

static void add_method(void *handle, const char *name,
                       godot_variant (*work)(godot_object *, void *, void *, int, godot_variant **)) {
  godot_instance_method method = {NULL, NULL, NULL};
  godot_method_attributes attributes = {GODOT_METHOD_RPC_MODE_DISABLED};
  method.method = work;
  scripts->godot_nativescript_register_method(handle, CLASS, name, attributes, method);
}

static void add_signal(void *handle, const char *name, const char *const *names, int count) {
  godot_signal signal;
  godot_signal_argument arguments[3];
  int i;
  memset(&signal, 0, sizeof signal);
  memset(arguments, 0, sizeof arguments);
  for (i = 0; i < count; i++) {
    arguments[i].name = string_of(names[i], strlen(names[i]));
    arguments[i].type = i ? GODOT_VARIANT_TYPE_STRING : GODOT_VARIANT_TYPE_INT;
    arguments[i].hint_string = string_of("", 0);
    core->godot_variant_new_nil(&arguments[i].default_value);
  }
  signal.name = string_of(name, strlen(name));
  signal.num_args = count;
  signal.args = arguments;
  scripts->godot_nativescript_register_signal(handle, CLASS, &signal);
  for (i = 0; i < count; i++) {
    core->godot_string_destroy(&arguments[i].name);
    core->godot_string_destroy(&arguments[i].hint_string);
    core->godot_variant_destroy(&arguments[i].default_value);
  }
  core->godot_string_destroy(&signal.name);
}

void GDN_EXPORT godot_gdnative_init(godot_gdnative_init_options *options) {
  unsigned i;
  core = options->api_struct;
  for (i = 0; i < core->num_extensions; i++)
    if (core->extensions[i]->type == GDNATIVE_EXT_NATIVESCRIPT)
      scripts = (const godot_gdnative_ext_nativescript_api_struct *)core->extensions[i];
  emit_signal = core->godot_method_bind_get_method("Object", "emit_signal");
}

void GDN_EXPORT godot_gdnative_terminate(godot_gdnative_terminate_options *options) {
  (void)options;
  core = NULL;
  scripts = NULL;
}

void GDN_EXPORT godot_nativescript_init(void *handle) {
  static const char *const chunk[] = {"request", "text"}, *const finished[] = {"request", "completion"};
  static const char *const failed[] = {"request", "status", "message"};
  godot_instance_create_func made = {NULL, NULL, NULL};
  godot_instance_destroy_func gone = {NULL, NULL, NULL};
  made.create_func = create;
  gone.destroy_func = destroy;
  scripts->godot_nativescript_register_class(handle, CLASS, "Node", made, gone);
  add_method(handle, "configure", configure);
  add_method(handle, "ask", ask);
  add_method(handle, "stop", stop);
  add_method(handle, "_process", poll_once);
  add_method(handle, "poll", poll_once);
  add_signal(handle, "chunk", chunk, 2);
  add_signal(handle, "finished", finished, 2);
  add_signal(handle, "failed", failed, 3);
}
