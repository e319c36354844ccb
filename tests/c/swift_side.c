/* What the Swift package relies on: the box of a request is retained when it is submitted and released at its DONE, which comes
 * once, and none if submit fails; the last reference to the client may be dropped inside a callback.
 * usage: swift_side BASE_URL */

#include "../../examples/c/common.h"

#include <assert.h>
#include <pthread.h>

enum { REQUESTS = 8 };

/* A client with its references, as ARC has them. */
typedef struct client_box {
  helio_client *client;
  pthread_mutex_t lock;
  int references;
  int released_in_a_callback;
} client_box;

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static int live_boxes, dones, refused;
static __thread int in_callback;

static void release(client_box *box) {
  int left;
  pthread_mutex_lock(&box->lock);
  left = --box->references;
  pthread_mutex_unlock(&box->lock);
  if (left) return;
  if (in_callback) {
    pthread_mutex_lock(&gate);
    box->released_in_a_callback = 1;
    pthread_mutex_unlock(&gate);
  }
  helio_client_release(box->client);
}

static void retain(client_box *box) {
  pthread_mutex_lock(&box->lock);
  box->references++;
  pthread_mutex_unlock(&box->lock);
}

/* The box of a request: it holds the client, as the closure of a stream does. */
typedef struct request_box {
  client_box *owner;
  int is_released;
} request_box;

static int32_t on_event(const helio_event *event, void *user_data) {
  request_box *box = user_data;
  assert(!box->is_released);
  in_callback = 1;
  if (event->kind == HELIO_EVENT_DONE) {
    box->is_released = 1;
    release(box->owner);
    pthread_mutex_lock(&gate);
    dones++;
    live_boxes--;
    pthread_cond_signal(&ended);
    pthread_mutex_unlock(&gate);
    free(box);
  }
  in_callback = 0;
  return 0;
}

static void submit(client_box *owner, const char *body) {
  helio_request_options options;
  request_box *box = calloc(1, sizeof *box);
  assert(box);
  box->owner = owner;
  retain(owner);
  pthread_mutex_lock(&gate);
  live_boxes++;
  pthread_mutex_unlock(&gate);
  helio_request_options_init(&options, sizeof options);
  options.delivery = HELIO_DELIVERY_THREAD;
  options.id = helio_reserve(owner->client);
  options.on_event = on_event;
  options.user_data = box;
  if (helio_submit(owner->client, body, strlen(body), &options, NULL, NULL) != HELIO_OK) {
    pthread_mutex_lock(&gate);
    live_boxes--;
    refused++;
    pthread_mutex_unlock(&gate);
    release(owner);
    free(box);
  }
}

int main(int argc, char **argv) {
  client_box owner = {NULL, PTHREAD_MUTEX_INITIALIZER, 1, 0};
  helio_client_options options;
  text config = {0};
  int number;
  if (argc != 2) return 2;
  text_add(&config, "{\"api_key\":\"k\",\"base_url\":");
  text_add_json(&config, argv[1], strlen(argv[1]));
  text_add(&config, "}");
  helio_client_options_init(&options, sizeof options);
  options.config = config.data;
  assert(helio_client_create(&options, &owner.client, NULL) == HELIO_OK);
  free(config.data);

  for (number = 0; number < REQUESTS; number++)
    submit(&owner, "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"one two three\"}]}");
  submit(&owner, "not JSON");
  release(&owner); /* the host's own reference: only those of the requests are left */

  pthread_mutex_lock(&gate);
  while (dones < REQUESTS) pthread_cond_wait(&ended, &gate);
  pthread_mutex_unlock(&gate);
  printf("%d ended, %d refused, %d boxes left, released in a callback: %d\n", dones, refused, live_boxes,
         owner.released_in_a_callback);
  return 0;
}
