/*
 * Sealing and opening over Intel's library: AES-GCM by its functions for one packet, ChaCha20-Poly1305
 * as a job that is done when it is submitted; a cipher with a MAC beside it in ipsec-mb-jobs.c.
 */
#include "ipsec-mb.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

/** 0, 1, 2 by 16, 24, 32 octets. */
static inline unsigned key_size(const struct context *context) {
  return context->key_length / 8u - 2;
}

static size_t keys_length(const struct context *context) {
  return context->mode == MODE_GCM ? GCM_KEY_OCTETS : IPSEC_MB_ALIGNMENT;
}

static void ipsec_mb_wipe(struct context *context) {
  if (!context_is_aead(context)) {
    ipsec_mb_jobs_wipe(context);
    return;
  }
  OPENSSL_cleanse(context->keys, keys_length(context));
  free(context->keys);
}

static bool ipsec_mb_key(struct state *state, const struct keying *keying,
                         struct context *context) {
  napi_env env = state->env;
  struct ipsec_mb *mb = ipsec_mb_of(state);
  if (mb == NULL) return throw_errno(env, "aligned_alloc", ENOMEM), false;
  if (mb->manager == NULL) return throw_range(env, mb->missing), false;
  bool aead = context->mode == MODE_GCM || context->mode == MODE_CHACHA;
  if (!aead && !ipsec_mb_jobs_have(keying, context)) {
    return throw_range(env, "the back end does not have the cipher, the MAC or its ICV"), false;
  }
  if (!aead) return ipsec_mb_jobs_key(state, keying, context);
  void *keys = aligned_alloc(IPSEC_MB_ALIGNMENT, keys_length(context));
  if (keys == NULL) return throw_errno(env, "aligned_alloc", ENOMEM), false;
  if (context->mode == MODE_GCM) mb->manager->gcm_key[key_size(context)](keying->key, keys);
  else memcpy(keys, keying->key, context->key_length);
  context->keys = keys;
  return true;
}

static void gcm(const struct ipsec_mb *mb, const struct context *context,
                const struct parts *parts, uint8_t *tag) {
  uint8_t nonce[NONCE_OCTETS];
  uint8_t aad[AAD_OCTETS];
  packet_nonce(context, parts, nonce);
  size_t aad_length = packet_aad(context, parts, aad);
  ipsec_mb_gcm *const *functions = context->seal ? mb->manager->gcm_seal : mb->manager->gcm_open;
  functions[key_size(context)](context->keys, (uint8_t *)(uintptr_t)mb->gcm_scratch, parts->body,
                               parts->body, parts->body_length, nonce, aad, aad_length, tag,
                               context->icv_length);
}

/** One job at a time: nothing of it is left in the library when this returns. */
static bool chacha(const struct ipsec_mb *mb, const struct context *context,
                   const struct parts *parts, uint8_t *tag) {
  uint8_t nonce[NONCE_OCTETS];
  uint8_t aad[AAD_OCTETS];
  packet_nonce(context, parts, nonce);
  struct ipsec_mb_job *job = mb->manager->get_next_job(mb->manager);
  job->encryption_keys = context->keys;
  job->decryption_keys = context->keys;
  job->key_length = context->key_length;
  job->source = parts->body;
  job->destination = parts->body;
  job->cipher_offset = 0;
  job->cipher_length = parts->body_length;
  job->hash_offset = 0;
  job->hash_length = parts->body_length;
  job->iv = nonce;
  job->iv_length = (uint64_t)(context->salt_length + context->iv_length);
  job->tag = tag;
  job->tag_length = context->icv_length;
  job->with.aad.octets = aad;
  job->with.aad.length = packet_aad(context, parts, aad);
  job->cipher = IPSEC_MB_CHACHA20_POLY1305;
  job->hash = IPSEC_MB_POLY1305;
  job->direction = context->seal ? IPSEC_MB_ENCRYPT : IPSEC_MB_DECRYPT;
  job->order = context->seal ? IPSEC_MB_CIPHER_THEN_HASH : IPSEC_MB_HASH_THEN_CIPHER;
  job = mb->manager->submit_job(mb->manager);
  if (job == NULL) job = mb->manager->flush_job(mb->manager);
  return job != NULL && job->status == IPSEC_MB_COMPLETED;
}

static bool cipher_packet(const struct ipsec_mb *mb, const struct context *context,
                          const struct parts *parts, uint8_t *tag) {
  if (context->mode == MODE_CHACHA) return chacha(mb, context, parts, tag);
  gcm(mb, context, parts, tag);
  return true;
}

static int ipsec_mb_seal(struct state *state, const struct context *context,
                         const struct parts *parts) {
  if (!context_is_aead(context)) return ipsec_mb_jobs_do(state, context, parts);
  return cipher_packet(state->ipsec_mb, context, parts, parts->icv) ? STATUS_OK : -EIO;
}

static int ipsec_mb_open(struct state *state, const struct context *context,
                         const struct parts *parts) {
  if (!context_is_aead(context)) return ipsec_mb_jobs_do(state, context, parts);
  uint8_t tag[MAC_OCTETS];
  bool ran = cipher_packet(state->ipsec_mb, context, parts, tag);
  if (ran && CRYPTO_memcmp(tag, parts->icv, context->icv_length) == 0) return STATUS_OK;
  /* Nobody may look at a body whose ICV did not match. */
  OPENSSL_cleanse(parts->body, parts->body_length);
  return ran ? STATUS_BAD_ICV : -EIO;
}

static const char *ipsec_mb_version(struct state *state, const char **missing) {
  const struct ipsec_mb *mb = ipsec_mb_of(state);
  *missing = mb == NULL ? "no memory" : mb->missing;
  return mb == NULL || mb->manager == NULL ? NULL : mb->version;
}

const struct back_end ipsec_mb_back_end = {
  .name = "ipsec-mb",
  .version = ipsec_mb_version,
  .key = ipsec_mb_key,
  .seal = ipsec_mb_seal,
  .open = ipsec_mb_open,
  .wipe = ipsec_mb_wipe,
};
