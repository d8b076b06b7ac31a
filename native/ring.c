/*
 * One system call for many writes: a small io_uring of an environment (io_uring_setup(2)).
 *
 * A write to the TUN device delivers its packet before the call returns, and on return the kernel
 * lets whoever was woken run. Written in one call, the packets of a batch reach their receiver
 * together, and we are put aside once instead of once a packet.
 *
 * A kernel or a container that does not allow io_uring gives no ring; then each packet is a write.
 */
#include "tsgw.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct ring {
  int fd;
  uint8_t *queues;
  size_t queues_length;
  struct io_uring_sqe *entries;
  struct io_uring_params params;
  unsigned prepared;
};

static unsigned *queue_word(const struct ring *ring, uint32_t offset) {
  return (unsigned *)(void *)(ring->queues + offset);
}

static void *map(int fd, size_t length, off_t offset) {
  void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
  return memory == MAP_FAILED ? NULL : memory;
}

static bool map_queues(struct ring *ring) {
  const struct io_uring_params *params = &ring->params;
  /* Both queues share one mapping in every kernel since 5.4. */
  if ((params->features & IORING_FEAT_SINGLE_MMAP) == 0) return false;
  size_t submission = params->sq_off.array + params->sq_entries * sizeof(unsigned);
  size_t completion = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
  ring->queues_length = submission > completion ? submission : completion;
  ring->queues = map(ring->fd, ring->queues_length, IORING_OFF_SQ_RING);
  if (ring->queues == NULL) return false;
  ring->entries = map(ring->fd, params->sq_entries * sizeof *ring->entries, IORING_OFF_SQES);
  return ring->entries != NULL;
}

void ring_close(struct ring *ring) {
  if (ring == NULL) return;
  if (ring->entries != NULL) {
    munmap(ring->entries, ring->params.sq_entries * sizeof *ring->entries);
  }
  if (ring->queues != NULL) munmap(ring->queues, ring->queues_length);
  if (ring->fd >= 0) close(ring->fd);
  free(ring);
}

struct ring *ring_open(void) {
  struct ring *ring = calloc(1, sizeof *ring);
  if (ring == NULL) return NULL;
  ring->fd = (int)syscall(__NR_io_uring_setup, BURST, &ring->params);
  if (ring->fd >= 0 && map_queues(ring)) {
    unsigned *array = queue_word(ring, ring->params.sq_off.array);
    for (unsigned at = 0; at < ring->params.sq_entries; at++) array[at] = at;
    return ring;
  }
  ring_close(ring);
  return NULL;
}

bool ring_full(const struct ring *ring) {
  return ring->prepared == BURST;
}

void ring_write(struct ring *ring, int fd, const struct iovec *pieces, unsigned count,
                uint32_t number) {
  unsigned tail = *queue_word(ring, ring->params.sq_off.tail) + ring->prepared;
  unsigned mask = *queue_word(ring, ring->params.sq_off.ring_mask);
  struct io_uring_sqe *entry = &ring->entries[tail & mask];
  *entry = (struct io_uring_sqe){
    .opcode = IORING_OP_WRITEV,
    .fd = fd,
    .addr = (uintptr_t)pieces,
    .len = count,
    .user_data = number,
  };
  ring->prepared++;
}

/** Takes the completions that are there. */
static unsigned reap(struct ring *ring, ring_done done, void *with) {
  unsigned *head = queue_word(ring, ring->params.cq_off.head);
  unsigned *tail = queue_word(ring, ring->params.cq_off.tail);
  unsigned mask = *queue_word(ring, ring->params.cq_off.ring_mask);
  const struct io_uring_cqe *completions = (const void *)(ring->queues + ring->params.cq_off.cqes);
  unsigned at = *head;
  unsigned end = __atomic_load_n(tail, __ATOMIC_ACQUIRE);
  unsigned count = end - at;
  for (; at != end; at++) {
    const struct io_uring_cqe *completion = &completions[at & mask];
    done((uint32_t)completion->user_data, completion->res, with);
  }
  __atomic_store_n(head, at, __ATOMIC_RELEASE);
  return count;
}

int ring_submit(struct ring *ring, ring_done done, void *with) {
  unsigned waiting = ring->prepared;
  if (waiting == 0) return 0;
  unsigned *tail = queue_word(ring, ring->params.sq_off.tail);
  __atomic_store_n(tail, *tail + waiting, __ATOMIC_RELEASE);
  unsigned submitting = waiting;
  ring->prepared = 0;
  while (waiting > 0) {
    int taken = (int)syscall(__NR_io_uring_enter, ring->fd, submitting, waiting,
                             IORING_ENTER_GETEVENTS, NULL, 0);
    if (taken < 0 && errno != EINTR && errno != EAGAIN && errno != EBUSY) return -errno;
    if (taken > 0) submitting -= (unsigned)taken;
    waiting -= reap(ring, done, with);
  }
  return 0;
}
