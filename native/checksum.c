/*
 * The Internet checksum's sum (RFC 1071): ones' complement addition, eight octets at a time.
 */
#include "tsgw.h"

#include <endian.h>
#include <string.h>

static uint64_t add_with_carry(uint64_t sum, uint64_t value) {
  sum += value;
  return sum + (sum < value);
}

static uint32_t fold(uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return (uint32_t)sum;
}

/** The sum in network order. RFC 1071 §2(B): octets may be added in machine order and swapped. */
static uint32_t octet_sum(const uint8_t *octets, size_t length) {
  uint64_t sum = 0;
  for (; length >= 8; octets += 8, length -= 8) {
    uint64_t eight;
    memcpy(&eight, octets, 8);
    sum = add_with_carry(sum, eight);
  }
  uint8_t tail[8] = { 0 };
  memcpy(tail, octets, length);
  uint64_t rest;
  memcpy(&rest, tail, 8);
  return be16toh((uint16_t)fold(add_with_carry(sum, rest)));
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
