/*
 * Telling JavaScript that a descriptor has something to read, on this environment's loop.
 *
 * A watch polls a duplicate of the descriptor: libuv aborts the process when a descriptor it was
 * given is closed before it came to poll it.
 */
#include "tsgw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

struct watch {
  uv_poll_t poll;
  struct state *state;
  napi_ref callback;
  int32_t handle;
  int fd;
  int duplicate;
  /** Nothing is run after the callback: it leaves no promise reactions and no nextTick. */
  bool bare;
};

static void on_event(uv_poll_t *poll, int status, int events);

static void on_closed(uv_handle_t *handle) {
  struct watch *watch = handle->data;
  struct state *state = watch->state;
  free(watch);
  state->open_watches--;
  if (state->tearing_down && state->open_watches == 0) state_release(state);
}

/** Ends the watch; its memory goes when the loop is done with it, after any callback under way. */
static void watch_close(struct watch *watch) {
  struct state *state = watch->state;
  handles_remove(&state->watches, watch->handle);
  napi_delete_reference(state->env, watch->callback);
  watch->callback = NULL;
  uv_close((uv_handle_t *)&watch->poll, on_closed);
  /* libuv has stopped polling; now the last of a socket or device is gone with its descriptor. */
  close(watch->duplicate);
}

void watches_close_fd(struct state *state, int fd) {
  uint32_t at = 0;
  for (struct watch *watch; (watch = handles_next(&state->watches, &at)) != NULL;) {
    if (watch->fd == fd) watch_close(watch);
  }
}

void watches_close_all(struct state *state) {
  uint32_t at = 0;
  for (struct watch *watch; (watch = handles_next(&state->watches, &at)) != NULL;) {
    watch_close(watch);
  }
}

/** Entering and leaving node costs more than many a callback. */
static napi_status enter(const struct watch *watch, napi_value global, napi_value callback) {
  napi_env env = watch->state->env;
  napi_value result;
  return watch->bare ? napi_call_function(env, global, callback, 0, NULL, &result)
                     : napi_make_callback(env, NULL, global, callback, 0, NULL, &result);
}

static void call(struct watch *watch) {
  napi_env env = watch->state->env;
  napi_handle_scope scope;
  napi_value global, callback, thrown;
  bool pending = false;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  if (napi_get_global(env, &global) == napi_ok &&
      napi_get_reference_value(env, watch->callback, &callback) == napi_ok && callback != NULL &&
      enter(watch, global, callback) != napi_ok &&
      napi_is_exception_pending(env, &pending) == napi_ok && pending &&
      napi_get_and_clear_last_exception(env, &thrown) == napi_ok) {
    napi_fatal_exception(env, thrown);
  }
  napi_close_handle_scope(env, scope);
}

/**
 * libuv stops a handle whose descriptor reports an error. A socket's error is an earlier packet's:
 * it is cleared and watching goes on. A device's is final: it is told once.
 */
static void on_event(uv_poll_t *poll, int status, int events) {
  struct watch *watch = poll->data;
  (void)events;
  if (status < 0) {
    int error;
    socklen_t size = sizeof error;
    if (getsockopt(watch->duplicate, SOL_SOCKET, SO_ERROR, &error, &size) == 0) {
      uv_poll_start(poll, UV_READABLE, on_event);
    }
  }
  call(watch);
}

napi_value tsgw_watch(napi_env env, napi_callback_info info) {
  napi_value values[3];
  napi_valuetype type;
  int fd;
  bool bare = false;
  size_t given = 3;
  void *data;
  if (napi_get_cb_info(env, info, &given, values, NULL, &data) != napi_ok || given < 2) {
    return throw_type(env, "arguments are missing");
  }
  struct state *state = data;
  if (!argument_fd(env, values[0], &fd)) return NULL;
  if (given > 2 && napi_get_value_bool(env, values[2], &bare) != napi_ok) {
    return throw_type(env, "bare is not a boolean");
  }
  if (napi_typeof(env, values[1], &type) != napi_ok || type != napi_function) {
    return throw_type(env, "readable is not a function");
  }
  struct watch *watch = calloc(1, sizeof *watch);
  if (watch == NULL) return throw_errno(env, "calloc", ENOMEM);
  watch->duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  int error = watch->duplicate < 0 ? -errno
                                   : uv_poll_init(state->loop, &watch->poll, watch->duplicate);
  if (error != 0) {
    if (watch->duplicate >= 0) close(watch->duplicate);
    free(watch);
    return throw_errno(env, "watch", -error);
  }
  watch->poll.data = watch;
  watch->state = state;
  watch->fd = fd;
  watch->bare = bare;
  state->open_watches++;
  watch->handle = handles_add(&state->watches, watch);
  if (watch->handle == NONE || napi_create_reference(env, values[1], 1, &watch->callback) != napi_ok ||
      uv_poll_start(&watch->poll, UV_READABLE, on_event) != 0) {
    watch_close(watch);
    return throw_range(env, "no room for another watch");
  }
  return result_integer(env, watch->handle);
}

napi_value tsgw_unwatch(napi_env env, napi_callback_info info) {
  napi_value value;
  int64_t handle;
  struct state *state = arguments(env, info, 1, &value);
  if (state == NULL || !argument_integer(env, value, "watch", 0, INT32_MAX, &handle)) return NULL;
  struct watch *watch = handles_at(&state->watches, (int32_t)handle);
  if (watch == NULL) return throw_range(env, "no watch of this thread has that number");
  watch_close(watch);
  return result_undefined(env);
}
