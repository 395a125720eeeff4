// The digest of one Kafka record: 64 bits of (partition, offset, key, value), for telling whether a replay reads the same.
//
// Always true: it depends on nothing else (not on batches, machine or byte order of reading: little-endian words are read
// explicitly as the hosts we build for have them), and it never changes between versions: digests are stored in the remap log.
// Deliberately not: proof against an adversary. tests/ingest/digest.py is the same function in Python.
#pragma once

#include <cstdint>
#include <cstring>

namespace headwater::digest {

// Random odd constants; they are the key.
inline constexpr uint64_t PLACE = 0x8d1f3a6bc94e2d57, SEQUENCE = 0xb5c02e9117d8a463, ABSENT = 0x63e5d40fa82b971d,
                          PRESENT = 0xd96a2c8e53f107b5, LOW = 0xa3b19f4c60d7e285, HIGH = 0x5ce8076d3f92ba41,
                          FINISH = 0xe7294db810c5f36b, SPREAD = 0x97d3b65e2a4f08c1;

// Both halves of the 128-bit product, folded: every input bit reaches about half of the output bits.
inline uint64_t mix(uint64_t a, uint64_t b) {
  unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t word(const uint8_t* from) {
  uint64_t value;
  std::memcpy(&value, from, 8);
  return value;
}

// Absorb one field; null differs from empty, and the length goes in first, so that fields cannot run into each other.
inline uint64_t absorb(uint64_t state, const uint8_t* data, size_t size) {
  if (!data) return mix(state ^ ABSENT, SPREAD);
  state = mix(state ^ PRESENT ^ size, SPREAD);
  size_t at = 0;
  for (; at + 16 <= size; at += 16) state = mix(state ^ word(data + at) ^ LOW, state + (word(data + at + 8) ^ HIGH));
  if (at < size) {
    uint8_t rest[16] = {};
    std::memcpy(rest, data + at, size - at);
    state = mix(state ^ word(rest) ^ LOW, state + (word(rest + 8) ^ HIGH));
  }
  return state;
}

inline uint64_t record(int32_t partition, int64_t offset, const uint8_t* key, size_t key_size, const uint8_t* value,
                       size_t value_size) {
  uint64_t state = mix(static_cast<uint32_t>(partition) ^ PLACE, static_cast<uint64_t>(offset) ^ SEQUENCE);
  state = absorb(state, key, key_size);
  state = absorb(state, value, value_size);
  return mix(state ^ FINISH, SPREAD);
}

}  // namespace headwater::digest
