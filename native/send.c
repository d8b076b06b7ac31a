/*
 * Sending the packets of a batch with sendmmsg, datagrams of one size that follow one another as one
 * message for the kernel or the device to cut (udp(7), UDP_SEGMENT). Nothing here blocks, and what goes wrong with one
 * packet costs that packet only.
 */
#include "tsgw.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

/** Consecutive packets that leave by one socket with one setting of DF. */
struct run {
  int fd;
  uint8_t family;
  bool df;
  unsigned count;
};

/** Datagrams of one message (UDP_MAX_SEGMENTS of every kernel that segments), and their octets. */
enum { MOST_SEGMENTS = 64, MOST_SEGMENTED_OCTETS = 65000 };

/** Which socket's path MTU discovery this call has set, so that it is asked and set rarely. */
struct discovery {
  int fd;
  int mode;
};

static void add_message(struct state *state, struct run *run, const struct path *path,
                        const struct row *row, uint32_t number) {
  struct message_scratch *scratch = state->scratch;
  unsigned at = run->count++;
  int tos = row_word(row, WORD_TOS) & 0xff;
  size_t control_length = tos == 0 ? path->control_without_tos : path->control_with_tos;
  if (control_length > 0) {
    memcpy(scratch->controls[at], path->control, control_length);
    if (tos != 0) memcpy(scratch->controls[at] + path->tos_at, &tos, sizeof tos);
  }
  scratch->rows[at] = number;
  scratch->counts[at] = 1;
  scratch->segments[at] = (uint32_t)row->length;
  scratch->vectors[at] = (struct iovec){ .iov_base = row->packet, .iov_len = row->length };
  scratch->messages[at].msg_hdr = (struct msghdr){
    .msg_name = (void *)(uintptr_t)&path->name,
    .msg_namelen = path->name_length,
    .msg_iov = &scratch->vectors[at],
    .msg_iovlen = 1,
    .msg_control = control_length > 0 ? scratch->controls[at] : NULL,
    .msg_controllen = control_length,
  };
}

/**
 * Adds the row to the message before it where the kernel can cut both apart again: the same path and
 * class, octets that follow one another, all of one size but a last one that may be shorter.
 */
static bool extend_message(struct state *state, const struct run *run, const struct path *path,
                           const struct row *row, uint32_t number) {
  struct message_scratch *scratch = state->scratch;
  if (run->count == 0 || !path->udp || state->segmentation_refused) return false;
  unsigned at = run->count - 1;
  struct iovec *vector = &scratch->vectors[at];
  uint32_t segment = scratch->segments[at];
  uint32_t count = scratch->counts[at];
  if (scratch->messages[at].msg_hdr.msg_name != (const void *)&path->name) return false;
  if (scratch->rows[at] + count != number || count == MOST_SEGMENTS) return false;
  if ((uint8_t *)vector->iov_base + vector->iov_len != row->packet) return false;
  if (vector->iov_len != (size_t)segment * count || row->length > segment) return false;
  if (row->length == 0 || vector->iov_len + row->length > MOST_SEGMENTED_OCTETS) return false;
  size_t control_length = scratch->messages[at].msg_hdr.msg_controllen;
  int tos = row_word(row, WORD_TOS) & 0xff;
  int before = 0;
  if (control_length == path->control_with_tos) {
    memcpy(&before, scratch->controls[at] + path->tos_at, sizeof before);
  }
  if (tos != before) return false;
  vector->iov_len += row->length;
  scratch->counts[at]++;
  return true;
}

/** Tells the kernel where to cut the messages that hold several datagrams. */
static void write_segments(struct message_scratch *scratch, const struct run *run) {
  for (unsigned at = 0; at < run->count; at++) {
    if (scratch->counts[at] == 1) continue;
    struct msghdr *header = &scratch->messages[at].msg_hdr;
    uint16_t segment = (uint16_t)scratch->segments[at];
    struct cmsghdr control = {
      .cmsg_len = CMSG_LEN(sizeof segment), .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT
    };
    uint8_t *to = scratch->controls[at] + header->msg_controllen;
    memcpy(to, &control, sizeof control);
    memcpy(to + CMSG_LEN(0), &segment, sizeof segment);
    header->msg_control = scratch->controls[at];
    header->msg_controllen += CMSG_SPACE(sizeof segment);
  }
}

/**
 * Sets DF on what the socket sends from now on, or lets the kernel fragment. PROBE sets DF and does
 * not apply the kernel's own idea of the path MTU: ours stands in the SA.
 *
 * Another thread may send by the same socket and switch it too, so the kernel is asked once per
 * call; that the other thread switches between this and the send costs one packet its DF bit.
 */
static void set_discovery(struct discovery *known, const struct run *run) {
  int level = run->family == 4 ? IPPROTO_IP : IPPROTO_IPV6;
  int name = run->family == 4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER;
  int wanted = run->family == 4 ? (run->df ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT)
                                : (run->df ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_DONT);
  socklen_t size = sizeof known->mode;
  if (known->fd != run->fd) {
    known->fd = run->fd;
    if (getsockopt(run->fd, level, name, &known->mode, &size) != 0) known->mode = -1;
  }
  if (known->mode == wanted) return;
  if (setsockopt(run->fd, level, name, &wanted, sizeof wanted) == 0) known->mode = wanted;
}

static void set_status(struct batch *batch, uint32_t number, int status) {
  struct row row = { .words = batch->words + (size_t)number * WORDS };
  row_set(&row, WORD_STATUS, status);
}

/** One message's datagrams, each a message of its own. */
static unsigned send_apart(struct state *state, struct batch *batch, const struct run *run,
                           unsigned at) {
  struct message_scratch *scratch = state->scratch;
  struct msghdr header = scratch->messages[at].msg_hdr;
  header.msg_controllen -= CMSG_SPACE(sizeof(uint16_t));
  if (header.msg_controllen == 0) header.msg_control = NULL;
  const struct iovec whole = scratch->vectors[at];
  struct iovec piece;
  header.msg_iov = &piece;
  unsigned sent = 0;
  for (uint32_t each = 0; each < scratch->counts[at]; each++) {
    size_t start = (size_t)each * scratch->segments[at];
    size_t rest = whole.iov_len - start;
    piece.iov_base = (uint8_t *)whole.iov_base + start;
    piece.iov_len = rest < scratch->segments[at] ? rest : scratch->segments[at];
    ssize_t done;
    do {
      done = sendmsg(run->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (done < 0 && errno == EINTR);
    set_status(batch, scratch->rows[at] + each, done < 0 ? -errno : STATUS_OK);
    if (done >= 0) sent++;
  }
  return sent;
}

/** Every row of the message has the same fate. */
static unsigned settle_message(const struct message_scratch *scratch, struct batch *batch,
                               unsigned at, int status) {
  for (uint32_t each = 0; each < scratch->counts[at]; each++) {
    set_status(batch, scratch->rows[at] + each, status);
  }
  return status == STATUS_OK ? scratch->counts[at] : 0;
}

/**
 * A message of several datagrams that was refused: EIO, the device or the way to it does not segment,
 * and never will; EINVAL and EMSGSIZE, a datagram is larger than the way allows, which shows with
 * each of them alone.
 */
static bool was_segmentation(struct state *state, unsigned at, int error) {
  if (state->scratch->counts[at] == 1) return false;
  if (error == EIO) state->segmentation_refused = true;
  return error == EIO || error == EINVAL || error == EMSGSIZE;
}

static unsigned send_run(struct state *state, struct batch *batch, const struct run *run) {
  struct message_scratch *scratch = state->scratch;
  unsigned sent = 0;
  bool retried = false;
  for (unsigned at = 0; at < run->count;) {
    int done = sendmmsg(run->fd, scratch->messages + at, run->count - at,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done > 0) {
      for (int each = 0; each < done; each++) {
        sent += settle_message(scratch, batch, at++, STATUS_OK);
      }
      retried = false;
      continue;
    }
    int error = done == 0 ? EAGAIN : errno;
    if (error == EINTR) continue;
    if (was_segmentation(state, at, error)) {
      sent += send_apart(state, batch, run, at++);
      continue;
    }
    /*
     * It may be an earlier packet's error that waited at the socket: reading it has cleared it.
     * EPERM is this packet's own: a firewall refused it and would see it twice.
     */
    if (error != EAGAIN && error != ENOBUFS && error != EPERM && !retried) {
      retried = true;
      continue;
    }
    settle_message(scratch, batch, at++, -error);
    retried = false;
  }
  return sent;
}

/** Gathers rows from `*next` on until one needs another socket or setting, or the burst is full. */
static void gather(struct state *state, const struct rows *rows, uint32_t *next, struct run *run) {
  *run = (struct run){ 0 };
  for (; *next < rows->end; (*next)++) {
    struct row row;
    bool inside = batch_row(rows->batch, *next, &row);
    int32_t handle = row_word(&row, WORD_PATH);
    if (handle < 0) continue;
    const struct path *path = handles_at(&state->paths, handle);
    if (!inside || path == NULL) {
      row_set(&row, WORD_STATUS, -EINVAL);
      continue;
    }
    bool df = (row_word(&row, WORD_FLAGS) & FLAG_DF) != 0;
    if (run->count == 0) *run = (struct run){ .fd = path->fd, .family = path->family, .df = df };
    else if (run->fd != path->fd || run->family != path->family || run->df != df) return;
    if (extend_message(state, run, path, &row, *next)) continue;
    if (run->count == BURST) return;
    add_message(state, run, path, &row, *next);
  }
}

napi_value tsgw_send(napi_env env, napi_callback_info info) {
  napi_value values[3];
  struct rows rows;
  struct state *state = arguments(env, info, 3, values);
  if (state == NULL || !argument_rows(state, values, &rows)) return NULL;
  struct discovery discovery = { .fd = -1 };
  struct run run;
  unsigned sent = 0;
  for (uint32_t next = rows.first; next < rows.end;) {
    gather(state, &rows, &next, &run);
    if (run.count == 0) continue;
    set_discovery(&discovery, &run);
    write_segments(state->scratch, &run);
    sent += send_run(state, rows.batch, &run);
  }
  return result_integer(env, sent);
}

/** The destination that a row's origin names, into the scratch; answers the length of the name. */
static socklen_t name_of(struct sockaddr_storage *name, int64_t family, const uint8_t *origin) {
  memset(name, 0, sizeof *name);
  if (family == 4) {
    struct sockaddr_in *to = (struct sockaddr_in *)name;
    to->sin_family = AF_INET;
    memcpy(&to->sin_addr, origin + ORIGIN_DESTINATION, 4);
    return sizeof *to;
  }
  struct sockaddr_in6 *to = (struct sockaddr_in6 *)name;
  to->sin6_family = AF_INET6;
  memcpy(&to->sin6_addr, origin + ORIGIN_DESTINATION, 16);
  return sizeof *to;
}

/** Gathers rows of the family that leave as they are; bad ones get their STATUS. */
static void gather_plain(struct state *state, const struct rows *rows, int64_t family,
                         uint32_t *next, struct run *run) {
  struct message_scratch *scratch = state->scratch;
  for (; *next < rows->end && run->count < BURST; (*next)++) {
    struct row row;
    bool inside = batch_row(rows->batch, *next, &row);
    const uint8_t *origin = rows->batch->origins + (size_t)*next * ORIGIN_OCTETS;
    if (row_word(&row, WORD_PATH) != PATH_OF_ORIGIN || origin[ORIGIN_FAMILY] != family) continue;
    if (!inside) {
      row_set(&row, WORD_STATUS, -EINVAL);
      continue;
    }
    unsigned at = run->count++;
    scratch->rows[at] = *next;
    scratch->counts[at] = 1;
    scratch->vectors[at] = (struct iovec){ .iov_base = row.packet, .iov_len = row.length };
    scratch->messages[at].msg_hdr = (struct msghdr){
      .msg_name = &scratch->names[at],
      .msg_namelen = name_of(&scratch->names[at], family, origin),
      .msg_iov = &scratch->vectors[at],
      .msg_iovlen = 1,
    };
  }
}

napi_value tsgw_send_to(napi_env env, napi_callback_info info) {
  napi_value values[5];
  struct rows rows;
  int fd;
  int64_t family;
  struct state *state = arguments(env, info, 5, values);
  if (state == NULL || !argument_fd(env, values[0], &fd) ||
      !argument_integer(env, values[1], "family", 4, 6, &family) ||
      !argument_rows(state, values + 2, &rows)) {
    return NULL;
  }
  unsigned sent = 0;
  for (uint32_t next = rows.first; next < rows.end;) {
    struct run run = { .fd = fd };
    gather_plain(state, &rows, family, &next, &run);
    sent += send_run(state, rows.batch, &run);
  }
  return result_integer(env, sent);
}

/** Gathers rows that are whole frames; bad ones get their STATUS. */
static void gather_frames(struct state *state, const struct rows *rows, uint32_t *next,
                          struct run *run) {
  struct message_scratch *scratch = state->scratch;
  for (; *next < rows->end && run->count < BURST; (*next)++) {
    struct row row;
    if (!batch_row(rows->batch, *next, &row)) {
      row_set(&row, WORD_STATUS, -EINVAL);
      continue;
    }
    unsigned at = run->count++;
    scratch->rows[at] = *next;
    scratch->counts[at] = 1;
    scratch->vectors[at] = (struct iovec){ .iov_base = row.packet, .iov_len = row.length };
    scratch->messages[at].msg_hdr =
        (struct msghdr){ .msg_iov = &scratch->vectors[at], .msg_iovlen = 1 };
  }
}

napi_value tsgw_send_frames(napi_env env, napi_callback_info info) {
  napi_value values[4];
  struct rows rows;
  int fd;
  struct state *state = arguments(env, info, 4, values);
  if (state == NULL || !argument_fd(env, values[0], &fd) ||
      !argument_rows(state, values + 1, &rows)) {
    return NULL;
  }
  unsigned sent = 0;
  for (uint32_t next = rows.first; next < rows.end;) {
    struct run run = { .fd = fd };
    gather_frames(state, &rows, &next, &run);
    sent += send_run(state, rows.batch, &run);
  }
  return result_integer(env, sent);
}
