/*
 * Echo requests at a steady pace, and the answers to them until none is missing.
 *
 *   echo ADDRESS COUNT INTERVAL WAIT OCTETS DONT-FRAGMENT [SOURCE]
 *
 * `ping` gives its last request one interval, or two round trips: on a machine that stands still for a
 * moment it calls lost what is only late. Here the last one has WAIT seconds. A request that leaves late
 * does not make the next ones hurry. DONT-FRAGMENT is 0 or 1. Prints one line of JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST = 65536, MOST = 60000, HEADER = 8, BUFFER_OCTETS = 1 << 20 };

static int descriptor, six;
static struct sockaddr_storage to;
static socklen_t to_length;
static uint16_t ident;
static int sent, answered;
static double sent_at[MOST + 1], total_seconds;
static char is_answered[MOST + 1];

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static socklen_t parse(const char *address, struct sockaddr_storage *into) {
  if (strchr(address, ':') != NULL) {
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)into;
    in->sin6_family = AF_INET6;
    if (inet_pton(AF_INET6, address, &in->sin6_addr) != 1) die(address);
    return sizeof *in;
  }
  struct sockaddr_in *in = (struct sockaddr_in *)into;
  in->sin_family = AF_INET;
  if (inet_pton(AF_INET, address, &in->sin_addr) != 1) die(address);
  return sizeof *in;
}

static void open_socket(const char *address, const char *source, int dont_fragment) {
  to_length = parse(address, &to);
  six = to.ss_family == AF_INET6;
  descriptor = six ? socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6) : socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  if (descriptor < 0) die("socket");
  int octets = BUFFER_OCTETS;
  setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
  if (source != NULL) {
    struct sockaddr_storage from = {0};
    socklen_t length = parse(source, &from);
    if (bind(descriptor, (struct sockaddr *)&from, length) != 0) die(source);
  }
  if (!dont_fragment) return;
  int always = six ? IPV6_PMTUDISC_DO : IP_PMTUDISC_DO;
  int level = six ? IPPROTO_IPV6 : IPPROTO_IP;
  int option = six ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER;
  if (setsockopt(descriptor, level, option, &always, sizeof always) != 0) die("setsockopt");
}

/* RFC 1071; for IPv6 the kernel writes it. */
static uint16_t checksum(const uint8_t *octets, size_t length) {
  uint32_t sum = 0;
  for (size_t at = 0; at < length; at += 2) {
    sum += (uint32_t)octets[at] << 8;
    if (at + 1 < length) sum += octets[at + 1];
  }
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

static void request(size_t octets) {
  static uint8_t packet[LARGEST];
  sent++;
  memset(packet, 0, HEADER);
  packet[0] = six ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
  memcpy(packet + 4, &ident, 2);
  packet[6] = (uint8_t)(sent >> 8);
  packet[7] = (uint8_t)sent;
  for (size_t at = 0; at < octets; at++) packet[HEADER + at] = (uint8_t)at;
  if (!six) {
    uint16_t sum = htons(checksum(packet, HEADER + octets));
    memcpy(packet + 2, &sum, 2);
  }
  sent_at[sent] = now();
  /* What is too large, or has no way there, is a request without an answer. */
  (void)!sendto(descriptor, packet, HEADER + octets, 0, (struct sockaddr *)&to, to_length);
}

static void receive(void) {
  static uint8_t packet[LARGEST];
  ssize_t length = recv(descriptor, packet, sizeof packet, MSG_DONTWAIT);
  ssize_t at = !six && length > 0 ? (packet[0] & 15) * 4 : 0;
  if (length < at + HEADER) return;
  const uint8_t *body = packet + at;
  int number = body[6] << 8 | body[7];
  if (body[0] != (six ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) || memcmp(body + 4, &ident, 2) != 0) return;
  if (number < 1 || number > sent || is_answered[number]) return;
  is_answered[number] = 1;
  answered++;
  total_seconds += now() - sent_at[number];
}

/* Until then, or until nothing is missing where that is enough. */
static void answers(double until, int may_end) {
  for (;;) {
    if (may_end && answered == sent) return;
    double left = until - now();
    struct timespec wait = {0};
    if (left > 0) {
      wait.tv_sec = (time_t)left;
      wait.tv_nsec = (long)((left - (double)wait.tv_sec) * 1e9);
    }
    struct pollfd one = {.fd = descriptor, .events = POLLIN};
    /* What lies there is taken also when the time is over. */
    if (ppoll(&one, 1, &wait, NULL) <= 0) return;
    receive();
  }
}

int main(int argc, char **argv) {
  if (argc != 7 && argc != 8) {
    fprintf(stderr, "usage: echo ADDRESS COUNT INTERVAL WAIT OCTETS DONT-FRAGMENT [SOURCE]\n");
    return 2;
  }
  int count = atoi(argv[2]);
  double interval = atof(argv[3]), wait = atof(argv[4]);
  size_t octets = (size_t)atol(argv[5]);
  if (count < 1 || count > MOST || octets > LARGEST - HEADER) {
    fprintf(stderr, "echo: %d requests of %zu octets\n", count, octets);
    return 2;
  }
  ident = htons((uint16_t)getpid());
  open_socket(argv[1], argc == 8 ? argv[7] : NULL, atoi(argv[6]));
  while (sent < count) {
    request(octets);
    if (sent < count) answers(sent_at[sent] + interval, 0);
  }
  answers(now() + wait, 1);
  printf("{\"sent\":%d,\"received\":%d", sent, answered);
  if (answered > 0) printf(",\"averageMilliseconds\":%.3f", total_seconds / answered * 1000);
  printf("}\n");
  return 0;
}
