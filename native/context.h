/*
 * A keyed cipher context: one ESP SA, one direction.
 */
#ifndef TSGW_CONTEXT_H
#define TSGW_CONTEXT_H

#include "tsgw.h"

#include <openssl/evp.h>

enum {
  ESP_HEADER_OCTETS = 8,
  AEAD_IV_OCTETS = 8,
  AEAD_SALT_OCTETS = 4,
  AEAD_NONCE_OCTETS = 12,
  CBC_IV_OCTETS = 16,
  CBC_BLOCK_OCTETS = 16
};

struct context {
  EVP_CIPHER_CTX *cipher;
  /** HMAC, keyed; NULL with an AEAD. */
  EVP_MAC_CTX *mac;
  uint8_t salt[AEAD_SALT_OCTETS];
  uint8_t icv_length;
  bool esn;
  bool seal;
};

static inline size_t context_iv_length(const struct context *context) {
  return context->mac == NULL ? AEAD_IV_OCTETS : CBC_IV_OCTETS;
}

#endif
