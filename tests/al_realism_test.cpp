// Checks of synthetic films: hand-computed distances, planted copies, constructed masks.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "al/realism/eigen.h"
#include "al/realism/features.h"
#include "al/realism/frechet.h"
#include "al/realism/halves.h"
#include "al/realism/kernel_distance.h"
#include "al/realism/report.h"
#include "data/phantom.h"
#include "tensor/error.h"
#include "tensor/rng.h"

TEST_SUITE_BEGIN("al_realism_test");
using namespace querent;
using namespace querent::al;
using doctest::Approx;
using doctest::Contains;

namespace {

// n rows of d independent standard normals, each moved by `shift`.
FeatureMatrix normal_rows(int64_t n, int64_t d, Rng rng, double shift = 0) {
  FeatureMatrix x;
  for (int64_t i = 0; i < n; ++i) {
    std::vector<double> row;
    for (int64_t k = 0; k < d; ++k) row.push_back(rng.normal() + shift);
    x.append(row);
  }
  return x;
}
FeatureMatrix rows_of(std::initializer_list<std::vector<double>> rows) {
  FeatureMatrix x;
  for (const auto& row : rows) x.append(row);
  return x;
}
std::vector<int64_t> numbers(int64_t n, int64_t first = 0) {
  std::vector<int64_t> v(static_cast<size_t>(n));
  std::iota(v.begin(), v.end(), first);
  return v;
}
MaskBytes strip(int64_t first, int64_t last, int64_t pixels = 100) {
  MaskBytes m(static_cast<size_t>(pixels), 0);
  std::fill(m.begin() + first, m.begin() + last, uint8_t{1});
  return m;
}
const Figure& find(const RealismReport& r, const std::string& name) {
  return *std::find_if(r.figures.begin(), r.figures.end(), [&](const Figure& f) { return f.name == name; });
}

}  // namespace

// |A v - w v| and |V V^T - I| are bounded by a small multiple of d * epsilon * |A|; 8 d epsilon |A| leaves room for the
// order of summation.
TEST_CASE("eigenvectors of random symmetric matrices up to 200: residuals at rounding level") {
  for (const int64_t d : {1, 2, 3, 10, 64, 200}) {
    for (const int64_t rank : {d, d / 2}) {  // d / 2: many eigenvalues are zero
      CAPTURE(d);
      CAPTURE(rank);
      const FeatureMatrix x = normal_rows(std::max<int64_t>(rank, 1), d, Rng(3).fork(static_cast<uint64_t>(d)));
      const auto size = static_cast<size_t>(d);
      std::vector<double> a(size * size, 0.0);
      for (int64_t i = 0; i < x.n; ++i)
        for (size_t k = 0; k < size; ++k)
          for (size_t l = 0; l < size; ++l) a[k * size + l] += x.row(i)[k] * x.row(i)[l] * (i % 2 ? -1 : 1);
      const Eigen e = symmetric_eigen(a, d);
      const double norm = std::max(std::abs(e.values.front()), std::abs(e.values.back()));
      const double bound = 8 * static_cast<double>(d) * 0x1p-52;
      double residual = 0, angle = 0, trace = 0;
      for (size_t k = 0; k < size; ++k) {
        trace += a[k * size + k];
        const double* v = &e.vectors[k * size];
        for (size_t i = 0; i < size; ++i) {
          double av = 0, vv = 0;
          for (size_t j = 0; j < size; ++j) {
            av += a[i * size + j] * v[j];
            vv += e.vectors[i * size + j] * v[j];
          }
          residual = std::max(residual, std::abs(av - e.values[k] * v[i]));
          angle = std::max(angle, std::abs(vv - (i == k ? 1 : 0)));
        }
      }
      CHECK(residual <= bound * norm);
      CHECK(angle <= bound);
      CHECK(std::accumulate(e.values.begin(), e.values.end(), -trace) == Approx(0).epsilon(bound * norm * d));
      CHECK(std::is_sorted(e.values.begin(), e.values.end()));
      const Eigen without = symmetric_eigen(a, d, false);
      CHECK(without.vectors.empty());
      CHECK(without.values == e.values);
    }
  }
}

TEST_CASE("eigenvalues by hand, repeated ones, and the root") {
  const Eigen two = symmetric_eigen(std::vector<double>{2, 1, 1, 2}, 2);
  CHECK(two.values[0] == Approx(1));
  CHECK(two.values[1] == Approx(3));
  CHECK(symmetric_eigen(std::vector<double>{5, 0, 0, 0, 5, 0, 0, 0, 5}, 3).values == std::vector<double>{5, 5, 5});
  CHECK(symmetric_eigen(std::vector<double>(9, 0.0), 3).values == std::vector<double>{0, 0, 0});
  const std::vector<double> root = symmetric_root(std::vector<double>{5, 4, 4, 5}, 2);  // of [[2,1],[1,2]]^2
  CHECK(root[0] == Approx(2));
  CHECK(root[1] == Approx(1));
  CHECK_THROWS_WITH_AS(symmetric_eigen(std::vector<double>{1, 2, 3}, 2), "eigen: 3 numbers are no 2 x 2 matrix", Error);
  CHECK_THROWS_AS(symmetric_eigen(std::vector<double>{NAN}, 1), Error);
}

TEST_CASE("Frechet distance of Gaussians by hand") {
  // One dimension: (m1 - m2)^2 + (s1 - s2)^2.
  CHECK(frechet_distance(Gaussian{{1}, {4}}, Gaussian{{4}, {25}}) == Approx(9 + 9));
  // Commuting: diagonal, so each axis by itself. (1-2)^2 + (3-1)^2 and means 0, 1 apart.
  CHECK(frechet_distance(Gaussian{{0, 0}, {1, 0, 0, 9}}, Gaussian{{0, 1}, {4, 0, 0, 1}}) == Approx(1 + 1 + 4));
  // Not commuting: S1 = diag(4,1), S2 = [[2,1],[1,2]]. S1 S2 has trace 10 and determinant 12, so
  // tr((S1 S2)^{1/2}) = sqrt(10 + 2 sqrt 12), and the distance is 5 + 4 - 2 of it.
  const double cross = std::sqrt(10 + 2 * std::sqrt(12.0));
  CHECK(frechet_distance(Gaussian{{0, 0}, {4, 0, 0, 1}}, Gaussian{{0, 0}, {2, 1, 1, 2}}) == Approx(9 - 2 * cross));
  // Rank 1 against rank 1 at right angles: nothing is shared, tr S1 + tr S2 remains.
  CHECK(frechet_distance(Gaussian{{0, 0}, {4, 0, 0, 0}}, Gaussian{{0, 0}, {0, 0, 0, 9}}) == Approx(13));
  CHECK_THROWS_WITH_AS(frechet_distance(Gaussian{{0}, {1}}, Gaussian{{0, 0}, {1, 0, 0, 1}}),
                       Contains("Gaussians of 1 and 2 features"), Error);
}

TEST_CASE("Frechet distance of sets: zero to itself, the same by films as by covariances, biased when small") {
  // Zero eigenvalues come out as +-epsilon of the largest, their roots as sqrt(epsilon) of it: hence 1e-6 of tr S.
  for (const auto& [n, d] : {std::pair{40, 8}, {10, 30}}) {
    const FeatureMatrix x = normal_rows(n, d, Rng(1));
    CHECK(frechet_distance(x, x) <= 1e-6 * d);
    FeatureMatrix moved = x;
    for (double& v : moved.values) v += 2;
    CHECK(frechet_distance(x, moved) == Approx(4.0 * d).epsilon(1e-6));
    const FeatureMatrix y = normal_rows(n + 3, d, Rng(2));
    CHECK(frechet_distance(x, y) == Approx(frechet_distance(fit_gaussian(x), fit_gaussian(y))).epsilon(1e-6));
    CHECK(frechet_distance(x, y) == Approx(frechet_distance(y, x)).epsilon(1e-9));
  }
  const double few = frechet_distance(normal_rows(20, 10, Rng(3)), normal_rows(20, 10, Rng(4)));
  const double many = frechet_distance(normal_rows(2000, 10, Rng(3)), normal_rows(2000, 10, Rng(4)));
  CHECK(few > 10 * many);
  CHECK_THROWS_WITH_AS(frechet_distance(normal_rows(1, 3, Rng(1)), normal_rows(5, 3, Rng(1))),
                       "frechet: a covariance needs at least 2 films, got 1", Error);
  CHECK_THROWS_WITH_AS(frechet_distance(normal_rows(5, 3, Rng(1)), normal_rows(5, 4, Rng(1))),
                       "frechet: sets of 3 and 4 features cannot be compared", Error);
}

TEST_CASE("the interval of the Frechet distance holds the truth, and whole groups widen it") {
  const FeatureMatrix x = normal_rows(120, 3, Rng(5)), y = normal_rows(120, 3, Rng(6), 1);
  const std::vector<int64_t> own = numbers(120);
  const Interval i = frechet_interval(x, own, y, own, 1);
  CHECK(i.low < 3);  // |shift|^2 = 3 features of 1
  CHECK(i.high > 3);
  CHECK(i.high - i.low < 3);
  // 120 rows that are 12 films ten times over say no more than 12 films.
  FeatureMatrix clones;
  std::vector<int64_t> of;
  for (int64_t k = 0; k < 120; ++k) {
    clones.append(y.row(k % 12));
    of.push_back(k % 12);
  }
  const Interval together = frechet_interval(x, own, clones, of, 1), apart = frechet_interval(x, own, clones, own, 1);
  CHECK(together.high - together.low > 1.5 * (apart.high - apart.low));
  const Interval again = frechet_interval(x, own, y, own, 1);
  CHECK(again.low == i.low);
  CHECK_THROWS_AS(frechet_interval(x, std::vector<int64_t>(120, 7), y, own, 1), Error);
}

TEST_CASE("kernel distance by hand, unbiased, and its interval") {
  // d = 1, k = (xy + 1)^3. Within {0,1,2}: k(0,1) = 1, k(0,2) = 1, k(1,2) = 27, mean 29/3. Within {1,1,-1}: 8, 0, 0,
  // mean 8/3. Between: 0 gives 1,1,1; 1 gives 8,8,0; 2 gives 27,27,-1: 72/9 = 8.
  const FeatureMatrix a = rows_of({{0}, {1}, {2}}), b = rows_of({{1}, {1}, {-1}});
  CHECK(kernel_distance(a, b) == Approx(29.0 / 3 + 8.0 / 3 - 16));
  // The mean over 200 pairs of sets from one distribution is 0 within 4 standard errors, though the sets are small; the
  // biased estimate (with the diagonal) would be far above.
  std::vector<double> same;
  for (uint64_t r = 0; r < 200; ++r)
    same.push_back(kernel_distance(normal_rows(10, 4, Rng(7).fork(r)), normal_rows(15, 4, Rng(8).fork(r))));
  const Summary s = summarize(same);
  CHECK(std::abs(s.mean) < 4 * s.sd / std::sqrt(200.0));
  CHECK(*std::min_element(same.begin(), same.end()) < 0);
  const Summary apart = kernel_distance_blocks(normal_rows(100, 4, Rng(1)), normal_rows(60, 4, Rng(2), 1), 3);
  CHECK(apart.n == 10);
  CHECK(apart.ci.low > 0);
  CHECK(kernel_distance_blocks(a, b, 1).n == 1);  // three films make no two blocks
  CHECK_THROWS_WITH_AS(kernel_distance(rows_of({{1}}), b),
                       "kernel distance: each set needs at least 2 films, got 1 and 3", Error);
}

TEST_CASE("standardised features have mean 0 and sd 1, and a dead feature stays bounded") {
  FeatureMatrix x = normal_rows(50, 3, Rng(1), 5);
  for (int64_t i = 0; i < x.n; ++i) x.values[static_cast<size_t>(3 * i + 2)] = 1;  // never varies
  const FeatureMatrix y = Standardizer(x)(x);
  std::vector<double> first;
  for (int64_t i = 0; i < y.n; ++i) first.push_back(y.row(i)[0]);
  CHECK(summarize(first).mean == Approx(0).epsilon(1e-12));
  CHECK(summarize(first).sd == Approx(1));
  CHECK(y.row(0)[2] == 0);
  CHECK_THROWS_AS(Standardizer(normal_rows(1, 3, Rng(1))), Error);
  CHECK_THROWS_AS(Standardizer(rows_of({{1, 1}, {1, 1}})), Error);
  CHECK_THROWS_WITH_AS(rows_of({{1, 2}, {1}}), Contains("film 1 has 1 features"), Error);
  CHECK_THROWS_WITH_AS(rows_of({{INFINITY}}), Contains("diverged"), Error);
}

TEST_CASE("Mann-Whitney by hand") {
  // a = {1,2}, b = {3,4,5}: no pair a > b, U = 0; variance 2*3*6/12 = 3.
  const MannWhitney w = mann_whitney_less(std::vector<double>{1, 2}, std::vector<double>{3, 4, 5});
  CHECK(w.u == 0);
  CHECK(w.z == Approx(-3 / std::sqrt(3.0)));
  CHECK(w.p == Approx(0.0416323).epsilon(1e-5));  // the normal tail at -1.7320508
  const MannWhitney back = mann_whitney_less(std::vector<double>{3, 4, 5}, std::vector<double>{1, 2});
  CHECK(back.z == Approx(-w.z));
  // Ties: {1,1} against {1,2}: U = 1, variance 4/12 (5 - 24/12) = 1.
  CHECK(mann_whitney_less(std::vector<double>{1, 1}, std::vector<double>{1, 2}).z == Approx(-1));
  CHECK(mann_whitney_less(std::vector<double>{1, 1}, std::vector<double>{1, 1}).p == 1);
}

TEST_CASE("a grouped bootstrap knows that clones are no evidence") {
  std::vector<double> values;
  std::vector<int64_t> groups;
  for (int64_t i = 0; i < 60; ++i) {
    values.push_back(static_cast<double>(i % 6));
    groups.push_back(i % 6);
  }
  const Interval grouped = bootstrap_grouped_mean(values, groups, 1),
                 apart = bootstrap_grouped_mean(values, numbers(60), 1);
  CHECK(grouped.high - grouped.low > 2 * (apart.high - apart.low));  // sqrt(10) times in theory
  CHECK_THROWS_AS(bootstrap_grouped_mean(values, numbers(5), 1), Error);
}

TEST_CASE("halves: no patient on both sides, one sample of each base, none whose base is in the first half") {
  std::vector<int64_t> patients, bases;
  for (int64_t i = 0; i < 60; ++i) patients.push_back(i / 2);
  for (int64_t j = 0; j < 120; ++j) bases.push_back(j % 40);
  const auto draws = draw_halves(patients, bases, 5, 1);
  REQUIRE(draws.size() == 5);
  CHECK(draws[0].a != draws[1].a);
  for (const Halves& h : draws) {
    CHECK(h.b.size() == h.synthetic.size());
    std::vector<int64_t> in_a;
    for (const int64_t i : h.a) in_a.push_back(patients[static_cast<size_t>(i)]);
    for (const int64_t i : h.b) CHECK(std::count(in_a.begin(), in_a.end(), patients[static_cast<size_t>(i)]) == 0);
    std::vector<int64_t> used;
    for (const int64_t j : h.synthetic) {
      const int64_t base = bases[static_cast<size_t>(j)];
      CHECK(std::count(h.a.begin(), h.a.end(), base) == 0);
      CHECK(std::count(used.begin(), used.end(), base) == 0);
      used.push_back(base);
    }
  }
  CHECK_THROWS_WITH_AS(draw_halves(numbers(10), numbers(10), 1, 1), Contains("at least 8 are needed"), Error);
}

TEST_CASE("samples of the real distribution are as real as the other half; shifted ones are not") {
  const auto fid = [](const FeatureMatrix& a, const FeatureMatrix& b) { return frechet_distance(a, b); };
  const std::vector<int64_t> unknown(60, -1);
  // The rule is a test at about 5 %: of 20 fresh sets, 5 or more are noted once in 400 times.
  int64_t fid_noted = 0, kid_noted = 0;
  for (uint64_t r = 0; r < 20; ++r) {
    const FeatureMatrix real = normal_rows(80, 6, Rng(1).fork(r)), fresh = normal_rows(60, 6, Rng(2).fork(r));
    const auto draws = draw_halves(numbers(80), unknown, 20, r);
    const Compared c = compare_halves(real, fresh, draws, fid);
    CHECK(c.films == 40);
    CHECK(c.floor.mean > 0.3);  // the bias: 0 with endless films
    fid_noted += c.distinguishable();
    kid_noted += compare_halves(real, fresh, draws, kernel_distance).distinguishable();
  }
  CHECK(fid_noted <= 4);
  CHECK(kid_noted <= 4);
  const FeatureMatrix real = normal_rows(80, 6, Rng(1)), shifted = normal_rows(60, 6, Rng(3), 0.8);
  const auto draws = draw_halves(numbers(80), unknown, 20, 1);
  CHECK(compare_halves(real, shifted, draws, fid).distinguishable());
  CHECK(compare_halves(real, shifted, draws, kernel_distance).distinguishable());
}

TEST_CASE("copies of training films are found; fresh films are not") {
  const int64_t d = 20;
  const FeatureMatrix train = normal_rows(60, d, Rng(1)), held_out = normal_rows(30, d, Rng(2)),
                      fresh = normal_rows(40, d, Rng(3));
  const std::vector<int64_t> patients = numbers(60), others = numbers(30, 100), nobody(40, -1);
  const Memorisation clean = memorisation({fresh, nobody}, nobody, {train, patients}, {held_out, others});
  CHECK(clean.copies.empty());
  CHECK_FALSE(clean.nearer());
  CHECK(std::abs(clean.test.z) < 3);

  // One copy among fresh films: too few for the test, but found by itself.
  FeatureMatrix one = fresh;
  for (int64_t k = 0; k < d; ++k)
    one.values[static_cast<size_t>(7 * d + k)] = train.row(11)[static_cast<size_t>(k)] + 0.01;
  const Memorisation found = memorisation({one, nobody}, nobody, {train, patients}, {held_out, others});
  CHECK(found.copies == std::vector<int64_t>{7});
  CHECK(found.samples[7].index == 11);
  CHECK(found.samples[7].distance == Approx(0.01));

  // All leaning towards a training film (0.6^2 + 0.8^2 = 1: spread as before): no exact copy, and the test sees it.
  FeatureMatrix leaning = fresh;
  for (int64_t i = 0; i < 40; ++i)
    for (int64_t k = 0; k < d; ++k) {
      double& v = leaning.values[static_cast<size_t>(i * d + k)];
      v = 0.6 * v + 0.8 * train.row(i)[static_cast<size_t>(k)];
    }
  const Memorisation leans = memorisation({leaning, nobody}, nobody, {train, patients}, {held_out, others});
  CHECK(leans.nearer());
  CHECK(leans.test.z < -3);

  // The same films are innocent when those training films are their bases: a variant is meant to be like its base.
  const Memorisation variants =
      memorisation({leaning, numbers(40)}, numbers(40), {train, patients}, {held_out, others});
  CHECK_FALSE(variants.nearer());
  CHECK(variants.samples[3].index != 3);
  // A base that repeats another patient's film is not excused.
  std::vector<int64_t> wrong(40, 59);
  CHECK(memorisation({one, wrong}, numbers(40), {train, patients}, {held_out, others}).copies ==
        std::vector<int64_t>{7});
}

TEST_CASE("memorisation: one sample of each base enters the test; too few are an error") {
  const FeatureMatrix train = normal_rows(30, 5, Rng(1)), held_out = normal_rows(10, 5, Rng(2)),
                      samples = normal_rows(24, 5, Rng(3));
  std::vector<int64_t> bases, patients = numbers(30);
  for (int64_t i = 0; i < 24; ++i) bases.push_back(i / 3);
  const FilmGroups s{samples, bases}, t{train, patients};
  const std::vector<int64_t> others = numbers(10, 50), seven = numbers(7, 50), few_bases(24, 2), same(30, 1);
  const Memorisation m = memorisation(s, bases, t, {held_out, others});
  CHECK(m.test.n == 8);
  CHECK(m.tested[1] == m.samples[3].distance);
  const FeatureMatrix small = held_out.take(numbers(7));
  CHECK_THROWS_WITH_AS(memorisation(s, bases, t, {small, seven}), Contains("7 held-out films are too few"), Error);
  CHECK_THROWS_WITH_AS(memorisation(s, few_bases, t, {held_out, others}), Contains("1 samples of different bases"),
                       Error);
  CHECK_THROWS_WITH_AS(memorisation(s, bases, {train, same}, {held_out, others}), Contains("at least 2 patients"),
                       Error);
  CHECK_THROWS_WITH_AS(memorisation(s, numbers(3), t, {held_out, others}), Contains("3 bases for 24 samples"), Error);
}

TEST_CASE("mask response on constructed masks") {
  CHECK(mask_dice(strip(0, 20), strip(10, 30)) == Approx(0.5));
  CHECK(mask_dice(strip(0, 0), strip(0, 0)) == 1);
  CHECK_THROWS_WITH_AS(mask_dice(strip(0, 5), strip(0, 5, 50)), Contains("masks of 100 and 50 pixels"), Error);
  // Wanted: the base's 20..60 moved to 30..70. A source that obeys shows 30..70, one that ignores it 20..60.
  const std::vector<MaskBytes> wanted(6, strip(30, 70)), base(6, strip(20, 60));
  const std::vector<int64_t> groups = numbers(6);
  const MaskResponse obeys = mask_response(wanted, wanted, base, groups, 1);
  CHECK(obeys.wanted.mean == 1);
  CHECK(obeys.base->mean == Approx(0.75));
  CHECK(obeys.edit->mean == Approx(0.75));
  CHECK(obeys.gain.low == Approx(0.25));
  CHECK(obeys.follows());
  const MaskResponse ignores = mask_response(base, wanted, base, groups, 1);
  CHECK(ignores.wanted.mean == Approx(0.75));
  CHECK(ignores.wanted.share_below == 1);
  CHECK(ignores.ignores_mask());
  CHECK_FALSE(ignores.follows());
  // Small changes: the Dice alone would pass, the contrast does not.
  const std::vector<MaskBytes> nearly(6, strip(22, 62));
  const MaskResponse sly = mask_response(base, nearly, base, groups, 1);
  CHECK(sly.wanted.mean > 0.9);
  CHECK_FALSE(sly.follows());
  CHECK_FALSE(mask_response(base, nearly, {}, groups, 1).base.has_value());
  CHECK_THROWS_WITH_AS(mask_response(wanted, base, {}, numbers(5), 1), Contains("6 outlines, 6 masks and 5 groups"),
                       Error);
}

TEST_CASE("class consistency") {
  const std::vector<std::vector<float>> p = {{0.9f, 0.1f}, {0.2f, 0.8f}, {0.6f, 0.4f}, {0.3f, 0.7f}};
  const std::vector<int64_t> labels = {0, 1, 1, 1};
  const Accuracy a = accuracy(p, labels, numbers(4), 1);
  CHECK(a.mean == 0.75);
  CHECK(a.predicted == std::vector<int64_t>{0, 1, 0, 1});
  CHECK_THROWS_WITH_AS(accuracy(p, std::vector<int64_t>{0, 1, 2, 1}, numbers(4), 1), Contains("film 2 has class 2"),
                       Error);
  ClassConsistency c{a, a};
  CHECK(c.keeps());
  c.samples.interval.high = 0.7;
  CHECK_FALSE(c.keeps());
}

TEST_CASE("plain features see blur and brightness; pixel features see neither brightness nor contrast") {
  PhantomOptions o;
  o.size = 64;
  const Image film = render_phantom(o, 0).image;
  Image brighter = film, flat(64, 64);
  for (float& v : brighter.pixels) v = 0.1f + 0.8f * v;
  const auto f = plain_features(film), g = plain_features(brighter);
  CHECK(f.size() == 119);
  CHECK(film_distance(f, g) > 0.01);
  CHECK(pixel_features(film).size() == 1024);
  CHECK(film_distance(pixel_features(film), pixel_features(brighter)) < 1e-5);  // float pixels
  CHECK(film_distance(pixel_features(film), pixel_features(render_phantom(o, 1).image)) > 0.1);
  CHECK(pixel_features(flat) == std::vector<double>(1024, 0.0));
  CHECK_THROWS_WITH_AS(plain_features(Image(8, 8)), Contains("at least 16 x 16"), Error);
}

TEST_CASE("the report: verdicts, what is missing, and what fails") {
  const int64_t d = 8;
  RealFilms real;
  for (int64_t i = 0; i < 80; ++i) {
    real.ids.push_back(std::to_string(i));
    (i < 50 ? real.train : real.held_out).push_back(i);
  }
  real.patients = numbers(80);
  real.features = normal_rows(80, d, Rng(1));
  real.pixels = normal_rows(80, d, Rng(2));
  SyntheticFilms fresh;
  fresh.features = normal_rows(40, d, Rng(3));
  fresh.pixels = normal_rows(40, d, Rng(4));
  fresh.bases = std::vector<int64_t>(40, -1);
  for (int64_t i = 0; i < 40; ++i) fresh.ids.push_back("s" + std::to_string(i));
  const Judges none{{}, {}, "no segmenter", "no classifier"};
  const RealismReport good = realism_report(real, fresh, none);
  CHECK(good.passed());
  CHECK(find(good, "frechet_distance").outcome == Outcome::passed);
  CHECK(find(good, "kernel_distance").outcome == Outcome::passed);
  CHECK(find(good, "memorised").outcome == Outcome::passed);
  CHECK(find(good, "mask_response").outcome == Outcome::not_measured);
  CHECK(find(good, "mask_response").verdict == "no segmenter");
  CHECK(find(good, "base_distance").verdict.find("column base") != std::string::npos);
  const auto json = to_json(good);
  CHECK(json["figures"].size() == good.figures.size());
  CHECK(json["figures"][0]["samples"]["n"] == 40);
  CHECK(json["memorisation"]["pixels"]["held_out"] == 30);

  SyntheticFilms copied = fresh;
  copied.features = real.features.take(numbers(40));
  copied.pixels = real.pixels.take(numbers(40));
  const RealismReport caught = realism_report(real, copied, none);
  CHECK_FALSE(caught.passed());
  CHECK(find(caught, "memorised").samples.value == 40);
  CHECK(find(caught, "nearest_features").outcome == Outcome::noted);

  SyntheticFilms leaked = fresh;
  leaked.bases = numbers(40, 20);  // bases 20..59, of which 50..59 are held out
  const RealismReport leak = realism_report(real, leaked, none);
  CHECK(find(leak, "held_out_bases").samples.value == 10);
  CHECK_FALSE(leak.passed());

  Judges strict = none;
  const std::vector<MaskBytes> wanted(40, strip(30, 70)), shown(40, strip(20, 60));
  strict.masks = mask_response(shown, wanted, {}, numbers(40), 1);
  CHECK_FALSE(realism_report(real, fresh, strict).passed());

  SyntheticFilms few;
  few.features = normal_rows(3, d, Rng(3));
  few.pixels = normal_rows(3, d, Rng(4));
  few.bases = {-1, -1, -1};
  few.ids = {"a", "b", "c"};
  const RealismReport little = realism_report(real, few, none);
  CHECK(find(little, "frechet_distance").outcome == Outcome::not_measured);
  CHECK(find(little, "nearest_pixels").verdict.find("too few") != std::string::npos);
  few.bases.pop_back();
  CHECK_THROWS_WITH_AS(realism_report(real, few, none),
                       Contains("3 samples have 3 feature rows, 3 pixel rows and 2 bases"), Error);
  CHECK_THROWS_WITH_AS(realism_report(real, {}, none), "realism: there are no samples to check", Error);
}
TEST_SUITE_END();
