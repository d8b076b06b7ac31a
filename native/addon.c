/*
 * Registration, and the life of one environment's state.
 */
#include "tsgw.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <uv.h>

static void free_batch(void *item, void *with) {
  (void)with;
  batch_free(item);
}

static void free_context(void *item, void *with) {
  (void)with;
  context_wipe(item);
}

static void free_path(void *item, void *with) {
  (void)with;
  free(item);
}

static void keep(void *item, void *with) {
  (void)item;
  (void)with;
}

void state_release(struct state *state) {
  handles_clear(&state->batches, free_batch, NULL);
  handles_clear(&state->contexts, free_context, NULL);
  handles_clear(&state->paths, free_path, NULL);
  handles_clear(&state->watches, keep, NULL);
  if (state->cleanup != NULL) napi_remove_async_cleanup_hook(state->cleanup);
  free(state->scratch);
  ring_close(state->ring);
  ipsec_mb_free(state->ipsec_mb);
  OPENSSL_cleanse(state->iv_pool, sizeof state->iv_pool);
  free(state);
}

/** The environment ends: a worker's loop must have no open handle left when it is taken down. */
static void tear_down(napi_async_cleanup_hook_handle handle, void *data) {
  struct state *state = data;
  state->cleanup = handle;
  state->tearing_down = true;
  watches_close_all(state);
  if (state->open_watches == 0) state_release(state);
}

static bool add_layout(napi_env env, napi_value exports) {
  static const struct {
    const char *name;
    int32_t value;
  } layout[] = {
    { "OFFSET", WORD_OFFSET },
    { "LENGTH", WORD_LENGTH },
    { "CONTEXT", WORD_CONTEXT },
    { "STATUS", WORD_STATUS },
    { "SEQUENCE_HIGH", WORD_SEQUENCE_HIGH },
    { "PATH", WORD_PATH },
    { "TOS", WORD_TOS },
    { "FLAGS", WORD_FLAGS },
    { "SA", WORD_SA },
    { "DROP", WORD_DROP },
    { "INNER", WORD_INNER },
    { "SOURCE", WORD_SOURCE },
    { "SOURCE_LENGTH", WORD_SOURCE_LENGTH },
    { "COPY_TO", WORD_COPY_TO },
    { "SUM_FROM", WORD_SUM_FROM },
    { "SUM_AT", WORD_SUM_AT },
    { "SEGMENT", WORD_SEGMENT },
    { "ORIGIN", WORD_ORIGIN },
    { "NEXT", WORD_NEXT },
    { "SUM", WORD_SUM },
    { "WORDS", WORDS },
    { "STATUS_OK", STATUS_OK },
    { "STATUS_BAD_ICV", STATUS_BAD_ICV },
    { "FLAG_DF", FLAG_DF },
    { "FLAG_SUM", FLAG_SUM },
    { "DROP_JOINED", DROP_JOINED },
    { "VNET_HEADER_OCTETS", VNET_HEADER_OCTETS },
    { "PATH_OF_ORIGIN", PATH_OF_ORIGIN },
    { "ORIGIN_OCTETS", ORIGIN_OCTETS },
    { "ORIGIN_FAMILY", ORIGIN_FAMILY },
    { "ORIGIN_PORT", ORIGIN_PORT },
    { "ORIGIN_INTERFACE", ORIGIN_INTERFACE },
    { "ORIGIN_SOURCE", ORIGIN_SOURCE },
    { "ORIGIN_DESTINATION", ORIGIN_DESTINATION },
  };
  napi_value object, number;
  if (napi_create_object(env, &object) != napi_ok) return false;
  for (size_t at = 0; at < sizeof layout / sizeof *layout; at++) {
    if (napi_create_int32(env, layout[at].value, &number) != napi_ok ||
        napi_set_named_property(env, object, layout[at].name, number) != napi_ok) {
      return false;
    }
  }
  return napi_set_named_property(env, exports, "layout", object) == napi_ok;
}

static bool add_functions(napi_env env, napi_value exports, struct state *state) {
  static const struct {
    const char *name;
    napi_callback call;
  } functions[] = {
    { "batch", tsgw_batch },
    { "freeBatch", tsgw_free_batch },
    { "context", tsgw_context },
    { "freeContext", tsgw_free_context },
    { "backEnds", tsgw_back_ends },
    { "seal", tsgw_seal },
    { "open", tsgw_open },
    { "udpSocket", tsgw_udp_socket },
    { "rawSocket", tsgw_raw_socket },
    { "packetSocket", tsgw_packet_socket },
    { "packetMembership", tsgw_packet_membership },
    { "shareBySpi", tsgw_share_by_spi },
    { "keepBySpi", tsgw_keep_by_spi },
    { "eventFd", tsgw_event_fd },
    { "signal", tsgw_signal },
    { "takeSignals", tsgw_take_signals },
    { "openTun", tsgw_open_tun },
    { "goFirst", tsgw_go_first },
    { "close", tsgw_close },
    { "path", tsgw_path },
    { "freePath", tsgw_free_path },
    { "receive", tsgw_receive },
    { "send", tsgw_send },
    { "sendTo", tsgw_send_to },
    { "sendFrames", tsgw_send_frames },
    { "readTun", tsgw_read_tun },
    { "writeTun", tsgw_write_tun },
    { "watch", tsgw_watch },
    { "unwatch", tsgw_unwatch },
    { "netlink", tsgw_netlink },
    { "netlinkRequest", tsgw_netlink_request },
    { "netlinkDrain", tsgw_netlink_drain },
    { "checksum", tsgw_checksum },
  };
  napi_value function;
  for (size_t at = 0; at < sizeof functions / sizeof *functions; at++) {
    const char *name = functions[at].name;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, functions[at].call, state, &function) !=
            napi_ok ||
        napi_set_named_property(env, exports, name, function) != napi_ok) {
      return false;
    }
  }
  return true;
}

static napi_value init(napi_env env, napi_value exports) {
  struct state *state = calloc(1, sizeof *state);
  if (state == NULL) return throw_errno(env, "calloc", ENOMEM);
  state->env = env;
  state->scratch = calloc(1, sizeof *state->scratch);
  if (state->scratch == NULL || napi_get_uv_event_loop(env, &state->loop) != napi_ok ||
      !add_layout(env, exports) || !add_functions(env, exports, state) ||
      napi_add_async_cleanup_hook(env, tear_down, state, NULL) != napi_ok) {
    free(state->scratch);
    free(state);
    napi_throw_error(env, NULL, "the native layer could not be registered");
    return NULL;
  }
  return exports;
}

NAPI_MODULE_INIT(/* env, exports */) { return init(env, exports); }
