// The parts of one phantom, in centimetres on the image plane: x to the picture's right (the patient's left), y down,
// z towards the patient's front. Rotation and tilt of the patient are applied while the parts are built, so that the
// projector (data/phantom_project.h) only maps this plane to pixels.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "data/phantom.h"
#include "tensor/rng.h"

namespace querent::phantom {

struct Point {
  double x = 0, y = 0, z = 0;
};

// What belongs to the person: the same in all images of a patient.
struct Patient {
  double scale, width, height, depth;  // body size; width, height, depth multiply the thorax
  double fat;                          // 0 thin to 1 heavy
  double breast;                       // 0 none to 1 large
  double age;                          // 0 young to 1 old: unfolds the aorta, thins bone, calcifies cartilage
  double heart_ratio;                  // cardiothoracic ratio
  double heart_tilt;                   // 0 vertical, 1 lying
  double scoliosis, scoliosis_phase;
  double rib_slope, rib_radius, bone;
  double vessel_gain, hilum_gain;
  double apex_shape, dome_gap, clavicle_rise;
  int finding;       // 0 normal, 1 nodule, 2 opacity
  int opacity_kind;  // 0 patchy, 1 lobar, 2 interstitial
  uint64_t key;      // stream for the shapes that need many numbers
};

// What belongs to the exposure: differs between images of one patient.
struct Shot {
  double inspiration;       // -1 poor to 1 full
  double yaw, pitch, roll;  // radians
  double fov, cx, cy;       // side of the square field and its centre, in cm of the plane
  double arms;              // 0 along the body, 1 lifted and rolled out of the lungs
  double severity;          // of the finding, 0 subtle to 1 obvious
  double exposure, contrast, noise, glare, sharpen, compress, gamma, blur;
  bool supine;  // AP: heart magnified, scapulae over the lungs
  bool devices;
  uint64_t key;
};

// A solid of path length 2 * depth * sqrt(1 - u^2 - v^2), u and v along axes turned by `angle`.
struct Ellipsoid {
  double x, y, rx, ry, depth, c, s;
  Ellipsoid(double x0, double y0, double a, double b, double angle, double deep)
      : x(x0), y(y0), rx(a), ry(b), depth(deep), c(std::cos(angle)), s(std::sin(angle)) {}
  double chord(double px, double py) const {
    const double dx = px - x, dy = py - y;
    const double u = (c * dx + s * dy) / rx, v = (c * dy - s * dx) / ry, q = 1 - u * u - v * v;
    return q > 0 ? 2 * depth * std::sqrt(q) : 0;
  }
};

// A point of a tube: radius across, and `stretch`, the factor by which the ray's path grows because it runs along it.
struct TubePoint {
  double x, y, r, stretch = 1;
};
struct Tube {
  std::vector<TubePoint> points;
  double flat = 1;    // depth of the cross-section as a fraction of its radius
  double shell = 0;   // cortical thickness in cm; 0 for a solid tube
  double weight = 1;  // multiplies the path length
};

// One lung: the cavity is an ellipsoid-like solid; the dome of the diaphragm cuts it from below.
struct Lung {
  double side;                                    // -1 picture left (the patient's right), +1 picture right
  double xc, lateral, medial;                     // axis and half widths on both sides of it
  double base, height, depth, square;             // level of greatest width; apex is base - height
  double dome_x, dome_y, dome_a, dome_b, dome_z;  // top of the dome, its curvature in x and in z
  double cavity(double x, double y) const;        // < 1 inside
  double dome(double x) const;                    // y of the dome's silhouette
  double lateral_x(double y) const;               // |x| of the chest wall
  double chord(double x, double y) const;         // cm of lung along the ray
  bool inside(double x, double y) const { return cavity(x, y) < 1 && y < dome(x); }
};

struct Vertebra {
  double x, y, half_width, half_height, spinous;
};
struct Plate {  // a flat bone: polygon of constant thickness
  std::vector<Point> corners;
  double thickness;
};

// A consolidation or infiltrate: soft blobs, optionally cut by a fissure, times a texture.
struct Opacity {
  struct Blob {
    double x, y, rx, ry, thickness;
  };
  std::vector<Blob> blobs;
  int kind = 0;
  bool cut = false;
  double cut_y = 0, cut_slope = 0, cut_side = 1;  // keeps cut_side * (y - cut_y - cut_slope * x) < 0
  double grain = 0.5;
};
struct PlacedNodule {
  double x, y, r, subtlety, lobes, phase;
};

struct Anatomy {
  std::array<Lung, 2> lungs;
  double torso_x, torso_width, torso_base, torso_height, torso_depth, belly;
  std::vector<Tube> body;  // neck, shoulders, arms: united with the torso
  std::vector<Ellipsoid> breasts, muscles, heart, gas;
  std::vector<Tube> mediastinum;  // soft tubes that displace lung: great vessels
  std::vector<Tube> hila;         // the same, but part of the lungs in a mask
  double core_left, core_right, core_x;
  std::vector<Tube> airway;
  std::vector<Tube> bones, clavicles;
  std::vector<Vertebra> vertebrae;
  std::vector<Plate> plates;
  std::vector<Tube> vessels;
  std::vector<Tube> devices;
  std::vector<Ellipsoid> discs;  // electrodes, pacemaker, calcifications (path length in cm of metal or lime)
  std::vector<PlacedNodule> nodules;
  Opacity opacity;
};

Patient sample_patient(const PhantomOptions&, int64_t patient);
Shot sample_shot(const PhantomOptions&, const Patient&, int64_t index);
Anatomy build_anatomy(const Patient&, const Shot&);

// The parts of build_anatomy, in the order it calls them.
Point project(const Shot&, Point);  // turns a body point by yaw and pitch
double spine_x(const Patient&, const Shot&, double y);
void add_bones(const Patient&, const Shot&, Anatomy&);
void add_vessels(const Patient&, const Shot&, Anatomy&);
void add_devices(const Patient&, const Shot&, Anatomy&);
void add_findings(const Patient&, const Shot&, Anatomy&);

// A smooth random field of the plane with values in about [-1,1]; wraps every 32 lattice cells.
class Field {
 public:
  explicit Field(Rng rng);
  double at(double x, double y) const;
  double fractal(double x, double y, int octaves) const;  // halves amplitude and scale per octave

 private:
  std::array<float, 32 * 32> lattice_;
};

}  // namespace querent::phantom
