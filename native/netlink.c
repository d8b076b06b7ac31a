/*
 * Requests over netlink sockets. Of requests and answers only the message headers are looked at, to
 * know where they end and when the last one came; what they say is TypeScript's.
 */
#include "tsgw.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MILLISECONDS = 1000, RECEIVE_OCTETS = 65536, MOST_OCTETS = 64 << 20 };

struct answer {
  uint8_t *octets;
  size_t length;
  size_t size;
};

napi_value tsgw_netlink(napi_env env, napi_callback_info info) {
  napi_value values[2];
  size_t given = 2;
  int64_t groups = 0, protocol = NETLINK_ROUTE;
  int on = 1;
  if (napi_get_cb_info(env, info, &given, values, NULL, NULL) != napi_ok) {
    return throw_type(env, "arguments could not be read");
  }
  if (given > 0 && !argument_integer(env, values[0], "groups", 0, UINT32_MAX, &groups)) return NULL;
  if (given > 1 && !argument_integer(env, values[1], "protocol", 0, MAX_LINKS - 1, &protocol)) {
    return NULL;
  }
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, (int)protocol);
  if (fd < 0) return throw_errno(env, "socket", errno);
  struct sockaddr_nl name = { .nl_family = AF_NETLINK, .nl_groups = (uint32_t)groups };
  if (bind(fd, (struct sockaddr *)&name, sizeof name) != 0) {
    int error = errno;
    close(fd);
    return throw_errno(env, "bind", error);
  }
  /* Reasons in words, and dumps filtered by the kernel; old kernels have neither. */
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  return result_integer(env, fd);
}

static int64_t milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int make_room(struct answer *answer) {
  if (answer->size - answer->length >= RECEIVE_OCTETS) return 0;
  size_t size = answer->size == 0 ? RECEIVE_OCTETS : answer->size * 2;
  if (size > MOST_OCTETS) return EMSGSIZE;
  uint8_t *octets = realloc(answer->octets, size);
  if (octets == NULL) return ENOMEM;
  answer->octets = octets;
  answer->size = size;
  return make_room(answer);
}

/** Keeps the messages that answer `sequence`; answers true when the last of them is among them. */
static bool keep_answers(struct answer *answer, size_t received, uint32_t sequence) {
  uint8_t *from = answer->octets + answer->length;
  uint8_t *to = from;
  bool last = false;
  while (received >= sizeof(struct nlmsghdr)) {
    struct nlmsghdr header;
    memcpy(&header, from, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > received) break;
    size_t step = NLMSG_ALIGN(header.nlmsg_len);
    if (step > received) step = received;
    if (header.nlmsg_seq == sequence) {
      memmove(to, from, step);
      to += step;
      last = last || header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR;
    }
    from += step;
    received -= step;
  }
  answer->length = (size_t)(to - answer->octets);
  return last;
}

/** Receives until the last answer; answers 0 or an errno. */
static int collect(int fd, uint32_t sequence, struct answer *answer) {
  int64_t deadline = milliseconds() + ANSWER_MILLISECONDS;
  for (;;) {
    int error = make_room(answer);
    if (error != 0) return error;
    struct sockaddr_nl from = { 0 };
    socklen_t from_length = sizeof from;
    ssize_t received = recvfrom(fd, answer->octets + answer->length, answer->size - answer->length,
                                MSG_TRUNC, (struct sockaddr *)&from, &from_length);
    if (received >= 0) {
      if ((size_t)received > answer->size - answer->length) return EMSGSIZE;
      /* Only the kernel may answer. */
      if (from.nl_pid == 0 && keep_answers(answer, (size_t)received, sequence)) return 0;
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return errno;
    int64_t left = deadline - milliseconds();
    if (left <= 0) return ETIMEDOUT;
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    poll(&wait, 1, (int)left);
  }
}

static napi_value answer_octets(napi_env env, const struct answer *answer) {
  void *data;
  napi_value buffer, octets;
  if (napi_create_arraybuffer(env, answer->length, &data, &buffer) != napi_ok) return NULL;
  memcpy(data, answer->octets, answer->length);
  if (napi_create_typedarray(env, napi_uint8_array, answer->length, buffer, 0, &octets) !=
      napi_ok) {
    return NULL;
  }
  return octets;
}

/** True where whole messages fill the octets, each of a multiple of four but the last. */
static bool are_messages(const uint8_t *octets, size_t length) {
  for (size_t at = 0; at < length;) {
    struct nlmsghdr header;
    if (length - at < sizeof header) return false;
    memcpy(&header, octets + at, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > length - at) return false;
    size_t end = at + header.nlmsg_len;
    if (end != length && end % NLMSG_ALIGNTO != 0) return false;
    at = end;
  }
  return true;
}

/** Sends one message or a batch, whose messages all have the sequence number of the first. */
napi_value tsgw_netlink_request(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int fd;
  const uint8_t *request;
  size_t length;
  struct nlmsghdr header;
  if (arguments(env, info, 2, values) == NULL || !argument_fd(env, values[0], &fd) ||
      !argument_octets(env, values[1], "request", &request, &length)) {
    return NULL;
  }
  if (length < sizeof header) return throw_range(env, "request is shorter than a netlink header");
  memcpy(&header, request, sizeof header);
  if (!are_messages(request, length)) return throw_range(env, "request is not as long as it says");

  struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
  ssize_t sent =
    sendto(fd, request, length, 0, (const struct sockaddr *)&kernel, sizeof kernel);
  if (sent < 0) return throw_errno(env, "sendto", errno);
  struct answer answer = { 0 };
  int error = collect(fd, header.nlmsg_seq, &answer);
  napi_value result = error == 0 ? answer_octets(env, &answer) : throw_errno(env, "recvfrom", error);
  free(answer.octets);
  return result;
}

/** Takes off what waits at the socket; that something did is all it says. */
napi_value tsgw_netlink_drain(napi_env env, napi_callback_info info) {
  napi_value value;
  int fd;
  if (arguments(env, info, 1, &value) == NULL || !argument_fd(env, value, &fd)) return NULL;
  uint8_t octet;
  int64_t count = 0;
  /* ENOBUFS: more came than the socket held; it has been told, and is no reason to stop. */
  while (recv(fd, &octet, sizeof octet, MSG_DONTWAIT) >= 0 || errno == ENOBUFS || errno == EINTR) {
    count++;
  }
  if (errno != EAGAIN) return throw_errno(env, "recv", errno);
  return result_integer(env, count);
}
