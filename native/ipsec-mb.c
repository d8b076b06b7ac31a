/*
 * Finding Intel's library: by its name at run time, once for each environment, and only the version
 * whose structures are known. Where it is not, everything else is as it was.
 */
#include "ipsec-mb.h"

#include <dlfcn.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

static const char library_name[] = "libIPSec_MB.so.1";

/* As measured in the library's own header. */
_Static_assert(offsetof(struct ipsec_mb_job, with) == 104, "u of IMB_JOB");
_Static_assert(offsetof(struct ipsec_mb_job, status) == 128, "status of IMB_JOB");
_Static_assert(offsetof(struct ipsec_mb_job, user_data) == 152, "user_data of IMB_JOB");
_Static_assert(sizeof(struct ipsec_mb_job) == 200, "IMB_JOB");
_Static_assert(offsetof(struct ipsec_mb_manager, get_next_job) == 64, "get_next_job of IMB_MGR");
_Static_assert(offsetof(struct ipsec_mb_manager, expand_key) == 112, "keyexp_128 of IMB_MGR");
_Static_assert(offsetof(struct ipsec_mb_manager, sha1_block) == 160, "sha1_one_block of IMB_MGR");
_Static_assert(offsetof(struct ipsec_mb_manager, gcm_seal) == 256, "gcm128_enc of IMB_MGR");
_Static_assert(offsetof(struct ipsec_mb_manager, gcm_key) == 448, "gcm128_pre of IMB_MGR");

/** What the library exports and is called by name. */
struct symbols {
  unsigned (*version)(void);
  const char *(*version_text)(void);
  size_t (*manager_length)(void);
  struct ipsec_mb_manager *(*lay_out)(void *memory, uint64_t flags, unsigned reset);
  void (*init)(struct ipsec_mb_manager *manager, int *architecture);
  int (*error)(struct ipsec_mb_manager *manager);
  const char *(*error_text)(int error);
};

static bool find_symbols(void *library, struct symbols *symbols) {
  const struct {
    const char *name;
    void *to;
  } wanted[] = {
    { "imb_get_version", &symbols->version },
    { "imb_get_version_str", &symbols->version_text },
    { "imb_get_mb_mgr_size", &symbols->manager_length },
    { "imb_set_pointers_mb_mgr", &symbols->lay_out },
    { "init_mb_mgr_auto", &symbols->init },
    { "imb_get_errno", &symbols->error },
    { "imb_get_strerror", &symbols->error_text },
  };
  for (size_t at = 0; at < sizeof wanted / sizeof *wanted; at++) {
    void *found = dlsym(library, wanted[at].name);
    if (found == NULL) return false;
    memcpy(wanted[at].to, &found, sizeof found);
  }
  return true;
}

/** The library chooses its functions by the processor and tests itself. */
static bool make_manager(struct ipsec_mb *mb, const struct symbols *symbols) {
  size_t length = (symbols->manager_length() + IPSEC_MB_ALIGNMENT - 1) &
                  ~(size_t)(IPSEC_MB_ALIGNMENT - 1);
  void *memory = aligned_alloc(IPSEC_MB_ALIGNMENT, length);
  if (memory == NULL) {
    snprintf(mb->missing, sizeof mb->missing, "no memory for %zu octets", length);
    return false;
  }
  mb->manager_length = length;
  mb->manager = symbols->lay_out(memory, 0, 1);
  int error = 0;
  if (mb->manager != NULL) {
    symbols->init(mb->manager, NULL);
    error = symbols->error(mb->manager);
    if (error == 0) return true;
  }
  snprintf(mb->missing, sizeof mb->missing, "%s does not start here: %s", library_name,
           symbols->error_text(error));
  mb->manager = NULL;
  free(memory);
  return false;
}

static void find_library(struct ipsec_mb *mb) {
  struct symbols symbols;
  mb->library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
  if (mb->library == NULL) {
    snprintf(mb->missing, sizeof mb->missing, "%s", dlerror());
    return;
  }
  if (!find_symbols(mb->library, &symbols)) {
    snprintf(mb->missing, sizeof mb->missing, "%s: %s", library_name, dlerror());
    return;
  }
  if (symbols.version() != IPSEC_MB_VERSION) {
    snprintf(mb->missing, sizeof mb->missing, "%s is version %s, and only 1.3.0 is known",
             library_name, symbols.version_text());
    return;
  }
  if (!make_manager(mb, &symbols)) return;
  snprintf(mb->version, sizeof mb->version, "%s", symbols.version_text());
}

struct ipsec_mb *ipsec_mb_of(struct state *state) {
  if (state->ipsec_mb != NULL) return state->ipsec_mb;
  struct ipsec_mb *mb = aligned_alloc(IPSEC_MB_ALIGNMENT, sizeof *mb);
  if (mb == NULL) return NULL;
  memset(mb, 0, sizeof *mb);
  find_library(mb);
  state->ipsec_mb = mb;
  return mb;
}

void ipsec_mb_free(struct ipsec_mb *mb) {
  if (mb == NULL) return;
  if (mb->manager != NULL) {
    OPENSSL_cleanse(mb->manager, mb->manager_length);
    free(mb->manager);
  }
  if (mb->library != NULL) dlclose(mb->library);
  OPENSSL_cleanse(mb, sizeof *mb);
  free(mb);
}
