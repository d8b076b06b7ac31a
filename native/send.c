/*
 * Sending the packets of a batch with sendmmsg. Nothing here blocks, and what goes wrong with one
 * packet costs that packet only.
 */
#include "tsgw.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

/** Consecutive packets that leave by one socket with one setting of DF. */
struct run {
  int fd;
  uint8_t family;
  bool df;
  unsigned count;
};

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

static unsigned send_run(struct state *state, struct batch *batch, const struct run *run) {
  struct message_scratch *scratch = state->scratch;
  unsigned sent = 0;
  bool retried = false;
  for (unsigned at = 0; at < run->count;) {
    int done = sendmmsg(run->fd, scratch->messages + at, run->count - at,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done > 0) {
      for (int each = 0; each < done; each++) set_status(batch, scratch->rows[at++], STATUS_OK);
      sent += (unsigned)done;
      retried = false;
      continue;
    }
    int error = done == 0 ? EAGAIN : errno;
    if (error == EINTR) continue;
    /*
     * It may be an earlier packet's error that waited at the socket: reading it has cleared it.
     * EPERM is this packet's own: a firewall refused it and would see it twice.
     */
    if (error != EAGAIN && error != ENOBUFS && error != EPERM && !retried) {
      retried = true;
      continue;
    }
    set_status(batch, scratch->rows[at++], -error);
    retried = false;
  }
  return sent;
}

/** Gathers rows from `*next` on until one needs another socket or setting, or the burst is full. */
static void gather(struct state *state, const struct rows *rows, uint32_t *next, struct run *run) {
  *run = (struct run){ 0 };
  for (; *next < rows->end && run->count < BURST; (*next)++) {
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
