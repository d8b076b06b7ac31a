/*
 * Numbers for things of the native layer.
 *
 * A handle is generation << 20 | slot: positive as an Int32Array word, and after its item is gone
 * it names nothing, even when the slot is taken again (until the generation comes round, 2047
 * later).
 */
#include "tsgw.h"

#include <stdlib.h>

enum { SLOT_BITS = 20, SLOT_MASK = (1 << SLOT_BITS) - 1, GENERATIONS = 1 << (31 - SLOT_BITS) };

struct handle_slot {
  void *item;
  uint32_t generation;
  /** The next free slot + 1; 0 ends the list. */
  uint32_t next_free;
};

static bool grow(struct handles *table) {
  uint32_t size = table->size == 0 ? 64 : table->size * 2;
  if (size > SLOT_MASK) return false;
  struct handle_slot *slots = realloc(table->slots, size * sizeof *slots);
  if (slots == NULL) return false;
  for (uint32_t at = size; at-- > table->size;) {
    slots[at] = (struct handle_slot){ .next_free = table->free_head };
    table->free_head = at + 1;
  }
  table->slots = slots;
  table->size = size;
  return true;
}

int32_t handles_add(struct handles *table, void *item) {
  if (table->free_head == 0 && !grow(table)) return NONE;
  uint32_t at = table->free_head - 1;
  struct handle_slot *slot = &table->slots[at];
  table->free_head = slot->next_free;
  slot->item = item;
  return (int32_t)(slot->generation << SLOT_BITS | at);
}

static struct handle_slot *slot_of(const struct handles *table, int32_t handle) {
  if (handle < 0) return NULL;
  uint32_t at = (uint32_t)handle & SLOT_MASK;
  if (at >= table->size) return NULL;
  struct handle_slot *slot = &table->slots[at];
  if (slot->item == NULL || slot->generation != (uint32_t)handle >> SLOT_BITS) return NULL;
  return slot;
}

void *handles_at(const struct handles *table, int32_t handle) {
  struct handle_slot *slot = slot_of(table, handle);
  return slot == NULL ? NULL : slot->item;
}

void *handles_remove(struct handles *table, int32_t handle) {
  struct handle_slot *slot = slot_of(table, handle);
  if (slot == NULL) return NULL;
  void *item = slot->item;
  slot->item = NULL;
  slot->generation = (slot->generation + 1) % GENERATIONS;
  slot->next_free = table->free_head;
  table->free_head = (uint32_t)(slot - table->slots) + 1;
  return item;
}

void *handles_next(const struct handles *table, uint32_t *at) {
  while (*at < table->size) {
    void *item = table->slots[(*at)++].item;
    if (item != NULL) return item;
  }
  return NULL;
}

void handles_clear(struct handles *table, void (*each)(void *item, void *with), void *with) {
  uint32_t at = 0;
  for (void *item; (item = handles_next(table, &at)) != NULL;) each(item, with);
  free(table->slots);
  *table = (struct handles){ 0 };
}
