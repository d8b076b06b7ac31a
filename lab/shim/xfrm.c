/*
 * Preloaded into pluto (libreswan) where the kernel has no IPsec: stands in for NETLINK_XFRM.
 *
 * Every request is acknowledged (include/uapi/linux/xfrm.h), SPIs are handed out, no policy is
 * known, and an SA that is asked for exists and carried nothing. No packet is ever protected:
 * IKE goes its way, ESP does not.
 */
#define _GNU_SOURCE
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <string.h>
#include <sys/random.h>

#include "stand-in.h"

struct acknowledgement {
  struct nlmsghdr header;
  struct nlmsgerr body;
};

struct sa_answer {
  struct nlmsghdr header;
  struct xfrm_usersa_info body;
};

static void acknowledge(int fd, const struct nlmsghdr *request, int error) {
  struct acknowledgement answer = {
      .header = {.nlmsg_len = sizeof answer,
                 .nlmsg_type = NLMSG_ERROR,
                 .nlmsg_seq = request->nlmsg_seq},
      .body = {.error = -error, .msg = *request},
  };
  (void)send(fd, &answer, sizeof answer, MSG_NOSIGNAL);
}

static void describe(int fd, const struct nlmsghdr *request, const struct xfrm_usersa_info *sa) {
  struct sa_answer answer = {
      .header = {.nlmsg_len = sizeof answer,
                 .nlmsg_type = XFRM_MSG_NEWSA,
                 .nlmsg_seq = request->nlmsg_seq},
      .body = *sa,
  };
  (void)send(fd, &answer, sizeof answer, MSG_NOSIGNAL);
}

static uint32_t random_between(uint32_t least, uint32_t most) {
  uint32_t number = 0;
  (void)getrandom(&number, sizeof number, 0);
  uint64_t count = most < least ? 1 : (uint64_t)most - least + 1;
  return (uint32_t)(least + number % count);
}

static void answer(int fd, const struct nlmsghdr *request, size_t octets) {
  const void *body = NLMSG_DATA(request);
  size_t length = octets - NLMSG_HDRLEN;
  struct xfrm_usersa_info sa = {0};
  if (request->nlmsg_type == XFRM_MSG_ALLOCSPI && length >= sizeof(struct xfrm_userspi_info)) {
    const struct xfrm_userspi_info *wanted = body;
    sa = wanted->info;
    sa.id.spi = __builtin_bswap32(random_between(wanted->min, wanted->max));
    describe(fd, request, &sa);
  } else if (request->nlmsg_type == XFRM_MSG_GETSA && length >= sizeof(struct xfrm_usersa_id)) {
    const struct xfrm_usersa_id *wanted = body;
    sa.id = (struct xfrm_id){wanted->daddr, wanted->spi, wanted->proto};
    sa.family = wanted->family;
    describe(fd, request, &sa);
  } else {
    acknowledge(fd, request, request->nlmsg_type == XFRM_MSG_GETPOLICY ? ENOENT : 0);
  }
}

static void *serve(void *argument) {
  int fd = (int)(intptr_t)argument;
  _Alignas(struct nlmsghdr) char request[REQUEST_OCTETS];
  for (;;) {
    ssize_t octets = recv(fd, request, sizeof request, 0);
    if (octets <= 0) {
      close(fd);
      return NULL;
    }
    if (octets >= (ssize_t)NLMSG_HDRLEN) {
      answer(fd, (const struct nlmsghdr *)request, (size_t)octets);
    }
  }
}

int socket(int domain, int type, int protocol) {
  return domain == AF_NETLINK && protocol == NETLINK_XFRM
             ? stand_in(type, serve)
             : REAL(int (*)(int, int, int), "socket")(domain, type, protocol);
}

/* The stand-in needs no address. */
int bind(int fd, const struct sockaddr *address, socklen_t length) {
  int domain = 0;
  socklen_t size = sizeof domain;
  (void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
  return domain == AF_UNIX && address->sa_family == AF_NETLINK
             ? 0
             : REAL(int (*)(int, const struct sockaddr *, socklen_t), "bind")(fd, address, length);
}

/* A socket pair names no sender; pluto believes only what comes from the kernel, port id 0. */
ssize_t recvfrom(int fd, void *octets, size_t length, int flags, struct sockaddr *from,
                 socklen_t *size) {
  socklen_t room = size == NULL ? 0 : *size;
  ssize_t received =
      REAL(ssize_t (*)(int, void *, size_t, int, struct sockaddr *, socklen_t *), "recvfrom")(
          fd, octets, length, flags, from, size);
  if (received >= 0 && from != NULL && *size == 0 && room >= sizeof(struct sockaddr_nl)) {
    memset(from, 0, sizeof(struct sockaddr_nl));
    from->sa_family = AF_NETLINK;
    *size = sizeof(struct sockaddr_nl);
  }
  return received;
}
