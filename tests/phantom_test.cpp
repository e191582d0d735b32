// The phantom: reproducible bits, sane masks, findings where the labels say, the same patient at every size.
#include "data/phantom.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "tensor/error.h"

using namespace querent;

TEST_SUITE_BEGIN("phantom_test");

namespace {

double area(const Image& m) {
  double sum = 0;
  for (const float v : m.pixels) sum += v;
  return sum / static_cast<double>(m.pixels.size());
}

double dice(const Image& a, const Image& b) {
  double both = 0, sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) both += a.pixels[i] * b.pixels[i], sum += a.pixels[i] + b.pixels[i];
  return sum > 0 ? 2 * both / sum : 1;
}

double centre_x(const Image& m) {
  double sum = 0, n = 0;
  for (int64_t y = 0; y < m.height; ++y)
    for (int64_t x = 0; x < m.width; ++x) sum += m.at(y, x) * static_cast<double>(x), n += m.at(y, x);
  return sum / n / static_cast<double>(m.width);
}

// Centres (fraction of the width) of the 4-connected pieces of a mask.
std::vector<double> pieces(const Image& m) {
  Image left = m;
  std::vector<double> out;
  for (int64_t start = 0; start < m.height * m.width; ++start) {
    if (left.pixels[static_cast<size_t>(start)] == 0) continue;
    std::vector<int64_t> stack{start};
    left.pixels[static_cast<size_t>(start)] = 0;
    double sum = 0, n = 0;
    while (!stack.empty()) {
      const int64_t i = stack.back(), y = i / m.width, x = i % m.width;
      stack.pop_back();
      sum += static_cast<double>(x), n += 1;
      const int64_t next[4][2] = {{y, x - 1}, {y, x + 1}, {y - 1, x}, {y + 1, x}};
      for (const auto& q : next)
        if (q[0] >= 0 && q[0] < m.height && q[1] >= 0 && q[1] < m.width && left.at(q[0], q[1]) > 0) {
          left.at(q[0], q[1]) = 0;
          stack.push_back(q[0] * m.width + q[1]);
        }
    }
    if (n > 0.002 * static_cast<double>(m.pixels.size())) out.push_back(sum / n / static_cast<double>(m.width));
  }
  return out;
}

double correlation(const Image& a, const Image& b) {
  double sa = 0, sb = 0, aa = 0, bb = 0, ab = 0;
  const double n = static_cast<double>(a.pixels.size());
  for (size_t i = 0; i < a.pixels.size(); ++i) {
    const double x = a.pixels[i], y = b.pixels[i];
    sa += x, sb += y, aa += x * x, bb += y * y, ab += x * y;
  }
  return (ab - sa * sb / n) / std::sqrt((aa - sa * sa / n) * (bb - sb * sb / n));
}

}  // namespace

TEST_CASE("the same bits twice, whatever the threads and the order") {
  PhantomOptions o;
  o.size = 64;
  std::vector<Phantom> one(6), two(6);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
#pragma omp parallel for
  for (int i = 0; i < 6; ++i) one[static_cast<size_t>(i)] = render_phantom(o, i);
  omp_set_num_threads(2);
#pragma omp parallel for schedule(dynamic, 1)
  for (int i = 5; i >= 0; --i) two[static_cast<size_t>(i)] = render_phantom(o, i);
  omp_set_num_threads(before);
  for (size_t i = 0; i < 6; ++i) {
    CHECK(one[i].image.pixels == two[i].image.pixels);
    CHECK(one[i].lungs.pixels == two[i].lungs.pixels);
    CHECK(one[i].heart.pixels == two[i].heart.pixels);
    CHECK(one[i].clavicles.pixels == two[i].clavicles.pixels);
    CHECK(one[i].patient_id == two[i].patient_id);
  }
  o.seed = 2;
  CHECK(render_phantom(o, 0).image.pixels != one[0].image.pixels);
}

TEST_CASE("masks are two lungs with the heart between them and clavicles above") {
  PhantomOptions o;
  Image last;
  for (int64_t i = 0; i < 40; ++i) {
    CAPTURE(i);
    const Phantom p = render_phantom(o, i);
    const auto all = [](const Image& m, auto rule) { return std::all_of(m.pixels.begin(), m.pixels.end(), rule); };
    for (const Image* m : {&p.lungs, &p.whole_lungs, &p.heart, &p.clavicles, &p.opacity})
      CHECK(all(*m, [](float v) { return v == 0.0f || v == 1.0f; }));
    CHECK(all(p.image, [](float v) { return v >= 0.0f && v <= 1.0f; }));
    const std::vector<double> at = pieces(p.lungs);
    REQUIRE(at.size() == 2);
    const auto [right, left] = std::minmax(at[0], at[1]);
    CHECK(right < centre_x(p.heart));
    CHECK(centre_x(p.heart) < left);
    CHECK(left - right > 0.25);
    CHECK(area(p.lungs) > 0.12);
    CHECK(area(p.lungs) < 0.50);
    CHECK(area(p.heart) > 0.04);
    CHECK(area(p.heart) < 0.22);
    CHECK(area(p.clavicles) > 0.005);
    CHECK(area(p.clavicles) < 0.06);
    CHECK(dice(p.lungs, p.heart) == 0.0);
    double lost = 0;  // whole lungs are the lungs and a part of the heart's shadow, and still two
    for (size_t k = 0; k < p.lungs.pixels.size(); ++k) lost += p.lungs.pixels[k] > p.whole_lungs.pixels[k];
    CHECK(lost == 0);
    CHECK(dice(p.whole_lungs, p.heart) > 0.05);
    CHECK(pieces(p.whole_lungs).size() == 2);
    if (!last.pixels.empty()) {
      CHECK(dice(last, p.lungs) < 0.995);
      CHECK(dice(last, p.lungs) > 0.4);
    }
    last = p.lungs;
    // Lungs are darker than what lies between them: air passes rays, the heart stops them.
    double lung = 0, heart = 0;
    for (size_t k = 0; k < p.image.pixels.size(); ++k)
      lung += p.image.pixels[k] * p.lungs.pixels[k], heart += p.image.pixels[k] * p.heart.pixels[k];
    const double n = static_cast<double>(p.image.pixels.size());
    CHECK(heart / (area(p.heart) * n) > lung / (area(p.lungs) * n) + 0.08);
  }
}

TEST_CASE("labels agree with what was drawn, and images of one patient share the finding") {
  PhantomOptions o;
  o.size = 64;
  std::map<std::string, int> seen;
  std::map<std::string, std::set<std::string>> of_patient;
  const int many = 240;
  for (int i = 0; i < many; ++i) {
    CAPTURE(i);
    const Phantom p = render_phantom(o, i);
    ++seen[p.label];
    of_patient[p.patient_id].insert(p.label);
    CHECK(p.group == (p.label == "normal" ? "normal" : "abnormal"));
    CHECK((p.label == "nodule") == !p.nodules.empty());
    if (p.label != "opacity") CHECK(area(p.opacity) == 0.0);
    CHECK(p.patient_id == "p" + std::to_string(phantom_patient(o, i)));
    for (const Nodule& q : p.nodules) {
      const auto x = static_cast<int64_t>(q.x * 64), y = static_cast<int64_t>(q.y * 64);
      REQUIRE((x >= 0 && x < 64 && y >= 0 && y < 64));
      CHECK(p.lungs.at(y, x) == 1.0f);
    }
  }
  CHECK(seen["normal"] > many * 0.35);
  CHECK(seen["normal"] < many * 0.65);
  CHECK(seen["nodule"] > many * 0.10);
  CHECK(seen["opacity"] > many * 0.18);
  CHECK(of_patient.size() < static_cast<size_t>(many));
  CHECK(of_patient.size() > static_cast<size_t>(many) / 2);
  for (const auto& [patient, labels] : of_patient) CHECK(labels.size() == 1);
}

TEST_CASE("a finding brightens the lung where it lies and nowhere else") {
  PhantomOptions o;
  o.nodule_fraction = 0, o.opacity_fraction = 0, o.device_fraction = 0;
  const Phantom plain = render_phantom(o, 3);
  CHECK(plain.label == "normal");
  // The middle of the right lung.
  double cx = 0, cy = 0, n = 0;
  for (int64_t y = 0; y < o.size; ++y)
    for (int64_t x = 0; x < o.size / 2; ++x)
      cx += plain.lungs.at(y, x) * x, cy += plain.lungs.at(y, x) * y, n += plain.lungs.at(y, x);
  cx /= n, cy /= n;
  const auto rise = [&](double subtlety, double far) {
    PhantomOptions with = o;
    with.extra_nodules = {{(cx + 0.5) / 128, (cy + 0.5) / 128, 0.04, subtlety}};
    const Phantom p = render_phantom(with, 3);
    CHECK(p.label == "nodule");
    double sum = 0, many = 0;
    for (int64_t y = 0; y < o.size; ++y)
      for (int64_t x = 0; x < o.size; ++x) {
        const double d = std::hypot(static_cast<double>(x) - cx, static_cast<double>(y) - cy) / (0.04 * 128);
        if (far > 0 ? d > far : d < 0.6) sum += p.image.at(y, x) - plain.image.at(y, x), many += 1;
      }
    return sum / many;
  };
  CHECK(rise(0.0, 0) > 0.06);
  CHECK(rise(0.9, 0) > 0.005);
  CHECK(rise(0.0, 0) > 2 * rise(0.9, 0));
  CHECK(std::abs(rise(0.0, 4)) < 0.01);

  o.opacity_fraction = 1;
  o.difficulty = 0;
  double inside = 0, count = 0;
  for (int64_t i = 0; i < 6; ++i) {
    PhantomOptions clear = o;
    clear.opacity_fraction = 0;
    const Phantom sick = render_phantom(o, i), well = render_phantom(clear, i);
    CHECK(sick.label == "opacity");
    CHECK(area(sick.opacity) > 0.001);
    for (size_t k = 0; k < sick.image.pixels.size(); ++k) {
      if (sick.opacity.pixels[k] > 0) CHECK(sick.lungs.pixels[k] == 1.0f);
      inside += sick.opacity.pixels[k] * (sick.image.pixels[k] - well.image.pixels[k]), count += sick.opacity.pixels[k];
    }
  }
  CHECK(inside / count > 0.03);
}

TEST_CASE("a picture of 128 pixels is the picture of 256 seen from further away") {
  PhantomOptions small, large;
  large.size = 256;
  for (int64_t i = 0; i < 4; ++i) {
    CAPTURE(i);
    const Phantom a = render_phantom(small, i), b = render_phantom(large, i);
    Image half(128, 128), lungs(128, 128);
    for (int64_t y = 0; y < 128; ++y)
      for (int64_t x = 0; x < 128; ++x) {
        float v = 0, m = 0;
        for (int64_t j = 0; j < 2; ++j)
          for (int64_t k = 0; k < 2; ++k) v += b.image.at(2 * y + j, 2 * x + k), m += b.lungs.at(2 * y + j, 2 * x + k);
        half.at(y, x) = v / 4, lungs.at(y, x) = m >= 2 ? 1.0f : 0.0f;
      }
    CHECK(correlation(a.image, half) > 0.985);
    CHECK(dice(a.lungs, lungs) > 0.985);
    CHECK(a.label == b.label);
  }
}

TEST_CASE("any size: those that are not drawn directly are scaled, with masks that stay 0 or 1") {
  PhantomOptions o;
  for (const int64_t size : {32, 100}) {
    o.size = size;
    const Phantom p = render_phantom(o, 0);
    CHECK(p.image.height == size);
    CHECK(p.lungs.width == size);
    double area = 0;
    for (const float v : p.lungs.pixels) {
      CHECK((v == 0.0f || v == 1.0f));
      area += v / static_cast<double>(size * size);
    }
    CHECK(area > 0.1);
    CHECK(area < 0.6);
  }
}

TEST_CASE("options out of range are told apart") {
  PhantomOptions o;
  o.size = 8;
  CHECK_THROWS_WITH_AS(render_phantom(o, 0), "phantom: size must lie in 16..2048, got 8", Error);
  o.size = 64;
  CHECK_THROWS_WITH_AS(render_phantom(o, -1), "phantom: index must not be negative, got -1", Error);
  o.nodule_fraction = 0.8;
  CHECK_THROWS_AS(render_phantom(o, 0), Error);
}

TEST_SUITE_END();
