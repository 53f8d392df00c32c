//===- Sha256.cpp - Hashes of files ---------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// By the names of FIPS 180-4, sections 4.1.2 and 6.2.
//
//===----------------------------------------------------------------------===//

#include "runtime/Sha256.h"

#include <cstring>

namespace gradopt::runtime {

static constexpr size_t kBlock = 64;

static constexpr uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t x, unsigned n) {
  return x >> n | x << (32 - n);
}

static uint32_t readWord(const uint8_t *bytes) {
  return uint32_t(bytes[0]) << 24 | uint32_t(bytes[1]) << 16 |
         uint32_t(bytes[2]) << 8 | uint32_t(bytes[3]);
}

static void compress(uint32_t (&H)[8], const uint8_t *block) {
  uint32_t W[64];
  for (unsigned t = 0; t < 16; ++t)
    W[t] = readWord(block + 4 * t);
  for (unsigned t = 16; t < 64; ++t) {
    uint32_t s0 =
        rotate(W[t - 15], 7) ^ rotate(W[t - 15], 18) ^ (W[t - 15] >> 3);
    uint32_t s1 =
        rotate(W[t - 2], 17) ^ rotate(W[t - 2], 19) ^ (W[t - 2] >> 10);
    W[t] = s1 + W[t - 7] + s0 + W[t - 16];
  }
  uint32_t a = H[0], b = H[1], c = H[2], d = H[3], e = H[4], f = H[5], g = H[6],
           h = H[7];
  for (unsigned t = 0; t < 64; ++t) {
    uint32_t S1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    uint32_t T1 = h + S1 + ((e & f) ^ (~e & g)) + K[t] + W[t];
    uint32_t S0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    uint32_t T2 = S0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + T1;
    d = c, c = b, b = a, a = T1 + T2;
  }
  H[0] += a, H[1] += b, H[2] += c, H[3] += d;
  H[4] += e, H[5] += f, H[6] += g, H[7] += h;
}

void sha256(const void *data, size_t size, uint8_t (&digest)[kSha256Size]) {
  uint32_t H[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  auto *bytes = static_cast<const uint8_t *>(data);
  size_t whole = size / kBlock * kBlock;
  for (size_t i = 0; i < whole; i += kBlock)
    compress(H, bytes + i);
  // What is left, a bit, zeros, and the length in bits.
  uint8_t last[2 * kBlock] = {};
  size_t left = size - whole;
  if (left)
    std::memcpy(last, bytes + whole, left);
  last[left] = 0x80;
  size_t end = left + 9 <= kBlock ? kBlock : 2 * kBlock;
  uint64_t bits = uint64_t(size) * 8;
  for (unsigned i = 0; i < 8; ++i)
    last[end - 1 - i] = uint8_t(bits >> (8 * i));
  for (size_t i = 0; i < end; i += kBlock)
    compress(H, last + i);
  for (unsigned i = 0; i < kSha256Size; ++i)
    digest[i] = uint8_t(H[i / 4] >> (24 - 8 * (i % 4)));
}

} // namespace gradopt::runtime
