/*
 * Making and wiping keyed cipher contexts over the OpenSSL that node carries.
 */
#include "context.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

struct cipher {
  const char *name;
  /** NULL where nothing is encrypted at all. */
  const char *openssl;
  enum mode mode;
};

static const struct cipher ciphers[] = {
  { "aes-128-gcm", "AES-128-GCM", MODE_GCM },
  { "aes-192-gcm", "AES-192-GCM", MODE_GCM },
  { "aes-256-gcm", "AES-256-GCM", MODE_GCM },
  { "chacha20-poly1305", "ChaCha20-Poly1305", MODE_CHACHA },
  { "aes-128-ccm", "AES-128-CCM", MODE_CCM },
  { "aes-192-ccm", "AES-192-CCM", MODE_CCM },
  { "aes-256-ccm", "AES-256-CCM", MODE_CCM },
  { "aes-128-cbc", "AES-128-CBC", MODE_CBC },
  { "aes-192-cbc", "AES-192-CBC", MODE_CBC },
  { "aes-256-cbc", "AES-256-CBC", MODE_CBC },
  { "aes-128-ctr", "AES-128-CTR", MODE_CTR },
  { "aes-192-ctr", "AES-192-CTR", MODE_CTR },
  { "aes-256-ctr", "AES-256-CTR", MODE_CTR },
  { "camellia-128-cbc", "CAMELLIA-128-CBC", MODE_CBC },
  { "camellia-192-cbc", "CAMELLIA-192-CBC", MODE_CBC },
  { "camellia-256-cbc", "CAMELLIA-256-CBC", MODE_CBC },
  { "camellia-128-ctr", "CAMELLIA-128-CTR", MODE_CTR },
  { "camellia-192-ctr", "CAMELLIA-192-CTR", MODE_CTR },
  { "camellia-256-ctr", "CAMELLIA-256-CTR", MODE_CTR },
  { "des-ede3-cbc", "DES-EDE3-CBC", MODE_CBC },
  { "null", NULL, MODE_NULL },
};

static const struct cipher *cipher_named(const char *name) {
  for (size_t at = 0; at < sizeof ciphers / sizeof *ciphers; at++) {
    if (strcmp(ciphers[at].name, name) == 0) return &ciphers[at];
  }
  return NULL;
}

/** OpenSSL wipes the key schedules it frees. */
void context_wipe(void *item) {
  struct context *context = item;
  EVP_CIPHER_CTX_free(context->cipher);
  mac_free(&context->mac);
  OPENSSL_cleanse(context, sizeof *context);
  free(context);
}

/** What has to be said of a mode before it is keyed. */
static bool prepare_mode(const struct context *context) {
  EVP_CIPHER_CTX *cipher = context->cipher;
  if (context->mode == MODE_CBC) return EVP_CIPHER_CTX_set_padding(cipher, 0) == 1;
  if (context->mode != MODE_CCM) return true;
  /* RFC 4309 §4: nonces of 11 octets, so that the length has 4. */
  int nonce_length = context->salt_length + context->iv_length;
  return EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_IVLEN, nonce_length, NULL) == 1 &&
         EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, context->icv_length, NULL) == 1;
}

static bool key_cipher(napi_env env, napi_value options, const struct cipher *named,
                       struct context *context) {
  const uint8_t *key;
  size_t key_length;
  if (!option_octets(env, options, "key", &key, &key_length)) return false;
  if (named->openssl == NULL) {
    if (key_length != 0) return throw_range(env, "key is not empty"), false;
    return true;
  }
  EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, named->openssl, NULL);
  context->cipher = EVP_CIPHER_CTX_new();
  bool fits = cipher != NULL && (size_t)EVP_CIPHER_get_key_length(cipher) == key_length;
  bool keyed = fits && context->cipher != NULL &&
               EVP_CipherInit_ex(context->cipher, cipher, NULL, NULL, NULL, context->seal) == 1 &&
               prepare_mode(context) &&
               EVP_CipherInit_ex(context->cipher, NULL, NULL, key, NULL, -1) == 1;
  if (keyed && context->mode == MODE_CBC) {
    context->iv_length = (uint8_t)EVP_CIPHER_get_iv_length(cipher);
    context->block_length = (uint8_t)EVP_CIPHER_get_block_size(cipher);
  }
  EVP_CIPHER_free(cipher);
  if (!fits) throw_range(env, "key does not have the length of the cipher's key");
  if (fits && !keyed) throw_errno(env, "EVP_CipherInit_ex", EIO);
  return keyed;
}

/** Salt and IV of the mode; a CBC cipher says the length of its own blocks when it is keyed. */
static bool shape_mode(napi_env env, const uint8_t *salt, size_t salt_length,
                       struct context *context) {
  bool counter = context->mode >= MODE_CTR;
  context->iv_length = counter ? 8 : 0;
  context->salt_length = context->mode == MODE_CCM ? 3 : counter ? 4 : 0;
  context->block_length = 1;
  if (salt_length != context->salt_length) {
    return throw_range(env, "salt does not have the length of the cipher's salt"), false;
  }
  memcpy(context->salt, salt, salt_length);
  return true;
}

static bool check_tag(napi_env env, const struct context *context) {
  uint8_t icv = context->icv_length;
  bool shorter = context->mode == MODE_GCM || context->mode == MODE_CCM;
  if (icv == 16 || (shorter && (icv == 8 || icv == 12))) return true;
  return throw_range(env, "icvLength is not one of the cipher's"), false;
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

static bool fill_context(napi_env env, napi_value options, struct context *context) {
  char name[32];
  int64_t icv_length;
  const uint8_t *salt;
  size_t salt_length;
  if (!option_string(env, options, "cipher", name, sizeof name) ||
      !option_integer(env, options, "icvLength", 8, 64, &icv_length) ||
      !option_boolean(env, options, "esn", &context->esn) ||
      !option_boolean(env, options, "seal", &context->seal) ||
      !option_octets(env, options, "salt", &salt, &salt_length)) {
    return false;
  }
  context->icv_length = (uint8_t)icv_length;
  const struct cipher *cipher = cipher_named(name);
  if (cipher == NULL) return throw_range(env, "cipher is not one of ours"), false;
  if (!read_mode(env, options, cipher, context)) return false;
  if (!shape_mode(env, salt, salt_length, context)) return false;
  if (context_is_aead(context) ? !check_tag(env, context)
                               : !mac_key(env, options, &context->mac, context->icv_length)) {
    return false;
  }
  return key_cipher(env, options, cipher, context);
}

napi_value tsgw_context(napi_env env, napi_callback_info info) {
  napi_value options;
  struct state *state = arguments(env, info, 1, &options);
  if (state == NULL) return NULL;
  struct context *context = calloc(1, sizeof *context);
  if (context == NULL) return throw_errno(env, "calloc", ENOMEM);
  if (!fill_context(env, options, context)) {
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
