/*
 * When a thread gets a core: whoever must say every 100 ms that it lives cannot wait for one.
 */
#define _GNU_SOURCE
#include "tsgw.h"

#include <errno.h>
#include <sched.h>

/**
 * The calling thread goes before all ordinary ones of the machine; threads and processes that it makes
 * do not.
 */
napi_value tsgw_go_first(napi_env env, napi_callback_info info) {
  (void)info;
  struct sched_param parameters = { .sched_priority = 1 };
  if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &parameters) != 0) {
    return throw_errno(env, "sched_setscheduler", errno);
  }
  return result_undefined(env);
}
