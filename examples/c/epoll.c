/* helio as one descriptor among others, in a loop of the host's own: each line typed is asked at once, while
 * other answers still stream, and each answer is printed whole behind the number of its question. A timer
 * tells every second how far they are. Ends with the input (Ctrl-D) when all is answered. See common.h for
 * the environment it reads.
 *
 *   ./epoll          or          printf 'Name a river.\nName a mountain.\n' | ./epoll
 *
 * epoll and timerfd are Linux only. With poll, kqueue, libuv, GLib or Qt it is the same: when the handle is
 * readable, call helio_poll.
 */
#include "common.h"
#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* The callbacks run inside helio_poll, on the loop's own thread: no lock is needed. */
static int asked, running, tokens, exit_code = EXIT_SUCCESS;

static int32_t on_event(const helio_event *event, void *user_data) {
  if (event->kind == HELIO_EVENT_CHUNK && event->text) tokens++;
  if (event->kind != HELIO_EVENT_DONE) return 0;
  running--;
  if (event->status == HELIO_OK) {
    printf("[%d] %s\n", (int)(intptr_t)user_data, event->text ? event->text : event->data);
    fflush(stdout);
  } else {
    fprintf(stderr, "[%d] ", (int)(intptr_t)user_data);
    complain("epoll", event->status, event->error);
    exit_code = EXIT_FAILURE;
  }
  return 0;
}

static void ask(helio_client *client, const char *line) {
  text body = question_body(line, 1);
  helio_request_options options;
  helio_error *error = NULL;
  helio_status status;

  helio_request_options_init(&options, sizeof options);
  options.delivery = HELIO_DELIVERY_POLL;
  options.on_event = on_event;
  options.user_data = (void *)(intptr_t)++asked;
  status = helio_submit(client, body.data, body.len, &options, NULL, &error);
  if (status == HELIO_OK) {
    running++;
  } else { /* no event of it ever comes */
    fprintf(stderr, "[%d] ", asked);
    complain("epoll", status, error);
    exit_code = EXIT_FAILURE;
  }
  helio_error_free(error);
  free(body.data);
}

/* Asks the lines that have come; 0 at the end of the input. getline is no help here: what it has read
 * ahead, epoll does not see. */
static int read_lines(helio_client *client, text *input) {
  char bytes[4096], *end;
  ssize_t count = read(STDIN_FILENO, bytes, sizeof bytes);

  if (count > 0) text_add_bytes(input, bytes, (size_t)count);
  else text_add(input, "\n"); /* the last line may lack its end */
  while ((end = memchr(input->data, '\n', input->len)) != NULL) {
    *end = '\0';
    if (end > input->data) ask(client, input->data);
    input->len -= (size_t)(end + 1 - input->data);
    memmove(input->data, end + 1, input->len);
  }
  return count > 0;
}

static int watch(int loop, int descriptor) {
  struct epoll_event event = {0};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  return epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

static void run(helio_client *client, int loop, int handle, int timer, text *input) {
  struct itimerspec every_second = {{1, 0}, {1, 0}};
  int reading = 1;

  if (!watch(loop, handle) || !watch(loop, timer) || timerfd_settime(timer, 0, &every_second, NULL) != 0) {
    perror("epoll: the loop cannot be set up");
    exit_code = EXIT_FAILURE;
    return;
  }
  if (!watch(loop, STDIN_FILENO)) /* a file, which epoll does not take: reading it never waits */
    while (reading) reading = read_lines(client, input);

  while (reading || running) {
    struct epoll_event ready;
    uint64_t seconds;

    if (epoll_wait(loop, &ready, 1, -1) < 1) continue; /* a signal came */
    if (ready.data.fd == handle) {
      helio_status status = helio_poll(client, 0, 0, NULL); /* wait 0 ms, deliver all that is pending */
      if (status != HELIO_OK) {
        complain("epoll", status, NULL);
        exit_code = EXIT_FAILURE;
        return;
      }
    } else if (ready.data.fd == timer) {
      if (read(timer, &seconds, sizeof seconds) > 0 && running)
        fprintf(stderr, "%d running, %d tokens so far\n", running, tokens);
    } else if (!read_lines(client, input)) {
      reading = 0;
      epoll_ctl(loop, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
    }
  }
}

int main(void) {
  helio_client *client = client_from_environment("epoll");
  text input = {0};
  int loop, timer;

  if (!client) return EXIT_FAILURE;
  loop = epoll_create1(0);
  timer = timerfd_create(CLOCK_MONOTONIC, 0);
  run(client, loop, (int)helio_wait_handle(client), timer, &input);
  close(timer);
  close(loop); /* before the client goes, and with it the handle that the loop watches */
  free(input.data);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  return exit_code;
}
