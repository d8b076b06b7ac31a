/*
 * Sealing and opening the packets of a batch (RFC 4303 §3.3.2, §3.4.4).
 *
 * A packet is header(8) | IV | body | ICV. The nonce is salt | IV, in counter mode with a block counter
 * of 1 behind (RFC 3686 §4). Combined modes (RFC 4106, RFC 4309, RFC 7634): AAD = SPI | sequence
 * number, with ESN SPI | high | low; GMAC (RFC 4543 §3.3) has IV and body in its AAD as well and
 * encrypts nothing. Otherwise encrypt then MAC: the ICV covers header | IV | body, with ESN followed
 * by the high half that is not sent.
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
  size_t front = ESP_HEADER_OCTETS + (size_t)context->iv_length;
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

static bool cipher_begin(const struct context *context, const struct parts *parts) {
  uint8_t nonce[NONCE_OCTETS];
  memcpy(nonce, context->salt, context->salt_length);
  memcpy(nonce + context->salt_length, parts->iv, context->iv_length);
  if (context->mode == MODE_CTR) memcpy(nonce + 12, (const uint8_t[]){ 0, 0, 0, 1 }, 4);
  return EVP_CipherInit_ex(context->cipher, NULL, NULL, NULL, nonce, -1) == 1;
}

static bool cipher_body(const struct context *context, const struct parts *parts) {
  int written = 0;
  if (parts->body_length == 0) return true;
  return EVP_CipherUpdate(context->cipher, parts->body, &written, parts->body,
                          (int)parts->body_length) == 1 &&
         (size_t)written == parts->body_length;
}

static bool aead_aad(const struct context *context, const struct parts *parts) {
  uint8_t aad[ESP_HEADER_OCTETS + 4];
  int aad_length = ESP_HEADER_OCTETS;
  int written;
  memcpy(aad, parts->header, ESP_HEADER_OCTETS);
  if (context->esn) {
    /* RFC 4106 §5: with ESN the AAD is SPI | 64-bit sequence number. */
    memcpy(aad + 4, parts->high, 4);
    memcpy(aad + 8, parts->header + 4, 4);
    aad_length += 4;
  }
  if (EVP_CipherUpdate(context->cipher, NULL, &written, aad, aad_length) != 1) return false;
  if (context->mode != MODE_GMAC) return true;
  /* RFC 4543 §3.3: IV and body lie behind one another in the packet. */
  return EVP_CipherUpdate(context->cipher, NULL, &written, parts->iv,
                          (int)(parts->icv - parts->iv)) == 1;
}

/** CCM wants the length of the body before anything else. */
static bool aead_begin(const struct context *context, const struct parts *parts) {
  int written;
  if (context->mode == MODE_CCM &&
      EVP_CipherUpdate(context->cipher, NULL, &written, NULL, (int)parts->body_length) != 1) {
    return false;
  }
  return aead_aad(context, parts);
}

static bool aead_body(const struct context *context, const struct parts *parts) {
  return context->mode == MODE_GMAC || cipher_body(context, parts);
}

static int aead_seal(const struct context *context, const struct parts *parts) {
  int written = 0;
  bool sealed = cipher_begin(context, parts) && aead_begin(context, parts) &&
                aead_body(context, parts) &&
                EVP_CipherFinal_ex(context->cipher, parts->icv, &written) == 1 &&
                EVP_CIPHER_CTX_ctrl(context->cipher, EVP_CTRL_AEAD_GET_TAG, context->icv_length,
                                    parts->icv) == 1;
  return sealed ? STATUS_OK : -EIO;
}

static int aead_open(const struct context *context, const struct parts *parts) {
  int written = 0;
  if (!cipher_begin(context, parts) ||
      EVP_CIPHER_CTX_ctrl(context->cipher, EVP_CTRL_AEAD_SET_TAG, context->icv_length,
                          parts->icv) != 1 ||
      !aead_begin(context, parts)) {
    return -EIO;
  }
  bool opened = aead_body(context, parts);
  /* CCM has looked at the tag with the body, the others look at the end. */
  bool good = context->mode == MODE_CCM
                ? opened
                : opened && EVP_CipherFinal_ex(context->cipher, parts->icv, &written) == 1;
  if (good) return STATUS_OK;
  /* Nobody may look at a body whose ICV did not match. */
  OPENSSL_cleanse(parts->body, parts->body_length);
  return opened || context->mode == MODE_CCM ? STATUS_BAD_ICV : -EIO;
}

static bool mac(const struct context *context, const struct parts *parts, uint8_t *out) {
  size_t covered = (size_t)(parts->icv - parts->header);
  /* RFC 4303 §2.2.1: the high half is authenticated though it is not sent. */
  return mac_compute(&context->mac, parts->header, covered, parts->high, context->esn ? 4 : 0, out);
}

static bool plain_body(const struct context *context, const struct parts *parts) {
  if (context->mode == MODE_NULL) return true;
  return cipher_begin(context, parts) && cipher_body(context, parts);
}

static int plain_seal(const struct context *context, const struct parts *parts) {
  uint8_t full[EVP_MAX_MD_SIZE];
  if (!plain_body(context, parts) || !mac(context, parts, full)) return -EIO;
  memcpy(parts->icv, full, context->icv_length);
  return STATUS_OK;
}

static int plain_open(const struct context *context, const struct parts *parts) {
  uint8_t full[EVP_MAX_MD_SIZE];
  if (!mac(context, parts, full)) return -EIO;
  if (CRYPTO_memcmp(full, parts->icv, context->icv_length) != 0) return STATUS_BAD_ICV;
  return plain_body(context, parts) ? STATUS_OK : -EIO;
}

/** RFC 3602 §3: the IV must be unpredictable; octets of the pool are used once. */
static bool random_iv(struct state *state, uint8_t *iv, size_t length) {
  if (state->iv_left < length) {
    if (RAND_bytes(state->iv_pool, sizeof state->iv_pool) != 1) return false;
    state->iv_left = sizeof state->iv_pool;
  }
  state->iv_left -= length;
  memcpy(iv, state->iv_pool + state->iv_left, length);
  return true;
}

/** CBC takes whole blocks; OpenSSL's CCM makes no tag over nothing. */
static bool body_fits(const struct context *context, const struct parts *parts) {
  bool empty = parts->body_length == 0;
  if (empty && (context->mode == MODE_CBC || context->mode == MODE_CCM)) return false;
  return parts->body_length % context->block_length == 0;
}

/**
 * What stands elsewhere in the arena comes to its place in the packet, and the checksum over it is
 * completed: until then its field holds the sum of what it covers besides (RFC 9293 §3.1).
 */
static bool gather(const struct batch *batch, const struct row *row) {
  int32_t length = row_word(row, WORD_SOURCE_LENGTH);
  if (length == 0) return true;
  int32_t source = row_word(row, WORD_SOURCE);
  int32_t target = row_word(row, WORD_COPY_TO);
  const uint8_t *end = row->packet + row->length;
  if (length < 0 || !batch_holds(batch, source, (size_t)length) ||
      !batch_holds(batch, target, (size_t)length)) {
    return false;
  }
  uint8_t *copy = batch->arena + target;
  if (copy < row->packet || copy + length > end) return false;
  memmove(copy, batch->arena + source, (size_t)length);
  int32_t from = row_word(row, WORD_SUM_FROM);
  if (from == NONE) return true;
  int32_t field = row_word(row, WORD_SUM_AT);
  if (!batch_holds(batch, from, 0) || !batch_holds(batch, field, 2)) return false;
  uint8_t *first = batch->arena + from;
  uint8_t *at = batch->arena + field;
  if (first < row->packet || first > copy + length || at < row->packet || at + 2 > end) return false;
  uint16_t sum = (uint16_t)~octet_sum(first, (size_t)(copy + length - first));
  /* RFC 768: a sum of zero is sent as all ones, which RFC 1071 counts as the same. */
  if (sum == 0) sum = 0xffff;
  at[0] = (uint8_t)(sum >> 8);
  at[1] = (uint8_t)sum;
  return true;
}

/** The sum over an opened body, which whoever knows its headers can check. */
static void sum_body(const struct context *context, const struct row *row) {
  size_t front = ESP_HEADER_OCTETS + (size_t)context->iv_length;
  size_t length = row->length - front - context->icv_length;
  row_set(row, WORD_SUM, (int32_t)octet_sum(row->packet + front, length));
}

static int cipher_row(struct state *state, const struct context *context, const struct row *row,
                      bool seal) {
  struct parts parts;
  if (context == NULL || context->seal != seal || !cut(context, row, &parts)) return -EINVAL;
  if (!body_fits(context, &parts)) return -EINVAL;
  if (context_is_aead(context)) {
    return seal ? aead_seal(context, &parts) : aead_open(context, &parts);
  }
  if (!seal) return plain_open(context, &parts);
  if (context->mode == MODE_CBC && !random_iv(state, parts.iv, context->iv_length)) return -EIO;
  return plain_seal(context, &parts);
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
    if (handle == NONE) {
      /* What leaves without protection is put together all the same. */
      if (seal && inside && row_word(&row, WORD_PATH) == PATH_OF_ORIGIN) gather(rows.batch, &row);
      continue;
    }
    const struct context *context = handles_at(&state->contexts, handle);
    int status = -EINVAL;
    if (inside && (!seal || gather(rows.batch, &row))) {
      status = cipher_row(state, context, &row, seal);
    }
    if (status == STATUS_OK && (row_word(&row, WORD_FLAGS) & FLAG_SUM) != 0 && !seal) {
      sum_body(context, &row);
    }
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
