/*
 * Paths: where an SA's packets go, as sendmmsg wants it.
 */
#include "tsgw.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct in6_pktinfo) == 20, "PATH_CONTROL_OCTETS counts on it");

/** Appends a control message to the path's template; answers where its data are. */
static uint8_t add_control(struct path *path, int level, int type, const void *data,
                           size_t length) {
  size_t at = path->control_with_tos;
  struct cmsghdr header = { .cmsg_len = CMSG_LEN(length), .cmsg_level = level, .cmsg_type = type };
  memcpy(path->control + at, &header, sizeof header);
  memcpy(path->control + at + CMSG_LEN(0), data, length);
  path->control_with_tos = (uint8_t)(at + CMSG_SPACE(length));
  return (uint8_t)(at + CMSG_LEN(0));
}

static void prepare4(struct path *path, const uint8_t *local, const uint8_t *remote, int port) {
  struct sockaddr_in *name = &path->name.four;
  name->sin_family = AF_INET;
  name->sin_port = htons((uint16_t)port);
  memcpy(&name->sin_addr, remote, 4);
  path->name_length = sizeof *name;
  if (local != NULL) {
    struct in_pktinfo source = { 0 };
    memcpy(&source.ipi_spec_dst, local, 4);
    add_control(path, IPPROTO_IP, IP_PKTINFO, &source, sizeof source);
  }
}

static void prepare6(struct path *path, const uint8_t *local, const uint8_t *remote, int port) {
  struct sockaddr_in6 *name = &path->name.six;
  name->sin6_family = AF_INET6;
  name->sin6_port = htons((uint16_t)port);
  memcpy(&name->sin6_addr, remote, 16);
  path->name_length = sizeof *name;
  if (local != NULL) {
    struct in6_pktinfo source = { 0 };
    memcpy(&source.ipi6_addr, local, 16);
    add_control(path, IPPROTO_IPV6, IPV6_PKTINFO, &source, sizeof source);
  }
}

napi_value tsgw_path(napi_env env, napi_callback_info info) {
  napi_value options;
  int64_t fd, family, port;
  const uint8_t *local = NULL, *remote;
  size_t local_length = 0, remote_length;
  bool present;
  struct state *state = arguments(env, info, 1, &options);
  if (state == NULL || !option_integer(env, options, "fd", 0, INT32_MAX, &fd) ||
      !option_integer(env, options, "family", 4, 6, &family) ||
      !option_integer(env, options, "port", 0, 65535, &port) ||
      !option_octets(env, options, "remote", &remote, &remote_length) ||
      !option_present(env, options, "local", &present) ||
      (present && !option_octets(env, options, "local", &local, &local_length))) {
    return NULL;
  }
  size_t wanted = family == 4 ? 4 : 16;
  if (family == 5) return throw_range(env, "family is not 4 or 6");
  if (remote_length != wanted || (present && local_length != wanted)) {
    return throw_range(env, "an address does not have the family's length");
  }
  struct path *path = calloc(1, sizeof *path);
  if (path == NULL) return throw_errno(env, "calloc", ENOMEM);
  path->fd = (int)fd;
  path->family = (uint8_t)family;
  path->udp = port != 0;
  if (family == 4) prepare4(path, local, remote, (int)port);
  else prepare6(path, local, remote, (int)port);
  path->control_without_tos = path->control_with_tos;
  int tos = 0;
  path->tos_at = family == 4 ? add_control(path, IPPROTO_IP, IP_TOS, &tos, sizeof tos)
                             : add_control(path, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof tos);
  int32_t handle = handles_add(&state->paths, path);
  if (handle == NONE) {
    free(path);
    return throw_range(env, "no room for another path");
  }
  return result_integer(env, handle);
}

napi_value tsgw_free_path(napi_env env, napi_callback_info info) {
  napi_value value;
  int64_t handle;
  struct state *state = arguments(env, info, 1, &value);
  if (state == NULL || !argument_integer(env, value, "path", 0, INT32_MAX, &handle)) return NULL;
  struct path *path = handles_remove(&state->paths, (int32_t)handle);
  if (path == NULL) return throw_range(env, "no path of this thread has that number");
  free(path);
  return result_undefined(env);
}
