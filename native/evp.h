/*
 * What a context has of OpenSSL's.
 */
#ifndef TSGW_EVP_H
#define TSGW_EVP_H

#include "context.h"

#include <openssl/evp.h>

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

/** False with an exception pending. */
bool mac_key(napi_env env, const struct keying *keying, size_t icv_length, struct mac *mac);
void mac_free(struct mac *mac);
/** The MAC over `octets` and the `tail` behind them, in full length, into MAC_OCTETS octets. */
bool mac_compute(const struct mac *mac, const uint8_t *octets, size_t length, const uint8_t *tail,
                 size_t tail_length, uint8_t *out);

#endif
