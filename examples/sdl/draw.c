/* See draw.h. Everything is made of filled rectangles, so any renderer of SDL will do. */
#include "draw.h"
#include "font.h"
#include "sprites.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rectangles ------------------------------------------------------------------------------------ */

static void ink(SDL_Renderer *r, Uint32 rgb, int alpha) {
  SDL_SetRenderDrawBlendMode(r, alpha == 255 ? SDL_BLENDMODE_NONE : SDL_BLENDMODE_BLEND);
  SDL_SetRenderDrawColor(r, (Uint8)(rgb >> 16), (Uint8)(rgb >> 8), (Uint8)rgb, (Uint8)alpha);
}

static void box(SDL_Renderer *r, int x, int y, int w, int h) {
  SDL_Rect rect;
  rect.x = x, rect.y = y, rect.w = w, rect.h = h;
  SDL_RenderFillRect(r, &rect);
}

static void ellipse(SDL_Renderer *r, int x, int y, int half_w, int half_h) {
  int row;
  for (row = -half_h; row <= half_h; row++) {
    double part = (double)row / (half_h + 0.5);
    int half = (int)(half_w * sqrt(1 - part * part) + 0.5);
    box(r, x - half, y + row, 2 * half, 1);
  }
}

/* A rectangle without its corners. */
static void rounded(SDL_Renderer *r, int x, int y, int w, int h) {
  box(r, x + 3, y, w - 6, h);
  box(r, x + 1, y + 1, w - 2, h - 2);
  box(r, x, y + 3, w, h - 6);
}

static Uint32 mix(Uint32 a, Uint32 b, double part) {
  Uint32 mixed = 0;
  int shift;
  for (shift = 16; shift >= 0; shift -= 8) {
    double from = (a >> shift) & 255, to = (b >> shift) & 255;
    mixed |= (Uint32)(from + (to - from) * part + 0.5) << shift;
  }
  return mixed;
}

/* Numbers that look thrown, the same in each run. */
static unsigned thrown(unsigned n) {
  n = (n ^ 61u) ^ (n >> 16);
  n *= 9u;
  n ^= n >> 4;
  n *= 0x27d4eb2du;
  return n ^ (n >> 15);
}

/* The landscape --------------------------------------------------------------------------------- */

enum { HORIZON = 200 };

static void draw_sky(SDL_Renderer *r, unsigned frame) {
  static const Uint32 steps[] = {0x14142E, 0x1C1B3F, 0x2A2456, 0x41306B, 0x633D79, 0x8E4F7D, 0xBC6A78, 0xE0906F};
  const int last = (int)(sizeof steps / sizeof steps[0]) - 1;
  unsigned i;
  int y;
  for (y = 0; y < HORIZON; y += 6) {
    double at = pow((double)y / HORIZON, 1.5) * last;
    int step = (int)at;
    ink(r, mix(steps[step], steps[step < last ? step + 1 : last], at - step), 255);
    box(r, 0, y, SCENE_WIDTH, 6);
  }
  for (i = 0; i < 90; i++) {
    double twinkle = 0.55 + 0.45 * sin(frame * 0.05 + i * 1.7);
    ink(r, 0xFFF3D6, (int)(twinkle * (90 + thrown(i + 900) % 160)));
    box(r, (int)(thrown(i) % SCENE_WIDTH), (int)(thrown(i + 300) % 130), 1, 1);
  }
  ink(r, 0xFFE9C4, 22), ellipse(r, 240, 34, 24, 24);
  ink(r, 0xFFE9C4, 30), ellipse(r, 240, 34, 19, 19);
  ink(r, 0xFFE9C4, 255), ellipse(r, 240, 34, 14, 14);
  ink(r, 0xE8CDA6, 255), ellipse(r, 235, 30, 3, 3), ellipse(r, 246, 38, 4, 3), ellipse(r, 243, 27, 2, 1);
}

static void draw_cloud(SDL_Renderer *r, double x, int y, int size) {
  int at = (int)x;
  rounded(r, at, y, size * 7, size);
  rounded(r, at + size, y - size / 2, size * 4, size);
  rounded(r, at + size * 2, y - size, size * 2, size);
}

static void draw_hills(SDL_Renderer *r) {
  int x;
  ink(r, 0x4A3566, 255);
  for (x = 0; x < SCENE_WIDTH; x += 2) {
    int h = (int)(30 + 13 * sin(x * 0.021 + 1) + 7 * sin(x * 0.053) + 3 * sin(x * 0.13));
    box(r, x, HORIZON - h, 2, h + 10);
  }
  ink(r, 0x2F2650, 255);
  for (x = 0; x < SCENE_WIDTH; x += 2) {
    int h = (int)(13 + 7 * sin(x * 0.017 + 4) + 4 * sin(x * 0.041 + 2));
    if (thrown((unsigned)x / 10 + 40) % 3) h += 9 - 2 * abs(x % 10 - 4); /* a fir here and there */
    box(r, x, HORIZON - h, 2, h + 10);
  }
}

static void draw_ground(SDL_Renderer *r) {
  unsigned i;
  int y;
  for (y = HORIZON; y < SCENE_HEIGHT; y += 4) {
    ink(r, mix(0x2C4B46, 0x142229, (double)(y - HORIZON) / (SCENE_HEIGHT - HORIZON)), 255);
    box(r, 0, y, SCENE_WIDTH, 4);
  }
  ink(r, 0x3F6650, 255);
  box(r, 0, HORIZON, SCENE_WIDTH, 1);
  for (i = 0; i < 130; i++) {
    int x = (int)(thrown(i + 50) % SCENE_WIDTH), at = HORIZON + (int)(thrown(i + 777) % 48);
    ink(r, i % 2 ? 0x3F6650 : 0x1B3236, 255);
    box(r, x, at - 1, 1, 2);
    box(r, x + 2, at - 2, 1, 3);
    box(r, x + 4, at - 1, 1, 2);
  }
}

static void draw_fireflies(SDL_Renderer *r, unsigned frame) {
  unsigned i;
  for (i = 0; i < 12; i++) {
    double t = frame / 60.0 + i * 2.4;
    int x = (int)(thrown(i + 5) % SCENE_WIDTH) + (int)(22 * sin(t * 0.7));
    int y = 176 + (int)(thrown(i + 70) % 60) + (int)(8 * sin(t * 1.3));
    int glow = (int)(120 + 120 * sin(t * 2.1));
    ink(r, 0xE9FF9E, glow / 4), box(r, x - 1, y - 1, 4, 4);
    ink(r, 0xF4FFC9, glow), box(r, x, y, 2, 2);
  }
}

void draw_landscape(SDL_Renderer *r, unsigned frame) {
  int i;
  draw_sky(r, frame);
  for (i = 0; i < 4; i++) {
    double x = fmod(frame * (0.10 + 0.03 * i) + i * 170, SCENE_WIDTH + 120) - 80;
    ink(r, mix(0x2A2456, 0x8E4F7D, i / 3.0), 120);
    draw_cloud(r, x, 56 + i * 28, 7 + i % 3 * 3);
  }
  draw_hills(r);
  draw_ground(r);
  draw_fireflies(r, frame);
}

void draw_fire(SDL_Renderer *r, unsigned frame) {
  static const Uint32 colours[] = {0xD9402F, 0xF58A32, 0xFFD766, 0xFFF6CF};
  const int x = SCENE_WIDTH / 2, foot = FEET;
  unsigned i, layer;
  int column, ring;

  for (ring = 5; ring > 0; ring--) { /* its light on the grass */
    ink(r, 0xFFA24A, 13 + (int)(thrown(frame / 5) % 4));
    ellipse(r, x, foot, ring * 26 + (int)(thrown(frame / 4 + (unsigned)ring) % 3), ring * 5);
  }
  ink(r, 0x4A2C2A, 255), box(r, x - 18, foot - 3, 36, 5);
  ink(r, 0x6B3E2E, 255), box(r, x - 14, foot - 6, 28, 3), box(r, x - 20, foot, 13, 4), box(r, x + 7, foot, 13, 4);
  ink(r, 0x8A5A3C, 255), box(r, x - 20, foot, 3, 3), box(r, x + 17, foot, 3, 3);
  for (layer = 0; layer < 4; layer++) {
    int half = 14 - 4 * (int)layer;
    ink(r, colours[layer], 255);
    for (column = -half; column <= half; column++) {
      double shape = cos(column * 1.5 / (half + 1)), sway = sin(frame * 0.21 + column * 0.8 + layer);
      unsigned flicker = thrown(frame / 3 + (unsigned)(column + 40) * 31 + layer * 7) % 5;
      int h = (int)(shape * (42 - 9 * (int)layer) * (0.82 + 0.18 * sway)) - (int)flicker;
      if (h > 0) box(r, x + column, foot - 5 - h, 1, h);
    }
  }
  for (i = 0; i < 14; i++) { /* sparks */
    unsigned age = (frame + i * 13) % 90, flight = (frame + i * 13) / 90 * 17 + i;
    int drift = (int)(thrown(flight) % 19) - 9;
    ink(r, 0xFFB454, 255 - (int)age * 255 / 90);
    box(r, x + drift + (int)(5 * sin(age * 0.1 + i)), foot - 26 - (int)age * 2 / 3, 1, 1);
  }
}

/* Characters ------------------------------------------------------------------------------------ */

void draw_character(SDL_Renderer *r, look who, int x, int lift, int mouth_open) {
  static const char *const *const sprites[] = {robot, cat, wizard, ghost};
  int row, column;

  ink(r, 0x0B1218, 110);
  ellipse(r, x, FEET, 26 - lift, 3);
  for (row = 0; row < SPRITE_HEIGHT; row++) {
    for (column = 0; column < SPRITE_HALF; column++) {
      char dot = sprites[who][row][column];
      int y = FEET - 2 * (SPRITE_HEIGHT - row) - lift;
      if (dot == '.') continue;
      if (mouth_open && row && sprites[who][row - 1][column] == 'm') dot = 'm'; /* one row taller */
      ink(r, colour_of(who == ROBOT && dot == 'm' ? 'e' : dot), 255);
      box(r, x - 2 * (SPRITE_HALF - column), y, 2, 2);
      box(r, x + 2 * (SPRITE_HALF - column) - 2, y, 2, 2);
    }
  }
}

int on_character(int x, int point_x, int point_y) {
  return abs(point_x - x) <= 2 * SPRITE_HALF && point_y >= FEET - 2 * SPRITE_HEIGHT && point_y <= FEET + 16;
}

/* Text ------------------------------------------------------------------------------------------ */

static void draw_glyphs(SDL_Renderer *r, int x, int y, const char *glyphs, int count) {
  int i, row, column;
  for (i = 0; i < count; i++, x += LETTER_PITCH)
    for (row = 0; row < GLYPH_HEIGHT; row++)
      for (column = 0; column < GLYPH_WIDTH; column++) {
        int run = 0; /* neighbours go into one rectangle */
        while (column + run < GLYPH_WIDTH && font_dot(glyphs[i], row, column + run)) run++;
        if (run) box(r, x + column, y + row, run, 1);
        column += run;
      }
}

void draw_line(SDL_Renderer *r, int x, int y, Uint32 colour, const char *text) {
  ink(r, colour, 255);
  draw_glyphs(r, x, y, text, (int)strlen(text));
}

void draw_name(SDL_Renderer *r, int x, const char *name, Uint32 lamp) {
  int width = (int)strlen(name) * LETTER_PITCH + 6, left = x - width / 2;
  ink(r, 0x0B1218, 120), rounded(r, left - 4, FEET + 5, width + 7, 12);
  ink(r, lamp, 255), box(r, left, FEET + 8, 3, 5), box(r, left - 1, FEET + 9, 5, 3);
  draw_line(r, left + 7, FEET + 7, 0xE8E4F8, name);
}

/* The next character of UTF-8. Broken bytes are one unknown character each. */
static Uint32 next_character(const unsigned char **at, const unsigned char *end) {
  const unsigned char *s = *at;
  int more = *s >= 0xF0 ? 3 : *s >= 0xE0 ? 2 : 1, i; /* how many bytes follow the first */
  Uint32 c;
  *at = s + 1;
  if (*s < 0x80) return *s;
  if (*s < 0xC2 || *s > 0xF4 || end - s <= more) return 0xFFFD;
  c = *s & (0x3Fu >> more);
  for (i = 1; i <= more; i++) {
    if ((s[i] & 0xC0) != 0x80) return 0xFFFD;
    c = c << 6 | (s[i] & 0x3Fu);
  }
  *at = s + more + 1;
  return c;
}

/* What the font has for it. Models like printers' marks; ASCII has a plain one for most. */
static const char *glyphs_of(Uint32 c, char single[2]) {
  static const char box_glyph[] = {BOX_GLYPH, 0};
  single[0] = (char)c;
  if (c == '\n' || (c >= ' ' && c < BOX_GLYPH)) return single;
  switch (c) {
  case '\t': case 0xA0: case 0x202F: return " ";
  case 0x2018: case 0x2019: return "'";
  case 0x201C: case 0x201D: return "\"";
  case 0x2010: case 0x2011: case 0x2013: case 0x2014: return "-";
  case 0x2022: return "*";
  case 0x2026: return "...";
  case 0x200B: case 0x200D: case 0xFE0F: return ""; /* these only join or shape their neighbours */
  default: return c < ' ' ? "" : box_glyph;
  }
}

/* Lines of whole words; only the last BUBBLE_LINES are kept. A word longer than a line is cut. */
typedef struct paragraph {
  char lines[BUBBLE_LINES][BUBBLE_LETTERS];
  int lengths[BUBBLE_LINES];
  int count;
  char word[BUBBLE_LETTERS];
  int word_length;
} paragraph;

static void new_line(paragraph *p) {
  if (p->count == BUBBLE_LINES) {
    memmove(p->lines[0], p->lines[1], sizeof p->lines - sizeof p->lines[0]);
    memmove(p->lengths, p->lengths + 1, sizeof p->lengths - sizeof p->lengths[0]);
    p->count--;
  }
  p->lengths[p->count++] = 0;
}

static void end_word(paragraph *p) {
  int *length = &p->lengths[p->count - 1];
  if (!p->word_length) return;
  if (*length && *length + 1 + p->word_length > BUBBLE_LETTERS) {
    new_line(p);
    length = &p->lengths[p->count - 1];
  }
  if (*length) p->lines[p->count - 1][(*length)++] = ' ';
  memcpy(p->lines[p->count - 1] + *length, p->word, (size_t)p->word_length);
  *length += p->word_length;
  p->word_length = 0;
}

static void add_glyph(paragraph *p, char glyph) {
  if (glyph == ' ' || glyph == '\n') end_word(p);
  if (glyph == '\n' && p->lengths[p->count - 1]) new_line(p); /* an empty line would be wasted room */
  if (glyph == ' ' || glyph == '\n') return;
  if (p->word_length == BUBBLE_LETTERS) end_word(p);
  p->word[p->word_length++] = glyph;
}

static void wrap(paragraph *p, const char *text, size_t len) {
  const unsigned char *at = (const unsigned char *)text, *end = at + len;
  memset(p, 0, sizeof *p);
  new_line(p);
  while (at < end) {
    char single[2] = {0};
    const char *glyph = glyphs_of(next_character(&at, end), single);
    for (; *glyph; glyph++) add_glyph(p, *glyph);
  }
  end_word(p);
  if (!p->lengths[p->count - 1] && p->count > 1) p->count--;
}

/* Bubbles --------------------------------------------------------------------------------------- */

void draw_bubble(SDL_Renderer *r, int x, const char *text, size_t len, Uint32 paper, Uint32 letters, int cursor) {
  const Uint32 edge = 0x171428;
  const int bottom = FEET - 2 * SPRITE_HEIGHT - 11;
  paragraph p;
  int i, longest = 3, w, h, left, top;

  wrap(&p, text, len);
  for (i = 0; i < p.count; i++)
    if (p.lengths[i] > longest) longest = p.lengths[i];
  w = longest * LETTER_PITCH - 1 + 2 * BUBBLE_MARGIN;
  h = (p.count - 1) * LINE_PITCH + GLYPH_HEIGHT + 2 * BUBBLE_MARGIN;
  left = x - w / 2;
  top = bottom - h;

  ink(r, 0x0B1218, 70), rounded(r, left + 1, top + 2, w + 2, h + 1); /* its shadow */
  ink(r, edge, 255), rounded(r, left - 1, top - 1, w + 2, h + 2);
  for (i = 0; i < 6; i++) box(r, x - 6 + i, bottom + i, 12 - 2 * i, 1);
  ink(r, paper, 255), rounded(r, left, top, w, h);
  for (i = 0; i < 5; i++) box(r, x - 5 + i, bottom + i, 10 - 2 * i, 1);
  ink(r, letters, 255);
  for (i = 0; i < p.count; i++)
    draw_glyphs(r, left + BUBBLE_MARGIN, top + BUBBLE_MARGIN + i * LINE_PITCH, p.lines[i], p.lengths[i]);
  i = p.count - 1;
  if (cursor && p.lengths[i] < BUBBLE_LETTERS)
    box(r, left + BUBBLE_MARGIN + p.lengths[i] * LETTER_PITCH, top + BUBBLE_MARGIN + i * LINE_PITCH, 3, 7);
}
