/*
 * Registered memory: arena, descriptor words and origins of a batch.
 *
 * Only shared memory is taken: it can neither be detached nor moved nor shrunk, so the addresses
 * read once stay good as long as the references are held.
 */
#include "tsgw.h"

#include <errno.h>
#include <stdlib.h>

/** The memory behind a typed array of one type; false with an exception pending. */
static bool shared_octets(napi_env env, napi_value value, napi_typedarray_type wanted,
                          const char *what, void **data, size_t *elements) {
  napi_typedarray_type type;
  napi_value buffer;
  if (napi_get_typedarray_info(env, value, &type, elements, data, &buffer, NULL) != napi_ok ||
      type != wanted) {
    throw_type(env, what);
    return false;
  }
  bool unshared = true;
  /* Node-API knows SharedArrayBuffer only as "not an ArrayBuffer". */
  if (napi_is_arraybuffer(env, buffer, &unshared) != napi_ok || unshared) {
    throw_type(env, "the memory of a batch is not a SharedArrayBuffer");
    return false;
  }
  return true;
}

void batch_free(struct batch *batch) {
  for (size_t at = 0; at < 3; at++) {
    if (batch->references[at] != NULL) napi_delete_reference(batch->env, batch->references[at]);
  }
  free(batch);
}

napi_value tsgw_batch(napi_env env, napi_callback_info info) {
  napi_value values[3];
  struct state *state = arguments(env, info, 3, values);
  if (state == NULL) return NULL;
  void *arena, *words, *origins;
  size_t arena_length, word_count, origin_length;
  if (!shared_octets(env, values[0], napi_uint8_array, "arena is not a Uint8Array", &arena,
                     &arena_length) ||
      !shared_octets(env, values[1], napi_int32_array, "words is not an Int32Array", &words,
                     &word_count) ||
      !shared_octets(env, values[2], napi_uint8_array, "origins is not a Uint8Array", &origins,
                     &origin_length)) {
    return NULL;
  }
  size_t rows = word_count / WORDS;
  if (rows > 1u << 20) return throw_range(env, "words has more than 2^20 rows");
  if (origin_length / ORIGIN_OCTETS < rows) return throw_range(env, "origins has too few rows");

  struct batch *batch = calloc(1, sizeof *batch);
  if (batch == NULL) return throw_errno(env, "calloc", ENOMEM);
  batch->env = env;
  batch->arena = arena;
  batch->arena_length = arena_length;
  batch->words = words;
  batch->origins = origins;
  batch->rows = (uint32_t)rows;
  int32_t handle = NONE;
  if (napi_create_reference(env, values[0], 1, &batch->references[0]) == napi_ok &&
      napi_create_reference(env, values[1], 1, &batch->references[1]) == napi_ok &&
      napi_create_reference(env, values[2], 1, &batch->references[2]) == napi_ok) {
    handle = handles_add(&state->batches, batch);
  }
  if (handle == NONE) {
    batch_free(batch);
    return throw_range(env, "no room for another batch");
  }
  return result_integer(env, handle);
}

napi_value tsgw_free_batch(napi_env env, napi_callback_info info) {
  napi_value value;
  int64_t handle;
  struct state *state = arguments(env, info, 1, &value);
  if (state == NULL || !argument_integer(env, value, "batch", 0, INT32_MAX, &handle)) return NULL;
  struct batch *batch = handles_remove(&state->batches, (int32_t)handle);
  if (batch == NULL) return throw_range(env, "no batch of this thread has that number");
  batch_free(batch);
  return result_undefined(env);
}
