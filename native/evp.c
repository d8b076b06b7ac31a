/*
 * Sealing and opening over the OpenSSL that node carries: every cipher, one packet at a time.
 *
 * Combined modes (RFC 4106, RFC 4309, RFC 7634) have SPI and sequence number in their AAD; GMAC
 * (RFC 4543 §3.3) IV and body as well, and it encrypts nothing. Otherwise encrypt then MAC: the ICV
 * covers header | IV | body, with ESN followed by the high half that is not sent.
 */
#include "evp.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

_Static_assert(MAC_OCTETS == EVP_MAX_MD_SIZE, "a digest fits");

struct evp_keys {
  /** NULL with the NULL cipher. */
  EVP_CIPHER_CTX *cipher;
  struct mac mac;
};

/** What has to be said of a mode before it is keyed. */
static bool prepare_mode(EVP_CIPHER_CTX *cipher, const struct context *context) {
  if (context->mode == MODE_CBC) return EVP_CIPHER_CTX_set_padding(cipher, 0) == 1;
  if (context->mode != MODE_CCM) return true;
  /* RFC 4309 §4: nonces of 11 octets, so that the length has 4. */
  int nonce_length = context->salt_length + context->iv_length;
  return EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_IVLEN, nonce_length, NULL) == 1 &&
         EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, context->icv_length, NULL) == 1;
}

static bool key_cipher(napi_env env, const struct keying *keying, const struct context *context,
                       struct evp_keys *keys) {
  if (context->mode == MODE_NULL) return true;
  EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, keying->cipher->name, NULL);
  keys->cipher = EVP_CIPHER_CTX_new();
  bool keyed = cipher != NULL && keys->cipher != NULL &&
               EVP_CIPHER_get_key_length(cipher) == keying->cipher->key_length &&
               EVP_CipherInit_ex(keys->cipher, cipher, NULL, NULL, NULL, context->seal) == 1 &&
               prepare_mode(keys->cipher, context) &&
               EVP_CipherInit_ex(keys->cipher, NULL, NULL, keying->key, NULL, -1) == 1;
  EVP_CIPHER_free(cipher);
  if (!keyed) throw_errno(env, "EVP_CipherInit_ex", EIO);
  return keyed;
}

/** OpenSSL wipes the key schedules it frees. */
static void free_keys(struct evp_keys *keys) {
  EVP_CIPHER_CTX_free(keys->cipher);
  mac_free(&keys->mac);
  OPENSSL_cleanse(keys, sizeof *keys);
  free(keys);
}

static void evp_wipe(struct context *context) {
  free_keys(context->keys);
}

static bool evp_key(struct state *state, const struct keying *keying, struct context *context) {
  struct evp_keys *keys = calloc(1, sizeof *keys);
  if (keys == NULL) return throw_errno(state->env, "calloc", ENOMEM), false;
  if ((context_is_aead(context) ||
       mac_key(state->env, keying, context->icv_length, &keys->mac)) &&
      key_cipher(state->env, keying, context, keys)) {
    context->keys = keys;
    return true;
  }
  free_keys(keys);
  return false;
}

static bool cipher_begin(const struct context *context, const struct parts *parts) {
  const struct evp_keys *keys = context->keys;
  uint8_t nonce[NONCE_OCTETS];
  packet_nonce(context, parts, nonce);
  return EVP_CipherInit_ex(keys->cipher, NULL, NULL, NULL, nonce, -1) == 1;
}

static bool cipher_body(const struct context *context, const struct parts *parts) {
  const struct evp_keys *keys = context->keys;
  int written = 0;
  if (parts->body_length == 0) return true;
  return EVP_CipherUpdate(keys->cipher, parts->body, &written, parts->body,
                          (int)parts->body_length) == 1 &&
         (size_t)written == parts->body_length;
}

/** CCM wants the length of the body before anything else. */
static bool aead_begin(const struct context *context, const struct parts *parts) {
  EVP_CIPHER_CTX *cipher = ((const struct evp_keys *)context->keys)->cipher;
  uint8_t aad[AAD_OCTETS];
  int written;
  int aad_length = (int)packet_aad(context, parts, aad);
  if (context->mode == MODE_CCM &&
      EVP_CipherUpdate(cipher, NULL, &written, NULL, (int)parts->body_length) != 1) {
    return false;
  }
  if (EVP_CipherUpdate(cipher, NULL, &written, aad, aad_length) != 1) return false;
  if (context->mode != MODE_GMAC) return true;
  /* RFC 4543 §3.3: IV and body lie behind one another in the packet. */
  return EVP_CipherUpdate(cipher, NULL, &written, parts->iv, (int)(parts->icv - parts->iv)) == 1;
}

static bool aead_body(const struct context *context, const struct parts *parts) {
  return context->mode == MODE_GMAC || cipher_body(context, parts);
}

static int aead_seal(const struct context *context, const struct parts *parts) {
  EVP_CIPHER_CTX *cipher = ((const struct evp_keys *)context->keys)->cipher;
  int written = 0;
  bool sealed = cipher_begin(context, parts) && aead_begin(context, parts) &&
                aead_body(context, parts) &&
                EVP_CipherFinal_ex(cipher, parts->icv, &written) == 1 &&
                EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, context->icv_length,
                                    parts->icv) == 1;
  return sealed ? STATUS_OK : -EIO;
}

static int aead_open(const struct context *context, const struct parts *parts) {
  EVP_CIPHER_CTX *cipher = ((const struct evp_keys *)context->keys)->cipher;
  int written = 0;
  if (!cipher_begin(context, parts) ||
      EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, context->icv_length, parts->icv) != 1 ||
      !aead_begin(context, parts)) {
    return -EIO;
  }
  bool opened = aead_body(context, parts);
  /* CCM has looked at the tag with the body, the others look at the end. */
  bool good = context->mode == MODE_CCM
                ? opened
                : opened && EVP_CipherFinal_ex(cipher, parts->icv, &written) == 1;
  if (good) return STATUS_OK;
  /* Nobody may look at a body whose ICV did not match. */
  OPENSSL_cleanse(parts->body, parts->body_length);
  return opened || context->mode == MODE_CCM ? STATUS_BAD_ICV : -EIO;
}

static bool plain_mac(const struct context *context, const struct parts *parts, uint8_t *out) {
  const struct evp_keys *keys = context->keys;
  size_t covered = (size_t)(parts->icv - parts->header);
  /* RFC 4303 §2.2.1: the high half is authenticated though it is not sent. */
  return mac_compute(&keys->mac, parts->header, covered, parts->high, context->esn ? 4 : 0, out);
}

static bool plain_body(const struct context *context, const struct parts *parts) {
  if (context->mode == MODE_NULL) return true;
  return cipher_begin(context, parts) && cipher_body(context, parts);
}

static int evp_seal(struct state *state, const struct context *context, const struct parts *parts) {
  (void)state;
  uint8_t full[MAC_OCTETS];
  if (context_is_aead(context)) return aead_seal(context, parts);
  if (!plain_body(context, parts) || !plain_mac(context, parts, full)) return -EIO;
  memcpy(parts->icv, full, context->icv_length);
  return STATUS_OK;
}

static int evp_open(struct state *state, const struct context *context, const struct parts *parts) {
  (void)state;
  uint8_t full[MAC_OCTETS];
  if (context_is_aead(context)) return aead_open(context, parts);
  if (!plain_mac(context, parts, full)) return -EIO;
  if (CRYPTO_memcmp(full, parts->icv, context->icv_length) != 0) return STATUS_BAD_ICV;
  return plain_body(context, parts) ? STATUS_OK : -EIO;
}

static const char *evp_version(struct state *state, const char **missing) {
  (void)state;
  (void)missing;
  return OpenSSL_version(OPENSSL_VERSION_STRING);
}

const struct back_end evp_back_end = {
  .name = "evp",
  .version = evp_version,
  .key = evp_key,
  .seal = evp_seal,
  .open = evp_open,
  .wipe = evp_wipe,
};
