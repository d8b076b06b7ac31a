/*
 * The native layer of tsgw: system calls and ciphers in batches.
 *
 * It parses no packet. TypeScript names octets by descriptor rows; every offset and length is
 * checked against the registered memory before it is used, and a bad row gets STATUS -EINVAL.
 * All state hangs off one `struct state` per JavaScript environment (main thread or worker):
 * there is no global mutable state and no lock.
 */
#ifndef TSGW_H
#define TSGW_H

#include <netinet/in.h>
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* --- Descriptor rows: the mirror of src/esp/batch.ts, compared by a test through `layout`. --- */

enum word {
  WORD_OFFSET = 0,
  WORD_LENGTH = 1,
  WORD_CONTEXT = 2,
  WORD_STATUS = 3,
  WORD_SEQUENCE_HIGH = 4,
  WORD_PATH = 5,
  WORD_TOS = 6,
  WORD_FLAGS = 7,
  WORD_SA = 8,
  WORD_DROP = 9,
  WORD_INNER = 10,
  WORD_SOURCE = 11,
  WORD_SOURCE_LENGTH = 12,
  WORD_COPY_TO = 13,
  WORD_SUM_FROM = 14,
  WORD_SUM_AT = 15,
  WORD_SEGMENT = 16,
  WORD_ORIGIN = 17,
  WORD_NEXT = 18,
  WORD_SUM = 19,
  WORDS = 20
};

enum { STATUS_OK = 0, STATUS_BAD_ICV = 1 };
enum { FLAG_DF = 1, FLAG_SUM = 2 };
/** In DROP: the row's octets go with the write of another (`WORD_NEXT`). */
enum { DROP_JOINED = -3 };
/** In PATH: no path, and the packet leaves by itself to the destination in its origin. */
enum { NONE = -1, PATH_OF_ORIGIN = -2 };

enum origin {
  ORIGIN_FAMILY = 0,
  ORIGIN_PORT = 2,
  ORIGIN_INTERFACE = 4,
  ORIGIN_SOURCE = 8,
  ORIGIN_DESTINATION = 24,
  ORIGIN_OCTETS = 48
};

/** Messages of one recvmmsg or sendmmsg. */
enum { BURST = 64 };
/** Room for packet information, TOS and segment size of one message. */
enum { CONTROL_OCTETS = 128 };
/** Pieces of all writes of one burst. */
enum { PIECES = 1024 };
/** Of the virtio-net header in front of a packet of a TUN device that has one. */
enum { VNET_HEADER_OCTETS = 10 };

/* --- Handles: numbers that name what this environment made. --- */

/** A growing table of pointers. A number carries a generation, so a stale one names nothing. */
struct handles {
  struct handle_slot *slots;
  uint32_t size;
  uint32_t free_head;
};

int32_t handles_add(struct handles *table, void *item);
void *handles_at(const struct handles *table, int32_t handle);
void *handles_remove(struct handles *table, int32_t handle);
/** Calls `each` for every item and frees the table. */
void handles_clear(struct handles *table, void (*each)(void *item, void *with), void *with);
/** The next item at or after slot `*at`, moving `*at` past it; NULL at the end. */
void *handles_next(const struct handles *table, uint32_t *at);

/* --- One environment. --- */

struct ipsec_mb;
struct message_scratch;
struct ring;
struct uv_loop_s;

struct state {
  napi_env env;
  struct uv_loop_s *loop;
  napi_async_cleanup_hook_handle cleanup;
  struct handles batches;
  struct handles contexts;
  struct handles paths;
  struct handles watches;
  /** Watches whose uv handle is not closed yet. */
  uint32_t open_watches;
  bool tearing_down;
  struct message_scratch *scratch;
  /** NULL where the kernel gives none; asked for once. */
  struct ring *ring;
  bool ring_asked;
  /** A device refused segmentation: each datagram is a message again. */
  bool segmentation_refused;
  /** NULL until a context or somebody asks for it. */
  struct ipsec_mb *ipsec_mb;
  /** Random octets for CBC IVs, drawn many packets at a time. */
  uint8_t iv_pool[2048];
  size_t iv_left;
};

/* --- Batches. --- */

struct batch {
  uint8_t *arena;
  size_t arena_length;
  int32_t *words;
  uint8_t *origins;
  uint32_t rows;
  napi_env env;
  /** Keeps arena, words and origins alive. */
  napi_ref references[3];
};

/** A row's words as they were at one moment: another thread may write them at any time. */
struct row {
  int32_t *words;
  uint8_t *packet;
  size_t length;
};

static inline int32_t row_word(const struct row *row, enum word word) {
  return __atomic_load_n(&row->words[word], __ATOMIC_RELAXED);
}

static inline void row_set(const struct row *row, enum word word, int32_t value) {
  __atomic_store_n(&row->words[word], value, __ATOMIC_RELAXED);
}

/** The row, with its packet inside the arena; answers false when the words point outside. */
static inline bool batch_row(const struct batch *batch, uint32_t index, struct row *row) {
  row->words = batch->words + (size_t)index * WORDS;
  int32_t offset = row_word(row, WORD_OFFSET);
  int32_t length = row_word(row, WORD_LENGTH);
  if (offset < 0 || length < 0) return false;
  if ((size_t)offset > batch->arena_length) return false;
  if ((size_t)length > batch->arena_length - (size_t)offset) return false;
  row->packet = batch->arena + offset;
  row->length = (size_t)length;
  return true;
}

/** Whether `length` octets at `offset` lie inside the arena. */
static inline bool batch_holds(const struct batch *batch, int32_t offset, size_t length) {
  return offset >= 0 && (size_t)offset <= batch->arena_length &&
         length <= batch->arena_length - (size_t)offset;
}

/** Rows `first` to `end` (not included) of a batch, as the three arguments from `at` name them. */
struct rows {
  struct batch *batch;
  uint32_t first;
  uint32_t end;
};

/* --- Arguments: each answers false with an exception pending. --- */

/** Reads exactly `count` arguments; answers the environment's state or NULL. */
struct state *arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values);
bool argument_integer(napi_env env, napi_value value, const char *name, int64_t least, int64_t most,
                      int64_t *out);
bool argument_fd(napi_env env, napi_value value, int *fd);
bool argument_octets(napi_env env, napi_value value, const char *name, const uint8_t **octets,
                     size_t *length);
bool argument_rows(struct state *state, const napi_value *values, struct rows *rows);

bool option_integer(napi_env env, napi_value options, const char *name, int64_t least, int64_t most,
                    int64_t *out);
bool option_boolean(napi_env env, napi_value options, const char *name, bool *out);
bool option_string(napi_env env, napi_value options, const char *name, char *out, size_t size);
bool option_octets(napi_env env, napi_value options, const char *name, const uint8_t **octets,
                   size_t *length);
/** Whether the option is there; reading it is the caller's next step. */
bool option_present(napi_env env, napi_value options, const char *name, bool *present);

napi_value result_integer(napi_env env, int64_t value);
napi_value result_undefined(napi_env env);

/** Throw, and answer NULL. */
napi_value throw_errno(napi_env env, const char *syscall, int error);
napi_value throw_range(napi_env env, const char *what);
napi_value throw_type(napi_env env, const char *what);

/* --- Octets. --- */

/** RFC 1071 sum in network order, folded to 16 bits and not complemented. */
uint32_t octet_sum(const uint8_t *octets, size_t length);

/* --- Scratch of recvmmsg and sendmmsg. --- */

struct message_scratch {
  struct mmsghdr messages[BURST];
  struct iovec vectors[BURST];
  struct sockaddr_storage names[BURST];
  /** The first row of each message, how many follow it in the same message, and their size. */
  uint32_t rows[BURST];
  uint32_t counts[BURST];
  uint32_t segments[BURST];
  _Alignas(16) uint8_t controls[BURST][CONTROL_OCTETS];
};

/* --- Writes of a batch in one system call. --- */

/** What became of write `number`: octets written, or a negative errno. */
typedef void (*ring_done)(uint32_t number, int result, void *with);

struct iovec;

/** NULL where io_uring is not to be had. */
struct ring *ring_open(void);
void ring_close(struct ring *ring);
bool ring_full(const struct ring *ring);
/** Prepares a write of the pieces, which stay where they are; the ring must not be full. */
void ring_write(struct ring *ring, int fd, const struct iovec *pieces, unsigned count,
                uint32_t number);
/** Performs what is prepared and reports each; a negative errno when the ring itself failed. */
int ring_submit(struct ring *ring, ring_done done, void *with);

/* --- Paths. --- */

/** Packet information of IPv6, the larger one, and TOS, as control messages. */
enum { PATH_CONTROL_OCTETS = CMSG_SPACE(20) + CMSG_SPACE(sizeof(int)) };

/** Outer addresses of an SA, ready for sendmsg: thousands of them, so of no more than they need. */
struct path {
  int fd;
  uint8_t family;
  /** Of a UDP socket: several datagrams of one size may leave as one message. */
  bool udp;
  uint8_t name_length;
  uint8_t control_without_tos;
  uint8_t control_with_tos;
  uint8_t tos_at;
  union {
    struct sockaddr_in four;
    struct sockaddr_in6 six;
  } name;
  /** Packet information (perhaps none), then TOS; the last is left out when TOS is zero. */
  _Alignas(size_t) uint8_t control[PATH_CONTROL_OCTETS];
};

/* --- The functions of the addon, one file each group. --- */

void batch_free(struct batch *batch);
void context_wipe(void *context);
void ipsec_mb_free(struct ipsec_mb *mb);
/** Closes every watch on the descriptor. */
void watches_close_fd(struct state *state, int fd);
void watches_close_all(struct state *state);
/** Called when the last watch of an environment that ends is closed. */
void state_release(struct state *state);

napi_value tsgw_batch(napi_env env, napi_callback_info info);
napi_value tsgw_free_batch(napi_env env, napi_callback_info info);
napi_value tsgw_context(napi_env env, napi_callback_info info);
napi_value tsgw_free_context(napi_env env, napi_callback_info info);
napi_value tsgw_back_ends(napi_env env, napi_callback_info info);
napi_value tsgw_seal(napi_env env, napi_callback_info info);
napi_value tsgw_open(napi_env env, napi_callback_info info);
napi_value tsgw_udp_socket(napi_env env, napi_callback_info info);
napi_value tsgw_raw_socket(napi_env env, napi_callback_info info);
napi_value tsgw_packet_socket(napi_env env, napi_callback_info info);
napi_value tsgw_packet_membership(napi_env env, napi_callback_info info);
napi_value tsgw_go_first(napi_env env, napi_callback_info info);
napi_value tsgw_share_by_spi(napi_env env, napi_callback_info info);
napi_value tsgw_keep_by_spi(napi_env env, napi_callback_info info);
napi_value tsgw_event_fd(napi_env env, napi_callback_info info);
napi_value tsgw_signal(napi_env env, napi_callback_info info);
napi_value tsgw_take_signals(napi_env env, napi_callback_info info);
napi_value tsgw_open_tun(napi_env env, napi_callback_info info);
napi_value tsgw_close(napi_env env, napi_callback_info info);
napi_value tsgw_path(napi_env env, napi_callback_info info);
napi_value tsgw_free_path(napi_env env, napi_callback_info info);
napi_value tsgw_receive(napi_env env, napi_callback_info info);
napi_value tsgw_send(napi_env env, napi_callback_info info);
napi_value tsgw_send_to(napi_env env, napi_callback_info info);
napi_value tsgw_send_frames(napi_env env, napi_callback_info info);
napi_value tsgw_read_tun(napi_env env, napi_callback_info info);
napi_value tsgw_write_tun(napi_env env, napi_callback_info info);
napi_value tsgw_watch(napi_env env, napi_callback_info info);
napi_value tsgw_unwatch(napi_env env, napi_callback_info info);
napi_value tsgw_netlink(napi_env env, napi_callback_info info);
napi_value tsgw_netlink_request(napi_env env, napi_callback_info info);
napi_value tsgw_netlink_drain(napi_env env, napi_callback_info info);
napi_value tsgw_checksum(napi_env env, napi_callback_info info);

#endif
