/*
 * Several threads share one port, one protocol and one device: which socket has which packet, by
 * filters the kernel runs, and how one thread wakes another.
 *
 * The filters look at 32 bits of a packet, the SPI of ESP (RFC 4303 §2), and know nothing else of it.
 */
#include "tsgw.h"

#include <errno.h>
#include <linux/filter.h>
#include <sys/eventfd.h>
#include <unistd.h>

/** The most threads a filter tells apart. */
enum { MOST_SHARES = 64 };
/** What a filter answers for the whole packet. */
enum { ALL_OCTETS = 0x40000 };

static bool attach(int fd, int option, struct sock_filter *code, unsigned short length) {
  struct sock_fprog program = { .len = length, .filter = code };
  return setsockopt(fd, SOL_SOCKET, option, &program, sizeof program) == 0;
}

/**
 * Of the sockets bound to one UDP port the one numbered SPI modulo `shares`, in the order they were
 * bound, has the datagram; a datagram without four octets, and an IKE message behind its marker of
 * zeros, goes to the first.
 */
napi_value tsgw_share_by_spi(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int fd;
  int64_t shares;
  if (arguments(env, info, 2, values) == NULL || !argument_fd(env, values[0], &fd) ||
      !argument_integer(env, values[1], "shares", 1, MOST_SHARES, &shares)) {
    return NULL;
  }
  struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
    BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, (uint32_t)shares),
    BPF_STMT(BPF_RET | BPF_A, 0),
  };
  if (!attach(fd, SO_ATTACH_REUSEPORT_CBPF, code, sizeof code / sizeof *code)) {
    return throw_errno(env, "SO_ATTACH_REUSEPORT_CBPF", errno);
  }
  return result_undefined(env);
}

/**
 * Every raw socket of a protocol gets every packet of it: this one keeps those whose SPI modulo
 * `shares` is `share`. Over IPv4 the header of IP is in front of the SPI.
 */
napi_value tsgw_keep_by_spi(napi_env env, napi_callback_info info) {
  napi_value values[4];
  int fd;
  int64_t family, share, shares;
  if (arguments(env, info, 4, values) == NULL || !argument_fd(env, values[0], &fd) ||
      !argument_integer(env, values[1], "family", 4, 6, &family) ||
      !argument_integer(env, values[2], "share", 0, MOST_SHARES - 1, &share) ||
      !argument_integer(env, values[3], "shares", 1, MOST_SHARES, &shares)) {
    return NULL;
  }
  struct sock_filter code[] = {
    family == 4 ? (struct sock_filter)BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0)
                : (struct sock_filter)BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 0),
    BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0),
    BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, (uint32_t)shares),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)share, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, ALL_OCTETS),
    BPF_STMT(BPF_RET | BPF_K, 0),
  };
  if (!attach(fd, SO_ATTACH_FILTER, code, sizeof code / sizeof *code)) {
    return throw_errno(env, "SO_ATTACH_FILTER", errno);
  }
  return result_undefined(env);
}

/** A descriptor that is readable from a `signal` to the next `takeSignals`. */
napi_value tsgw_event_fd(napi_env env, napi_callback_info info) {
  if (arguments(env, info, 0, NULL) == NULL) return NULL;
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return fd < 0 ? throw_errno(env, "eventfd", errno) : result_integer(env, fd);
}

napi_value tsgw_signal(napi_env env, napi_callback_info info) {
  napi_value value;
  int fd;
  if (arguments(env, info, 1, &value) == NULL || !argument_fd(env, value, &fd)) return NULL;
  /* EAGAIN: it was signalled more often than anybody counts, and is readable. */
  if (eventfd_write(fd, 1) != 0 && errno != EAGAIN) return throw_errno(env, "eventfd_write", errno);
  return result_undefined(env);
}

napi_value tsgw_take_signals(napi_env env, napi_callback_info info) {
  napi_value value;
  int fd;
  eventfd_t count;
  if (arguments(env, info, 1, &value) == NULL || !argument_fd(env, value, &fd)) return NULL;
  if (eventfd_read(fd, &count) != 0 && errno != EAGAIN) {
    return throw_errno(env, "eventfd_read", errno);
  }
  return result_undefined(env);
}
