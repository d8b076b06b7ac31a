/*
 * Sealing and opening the packets of a batch (RFC 4303 §3.3.2, §3.4.4).
 *
 * A packet is header(8) | IV | body | ICV. Combined mode (RFC 4106, RFC 7634): nonce = salt | IV,
 * AAD = SPI | sequence number, with ESN SPI | high | low. Otherwise encrypt then MAC: the ICV covers
 * header | IV | body, with ESN followed by the high half that is not sent.
 */
#include "context.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <string.h>

/** A packet cut into its parts. */
struct parts {
  uint8_t *header;
  uint8_t *iv;
  uint8_t *body;
  size_t body_length;
  uint8_t *icv;
  /** High sequence half in network order. */
  uint8_t high[4];
};

static bool cut(const struct context *context, const struct row *row, struct parts *parts) {
  size_t front = ESP_HEADER_OCTETS + context_iv_length(context);
  if (row->length < front + context->icv_length) return false;
  parts->header = row->packet;
  parts->iv = row->packet + ESP_HEADER_OCTETS;
  parts->body = row->packet + front;
  parts->body_length = row->length - front - context->icv_length;
  parts->icv = parts->body + parts->body_length;
  uint32_t high = (uint32_t)row_word(row, WORD_SEQUENCE_HIGH);
  for (int at = 0; at < 4; at++) parts->high[at] = (uint8_t)(high >> (24 - 8 * at));
  return true;
}

static bool aead_begin(const struct context *context, const struct parts *parts) {
  uint8_t nonce[AEAD_NONCE_OCTETS];
  uint8_t aad[ESP_HEADER_OCTETS + 4];
  int aad_length = ESP_HEADER_OCTETS;
  int written;
  memcpy(nonce, context->salt, AEAD_SALT_OCTETS);
  memcpy(nonce + AEAD_SALT_OCTETS, parts->iv, AEAD_IV_OCTETS);
  memcpy(aad, parts->header, ESP_HEADER_OCTETS);
  if (context->esn) {
    /* RFC 4106 §5: with ESN the AAD is SPI | 64-bit sequence number. */
    memcpy(aad + 4, parts->high, 4);
    memcpy(aad + 8, parts->header + 4, 4);
    aad_length += 4;
  }
  return EVP_CipherInit_ex(context->cipher, NULL, NULL, NULL, nonce, -1) == 1 &&
         EVP_CipherUpdate(context->cipher, NULL, &written, aad, aad_length) == 1;
}

static bool cipher_body(const struct context *context, const struct parts *parts) {
  int written = 0;
  if (parts->body_length == 0) return true;
  return EVP_CipherUpdate(context->cipher, parts->body, &written, parts->body,
                          (int)parts->body_length) == 1 &&
         (size_t)written == parts->body_length;
}

static int aead_seal(const struct context *context, const struct parts *parts) {
  int written = 0;
  bool sealed = aead_begin(context, parts) && cipher_body(context, parts) &&
                EVP_CipherFinal_ex(context->cipher, parts->icv, &written) == 1 &&
                EVP_CIPHER_CTX_ctrl(context->cipher, EVP_CTRL_AEAD_GET_TAG, context->icv_length,
                                    parts->icv) == 1;
  return sealed ? STATUS_OK : -EIO;
}

static int aead_open(const struct context *context, const struct parts *parts) {
  int written = 0;
  if (!aead_begin(context, parts) ||
      EVP_CIPHER_CTX_ctrl(context->cipher, EVP_CTRL_AEAD_SET_TAG, context->icv_length,
                          parts->icv) != 1 ||
      !cipher_body(context, parts)) {
    return -EIO;
  }
  if (EVP_CipherFinal_ex(context->cipher, parts->icv, &written) == 1) return STATUS_OK;
  /* Nobody may look at a body whose ICV did not match. */
  OPENSSL_cleanse(parts->body, parts->body_length);
  return STATUS_BAD_ICV;
}

static bool mac(const struct context *context, const struct parts *parts, uint8_t *out) {
  size_t covered = (size_t)(parts->icv - parts->header);
  size_t length;
  return EVP_MAC_init(context->mac, NULL, 0, NULL) == 1 &&
         EVP_MAC_update(context->mac, parts->header, covered) == 1 &&
         /* RFC 4303 §2.2.1: the high half is authenticated though it is not sent. */
         (!context->esn || EVP_MAC_update(context->mac, parts->high, sizeof parts->high) == 1) &&
         EVP_MAC_final(context->mac, out, &length, EVP_MAX_MD_SIZE) == 1;
}

static bool cbc_body(const struct context *context, const struct parts *parts) {
  return EVP_CipherInit_ex(context->cipher, NULL, NULL, NULL, parts->iv, -1) == 1 &&
         cipher_body(context, parts);
}

static int cbc_seal(const struct context *context, const struct parts *parts) {
  uint8_t full[EVP_MAX_MD_SIZE];
  if (!cbc_body(context, parts) || !mac(context, parts, full)) return -EIO;
  memcpy(parts->icv, full, context->icv_length);
  return STATUS_OK;
}

static int cbc_open(const struct context *context, const struct parts *parts) {
  uint8_t full[EVP_MAX_MD_SIZE];
  if (!mac(context, parts, full)) return -EIO;
  if (CRYPTO_memcmp(full, parts->icv, context->icv_length) != 0) return STATUS_BAD_ICV;
  return cbc_body(context, parts) ? STATUS_OK : -EIO;
}

/** RFC 3602 §3: the IV must be unpredictable; octets of the pool are used once. */
static bool random_iv(struct state *state, uint8_t *iv) {
  if (state->iv_left < CBC_IV_OCTETS) {
    if (RAND_bytes(state->iv_pool, sizeof state->iv_pool) != 1) return false;
    state->iv_left = sizeof state->iv_pool;
  }
  state->iv_left -= CBC_IV_OCTETS;
  memcpy(iv, state->iv_pool + state->iv_left, CBC_IV_OCTETS);
  return true;
}

static int cipher_row(struct state *state, const struct context *context, const struct row *row,
                      bool seal) {
  struct parts parts;
  if (context == NULL || context->seal != seal || !cut(context, row, &parts)) return -EINVAL;
  if (context->mac == NULL) {
    return seal ? aead_seal(context, &parts) : aead_open(context, &parts);
  }
  if (parts.body_length == 0 || parts.body_length % CBC_BLOCK_OCTETS != 0) return -EINVAL;
  if (!seal) return cbc_open(context, &parts);
  return random_iv(state, parts.iv) ? cbc_seal(context, &parts) : -EIO;
}

static napi_value cipher_rows(napi_env env, napi_callback_info info, bool seal) {
  napi_value values[3];
  struct rows rows;
  struct state *state = arguments(env, info, 3, values);
  if (state == NULL || !argument_rows(state, values, &rows)) return NULL;
  uint32_t done = 0;
  bool failed = false;
  for (uint32_t at = rows.first; at < rows.end; at++) {
    struct row row;
    bool inside = batch_row(rows.batch, at, &row);
    int32_t handle = row_word(&row, WORD_CONTEXT);
    if (handle == NONE) continue;
    int status =
      inside ? cipher_row(state, handles_at(&state->contexts, handle), &row, seal) : -EINVAL;
    row_set(&row, WORD_STATUS, status);
    if (status == STATUS_OK) done++;
    else failed = true;
  }
  /* What a bad ICV leaves in OpenSSL's error queue would be reported to the next user of it. */
  if (failed) ERR_clear_error();
  return result_integer(env, done);
}

napi_value tsgw_seal(napi_env env, napi_callback_info info) {
  return cipher_rows(env, info, true);
}

napi_value tsgw_open(napi_env env, napi_callback_info info) {
  return cipher_rows(env, info, false);
}
