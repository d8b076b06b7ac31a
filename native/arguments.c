/*
 * What JavaScript hands in, checked; and what it gets back.
 */
#include "tsgw.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

struct state *arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  void *data = NULL;
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, values, NULL, &data) != napi_ok) {
    throw_type(env, "arguments could not be read");
    return NULL;
  }
  if (given < count) {
    throw_type(env, "arguments are missing");
    return NULL;
  }
  return data;
}

bool argument_integer(napi_env env, napi_value value, const char *name, int64_t least, int64_t most,
                      int64_t *out) {
  char text[96];
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok) {
    snprintf(text, sizeof text, "%s is not a number", name);
    throw_type(env, text);
    return false;
  }
  if (!(number >= (double)least && number <= (double)most) || number != (double)(int64_t)number) {
    snprintf(text, sizeof text, "%s is not an integer from %lld to %lld", name, (long long)least,
             (long long)most);
    throw_range(env, text);
    return false;
  }
  *out = (int64_t)number;
  return true;
}

bool argument_fd(napi_env env, napi_value value, int *fd) {
  int64_t number;
  if (!argument_integer(env, value, "fd", 0, INT32_MAX, &number)) return false;
  *fd = (int)number;
  return true;
}

bool argument_octets(napi_env env, napi_value value, const char *name, const uint8_t **octets,
                     size_t *length) {
  napi_typedarray_type type;
  void *data;
  if (napi_get_typedarray_info(env, value, &type, length, &data, NULL, NULL) != napi_ok ||
      type != napi_uint8_array) {
    char text[96];
    snprintf(text, sizeof text, "%s is not a Uint8Array", name);
    throw_type(env, text);
    return false;
  }
  *octets = data;
  return true;
}

bool argument_rows(struct state *state, const napi_value *values, struct rows *rows) {
  int64_t handle, first, count;
  napi_env env = state->env;
  if (!argument_integer(env, values[0], "batch", 0, INT32_MAX, &handle)) return false;
  rows->batch = handles_at(&state->batches, (int32_t)handle);
  if (rows->batch == NULL) {
    throw_range(env, "no batch of this thread has that number");
    return false;
  }
  int64_t size = rows->batch->rows;
  if (!argument_integer(env, values[1], "first", 0, size, &first)) return false;
  if (!argument_integer(env, values[2], "count", 0, size - first, &count)) return false;
  rows->first = (uint32_t)first;
  rows->end = (uint32_t)(first + count);
  return true;
}

static bool option(napi_env env, napi_value options, const char *name, napi_value *value) {
  napi_valuetype type;
  if (napi_typeof(env, options, &type) != napi_ok || type != napi_object) {
    throw_type(env, "options are not an object");
    return false;
  }
  /* A getter may have thrown; its exception is the better one. */
  if (napi_get_named_property(env, options, name, value) == napi_ok) return true;
  throw_type(env, "an option could not be read");
  return false;
}

bool option_present(napi_env env, napi_value options, const char *name, bool *present) {
  napi_value value;
  napi_valuetype type;
  if (!option(env, options, name, &value)) return false;
  *present = napi_typeof(env, value, &type) == napi_ok && type != napi_undefined;
  return true;
}

bool option_integer(napi_env env, napi_value options, const char *name, int64_t least, int64_t most,
                    int64_t *out) {
  napi_value value;
  return option(env, options, name, &value) &&
         argument_integer(env, value, name, least, most, out);
}

bool option_boolean(napi_env env, napi_value options, const char *name, bool *out) {
  napi_value value;
  if (!option(env, options, name, &value)) return false;
  if (napi_get_value_bool(env, value, out) == napi_ok) return true;
  char text[96];
  snprintf(text, sizeof text, "%s is not a boolean", name);
  throw_type(env, text);
  return false;
}

bool option_string(napi_env env, napi_value options, const char *name, char *out, size_t size) {
  napi_value value;
  char text[96];
  size_t length;
  if (!option(env, options, name, &value)) return false;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) {
    snprintf(text, sizeof text, "%s is not a string", name);
    throw_type(env, text);
    return false;
  }
  if (length >= size) {
    snprintf(text, sizeof text, "%s has %zu octets, more than %zu", name, length, size - 1);
    throw_range(env, text);
    return false;
  }
  return napi_get_value_string_utf8(env, value, out, size, &length) == napi_ok;
}

bool option_octets(napi_env env, napi_value options, const char *name, const uint8_t **octets,
                   size_t *length) {
  napi_value value;
  return option(env, options, name, &value) && argument_octets(env, value, name, octets, length);
}

napi_value result_integer(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

napi_value result_undefined(napi_env env) {
  napi_value result = NULL;
  napi_get_undefined(env, &result);
  return result;
}

napi_value throw_errno(napi_env env, const char *syscall, int error) {
  char text[160];
  napi_value code, message, thrown, name, number;
  snprintf(text, sizeof text, "%s: %s", syscall, strerror(error));
  if (napi_create_string_utf8(env, uv_err_name(-error), NAPI_AUTO_LENGTH, &code) == napi_ok &&
      napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message) == napi_ok &&
      napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_int32(env, -error, &number) == napi_ok &&
      napi_create_error(env, code, message, &thrown) == napi_ok) {
    napi_set_named_property(env, thrown, "syscall", name);
    napi_set_named_property(env, thrown, "errno", number);
    napi_throw(env, thrown);
  }
  return NULL;
}

napi_value throw_range(napi_env env, const char *what) {
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", what);
  return NULL;
}

napi_value throw_type(napi_env env, const char *what) {
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending) return NULL;
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", what);
  return NULL;
}
