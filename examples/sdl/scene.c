/* Four characters at a campfire who talk at once, and whom the player talks to, in a loop that keeps 60 frames a second.
 * README.md says how to run it; ../c/common.h which environment it reads.
 *
 * This is how a game uses helio: one client, one helio_submit for each character that has something to say, and
 * one helio_poll in each frame, which never waits. Events come inside that call, on this thread, so there is
 * nothing to lock, and this program makes no thread. Where a game has a tree of dialogue, each character here has a
 * helio_chat: it remembers what was said. How it looks is the business of draw.c.
 */
#include "../c/common.h"
#include "draw.h"

enum { CHARACTERS = 4, FRAMES_PER_SECOND = 60, PATIENCE = 90 * FRAMES_PER_SECOND, CROWD_MOST = 64, REMEMBERED = 21 };

typedef enum state { QUIET, WAITING, TALKING, FINISHED, STOPPED, FAILED } state;

typedef struct character {
  const char *name, *persona;
  look looks;
  int x;
  state is;
  helio_request_id request;
  text said;
  helio_chat *chat; /* the persona, and what was said to and by it */
  unsigned talks;      /* how often it was asked so far */
  unsigned last_heard; /* the frame in which its last words came: the mouth moves for a while */
} character;

static character characters[CHARACTERS] = {
    {"Bolt", "You are Bolt, a cheerful little robot.", ROBOT, 60, QUIET, 0, {0}, NULL, 0, 0},
    {"Ginger", "You are Ginger, a proud and lazy cat.", CAT, 180, QUIET, 0, {0}, NULL, 0, 0},
    {"Orlo", "You are Orlo, an old and forgetful wizard.", WIZARD, 300, QUIET, 0, {0}, NULL, 0, 0},
    {"Wisp", "You are Wisp, a shy ghost who is afraid of people.", GHOST, 420, QUIET, 0, {0}, NULL, 0, 0},
};

static helio_client *client;
static unsigned frame;
static character *chosen = &characters[0]; /* whom the player talks to: the one that was clicked last */
static int is_typing;
static text typed;

/* Who sits in the dark around them: more streams, of which a line at the top shows what was murmured last. */
static struct crowd {
  int count, live, finished;
  text murmur;
} crowd;

/* Talking --------------------------------------------------------------------------------------- */

static int is_busy(const character *c) {
  return c->is == WAITING || c->is == TALKING;
}

static int count_of(state wanted) {
  int i, count = 0;
  for (i = 0; i < CHARACTERS; i++) count += characters[i].is == wanted;
  return count;
}

/* What was asked and never answered is not remembered. */
static void forget_question(character *c) {
  size_t count = helio_chat_count(c->chat);
  if (count > 1) helio_chat_remove(c->chat, count - 1, 1);
}

static void remember(character *c, const helio_event *event) {
  if (!event->data || !event->text || helio_chat_add_reply(c->chat, event->data) != HELIO_OK) forget_question(c);
  /* The persona stays, and the last ten turns. */
  while (helio_chat_count(c->chat) > REMEMBERED) helio_chat_remove(c->chat, 1, 2);
}

static void fail(character *c, const helio_error *error) {
  size_t len;
  const char *message = helio_error_message(error, &len);
  if (c->said.len) text_add(&c->said, "...\n");
  text_add_bytes(&c->said, message ? message : "", len);
  c->is = FAILED;
}

/* Called inside helio_poll, and once more for each request that is alive in helio_client_destroy. */
static int32_t hear(const helio_event *event, void *user_data) {
  character *c = user_data;
  if (event->kind == HELIO_EVENT_CHUNK && event->text) {
    text_add_bytes(&c->said, event->text, event->text_len); /* lent until we return: take a copy */
    c->last_heard = frame;
    c->is = TALKING;
  }
  if (event->kind == HELIO_EVENT_DONE) remember(c, event);
  if (event->kind == HELIO_EVENT_DONE && event->status == HELIO_OK) {
    /* A server that does not stream sends no chunk; the whole text comes here. */
    if (!c->said.len && event->text) text_add_bytes(&c->said, event->text, event->text_len);
    c->is = FINISHED;
  } else if (event->kind == HELIO_EVENT_DONE && event->status == HELIO_ERR_CANCELLED) {
    text_add(&c->said, c->said.len ? " [stopped]" : "[stopped]");
    c->is = STOPPED;
  } else if (event->kind == HELIO_EVENT_DONE) {
    fail(c, event->error);
  }
  return 0; /* anything else would cancel the request */
}

/* Answer these words, or tell of something, as it comes to mind. */
static void talk(character *c, const char *words) {
  static const char *const topics[] = {
      "Say hello to the others at the campfire, in one short sentence.",
      "Say what you see in the night sky, in one short sentence.",
      "Say what you like best about a fire, in one short sentence.",
  };
  helio_request_options options;
  helio_error *error = NULL;
  helio_buffer *body = NULL;
  text more = parameters("\"stream\":true");

  if (!words) words = topics[c->talks++ % (sizeof topics / sizeof topics[0])];
  if (!c->chat && helio_chat_create(&c->chat) == HELIO_OK) helio_chat_add(c->chat, "system", c->persona, HELIO_STRLEN);
  helio_chat_add(c->chat, "user", words, HELIO_STRLEN);
  helio_chat_request(c->chat, more.data, &body);
  c->said.len = 0;
  c->is = WAITING;
  helio_request_options_init(&options, sizeof options); /* its delivery is POLL */
  options.on_event = hear;
  options.user_data = c; /* ours to keep alive until DONE */
  if (helio_submit(client, helio_buffer_data(body), helio_buffer_size(body), &options, &c->request, &error) != HELIO_OK) {
    forget_question(c);
    fail(c, error);
  }
  helio_error_free(error);
  helio_buffer_free(body);
  free(more.data);
}

static int32_t overhear(const helio_event *event, void *user_data) {
  (void)user_data;
  if (event->kind == HELIO_EVENT_CHUNK && event->text) {
    if (crowd.murmur.len > 4096) crowd.murmur.len = 0;
    text_add_bytes(&crowd.murmur, event->text, event->text_len);
  } else if (event->kind == HELIO_EVENT_DONE) {
    crowd.live--;
    crowd.finished += event->status == HELIO_OK;
  }
  return 0;
}

static void crowd_talks(void) {
  static const char murmur[] = "Murmur something to your neighbour at the campfire, in one short sentence.";
  helio_request_options options;
  text messages = {0}, body;
  int i;
  text_add_message(&messages, "user", murmur, strlen(murmur));
  body = request_body(messages.data, 1);
  helio_request_options_init(&options, sizeof options);
  options.on_event = overhear;
  for (i = 0; i < crowd.count; i++)
    crowd.live += helio_submit(client, body.data, body.len, &options, NULL, NULL) == HELIO_OK;
  free(messages.data);
  free(body.data);
}

static void all_talk(void) {
  int i;
  for (i = 0; i < CHARACTERS; i++)
    if (!is_busy(&characters[i])) talk(&characters[i], NULL);
}

/* Input ----------------------------------------------------------------------------------------- */

/* The player writes what is said to the chosen one. */
static void type(const SDL_Event *event) {
  if (event->type == SDL_TEXTINPUT) {
    text_add(&typed, event->text.text);
  } else if (event->key.keysym.sym == SDLK_BACKSPACE) {
    while (typed.len && ((unsigned char)typed.data[--typed.len] & 0xC0) == 0x80) continue; /* a whole letter of UTF-8 */
    if (typed.data) typed.data[typed.len] = 0;
  } else if (event->key.keysym.sym == SDLK_RETURN || event->key.keysym.sym == SDLK_ESCAPE) {
    is_typing = 0;
    if (event->key.keysym.sym == SDLK_RETURN && typed.len && !is_busy(chosen)) talk(chosen, typed.data);
  }
}

static int handle(const SDL_Event *event) {
  int i;
  if (event->type == SDL_QUIT) return 0;
  if (is_typing && (event->type == SDL_TEXTINPUT || event->type == SDL_KEYDOWN)) {
    type(event);
  } else if (event->type == SDL_KEYDOWN && !event->key.repeat) {
    SDL_Keycode key = event->key.keysym.sym;
    if (key == SDLK_q) return 0;
    if (key == SDLK_SPACE) all_talk();
    if (key == SDLK_RETURN) is_typing = 1, typed.len = 0, text_add(&typed, "");
    if (key == SDLK_s || key == SDLK_ESCAPE) helio_cancel_all(client); /* each gets its DONE in the next poll */
  } else if (event->type == SDL_MOUSEBUTTONDOWN) {
    for (i = 0; i < CHARACTERS; i++) {
      character *c = &characters[i];
      if (!on_character(c->x, event->button.x, event->button.y)) continue;
      chosen = c;
      if (is_busy(c)) helio_cancel(client, c->request);
      else talk(c, NULL);
    }
  }
  return 1;
}

/* A player for tests: --press says what it presses, and when. One thing after the other. */
enum { MOST_PRESSES = 8, WHEN_ALL_TALK = -1, WHEN_ALL_ARE_QUIET = -2 };

typedef struct press {
  const char *what;
  int what_len;
  long when;
} press;

static press presses[MOST_PRESSES];
static int presses_left;

static int add_press(const char *argument) { /* KEY@WHEN */
  const char *at = strrchr(argument, '@');
  press *p = &presses[presses_left];
  char *end;
  if (!at || presses_left == MOST_PRESSES) return 0;
  p->what = argument;
  p->what_len = (int)(at - argument);
  if (!strcmp(at + 1, "talking")) p->when = WHEN_ALL_TALK;
  else if (!strcmp(at + 1, "quiet")) p->when = WHEN_ALL_ARE_QUIET;
  else if ((p->when = strtol(at + 1, &end, 10)) < 0 || end == at + 1 || *end) return 0;
  presses_left++;
  return 1;
}

static void press_what_is_due(SDL_Window *window) {
  const press *p = &presses[0];
  int busy = count_of(WAITING) + count_of(TALKING), who;
  char what[SDL_TEXTINPUTEVENT_TEXT_SIZE + 4];
  SDL_Event event;

  if (!presses_left) return;
  if (p->when == WHEN_ALL_TALK ? count_of(TALKING) < CHARACTERS
                               : p->when == WHEN_ALL_ARE_QUIET ? busy : (long)frame < p->when)
    return;
  snprintf(what, sizeof what, "%.*s", p->what_len, p->what);
  memset(&event, 0, sizeof event);
  if (!strncmp(what, "say=", 4)) {
    event.type = SDL_KEYDOWN;
    event.key.keysym.sym = SDLK_RETURN;
    SDL_PushEvent(&event);
    event.type = SDL_TEXTINPUT;
    snprintf(event.text.text, sizeof event.text.text, "%s", what + 4);
    SDL_PushEvent(&event);
    memset(&event, 0, sizeof event);
    event.type = SDL_KEYDOWN;
    event.key.keysym.sym = SDLK_RETURN;
  } else if (sscanf(what, "click%d", &who) == 1 && who >= 1 && who <= CHARACTERS) {
    event.type = SDL_MOUSEBUTTONDOWN;
    event.button.windowID = SDL_GetWindowID(window);
    event.button.button = SDL_BUTTON_LEFT;
    event.button.x = characters[who - 1].x * ZOOM; /* in pixels of the window, as a mouse has it */
    event.button.y = (FEET - 10) * ZOOM;
  } else {
    event.type = SDL_KEYDOWN;
    event.key.keysym.sym = SDL_GetKeyFromName(what);
  }
  SDL_PushEvent(&event);
  memmove(presses, presses + 1, (size_t)--presses_left * sizeof presses[0]);
}

/* Drawing --------------------------------------------------------------------------------------- */

typedef struct figures {
  double frame_ms, worst_frame_ms; /* from the start of a frame to the start of the next */
  double worst_work_ms;            /* the same without the wait for the next one */
  double worst_poll_ms;            /* the part of it that is helio's */
} figures;

static void draw_one(SDL_Renderer *renderer, const character *c) {
  static const Uint32 lamps[] = {0x8A86A0, 0xFFD166, 0x7BE495, 0x9CC9FF, 0x8A86A0, 0xFF6B6B};
  int beat = (int)((frame + (unsigned)c->x * 7) % 60);
  int speaks = c->is == TALKING && frame - c->last_heard < 20;
  int lift = c->is == TALKING ? (beat % 20 < 10) * 2 : beat < 30; /* who talks hops, who listens breathes */
  if (c->looks == GHOST) lift += 3;
  draw_character(renderer, c->looks, c->x, lift, speaks && frame / 5 % 2);
  draw_name(renderer, c->x, c->name, lamps[c->is]);
}

static void draw_words(SDL_Renderer *renderer, const character *c) {
  if (c->is == WAITING) draw_bubble(renderer, c->x, "...", 1 + frame / 20 % 3, PAPER, INK, 0);
  else if (c->is == FAILED) draw_bubble(renderer, c->x, c->said.data, c->said.len, PAPER_FAILED, INK_FAILED, 0);
  else if (c->said.len) draw_bubble(renderer, c->x, c->said.data, c->said.len, PAPER, INK, c->is == TALKING);
}

static void draw_all(SDL_Renderer *renderer, const figures *f) {
  static const char keys[] = "Space talk  Enter say  S stop  Q quit";
  char line[128];
  int i;
  draw_landscape(renderer, frame);
  draw_fire(renderer, frame);
  for (i = 0; i < CHARACTERS; i++) draw_one(renderer, &characters[i]);
  for (i = 0; i < CHARACTERS; i++) draw_words(renderer, &characters[i]);
  if (crowd.murmur.len) {
    size_t shown = crowd.murmur.len < 76 ? crowd.murmur.len : 76;
    snprintf(line, sizeof line, "%.76s", crowd.murmur.data + crowd.murmur.len - shown);
    draw_line(renderer, 6, 3, 0x6F8C88, line);
  }
  if (is_typing) {
    size_t shown = typed.len < 60 ? typed.len : 60;
    snprintf(line, sizeof line, "To %s: %s_", chosen->name, typed.data + typed.len - shown);
    draw_line(renderer, 6, SCENE_HEIGHT - 13, 0xFFD166, line);
    return;
  }
  snprintf(line, sizeof line, "frame %.1f ms, worst %.1f, poll %.2f", f->frame_ms, f->worst_frame_ms, f->worst_poll_ms);
  draw_line(renderer, 6, SCENE_HEIGHT - 13, 0x6F8C88, line);
  draw_line(renderer, SCENE_WIDTH - 5 - (int)strlen(keys) * LETTER_PITCH, SCENE_HEIGHT - 13, 0x6F8C88, keys);
}

static int save_screenshot(SDL_Renderer *renderer, const char *path) {
  SDL_Surface *surface;
  SDL_Rect whole = {0, 0, 0, 0};
  int saved;
  SDL_GetRendererOutputSize(renderer, &whole.w, &whole.h);
  surface = SDL_CreateRGBSurfaceWithFormat(0, whole.w, whole.h, 24, SDL_PIXELFORMAT_BGR24);
  saved = surface &&
          SDL_RenderReadPixels(renderer, NULL, SDL_PIXELFORMAT_BGR24, surface->pixels, surface->pitch) == 0 &&
          SDL_SaveBMP(surface, path) == 0;
  if (!saved) fprintf(stderr, "scene: no screenshot in %s: %s\n", path, SDL_GetError());
  SDL_FreeSurface(surface);
  return saved;
}

/* The loop -------------------------------------------------------------------------------------- */

typedef struct settings {
  unsigned frames; /* 0: until the window is closed */
  int until_done;
  const char *screenshot;
} settings;

static double now_ms(void) {
  return (double)SDL_GetPerformanceCounter() * 1000 / (double)SDL_GetPerformanceFrequency();
}

/* False if what the settings ask for did not happen: no screenshot, or somebody still talks after PATIENCE. */
static int play(SDL_Window *window, SDL_Renderer *renderer, const settings *s) {
  const double period_ms = 1000.0 / FRAMES_PER_SECOND;
  figures f = {0, 0, 0, 0};
  double began, due;
  int goes_on = 1, all_done = 0, fine = 1;

  draw_all(renderer, &f);
  SDL_RenderPresent(renderer); /* the first time a graphics driver sets itself up; that is no frame of the game */
  began = due = now_ms();
  all_talk();
  crowd_talks();
  for (;;) {
    SDL_Event event;
    double before, poll_ms, now, wait_ms;

    press_what_is_due(window);
    while (SDL_PollEvent(&event)) goes_on &= handle(&event);

    before = now_ms();
    helio_poll(client, 0, 0, NULL); /* runs `hear` for all that has come; 0 ms: never waits */
    poll_ms = now_ms() - before;
    if (poll_ms > f.worst_poll_ms) f.worst_poll_ms = poll_ms;

    frame++;
    all_done = !presses_left && count_of(WAITING) + count_of(TALKING) + crowd.live == 0;
    if ((s->until_done && all_done) || (s->frames && frame >= s->frames)) goes_on = 0;

    draw_all(renderer, &f);
    if (!goes_on && s->screenshot) fine = save_screenshot(renderer, s->screenshot);
    SDL_RenderPresent(renderer);
    if (!goes_on) break; /* the last frame is not timed: it may have saved a file */

    if (now_ms() - began > f.worst_work_ms) f.worst_work_ms = now_ms() - began;
    /* On a fast display, or without one, present does not wait: keep our own time. */
    due += period_ms;
    wait_ms = due - now_ms();
    if (wait_ms >= 1)
      SDL_Delay((Uint32)wait_ms);
    else if (wait_ms < -period_ms)
      due = now_ms(); /* too late to be made up for */
    now = now_ms();
    f.frame_ms = now - began;
    began = now;
    if (f.frame_ms > f.worst_frame_ms) f.worst_frame_ms = f.frame_ms;
  }
  printf("scene: %u frames, worst frame %.1f ms (%.1f of it work), worst poll %.3f ms, ", frame, f.worst_frame_ms,
         f.worst_work_ms, f.worst_poll_ms);
  printf("%d of %d finished, %d stopped, %d failed\n", count_of(FINISHED), CHARACTERS, count_of(STOPPED),
         count_of(FAILED));
  if (crowd.count) printf("scene: %d of a crowd of %d finished\n", crowd.finished, crowd.count);
  return fine && (all_done || !s->until_done);
}

static int usage(void) {
  fputs("usage: scene [--frames N] [--until-done] [--screenshot FILE.bmp] [--press KEY@WHEN]... [--crowd N]\n"
        "  --frames N        quit after N frames\n"
        "  --until-done      quit when all have finished, at the latest after 90 s\n"
        "  --screenshot F    save the last frame\n"
        "  --press KEY@WHEN  press a key (S, Space, Escape, Q) or click1 to click4, in the frame WHEN,\n"
        "                    or once all are \"talking\", or all are \"quiet\"; several: in this order;\n"
        "                    say=WORDS: Enter, the words, Enter\n"
        "  --crowd N         N more streams, at most 64, of which the top line shows something\n",
        stderr);
  return 2;
}

int main(int argc, char **argv) {
  settings s = {0, 0, NULL};
  SDL_Window *window = NULL;
  SDL_Renderer *renderer = NULL;
  int i, fine = 0;

  for (i = 1; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : "";
    if (!strcmp(argv[i], "--until-done")) s.until_done = 1;
    else if (!strcmp(argv[i], "--frames") && atoi(value) > 0) s.frames = (unsigned)atoi(value), i++;
    else if (!strcmp(argv[i], "--screenshot") && *value) s.screenshot = value, i++;
    else if (!strcmp(argv[i], "--press") && add_press(value)) i++;
    else if (!strcmp(argv[i], "--crowd") && atoi(value) > 0 && atoi(value) <= CROWD_MOST) crowd.count = atoi(value), i++;
    else return usage();
  }
  if (s.until_done && !s.frames) s.frames = PATIENCE;

  if (SDL_Init(SDL_INIT_VIDEO) == 0) {
    window = SDL_CreateWindow("helio: four at a campfire", SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED,
                              SCENE_WIDTH * ZOOM, SCENE_HEIGHT * ZOOM, 0);
    if (window) renderer = SDL_CreateRenderer(window, -1, SDL_RENDERER_PRESENTVSYNC);
    if (window && !renderer) renderer = SDL_CreateRenderer(window, -1, 0);
  }
  if (!renderer) {
    fprintf(stderr, "scene: no window: %s\n", SDL_GetError());
  } else {
    SDL_RenderSetLogicalSize(renderer, SCENE_WIDTH, SCENE_HEIGHT);
    client = client_from_environment("scene");
    if (client) fine = play(window, renderer, &s);
    helio_client_destroy(client, HELIO_WAIT_FOREVER); /* ends who still talks; each gets its DONE here */
  }

  for (i = 0; i < CHARACTERS; i++) {
    free(characters[i].said.data);
    helio_chat_free(characters[i].chat);
  }
  free(crowd.murmur.data);
  free(typed.data);
  SDL_DestroyRenderer(renderer);
  SDL_DestroyWindow(window);
  SDL_Quit();
  return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}
