#include "core/random.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace cross_attention::test::core_random_test {

namespace {

/// SplitMix64 and xoshiro256++ as their authors wrote them in C (https://prng.di.unimi.it).
std::uint64_t splitMix64(std::uint64_t& state) {
  std::uint64_t mixed = (state += 0x9e3779b97f4a7c15);
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31);
}

std::uint64_t rotateLeft(std::uint64_t value, int count) {
  return (value << count) | (value >> (64 - count));
}

std::uint64_t xoshiro256PlusPlus(std::array<std::uint64_t, 4>& s) {
  const std::uint64_t result = rotateLeft(s[0] + s[3], 23) + s[0];
  const std::uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotateLeft(s[3], 45);
  return result;
}

}  // namespace

TEST(RandomTest, ReferenceMatchesPublishedVectors) {
  // SplitMix64 of seed 1234567, as listed by Rosetta Code and many libraries.
  std::uint64_t seed = 1234567;
  for (const std::uint64_t expected :
       {6457827717110365317u, 3203168211198807973u, 9817491932198370423u, 4593380528125082431u}) {
    EXPECT_EQ(splitMix64(seed), expected);
  }
  // xoshiro256++ of the state 1, 2, 3, 4: the vector of Rust's rand_xoshiro, computed with the authors' C
  // code.
  std::array<std::uint64_t, 4> state{1, 2, 3, 4};
  for (const std::uint64_t expected : {41943041u, 58720359u}) {
    EXPECT_EQ(xoshiro256PlusPlus(state), expected);
  }
  for (const std::uint64_t expected :
       {3588806011781223u, 3591011842654386u, 9228616714210784205u, 9973669472204895162u,
        14011001112246962877u, 12406186145184390807u, 15849039046786891736u, 10450023813501588000u}) {
    EXPECT_EQ(xoshiro256PlusPlus(state), expected);
  }
}

TEST(RandomTest, SeedZeroMatchesPublishedNumbers) {
  // From rand_xoshiro's Xoshiro256PlusPlus::seed_from_u64(0), which is also seeded through SplitMix64.
  Random random(0);
  for (const std::uint64_t expected : {5987356902031041503u, 7051070477665621255u, 6633766593972829180u,
                                       211316841551650330u, 9136120204379184874u, 379361710973160858u}) {
    EXPECT_EQ(random.next(), expected);
  }
}

TEST(RandomTest, MatchesXoshiroSeededThroughSplitMix) {
  for (const std::uint64_t seed : {0u, 1u, 42u, 4294967295u}) {
    std::uint64_t mixing = seed;
    std::array<std::uint64_t, 4> state;
    for (std::uint64_t& word : state) word = splitMix64(mixing);
    Random random(seed);
    for (int draw = 0; draw < 1000; ++draw) ASSERT_EQ(random.next(), xoshiro256PlusPlus(state));
  }
}

TEST(RandomTest, UniformIsAMultipleOfTwoToMinus53BelowOne) {
  Random random(7);
  Random same(7);
  for (int draw = 0; draw < 10000; ++draw) {
    const double value = random.uniform();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    ASSERT_EQ(std::ldexp(value, 53), static_cast<double>(same.next() >> 11));
  }
}

TEST(RandomTest, NormalHasCorrectMoments) {
  constexpr int kDraws = 200000;
  Random random(11);
  std::array<double, 4> moments{};
  int beyondThree = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    const double value = random.normal();
    ASSERT_TRUE(std::isfinite(value));
    double power = 1;
    for (double& moment : moments) moment += (power *= value) / kDraws;
    if (std::abs(value) > 3) ++beyondThree;
  }
  // Five standard errors. The variances of the powers 1 to 4 of a normal variable are 1, 2, 15 and 96.
  const double unit = 5 / std::sqrt(static_cast<double>(kDraws));
  EXPECT_NEAR(moments[0], 0, unit);
  EXPECT_NEAR(moments[1], 1, unit * std::sqrt(2.0));
  EXPECT_NEAR(moments[2], 0, unit * std::sqrt(15.0));
  EXPECT_NEAR(moments[3], 3, unit * std::sqrt(96.0));
  // 0.27 % of the values lie beyond three standard deviations.
  EXPECT_NEAR(beyondThree, 0.0026998 * kDraws, 5 * std::sqrt(0.0026998 * kDraws));
}

}  // namespace cross_attention::test::core_random_test
