// People and exposures, and the soft parts built from them: lungs, torso, heart, great vessels, airway, gas.
#include "data/phantom_anatomy.h"

#include <algorithm>

namespace querent::phantom {

namespace {

double between(double low, double high, double t) { return low + (high - low) * t; }
double bounded_normal(Rng& rng, double mean, double sd, double limit = 2.2) {
  return mean + sd * std::clamp(rng.normal(), -limit, limit);
}

Lung make_lung(const Patient& p, const Shot& s, int side) {
  const double breath = s.inspiration, axis = project(s, {0, 0, 0.5}).x;
  Lung l{};
  l.side = side;
  l.xc = axis + side * 5.8 * p.width;
  l.lateral = (8.1 + 0.25 * breath + (side < 0 ? 0.15 : -0.1)) * p.width;
  l.medial = 4.9 * p.width;
  l.base = 9.5 * p.height;
  l.height = (22.0 + 0.15 * side) * p.height;
  l.depth = (8.4 + 0.4 * breath) * p.depth;
  l.square = p.apex_shape;
  // The right dome stands higher than the left because of the liver.
  l.dome_x = axis + side * (side < 0 ? 6.0 : 6.8) * p.width;
  l.dome_y = (8.2 + 1.9 * breath) * p.height + (side < 0 ? -0.5 : 0.5) * p.dome_gap;
  l.dome_a = (0.052 + 0.012 * breath) / p.width;
  l.dome_b = 0.12;
  l.dome_z = 1.8;
  return l;
}

void add_body(const Patient& p, const Shot& s, Anatomy& a) {
  const double wall = between(2.6, 5.2, p.fat), side_x = 13.7 * p.width;
  a.torso_x = project(s, {0, 0, 0}).x;
  a.torso_width = side_x + wall;
  a.torso_base = 9.0 * p.height;
  a.torso_height = 21.5 * p.height + 2.2 + 0.6 * p.fat;
  a.torso_depth = 9.6 * p.depth + between(0.8, 3.0, p.fat);
  a.belly = between(0.0, 2.5, p.fat);
  const double top = -12.5 * p.height, reach = side_x + 3.6;
  const double neck = between(5.0, 6.6, p.fat);
  const double nx = spine_x(p, s, -16);
  a.body.push_back({{{nx, -26, neck}, {nx, top + 1, neck * 1.05}}, 1.0, 0, 1});
  for (const int side : {-1, 1}) {
    const double x = a.torso_x, lift = 2.5 * s.arms;
    a.body.push_back({{{x + side * 2.6, top - 2.6, 4.2},
                       {x + side * 8.5, top + 1.9, 4.3 + p.fat},
                       {x + side * reach, top + 3.4 - 0.4 * lift, 4.3 + p.fat}},
                      1.15,
                      0,
                      1});
    a.body.push_back({{{x + side * reach, top + 3.4 - 0.4 * lift, 4.3 + p.fat},
                       {x + side * (reach + 2.0 + lift), 4.0, 4.0 + p.fat},
                       {x + side * (reach + 3.4 + 2.4 * lift), 24.0, 3.6 + p.fat}},
                      1.0,
                      0,
                      1});
    // Pectoral muscle and the fold of the armpit.
    a.muscles.push_back({x + side * 9.0 * p.width, top + 6.5, 6.4, 4.2, side * 0.5, between(0.5, 0.95, 1 - p.breast)});
    if (p.breast > 0.05) {
      const double r = between(4.6, 6.8, p.breast);
      const Point c = project(s, {side * 7.6 * p.width, 4.6 + 1.8 * p.breast, 9});
      a.breasts.push_back({c.x, c.y, r * 1.08, r, side * 0.15, between(0.4, 1.5, p.breast)});
    }
  }
}

void add_heart(const Patient& p, const Shot& s, Anatomy& a) {
  // Widths follow from the cardiothoracic ratio: heart width = ratio * inner thoracic width.
  const double thorax = 27.4 * p.width, width = p.heart_ratio * thorax * (s.supine ? 1.09 : 1.0);
  const double squat = 1 - 0.06 * s.inspiration;  // a high diaphragm lifts and widens the heart
  const double right = width * 0.34 * squat, left = width * 0.66 * squat;
  const double floor_y = std::min(a.lungs[0].dome_y, a.lungs[1].dome_y);
  const double mid = floor_y - 4.0 * p.height, z = 3.5;
  const double x0 = project(s, {0, mid, z}).x;
  const double tall = (5.4 + 0.10 * width) * p.height;
  const double tilt = between(0.95, 0.45, p.heart_tilt);
  a.heart.push_back({x0 + left - 0.52 * width, mid + 0.9, 0.62 * width, 0.44 * width, tilt, 5.6});   // left ventricle
  a.heart.push_back({x0 - right + 0.30 * width, mid + 0.1, 0.30 * width, tall * 0.72, -0.12, 5.0});  // right atrium
  a.heart.push_back({x0 + 0.03 * width, mid + 0.8, 0.37 * width, tall * 0.80, 0.15, 5.6});           // right ventricle
  a.heart.push_back({x0 + 0.13 * width, mid - 0.42 * tall, 0.29 * width, tall * 0.62, -0.45, 4.6});  // outflow, auricle
  // The fitted left ventricle may lie wider than asked: scale the group so that its width is the asked one.
  double lo = 1e9, hi = -1e9;
  for (const Ellipsoid& e : a.heart) {
    const double reach = std::hypot(e.rx * e.c, e.ry * e.s);
    lo = std::min(lo, e.x - reach), hi = std::max(hi, e.x + reach);
  }
  const double zoom = width / (hi - lo), want_lo = x0 - right;
  for (Ellipsoid& e : a.heart) {
    e.x = want_lo + (e.x - lo) * zoom;
    e.rx *= zoom, e.ry *= between(1.0, zoom, 0.6);
  }

  const auto at = [&](double x, double y, double depth) { return project(s, {x, y, depth}); };
  const auto tube = [&](std::vector<Tube>& to, std::initializer_list<std::array<double, 4>> points, double flat) {
    Tube t;
    for (const auto& q : points) {
      const Point c = at(q[0], q[1], q[2]);
      t.points.push_back({c.x, c.y, q[3]});
    }
    t.flat = flat;
    to.push_back(t);
  };
  const double h = p.height, unfold = p.age, knob = between(1.25, 1.8, unfold);
  const double arch_x = between(2.0, 3.0, unfold), arch_y = -6.0 * h + between(0.4, -0.6, unfold);
  // Superior vena cava and right brachiocephalic vein; they widen when the patient lies down.
  const double vein = (s.supine ? 1.55 : 1.25) + 0.2 * p.fat;
  tube(a.mediastinum,
       {{-3.0, -13.5 * h, 1, vein},
        {-2.0, -10 * h, 1, vein},
        {-1.3, -7 * h, 2, vein},
        {-1.15, -4 * h, 2, vein},
        {-1.6, mid, 2, vein}},
       1.3);
  // Ascending aorta, arch, descending aorta.
  tube(a.mediastinum,
       {{-1.0, mid - 2, 3, 1.7},
        {-1.2 - 0.7 * unfold, -4 * h, 4, 1.6},
        {0.3, arch_y - 0.9, 2, 1.5},
        {arch_x, arch_y, -1, knob},
        {arch_x + 0.1, arch_y + 2.0, -4, knob * 0.92},
        {arch_x - 0.3 + 0.5 * unfold, 2 * h, -5, 1.25},
        {1.2 + 0.6 * unfold, 10 * h, -5, 1.2}},
       1.4);
  tube(a.mediastinum,
       {{2.6, -14 * h, 0, 1.1}, {1.7, -11 * h, 0, 1.15}, {1.35, -8.5 * h, 0, 1.1}, {arch_x - 0.8, arch_y, 0, 1.1}},
       1.2);  // left subclavian
  // Pulmonary trunk and hila: the left hilum lies higher.
  tube(a.hila,
       {{1.0, mid - 4.2, 3, 1.6},
        {2.2, -2.2 * h, 2, 1.55},
        {3.0, -2.2 * h, 0, 1.0 + 0.3 * p.hilum_gain},
        {4.0, -1.2 * h, -1, 0.75 * p.hilum_gain},
        {4.6, 1.2 * h, -1, 0.6 * p.hilum_gain}},
       1.1);
  tube(a.hila,
       {{-1.0, -1.4 * h, 0, 1.1},
        {-2.9, -0.8 * h, 0, 0.95 * p.hilum_gain},
        {-4.0, 0.6 * h, -1, 0.8 * p.hilum_gain},
        {-4.6, 3.2 * h, -1, 0.6 * p.hilum_gain}},
       1.1);
  a.core_x = spine_x(p, s, 0);
  a.core_left = 1.75 + 0.6 * p.fat, a.core_right = 1.65 + 0.6 * p.fat;
}

void add_airway(const Patient& p, const Shot& s, Anatomy& a) {
  Rng rng = Rng(p.key).fork("airway");
  const double bend = rng.uniform(0.1, 0.7) + 0.3 * p.age, h = p.height, fork_y = -4.2 * h;
  const auto point = [&](double x, double y, double z, double r) {
    const Point c = project(s, {x + spine_x(p, s, y) * 0.7, y, z});
    return TubePoint{c.x, c.y, r};
  };
  const double ax = -0.15 - bend;
  a.airway.push_back({{point(0, -22, 0, 0.9), point(0, -12 * h, 0.3, 0.85), point(ax, -7 * h, 0.3, 0.85),
                       point(ax * 0.7, fork_y, 0, 0.85)},
                      1,
                      0,
                      1});
  a.airway.push_back(
      {{point(ax * 0.7, fork_y, 0, 0.7), point(-2.0, fork_y + 2.2, -0.5, 0.62), point(-3.3, fork_y + 4.6, -1, 0.40)},
       1,
       0,
       0.8});
  a.airway.push_back(
      {{point(ax * 0.7, fork_y, 0, 0.65), point(2.0, fork_y + 1.7, -0.5, 0.55), point(4.0, fork_y + 3.1, -1, 0.38)},
       1,
       0,
       0.8});
}

void add_gas(const Patient& p, const Shot& s, Anatomy& a) {
  Rng rng = Rng(p.key).fork("gas").fork(s.key);
  const Lung& l = a.lungs[1];
  if (rng.uniform() < 0.55) {  // gastric bubble below the left dome
    const double rx = rng.uniform(1.6, 3.6), ry = rng.uniform(0.8, 2.2);
    const double x = l.dome_x - rng.uniform(-0.5, 2.0), y = l.dome(x) + 0.7 + ry;
    a.gas.push_back({x, y, rx, ry, rng.uniform(-0.3, 0.3), rng.uniform(1.4, 3.2)});
    if (rng.uniform() < 0.5) a.gas.push_back({x + 0.6 * rx, y + 0.4 * ry, rx * 0.8, ry * 0.8, 0.2, 1.4});
  }
  const int loops = rng.uniform() < 0.45 ? 1 + static_cast<int>(rng.below(4)) : 0;
  for (int i = 0; i < loops; ++i) {  // colon
    const double x = rng.uniform(-6, 13) * p.width, y = 14.0 * p.height + rng.uniform(-1.0, 4.0);
    a.gas.push_back(
        {x, y, rng.uniform(0.9, 2.2), rng.uniform(0.7, 1.5), rng.uniform(-0.8, 0.8), rng.uniform(0.8, 2.0)});
  }
}

}  // namespace

Point project(const Shot& s, Point p) {
  const double c = std::cos(s.yaw), n = std::sin(s.yaw);
  const double z = p.z * c - p.x * n;
  return {p.x * c + p.z * n, p.y - z * std::sin(s.pitch), z};
}

double spine_x(const Patient& p, const Shot& s, double y) {
  return p.scoliosis * std::sin(y / 7.5 + p.scoliosis_phase) + project(s, {0, y, -6}).x;
}

double Lung::cavity(double x, double y) const {
  const double d = side * (x - xc), u = (base - y) / height;
  const double across = d > 0 ? d / lateral : d / medial, a2 = across * across;
  const double g = d > 0 ? (1 - square) * a2 + square * a2 * a2 : a2 * (0.6 + 0.4 * a2);
  const double h = u > 0 ? (1 - square) * u * u + square * u * u * u * u : 0.35 * u * u;
  return g + h;
}

double Lung::lateral_x(double y) const {
  const double u = (base - y) / height;
  const double h = u > 0 ? (1 - square) * u * u + square * u * u * u * u : 0.35 * u * u;
  const double g = std::max(0.0, 1 - h), b = 1 - square;
  const double a2 = square > 1e-6 ? (-b + std::sqrt(b * b + 4 * square * g)) / (2 * square) : g;
  return side * xc + lateral * std::sqrt(a2);
}

double Lung::dome(double x) const {
  const double d = side * (x - dome_x), q = d * d;
  return dome_y + dome_a * q + (d > 0 ? 0.0006 : 0.0) * q * q;
}

double Lung::chord(double x, double y) const {
  const double f = cavity(x, y);
  if (f >= 1) return 0;
  const double half = depth * std::sqrt(1 - f), below = y - dome(x);
  if (below <= 0) return 2 * half;
  const double cut = std::sqrt(below / dome_b);  // the dome fills [dome_z - cut, dome_z + cut]
  const double front = std::max(0.0, half - (dome_z + cut)), back = std::max(0.0, (dome_z - cut) + half);
  return (front + back) * std::exp(-below / 1.3);  // the recess thins out towards its rim
}

Patient sample_patient(const PhantomOptions& o, int64_t patient) {
  Rng rng = Rng(o.seed).fork("patient").fork(static_cast<uint64_t>(patient));
  Patient p{};
  const double height = bounded_normal(rng, 0, 1);
  p.scale = 1 + 0.05 * height;
  p.width = p.scale * bounded_normal(rng, 1, 0.075);
  p.height = p.scale * bounded_normal(rng, 1, 0.085);
  p.depth = bounded_normal(rng, 1, 0.08);
  p.fat = std::pow(rng.uniform(), 1.4);
  p.breast = rng.uniform() < 0.5 ? 0.0 : std::clamp(0.25 + 0.5 * p.fat + 0.2 * rng.normal(), 0.05, 1.0);
  p.age = rng.uniform();
  p.heart_ratio = std::clamp(bounded_normal(rng, 0.445, 0.05), 0.35, 0.60);
  p.heart_tilt = std::clamp(0.4 + 0.3 * p.fat + 0.25 * rng.normal(), 0.0, 1.0);
  p.scoliosis = rng.uniform() < 0.25 ? rng.uniform(-1.0, 1.0) : rng.uniform(-0.3, 0.3);
  p.scoliosis_phase = rng.uniform(0, 6.28);
  p.rib_slope = bounded_normal(rng, 1, 0.14);
  p.rib_radius = bounded_normal(rng, 0.62, 0.06);
  p.bone = between(1.15, 0.75, p.age) * bounded_normal(rng, 1, 0.1);
  p.vessel_gain = bounded_normal(rng, 1, 0.16);
  p.hilum_gain = bounded_normal(rng, 1, 0.16);
  p.apex_shape = rng.uniform(0.0, 0.28);
  p.dome_gap = rng.uniform(0.2, 2.2);
  p.clavicle_rise = bounded_normal(rng, 2.4, 0.9);
  const double what = rng.uniform();
  p.finding = what < o.nodule_fraction ? 1 : what < o.nodule_fraction + o.opacity_fraction ? 2 : 0;
  const double kind = rng.uniform();
  p.opacity_kind = kind < 0.45 ? 0 : kind < 0.75 ? 1 : 2;
  p.key = rng.fork("shapes").key();
  return p;
}

Shot sample_shot(const PhantomOptions& o, const Patient& p, int64_t index) {
  Rng rng = Rng(o.seed).fork("shot").fork(static_cast<uint64_t>(index));
  Shot s{};
  s.supine = rng.uniform() < 0.3;
  s.inspiration = std::clamp(bounded_normal(rng, s.supine ? -0.5 : 0.25, 0.5), -1.4, 1.1);
  s.yaw = bounded_normal(rng, 0, 0.08);
  s.pitch = bounded_normal(rng, s.supine ? 0.06 : 0, 0.05);
  s.roll = bounded_normal(rng, 0, 0.045);
  s.fov = 32.0 * std::max(p.width, p.height) * bounded_normal(rng, 1.05, 0.07, 2.0);
  s.cx = bounded_normal(rng, 0, 1.1);
  s.cy = bounded_normal(rng, 0.4, 1.0);
  s.arms = s.supine ? rng.uniform(0, 0.4) : rng.uniform(0.2, 1);
  const double easy = rng.uniform();
  s.severity = std::pow(easy, between(0.35, 2.2, o.difficulty));
  s.exposure = bounded_normal(rng, 0, 1);
  s.contrast = bounded_normal(rng, 1, 0.18);
  s.noise = std::exp(bounded_normal(rng, 0, 0.6));
  s.glare = rng.uniform(0.25, 0.9);
  s.sharpen = rng.uniform(0.2, 1.6);
  s.compress = rng.uniform(0.1, 0.6);
  s.gamma = std::exp(bounded_normal(rng, 0, 0.16));
  s.blur = rng.uniform(0.02, 0.07);
  s.devices = rng.uniform() < o.device_fraction;
  s.key = rng.fork("shapes").key();
  return s;
}

Anatomy build_anatomy(const Patient& p, const Shot& s) {
  Anatomy a{};
  a.lungs = {make_lung(p, s, -1), make_lung(p, s, 1)};
  add_body(p, s, a);
  add_heart(p, s, a);
  add_airway(p, s, a);
  add_gas(p, s, a);
  add_bones(p, s, a);
  add_vessels(p, s, a);
  if (s.devices) add_devices(p, s, a);
  add_findings(p, s, a);
  return a;
}

}  // namespace querent::phantom
