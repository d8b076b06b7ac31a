/*
 * Packet sockets: whole frames of one interface and one EtherType (packet(7)). What is in a frame, and which
 * of them a filter leaves, TypeScript says.
 */
#include "tsgw.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <string.h>
#include <unistd.h>

/** Instructions of a filter; the kernel takes no more than 4096. */
enum { MOST_INSTRUCTIONS = 64, HARDWARE_OCTETS = 6 };

static bool set_filter(int fd, const uint8_t *octets, size_t length) {
  struct sock_filter code[MOST_INSTRUCTIONS];
  memcpy(code, octets, length);
  struct sock_fprog program = { .len = (unsigned short)(length / sizeof *code), .filter = code };
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

struct packet_options {
  int64_t interface;
  int64_t ether_type;
  const uint8_t *filter;
  size_t filter_length;
};

/** Bound only once it is filtered: nothing else is ever in its queue. */
static bool prepare_socket(int fd, const struct packet_options *options, const char **syscall) {
  int one = 1;
  struct sockaddr_ll name = { .sll_family = AF_PACKET,
                              .sll_protocol = htons((uint16_t)options->ether_type),
                              .sll_ifindex = (int)options->interface };
  *syscall = "setsockopt";
  if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) != 0) return false;
  if (options->filter != NULL && !set_filter(fd, options->filter, options->filter_length)) {
    return false;
  }
  *syscall = "bind";
  return bind(fd, (struct sockaddr *)&name, sizeof name) == 0;
}

napi_value tsgw_packet_socket(napi_env env, napi_callback_info info) {
  napi_value from;
  bool present;
  struct packet_options options = { 0 };
  if (arguments(env, info, 1, &from) == NULL ||
      !option_integer(env, from, "interfaceIndex", 1, INT32_MAX, &options.interface) ||
      !option_integer(env, from, "etherType", 0x600, 0xffff, &options.ether_type) ||
      !option_present(env, from, "filter", &present) ||
      (present &&
       !option_octets(env, from, "filter", &options.filter, &options.filter_length))) {
    return NULL;
  }
  if (present && (options.filter_length == 0 ||
                  options.filter_length % sizeof(struct sock_filter) != 0 ||
                  options.filter_length > MOST_INSTRUCTIONS * sizeof(struct sock_filter))) {
    return throw_range(env, "filter is not 1 to 64 instructions of 8 octets");
  }
  /* Protocol 0: it hears nothing before it is bound. */
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return throw_errno(env, "socket", errno);
  const char *syscall;
  if (prepare_socket(fd, &options, &syscall)) return result_integer(env, fd);
  int error = errno;
  close(fd);
  return throw_errno(env, syscall, error);
}

/** The interface takes, or takes no longer, frames to a hardware address besides its own. */
napi_value tsgw_packet_membership(napi_env env, napi_callback_info info) {
  napi_value values[4];
  int fd;
  int64_t interface;
  const uint8_t *address;
  size_t length;
  bool join;
  if (arguments(env, info, 4, values) == NULL || !argument_fd(env, values[0], &fd) ||
      !argument_integer(env, values[1], "interfaceIndex", 1, INT32_MAX, &interface) ||
      !argument_octets(env, values[2], "hardwareAddress", &address, &length)) {
    return NULL;
  }
  if (length != HARDWARE_OCTETS) return throw_range(env, "hardwareAddress has not 6 octets");
  if (napi_get_value_bool(env, values[3], &join) != napi_ok) {
    return throw_type(env, "join is not a boolean");
  }
  struct packet_mreq request = {
    .mr_ifindex = (int)interface,
    .mr_type = (address[0] & 1) != 0 ? PACKET_MR_MULTICAST : PACKET_MR_UNICAST,
    .mr_alen = HARDWARE_OCTETS,
  };
  memcpy(request.mr_address, address, HARDWARE_OCTETS);
  int option = join ? PACKET_ADD_MEMBERSHIP : PACKET_DROP_MEMBERSHIP;
  if (setsockopt(fd, SOL_PACKET, option, &request, sizeof request) != 0) {
    return throw_errno(env, "setsockopt", errno);
  }
  return result_undefined(env);
}
