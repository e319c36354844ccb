/* How a conversation looks: messages below each other, code in blocks, bold and `code` within a line; the view follows the end. */
#ifndef PAGE_H
#define PAGE_H

#include <gtk/gtk.h>

typedef struct page page;
typedef enum speaker { YOU, MODEL } speaker;

page *page_new(void);
void page_free(page *p);
GtkWidget *page_widget(page *p);

/* A message begins, grows by pieces (of any length, also half a line), and ends. */
void page_begin(page *p, speaker who);
void page_add(page *p, const char *text, gsize len);
void page_end(page *p);

void page_clear(page *p);

#endif
