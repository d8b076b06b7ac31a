/*
 * Making and wiping keyed cipher contexts over the OpenSSL that node carries.
 */
#include "context.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

struct cipher {
  const char *name;
  const char *openssl;
  bool aead;
};

static const struct cipher ciphers[] = {
  { "aes-128-gcm", "AES-128-GCM", true },
  { "aes-192-gcm", "AES-192-GCM", true },
  { "aes-256-gcm", "AES-256-GCM", true },
  { "chacha20-poly1305", "ChaCha20-Poly1305", true },
  { "aes-128-cbc", "AES-128-CBC", false },
  { "aes-192-cbc", "AES-192-CBC", false },
  { "aes-256-cbc", "AES-256-CBC", false },
};

struct digest {
  const char *name;
  const char *openssl;
};

static const struct digest digests[] = {
  { "sha1", "SHA1" },
  { "sha256", "SHA2-256" },
  { "sha384", "SHA2-384" },
  { "sha512", "SHA2-512" },
};

static const struct cipher *cipher_named(const char *name) {
  for (size_t at = 0; at < sizeof ciphers / sizeof *ciphers; at++) {
    if (strcmp(ciphers[at].name, name) == 0) return &ciphers[at];
  }
  return NULL;
}

static const struct digest *digest_named(const char *name) {
  for (size_t at = 0; at < sizeof digests / sizeof *digests; at++) {
    if (strcmp(digests[at].name, name) == 0) return &digests[at];
  }
  return NULL;
}

/** OpenSSL wipes the key schedules it frees. */
void context_wipe(void *item) {
  struct context *context = item;
  EVP_CIPHER_CTX_free(context->cipher);
  EVP_MAC_CTX_free(context->mac);
  OPENSSL_cleanse(context, sizeof *context);
  free(context);
}

static bool key_cipher(napi_env env, napi_value options, const struct cipher *named,
                       struct context *context) {
  const uint8_t *key;
  size_t key_length;
  if (!option_octets(env, options, "key", &key, &key_length)) return false;
  EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, named->openssl, NULL);
  context->cipher = EVP_CIPHER_CTX_new();
  bool fits = cipher != NULL && (size_t)EVP_CIPHER_get_key_length(cipher) == key_length;
  bool keyed = fits && context->cipher != NULL &&
               EVP_CipherInit_ex(context->cipher, cipher, NULL, key, NULL, context->seal) == 1 &&
               (named->aead || EVP_CIPHER_CTX_set_padding(context->cipher, 0) == 1);
  EVP_CIPHER_free(cipher);
  if (!fits) throw_range(env, "key does not have the length of the cipher's key");
  if (fits && !keyed) throw_errno(env, "EVP_CipherInit_ex", EIO);
  return keyed;
}

static bool key_mac(napi_env env, napi_value options, struct context *context) {
  char name[16];
  const uint8_t *key;
  size_t key_length;
  if (!option_string(env, options, "digest", name, sizeof name) ||
      !option_octets(env, options, "integrityKey", &key, &key_length)) {
    return false;
  }
  const struct digest *digest = digest_named(name);
  if (digest == NULL) return throw_range(env, "digest is not one of ours"), false;
  if (key_length == 0) return throw_range(env, "integrityKey is empty"), false;
  OSSL_PARAM parameters[] = {
    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)digest->openssl, 0),
    OSSL_PARAM_construct_end(),
  };
  EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  context->mac = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
  EVP_MAC_free(mac);
  if (context->mac == NULL || EVP_MAC_init(context->mac, key, key_length, parameters) != 1) {
    return throw_errno(env, "EVP_MAC_init", EIO), false;
  }
  if (context->icv_length > EVP_MAC_CTX_get_mac_size(context->mac)) {
    return throw_range(env, "icvLength is more than the digest has"), false;
  }
  return true;
}

static bool check_aead(napi_env env, const struct cipher *cipher, const uint8_t *salt,
                       size_t salt_length, struct context *context) {
  if (salt_length != AEAD_SALT_OCTETS) return throw_range(env, "salt is not 4 octets"), false;
  bool chacha = strcmp(cipher->name, "chacha20-poly1305") == 0;
  uint8_t icv = context->icv_length;
  if (icv != 16 && (chacha || (icv != 8 && icv != 12))) {
    return throw_range(env, "icvLength is not one of the cipher's"), false;
  }
  memcpy(context->salt, salt, AEAD_SALT_OCTETS);
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
  if (cipher->aead) {
    if (!check_aead(env, cipher, salt, salt_length, context)) return false;
  } else {
    if (salt_length != 0) return throw_range(env, "salt is not empty"), false;
    if (!key_mac(env, options, context)) return false;
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
