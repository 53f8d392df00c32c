//===- coefficients.h - Minimax polynomials ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Written by coefficients.py, which says how; do not edit. c[i] belongs to x^i.
//
//===----------------------------------------------------------------------===//

// clang-format off

#ifndef GRADOPT_RUNTIME_MATH_COEFFICIENTS_H
#define GRADOPT_RUNTIME_MATH_COEFFICIENTS_H

namespace gradopt::coefficients {

template <typename T> struct Table;

template <> struct Table<double> {
  // (e^r - 1 - r) / r^2, |r| <= ln(2)/2
  static constexpr double exp[10] = {
      0x1.0000000000005p-1,
      0x1.555555555555cp-3,
      0x1.55555555520cfp-5,
      0x1.111111110e82dp-7,
      0x1.6c16c17f4738fp-10,
      0x1.a01a01b585737p-13,
      0x1.a019a64b7d407p-16,
      0x1.71ddea8205a9bp-19,
      0x1.28a2ed3f4ff7ep-22,
      0x1.af7632adc8ff8p-26,
  }; // error 2^-55.6
  // (2^r - 1) / r, |r| <= 1/2
  static constexpr double exp2[11] = {
      0x1.62e42fefa39efp-1,
      0x1.ebfbdff82c5a4p-3,
      0x1.c6b08d7049fe8p-5,
      0x1.3b2ab6fba0125p-7,
      0x1.5d87fe78cd688p-10,
      0x1.4309130ed8648p-13,
      0x1.ffcbfba987f08p-17,
      0x1.62bfc79a91ffep-20,
      0x1.b5267cce61593p-24,
      0x1.e61b598e79f9dp-28,
      0x1.e79bef51764f9p-32,
  }; // error 2^-58.03
  // (log(1 + f) - f + f^2/2) / f^3, sqrt(1/2) <= 1 + f <= sqrt(2)
  static constexpr double log[19] = {
      0x1.5555555555547p-2,
      -0x1.fffffffffeebbp-3,
      0x1.999999999be2ap-3,
      -0x1.555555566ef1ep-3,
      0x1.2492492459088p-3,
      -0x1.ffffff2b8d938p-4,
      0x1.c71c71190eef2p-4,
      -0x1.9999c1eb2549bp-4,
      0x1.745d57f90f241p-4,
      -0x1.55510f063eab8p-4,
      0x1.3b09c0683fe20p-4,
      -0x1.24d3da9bafccdp-4,
      0x1.11df4a5b4ad68p-4,
      -0x1.fc0209cb517c5p-5,
      0x1.cfa9e89f1ac15p-5,
      -0x1.ce78f14059368p-5,
      0x1.0a8bee8f9c759p-4,
      -0x1.f186759d2e7ffp-5,
      0x1.b919fab262dcfp-6,
  }; // error 2^-56.58
  // (2 atanh(s) - 2 s - 2/3 s^3) / s^5 in z = s^2, s = f / (2 + f) with f as for log
  static constexpr double log_wide[8] = {
      0x1.9999999999996p-2,
      0x1.249249249302bp-2,
      0x1.c71c71c580ea5p-3,
      0x1.745d18324dacep-3,
      0x1.3b1362ac21c7dp-3,
      0x1.1120b86b01828p-3,
      0x1.de32d5ee8b4a0p-4,
      0x1.eb17423d20841p-4,
  }; // error 2^-72.53
  // (sin(r) - r) / r^3 in z = r^2, |r| <= pi/2
  static constexpr double sin[8] = {
      -0x1.5555555555555p-3,
      0x1.11111111110c9p-7,
      -0x1.a01a01a014f0bp-13,
      0x1.71de3a52af0ddp-19,
      -0x1.ae6454dbb759dp-26,
      0x1.6123cee99d733p-33,
      -0x1.ae440191a183cp-41,
      0x1.883f8456ad742p-49,
  }; // error 2^-61.89
  // (sin(r) - r) / r^3 in z = r^2, |r| <= pi/4
  static constexpr double sin_narrow[6] = {
      -0x1.5555555555548p-3,
      0x1.111111110f795p-7,
      -0x1.a01a019bf0e00p-13,
      0x1.71de3558adf7ep-19,
      -0x1.ae5e4c41373cdp-26,
      0x1.5d8b10c1c6168p-33,
  }; // error 2^-57.9
  // (cos(r) - 1 + r^2/2) / r^4 in z = r^2, |r| <= pi/4
  static constexpr double cos_narrow[6] = {
      0x1.555555555554dp-5,
      -0x1.6c16c16c153cep-10,
      0x1.a01a019cdd9f3p-16,
      -0x1.27e4f8220c693p-22,
      0x1.1ee9f838ddd67p-29,
      -0x1.8fb342dbc29d0p-37,
  }; // error 2^-63.92
  // (asin(x) - x) / x^3 in z = x^2, |x| <= 1/2
  static constexpr double asin[12] = {
      0x1.55555555553e8p-3,
      0x1.3333333366fcdp-4,
      0x1.6db6db4653368p-5,
      0x1.f1c72b31689e5p-6,
      0x1.6e8a0963df613p-6,
      0x1.1c6acaa312bc9p-6,
      0x1.c710ea29cf995p-7,
      0x1.8e5197ea2eba2p-7,
      0x1.af4cec023bc74p-8,
      0x1.3dc2d4d11be82p-6,
      -0x1.06a2f23c71993p-6,
      0x1.0468d09a7e9b5p-5,
  }; // error 2^-55.79
  // (atan(t) - t) / t^3 in z = t^2, |t| <= tan(pi/8)
  static constexpr double atan[11] = {
      -0x1.5555555555543p-2,
      0x1.9999999996340p-3,
      -0x1.24924922e628bp-3,
      0x1.c71c70f92e643p-4,
      -0x1.745cfac1620bep-4,
      0x1.3b1137519891fp-4,
      -0x1.10ecefd845970p-4,
      0x1.df1f83cefd8c6p-5,
      -0x1.9d162c7e4948fp-5,
      0x1.3874abb022885p-5,
      -0x1.26af3b281c151p-6,
  }; // error 2^-59.35
  // (sinh(r) - r) / r^3 in z = r^2, |r| <= ln(2)/2
  static constexpr double sinh[5] = {
      0x1.5555555555559p-3,
      0x1.111111110f7a1p-7,
      0x1.a01a01af95e6cp-13,
      0x1.71ddf8fcc85acp-19,
      0x1.af5dc1a357ae2p-26,
  }; // error 2^-61.64
  // (cosh(r) - 1 - r^2/2) / r^4 in z = r^2, |r| <= ln(2)/2
  static constexpr double cosh[5] = {
      0x1.5555555555556p-5,
      0x1.6c16c16c161dap-10,
      0x1.a01a01a7b2075p-16,
      0x1.27e4d88dd23ecp-22,
      0x1.1f78ba24d3f48p-29,
  }; // error 2^-68.55
  // erf(x) / x - 1 in z = x^2, |x| <= 1
  static constexpr double erf[12] = {
      0x1.06eba8214db68p-3,
      -0x1.812746b0379c2p-2,
      0x1.ce2f21a041018p-4,
      -0x1.b82ce312062bcp-6,
      0x1.565bccfa9a825p-8,
      -0x1.c02db072f3fe0p-11,
      0x1.f9a2bf73f0c68p-14,
      -0x1.f4ca94990cb86p-17,
      0x1.b9827b1885f9bp-20,
      -0x1.5c16e30fb0d45p-23,
      0x1.d784936618cc2p-27,
      -0x1.acdff90b8ebd8p-31,
  }; // error 2^-56.97
  // (x + 3/2) e^(x^2) erfc(x) in t = (x - 3/2) / (x + 3/2), 0.5 <= x <= 28 (float: 11)
  static constexpr double erfc[25] = {
      0x1.edf487f74041cp-1,
      -0x1.0404eaa26c48fp-1,
      0x1.35bf360d085eap-4,
      0x1.87518828aaa21p-5,
      -0x1.0a11cd2ecd2aap-7,
      -0x1.3607c39e1e3b0p-7,
      -0x1.a8d6e53afadc5p-11,
      0x1.d07c9e8333899p-10,
      0x1.cf90183340983p-11,
      -0x1.84381a33d738ep-15,
      -0x1.0d4de3ac1256ap-12,
      -0x1.08fad0f04157dp-13,
      0x1.dc055fb04cfdfp-21,
      0x1.42e9534aeac89p-15,
      0x1.a1b95c3f74b67p-16,
      0x1.43b09ec30f6d4p-18,
      -0x1.72d185a9ccfaep-18,
      -0x1.840a98168d2acp-18,
      -0x1.cc9e177183cb0p-23,
      0x1.bcb7e9583de17p-25,
      -0x1.6d9e516ec2541p-19,
      0x1.b598f2e255db5p-19,
      0x1.417b74a47beeep-19,
      -0x1.cf49979e07d64p-19,
      0x1.002283694dce2p-20,
  }; // error 2^-58.74
  // erfinv(x) / x in t = w - 3.125, 0 <= w <= 6.25, w = -log(1 - x^2)
  static constexpr double erfinv[24] = {
      0x1.a755e7c99ae86p+0,
      0x1.ebd80d9b13df7p-3,
      -0x1.8b6c33114ee40p-8,
      -0x1.84576948340fdp-11,
      0x1.879c2a20d6bc3p-13,
      -0x1.d1d1f7cb08980p-17,
      -0x1.6e8a53ee36444p-20,
      0x1.c6b4f8af435fep-22,
      -0x1.f36ce541b2fccp-26,
      -0x1.1a9eb6f5ff397p-28,
      0x1.20f4eb22e19e0p-30,
      -0x1.dc3dd265183bap-35,
      -0x1.c8960bfbbdff8p-37,
      0x1.7230812443d2ap-39,
      -0x1.6d8ecb4a73ad0p-44,
      -0x1.683216422debep-45,
      0x1.db32da64c179ap-48,
      -0x1.8b645c47469fap-55,
      -0x1.2bd9c95625281p-53,
      0x1.22b85d1171da8p-56,
      0x1.51c6c08d44139p-60,
      -0x1.a6211f0e3bddfp-62,
      -0x1.3115239b5c8cfp-70,
      0x1.fe262bc1acf38p-69,
  }; // error 2^-55.55
  // the same in t = sqrt(w) - 4.25, 2.5 <= sqrt(w) <= 6.01 (float: - 3.25, <= 4)
  static constexpr double erfinv_far[29] = {
      0x1.05e6fd13251afp+2,
      0x1.028defb613f8dp+0,
      0x1.75afae9529576p-11,
      -0x1.3eb627bd1f316p-11,
      0x1.bcf78165d5980p-13,
      -0x1.0e322e48cf863p-14,
      0x1.70c3f06330d61p-16,
      -0x1.562d450c11317p-17,
      0x1.85b7f95b62525p-18,
      -0x1.aefd93e54732ap-19,
      0x1.9005837a355f6p-20,
      -0x1.14a08d0f0e878p-21,
      0x1.90856edac2bebp-24,
      0x1.b7f7045dca333p-26,
      -0x1.028ca21b0819bp-25,
      0x1.cdcc96addddaap-27,
      -0x1.aa58555bd8134p-29,
      -0x1.a50079feb1077p-33,
      0x1.0932cad724c78p-31,
      -0x1.989ffc2a2e522p-33,
      0x1.c9cf735089e7ep-36,
      0x1.25b5cdac75a69p-39,
      -0x1.1085eef019b81p-39,
      0x1.f0a43d932285ap-40,
      -0x1.87951471e4253p-41,
      -0x1.f53b4b64ec7f1p-45,
      0x1.4d14c03f540a7p-44,
      -0x1.39146c5145acfp-48,
      -0x1.069d02b105c32p-49,
  }; // error 2^-55.77
  // (x + 2) e^(x^2) erfc(x) in t = (x - 2) / (x + 2), x >= 0
  static constexpr double erfcx[28] = {
      0x1.058671b52c776p+0,
      -0x1.5fd386754eff8p-1,
      0x1.1e2deea6b1166p-2,
      -0x1.2a88e6107dc58p-5,
      -0x1.606e415526889p-6,
      0x1.a89eaff8f2015p-8,
      0x1.9517bb6e3f595p-9,
      -0x1.b6fbf9e366f67p-11,
      -0x1.5ba437ea7acedp-11,
      0x1.20543e125a787p-15,
      0x1.2efa20bbad5a3p-13,
      0x1.1e755a38c41c4p-15,
      -0x1.6c007a6ac3dfep-16,
      -0x1.0e705d56f8619p-16,
      -0x1.2e17524a25dd4p-20,
      0x1.e887c287f6079p-19,
      0x1.0c9cf32041f98p-19,
      0x1.440e8991a9656p-27,
      -0x1.3239cc0e691ecp-21,
      -0x1.66bd5c073adcdp-22,
      -0x1.1673879048a8fp-28,
      0x1.fef32e874ec90p-24,
      0x1.f64e602774fffp-25,
      -0x1.fe6dc5f01cca5p-27,
      -0x1.512c86524252dp-26,
      -0x1.de0289a32d71dp-30,
      0x1.4e2a5da80e96bp-29,
      0x1.39fcc123a7f0ap-31,
  }; // error 2^-57.81
  // erfcinv(y) / s in t = 1 / s - 0.1 (float: 0.17), s = sqrt(-log(y (2 - y))), 6 <= s <= 27.5 (float: 4, 10.5)
  static constexpr double erfcinv_far[25] = {
      0x1.fa6631285b421p-1,
      -0x1.5a4a4c26c36b4p-3,
      -0x1.663433a0e2fd6p-2,
      0x1.a35505af3df1cp+0,
      -0x1.0d02f4aa4ad7bp+2,
      0x1.04b6790806e62p+4,
      -0x1.4cc853cb7ff8cp+6,
      0x1.ddd87296860f6p+8,
      -0x1.7516ff23c5a34p+11,
      0x1.36aa28c19554ep+14,
      -0x1.0fc5693e24cdbp+17,
      0x1.f055dd43cdbfcp+19,
      -0x1.d0008ae46d450p+22,
      0x1.a288a41e0018ap+25,
      -0x1.a7934e27b4c6fp+28,
      0x1.40625a424a853p+32,
      -0x1.1ab0b8d9e79b3p+35,
      -0x1.226d5a2c63f57p+38,
      0x1.cdd0ac87973b1p+39,
      0x1.ea5154ad43676p+46,
      -0x1.88ffdb8a12eb4p+49,
      -0x1.83538b31e0885p+53,
      0x1.3ed3a30741f4bp+56,
      0x1.c143329552d61p+59,
      -0x1.a897898a88ea0p+62,
  }; // error 2^-56.37
  // log(gamma(x)) / ((x - 1) (x - 2)) in t = x - 2, |t| <= 1/2
  static constexpr double gammaln[18] = {
      0x1.b0ee6072093cep-2,
      -0x1.9ae6509ea10a1p-4,
      0x1.0e0c9df2933ecp-5,
      -0x1.95ce223a9bcaap-7,
      0x1.47974853edb76p-8,
      -0x1.145121fa8f2a0p-9,
      0x1.dfebcf3834e69p-11,
      -0x1.a96a3f32f08d9p-12,
      0x1.7ed74f3582db3p-13,
      -0x1.5c86edb2f3536p-14,
      0x1.402a247e54ef0p-15,
      -0x1.28483191ec2adp-16,
      0x1.1467c17fa9de6p-17,
      -0x1.02e9537041269p-18,
      0x1.d57acab1630f6p-20,
      -0x1.b68c45e7c7394p-21,
      0x1.19316e9b8b309p-21,
      -0x1.13410c380393cp-22,
  }; // error 2^-57.94
  // x (log(gamma(x)) - (x - 1/2) log(x) + x - log(2 pi) / 2) in z = 1 / x^2, x >= 7
  static constexpr double gammaln_far[7] = {
      0x1.5555555555555p-4,
      -0x1.6c16c16c0c3cdp-9,
      0x1.a01a011fbcc00p-11,
      -0x1.3812edda48b8ep-11,
      0x1.b900b8772e3a6p-11,
      -0x1.eb01ad4ba8d26p-10,
      0x1.353b5f03a9ba4p-8,
  }; // error 2^-57.83
  // psi(x) / (x - x0) in t = x - 3/2, |t| <= 1/2, psi(x0) = 0
  static constexpr double psi[23] = {
      0x1.e6f0cbb873616p-1,
      -0x1.b1cb63005ee98p-2,
      0x1.eca189b8e6f8ap-3,
      -0x1.2feeeb98a78ccp-3,
      0x1.8512e59036c50p-4,
      -0x1.fb44202a259bdp-5,
      0x1.4de9aa18926d1p-5,
      -0x1.b9f8b11b2e730p-6,
      0x1.256471325ae84p-6,
      -0x1.86356417c391cp-7,
      0x1.03c0b7f09d19ap-7,
      -0x1.5a06a230ba699p-8,
      0x1.cd1e338440db6p-9,
      -0x1.336dfa848a09ep-9,
      0x1.99efe08c8e1bep-10,
      -0x1.0fb11c027de7ap-10,
      0x1.6932394001753p-11,
      -0x1.fdad6dc0de6d8p-12,
      0x1.59f261da49539p-12,
      -0x1.2f3f7b42cd33dp-13,
      0x1.6ac3387d9eb93p-14,
      -0x1.7615295833b7bp-13,
      0x1.08806c316fac8p-13,
  }; // error 2^-58.49
  // x^2 (log(x) - 1 / (2 x) - psi(x)) in z = 1 / x^2, x >= 6
  static constexpr double psi_far[9] = {
      0x1.5555555555555p-4,
      -0x1.1111111110722p-7,
      0x1.041040ff6921dp-8,
      -0x1.11110a553154fp-8,
      0x1.f07734fba7a37p-8,
      -0x1.5913167d720d0p-6,
      0x1.4d31f18e30874p-4,
      -0x1.767af5322066cp-2,
      0x1.37e615d0114bfp+0,
  }; // error 2^-60.19
  // x^3 (psi'(x) - 1 / x - 1 / (2 x^2)) in z = 1 / x^2, x >= 8
  static constexpr double trigamma_far[8] = {
      0x1.5555555555555p-3,
      -0x1.1111111110012p-5,
      0x1.8618617aebe8ap-6,
      -0x1.111105d844479p-5,
      0x1.364802d4d248bp-4,
      -0x1.026e5908703d3p-2,
      0x1.1bb91ba21cb9ep+0,
      -0x1.2372972dfa131p+2,
  }; // error 2^-57.91
  // m^(-1/3), sqrt(1/2) <= m <= sqrt(2): the first guess
  static constexpr double inverse_cbrt[5] = {
      0x1.dfe18a53a0fc2p+0,
      -0x1.dca2d9a24c357p+0,
      0x1.8fb115052dc20p+0,
      -0x1.679a27b67bb84p-1,
      0x1.06de08d7830dep-3,
  }; // error 2^-14.68
};

template <> struct Table<float> {
  // (e^r - 1 - r) / r^2, |r| <= ln(2)/2
  static constexpr float exp[5] = {
      0x1.0000000000000p-1f,
      0x1.5554b00000000p-3f,
      0x1.5554900000000p-5f,
      0x1.12285e0000000p-7f,
      0x1.6d90720000000p-10f,
  }; // error 2^-26.14
  // (2^r - 1) / r, |r| <= 1/2
  static constexpr float exp2[6] = {
      0x1.62e4300000000p-1f,
      0x1.ebfbdc0000000p-3f,
      0x1.c6aee80000000p-5f,
      0x1.3b2d5a0000000p-7f,
      0x1.5f3e5a0000000p-10f,
      0x1.41f3e80000000p-13f,
  }; // error 2^-28.89
  // (log(1 + f) - f + f^2/2) / f^3, sqrt(1/2) <= 1 + f <= sqrt(2)
  static constexpr float log[8] = {
      0x1.55554a0000000p-2f,
      -0x1.0002200000000p-2f,
      0x1.99a5920000000p-3f,
      -0x1.5478b80000000p-3f,
      0x1.226e5e0000000p-3f,
      -0x1.0cdeb80000000p-3f,
      0x1.07d0e20000000p-3f,
      -0x1.41f8e40000000p-4f,
  }; // error 2^-27.34
  // (2 atanh(s) - 2 s - 2/3 s^3) / s^5 in z = s^2, s = f / (2 + f) with f as for log
  static constexpr float log_wide[3] = {
      0x1.999a000000000p-2f,
      0x1.24527a0000000p-2f,
      0x1.dfa2fa0000000p-3f,
  }; // error 2^-35.78
  // (sin(r) - r) / r^3 in z = r^2, |r| <= pi/2
  static constexpr float sin[4] = {
      -0x1.55554c0000000p-3f,
      0x1.110efa0000000p-7f,
      -0x1.9f76480000000p-13f,
      0x1.5e0dec0000000p-19f,
  }; // error 2^-27.58
  // (sin(r) - r) / r^3 in z = r^2, |r| <= pi/4
  static constexpr float sin_narrow[3] = {
      -0x1.5555460000000p-3f,
      0x1.1107340000000p-7f,
      -0x1.993ea80000000p-13f,
  }; // error 2^-27.99
  // (cos(r) - 1 + r^2/2) / r^4 in z = r^2, |r| <= pi/4
  static constexpr float cos_narrow[3] = {
      0x1.55554a0000000p-5f,
      -0x1.6c0c6a0000000p-10f,
      0x1.99f7940000000p-16f,
  }; // error 2^-33.19
  // (asin(x) - x) / x^3 in z = x^2, |x| <= 1/2
  static constexpr float asin[5] = {
      0x1.5555c60000000p-3f,
      0x1.3302600000000p-4f,
      0x1.74757c0000000p-5f,
      0x1.8c6a300000000p-6f,
      0x1.5941660000000p-5f,
  }; // error 2^-27.56
  // (atan(t) - t) / t^3 in z = t^2, |t| <= tan(pi/8)
  static constexpr float atan[5] = {
      -0x1.55554a0000000p-2f,
      0x1.9991e60000000p-3f,
      -0x1.23ba120000000p-3f,
      0x1.b22b940000000p-4f,
      -0x1.f309de0000000p-5f,
  }; // error 2^-30.43
  // (sinh(r) - r) / r^3 in z = r^2, |r| <= ln(2)/2
  static constexpr float sinh[2] = {
      0x1.5554b00000000p-3f,
      0x1.1227840000000p-7f,
  }; // error 2^-26.12
  // (cosh(r) - 1 - r^2/2) / r^4 in z = r^2, |r| <= ln(2)/2
  static constexpr float cosh[2] = {
      0x1.5554fc0000000p-5f,
      0x1.6d35f00000000p-10f,
  }; // error 2^-32.49
  // erf(x) / x - 1 in z = x^2, |x| <= 1
  static constexpr float erf[7] = {
      0x1.06eba80000000p-3f,
      -0x1.81273e0000000p-2f,
      0x1.ce2d200000000p-4f,
      -0x1.b7fbb60000000p-6f,
      0x1.5419fa0000000p-8f,
      -0x1.a485f80000000p-11f,
      0x1.4ae4c60000000p-14f,
  }; // error 2^-29.66
  // (x + 3/2) e^(x^2) erfc(x) in t = (x - 3/2) / (x + 3/2), 0.5 <= x <= 28 (float: 11)
  static constexpr float erfc[11] = {
      0x1.edf4880000000p-1f,
      -0x1.0404ea0000000p-1f,
      0x1.35bf2e0000000p-4f,
      0x1.87521a0000000p-5f,
      -0x1.0a0c060000000p-7f,
      -0x1.362d3a0000000p-7f,
      -0x1.abced60000000p-11f,
      0x1.d893160000000p-10f,
      0x1.d88d020000000p-11f,
      -0x1.2d4cf00000000p-13f,
      -0x1.1b59420000000p-12f,
  }; // error 2^-31.59
  // erfinv(x) / x in t = w - 3.125, 0 <= w <= 6.25, w = -log(1 - x^2)
  static constexpr float erfinv[11] = {
      0x1.a755e80000000p+0f,
      0x1.ebd80c0000000p-3f,
      -0x1.8b6d320000000p-8f,
      -0x1.84556e0000000p-11f,
      0x1.87bf540000000p-13f,
      -0x1.d21e760000000p-17f,
      -0x1.75a6e60000000p-20f,
      0x1.c9be1e0000000p-22f,
      -0x1.9fe3480000000p-26f,
      -0x1.3ec0780000000p-28f,
      0x1.5e98b20000000p-31f,
  }; // error 2^-27.45
  // the same in t = sqrt(w) - 4.25, 2.5 <= sqrt(w) <= 6.01 (float: - 3.25, <= 4)
  static constexpr float erfinv_far[9] = {
      0x1.8abcc40000000p+1f,
      0x1.0158a20000000p+0f,
      0x1.600df80000000p-8f,
      -0x1.ead69c0000000p-9f,
      0x1.4515d20000000p-9f,
      -0x1.c560200000000p-10f,
      0x1.05aa6e0000000p-10f,
      -0x1.0fa95e0000000p-12f,
      -0x1.ae69a80000000p-15f,
  }; // error 2^-26.79
  // (x + 2) e^(x^2) erfc(x) in t = (x - 2) / (x + 2), x >= 0
  static constexpr float erfcx[12] = {
      0x1.0586720000000p+0f,
      -0x1.5fd3860000000p-1f,
      0x1.1e2dc60000000p-2f,
      -0x1.2a8a900000000p-5f,
      -0x1.604ffc0000000p-6f,
      0x1.a902c80000000p-8f,
      0x1.90ee0c0000000p-9f,
      -0x1.c17cde0000000p-11f,
      -0x1.3a3f580000000p-11f,
      0x1.2233ae0000000p-14f,
      0x1.62b3ec0000000p-14f,
      0x1.880f5c0000000p-20f,
  }; // error 2^-26.81
  // erfcinv(y) / s in t = 1 / s - 0.1 (float: 0.17), s = sqrt(-log(y (2 - y))), 6 <= s <= 27.5 (float: 4, 10.5)
  static constexpr float erfcinv_far[8] = {
      0x1.f3b53a0000000p-1f,
      -0x1.96418c0000000p-3f,
      -0x1.7c089a0000000p-4f,
      0x1.d9ad140000000p-1f,
      -0x1.950bfa0000000p+0f,
      0x1.8e25b40000000p+1f,
      -0x1.5fb37c0000000p+3f,
      0x1.5d81680000000p+5f,
  }; // error 2^-29.71
  // log(gamma(x)) / ((x - 1) (x - 2)) in t = x - 2, |t| <= 1/2
  static constexpr float gammaln[9] = {
      0x1.b0ee600000000p-2f,
      -0x1.9ae64e0000000p-4f,
      0x1.0e0c8e0000000p-5f,
      -0x1.95d3ea0000000p-7f,
      0x1.47a3fa0000000p-8f,
      -0x1.1308960000000p-9f,
      0x1.dc15aa0000000p-11f,
      -0x1.deb3960000000p-12f,
      0x1.bba6200000000p-13f,
  }; // error 2^-30.32
  // x (log(gamma(x)) - (x - 1/2) log(x) + x - log(2 pi) / 2) in z = 1 / x^2, x >= 7
  static constexpr float gammaln_far[3] = {
      0x1.5555560000000p-4f,
      -0x1.6c121a0000000p-9f,
      0x1.96adde0000000p-11f,
  }; // error 2^-32.55
  // psi(x) / (x - x0) in t = x - 3/2, |t| <= 1/2, psi(x0) = 0
  static constexpr float psi[12] = {
      0x1.e6f0cc0000000p-1f,
      -0x1.b1cb620000000p-2f,
      0x1.eca1a20000000p-3f,
      -0x1.2fef2e0000000p-3f,
      0x1.850a7c0000000p-4f,
      -0x1.fb270a0000000p-5f,
      0x1.4f02cc0000000p-5f,
      -0x1.bcb61c0000000p-6f,
      0x1.150a080000000p-6f,
      -0x1.6633be0000000p-7f,
      0x1.7014ac0000000p-7f,
      -0x1.040fcc0000000p-7f,
  }; // error 2^-30.52
  // x^2 (log(x) - 1 / (2 x) - psi(x)) in z = 1 / x^2, x >= 6
  static constexpr float psi_far[4] = {
      0x1.5555560000000p-4f,
      -0x1.1110c00000000p-7f,
      0x1.039fee0000000p-8f,
      -0x1.ef17e20000000p-9f,
  }; // error 2^-34.83
  // x^3 (psi'(x) - 1 / x - 1 / (2 x^2)) in z = 1 / x^2, x >= 8
  static constexpr float trigamma_far[3] = {
      0x1.5555540000000p-3f,
      -0x1.1107b80000000p-5f,
      0x1.79a0ac0000000p-6f,
  }; // error 2^-27.94
  // m^(-1/3), sqrt(1/2) <= m <= sqrt(2): the first guess
  static constexpr float inverse_cbrt[4] = {
      0x1.bb10f60000000p+0f,
      -0x1.4926ba0000000p+0f,
      0x1.6d382c0000000p-1f,
      -0x1.44a7840000000p-3f,
  }; // error 2^-11.94
};

} // namespace gradopt::coefficients

#endif // GRADOPT_RUNTIME_MATH_COEFFICIENTS_H
