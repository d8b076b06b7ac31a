/*
 * Sealing and opening the packets of a batch (RFC 4303 §3.3.2, §3.4.4).
 *
 * A packet is header(8) | IV | body | ICV. What is done with the parts is the back end's; here they
 * are cut out of rows that may say anything.
 */
#include "context.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>

static bool cut(const struct context *context, const struct row *row, struct parts *parts) {
  size_t front = ESP_HEADER_OCTETS + (size_t)context->iv_length;
  if (row->length < front + context->icv_length) return false;
  parts->row = row;
  parts->header = row->packet;
  parts->iv = row->packet + ESP_HEADER_OCTETS;
  parts->body = row->packet + front;
  parts->body_length = row->length - front - context->icv_length;
  parts->icv = parts->body + parts->body_length;
  uint32_t high = (uint32_t)row_word(row, WORD_SEQUENCE_HIGH);
  for (int at = 0; at < 4; at++) parts->high[at] = (uint8_t)(high >> (24 - 8 * at));
  return true;
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

static int cipher_row(struct state *state, const struct context *context, const struct row *row,
                      bool seal) {
  struct parts parts;
  if (context == NULL || context->seal != seal || !cut(context, row, &parts)) return -EINVAL;
  if (!body_fits(context, &parts)) return -EINVAL;
  if (!seal) return context->back_end->open(state, context, &parts);
  if (context->mode == MODE_CBC && !random_iv(state, parts.iv, context->iv_length)) return -EIO;
  return context->back_end->seal(state, context, &parts);
}

/** The sum over an opened body, which whoever knows its headers can check. */
static void sum_body(const struct context *context, const struct row *row) {
  size_t front = ESP_HEADER_OCTETS + (size_t)context->iv_length;
  size_t length = row->length - front - context->icv_length;
  row_set(row, WORD_SUM, (int32_t)octet_sum(row->packet + front, length));
}

/** What became of the rows of one call. */
struct outcome {
  uint32_t done;
  bool failed;
};

static void settle(struct outcome *outcome, const struct context *context, const struct row *row,
                   int status) {
  if (status == STATUS_OK && !context->seal && (row_word(row, WORD_FLAGS) & FLAG_SUM) != 0) {
    sum_body(context, row);
  }
  row_set(row, WORD_STATUS, status);
  if (status == STATUS_OK) outcome->done++;
  else outcome->failed = true;
}

static void settle_later(struct state *state, struct outcome *outcome) {
  unsigned count;
  const struct later *later = ipsec_mb_finish(state, &count);
  for (unsigned at = 0; at < count; at++) {
    settle(outcome, later[at].context, &later[at].row, later[at].status);
  }
}

static napi_value cipher_rows(napi_env env, napi_callback_info info, bool seal) {
  napi_value values[3];
  struct rows rows;
  struct state *state = arguments(env, info, 3, values);
  if (state == NULL || !argument_rows(state, values, &rows)) return NULL;
  struct outcome outcome = { 0 };
  for (uint32_t at = rows.first; at < rows.end; at++) {
    struct row row;
    if ((at - rows.first) % LATER == 0) settle_later(state, &outcome);
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
    if (status != STATUS_LATER) settle(&outcome, context, &row, status);
  }
  settle_later(state, &outcome);
  /* What a bad ICV leaves in OpenSSL's error queue would be reported to the next user of it. */
  if (outcome.failed) ERR_clear_error();
  return result_integer(env, outcome.done);
}

napi_value tsgw_seal(napi_env env, napi_callback_info info) {
  return cipher_rows(env, info, true);
}

napi_value tsgw_open(napi_env env, napi_callback_info info) {
  return cipher_rows(env, info, false);
}
