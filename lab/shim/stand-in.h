/*
 * What both stand-ins for the kernel's IPsec share: the daemon gets one end of a socket pair
 * instead of the kernel's socket, a thread serves the other.
 */
#ifndef STAND_IN_H
#define STAND_IN_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

/* A request as large as either daemon sends. */
#define REQUEST_OCTETS 8192

/* The C library's own function behind one that is defined here; `type` is its type. */
#define REAL(type, name) ((type)dlsym(RTLD_NEXT, name))

/* The daemon's end, of the SOCK_ flags in `type`; `serve` gets the other, cast to a pointer. */
static int stand_in(int type, void *(*serve)(void *)) {
  int ends[2];
  pthread_t thread;
  sigset_t all;
  sigset_t before;
  /* SOCK_SEQPACKET keeps requests apart and tells when the daemon is gone. */
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return -1;
  }
  if ((type & SOCK_NONBLOCK) != 0) {
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
  }
  /* Signals are the daemon's. */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread, NULL, serve, (void *)(intptr_t)ends[1]);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error != 0) {
    close(ends[0]);
    close(ends[1]);
    errno = error;
    return -1;
  }
  (void)pthread_detach(thread);
  return ends[0];
}

#endif
