/*
 * The TUN device, without packet information: one packet per read and per write, or with a virtio-net
 * header in front a super-packet that whoever reads it cuts (linux/virtio_net.h).
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

/** Of kernel 6.2; headers of older ones do not have them. */
enum { USO4 = 0x20, USO6 = 0x40 };

/** The super-packets a device takes and gives: of TCP, and where the kernel knows them of UDP. */
static bool set_offloads(int fd, bool *udp) {
  const unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  *udp = ioctl(fd, TUNSETOFFLOAD, tcp | USO4 | USO6) == 0;
  return *udp || ioctl(fd, TUNSETOFFLOAD, tcp) == 0;
}

static napi_value tun_result(napi_env env, int fd, const char *name, bool udp) {
  napi_value result, number, text, segments;
  if (napi_create_object(env, &result) != napi_ok ||
      napi_create_int32(env, fd, &number) != napi_ok ||
      napi_create_string_utf8(env, name, strnlen(name, IFNAMSIZ), &text) != napi_ok ||
      napi_set_named_property(env, result, "fd", number) != napi_ok ||
      napi_set_named_property(env, result, "name", text) != napi_ok ||
      napi_get_boolean(env, udp, &segments) != napi_ok ||
      napi_set_named_property(env, result, "udpSegments", segments) != napi_ok) {
    close(fd);
    return NULL;
  }
  return result;
}

napi_value tsgw_open_tun(napi_env env, napi_callback_info info) {
  napi_value values[2];
  char name[IFNAMSIZ];
  size_t length;
  bool vnet_header, multi_queue, further;
  if (arguments(env, info, 2, values) == NULL) return NULL;
  if (napi_get_value_string_utf8(env, values[0], NULL, 0, &length) != napi_ok) {
    return throw_type(env, "name is not a string");
  }
  if (length >= sizeof name) return throw_range(env, "name has more than 15 octets");
  if (napi_get_value_string_utf8(env, values[0], name, sizeof name, &length) != napi_ok ||
      !option_boolean(env, values[1], "vnetHeader", &vnet_header) ||
      !option_boolean(env, values[1], "multiQueue", &multi_queue) ||
      !option_boolean(env, values[1], "further", &further)) {
    return NULL;
  }
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return throw_errno(env, "open /dev/net/tun", errno);
  struct ifreq request = { 0 };
  memcpy(request.ifr_name, name, sizeof name);
  int flags = IFF_TUN | IFF_NO_PI;
  if (vnet_header) flags |= IFF_VNET_HDR;
  /* A device that is there already is somebody else's; only a further queue may join it. */
  if (multi_queue) flags |= IFF_MULTI_QUEUE;
  if (!further) flags |= IFF_TUN_EXCL;
  request.ifr_flags = (short)flags;
  if (ioctl(fd, TUNSETIFF, &request) != 0) {
    int error = errno;
    close(fd);
    return throw_errno(env, "TUNSETIFF", error);
  }
  bool udp = false;
  if (vnet_header && !set_offloads(fd, &udp)) {
    int error = errno;
    close(fd);
    return throw_errno(env, "TUNSETOFFLOAD", error);
  }
  return tun_result(env, fd, request.ifr_name, udp);
}

/** Octets in front of each packet, as the device was opened: 0 or those of the header. */
static bool argument_header(napi_env env, napi_value value, size_t *header) {
  int64_t octets;
  if (!argument_integer(env, value, "header", 0, VNET_HEADER_OCTETS, &octets)) return false;
  *header = (size_t)octets;
  if (octets == 0 || octets == VNET_HEADER_OCTETS) return true;
  throw_range(env, "header is not 0 or 10");
  return false;
}

/** Whether there is room for the header in front of the packet. */
static bool fits_header(const struct batch *batch, const struct row *row, size_t header) {
  return (size_t)(row->packet - batch->arena) >= header;
}

/** One packet; answers false when the device has none, a negative errno in `*error` when it fails. */
static bool read_packet(int fd, const struct row *row, size_t header, int *error) {
  uint8_t spill;
  struct iovec vectors[2] = {
    { .iov_base = row->packet - header, .iov_len = header + row->length },
    { .iov_base = &spill, .iov_len = 1 },
  };
  ssize_t length;
  do {
    length = readv(fd, vectors, 2);
  } while (length < 0 && errno == EINTR);
  if (length < 0) {
    if (errno != EAGAIN) *error = errno;
    return false;
  }
  size_t octets = (size_t)length < header ? 0 : (size_t)length - header;
  /* The kernel cuts in silence: an octet past the room is how we know. */
  bool cut = octets > row->length;
  row_set(row, WORD_LENGTH, (int32_t)(cut ? row->length : octets));
  row_set(row, WORD_STATUS, cut ? -EMSGSIZE : STATUS_OK);
  return true;
}

napi_value tsgw_read_tun(napi_env env, napi_callback_info info) {
  napi_value values[6];
  struct rows rows;
  size_t header;
  int64_t most;
  int fd, error = 0;
  struct state *state = arguments(env, info, 6, values);
  if (state == NULL || !argument_fd(env, values[0], &fd) ||
      !argument_rows(state, values + 1, &rows) || !argument_header(env, values[4], &header) ||
      !argument_integer(env, values[5], "octets", 0, INT32_MAX, &most)) {
    return NULL;
  }
  uint32_t at = rows.first;
  for (int64_t octets = 0; at < rows.end && octets <= most; at++) {
    struct row row;
    if (!batch_row(rows.batch, at, &row) || !fits_header(rows.batch, &row, header)) {
      row_set(&row, WORD_LENGTH, 0);
      row_set(&row, WORD_STATUS, -EINVAL);
    } else if (!read_packet(fd, &row, header, &error)) {
      break;
    } else {
      octets += row_word(&row, WORD_LENGTH);
    }
  }
  if (error != 0 && at == rows.first) return throw_errno(env, "read", error);
  return result_integer(env, at - rows.first);
}

/** The writes of one burst: the row that begins each, and its pieces. */
struct writes {
  struct rows rows;
  struct iovec pieces[PIECES];
  unsigned used;
  struct {
    uint32_t row;
    unsigned first;
    unsigned count;
    size_t length;
  } each[BURST];
  unsigned count;
  uint32_t written;
};

/**
 * The pieces of the write that row `number` begins: its packet with the header in front, then the
 * octets of the rows it leads to. Answers false when one of them is no row, or there are too many.
 */
static bool collect(struct writes *writes, uint32_t number, size_t header) {
  struct row row;
  unsigned first = writes->used;
  size_t length = header;
  for (uint32_t at = number;;) {
    bool begins = writes->used == first;
    if (at >= writes->rows.end || writes->used == PIECES) break;
    if (!batch_row(writes->rows.batch, at, &row) || row.length == 0) break;
    if (begins && !fits_header(writes->rows.batch, &row, header)) break;
    writes->pieces[writes->used++] = (struct iovec){
      .iov_base = begins ? row.packet - header : row.packet,
      .iov_len = begins ? header + row.length : row.length,
    };
    length += row.length;
    int32_t further = row_word(&row, WORD_NEXT);
    if (further < 0 || further > (int32_t)(writes->rows.end - at)) break;
    at += (uint32_t)further;
    if (further > 0) continue;
    writes->each[writes->count].row = number;
    writes->each[writes->count].first = first;
    writes->each[writes->count].count = writes->used - first;
    writes->each[writes->count++].length = length;
    return true;
  }
  writes->used = first;
  return false;
}

static void written(uint32_t number, int result, void *with) {
  struct writes *writes = with;
  uint32_t at = writes->each[number].row;
  struct row row = { .words = writes->rows.batch->words + (size_t)at * WORDS };
  bool whole = result >= 0 && (size_t)result == writes->each[number].length;
  row_set(&row, WORD_STATUS, result < 0 ? result : whole ? STATUS_OK : -EMSGSIZE);
  if (whole) writes->written++;
}

static struct ring *ring_of(struct state *state) {
  if (!state->ring_asked) state->ring = ring_open();
  state->ring_asked = true;
  return state->ring;
}

static void write_apart(int fd, struct writes *writes) {
  for (unsigned at = 0; at < writes->count; at++) {
    const struct iovec *pieces = writes->pieces + writes->each[at].first;
    ssize_t length;
    do {
      length = writev(fd, pieces, (int)writes->each[at].count);
    } while (length < 0 && errno == EINTR);
    written(at, length < 0 ? -errno : (int)length, writes);
  }
}

/** Performs what is collected. A ring that failed is not asked again: then each is a call. */
static void perform(struct state *state, int fd, struct writes *writes) {
  if (writes->count == 0) return;
  struct ring *ring = writes->count == 1 ? NULL : ring_of(state);
  if (ring == NULL) {
    write_apart(fd, writes);
  } else {
    for (unsigned at = 0; at < writes->count; at++) {
      ring_write(ring, fd, writes->pieces + writes->each[at].first, writes->each[at].count, at);
    }
    if (ring_submit(ring, written, writes) < 0) {
      ring_close(ring);
      state->ring = NULL;
    }
  }
  writes->count = 0;
  writes->used = 0;
}

napi_value tsgw_write_tun(napi_env env, napi_callback_info info) {
  napi_value values[5];
  struct writes writes;
  size_t header;
  int fd;
  struct state *state = arguments(env, info, 5, values);
  if (state == NULL || !argument_fd(env, values[0], &fd) ||
      !argument_rows(state, values + 1, &writes.rows) ||
      !argument_header(env, values[4], &header)) {
    return NULL;
  }
  writes.used = writes.count = writes.written = 0;
  for (uint32_t at = writes.rows.first; at < writes.rows.end; at++) {
    struct row row = { .words = writes.rows.batch->words + (size_t)at * WORDS };
    if (row_word(&row, WORD_DROP) != 0) continue;
    row_set(&row, WORD_STATUS, -EINVAL);
    if (writes.count == BURST) perform(state, fd, &writes);
    if (collect(&writes, at, header) || writes.count == 0) continue;
    /* The pieces may have been too many for this burst: the next one has room for all of them. */
    perform(state, fd, &writes);
    collect(&writes, at, header);
  }
  perform(state, fd, &writes);
  return result_integer(env, writes.written);
}
