/*
 * The TUN device: one packet per read and per write, without packet information.
 */
#include "tsgw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

static napi_value tun_result(napi_env env, int fd, const char *name) {
  napi_value result, number, text;
  if (napi_create_object(env, &result) != napi_ok ||
      napi_create_int32(env, fd, &number) != napi_ok ||
      napi_create_string_utf8(env, name, strnlen(name, IFNAMSIZ), &text) != napi_ok ||
      napi_set_named_property(env, result, "fd", number) != napi_ok ||
      napi_set_named_property(env, result, "name", text) != napi_ok) {
    close(fd);
    return NULL;
  }
  return result;
}

napi_value tsgw_open_tun(napi_env env, napi_callback_info info) {
  napi_value values[2];
  char name[IFNAMSIZ];
  size_t length;
  bool vnet_header, multi_queue;
  if (arguments(env, info, 2, values) == NULL) return NULL;
  if (napi_get_value_string_utf8(env, values[0], NULL, 0, &length) != napi_ok) {
    return throw_type(env, "name is not a string");
  }
  if (length >= sizeof name) return throw_range(env, "name has more than 15 octets");
  if (napi_get_value_string_utf8(env, values[0], name, sizeof name, &length) != napi_ok ||
      !option_boolean(env, values[1], "vnetHeader", &vnet_header) ||
      !option_boolean(env, values[1], "multiQueue", &multi_queue)) {
    return NULL;
  }
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return throw_errno(env, "open /dev/net/tun", errno);
  struct ifreq request = { 0 };
  memcpy(request.ifr_name, name, sizeof name);
  int flags = IFF_TUN | IFF_NO_PI;
  if (vnet_header) flags |= IFF_VNET_HDR;
  /* A device that is there already is somebody else's; only a further queue may join it. */
  flags |= multi_queue ? IFF_MULTI_QUEUE : IFF_TUN_EXCL;
  request.ifr_flags = (short)flags;
  if (ioctl(fd, TUNSETIFF, &request) != 0) {
    int error = errno;
    close(fd);
    return throw_errno(env, "TUNSETIFF", error);
  }
  return tun_result(env, fd, request.ifr_name);
}

/** One packet; answers false when the device has none, a negative errno in `*error` when it fails. */
static bool read_packet(int fd, const struct row *row, int *error) {
  uint8_t spill;
  struct iovec vectors[2] = { { .iov_base = row->packet, .iov_len = row->length },
                              { .iov_base = &spill, .iov_len = 1 } };
  ssize_t length;
  do {
    length = readv(fd, vectors, 2);
  } while (length < 0 && errno == EINTR);
  if (length < 0) {
    if (errno != EAGAIN) *error = errno;
    return false;
  }
  /* The kernel cuts in silence: an octet past the room is how we know. */
  bool cut = (size_t)length > row->length;
  row_set(row, WORD_LENGTH, (int32_t)(cut ? row->length : (size_t)length));
  row_set(row, WORD_STATUS, cut ? -EMSGSIZE : STATUS_OK);
  return true;
}

napi_value tsgw_read_tun(napi_env env, napi_callback_info info) {
  napi_value values[4];
  struct rows rows;
  int fd, error = 0;
  struct state *state = arguments(env, info, 4, values);
  if (state == NULL || !argument_fd(env, values[0], &fd) ||
      !argument_rows(state, values + 1, &rows)) {
    return NULL;
  }
  uint32_t at = rows.first;
  for (; at < rows.end; at++) {
    struct row row;
    if (!batch_row(rows.batch, at, &row)) {
      row_set(&row, WORD_LENGTH, 0);
      row_set(&row, WORD_STATUS, -EINVAL);
    } else if (!read_packet(fd, &row, &error)) {
      break;
    }
  }
  if (error != 0 && at == rows.first) return throw_errno(env, "read", error);
  return result_integer(env, at - rows.first);
}

static int write_packet(int fd, const struct row *row) {
  ssize_t length;
  do {
    length = write(fd, row->packet, row->length);
  } while (length < 0 && errno == EINTR);
  if (length < 0) return -errno;
  return (size_t)length == row->length ? STATUS_OK : -EMSGSIZE;
}

/** The writes of one call, and how many went well. */
struct writes {
  struct rows rows;
  uint32_t written;
};

static void written(uint32_t number, int result, void *with) {
  struct writes *writes = with;
  struct row row;
  bool whole = batch_row(writes->rows.batch, number, &row) && (size_t)result == row.length;
  int status = result < 0 ? result : whole ? STATUS_OK : -EMSGSIZE;
  row_set(&row, WORD_STATUS, status);
  if (status == STATUS_OK) writes->written++;
}

static struct ring *ring_of(struct state *state) {
  if (!state->ring_asked) state->ring = ring_open();
  state->ring_asked = true;
  return state->ring;
}

/** A ring that failed is not asked again: from then on each packet is a write. */
static void submit(struct state *state, struct writes *writes) {
  if (ring_submit(state->ring, written, writes) >= 0) return;
  ring_close(state->ring);
  state->ring = NULL;
}

napi_value tsgw_write_tun(napi_env env, napi_callback_info info) {
  napi_value values[4];
  struct writes writes = { .written = 0 };
  int fd;
  struct state *state = arguments(env, info, 4, values);
  if (state == NULL || !argument_fd(env, values[0], &fd) ||
      !argument_rows(state, values + 1, &writes.rows)) {
    return NULL;
  }
  ring_of(state);
  for (uint32_t at = writes.rows.first; at < writes.rows.end; at++) {
    struct row row;
    bool inside = batch_row(writes.rows.batch, at, &row);
    if (row_word(&row, WORD_DROP) != 0) continue;
    row_set(&row, WORD_STATUS, -EINVAL);
    if (!inside || row.length == 0) continue;
    if (state->ring == NULL) {
      int status = write_packet(fd, &row);
      row_set(&row, WORD_STATUS, status);
      if (status == STATUS_OK) writes.written++;
      continue;
    }
    ring_write(state->ring, fd, &row, at);
    if (ring_full(state->ring)) submit(state, &writes);
  }
  if (state->ring != NULL) submit(state, &writes);
  return result_integer(env, writes.written);
}
