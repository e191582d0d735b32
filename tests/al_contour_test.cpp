// Outlines of regions: tracing, filling, normals, crossings and the periodic B-spline.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "al/synthesis/contour.h"
#include "data/phantom.h"

TEST_SUITE_BEGIN("al_contour_test");
using namespace querent;
using namespace querent::al;

namespace {

Image rows(const std::vector<std::string>& lines) {  // '#' is inside
  Image m(static_cast<int64_t>(lines.size()), static_cast<int64_t>(lines[0].size()));
  for (int64_t y = 0; y < m.height; ++y)
    for (int64_t x = 0; x < m.width; ++x)
      m.at(y, x) = lines[static_cast<size_t>(y)][static_cast<size_t>(x)] == '#' ? 1.0f : 0.0f;
  return m;
}
Image disc(int64_t side, double cy, double cx, double radius) {
  Image m(side, side);
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x)
      m.at(y, x) = std::hypot(static_cast<double>(y) - cy, static_cast<double>(x) - cx) <= radius ? 1.0f : 0.0f;
  return m;
}
double length(const Vec2& p) { return std::hypot(p.x, p.y); }

}  // namespace

TEST_CASE("an outline is the middle of the pixel sides, clockwise, and filling it gives the region back") {
  const Contour one = trace_outline(rows({"...", ".#.", "..."}));
  REQUIRE(one.size() == 4);
  const double expected[4][2] = {{1, 0.5}, {1.5, 1}, {1, 1.5}, {0.5, 1}};
  for (size_t i = 0; i < 4; ++i) CHECK((one[i].x == expected[i][0] && one[i].y == expected[i][1]));

  std::vector<Image> shapes = {rows({"###", "###"}), rows({"#....", "####.", "#..#.", "#.##."}),
                               rows({".##.", "##..", ".##.", "..##"}), disc(40, 19.3, 20.6, 15.2)};
  PhantomOptions o;
  for (int64_t index = 0; index < 4; ++index) {
    const Phantom p = render_phantom(o, index);
    const Regions r = find_regions(p.lungs);
    for (size_t k = 0; k < r.area.size(); ++k) shapes.push_back(r.mask(static_cast<int32_t>(k + 1), 128, 128));
  }
  CHECK(shapes.size() >= 10);
  for (const Image& shape : shapes) {
    REQUIRE(find_regions(shape).area.size() == 1);
    CHECK(fill(trace_outline(shape), shape.height, shape.width).pixels == shape.pixels);
  }
  const Image ring = rows({"####", "#..#", "####"});
  CHECK(fill(trace_outline(ring), 3, 4).pixels == rows({"####", "####", "####"}).pixels);
  CHECK(find_regions(rows({"#.", ".#"})).area == std::vector<int64_t>{1, 1});  // corners do not join
}

TEST_CASE("normals point outwards, resampling is even, crossings are seen") {
  const Contour c = trace_outline(disc(128, 63.5, 63.5, 50));
  const Contour points = resample(c, 200);
  const std::vector<Vec2> normals = outward_normals(points, 3);
  REQUIRE(points.size() == 200);
  const double step = arc_lengths(c).back() / 200;
  for (size_t i = 0; i < 200; ++i) {
    const Vec2 &p = points[i], &q = points[(i + 1) % 200];
    CHECK(std::hypot(q.x - p.x, q.y - p.y) <= step + 1e-9);  // a chord is no longer than its arc
    CHECK((normals[i].x * (p.x - 63.5) + normals[i].y * (p.y - 63.5)) / std::hypot(p.x - 63.5, p.y - 63.5) > 0.95);
  }
  const std::vector<uint8_t> all(5, 1), none(5, 0);
  const Contour house = {{0, 0}, {2, 0}, {2, 2}, {1, 3}, {0, 2}}, star = {{0, 0}, {3, 2}, {-1, 2}, {2, 0}, {1, 3}};
  CHECK_FALSE(self_intersects(house, all));
  CHECK(self_intersects(star, all));
  CHECK_FALSE(self_intersects(star, none));  // nothing moved, nothing to look at
}

TEST_CASE("the spline repeats, keeps constants and reaches two control vectors to each side") {
  const std::vector<Vec2> constant(8, Vec2{2, -1});
  for (const double t : {0.0, 0.3, 6.9, 7.5})
    CHECK(length({periodic_spline(constant, t).x - 2, periodic_spline(constant, t).y + 1}) < 1e-12);
  std::vector<Vec2> one(8);
  one[0] = {6, 0};
  CHECK(periodic_spline(one, 0).x == doctest::Approx(4));  // 4/6 at the knot, 1/6 at its neighbours
  CHECK(periodic_spline(one, 1).x == doctest::Approx(1));
  CHECK(periodic_spline(one, 7).x == doctest::Approx(1));
  for (const double t : {2.0, 3.7, 5.0, 6.0}) CHECK(periodic_spline(one, t).x == 0);
}
TEST_SUITE_END();
