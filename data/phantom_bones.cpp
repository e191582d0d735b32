// The skeleton: ribs as slanted ellipses round the thorax, vertebrae, clavicles, scapulae, humeri, sternum.
#include <algorithm>

#include "data/phantom_anatomy.h"

namespace querent::phantom {

namespace {

constexpr double pi = 3.14159265358979323846;

// Turns body points into a tube on the plane. Where the curve runs along the ray the path through it grows; the factor
// 1/sin(angle to the ray) is bounded because the tube is also short there.
Tube tube_of(const Shot& s, const std::vector<Point>& path, const std::vector<double>& radius, double flat,
             double shell, double weight) {
  Tube t{{}, flat, shell, weight};
  std::vector<Point> q;
  for (const Point& p : path) q.push_back(project(s, p));
  for (size_t i = 0; i < q.size(); ++i) {
    const Point &u = q[i > 0 ? i - 1 : i], &v = q[i + 1 < q.size() ? i + 1 : i];
    const double across = std::hypot(v.x - u.x, v.y - u.y), along = v.z - u.z;
    const double stretch = std::min(1.3, std::hypot(across, along) / std::max(across, 1e-6));
    t.points.push_back({q[i].x, q[i].y, radius[std::min(i, radius.size() - 1)], stretch});
  }
  return t;
}

void add_ribs(const Patient& p, const Shot& s, Anatomy& a) {
  Rng rng = Rng(p.key).fork("ribs");
  const double breath = s.inspiration;
  for (int k = 1; k <= 11; ++k) {
    for (const int side : {-1, 1}) {
      const Lung& lung = a.lungs[side < 0 ? 0 : 1];
      const double wobble = 0.10 * rng.normal(), thick = 1 + 0.07 * rng.normal();
      const double y0 = (-12.9 + 2.25 * (k - 1)) * p.height + wobble;
      const double fall = p.rib_slope * (2.1 + 0.48 * std::min(k, 7) - 0.5 * breath) * p.height;
      const double rise = 0.12 * p.height * (k > 2 ? 1 : 0);
      // As wide as the lung at the rib's lateral turn.
      const double wall = std::max(lung.lateral_x(std::min(y0 + fall, lung.base)), 4.9 * p.width);
      const double wide = std::abs(wall - side * project(s, {0, 0, 0}).x) + 0.15;
      const double deep = (k == 1 ? 5.0 : std::min(7.0 + 0.5 * k, 9.4)) * p.depth;
      const double radius = p.rib_radius * thick * (k == 1 ? 1.1 : k > 9 ? 0.8 : 1.0) * p.scale;
      const double end = k <= 7 ? 146 + 2 * rng.normal() : k <= 10 ? 140 - 12 * (k - 7) : 75;
      std::vector<Point> back, front;
      std::vector<double> back_r, front_r;
      const auto point = [&](double degrees) {
        const double f = degrees * pi / 180, sn = std::sin(f), cs = std::cos(f);
        const double y = y0 + fall * (0.62 * (1 - cs) + 0.38 * f / (pi / 2)) - rise * std::sin(2 * f);
        const double x = wide * std::pow(std::max(sn, 0.0), 0.88);
        const double bent =
            (degrees < 90 ? p.scoliosis * std::sin(y0 / 7.5 + p.scoliosis_phase) : 0) * std::max(cs, 0.0);
        return Point{side * x + bent, y, -deep * cs};
      };
      for (double f = 9; f <= std::min(92.0, end); f += 5.5) {
        back.push_back(point(f));
        back_r.push_back(radius * (f < 20 ? 0.8 : 1.0));
      }
      a.bones.push_back(tube_of(s, back, back_r, 0.55, 0.14, p.bone));
      for (double f = 88; f <= end; f += 5.5) {
        front.push_back(point(f));
        front_r.push_back(radius * (1 + 0.25 * (f - 88) / 60));  // ribs widen towards their cartilage
      }
      if (front.size() > 2) a.bones.push_back(tube_of(s, front, front_r, 0.42, 0.10, 0.85 * p.bone));
      if (k >= 2 && k <= 7 && p.age > 0.55 && front.size() > 2) {  // calcified cartilage
        const Point e = point(end);
        const Point stop{e.x * 0.55, e.y + (k > 4 ? -0.8 : 0.4), e.z + 0.5};
        a.bones.push_back(tube_of(s, {e, {(e.x + stop.x) / 2, e.y + 0.5, e.z}, stop},
                                  {radius, radius * 0.9, radius * 0.7}, 0.4, 0.08, 0.7 * (p.age - 0.5)));
      }
    }
  }
}

void add_spine(const Patient& p, const Shot& s, Anatomy& a) {
  double y = -21 * p.height;
  for (int k = 0; k < 20; ++k) {
    const double t = k / 19.0, pitch = (1.75 + 1.1 * t) * p.height;
    a.vertebrae.push_back({spine_x(p, s, y), project(s, {0, y, -6}).y, (1.25 + 0.95 * t) * p.width, 0.43 * pitch,
                           project(s, {0, y, -10}).x + p.scoliosis * std::sin(y / 7.5 + p.scoliosis_phase)});
    for (const int side : {-1, 1}) {  // transverse processes
      const double x = p.scoliosis * std::sin(y / 7.5 + p.scoliosis_phase);
      a.bones.push_back(tube_of(s, {{x + side * 1.2, y - 0.2, -7.5}, {x + side * (2.6 + 0.3 * t), y - 0.5, -8.2}},
                                {0.5, 0.42}, 0.8, 0.1, 0.6 * p.bone));
    }
    y += pitch;
  }
}

void add_shoulders(const Patient& p, const Shot& s, Anatomy& a) {
  Rng rng = Rng(p.key).fork("shoulders");
  const double h = p.height, w = p.width, rise = p.clavicle_rise + 0.5 * (s.arms - 0.5), bow = 0.5 + 0.3 * rng.normal();
  const double root = -9.3 * h - 0.4 * s.pitch;
  for (const int side : {-1, 1}) {
    const auto at = [&](double x, double y, double z) { return Point{side * x * w, root + y, z}; };
    Tube t = tube_of(
        s,
        {at(1.7, 0.25, 5.5), at(2.6, 0.0, 5.4), at(4.2, -0.35 - 0.15 * rise, 5.2),
         at(6.2, -0.35 * rise + 0.1 * bow, 4.6), at(8.5, -0.62 * rise + 0.1, 3.4),
         at(10.8, -0.9 * rise - 0.2 * bow, 2.2), at(13.0, -1.05 * rise - 0.3 * bow, 1.2), at(14.9, -1.0 * rise, 0.6)},
        {0.95, 0.8, 0.62, 0.56, 0.52, 0.55, 0.66, 0.72}, 0.95, 0.2, 1.25 * p.bone);
    a.clavicles.push_back(t);
    // Scapula: rolled out of the lungs when the arms are lifted forward.
    const double out = 2.6 * s.arms + (s.supine ? -0.6 : 0), top = root + 0.6 - 0.5 * rise;
    const auto sc = [&](double x, double y) { return project(s, {side * (x + out) * w, top + y, -7}); };
    const std::vector<Point> blade = {sc(9.4, -0.6), sc(10.2, 6.0), sc(11.4, 10.2), sc(12.3, 8.4),
                                      sc(14.2, 3.0), sc(14.6, 0.6), sc(12.0, -1.2)};
    a.plates.push_back({blade, 0.22 * p.bone});
    const auto border = [&](std::initializer_list<Point> q, double r, double weight) {
      Tube b{{}, 0.7, 0.1, weight * p.bone};
      for (const Point& c : q) b.points.push_back({c.x, c.y, r, 1});
      a.bones.push_back(b);
    };
    border({blade[0], blade[1], blade[2]}, 0.25, 1.1);
    border({blade[2], blade[3], blade[4], sc(14.9, 2.0)}, 0.42, 1.2);
    border({sc(9.6, 1.6), sc(12.0, 0.0), sc(14.6, -1.8), sc(16.4, -2.4)}, 0.55, 1.0);  // spine and acromion
    border({sc(13.2, -0.6), sc(14.4, 0.2), sc(15.2, 0.0)}, 0.5, 0.8);                  // coracoid
    border({sc(14.8, 0.2), sc(14.9, 2.6)}, 0.7, 0.7);                                  // glenoid
    const double lift = 2.5 * s.arms, hx = (16.6 + 0.5 * out) * w;
    Tube arm = tube_of(s,
                       {{side * hx, top + 0.7, -3},
                        {side * (hx + 0.5), top + 1.6, -3},
                        {side * (hx + 1.2 + 0.15 * lift), top + 4.0, -3},
                        {side * (hx + 2.2 + 0.8 * lift), top + 14, -3},
                        {side * (hx + 3.4 + 1.6 * lift), top + 26, -3}},
                       {2.25, 2.2, 1.3, 1.15, 1.2}, 0.9, 0.25, 0.5 * p.bone);
    a.bones.push_back(arm);
  }
  // Manubrium and body of the sternum, hidden by the spine except when the patient is turned.
  const auto st = [&](double x, double y) { return project(s, {x, root + y, 7.5}); };
  a.plates.push_back({{st(-2.6, 0.2), st(2.6, 0.2), st(2.0, 4.2), st(1.6, 5.0), st(2.0, 14.5), st(-2.0, 14.5),
                       st(-1.6, 5.0), st(-2.0, 4.2)},
                      0.14 * p.bone});
}

}  // namespace

void add_bones(const Patient& p, const Shot& s, Anatomy& a) {
  add_ribs(p, s, a);
  add_spine(p, s, a);
  add_shoulders(p, s, a);
}

}  // namespace querent::phantom
