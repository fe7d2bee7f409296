/* The hash table of vocab.h: linear probing, 8 bytes a slot, so that a lookup reads one cache line of it. */
#include "core/text/vocab.h"

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"

void att_vocab_init(struct att_vocab *vocab)
{
    *vocab = (struct att_vocab){.texts_len = 1};
}

void att_vocab_finish(struct att_vocab *vocab)
{
    att_mem_free(vocab->texts);
    att_mem_free(vocab->entries);
    att_mem_free(vocab->slots);
    *vocab = (struct att_vocab){.texts_len = 1};
}

int32_t att_vocab_find_hashed(const struct att_vocab *vocab, uint32_t hash, const char *prefix, size_t prefix_len,
                              const char *text, size_t len)
{
    if (vocab->slot_count == 0)
        return -1;
    size_t mask = vocab->slot_count - 1;
    for (size_t i = hash & mask; vocab->slots[i].id >= 0; i = (i + 1) & mask) {
        if (vocab->slots[i].hash != hash)
            continue;
        const struct att_vocab_entry *entry = &vocab->entries[vocab->slots[i].id];
        const char *found = vocab->texts + entry->offset;
        if (entry->len == prefix_len + len && memcmp(found + prefix_len, text, len) == 0 &&
            memcmp(found, prefix, prefix_len) == 0)
            return vocab->slots[i].id;
    }
    return -1;
}

static uint32_t hash_text(const char *text, size_t len)
{
    uint64_t state = att_vocab_hash_begin();
    for (size_t i = 0; i < len; i++)
        state = att_vocab_hash_step(state, text[i]);
    return att_vocab_hash_end(state);
}

int32_t att_vocab_find(const struct att_vocab *vocab, const char *text, size_t len)
{
    return att_vocab_find_hashed(vocab, hash_text(text, len), "", 0, text, len);
}

const char *att_vocab_text(const struct att_vocab *vocab, int32_t id)
{
    if (id < 0 || (size_t)id >= vocab->entry_count || vocab->entries[id].offset == 0)
        return NULL;
    return vocab->texts + vocab->entries[id].offset;
}

/* Puts an id into its slot; the text must not be there yet. */
static void insert(struct att_vocab_slot *slots, size_t slot_count, uint32_t hash, int32_t id)
{
    size_t i = hash & (slot_count - 1);
    while (slots[i].id >= 0)
        i = (i + 1) & (slot_count - 1);
    slots[i] = (struct att_vocab_slot){hash, id};
}

static bool grow_slots(struct att_vocab *vocab)
{
    if (vocab->count + 1 <= vocab->slot_count / 2)
        return true;
    size_t slot_count = vocab->slot_count ? vocab->slot_count * 2 : 1024;
    struct att_vocab_slot *slots = att_mem_aligned(slot_count, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < slot_count; i++)
        slots[i].id = -1;
    for (size_t i = 0; i < vocab->slot_count; i++)
        if (vocab->slots[i].id >= 0)
            insert(slots, slot_count, vocab->slots[i].hash, vocab->slots[i].id);
    att_mem_free(vocab->slots);
    vocab->slots = slots;
    vocab->slot_count = slot_count;
    return true;
}

static bool grow_entries(struct att_vocab *vocab, size_t count)
{
    if (count > vocab->entry_capacity) {
        size_t capacity = vocab->entry_capacity ? vocab->entry_capacity : 1024;
        while (capacity < count)
            capacity *= 2;
        struct att_vocab_entry *entries = att_mem_realloc(vocab->entries, capacity, sizeof *entries);
        if (!entries)
            return false;
        memset(entries + vocab->entry_capacity, 0, (capacity - vocab->entry_capacity) * sizeof *entries);
        vocab->entries = entries;
        vocab->entry_capacity = capacity;
    }
    if (count > vocab->entry_count)
        vocab->entry_count = count;
    return true;
}

static bool grow_texts(struct att_vocab *vocab, size_t more)
{
    if (more <= vocab->texts_capacity - vocab->texts_len && vocab->texts)
        return true;
    size_t capacity = vocab->texts_capacity ? vocab->texts_capacity : 1 << 14;
    while (capacity - vocab->texts_len < more)
        capacity *= 2;
    char *texts = capacity <= UINT32_MAX ? att_mem_realloc(vocab->texts, capacity, 1) : NULL;
    if (!texts)
        return false;
    vocab->texts = texts;
    vocab->texts_capacity = capacity;
    return true;
}

enum att_status att_vocab_add(struct att_vocab *vocab, const char *text, size_t len, int32_t id, struct att_err *err)
{
    assert(id >= 0 && id < ATT_VOCAB_IDS_MAX && len <= ATT_TOKEN_BYTES_MAX);
    assert(!att_vocab_text(vocab, id));
    if (!grow_slots(vocab) || !grow_entries(vocab, (size_t)id + 1) || !grow_texts(vocab, len + 1))
        return att_err_set(err, ATT_ENOMEM, "out of memory for the vocabulary");
    uint32_t hash = hash_text(text, len);
    int32_t old = att_vocab_find_hashed(vocab, hash, "", 0, text, len);
    vocab->entries[id] = (struct att_vocab_entry){(uint32_t)vocab->texts_len, (uint32_t)len};
    memcpy(vocab->texts + vocab->texts_len, text, len);
    vocab->texts[vocab->texts_len + len] = '\0';
    vocab->texts_len += len + 1;
    if (len > vocab->token_bytes_max)
        vocab->token_bytes_max = len;
    if (old < 0) {
        insert(vocab->slots, vocab->slot_count, hash, id);
        vocab->count++;
        return ATT_OK;
    }
    size_t mask = vocab->slot_count - 1, i = hash & mask;
    while (vocab->slots[i].id != old)
        i = (i + 1) & mask;
    vocab->slots[i].id = id;
    return ATT_OK;
}
