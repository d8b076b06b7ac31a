/*
 * UDP datagrams between the hosts of the lab, faster than what is measured with them.
 *
 *   datagrams flood ADDRESS PORT OCTETS PER-SECOND SECONDS   sends; PER-SECOND 0: without limit
 *   datagrams count PORT                                     counts what comes, until SIGTERM and silence
 *   datagrams echo  PORT                                     sends back what comes
 *   datagrams ask   ADDRESS PORT OCTETS COUNT SECONDS        one request after the other's answer
 *
 * OCTETS are the payload's. Those who wait for others print `ready` first; results are one line of
 * JSON. Each datagram goes into the kernel by itself, 64 in a system call, and is not segmented.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

enum { BATCH = 64, LARGEST = 2048, BUFFER_OCTETS = 64 << 20 };

/* From one look at the clock to the next while a rate is kept. */
static const double TICK_SECONDS = 0.00025;
/* A sender that was put aside does not make up for more than this in one burst. */
static const double LARGEST_BURST_SECONDS = 0.002;
static const int SILENCE_MILLISECONDS = 300;
static const double PATIENCE_SECONDS = 10;
static const int ANSWER_MILLISECONDS = 1000;

static volatile sig_atomic_t ended;

static void on_end(int signal) {
  (void)signal;
  ended = 1;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void sleep_until(double when) {
  struct timespec at = {.tv_sec = (time_t)when};
  at.tv_nsec = (long)((when - (double)at.tv_sec) * 1e9);
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static int connected(const char *address, const char *port) {
  struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
  struct addrinfo *to;
  if (getaddrinfo(address, port, &hints, &to) != 0) {
    fprintf(stderr, "%s port %s: no address\n", address, port);
    exit(2);
  }
  int fd = socket(to->ai_family, SOCK_DGRAM, 0);
  if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen) != 0) die(address);
  freeaddrinfo(to);
  return fd;
}

/* Hears both families. */
static int bound(const char *port) {
  int fd = socket(AF_INET6, SOCK_DGRAM, 0);
  struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};
  int octets = BUFFER_OCTETS;
  if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) != 0) die(port);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &octets, sizeof octets);
  return fd;
}

static size_t size_of(const char *text) {
  size_t octets = (size_t)atol(text);
  if (octets >= 8 && octets <= LARGEST) return octets;
  fprintf(stderr, "%s octets: from 8 to %d\n", text, LARGEST);
  exit(2);
}

/* One buffer for every datagram: nobody looks inside. */
static void point_at(struct mmsghdr *messages, struct iovec *vector, size_t count) {
  memset(messages, 0, count * sizeof *messages);
  for (size_t i = 0; i < count; i += 1) {
    messages[i].msg_hdr.msg_iov = vector;
    messages[i].msg_hdr.msg_iovlen = 1;
  }
}

static int flood(char **argv) {
  static uint8_t octets[LARGEST];
  static struct mmsghdr messages[BATCH];
  struct iovec vector = {octets, size_of(argv[2])};
  int fd = connected(argv[0], argv[1]);
  double per_second = atof(argv[3]), seconds = atof(argv[4]);
  uint64_t sent = 0, refused = 0;
  double due = 0, begin = now(), last = begin;
  point_at(messages, &vector, BATCH);
  prctl(PR_SET_TIMERSLACK, 1UL);
  for (double at = begin; at - begin < seconds && !ended; at = now()) {
    unsigned count = BATCH;
    if (per_second > 0) {
      due += (at - last) * per_second;
      last = at;
      double burst = per_second * LARGEST_BURST_SECONDS;
      if (due > burst + 1) due = burst + 1;
      if (due < 1) {
        sleep_until(at + TICK_SECONDS);
        continue;
      }
      if (due < BATCH) count = (unsigned)due;
    }
    int done = sendmmsg(fd, messages, count, 0);
    /* Nobody listens yet or any more, or a queue is full: those are lost on the way. */
    if (done < 0) refused += 1;
    if (done > 0) sent += (uint64_t)done;
    due -= done > 0 ? done : 1;
  }
  printf("{\"sent\":%llu,\"refused\":%llu,\"seconds\":%.6f}\n", (unsigned long long)sent,
         (unsigned long long)refused, now() - begin);
  return 0;
}

static int count(char **argv) {
  static uint8_t octets[LARGEST];
  static struct mmsghdr messages[BATCH];
  struct iovec vector = {octets, sizeof octets};
  int fd = bound(argv[0]);
  uint64_t received = 0;
  double first = 0, last = 0, patience = 0;
  point_at(messages, &vector, BATCH);
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int some = poll(&ready, 1, SILENCE_MILLISECONDS);
    double at = now();
    if (ended && patience == 0) patience = at + PATIENCE_SECONDS;
    if (some > 0) {
      int done = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
      if (done <= 0) continue;
      if (received == 0) first = at;
      received += (uint64_t)done;
      last = at;
    }
    if (ended && ((some == 0) || at > patience)) break;
  }
  printf("{\"received\":%llu,\"seconds\":%.6f}\n", (unsigned long long)received, last - first);
  return 0;
}

static int echo(char **argv) {
  static uint8_t octets[LARGEST];
  int fd = bound(argv[0]);
  /* The signal may come just before the call that waits. */
  struct timeval second = {.tv_sec = 1};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
  puts("ready");
  fflush(stdout);
  while (!ended) {
    struct sockaddr_in6 from;
    socklen_t length = sizeof from;
    ssize_t got = recvfrom(fd, octets, sizeof octets, 0, (struct sockaddr *)&from, &length);
    if (got > 0) sendto(fd, octets, (size_t)got, 0, (struct sockaddr *)&from, length);
  }
  return 0;
}

/* The answer to request `number`; what comes late for another is passed over. */
static int answered(int fd, uint64_t number, double deadline) {
  uint8_t octets[LARGEST];
  for (;;) {
    int left = (int)((deadline - now()) * 1000);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (left < 0 || poll(&ready, 1, left + 1) <= 0) return 0;
    ssize_t got = recv(fd, octets, sizeof octets, MSG_DONTWAIT);
    if (got >= (ssize_t)sizeof number && memcmp(octets, &number, sizeof number) == 0) return 1;
  }
}

static int ask(char **argv) {
  static uint8_t octets[LARGEST];
  size_t size = size_of(argv[2]);
  int fd = connected(argv[0], argv[1]);
  uint64_t count = (uint64_t)atoll(argv[3]), lost = 0;
  double end = now() + atof(argv[4]);
  const char *comma = "";
  printf("{\"microseconds\":[");
  for (uint64_t number = 0; number < count && now() < end && !ended; number += 1) {
    memcpy(octets, &number, sizeof number);
    double begin = now();
    if (send(fd, octets, size, 0) < 0 && errno != ECONNREFUSED) die("send");
    if (!answered(fd, number, begin + ANSWER_MILLISECONDS / 1e3)) {
      lost += 1;
      continue;
    }
    printf("%s%.1f", comma, (now() - begin) * 1e6);
    comma = ",";
  }
  printf("],\"lost\":%llu}\n", (unsigned long long)lost);
  return 0;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    int operands;
    int (*run)(char **argv);
  } verbs[] = {{"flood", 5, flood}, {"count", 1, count}, {"echo", 1, echo}, {"ask", 5, ask}};
  struct sigaction end = {.sa_handler = on_end};
  sigaction(SIGTERM, &end, NULL);
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i += 1) {
    if (argc == verbs[i].operands + 2 && strcmp(argv[1], verbs[i].name) == 0)
      return verbs[i].run(argv + 2);
  }
  fprintf(stderr, "usage: datagrams flood | count | echo | ask ...\n");
  return 2;
}
