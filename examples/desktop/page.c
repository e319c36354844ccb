#include "page.h"

struct page {
  GtkWidget *scrolled, *view;
  GtkTextBuffer *buffer;
  GString *line;     /* what has come of the last line, which is shown and shown anew as it grows */
  int line_start;    /* where it begins, in characters */
  gboolean in_code;  /* within ``` */
};

page *page_new(void) {
  page *p = g_new0(page, 1);
  p->view = gtk_text_view_new();
  p->buffer = gtk_text_view_get_buffer(GTK_TEXT_VIEW(p->view));
  p->line = g_string_new("");
  gtk_text_view_set_editable(GTK_TEXT_VIEW(p->view), FALSE);
  gtk_text_view_set_cursor_visible(GTK_TEXT_VIEW(p->view), FALSE);
  gtk_text_view_set_wrap_mode(GTK_TEXT_VIEW(p->view), GTK_WRAP_WORD_CHAR);
  gtk_text_view_set_left_margin(GTK_TEXT_VIEW(p->view), 12);
  gtk_text_view_set_right_margin(GTK_TEXT_VIEW(p->view), 12);
  gtk_text_view_set_top_margin(GTK_TEXT_VIEW(p->view), 8);
  gtk_widget_set_focusable(p->view, FALSE); /* keys are the entry's */
  gtk_text_buffer_create_tag(p->buffer, "you", "weight", PANGO_WEIGHT_BOLD, "foreground", "#1a5fb4", "pixels-above-lines", 10, NULL);
  gtk_text_buffer_create_tag(p->buffer, "model", "weight", PANGO_WEIGHT_BOLD, "foreground", "#26763b", "pixels-above-lines", 10, NULL);
  gtk_text_buffer_create_tag(p->buffer, "bold", "weight", PANGO_WEIGHT_BOLD, NULL);
  gtk_text_buffer_create_tag(p->buffer, "code", "family", "monospace", "background", "#eeeeee", NULL);
  gtk_text_buffer_create_tag(p->buffer, "block", "family", "monospace", "paragraph-background", "#eeeeee", "left-margin", 24, NULL);
  p->scrolled = gtk_scrolled_window_new();
  gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(p->scrolled), p->view);
  gtk_widget_set_vexpand(p->scrolled, TRUE);
  return p;
}

/* Its widgets go with the window. */
void page_free(page *p) {
  if (!p) return;
  g_string_free(p->line, TRUE);
  g_free(p);
}

GtkWidget *page_widget(page *p) {
  return p->scrolled;
}

static void insert(page *p, const char *text, gssize len, const char *tag) {
  GtkTextIter end;
  gtk_text_buffer_get_end_iter(p->buffer, &end);
  if (tag) gtk_text_buffer_insert_with_tags_by_name(p->buffer, &end, text, (int)len, tag, NULL);
  else gtk_text_buffer_insert(p->buffer, &end, text, (int)len);
}

/* `code` and **bold** within a line; what is not closed yet stands as it is. */
static void insert_styled(page *p, const char *text) {
  while (*text) {
    const char *mark = strpbrk(text, "`*"), *close;
    gsize width;
    if (!mark) break;
    width = *mark == '`' ? 1 : 2;
    if (width == 2 && mark[1] != '*') {
      insert(p, text, mark + 1 - text, NULL);
      text = mark + 1;
      continue;
    }
    close = strstr(mark + width, width == 1 ? "`" : "**");
    if (!close) break;
    insert(p, text, mark - text, NULL);
    insert(p, mark + width, close - mark - (gssize)width, width == 1 ? "code" : "bold");
    text = close + width;
  }
  insert(p, text, -1, NULL);
}

/* Show the last line as far as it is known. */
static void show_line(page *p, gboolean is_whole) {
  GtkTextIter from, to;
  gboolean is_fence = g_str_has_prefix(p->line->str, "```");
  gtk_text_buffer_get_iter_at_offset(p->buffer, &from, p->line_start);
  gtk_text_buffer_get_end_iter(p->buffer, &to);
  gtk_text_buffer_delete(p->buffer, &from, &to);
  if (is_fence) {
    if (is_whole) p->in_code = !p->in_code; /* the fence itself is not shown */
  } else {
    if (p->in_code) insert(p, p->line->str, -1, "block");
    else insert_styled(p, p->line->str);
    if (is_whole) insert(p, "\n", 1, p->in_code ? "block" : NULL);
  }
  if (is_whole) {
    g_string_truncate(p->line, 0);
    p->line_start = gtk_text_buffer_get_char_count(p->buffer);
  }
}

static void follow(page *p) {
  GtkTextIter end;
  GtkTextMark *mark = gtk_text_buffer_get_insert(p->buffer);
  gtk_text_buffer_get_end_iter(p->buffer, &end);
  gtk_text_buffer_move_mark(p->buffer, mark, &end);
  gtk_text_view_scroll_mark_onscreen(GTK_TEXT_VIEW(p->view), mark);
}

void page_begin(page *p, speaker who) {
  insert(p, who == YOU ? "You\n" : "Model\n", -1, who == YOU ? "you" : "model");
  p->line_start = gtk_text_buffer_get_char_count(p->buffer);
  p->in_code = FALSE;
}

void page_add(page *p, const char *text, gsize len) {
  const char *end = text + len, *newline;
  while ((newline = memchr(text, '\n', (size_t)(end - text)))) {
    g_string_append_len(p->line, text, newline - text);
    show_line(p, TRUE);
    text = newline + 1;
  }
  g_string_append_len(p->line, text, end - text);
  if (p->line->len) show_line(p, FALSE);
  follow(p);
}

void page_end(page *p) {
  if (p->line->len) show_line(p, TRUE);
  follow(p);
}

void page_clear(page *p) {
  gtk_text_buffer_set_text(p->buffer, "", 0);
  g_string_truncate(p->line, 0);
  p->line_start = 0;
}
