/*
 * A cipher with a MAC beside it over Intel's library, which takes many packets side by side, one in
 * each lane of a vector, and is slow with a single one. So packets are left for later, and the few
 * that are left in the end go through OpenSSL.
 */
#include "ipsec-mb.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

enum {
  /** From so many on, packets side by side take less time than one after another with OpenSSL. */
  SIDE_BY_SIDE = 6,
  /** The library takes a little less than 64 KiB. */
  MOST_OCTETS = 0xff00,
  ROUND_KEYS_OCTETS = 15 * AES_BLOCK_OCTETS,
  MOST_BLOCK_OCTETS = 128
};

struct digest {
  const char *name;
  int hash;
  uint8_t block_length;
  /** What RFC 2404 or RFC 4868 cuts the MAC to. */
  uint8_t icv_length;
};

static const struct digest digests[] = {
  { "hmac-sha1", IPSEC_MB_HMAC_SHA1, 64, 12 },
  { "hmac-sha256", IPSEC_MB_HMAC_SHA256, 64, 16 },
  { "hmac-sha384", IPSEC_MB_HMAC_SHA384, 128, 24 },
  { "hmac-sha512", IPSEC_MB_HMAC_SHA512, 128, 32 },
};

/** What jobs of a context need. */
struct job_keys {
  /** Of the context's direction; in counter mode that of encryption. */
  _Alignas(AES_BLOCK_OCTETS) uint8_t round_keys[ROUND_KEYS_OCTETS];
  /** The digest's state behind the key's inner and outer block (RFC 2104 §4). */
  _Alignas(AES_BLOCK_OCTETS) uint8_t inner[MAC_OCTETS];
  _Alignas(AES_BLOCK_OCTETS) uint8_t outer[MAC_OCTETS];
  const struct digest *digest;
  /** The same over OpenSSL. */
  struct context evp;
};

static const struct digest *digest_of(const struct keying *keying) {
  for (size_t at = 0; at < sizeof digests / sizeof *digests; at++) {
    if (strcmp(digests[at].name, keying->mac) == 0) return &digests[at];
  }
  return NULL;
}

bool ipsec_mb_jobs_have(const struct keying *keying, const struct context *context) {
  const struct digest *digest = digest_of(keying);
  bool aes = strncmp(keying->cipher->name, "aes-", 4) == 0;
  return aes && (context->mode == MODE_CBC || context->mode == MODE_CTR) && digest != NULL &&
         context->icv_length == digest->icv_length &&
         keying->integrity_key_length <= digest->block_length;
}

static ipsec_mb_one_block *block_function(const struct ipsec_mb_manager *manager, int hash) {
  switch (hash) {
    case IPSEC_MB_HMAC_SHA1: return manager->sha1_block;
    case IPSEC_MB_HMAC_SHA256: return manager->sha256_block;
    case IPSEC_MB_HMAC_SHA384: return manager->sha384_block;
    default: return manager->sha512_block;
  }
}

/** RFC 2104 §2: the key, filled up to a block with zeros, XOR ipad or opad. */
static void digest_key(const struct ipsec_mb_manager *manager, const struct keying *keying,
                       struct job_keys *keys) {
  const struct {
    uint8_t pad;
    uint8_t *state;
  } ends[] = { { 0x36, keys->inner }, { 0x5c, keys->outer } };
  uint8_t block[MOST_BLOCK_OCTETS];
  for (size_t end = 0; end < 2; end++) {
    memset(block, ends[end].pad, sizeof block);
    for (size_t at = 0; at < keying->integrity_key_length; at++) {
      block[at] ^= keying->integrity_key[at];
    }
    block_function(manager, keys->digest->hash)(block, ends[end].state);
  }
  OPENSSL_cleanse(block, sizeof block);
}

void ipsec_mb_jobs_wipe(struct context *context) {
  struct job_keys *keys = context->keys;
  if (keys->evp.keys != NULL) evp_back_end.wipe(&keys->evp);
  OPENSSL_cleanse(keys, sizeof *keys);
  free(keys);
}

bool ipsec_mb_jobs_key(struct state *state, const struct keying *keying,
                       struct context *context) {
  const struct ipsec_mb_manager *manager = state->ipsec_mb->manager;
  struct job_keys *keys = aligned_alloc(AES_BLOCK_OCTETS, sizeof *keys);
  if (keys == NULL) return throw_errno(state->env, "aligned_alloc", ENOMEM), false;
  memset(keys, 0, sizeof *keys);
  keys->digest = digest_of(keying);
  keys->evp = *context;
  keys->evp.back_end = &evp_back_end;
  context->keys = keys;
  if (!evp_back_end.key(state, keying, &keys->evp)) {
    ipsec_mb_jobs_wipe(context);
    context->keys = NULL;
    return false;
  }
  _Alignas(AES_BLOCK_OCTETS) uint8_t other[ROUND_KEYS_OCTETS];
  bool forward = context->seal || context->mode == MODE_CTR;
  manager->expand_key[context->key_length / 8 - 2](
    keying->key, forward ? keys->round_keys : other, forward ? other : keys->round_keys);
  OPENSSL_cleanse(other, sizeof other);
  digest_key(manager, keying, keys);
  return true;
}

int ipsec_mb_jobs_do(struct state *state, const struct context *context,
                     const struct parts *parts) {
  struct ipsec_mb *mb = state->ipsec_mb;
  const struct job_keys *keys = context->keys;
  size_t length = (size_t)(parts->icv - parts->header);
  if (parts->body_length == 0 || length > MOST_OCTETS) {
    return context->seal ? evp_back_end.seal(state, &keys->evp, parts)
                         : evp_back_end.open(state, &keys->evp, parts);
  }
  struct later *later = &mb->later[mb->later_count++];
  later->context = context;
  later->row = *parts->row;
  later->parts = *parts;
  later->parts.row = &later->row;
  return STATUS_LATER;
}

static void fill_job(struct ipsec_mb_job *job, struct later *later,
                     struct ipsec_mb_beside *beside) {
  const struct context *context = later->context;
  const struct job_keys *keys = context->keys;
  const struct parts *parts = &later->parts;
  size_t length = (size_t)(parts->icv - parts->header);
  packet_nonce(context, parts, beside->nonce);
  memcpy(beside->icv, parts->icv, context->icv_length);
  if (context->esn) {
    /* RFC 4303 §2.2.1: the high half is authenticated though it is not sent. It stands in the ICV's
       place until the MAC is there. */
    memcpy(parts->icv, parts->high, sizeof parts->high);
    length += sizeof parts->high;
  }
  job->encryption_keys = keys->round_keys;
  job->decryption_keys = keys->round_keys;
  job->key_length = context->key_length;
  job->source = parts->header;
  job->destination = parts->body;
  job->cipher_offset = (uint64_t)(parts->body - parts->header);
  job->cipher_length = parts->body_length;
  job->hash_offset = 0;
  job->hash_length = length;
  job->iv = context->mode == MODE_CTR ? beside->nonce : parts->iv;
  job->iv_length = NONCE_OCTETS;
  job->tag = beside->mac;
  job->tag_length = context->icv_length;
  job->with.hmac.inner = keys->inner;
  job->with.hmac.outer = keys->outer;
  job->cipher = context->mode == MODE_CTR ? IPSEC_MB_CTR : IPSEC_MB_CBC;
  job->hash = keys->digest->hash;
  job->direction = context->seal ? IPSEC_MB_ENCRYPT : IPSEC_MB_DECRYPT;
  job->order = context->seal ? IPSEC_MB_CIPHER_THEN_HASH : IPSEC_MB_HASH_THEN_CIPHER;
  job->user_data = later;
  job->user_data2 = beside;
}

static void completed(const struct ipsec_mb_job *job) {
  struct later *later = job->user_data;
  const struct ipsec_mb_beside *beside = job->user_data2;
  const struct context *context = later->context;
  const struct parts *parts = &later->parts;
  size_t icv_length = context->icv_length;
  bool ran = job->status == IPSEC_MB_COMPLETED;
  later->status = ran ? STATUS_OK : -EIO;
  if (context->seal) {
    if (ran) memcpy(parts->icv, beside->mac, icv_length);
    return;
  }
  memcpy(parts->icv, beside->icv, icv_length);
  if (ran && CRYPTO_memcmp(beside->mac, beside->icv, icv_length) != 0) {
    later->status = STATUS_BAD_ICV;
  }
  /* The body was deciphered beside the MAC: nobody may look at one whose ICV did not match. */
  if (later->status != STATUS_OK) OPENSSL_cleanse(parts->body, parts->body_length);
}

static void do_side_by_side(struct ipsec_mb *mb) {
  struct ipsec_mb_manager *manager = mb->manager;
  struct ipsec_mb_job *job;
  for (unsigned at = 0; at < mb->later_count; at++) {
    fill_job(manager->get_next_job(manager), &mb->later[at], &mb->beside[at]);
    job = manager->submit_job(manager);
    for (; job != NULL; job = manager->get_completed_job(manager)) completed(job);
  }
  while ((job = manager->flush_job(manager)) != NULL) completed(job);
}

static void do_one_by_one(struct state *state, struct ipsec_mb *mb) {
  for (unsigned at = 0; at < mb->later_count; at++) {
    struct later *later = &mb->later[at];
    const struct context *evp = &((const struct job_keys *)later->context->keys)->evp;
    later->status = evp->seal ? evp_back_end.seal(state, evp, &later->parts)
                              : evp_back_end.open(state, evp, &later->parts);
  }
}

const struct later *ipsec_mb_finish(struct state *state, unsigned *count) {
  struct ipsec_mb *mb = state->ipsec_mb;
  *count = mb == NULL ? 0 : mb->later_count;
  if (*count == 0) return NULL;
  if (*count >= SIDE_BY_SIDE) do_side_by_side(mb);
  else do_one_by_one(state, mb);
  mb->later_count = 0;
  return mb->later;
}
