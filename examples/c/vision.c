/* An image and a question about it. The image travels inside the request, as a data URL; one that lies on the web is
 * named by its https URL instead. See common.h for the environment; MODEL must be one that sees.
 *
 *   PROMPT="What is this?" ./vision picture.png
 */
#include "feature.h"

/* What kind of image this is, by its first bytes; NULL: none that models take. */
static const char *media_type(const unsigned char *bytes, size_t len) {
  if (len > 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0) return "image/png";
  if (len > 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0) return "image/jpeg";
  if (len > 6 && memcmp(bytes, "GIF8", 4) == 0) return "image/gif";
  if (len > 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0) return "image/webp";
  return NULL;
}

static void text_add_base64(text *t, const unsigned char *bytes, size_t len) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t i;
  for (i = 0; i < len; i += 3) {
    unsigned long three = (unsigned long)bytes[i] << 16;
    char four[4];
    if (i + 1 < len) three |= (unsigned long)bytes[i + 1] << 8;
    if (i + 2 < len) three |= bytes[i + 2];
    four[0] = digits[three >> 18];
    four[1] = digits[three >> 12 & 63];
    four[2] = i + 1 < len ? digits[three >> 6 & 63] : '=';
    four[3] = i + 2 < len ? digits[three & 63] : '=';
    text_add_bytes(t, four, 4);
  }
}

static int read_file(const char *path, text *file) {
  char block[65536];
  size_t got;
  FILE *in = fopen(path, "rb");
  if (!in) return 0;
  while ((got = fread(block, 1, sizeof block, in)) > 0) text_add_bytes(file, block, got);
  return fclose(in) == 0;
}

/* The user's message: two parts. */
static text message_with_image(const char *question, const char *media, const text *image) {
  text message = {0};
  text_add(&message, "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":");
  text_add_json(&message, question, strlen(question));
  text_add(&message, "},{\"type\":\"image_url\",\"image_url\":{\"detail\":\"auto\",\"url\":\"data:");
  text_add(&message, media);
  text_add(&message, ";base64,");
  text_add_base64(&message, (const unsigned char *)image->data, image->len);
  text_add(&message, "\"}}]}");
  return message;
}

int main(int argc, char **argv) {
  const char *media;
  helio_client *client;
  helio_chat *chat = NULL;
  helio_buffer *completion = NULL;
  helio_error *error = NULL;
  helio_status status;
  text image = {0}, message;

  if (argc != 2 || !read_file(argv[1], &image)) {
    fprintf(stderr, "vision: give a file with an image, like: %s picture.png\n", argv[0]);
    return EXIT_FAILURE;
  }
  media = media_type((const unsigned char *)image.data, image.len);
  if (!media) {
    fprintf(stderr, "vision: %s is no PNG, JPEG, GIF or WebP\n", argv[1]);
    free(image.data);
    return EXIT_FAILURE;
  }
  client = client_from_environment("vision");
  if (!client) return EXIT_FAILURE;
  message = message_with_image(environment("PROMPT", "What is in this image?"), media, &image);
  helio_chat_create(&chat);
  helio_chat_add_json(chat, message.data);
  status = ask(client, chat, "", NULL, &completion, &error);
  if (status == HELIO_OK) {
    char *content = json_text(helio_buffer_data(completion), "/choices/0/message/content", "");
    printf("%s\n", content);
    free(content);
  } else {
    complain("vision", status, error);
  }

  helio_error_free(error);
  helio_buffer_free(completion);
  helio_chat_free(chat);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  free(message.data);
  free(image.data);
  return status == HELIO_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
