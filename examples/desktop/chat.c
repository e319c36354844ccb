/* A chat window with GTK 4: answers appear as they come, Escape or the button stops them, and nothing ever blocks the window.
 * README.md says how it is run and what its settings are.
 *
 * How it uses helio: one client; helio_wait_handle among what GLib's main loop watches; when it is readable, helio_poll
 * runs `hear` right there, on the thread of the window. helio_chat keeps the conversation. How a message looks is the
 * business of page.c. */

#include "page.h"

#include <glib-unix.h>
#include <gtk/gtk.h>
#include <helio.h>

typedef struct chat_window {
  page *page;
  GtkWidget *window, *entry, *button, *models, *bar, *bar_text;
  char *history; /* a file */
  helio_client *client;
  helio_chat *chat;
  helio_request_id request; /* 0: nothing runs */
  gsize shown;              /* bytes of the answer that came as chunks */
  int traces;               /* tell on standard output what happens, for tests */
  double worst_poll_ms;
} chat_window;

/* JSON ------------------------------------------------------------------------------------------ */

/* A value out of a JSON text, to be freed; NULL: it is not there. */
static char *value_of(const char *json, const char *pointer) {
  helio_buffer *value = NULL;
  char *copy = NULL;
  if (json && helio_json_get(json, HELIO_STRLEN, pointer, &value) == HELIO_OK) copy = g_strdup(helio_buffer_data(value));
  helio_buffer_free(value);
  return copy;
}

static char *quoted(const char *text) {
  GString *out = g_string_new("\"");
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') g_string_append_printf(out, "\\%c", *text);
    else if ((unsigned char)*text < 0x20) g_string_append_printf(out, "\\u%04x", *text);
    else g_string_append_c(out, *text);
  }
  g_string_append_c(out, '"');
  return g_string_free(out, FALSE);
}

/* What the window says -------------------------------------------------------------------------- */

static void trace(const chat_window *w, const char *what, const char *more) {
  if (!w->traces) return;
  printf("%s%s%s\n", what, more ? ": " : "", more ? more : "");
  fflush(stdout);
}

static void complain(chat_window *w, const char *message) {
  gtk_label_set_text(GTK_LABEL(w->bar_text), message);
  gtk_info_bar_set_revealed(GTK_INFO_BAR(w->bar), TRUE);
  trace(w, "error", message);
}

static void complain_of(chat_window *w, const helio_error *error) {
  complain(w, error ? helio_error_message(error, NULL) : "the call failed");
}

static void show_whether_it_runs(chat_window *w) {
  gtk_button_set_label(GTK_BUTTON(w->button), w->request ? "Stop" : "Send");
  gtk_widget_set_sensitive(w->models, !w->request);
}

/* The conversation ------------------------------------------------------------------------------ */

static void save(chat_window *w) {
  helio_buffer *all = NULL;
  GError *error = NULL;
  if (helio_chat_request(w->chat, NULL, &all) != HELIO_OK) return;
  if (!g_file_set_contents(w->history, helio_buffer_data(all), (gssize)helio_buffer_size(all), &error)) {
    complain(w, error->message);
    g_error_free(error);
  }
  helio_buffer_free(all);
}

static void load(chat_window *w) {
  char *all = NULL, *messages;
  int i;
  if (!g_file_get_contents(w->history, &all, NULL, NULL)) return; /* the first time there is none */
  messages = value_of(all, "/messages");
  if (messages && helio_chat_add_json(w->chat, messages) != HELIO_OK) complain_of(w, helio_chat_error(w->chat));
  for (i = 0; (size_t)i < helio_chat_count(w->chat); i++) {
    char *where = g_strdup_printf("/messages/%d", i), *message = value_of(all, where);
    char *role = value_of(message, "/role"), *content = value_of(message, "/content");
    page_begin(w->page, role && !strcmp(role, "user") ? YOU : MODEL);
    page_add(w->page, content ? content : "", content ? strlen(content) : 0);
    page_end(w->page);
    g_free(where), g_free(message), g_free(role), g_free(content);
  }
  g_free(messages);
  g_free(all);
}

/* A turn that failed is as if it had not been asked: the question stands in the entry again. */
static void take_back(chat_window *w) {
  size_t count = helio_chat_count(w->chat);
  helio_buffer *all = NULL;
  char *where, *question;
  if (!count || helio_chat_request(w->chat, NULL, &all) != HELIO_OK) return;
  where = g_strdup_printf("/messages/%zu/content", count - 1);
  question = value_of(helio_buffer_data(all), where);
  if (question && !*gtk_editable_get_text(GTK_EDITABLE(w->entry))) gtk_editable_set_text(GTK_EDITABLE(w->entry), question);
  helio_chat_remove(w->chat, count - 1, 1);
  helio_buffer_free(all);
  g_free(where);
  g_free(question);
}

/* Called inside helio_poll. */
static int32_t hear(const helio_event *event, void *user_data) {
  chat_window *w = user_data;
  if (event->kind == HELIO_EVENT_CHUNK && event->text) {
    page_add(w->page, event->text, event->text_len);
    if (!w->shown) trace(w, "first text", NULL);
    w->shown += event->text_len;
  } else if (event->kind == HELIO_EVENT_DONE) {
    int has_text = event->text && event->text_len;
    w->request = 0;
    if (!w->shown && has_text) page_add(w->page, event->text, event->text_len); /* it did not stream */
    page_end(w->page);
    if (event->status != HELIO_OK && event->status != HELIO_ERR_CANCELLED) complain_of(w, event->error);
    /* What was stopped, or broke off, stays as far as it had come, if the model had said something. */
    if (event->status != HELIO_OK && !has_text) take_back(w);
    else if (helio_chat_add_reply(w->chat, event->data) != HELIO_OK) complain_of(w, helio_chat_error(w->chat));
    save(w);
    show_whether_it_runs(w);
    trace(w, event->status == HELIO_OK ? "answered" : event->status == HELIO_ERR_CANCELLED ? "stopped" : "failed", event->text);
  }
  return 0;
}

static void ask(chat_window *w, const char *question) {
  GtkStringObject *model = gtk_drop_down_get_selected_item(GTK_DROP_DOWN(w->models));
  char *name = quoted(gtk_string_object_get_string(model));
  char *parameters = g_strdup_printf("{\"model\":%s,\"stream\":true}", name);
  helio_request_options options;
  helio_buffer *body = NULL;
  helio_error *error = NULL;

  helio_chat_add(w->chat, "user", question, HELIO_STRLEN);
  helio_chat_request(w->chat, parameters, &body);
  page_begin(w->page, YOU);
  page_add(w->page, question, strlen(question));
  page_end(w->page);
  page_begin(w->page, MODEL);
  w->shown = 0;
  gtk_info_bar_set_revealed(GTK_INFO_BAR(w->bar), FALSE);
  helio_request_options_init(&options, sizeof options); /* POLL: `hear` runs in helio_poll */
  options.on_event = hear;
  options.user_data = w;
  if (helio_submit(w->client, helio_buffer_data(body), helio_buffer_size(body), &options, &w->request, &error) != HELIO_OK) {
    page_end(w->page);
    complain_of(w, error);
    helio_error_free(error);
    take_back(w);
  }
  helio_buffer_free(body);
  g_free(parameters);
  g_free(name);
  show_whether_it_runs(w);
}

static void stop(chat_window *w) {
  helio_cancel(w->client, w->request); /* its DONE comes in the next poll; 0 is fine */
}

static gboolean something_came(gint descriptor, GIOCondition condition, gpointer user_data) {
  chat_window *w = user_data;
  gint64 before = g_get_monotonic_time();
  double took_ms;
  (void)descriptor, (void)condition;
  helio_poll(w->client, 0, 0, NULL); /* 0 ms: never waits */
  took_ms = (double)(g_get_monotonic_time() - before) / 1000;
  if (took_ms > w->worst_poll_ms) w->worst_poll_ms = took_ms;
  return G_SOURCE_CONTINUE;
}

/* Input ----------------------------------------------------------------------------------------- */

static void send_or_stop(GtkWidget *widget, gpointer user_data) {
  chat_window *w = user_data;
  (void)widget;
  if (w->request) {
    stop(w);
  } else {
    char *question = g_strstrip(g_strdup(gtk_editable_get_text(GTK_EDITABLE(w->entry))));
    gtk_editable_set_text(GTK_EDITABLE(w->entry), "");
    if (*question) ask(w, question);
    g_free(question);
  }
}

static void enter_pressed(GtkWidget *widget, gpointer user_data) {
  chat_window *w = user_data;
  if (!w->request) send_or_stop(widget, w);
}

static gboolean key_pressed(GtkEventControllerKey *keys, guint key, guint code, GdkModifierType state, gpointer user_data) {
  (void)keys, (void)code, (void)state;
  if (key != GDK_KEY_Escape) return FALSE;
  stop(user_data);
  return TRUE;
}

static void begin_anew(GtkWidget *widget, gpointer user_data) {
  chat_window *w = user_data;
  (void)widget;
  if (w->request) return;
  helio_chat_remove(w->chat, 0, (size_t)-1);
  page_clear(w->page);
  save(w);
  trace(w, "new", NULL);
}

static void model_chosen(GtkDropDown *models, GParamSpec *spec, gpointer user_data) {
  (void)spec;
  trace(user_data, "model", gtk_string_object_get_string(gtk_drop_down_get_selected_item(models)));
}

static void close_bar(GtkInfoBar *bar, gint response, gpointer user_data) {
  (void)response, (void)user_data;
  gtk_info_bar_set_revealed(bar, FALSE);
}

/* The window ------------------------------------------------------------------------------------ */

/* `models` of the settings, or the one of $MODEL. */
static GtkWidget *model_list(const char *settings) {
  GtkStringList *list = gtk_string_list_new(NULL);
  char *name;
  int i;
  for (i = 0;; i++) {
    char *where = g_strdup_printf("/models/%d", i);
    name = value_of(settings, where);
    g_free(where);
    if (!name) break;
    gtk_string_list_append(list, name);
    g_free(name);
  }
  if (!i) gtk_string_list_append(list, g_getenv("MODEL") ? g_getenv("MODEL") : "gpt-4o-mini");
  return gtk_drop_down_new(G_LIST_MODEL(list), NULL);
}

static void build(chat_window *w, GtkApplication *application, const char *settings) {
  GtkWidget *header = gtk_header_bar_new(), *column = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
  GtkWidget *row = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6), *anew = gtk_button_new_with_label("New");
  GtkEventController *keys = gtk_event_controller_key_new();

  w->window = gtk_application_window_new(application);
  gtk_window_set_title(GTK_WINDOW(w->window), "helio chat");
  gtk_window_set_default_size(GTK_WINDOW(w->window), 640, 560);
  w->models = model_list(settings);
  gtk_header_bar_pack_start(GTK_HEADER_BAR(header), w->models);
  gtk_header_bar_pack_end(GTK_HEADER_BAR(header), anew);
  gtk_window_set_titlebar(GTK_WINDOW(w->window), header);

  w->bar = gtk_info_bar_new();
  w->bar_text = gtk_label_new("");
  gtk_label_set_wrap(GTK_LABEL(w->bar_text), TRUE);
  gtk_label_set_xalign(GTK_LABEL(w->bar_text), 0);
  gtk_info_bar_set_message_type(GTK_INFO_BAR(w->bar), GTK_MESSAGE_ERROR);
  gtk_info_bar_set_show_close_button(GTK_INFO_BAR(w->bar), TRUE);
  gtk_info_bar_set_revealed(GTK_INFO_BAR(w->bar), FALSE);
  gtk_info_bar_add_child(GTK_INFO_BAR(w->bar), w->bar_text);
  gtk_box_append(GTK_BOX(column), w->bar);

  w->page = page_new();
  gtk_box_append(GTK_BOX(column), page_widget(w->page));

  w->entry = gtk_entry_new();
  gtk_entry_set_placeholder_text(GTK_ENTRY(w->entry), "Ask something");
  gtk_widget_set_hexpand(w->entry, TRUE);
  w->button = gtk_button_new_with_label("Send");
  gtk_widget_set_margin_start(row, 8), gtk_widget_set_margin_end(row, 8);
  gtk_widget_set_margin_top(row, 8), gtk_widget_set_margin_bottom(row, 8);
  gtk_box_append(GTK_BOX(row), w->entry);
  gtk_box_append(GTK_BOX(row), w->button);
  gtk_box_append(GTK_BOX(column), row);
  gtk_window_set_child(GTK_WINDOW(w->window), column);

  g_signal_connect(w->entry, "activate", G_CALLBACK(enter_pressed), w);
  g_signal_connect(w->button, "clicked", G_CALLBACK(send_or_stop), w);
  g_signal_connect(anew, "clicked", G_CALLBACK(begin_anew), w);
  g_signal_connect(w->models, "notify::selected", G_CALLBACK(model_chosen), w);
  g_signal_connect(w->bar, "response", G_CALLBACK(close_bar), w);
  gtk_event_controller_set_propagation_phase(keys, GTK_PHASE_CAPTURE);
  g_signal_connect(keys, "key-pressed", G_CALLBACK(key_pressed), w);
  gtk_widget_add_controller(w->window, keys);
}

static void start(GtkApplication *application, gpointer user_data) {
  chat_window *w = user_data;
  const char *path = g_getenv("HELIO_CHAT_SETTINGS");
  char *settings = NULL, *config = NULL;
  helio_client_options options;
  helio_error *error = NULL;

  if (path && !g_file_get_contents(path, &settings, NULL, NULL)) fprintf(stderr, "chat: %s cannot be read\n", path);
  build(w, application, settings);
  w->history = value_of(settings, "/history");
  if (!w->history) w->history = g_build_filename(g_get_user_data_dir(), "helio-chat.json", NULL);
  helio_chat_create(&w->chat);
  load(w);

  config = value_of(settings, "/client");
  helio_client_options_init(&options, sizeof options);
  options.config = config; /* NULL: the environment */
  if (helio_client_create(&options, &w->client, &error) == HELIO_OK) {
    g_unix_fd_add((gint)helio_wait_handle(w->client), G_IO_IN, something_came, w);
  } else {
    complain_of(w, error);
    helio_error_free(error);
    gtk_widget_set_sensitive(w->entry, FALSE);
    gtk_widget_set_sensitive(w->button, FALSE);
  }
  g_free(config);
  g_free(settings);
  gtk_window_present(GTK_WINDOW(w->window));
  gtk_widget_grab_focus(w->entry);
  trace(w, "ready", NULL);
}

int main(int argc, char **argv) {
  chat_window w = {0};
  GtkApplication *application = gtk_application_new(NULL, G_APPLICATION_NON_UNIQUE);
  const char *const close_keys[] = {"<Control>w", "<Control>q", NULL};
  int code;
  w.traces = g_getenv("HELIO_CHAT_TRACE") != NULL;
  gtk_application_set_accels_for_action(application, "window.close", close_keys);
  g_signal_connect(application, "activate", G_CALLBACK(start), &w);
  code = g_application_run(G_APPLICATION(application), argc, argv);
  /* The window is gone; an answer that still comes is cut off, and `hear` is not to touch what is no more. */
  helio_client_release(w.client);
  if (w.traces) printf("worst poll %.3f ms\n", w.worst_poll_ms);
  helio_chat_free(w.chat);
  page_free(w.page);
  g_free(w.history);
  g_object_unref(application);
  return code;
}
