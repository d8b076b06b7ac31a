/*
 * Message authentication codes of packets: HMAC, and CBC-MAC with a masked last block, which is
 * AES-XCBC (RFC 3566) or AES-CMAC (RFC 4493) by the key and the masks it is given.
 */
#include "evp.h"

#include <errno.h>
#include <openssl/core_names.h>

/** Octets a CBC-MAC runs through at a time; what comes out but the last block is of no use. */
enum { STRIDE_OCTETS = 512 };

struct digest {
  const char *name;
  const char *openssl;
};

static const struct digest digests[] = {
  { "hmac-sha1", "SHA1" },
  { "hmac-sha256", "SHA2-256" },
  { "hmac-sha384", "SHA2-384" },
  { "hmac-sha512", "SHA2-512" },
};

static const struct digest *digest_named(const char *name) {
  for (size_t at = 0; at < sizeof digests / sizeof *digests; at++) {
    if (strcmp(digests[at].name, name) == 0) return &digests[at];
  }
  return NULL;
}

static bool key_hmac(napi_env env, const struct digest *digest, const uint8_t *key, size_t length,
                     struct mac *mac) {
  OSSL_PARAM parameters[] = {
    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)digest->openssl, 0),
    OSSL_PARAM_construct_end(),
  };
  EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  mac->hmac = hmac == NULL ? NULL : EVP_MAC_CTX_new(hmac);
  EVP_MAC_free(hmac);
  if (mac->hmac != NULL && EVP_MAC_init(mac->hmac, key, length, parameters) == 1) return true;
  return throw_errno(env, "EVP_MAC_init", EIO), false;
}

/** The key is three blocks: the cipher's key and both masks. */
static bool key_cbc(napi_env env, const uint8_t *key, size_t length, struct mac *mac) {
  if (length != 3 * AES_BLOCK_OCTETS) {
    return throw_range(env, "integrityKey is not a key and two masks"), false;
  }
  EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
  mac->cbc = EVP_CIPHER_CTX_new();
  bool keyed = cipher != NULL && mac->cbc != NULL &&
               EVP_CipherInit_ex(mac->cbc, cipher, NULL, key, NULL, 1) == 1 &&
               EVP_CIPHER_CTX_set_padding(mac->cbc, 0) == 1;
  EVP_CIPHER_free(cipher);
  if (!keyed) return throw_errno(env, "EVP_CipherInit_ex", EIO), false;
  memcpy(mac->whole, key + AES_BLOCK_OCTETS, AES_BLOCK_OCTETS);
  memcpy(mac->padded, key + 2 * AES_BLOCK_OCTETS, AES_BLOCK_OCTETS);
  return true;
}

bool mac_key(napi_env env, const struct keying *keying, size_t icv_length, struct mac *mac) {
  const uint8_t *key = keying->integrity_key;
  size_t key_length = keying->integrity_key_length;
  bool cbc = strcmp(keying->mac, "aes-cbc-mac") == 0;
  const struct digest *digest = digest_named(keying->mac);
  if (digest == NULL && !cbc) return throw_range(env, "mac is not one of ours"), false;
  if (cbc ? !key_cbc(env, key, key_length, mac) : !key_hmac(env, digest, key, key_length, mac)) {
    return false;
  }
  size_t most = cbc ? AES_BLOCK_OCTETS : EVP_MAC_CTX_get_mac_size(mac->hmac);
  if (icv_length > most) return throw_range(env, "icvLength is more than the MAC has"), false;
  return true;
}

void mac_free(struct mac *mac) {
  EVP_MAC_CTX_free(mac->hmac);
  EVP_CIPHER_CTX_free(mac->cbc);
}

static bool hmac_compute(const struct mac *mac, const uint8_t *octets, size_t length,
                         const uint8_t *tail, size_t tail_length, uint8_t *out) {
  size_t written;
  return EVP_MAC_init(mac->hmac, NULL, 0, NULL) == 1 &&
         EVP_MAC_update(mac->hmac, octets, length) == 1 &&
         (tail_length == 0 || EVP_MAC_update(mac->hmac, tail, tail_length) == 1) &&
         EVP_MAC_final(mac->hmac, out, &written, MAC_OCTETS) == 1;
}

/** Runs whole blocks through the cipher. */
static bool cbc_absorb(const struct mac *mac, const uint8_t *octets, size_t length) {
  uint8_t discarded[STRIDE_OCTETS];
  for (size_t at = 0; at < length; at += STRIDE_OCTETS) {
    size_t left = length - at;
    int written;
    int stride = (int)(left < STRIDE_OCTETS ? left : STRIDE_OCTETS);
    if (EVP_CipherUpdate(mac->cbc, discarded, &written, octets + at, stride) != 1) return false;
  }
  return true;
}

static bool cbc_compute(const struct mac *mac, const uint8_t *octets, size_t length,
                        const uint8_t *tail, size_t tail_length, uint8_t *out) {
  static const uint8_t zero_iv[AES_BLOCK_OCTETS];
  size_t total = length + tail_length;
  /* All blocks but the last, which may be full; those of them that lie in `octets` alone first. */
  size_t front = total == 0 ? 0 : (total - 1) / AES_BLOCK_OCTETS * AES_BLOCK_OCTETS;
  size_t direct = length / AES_BLOCK_OCTETS * AES_BLOCK_OCTETS;
  if (direct > front) direct = front;
  /* Less than a block of `octets` is left, or one full block and no tail. */
  uint8_t rest[2 * AES_BLOCK_OCTETS];
  memset(rest, 0, sizeof rest);
  if (total - direct > sizeof rest) return false;
  memcpy(rest, octets + direct, length - direct);
  memcpy(rest + (length - direct), tail, tail_length);
  uint8_t *last = rest + (front - direct);
  size_t last_length = total - front;
  if (last_length < AES_BLOCK_OCTETS) last[last_length] = 0x80;
  const uint8_t *mask = last_length == AES_BLOCK_OCTETS ? mac->whole : mac->padded;
  for (size_t at = 0; at < AES_BLOCK_OCTETS; at++) last[at] ^= mask[at];
  int written = 0;
  return EVP_CipherInit_ex(mac->cbc, NULL, NULL, NULL, zero_iv, -1) == 1 &&
         cbc_absorb(mac, octets, direct) && cbc_absorb(mac, rest, front - direct) &&
         EVP_CipherUpdate(mac->cbc, out, &written, last, AES_BLOCK_OCTETS) == 1 &&
         written == AES_BLOCK_OCTETS;
}

bool mac_compute(const struct mac *mac, const uint8_t *octets, size_t length, const uint8_t *tail,
                 size_t tail_length, uint8_t *out) {
  if (mac->hmac != NULL) return hmac_compute(mac, octets, length, tail, tail_length, out);
  return mac->cbc != NULL && cbc_compute(mac, octets, length, tail, tail_length, out);
}
