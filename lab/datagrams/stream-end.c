/*
 * One end of a stream of numbered datagrams: sends at a steady rate and counts what comes.
 *
 *   stream-end REMOTE PORT PER-SECOND
 *
 * Prints `ready` once it listens. SIGUSR2 begins the sending, the next one ends it: from then on it
 * prints what it counted, as JSON, whenever that changes. SIGTERM ends the process.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
  OCTETS = 200,
  /* A sender that was put aside for long does not make up for it in one burst. */
  LARGEST_BURST = 20,
  /* Packets that strongSwan's replay window covers; tsgw's is larger. */
  REPLAY_WINDOW = 128,
  /* Told of what was lost. */
  MOST_GAPS = 10,
  MOST_NUMBERS = 1 << 24,
  BUFFER_OCTETS = 1 << 20,
};
static const double TELL_SECONDS = 0.02;

static volatile sig_atomic_t switched, ended;
static int descriptor;
static uint32_t sent;
static uint8_t seen[MOST_NUMBERS / 8];
static struct {
  uint32_t received, duplicated, reordered, deepest, late;
  int64_t highest;
  double last_at, silence;
} arrivals = {.highest = -1, .last_at = -1};

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void on_signal(int number) {
  if (number == SIGUSR2) switched++;
  else ended = 1;
}

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void open_socket(const char *remote, uint16_t port) {
  int six = strchr(remote, ':') != NULL;
  struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct sockaddr *address = six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
  socklen_t length = six ? sizeof in6 : sizeof in;
  descriptor = socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
  if (descriptor < 0) die("socket");
  int octets = BUFFER_OCTETS;
  setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
  if (bind(descriptor, address, length) != 0) die("bind");
}

static socklen_t parse(const char *remote, uint16_t port, struct sockaddr_storage *into) {
  struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)into;
  struct sockaddr_in *in = (struct sockaddr_in *)into;
  if (inet_pton(AF_INET6, remote, &in6->sin6_addr) == 1) {
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    return sizeof *in6;
  }
  if (inet_pton(AF_INET, remote, &in->sin_addr) != 1) die(remote);
  in->sin_family = AF_INET;
  in->sin_port = htons(port);
  return sizeof *in;
}

static int was_seen(uint32_t number) {
  return seen[number / 8] >> (number % 8) & 1;
}

static void silent_until(double at) {
  if (arrivals.last_at >= 0 && at - arrivals.last_at > arrivals.silence) {
    arrivals.silence = at - arrivals.last_at;
  }
}

static void count(uint32_t number) {
  double at = now();
  silent_until(at);
  arrivals.last_at = at;
  if (number >= MOST_NUMBERS) return;
  if (was_seen(number)) {
    arrivals.duplicated++;
    return;
  }
  seen[number / 8] |= (uint8_t)(1 << (number % 8));
  arrivals.received++;
  if (number > arrivals.highest) {
    arrivals.highest = number;
    return;
  }
  uint32_t behind = (uint32_t)(arrivals.highest - number);
  arrivals.reordered++;
  if (behind > arrivals.deepest) arrivals.deepest = behind;
  if (behind >= REPLAY_WINDOW) arrivals.late++;
}

static void receive(void) {
  uint8_t octets[2048];
  for (;;) {
    ssize_t length = recv(descriptor, octets, sizeof octets, MSG_DONTWAIT);
    if (length < 4) return;
    uint32_t number;
    memcpy(&number, octets, 4);
    count(ntohl(number));
  }
}

/* The first numbers that are missing, as `first-last`. */
static void tell_gaps(void) {
  int gaps = 0;
  for (int64_t number = 0; number < arrivals.highest && gaps < MOST_GAPS; number++) {
    if (was_seen((uint32_t)number)) continue;
    int64_t first = number;
    while (!was_seen((uint32_t)number + 1)) number++;
    printf("%s\"%lld-%lld\"", gaps++ > 0 ? "," : "", (long long)first, (long long)number);
  }
}

/* Unless that was said: without a new packet there is nothing new. */
static void tell(void) {
  static uint32_t told = UINT32_MAX;
  uint32_t heard = arrivals.received + arrivals.duplicated;
  if (heard == told) return;
  told = heard;
  printf("{\"sent\":%u,\"received\":%u,\"duplicated\":%u,\"reordered\":%u,\"deepest\":%u,\"late\":%u,", sent,
         arrivals.received, arrivals.duplicated, arrivals.reordered, arrivals.deepest, arrivals.late);
  printf("\"longestSilenceMilliseconds\":%.0f,\"gaps\":[", arrivals.silence * 1000);
  tell_gaps();
  printf("]}\n");
  fflush(stdout);
}

static void wait_for(double seconds, const sigset_t *signals) {
  struct pollfd one = {.fd = descriptor, .events = POLLIN};
  struct timespec wait = {0};
  if (seconds > 0) {
    wait.tv_sec = (time_t)seconds;
    wait.tv_nsec = (long)((seconds - (double)wait.tv_sec) * 1e9);
  }
  ppoll(&one, 1, &wait, signals);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: stream-end REMOTE PORT PER-SECOND\n");
    return 2;
  }
  struct sockaddr_storage to = {0};
  uint16_t port = (uint16_t)atoi(argv[2]);
  socklen_t to_length = parse(argv[1], port, &to);
  double gap = 1 / atof(argv[3]);
  /* Signals come while it waits, at no other time. */
  sigset_t none, all;
  sigemptyset(&none);
  sigemptyset(&all);
  sigaddset(&all, SIGUSR2);
  sigaddset(&all, SIGTERM);
  sigprocmask(SIG_BLOCK, &all, NULL);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR2, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  open_socket(argv[1], port);
  printf("ready\n");
  fflush(stdout);
  double next = 0;
  int finished = 0;
  while (!ended) {
    int sending = switched == 1;
    if (sending) {
      static uint8_t packet[OCTETS];
      double at = now();
      if (next < at - LARGEST_BURST * gap) next = sent == 0 ? at : at - LARGEST_BURST * gap;
      for (; next <= at; next += gap) {
        uint32_t number = htonl(sent++);
        memcpy(packet, &number, 4);
        /* A host that is not there yet, or no longer, is a packet lost and no reason to end. */
        (void)!sendto(descriptor, packet, OCTETS, 0, (struct sockaddr *)&to, to_length);
      }
    }
    wait_for(sending ? next - now() : switched > 1 ? TELL_SECONDS : 3600, &none);
    receive();
    if (switched > 1 && !finished) {
      /* That nothing came until the end is a silence, too. */
      finished = 1;
      silent_until(now());
    }
    if (switched > 1) tell();
  }
  tell();
  return 0;
}
