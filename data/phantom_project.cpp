// P(x,y) = mu_soft * (T - L) + mu_lung * L + d_mu * (vessels + findings) + mu_bone * B + ...
//
// T is the path through the body, L the path through aerated lung after heart, vessels and mediastinum have taken their
// share, B the path through bone. mu in 1/cm for an effective energy of a chest tube behind a patient.
#include "data/phantom_project.h"

#include <algorithm>

namespace querent::phantom {

namespace {

constexpr double mu_soft = 0.175, mu_lung = 0.058, mu_bone = 0.44, mu_metal = 2.2;
constexpr double d_mu = mu_soft - mu_lung;

double smooth_step(double low, double high, double x) {
  const double t = std::clamp((x - low) / (high - low), 0.0, 1.0);
  return t * t * (3 - 2 * t);
}
double union4(double a, double b) {  // soft maximum of two path lengths
  if (a <= 0 || b <= 0) return std::max(a, b);
  const double p = a * a, q = b * b;
  return std::sqrt(std::sqrt(p * p + q * q));
}

// Fills a polygon with a constant path length; edges are ramped over one pixel.
void draw_plate(Layer& layer, const View& view, const Plate& plate) {
  std::vector<std::array<double, 2>> q;
  double x0 = 1e9, x1 = -1e9, y0 = 1e9, y1 = -1e9;
  for (const Point& c : plate.corners) {
    q.push_back(view.pixels(c.x, c.y));
    x0 = std::min(x0, q.back()[0]), x1 = std::max(x1, q.back()[0]);
    y0 = std::min(y0, q.back()[1]), y1 = std::max(y1, q.back()[1]);
  }
  const int64_t n = layer.n;
  const auto clip = [&](double v) { return std::clamp<int64_t>(static_cast<int64_t>(std::floor(v)), 0, n); };
  for (int64_t y = clip(y0); y < clip(y1 + 1); ++y) {
    for (int64_t x = clip(x0); x < clip(x1 + 1); ++x) {
      const double px = static_cast<double>(x) + 0.5, py = static_cast<double>(y) + 0.5;
      bool in = false;
      for (size_t i = 0, j = q.size() - 1; i < q.size(); j = i++)
        if ((q[i][1] > py) != (q[j][1] > py) &&
            px < (q[j][0] - q[i][0]) * (py - q[i][1]) / (q[j][1] - q[i][1]) + q[i][0])
          in = !in;
      if (in) layer.v[static_cast<size_t>(y * n + x)] += static_cast<float>(plate.thickness);
    }
  }
}

void draw_vertebra(Layer& layer, const View& view, const Vertebra& b, double bone) {
  const auto c = view.pixels(b.x, b.y);
  const double reach = (b.half_width + 1.2) / view.pixel;
  const int64_t n = layer.n;
  const auto clip = [&](double v) { return std::clamp<int64_t>(static_cast<int64_t>(std::floor(v)), 0, n); };
  for (int64_t y = clip(c[1] - reach); y < clip(c[1] + reach + 1); ++y) {
    for (int64_t x = clip(c[0] - reach); x < clip(c[0] + reach + 1); ++x) {
      const auto q = view.plane(static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5);
      const double dx = q[0] - b.x, dy = q[1] - b.y;
      const double waist = 1 - 0.10 * (1 - std::min(1.0, dy * dy / (b.half_height * b.half_height)));
      const double u = std::abs(dx) / (b.half_width * waist), v = std::abs(dy) / b.half_height;
      double cm = 0;
      if (u < 1 && v < 1)
        cm += 0.40 * std::sqrt((1 - u * u) * (1 - v * v * v * v)) + 0.22 * smooth_step(0.72, 0.97, v) +
              0.10 * smooth_step(0.78, 0.97, u);
      const double pu = (std::abs(dx) - 0.62 * b.half_width) / (0.24 * b.half_width),
                   pv = (dy + 0.25 * b.half_height) / (0.42 * b.half_height);
      const double ring = pu * pu + pv * pv;  // pedicles: rings seen end-on
      if (ring < 1) cm += 0.10 + 0.35 * smooth_step(0.35, 0.9, ring);
      const double su = (q[0] - b.spinous) / 0.38, sv = (dy - 1.1 * b.half_height) / (0.62 * b.half_height),
                   tip = su * su + sv * sv;
      if (tip < 1) cm += 0.55 * std::sqrt(1 - tip);
      layer.v[static_cast<size_t>(y * n + x)] += static_cast<float>(bone * cm);
    }
  }
}

// Keeps the largest connected piece of the mask on each side of the midline, so that slivers between vessels vanish.
void keep_two_lungs(std::vector<uint8_t>& mask, int64_t n, const View& view, double mid) {
  std::vector<int32_t> piece(mask.size(), 0);
  std::vector<int64_t> stack;
  std::array<int64_t, 2> best_size{0, 0};
  std::array<int32_t, 2> best{-1, -1};
  int32_t next = 0;
  for (int64_t start = 0; start < n * n; ++start) {
    if (!mask[static_cast<size_t>(start)] || piece[static_cast<size_t>(start)]) continue;
    int64_t size = 0;
    double sum_x = 0;
    stack.push_back(start), piece[static_cast<size_t>(start)] = ++next;
    while (!stack.empty()) {
      const int64_t i = stack.back(), y = i / n, x = i % n;
      stack.pop_back();
      ++size;
      sum_x += view.plane(static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5)[0];
      const int64_t around[] = {x > 0 ? i - 1 : i, x + 1 < n ? i + 1 : i, y > 0 ? i - n : i, y + 1 < n ? i + n : i};
      for (const int64_t j : around)
        if (mask[static_cast<size_t>(j)] && !piece[static_cast<size_t>(j)]) {
          piece[static_cast<size_t>(j)] = next;
          stack.push_back(j);
        }
    }
    const size_t side = sum_x / static_cast<double>(size) < mid ? 0 : 1;
    if (size > best_size[side]) best_size[side] = size, best[side] = next;
  }
  for (size_t i = 0; i < mask.size(); ++i) mask[i] = mask[i] && (piece[i] == best[0] || piece[i] == best[1]);
}

struct Textures {
  Field coarse, fine;
};

// cm of water-equivalent tissue that an opacity puts on the ray, before the lung's share; `smooth` leaves the texture
// out.
struct Cloud {
  double cm, smooth;
};

Cloud opacity_at(const Opacity& o, const Textures& t, double x, double y) {
  double thick = 0;
  for (const Opacity::Blob& b : o.blobs) {
    const double u = (x - b.x) / b.rx, v = (y - b.y) / b.ry, q = u * u + v * v;
    if (q < 5) thick = std::max(thick, b.thickness * std::exp(-0.9 * q * (o.kind == 1 ? q : 1.0)));
  }
  if (thick < 0.01) return {0, 0};
  if (o.cut) thick *= smooth_step(0.4, -0.4, o.cut_side * (y - o.cut_y - o.cut_slope * x));
  if (o.kind == 2) {
    const double ridge = 1 - std::min(1.0, 2.4 * std::abs(t.fine.fractal(x * 0.85, y * 0.85, 3)));
    return {thick * (0.35 + 0.9 * ridge * ridge + 0.4 * t.coarse.fractal(x * 0.3, y * 0.3, 2)), 0.6 * thick};
  }
  const double cloud = 0.5 + 0.95 * t.coarse.fractal(x * 0.42, y * 0.42, 4);
  return {thick * std::clamp(1 - o.grain + o.grain * 1.5 * cloud, 0.0, 1.8), 0.8 * thick};
}

}  // namespace

View::View(const Shot& s, int64_t side)
    : n(side),
      pixel(s.fov / static_cast<double>(side)),
      cx(s.cx),
      cy(s.cy),
      cos_roll(std::cos(s.roll)),
      sin_roll(std::sin(s.roll)) {}

std::array<double, 2> View::plane(double px, double py) const {
  const double u = (px - 0.5 * static_cast<double>(n)) * pixel, v = (py - 0.5 * static_cast<double>(n)) * pixel;
  return {cx + cos_roll * u - sin_roll * v, cy + sin_roll * u + cos_roll * v};
}

std::array<double, 2> View::pixels(double x, double y) const {
  const double u = x - cx, v = y - cy, half = 0.5 * static_cast<double>(n);
  return {half + (cos_roll * u + sin_roll * v) / pixel, half + (cos_roll * v - sin_roll * u) / pixel};
}

void draw_tube(Layer& layer, const View& view, const Tube& tube, Join join) {
  const int64_t n = layer.n;
  const double least = 0.62;  // thinner than this many pixels: drawn wider and fainter, with the same mass
  static thread_local std::vector<float> scratch;
  static thread_local std::vector<size_t> touched;
  if (join == Join::add && scratch.size() < layer.v.size()) scratch.assign(layer.v.size(), 0.0f);
  touched.clear();
  std::vector<std::array<double, 2>> q;
  for (const TubePoint& p : tube.points) q.push_back(view.pixels(p.x, p.y));
  for (size_t i = 0; i + 1 < q.size(); ++i) {
    const TubePoint &a = tube.points[i], &b = tube.points[i + 1];
    const double reach = std::max({a.r / view.pixel, b.r / view.pixel, least});
    const double ex = q[i + 1][0] - q[i][0], ey = q[i + 1][1] - q[i][1], len2 = std::max(ex * ex + ey * ey, 1e-9);
    const auto low = [&](double v) { return std::clamp<int64_t>(static_cast<int64_t>(std::floor(v - reach)), 0, n); };
    const auto high = [&](double v) { return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(v + reach)), 0, n); };
    for (int64_t y = low(std::min(q[i][1], q[i + 1][1])); y < high(std::max(q[i][1], q[i + 1][1])); ++y) {
      const double py = static_cast<double>(y) + 0.5 - q[i][1];
      for (int64_t x = low(std::min(q[i][0], q[i + 1][0])); x < high(std::max(q[i][0], q[i + 1][0])); ++x) {
        const double px = static_cast<double>(x) + 0.5 - q[i][0];
        const double t = std::clamp((px * ex + py * ey) / len2, 0.0, 1.0);
        const double dx = px - t * ex, dy = py - t * ey, d2 = dx * dx + dy * dy;
        const double r_cm = a.r + t * (b.r - a.r), r = r_cm / view.pixel, wide = std::max(r, least);
        if (d2 >= wide * wide) continue;
        double cm = 2 * r_cm * tube.flat * std::sqrt(1 - d2 / (wide * wide)) * (r / wide);
        if (tube.shell > 0 && r_cm > tube.shell) {
          const double core_cm = r_cm - tube.shell, core = core_cm / view.pixel;
          const double deep = std::max(0.0, r_cm * tube.flat - tube.shell);
          if (d2 < core * core) cm -= 0.85 * 2 * deep * std::sqrt(1 - d2 / (core * core)) * (r / wide);
        }
        cm *= tube.weight * (a.stretch + t * (b.stretch - a.stretch));
        const size_t at = static_cast<size_t>(y * n + x);
        float& slot = join == Join::unite ? layer.v[at] : scratch[at];
        if (join == Join::add && slot == 0) touched.push_back(at);
        slot = std::max(slot, static_cast<float>(cm));
      }
    }
  }
  for (const size_t at : touched) layer.v[at] += scratch[at], scratch[at] = 0;
}

Projection project_anatomy(const Anatomy& a, const Patient& p, const Shot& s, const View& view,
                           const std::vector<Nodule>& extra) {
  const int64_t n = view.n;
  Layer body(n), great(n), hila(n), air(n), bone(n), clavicle(n), vessel(n), metal(n);
  for (const Tube& t : a.body) draw_tube(body, view, t, Join::unite);
  for (const Tube& t : a.mediastinum) draw_tube(great, view, t, Join::unite);
  for (const Tube& t : a.hila) draw_tube(hila, view, t, Join::unite);
  for (const Tube& t : a.airway) draw_tube(air, view, t, Join::unite);
  for (const Tube& t : a.bones) draw_tube(bone, view, t, Join::add);
  for (const Tube& t : a.clavicles) draw_tube(clavicle, view, t, Join::unite);
  for (const Tube& t : a.vessels) draw_tube(vessel, view, t, Join::unite);
  for (const Tube& t : a.devices) draw_tube(metal, view, t, Join::add);
  for (const Plate& t : a.plates) draw_plate(bone, view, t);
  for (const Vertebra& v : a.vertebrae) draw_vertebra(bone, view, v, p.bone);

  std::vector<PlacedNodule> nodules = a.nodules;
  for (const Nodule& e : extra) {
    const auto q = view.plane(e.x * static_cast<double>(n), e.y * static_cast<double>(n));
    nodules.push_back({q[0], q[1], e.radius * s.fov, e.subtlety, 0, 0});
  }
  const Textures textures{Field(Rng(p.key).fork("coarse")), Field(Rng(p.key).fork("fine"))};
  const double gravity = 0.018 * (1 + s.supine);

  Projection out;
  const size_t total = static_cast<size_t>(n * n);
  out.attenuation.resize(total);
  for (auto* mask : {&out.lungs, &out.whole_lungs, &out.heart, &out.clavicles, &out.opacity}) mask->assign(total, 0);
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t i = 0; i < n; ++i) {
      const size_t at = static_cast<size_t>(j * n + i);
      const auto q0 = view.plane(static_cast<double>(i) + 0.5, static_cast<double>(j) + 0.5);
      // Bodies are not ellipsoids: bend the plane a little before asking for the soft organs.
      const double bx =
          textures.coarse.at(0.21 * q0[0] + 3, 0.21 * q0[1]) + 0.35 * textures.fine.at(0.6 * q0[0], 0.6 * q0[1]);
      const double by = textures.coarse.at(0.23 * q0[0] + 17, 0.23 * q0[1] + 9) +
                        0.35 * textures.fine.at(0.6 * q0[0] + 11, 0.6 * q0[1]);
      const double x = q0[0] + 0.42 * bx, y = q0[1] + 0.42 * by;
      // The body.
      const double tx =
          (x - a.torso_x) / (a.torso_width + (y > a.torso_base ? 0.05 * a.belly * (y - a.torso_base) : 0));
      const double ty = (a.torso_base - y) / a.torso_height;
      const double f = tx * tx * (0.55 + 0.45 * tx * tx) + (ty > 0 ? ty * ty * (0.6 + 0.4 * ty * ty) : 0);
      const double deep = a.torso_depth + (y > a.torso_base ? 0.16 * a.belly * std::min(8.0, y - a.torso_base) : 0);
      double thick = union4(f < 1 ? 2 * deep * std::sqrt(1 - f) : 0, body.v[at]);
      if (thick <= 0) {
        out.attenuation[at] = static_cast<float>(mu_metal * metal.v[at]);
        continue;
      }
      for (const Ellipsoid& e : a.muscles) thick += e.chord(x, y);
      for (const Ellipsoid& e : a.breasts) thick += e.chord(x, y) * smooth_step(-0.9, 0.5, (y - e.y) / e.ry);
      // Lungs, less what heart and mediastinum take.
      const Lung& lung = a.lungs[x < a.core_x ? 0 : 1];
      const double whole = lung.chord(x, y);
      double heart = 0;
      for (const Ellipsoid& e : a.heart) heart = union4(heart, e.chord(x, y));
      const double off = x - a.core_x, edge = off < 0 ? a.core_left : a.core_right;
      const double core = 6 * smooth_step(edge + 1.3, edge - 1.3, std::abs(off));
      const double taken = union4(union4(heart, std::max(great.v[at], hila.v[at])), core);
      const double aerated = std::max(0.0, whole - taken), share = std::min(1.0, aerated / 5.0);
      const bool in_cavity = lung.inside(x, y) && core < 2.2;
      const bool in_lung = in_cavity && heart <= 0 && great.v[at] < 1.0;
      out.lungs[at] = in_lung, out.whole_lungs[at] = in_cavity, out.heart[at] = heart > 0;
      out.clavicles[at] = clavicle.v[at] > 0.05f;

      const double grain =
          textures.coarse.fractal(0.5 * x, 0.5 * y, 3) + 0.8 * textures.fine.fractal(2.1 * x, 2.1 * y, 2);
      double sum =
          mu_soft * (thick - aerated - 1.4 * air.v[at]) + aerated * mu_lung * (1 + gravity * y + 0.10 * grain);
      for (const Ellipsoid& e : a.gas) sum -= 0.8 * mu_soft * e.chord(x, y);
      sum = std::max(sum, 0.25);
      sum += mu_bone * (bone.v[at] + clavicle.v[at]) + mu_metal * metal.v[at];
      for (const Ellipsoid& e : a.discs) sum += mu_metal * e.chord(x, y);
      sum += d_mu * 3.6 * share * vessel.v[at];
      if (!a.opacity.blobs.empty()) {
        const Cloud cloud = opacity_at(a.opacity, textures, x, y);
        const double room = std::min(1.0, aerated / 7.0);
        sum += mu_soft * cloud.cm * room;
        out.opacity[at] = in_lung && mu_soft * cloud.smooth * room > 0.05;
      }
      for (const PlacedNodule& q : nodules) {
        const double dx = q0[0] - q.x, dy = q0[1] - q.y, d2 = dx * dx + dy * dy;
        if (d2 > 2.3 * q.r * q.r) continue;
        const double r = q.r * (1 + q.lobes * std::sin(3 * std::atan2(dy, dx) + q.phase)), v = 1 - d2 / (r * r);
        if (v > 0) sum += d_mu * 2 * q.r * (0.35 + 1.65 * (1 - q.subtlety)) * std::sqrt(v) * smooth_step(0, 0.35, v);
      }
      out.attenuation[at] = static_cast<float>(sum);
    }
  }
  for (auto* mask : {&out.lungs, &out.whole_lungs}) keep_two_lungs(*mask, n, view, a.core_x);
  for (size_t i = 0; i < total; ++i) out.opacity[i] = out.opacity[i] && out.lungs[i];
  return out;
}

}  // namespace querent::phantom
