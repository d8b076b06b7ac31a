/*
 * A keyed cipher context: one ESP SA, one direction.
 */
#ifndef TSGW_CONTEXT_H
#define TSGW_CONTEXT_H

#include "tsgw.h"

#include <openssl/evp.h>

enum {
  ESP_HEADER_OCTETS = 8,
  AES_BLOCK_OCTETS = 16,
  /** The longest of them all: an IV of CBC, or the counter block of counter mode. */
  NONCE_OCTETS = 16,
  SALT_OCTETS = 4
};

enum mode { MODE_NULL, MODE_CBC, MODE_CTR, MODE_GCM, MODE_GMAC, MODE_CCM, MODE_CHACHA };

/** What makes the ICV where the cipher does not. */
struct mac {
  /** Keyed; NULL with a CBC-MAC or without a MAC. */
  EVP_MAC_CTX *hmac;
  /** AES-128 in CBC mode, keyed; NULL with an HMAC or without a MAC. */
  EVP_CIPHER_CTX *cbc;
  /** What the last block of a CBC-MAC is masked with: one that is full, one that was padded. */
  uint8_t whole[AES_BLOCK_OCTETS];
  uint8_t padded[AES_BLOCK_OCTETS];
};

struct context {
  /** NULL with the NULL cipher. */
  EVP_CIPHER_CTX *cipher;
  struct mac mac;
  enum mode mode;
  uint8_t salt[SALT_OCTETS];
  uint8_t salt_length;
  uint8_t iv_length;
  uint8_t block_length;
  uint8_t icv_length;
  bool esn;
  bool seal;
};

static inline bool context_is_aead(const struct context *context) {
  return context->mode >= MODE_GCM;
}

/** Reads `mac` and `integrityKey`; false with an exception pending. */
bool mac_key(napi_env env, napi_value options, struct mac *mac, size_t icv_length);
void mac_free(struct mac *mac);
/** The MAC over `octets` and the `tail` behind them, in full length, into EVP_MAX_MD_SIZE octets. */
bool mac_compute(const struct mac *mac, const uint8_t *octets, size_t length, const uint8_t *tail,
                 size_t tail_length, uint8_t *out);

#endif
