/*
 * A keyed cipher context: one ESP SA, one direction. What it is and the shape of its packets stand
 * here; the arithmetic is a back end's, one of several behind one table of functions.
 */
#ifndef TSGW_CONTEXT_H
#define TSGW_CONTEXT_H

#include "tsgw.h"

#include <string.h>

enum {
  ESP_HEADER_OCTETS = 8,
  AES_BLOCK_OCTETS = 16,
  /** The longest of them all: an IV of CBC, or the counter block of counter mode. */
  NONCE_OCTETS = 16,
  SALT_OCTETS = 4,
  /** SPI and 64 bits of sequence number, and as much room as a cipher may read. */
  AAD_OCTETS = 16,
  /** The longest of a digest, and more than a cipher's own ICV. */
  MAC_OCTETS = 64
};

/** No STATUS of a row: the packet is done with others of its kind. */
enum { STATUS_LATER = 2 };

enum mode { MODE_NULL, MODE_CBC, MODE_CTR, MODE_GCM, MODE_GMAC, MODE_CCM, MODE_CHACHA };

/** A cipher by OpenSSL's name. */
struct cipher {
  const char *name;
  enum mode mode;
  uint8_t key_length;
  /** Of a body that is whole blocks, and of their IV; 1 where a body may have any length. */
  uint8_t block_length;
};

/** What an SA is keyed with, as JavaScript gave it and of the lengths its cipher has. */
struct keying {
  const struct cipher *cipher;
  const uint8_t *key;
  /** Empty where the cipher makes the ICV. */
  char mac[16];
  const uint8_t *integrity_key;
  size_t integrity_key_length;
};

struct context;
struct parts;

/** A library that ciphers packets. */
struct back_end {
  const char *name;
  /** The version, or NULL and why it is not to be had. */
  const char *(*version)(struct state *state, const char **missing);
  /** Sets `context->keys`; false with an exception pending, and then nothing is left behind. */
  bool (*key)(struct state *state, const struct keying *keying, struct context *context);
  /**
   * Where the body lies; each answers a STATUS, or STATUS_LATER and means it with the next
   * `ipsec_mb_finish`. Behind a bad ICV no plaintext is left.
   */
  int (*seal)(struct state *state, const struct context *context, const struct parts *parts);
  int (*open)(struct state *state, const struct context *context, const struct parts *parts);
  /** Frees `context->keys`, overwritten. */
  void (*wipe)(struct context *context);
};

/** Over the OpenSSL that node carries: has every cipher. */
extern const struct back_end evp_back_end;
/** Intel's library, where the machine has it: has the ciphers of most packets. */
extern const struct back_end ipsec_mb_back_end;

struct context {
  const struct back_end *back_end;
  /** Of the back end's own kind; NULL before it is keyed. */
  void *keys;
  enum mode mode;
  uint8_t key_length;
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

/** A packet cut into its parts. */
struct parts {
  const struct row *row;
  uint8_t *header;
  uint8_t *iv;
  uint8_t *body;
  size_t body_length;
  uint8_t *icv;
  /** High sequence half in network order. */
  uint8_t high[4];
};

/** A packet that was left for later, and what became of it. */
struct later {
  const struct context *context;
  struct row row;
  struct parts parts;
  int status;
};

/** Packets that can be left for later at a time. */
enum { LATER = 64 };

/** Does what was left for later. Answers it, to be looked at before the next packet. */
const struct later *ipsec_mb_finish(struct state *state, unsigned *count);

/** Salt and IV, in counter mode with a block counter of 1 behind (RFC 3686 §4). */
static inline void packet_nonce(const struct context *context, const struct parts *parts,
                                uint8_t nonce[NONCE_OCTETS]) {
  memcpy(nonce, context->salt, context->salt_length);
  memcpy(nonce + context->salt_length, parts->iv, context->iv_length);
  if (context->mode == MODE_CTR) memcpy(nonce + 12, (const uint8_t[]){ 0, 0, 0, 1 }, 4);
}

/** RFC 4106 §5: SPI | sequence number, with ESN the 64 bits of it. Answers the length. */
static inline size_t packet_aad(const struct context *context, const struct parts *parts,
                                uint8_t aad[AAD_OCTETS]) {
  memcpy(aad, parts->header, ESP_HEADER_OCTETS);
  if (!context->esn) return ESP_HEADER_OCTETS;
  memcpy(aad + 4, parts->high, 4);
  memcpy(aad + 8, parts->header + 4, 4);
  return ESP_HEADER_OCTETS + 4;
}

#endif
