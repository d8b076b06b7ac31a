/*
 * Preloaded into iked (OpenIKED) where the kernel has no IPsec: stands in for PF_KEY (RFC 2367).
 *
 * Every message is answered with errno 0, SPIs are handed out, there is nothing to dump. An SA
 * expires when the lab says so: a line "soft SPI" or "hard SPI" in the FIFO that PFKEY_EXPIRE
 * names becomes an SADB_EXPIRE, after which iked rekeys or deletes. The thread lives in the
 * process that opened the socket, for iked hands its end on to an unprivileged child.
 * No packet is ever protected: IKE goes its way, ESP does not.
 */
#define _GNU_SOURCE
#include <linux/pfkeyv2.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>

#include "stand-in.h"

/* SPIs below are reserved (RFC 4303 section 2.1). */
#define FIRST_SPI 256

/* How much faster iked's timers run. */
#define HASTE 10

struct event;

struct spi_answer {
  struct sadb_msg header;
  struct sadb_sa sa;
};

struct expiry {
  struct sadb_msg header;
  struct sadb_sa sa;
  struct sadb_lifetime lifetime;
};

static uint32_t random_spi(void) {
  uint32_t spi = 0;
  while (spi < FIRST_SPI) {
    (void)getrandom(&spi, sizeof spi, 0);
  }
  return spi;
}

static void answer(int fd, const struct sadb_msg *request) {
  struct spi_answer answer = {
      .header = *request,
      .sa = {.sadb_sa_len = sizeof answer.sa / 8, .sadb_sa_exttype = SADB_EXT_SA},
  };
  size_t length = sizeof answer.header;
  if (request->sadb_msg_type == SADB_GETSPI) {
    answer.sa.sadb_sa_spi = __builtin_bswap32(random_spi());
    length = sizeof answer;
  }
  if (request->sadb_msg_type == SADB_DUMP || request->sadb_msg_type == SADB_X_SPDDUMP) {
    answer.header.sadb_msg_errno = ENOENT;
  }
  answer.header.sadb_msg_len = (uint16_t)(length / 8);
  (void)send(fd, &answer, length, MSG_NOSIGNAL);
}

static void expire(int fd, const char *line) {
  char kind[5] = "";
  unsigned spi = 0;
  if (sscanf(line, "%4s %x", kind, &spi) != 2) {
    return;
  }
  struct expiry expiry = {
      .header = {.sadb_msg_version = PF_KEY_V2,
                 .sadb_msg_type = SADB_EXPIRE,
                 .sadb_msg_satype = SADB_SATYPE_ESP,
                 .sadb_msg_len = sizeof expiry / 8},
      .sa = {.sadb_sa_len = sizeof expiry.sa / 8,
             .sadb_sa_exttype = SADB_EXT_SA,
             .sadb_sa_spi = __builtin_bswap32(spi)},
      .lifetime = {.sadb_lifetime_len = sizeof expiry.lifetime / 8,
                   .sadb_lifetime_exttype = strcmp(kind, "soft") == 0 ? SADB_EXT_LIFETIME_SOFT
                                                                      : SADB_EXT_LIFETIME_HARD},
  };
  (void)send(fd, &expiry, sizeof expiry, MSG_NOSIGNAL);
}

/* Read and write: a FIFO without a writer would be at its end all the time. */
static FILE *open_expiries(void) {
  const char *path = getenv("PFKEY_EXPIRE");
  int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
  FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
  if (file != NULL) {
    setvbuf(file, NULL, _IONBF, 0);
  }
  return file;
}

static void *serve(void *argument) {
  int fd = (int)(intptr_t)argument;
  _Alignas(struct sadb_msg) char request[REQUEST_OCTETS];
  char line[32];
  FILE *expiries = open_expiries();
  struct pollfd ready[2] = {
      {.fd = fd, .events = POLLIN},
      {.fd = expiries == NULL ? -1 : fileno(expiries), .events = POLLIN},
  };
  while (poll(ready, 2, -1) >= 0) {
    if (ready[1].revents != 0 && fgets(line, sizeof line, expiries) != NULL) {
      expire(fd, line);
    }
    ssize_t octets = ready[0].revents == 0 ? -1 : recv(fd, request, sizeof request, MSG_DONTWAIT);
    if (octets == 0) {
      break;
    }
    if (octets >= (ssize_t)sizeof(struct sadb_msg)) {
      answer(fd, (const struct sadb_msg *)request);
    }
  }
  close(fd);
  return NULL;
}

int socket(int domain, int type, int protocol) {
  return domain == PF_KEY ? stand_in(type, serve)
                          : REAL(int (*)(int, int, int), "socket")(domain, type, protocol);
}

/* The IKE sockets ask for a way past the policies: there are none. */
int setsockopt(int fd, int level, int option, const void *value, socklen_t length) {
  return (level == IPPROTO_IP && option == IP_IPSEC_POLICY) ||
                 (level == IPPROTO_IPV6 && option == IPV6_IPSEC_POLICY)
             ? 0
             : REAL(int (*)(int, int, int, const void *, socklen_t),
                    "setsockopt")(fd, level, option, value, length);
}

/* iked gives the kernel a millisecond, for that answers at once; a thread may take longer. */
int poll(struct pollfd *files, nfds_t count, int timeout) {
  return REAL(int (*)(struct pollfd *, nfds_t, int), "poll")(files, count,
                                                             timeout > 0 ? 1000 : timeout);
}

/* What starts a timer in libevent. */
int event_add(struct event *event, const struct timeval *timeout) {
  struct timeval sooner = {0};
  if (timeout != NULL) {
    int64_t microseconds = ((int64_t)timeout->tv_sec * 1000000 + timeout->tv_usec) / HASTE;
    sooner = (struct timeval){microseconds / 1000000, microseconds % 1000000};
  }
  return REAL(int (*)(struct event *, const struct timeval *), "event_add")(
      event, timeout == NULL ? NULL : &sooner);
}
