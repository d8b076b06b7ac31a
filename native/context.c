/*
 * Making and wiping keyed cipher contexts.
 */
#include "context.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>

static const struct cipher ciphers[] = {
  { "aes-128-gcm", MODE_GCM, 16, 1 },
  { "aes-192-gcm", MODE_GCM, 24, 1 },
  { "aes-256-gcm", MODE_GCM, 32, 1 },
  { "chacha20-poly1305", MODE_CHACHA, 32, 1 },
  { "aes-128-ccm", MODE_CCM, 16, 1 },
  { "aes-192-ccm", MODE_CCM, 24, 1 },
  { "aes-256-ccm", MODE_CCM, 32, 1 },
  { "aes-128-cbc", MODE_CBC, 16, 16 },
  { "aes-192-cbc", MODE_CBC, 24, 16 },
  { "aes-256-cbc", MODE_CBC, 32, 16 },
  { "aes-128-ctr", MODE_CTR, 16, 1 },
  { "aes-192-ctr", MODE_CTR, 24, 1 },
  { "aes-256-ctr", MODE_CTR, 32, 1 },
  { "camellia-128-cbc", MODE_CBC, 16, 16 },
  { "camellia-192-cbc", MODE_CBC, 24, 16 },
  { "camellia-256-cbc", MODE_CBC, 32, 16 },
  { "camellia-128-ctr", MODE_CTR, 16, 1 },
  { "camellia-192-ctr", MODE_CTR, 24, 1 },
  { "camellia-256-ctr", MODE_CTR, 32, 1 },
  { "des-ede3-cbc", MODE_CBC, 24, 8 },
  { "null", MODE_NULL, 0, 1 },
};

static const struct back_end *const back_ends[] = { &evp_back_end, &ipsec_mb_back_end };

static const struct cipher *cipher_named(const char *name) {
  for (size_t at = 0; at < sizeof ciphers / sizeof *ciphers; at++) {
    if (strcmp(ciphers[at].name, name) == 0) return &ciphers[at];
  }
  return NULL;
}

void context_wipe(void *item) {
  struct context *context = item;
  if (context->keys != NULL) context->back_end->wipe(context);
  OPENSSL_cleanse(context, sizeof *context);
  free(context);
}

/** The option may be left out: OpenSSL is always there. */
static bool read_back_end(napi_env env, napi_value options, struct context *context) {
  bool present;
  char name[16] = "evp";
  if (!option_present(env, options, "backEnd", &present) ||
      (present && !option_string(env, options, "backEnd", name, sizeof name))) {
    return false;
  }
  for (size_t at = 0; at < sizeof back_ends / sizeof *back_ends; at++) {
    if (strcmp(back_ends[at]->name, name) == 0) context->back_end = back_ends[at];
  }
  if (context->back_end != NULL) return true;
  return throw_range(env, "backEnd is not one of ours"), false;
}

/** GMAC is GCM that encrypts nothing; the option may be left out. */
static bool read_mode(napi_env env, napi_value options, const struct cipher *cipher,
                      struct context *context) {
  bool present;
  bool authenticate_only = false;
  if (!option_present(env, options, "authenticateOnly", &present)) return false;
  if (present && !option_boolean(env, options, "authenticateOnly", &authenticate_only)) return false;
  if (authenticate_only && cipher->mode != MODE_GCM) {
    return throw_range(env, "authenticateOnly is for AES-GCM"), false;
  }
  context->mode = authenticate_only ? MODE_GMAC : cipher->mode;
  return true;
}

/** The lengths of salt, IV and blocks. */
static bool shape_mode(napi_env env, napi_value options, const struct cipher *cipher,
                       struct context *context) {
  const uint8_t *salt;
  size_t salt_length;
  bool counter = context->mode >= MODE_CTR;
  context->salt_length = context->mode == MODE_CCM ? 3 : counter ? 4 : 0;
  context->key_length = cipher->key_length;
  context->block_length = cipher->block_length;
  context->iv_length = counter ? 8 : context->mode == MODE_CBC ? cipher->block_length : 0;
  if (!option_octets(env, options, "salt", &salt, &salt_length)) return false;
  if (salt_length != context->salt_length) {
    return throw_range(env, "salt does not have the length of the cipher's salt"), false;
  }
  if (salt_length > 0) memcpy(context->salt, salt, salt_length);
  return true;
}

static bool check_tag(napi_env env, const struct context *context) {
  uint8_t icv = context->icv_length;
  bool shorter = context->mode == MODE_GCM || context->mode == MODE_CCM;
  if (icv == 16 || (shorter && (icv == 8 || icv == 12))) return true;
  return throw_range(env, "icvLength is not one of the cipher's"), false;
}

static bool read_keys(napi_env env, napi_value options, struct keying *keying,
                      const struct context *context) {
  size_t key_length;
  if (context_is_aead(context)) {
    if (!check_tag(env, context)) return false;
  } else {
    if (!option_string(env, options, "mac", keying->mac, sizeof keying->mac) ||
        !option_octets(env, options, "integrityKey", &keying->integrity_key,
                       &keying->integrity_key_length)) {
      return false;
    }
    if (keying->integrity_key_length == 0) return throw_range(env, "integrityKey is empty"), false;
  }
  if (!option_octets(env, options, "key", &keying->key, &key_length)) return false;
  if (key_length == keying->cipher->key_length) return true;
  return throw_range(env, "key does not have the length of the cipher's key"), false;
}

static bool fill_context(struct state *state, napi_value options, struct context *context) {
  napi_env env = state->env;
  char name[32];
  int64_t icv_length;
  if (!option_string(env, options, "cipher", name, sizeof name) ||
      !option_integer(env, options, "icvLength", 8, MAC_OCTETS, &icv_length) ||
      !option_boolean(env, options, "esn", &context->esn) ||
      !option_boolean(env, options, "seal", &context->seal) ||
      !read_back_end(env, options, context)) {
    return false;
  }
  context->icv_length = (uint8_t)icv_length;
  struct keying keying = { .cipher = cipher_named(name) };
  if (keying.cipher == NULL) return throw_range(env, "cipher is not one of ours"), false;
  return read_mode(env, options, keying.cipher, context) &&
         shape_mode(env, options, keying.cipher, context) &&
         read_keys(env, options, &keying, context) &&
         context->back_end->key(state, &keying, context);
}

napi_value tsgw_context(napi_env env, napi_callback_info info) {
  napi_value options;
  struct state *state = arguments(env, info, 1, &options);
  if (state == NULL) return NULL;
  struct context *context = calloc(1, sizeof *context);
  if (context == NULL) return throw_errno(env, "calloc", ENOMEM);
  if (!fill_context(state, options, context)) {
    context_wipe(context);
    ERR_clear_error();
    return NULL;
  }
  int32_t handle = handles_add(&state->contexts, context);
  if (handle == NONE) {
    context_wipe(context);
    return throw_range(env, "no room for another context");
  }
  return result_integer(env, handle);
}

static bool add_text(napi_env env, napi_value object, const char *name, const char *text) {
  napi_value value;
  return napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) == napi_ok &&
         napi_set_named_property(env, object, name, value) == napi_ok;
}

napi_value tsgw_back_ends(napi_env env, napi_callback_info info) {
  napi_value list, one;
  struct state *state = arguments(env, info, 0, NULL);
  if (state == NULL || napi_create_array(env, &list) != napi_ok) return NULL;
  for (uint32_t at = 0; at < sizeof back_ends / sizeof *back_ends; at++) {
    const char *missing = NULL;
    const char *version = back_ends[at]->version(state, &missing);
    const char *key = version == NULL ? "missing" : "version";
    if (napi_create_object(env, &one) != napi_ok ||
        !add_text(env, one, "name", back_ends[at]->name) ||
        !add_text(env, one, key, version == NULL ? missing : version) ||
        napi_set_element(env, list, at, one) != napi_ok) {
      return NULL;
    }
  }
  return list;
}

napi_value tsgw_free_context(napi_env env, napi_callback_info info) {
  napi_value value;
  int64_t handle;
  struct state *state = arguments(env, info, 1, &value);
  if (state == NULL || !argument_integer(env, value, "context", 0, INT32_MAX, &handle)) return NULL;
  struct context *context = handles_remove(&state->contexts, (int32_t)handle);
  if (context == NULL) return throw_range(env, "no context of this thread has that number");
  context_wipe(context);
  return result_undefined(env);
}
