/*
 * The Internet checksum's sum (RFC 1071): ones' complement addition, sixteen octets at a time.
 */
#include "tsgw.h"

#include <endian.h>
#include <string.h>

static uint32_t fold(uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return (uint32_t)sum;
}

/* Machines with wide registers get code for them, chosen when the addon is loaded. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

/**
 * RFC 1071 §2(B): octets may be added in machine order and swapped at the end. Words of 32 bits in
 * sums of 64 cannot overflow here, and a compiler adds several at once.
 */
WIDE uint32_t octet_sum(const uint8_t *octets, size_t length) {
  uint64_t sums[4] = { 0 };
  for (; length >= 16; octets += 16, length -= 16) {
    uint32_t words[4];
    memcpy(words, octets, 16);
    for (int at = 0; at < 4; at++) sums[at] += words[at];
  }
  uint32_t rest[4] = { 0 };
  memcpy(rest, octets, length);
  for (int at = 0; at < 4; at++) sums[at] += rest[at];
  uint64_t sum = 0;
  for (int at = 0; at < 4; at++) sum += fold(sums[at]);
  return be16toh((uint16_t)fold(sum));
}

napi_value tsgw_checksum(napi_env env, napi_callback_info info) {
  napi_value values[4];
  const uint8_t *octets;
  size_t size;
  int64_t offset, length, initial;
  if (arguments(env, info, 4, values) == NULL ||
      !argument_octets(env, values[0], "octets", &octets, &size) ||
      !argument_integer(env, values[1], "offset", 0, (int64_t)size, &offset) ||
      !argument_integer(env, values[2], "length", 0, (int64_t)size - offset, &length) ||
      !argument_integer(env, values[3], "initial", 0, UINT32_MAX, &initial)) {
    return NULL;
  }
  uint32_t sum = length == 0 ? 0 : octet_sum(octets + offset, (size_t)length);
  return result_integer(env, fold((uint64_t)initial + sum));
}
