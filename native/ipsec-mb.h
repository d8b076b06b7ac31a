/*
 * Intel's Multi-Buffer Crypto for IPsec, found at run time: what of its interface is used here, laid
 * out as version 1.3 has it. Nothing of the library is needed to compile this.
 */
#ifndef TSGW_IPSEC_MB_H
#define TSGW_IPSEC_MB_H

#include "context.h"

/** The one version whose structures these are; another one is not used. */
enum { IPSEC_MB_VERSION = 0x10300 };

enum { IPSEC_MB_ENCRYPT = 1, IPSEC_MB_DECRYPT = 2 };
enum { IPSEC_MB_CIPHER_THEN_HASH = 1, IPSEC_MB_HASH_THEN_CIPHER = 2 };
enum { IPSEC_MB_COMPLETED = 3 };
enum { IPSEC_MB_CBC = 1, IPSEC_MB_CTR = 2, IPSEC_MB_CHACHA20_POLY1305 = 19 };
enum {
  IPSEC_MB_HMAC_SHA1 = 1,
  IPSEC_MB_HMAC_SHA256 = 3,
  IPSEC_MB_HMAC_SHA384 = 4,
  IPSEC_MB_HMAC_SHA512 = 5,
  IPSEC_MB_POLY1305 = 29
};

/** One packet on its way (IMB_JOB). */
struct ipsec_mb_job {
  const void *encryption_keys;
  const void *decryption_keys;
  uint64_t key_length;
  const uint8_t *source;
  uint8_t *destination;
  uint64_t cipher_offset;
  uint64_t cipher_length;
  uint64_t hash_offset;
  uint64_t hash_length;
  const uint8_t *iv;
  uint64_t iv_length;
  uint8_t *tag;
  uint64_t tag_length;
  /** What the hash wants besides. */
  union {
    struct {
      const uint8_t *inner;
      const uint8_t *outer;
      uint64_t unused;
    } hmac;
    struct {
      const void *octets;
      uint64_t length;
      void *unused;
    } aad;
  } with;
  int status;
  int cipher;
  int direction;
  int hash;
  int order;
  void *user_data;
  void *user_data2;
  void *functions[2];
  int segments;
  void *next_iv;
};

struct ipsec_mb_manager;

typedef struct ipsec_mb_job *ipsec_mb_job_function(struct ipsec_mb_manager *manager);
typedef void ipsec_mb_expand_key(const void *key, void *encryption_keys, void *decryption_keys);
typedef void ipsec_mb_one_block(const void *block, void *state);
typedef void ipsec_mb_gcm_key(const void *key, void *key_data);
typedef void ipsec_mb_gcm(const void *key_data, void *scratch, uint8_t *out, const uint8_t *in,
                          uint64_t length, const uint8_t *iv, const uint8_t *aad,
                          uint64_t aad_length, uint8_t *tag, uint64_t tag_length);

/** The library's instance, and the functions it chose for this processor (IMB_MGR). */
struct ipsec_mb_manager {
  uint64_t flags;
  uint64_t features;
  uint64_t reserved[5];
  uint32_t architecture;
  int error;
  ipsec_mb_job_function *get_next_job;
  ipsec_mb_job_function *submit_job;
  ipsec_mb_job_function *submit_job_nocheck;
  ipsec_mb_job_function *get_completed_job;
  ipsec_mb_job_function *flush_job;
  void *queue_size;
  /** By length of the key: 16, 24, 32 octets; so are the arrays of GCM. */
  ipsec_mb_expand_key *expand_key[3];
  void *of_other_macs[3];
  ipsec_mb_one_block *sha1_block;
  ipsec_mb_one_block *sha224_block;
  ipsec_mb_one_block *sha256_block;
  ipsec_mb_one_block *sha384_block;
  ipsec_mb_one_block *sha512_block;
  void *of_plain_digests[7];
  ipsec_mb_gcm *gcm_seal[3];
  ipsec_mb_gcm *gcm_open[3];
  void *of_gcm_in_pieces[18];
  ipsec_mb_gcm_key *gcm_key[3];
  /* More of them, and the library's own. */
};

enum {
  /** Round keys and powers of the hash key (gcm_key_data). */
  GCM_KEY_OCTETS = 1024,
  /** What the library keeps while it is at one packet (gcm_context_data). */
  GCM_SCRATCH_OCTETS = 88,
  /** Both must lie at a multiple of this. */
  IPSEC_MB_ALIGNMENT = 64
};

/** What a job reads and writes beside its packet. */
struct ipsec_mb_beside {
  uint8_t nonce[NONCE_OCTETS];
  /** The MAC that was made, and what the packet had in its place. */
  uint8_t mac[MAC_OCTETS];
  uint8_t icv[MAC_OCTETS];
};

/** The library as one environment has it. */
struct ipsec_mb {
  _Alignas(IPSEC_MB_ALIGNMENT) uint8_t gcm_scratch[128];
  void *library;
  struct later later[LATER];
  struct ipsec_mb_beside beside[LATER];
  unsigned later_count;
  /** NULL where the library is not used. */
  struct ipsec_mb_manager *manager;
  size_t manager_length;
  /** Empty where there is no library. */
  char version[32];
  /** Why it is not used; empty where it is. */
  char missing[160];
};

/** Cipher and MAC in one: keys of a context, and how its packets are made. */
bool ipsec_mb_jobs_have(const struct keying *keying, const struct context *context);
bool ipsec_mb_jobs_key(struct state *state, const struct keying *keying, struct context *context);
int ipsec_mb_jobs_do(struct state *state, const struct context *context,
                     const struct parts *parts);
void ipsec_mb_jobs_wipe(struct context *context);

/** Looks for the library once; NULL only where there is no memory. */
struct ipsec_mb *ipsec_mb_of(struct state *state);

#endif
