/*
 * Receiving datagrams into the rows of a batch with recvmmsg.
 */
#include "tsgw.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

static void prepare(struct message_scratch *scratch, unsigned at, const struct row *row) {
  scratch->vectors[at] = (struct iovec){ .iov_base = row->packet, .iov_len = row->length };
  scratch->messages[at] = (struct mmsghdr){
    .msg_hdr = {
      .msg_name = &scratch->names[at],
      .msg_namelen = sizeof scratch->names[at],
      .msg_iov = &scratch->vectors[at],
      .msg_iovlen = 1,
      .msg_control = scratch->controls[at],
      .msg_controllen = sizeof scratch->controls[at],
    },
  };
}

static void write_source(uint8_t *origin, const struct sockaddr_storage *name) {
  if (name->ss_family == AF_INET) {
    const struct sockaddr_in *from = (const struct sockaddr_in *)name;
    origin[ORIGIN_FAMILY] = 4;
    memcpy(origin + ORIGIN_PORT, &from->sin_port, 2);
    memcpy(origin + ORIGIN_SOURCE, &from->sin_addr, 4);
  } else if (name->ss_family == AF_INET6) {
    const struct sockaddr_in6 *from = (const struct sockaddr_in6 *)name;
    origin[ORIGIN_FAMILY] = 6;
    memcpy(origin + ORIGIN_PORT, &from->sin6_port, 2);
    memcpy(origin + ORIGIN_SOURCE, &from->sin6_addr, 16);
  }
}

/** Takes destination, interface, TOS and the size of merged datagrams from the control messages. */
static void write_control(uint8_t *origin, const struct row *row, struct msghdr *header) {
  int tos = 0;
  int segment = 0;
  for (struct cmsghdr *at = CMSG_FIRSTHDR(header); at != NULL; at = CMSG_NXTHDR(header, at)) {
    if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
      struct in_pktinfo to;
      memcpy(&to, CMSG_DATA(at), sizeof to);
      memcpy(origin + ORIGIN_INTERFACE, &to.ipi_ifindex, 4);
      memcpy(origin + ORIGIN_DESTINATION, &to.ipi_addr, 4);
    } else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo to;
      memcpy(&to, CMSG_DATA(at), sizeof to);
      memcpy(origin + ORIGIN_INTERFACE, &to.ipi6_ifindex, 4);
      memcpy(origin + ORIGIN_DESTINATION, &to.ipi6_addr, 16);
    } else if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_TOS) {
      tos = *(const uint8_t *)CMSG_DATA(at);
    } else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_TCLASS) {
      memcpy(&tos, CMSG_DATA(at), sizeof tos);
    } else if (at->cmsg_level == SOL_UDP && at->cmsg_type == UDP_GRO) {
      memcpy(&segment, CMSG_DATA(at), sizeof segment);
    }
  }
  row_set(row, WORD_SEGMENT, segment);
  row_set(row, WORD_TOS, tos & 0xff);
}

static void take(const struct rows *rows, struct message_scratch *scratch, unsigned at,
                 uint32_t number) {
  struct mmsghdr *message = &scratch->messages[at];
  struct row row = { .words = rows->batch->words + (size_t)number * WORDS };
  uint8_t *origin = rows->batch->origins + (size_t)number * ORIGIN_OCTETS;
  memset(origin, 0, ORIGIN_OCTETS);
  write_source(origin, &scratch->names[at]);
  write_control(origin, &row, &message->msg_hdr);
  row_set(&row, WORD_LENGTH, (int32_t)message->msg_len);
  row_set(&row, WORD_STATUS, message->msg_hdr.msg_flags & MSG_TRUNC ? -EMSGSIZE : STATUS_OK);
}

/** An error that waits at the socket is an earlier packet's, not this call's. */
static bool of_the_call(int error) {
  return error == EBADF || error == ENOTSOCK || error == EFAULT || error == EINVAL ||
         error == ENOMEM || error == EOPNOTSUPP;
}

/** recvmmsg past errors that waited; answers datagrams, 0 when empty, or a negative errno. */
static int receive_burst(int fd, struct message_scratch *scratch, unsigned count) {
  int error = 0;
  for (int attempt = 0; attempt < 8; attempt++) {
    int done = recvmmsg(fd, scratch->messages, count, MSG_DONTWAIT, NULL);
    if (done >= 0) return done;
    error = errno;
    if (error == EAGAIN) return 0;
    if (of_the_call(error)) break;
  }
  return -error;
}

/** Consecutive rows with room inside the arena, from `first` on. */
static unsigned prepare_burst(const struct rows *rows, uint32_t first,
                              struct message_scratch *scratch) {
  unsigned count = 0;
  struct row row;
  while (count < BURST && first + count < rows->end &&
         batch_row(rows->batch, first + count, &row)) {
    prepare(scratch, count++, &row);
  }
  return count;
}

napi_value tsgw_receive(napi_env env, napi_callback_info info) {
  napi_value values[4];
  struct rows rows;
  int fd;
  struct state *state = arguments(env, info, 4, values);
  if (state == NULL || !argument_fd(env, values[0], &fd) ||
      !argument_rows(state, values + 1, &rows)) {
    return NULL;
  }
  uint32_t at = rows.first;
  while (at < rows.end) {
    unsigned count = prepare_burst(&rows, at, state->scratch);
    if (count == 0) {
      struct row bad = { .words = rows.batch->words + (size_t)at * WORDS };
      row_set(&bad, WORD_LENGTH, 0);
      row_set(&bad, WORD_STATUS, -EINVAL);
      at++;
      continue;
    }
    int done = receive_burst(fd, state->scratch, count);
    if (done < 0 && at == rows.first) return throw_errno(env, "recvmmsg", -done);
    for (int each = 0; each < done; each++) {
      take(&rows, state->scratch, (unsigned)each, at + (uint32_t)each);
    }
    if (done > 0) at += (uint32_t)done;
    if (done < (int)count) break;
  }
  return result_integer(env, at - rows.first);
}
