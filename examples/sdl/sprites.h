/* The four who talk, as pictures: the left half of each, the right half is its mirror image. A letter is a colour
 * of colour_of() below; a dot lets the scene through. `m` is the mouth, which draw.c opens and closes. */
#ifndef HELIO_EXAMPLES_SPRITES_H
#define HELIO_EXAMPLES_SPRITES_H

enum { SPRITE_HALF = 12, SPRITE_HEIGHT = 28 };

typedef const char *const sprite[SPRITE_HEIGHT];

static inline unsigned colour_of(char letter) {
  switch (letter) {
  case 'k': return 0x171428; /* outlines */
  case 'w': return 0xF2F0FF; /* white */
  case 'W': return 0xC3C6E6; /* white in the shade */
  case 's': return 0xF0BE96; /* skin */
  case 'S': return 0xD49A78;
  case 'r': return 0xE4574F; /* red */
  case 'p': return 0xF49AA8; /* pink */
  case 'y': return 0xFFD166; /* yellow */
  case 'o': return 0xEE9A4D; /* orange */
  case 'O': return 0xC9713A;
  case 'g': return 0x8FA3BF; /* metal */
  case 'G': return 0x5F7396;
  case 'L': return 0xBACBE0;
  case 'e': return 0x5CE1E6; /* bright screens and eyes */
  case 'd': return 0x22304A; /* dark screens */
  case 'v': return 0x7C5CBF; /* violet */
  case 'V': return 0x573D94;
  case 't': return 0xA8E6D4; /* the ghost */
  case 'T': return 0x7BC4BC;
  default: return 0x5A2438;  /* m: the mouth */
  }
}

static sprite robot = {
    "...........r",
    "...........r",
    "...........k",
    "...........k",
    "...kkkkkkkkk",
    "..kLLLLLLLLL",
    "..kLgggggggg",
    "kkkLgkkkkkkk",
    "kGkLkddddddd",
    "kGkLkddeeddd",
    "kGkLkddeeddd",
    "kGkLkddeeddd",
    "kkkLkddddddd",
    "..kLkdddddem",
    "..kLgkkkkkkk",
    "..kggggggggg",
    "...kkkkkkkkk",
    ".......kGGGG",
    "...kkkkkkkkk",
    "..kLLLLLLLLL",
    "kkkLgggggggg",
    "kgkLggrkykek",
    "kgkLgggggggg",
    "kGkGgggggggg",
    "kkkkGGGGGGGG",
    "...kkkkkkkkk",
    "....kGgk....",
    "...kkkkkk...",
};

static sprite cat = {
    "............",
    "..kk........",
    "..kok.......",
    "..kook......",
    "..kpook.....",
    "..kppookkkkk",
    "..kpooooooOO",
    "..kooooooooO",
    ".koooooooooO",
    ".kOooooooooo",
    ".koooykkyooo",
    ".kOooykkyooo",
    ".koooykkyooo",
    ".kooooooooow",
    "..kpppooowwp",
    "..koooowwwwm",
    "...kooowwwww",
    "....kkkkkkkk",
    "...koooooooo",
    "..kOooooowww",
    "..kooooowwww",
    ".kOoooowwwww",
    ".koooooowwww",
    ".kOooookowww",
    ".kooooookoow",
    ".koowwwkkook",
    "..kwwwwkkwwk",
    "...kkkkkkkkk",
};

static sprite wizard = {
    "...........k",
    "..........kv",
    "..........kv",
    ".........kvv",
    ".........kvy",
    "........kvyy",
    "........kvvy",
    ".......kvvvv",
    ".......kVvvv",
    "......kVyyyy",
    "...kkkkVVVVV",
    "..kvvvvvvvvv",
    "...kkkkkkkkk",
    "....kSssssss",
    "....kswwssss",
    "....kskkssss",
    "....kspssSSS",
    "...kwwwwwwSS",
    "...kwwwwwwww",
    "...kWwwwwmmm",
    "..kkWwwwwwww",
    ".kvvkWwwwwww",
    ".kvvvkwwwwww",
    "kvvvvkWwwwww",
    "kvvvvvkWwwww",
    "kVvvvvvkWwww",
    "kVVvvvvvkkWw",
    "kkkkkkkkkkkk",
};

static sprite ghost = {
    "............",
    "........kkkk",
    "......kktttt",
    ".....kwwtttt",
    "....kwtttttt",
    "...kwttttttt",
    "...kwttttttt",
    "..kwtttttttt",
    "..kwttttkkkt",
    "..kwttttkwkt",
    "..kwttttkkkt",
    "..kwttttkkkt",
    "..kttttttttt",
    "..kttpptttmm",
    ".kktttttttmm",
    "ktktttttttmm",
    "kttktttttttt",
    "kTttkttttttt",
    ".kTtkttttttt",
    "..kktttttttt",
    "..kttttttttt",
    "..kttttttttt",
    "..kTtttttttt",
    "..kTTttttttt",
    "..kTTTTTTTTT",
    "..kTTkkTTTkk",
    "..kkk..kkk..",
    "............",
};

#endif
