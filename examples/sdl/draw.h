/* Everything that can be seen, and nothing of helio: the landscape, the four sprites, text and speech bubbles.
 *
 * All sizes count in dots; the window shows each as a square of two by two pixels.
 */
#ifndef HELIO_EXAMPLES_DRAW_H
#define HELIO_EXAMPLES_DRAW_H

#include <SDL.h>

enum {
  SCENE_WIDTH = 480,
  SCENE_HEIGHT = 270,
  ZOOM = 2,
  FEET = 233,          /* the line the characters stand on */
  LETTER_PITCH = 6,    /* from one letter to the next */
  LINE_PITCH = 11,     /* from one line of text to the next */
  BUBBLE_LETTERS = 17, /* at most so many to a line, */
  BUBBLE_LINES = 13,   /* and so many lines; the last ones stay in view */
  BUBBLE_MARGIN = 5    /* from the paper's edge to the text */
};

#define PAPER 0xFFF6E3
#define INK 0x2B2140
#define PAPER_FAILED 0xFFD8CF
#define INK_FAILED 0x86122A

typedef enum look { ROBOT, CAT, WIZARD, GHOST } look;

/* `frame` is the scene's only clock, so the same frame always looks the same. */
void draw_landscape(SDL_Renderer *, unsigned frame);
void draw_fire(SDL_Renderer *, unsigned frame);

/* Middle at `x`, feet `lift` dots above the ground. */
void draw_character(SDL_Renderer *, look, int x, int lift, int mouth_open);
void draw_name(SDL_Renderer *, int x, const char *name, Uint32 lamp);

/* UTF-8 in, whatever it is: what the font lacks becomes a box. `cursor`: more may follow. */
void draw_bubble(SDL_Renderer *, int x, const char *text, size_t len, Uint32 paper, Uint32 ink, int cursor);

/* One line of ASCII. */
void draw_line(SDL_Renderer *, int x, int y, Uint32 colour, const char *text);

/* Whether a point is on the character that stands at `x`. */
int on_character(int x, int point_x, int point_y);

#endif
