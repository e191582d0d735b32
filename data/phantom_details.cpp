// Details drawn over the large parts: branching lung vessels, lines and tubes, nodules and opacities.
#include <algorithm>

#include "data/phantom_anatomy.h"

namespace querent::phantom {

namespace {

// Grows one vessel and its branches. Radii follow Murray's law: r0^3 = r1^3 + r2^3.
struct Grower {
  const Lung& lung;
  Anatomy& anatomy;
  Rng rng;
  int left;  // segments that may still be grown

  void grow(double x, double y, double angle, double r, double reach, int depth) {
    Tube t{{{x, y, r, 1}}, 1, 0, 1};
    double walked = 0;
    const double bend = 0.16 * rng.normal();
    while (walked < reach && left-- > 0) {
      const double step = 0.55 + 0.35 * rng.uniform();
      angle += 0.10 * rng.normal() + bend * 0.3;
      x += step * std::cos(angle) * lung.side, y += step * std::sin(angle);
      walked += step;
      r *= 0.955;
      if (lung.cavity(x, y) > 0.99 || y > lung.dome(x) + 2.5 || r < 0.02) break;
      t.points.push_back({x, y, r, 1});
      if (depth < 6 && rng.uniform() < 0.5) {
        const double share = rng.uniform(0.18, 0.55), turn = (rng.uniform() < 0.5 ? -1 : 1) * rng.uniform(0.4, 1.0);
        const double child = r * std::cbrt(share);
        r *= std::cbrt(1 - share);
        grow(x, y, angle + turn, child, (reach - walked) * rng.uniform(0.5, 0.95), depth + 1);
        angle -= turn * 0.25;
      }
    }
    if (t.points.size() > 1) anatomy.vessels.push_back(std::move(t));
  }
};

bool clear_lung(const Anatomy& a, const Patient& p, double x, double y, double margin) {
  for (const Lung& l : a.lungs) {
    if (l.side * (x - a.core_x) < 0) continue;
    if (std::abs(x - a.core_x) < 3.6 + margin) return false;
    if (y > l.dome(x) - margin || y < (-11.0 * p.height)) return false;
    if (std::abs(l.lateral_x(y)) - std::abs(x) < margin || l.cavity(x, y) > 0.93) return false;
    for (const Ellipsoid& e : a.heart)
      if (e.chord(x, y) > 0 || e.chord(x - l.side * margin, y) > 0) return false;
    return true;
  }
  return false;
}

void add_nodules(const Patient& p, const Shot& s, Anatomy& a) {
  Rng rng = Rng(p.key).fork("nodules");
  const double many = rng.uniform();
  const int count = many < 0.75 ? 1 : many < 0.92 ? 2 : 3;
  for (int i = 0; i < count; ++i) {
    const double r = 0.6 + 1.5 * std::pow(rng.uniform(), 1.2);
    const double lobes = rng.uniform(0, 0.22), phase = rng.uniform(0, 6.28);
    for (int tries = 0; tries < 200; ++tries) {
      const double x = rng.uniform(-14, 14) * p.width, y = rng.uniform(-11, 10) * p.height;
      if (!clear_lung(a, p, x, y, r)) continue;
      a.nodules.push_back({x, y, r, 1 - s.severity, lobes, phase});
      break;
    }
  }
}

void add_opacity(const Patient& p, const Shot& s, Anatomy& a) {
  Rng rng = Rng(p.key).fork("opacity");
  const double dose = 2.0 + 10.0 * s.severity;  // cm of water-equivalent tissue at the thickest place
  Opacity& o = a.opacity;
  o.kind = p.opacity_kind;
  const int side = rng.uniform() < 0.5 ? -1 : 1;
  const auto blob = [&](const Lung& l, double across, double up, double rx, double ry, double t) {
    // across 0 hilum to 1 chest wall, up 0 dome to 1 apex
    const double top = l.base - l.height, floor = l.dome_y, y = floor + (top - floor) * up;
    const double wall = l.lateral_x(std::min(y, l.base)), in = 3.2 * p.width;
    const double x = a.core_x + l.side * (in + (std::abs(wall) - in) * across);
    o.blobs.push_back({x, y, rx, ry, t});
  };
  const Lung& main = a.lungs[side < 0 ? 0 : 1];
  if (o.kind == 0) {  // patchy
    const int count = 1 + static_cast<int>(rng.below(5));
    const bool both = rng.uniform() < 0.45;
    for (int i = 0; i < count; ++i) {
      const Lung& l = both && rng.uniform() < 0.5 ? a.lungs[side < 0 ? 1 : 0] : main;
      blob(l, rng.uniform(0.1, 0.85), std::pow(rng.uniform(), 1.4) * 0.85, rng.uniform(1.8, 4.2), rng.uniform(1.8, 4.2),
           dose * rng.uniform(0.6, 1.0));
    }
    o.grain = rng.uniform(0.4, 0.9);
  } else if (o.kind == 1) {  // lobar
    const double which = rng.uniform();
    o.cut = true;
    o.cut_slope = rng.uniform(-0.15, 0.15);
    if (which < 0.35) {  // upper lobe above the minor fissure
      blob(main, rng.uniform(0.3, 0.7), 0.72, 4.6, 5.0, dose);
      o.cut_y = -1.5 * p.height + rng.uniform(-1, 1), o.cut_side = 1;
    } else {  // lower or middle lobe
      blob(main, rng.uniform(0.15, 0.7), rng.uniform(0.05, 0.3), rng.uniform(3.6, 5.5), rng.uniform(3.2, 5.0), dose);
      o.cut_y = rng.uniform(0.0, 2.5) * p.height, o.cut_side = -1;
    }
    o.cut_y -= o.cut_slope * main.xc;
    o.grain = rng.uniform(0.15, 0.45);
  } else {  // interstitial, both lungs
    for (const Lung& l : a.lungs)
      for (int i = 0; i < 2; ++i)
        blob(l, rng.uniform(0.05, 0.45), rng.uniform(0.1, 0.65), rng.uniform(3.0, 5.5), rng.uniform(3.5, 6.5),
             dose * rng.uniform(0.35, 0.6));
    o.grain = 1.0;
  }
}

}  // namespace

void add_vessels(const Patient& p, const Shot& s, Anatomy& a) {
  for (size_t i = 0; i < 2; ++i) {
    const Lung& l = a.lungs[i];
    const double hx = a.core_x + l.side * 3.4 * p.width, hy = (l.side < 0 ? -0.4 : -1.6) * p.height;
    Rng rng = Rng(p.key).fork(l.side < 0 ? "vessels right" : "vessels left");
    Grower g{l, a, rng, 1300};
    // A poor breath shortens the lung from below and crowds the same vessels into less room.
    const double squeeze = 1 + 0.10 * s.inspiration;
    const double start[] = {-1.45, -1.1, -0.75, -0.35, 0.05, 0.40, 0.72, 1.0, 1.25, 1.5, 0.9, -0.9};
    for (size_t k = 0; k < std::size(start); ++k) {
      const double down = start[k] > 0.3 ? 1.25 : 0.9;
      const double r = p.vessel_gain * down * g.rng.uniform(0.22, 0.40) * (s.supine && start[k] < 0 ? 1.25 : 1.0);
      g.grow(hx + g.rng.uniform(-0.8, 0.8) * l.side, hy + (start[k] > 0 ? 1.8 : -0.8) * g.rng.uniform(0.3, 1.1),
             start[k] + 0.12 * g.rng.normal(), r, (start[k] > 0 ? 13 : 11) * p.height * squeeze, 0);
    }
    for (int k = 0; k < 5; ++k) {  // vessels and bronchi seen end-on near the hilum
      const double x = hx + l.side * g.rng.uniform(0.3, 4.5), y = hy + g.rng.uniform(-3.0, 4.0),
                   r = g.rng.uniform(0.13, 0.30);
      a.vessels.push_back({{{x, y, r, 1.4}, {x + 0.05, y, r, 1.4}}, 1, 0, p.vessel_gain});
    }
  }
}

void add_devices(const Patient& p, const Shot& s, Anatomy& a) {
  Rng rng = Rng(s.key).fork("devices");
  const auto wire = [&](std::vector<TubePoint> key, double r, double flat, double weight) {
    Tube t{{}, flat, 0, weight};
    for (size_t i = 0; i + 1 < key.size(); ++i) {  // Catmull-Rom spline through the key points
      const TubePoint &b = key[i], &c = key[i + 1];
      const TubePoint &u = key[i > 0 ? i - 1 : 0], &v = key[std::min(i + 2, key.size() - 1)];
      for (int k = 0; k < 8; ++k) {
        const double q = k / 8.0, q2 = q * q, q3 = q2 * q;
        const auto mix = [&](double f0, double f1, double f2, double f3) {
          return 0.5 *
                 (2 * f1 + (f2 - f0) * q + (2 * f0 - 5 * f1 + 4 * f2 - f3) * q2 + (3 * f1 - f0 - 3 * f2 + f3) * q3);
        };
        t.points.push_back({mix(u.x, b.x, c.x, v.x), mix(u.y, b.y, c.y, v.y), r, 1});
      }
    }
    t.points.push_back({key.back().x, key.back().y, r, 1});
    a.devices.push_back(std::move(t));
  };
  const double h = p.height, w = p.width;
  const bool critical = s.supine && rng.uniform() < 0.6;
  if (critical || rng.uniform() < 0.3) {  // central venous line
    const double x = -rng.uniform(4, 8) * w;
    wire({{x - 5, -10.5 * h, 0},
          {x, -10.2 * h, 0},
          {-2.6, -8.5 * h, 0},
          {-1.9, -5 * h, 0},
          {-1.8 + 0.3 * rng.normal(), rng.uniform(-3.0, 1.0) * h, 0}},
         0.11, 1, 0.5);
  }
  if (critical) {  // tracheal tube, perhaps a gastric tube
    const double x = a.airway[0].points[1].x;
    wire({{x, -21, 0}, {x, -14 * h, 0}, {x - 0.2, rng.uniform(-9, -6.5) * h, 0}}, 0.42, 0.25, 0.7);
    if (rng.uniform() < 0.6)
      wire({{0.4, -21, 0}, {0.6, -8 * h, 0}, {0.9, 2 * h, 0}, {1.6, 9 * h, 0}, {4.5, 12.5 * h, 0}, {3.5, 16 * h, 0}},
           0.18, 1, 0.45);
  }
  const double leads = rng.uniform();
  if (leads < 0.6) {  // electrodes with their wires
    const int count = 2 + static_cast<int>(rng.below(3));
    for (int i = 0; i < count; ++i) {
      const double x = rng.uniform(-11, 11) * w, y = rng.uniform(-9, 8) * h, out = rng.uniform() < 0.5 ? -1.0 : 1.0;
      a.discs.push_back({x, y, 0.55, 0.55, 0, 0.14});
      wire({{x, y, 0},
            {x + out * rng.uniform(1, 5), y + rng.uniform(-5, 4), 0},
            {x + out * rng.uniform(4, 10), y + rng.uniform(-9, 6), 0},
            {out * 22, y + rng.uniform(-12, 8), 0}},
           0.08, 1, 1.1);
    }
  }
  if (rng.uniform() < 0.12) {  // pacemaker
    const double x = 9.5 * w, y = -6.5 * h;
    a.discs.push_back({x, y, 2.3, 1.9, 0.2, 0.55});
    wire({{x - 1.5, y - 1.0, 0},
          {6.5 * w, -9.8 * h, 0},
          {0.5, -8.2 * h, 0},
          {-1.6, -5 * h, 0},
          {-1.6, 2 * h, 0},
          {2.5, 6.5 * h, 0}},
         0.09, 1, 1.6);
  }
}

void add_findings(const Patient& p, const Shot& s, Anatomy& a) {
  Rng rng = Rng(p.key).fork("calcifications");
  for (int i = rng.uniform() < 0.2 ? 1 + static_cast<int>(rng.below(2)) : 0; i > 0; --i) {  // old granulomas, harmless
    const double x = rng.uniform(-12, 12) * p.width, y = rng.uniform(-10, 6) * p.height;
    if (clear_lung(a, p, x, y, 0.4)) a.discs.push_back({x, y, 0.22, 0.2, 0, 0.05});
  }
  if (p.finding == 1) add_nodules(p, s, a);
  if (p.finding == 2) add_opacity(p, s, a);
}

Field::Field(Rng rng) {
  for (float& v : lattice_) v = static_cast<float>(rng.uniform(-1, 1));
}

double Field::at(double x, double y) const {
  x += 4096, y += 4096;  // positive from here on, so that truncation is floor
  const int64_t cx = static_cast<int64_t>(x), cy = static_cast<int64_t>(y);
  const int64_t ix = cx & 31, iy = cy & 31, jx = (ix + 1) & 31, jy = (iy + 1) & 31;
  double u = x - static_cast<double>(cx), v = y - static_cast<double>(cy);
  u = u * u * (3 - 2 * u), v = v * v * (3 - 2 * v);
  const auto l = [&](int64_t a, int64_t b) { return static_cast<double>(lattice_[static_cast<size_t>(a * 32 + b)]); };
  return (l(iy, ix) * (1 - u) + l(iy, jx) * u) * (1 - v) + (l(jy, ix) * (1 - u) + l(jy, jx) * u) * v;
}

double Field::fractal(double x, double y, int octaves) const {
  double sum = 0, amplitude = 1, total = 0;
  for (int k = 0; k < octaves; ++k) {
    sum += amplitude * at(x, y);
    total += amplitude;
    amplitude *= 0.55, x = 2.03 * x + 7.7, y = 2.03 * y + 3.1;
  }
  return 1.6 * sum / total;
}

}  // namespace querent::phantom
