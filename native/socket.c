/*
 * UDP and raw IP sockets, non-blocking, one address family each.
 */
#include "tsgw.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

struct socket_options {
  int family;
  int type;
  int protocol;
  int64_t port;
  const uint8_t *address;
  bool no_checksum;
  /** Datagrams of one sender and size may arrive merged (udp(7), UDP_GRO). */
  bool merged;
  /** Other sockets of this user may have the port, too (SO_REUSEPORT). */
  bool shared;
  /** 0 leaves the system's. */
  int64_t buffer_octets;
  int64_t mark;
};

static bool set_int(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/**
 * Queued packets are charged to the socket's buffer, also those that wait for a neighbour to
 * resolve: the buffer must hold more than one such queue (about 200 KiB) or one silent neighbour
 * would stop the sending to all others.
 */
static void set_buffers(int fd, int octets) {
  if (!set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, octets)) set_int(fd, SOL_SOCKET, SO_SNDBUF, octets);
  if (!set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, octets)) set_int(fd, SOL_SOCKET, SO_RCVBUF, octets);
}

static bool set_options(int fd, const struct socket_options *options, const char **syscall) {
  *syscall = "setsockopt";
  if (options->buffer_octets > 0) set_buffers(fd, (int)options->buffer_octets);
  if (options->mark > 0 && !set_int(fd, SOL_SOCKET, SO_MARK, (int)(uint32_t)options->mark)) {
    return false;
  }
  if (options->no_checksum && !set_int(fd, SOL_SOCKET, SO_NO_CHECK, 1)) return false;
  if (options->shared && !set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1)) return false;
  /* A kernel without it delivers them one by one. */
  if (options->merged) set_int(fd, SOL_UDP, UDP_GRO, 1);
  if (options->family == AF_INET) {
    return set_int(fd, IPPROTO_IP, IP_PKTINFO, 1) && set_int(fd, IPPROTO_IP, IP_RECVTOS, 1);
  }
  /* A raw socket counts as bound, where the kernel takes V6ONLY no more; it is IPv6 only anyway. */
  bool only = options->type == SOCK_RAW || set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  return only && set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
         set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
}

static bool bind_to(int fd, const struct socket_options *options) {
  if (options->family == AF_INET) {
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((uint16_t)options->port) };
    if (options->address != NULL) memcpy(&name.sin_addr, options->address, 4);
    return bind(fd, (struct sockaddr *)&name, sizeof name) == 0;
  }
  struct sockaddr_in6 name = { .sin6_family = AF_INET6,
                               .sin6_port = htons((uint16_t)options->port) };
  if (options->address != NULL) memcpy(&name.sin6_addr, options->address, 16);
  return bind(fd, (struct sockaddr *)&name, sizeof name) == 0;
}

static napi_value open_socket(napi_env env, const struct socket_options *options) {
  int fd = socket(options->family, options->type | SOCK_NONBLOCK | SOCK_CLOEXEC,
                  options->protocol);
  if (fd < 0) return throw_errno(env, "socket", errno);
  const char *syscall;
  bool ready = set_options(fd, options, &syscall);
  if (ready && options->type == SOCK_DGRAM) {
    syscall = "bind";
    ready = bind_to(fd, options);
  }
  if (ready) return result_integer(env, fd);
  int error = errno;
  close(fd);
  return throw_errno(env, syscall, error);
}

/** The options UDP and raw sockets share; each may be absent. */
static bool common_options(napi_env env, napi_value from, struct socket_options *options) {
  bool present;
  if (!option_present(env, from, "bufferOctets", &present) ||
      (present && !option_integer(env, from, "bufferOctets", 0, 1 << 30, &options->buffer_octets)) ||
      !option_present(env, from, "mark", &present) ||
      (present && !option_integer(env, from, "mark", 0, UINT32_MAX, &options->mark))) {
    return false;
  }
  return true;
}

static bool family_of(napi_env env, int64_t number, int *family) {
  *family = number == 4 ? AF_INET : AF_INET6;
  if (number == 4 || number == 6) return true;
  throw_range(env, "family is not 4 or 6");
  return false;
}

napi_value tsgw_udp_socket(napi_env env, napi_callback_info info) {
  napi_value from;
  int64_t family;
  bool present;
  size_t length = 0;
  struct socket_options options = { .type = SOCK_DGRAM };
  if (arguments(env, info, 1, &from) == NULL ||
      !option_integer(env, from, "family", 4, 6, &family) ||
      !family_of(env, family, &options.family) ||
      !option_integer(env, from, "port", 0, 65535, &options.port) ||
      !common_options(env, from, &options) || !option_present(env, from, "address", &present) ||
      (present && !option_octets(env, from, "address", &options.address, &length))) {
    return NULL;
  }
  if (present && length != (family == 4 ? 4 : 16)) {
    return throw_range(env, "address does not have the family's length");
  }
  if (!option_present(env, from, "noChecksum", &present) ||
      (present && !option_boolean(env, from, "noChecksum", &options.no_checksum))) {
    return NULL;
  }
  if (!option_present(env, from, "merged", &present) ||
      (present && !option_boolean(env, from, "merged", &options.merged))) {
    return NULL;
  }
  if (!option_present(env, from, "shared", &present) ||
      (present && !option_boolean(env, from, "shared", &options.shared))) {
    return NULL;
  }
  /* RFC 8200 §8.1: UDP over IPv6 carries a checksum. */
  if (options.no_checksum && family == 6) return throw_range(env, "noChecksum is for family 4");
  return open_socket(env, &options);
}

napi_value tsgw_raw_socket(napi_env env, napi_callback_info info) {
  napi_value values[3] = { NULL, NULL, NULL };
  size_t given = 3;
  int64_t family, protocol;
  struct socket_options options = { .type = SOCK_RAW };
  if (napi_get_cb_info(env, info, &given, values, NULL, NULL) != napi_ok || given < 2) {
    return throw_type(env, "arguments are missing");
  }
  if (!argument_integer(env, values[0], "family", 4, 6, &family) ||
      !family_of(env, family, &options.family) ||
      !argument_integer(env, values[1], "protocol", 1, 255, &protocol) ||
      (given > 2 && !common_options(env, values[2], &options))) {
    return NULL;
  }
  options.protocol = (int)protocol;
  return open_socket(env, &options);
}

napi_value tsgw_close(napi_env env, napi_callback_info info) {
  napi_value value;
  int fd;
  struct state *state = arguments(env, info, 1, &value);
  if (state == NULL || !argument_fd(env, value, &fd)) return NULL;
  watches_close_fd(state, fd);
  if (close(fd) != 0 && errno != EINTR) return throw_errno(env, "close", errno);
  return result_undefined(env);
}
