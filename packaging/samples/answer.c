/* Asks one question: what the sample projects build. HELIO_BASE_URL says where, unless it is the gateway. */
#include <helio.h>
#include <stdio.h>

int main(void) {
  const char *request = "{\"model\":\"gpt-4o-mini\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}";
  helio_client *client = NULL;
  helio_buffer *completion = NULL, *content = NULL;
  helio_error *error = NULL;
  helio_status status = helio_client_create(NULL, &client, &error);
  if (status == HELIO_OK) status = helio_complete(client, request, HELIO_STRLEN, NULL, &completion, &error);
  if (status == HELIO_OK) {
    helio_json_get(helio_buffer_data(completion), HELIO_STRLEN, "/choices/0/message/content", &content);
    printf("%s\n", content ? helio_buffer_data(content) : "no text");
  } else {
    fprintf(stderr, "%s\n", helio_error_message(error, NULL));
  }
  helio_error_free(error);
  helio_buffer_free(content);
  helio_buffer_free(completion);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  return status == HELIO_OK ? 0 : 1;
}
