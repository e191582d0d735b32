// The built-in phantom: frontal chest radiographs rendered from a parametric anatomy, with exact masks and labels.
//
//   -log I(x,y) = sum over tissues of mu_i * (path length of the ray through tissue i)        (Beer-Lambert)
//
// Every organ has an analytic path length (ellipsoids, tubes with cortical shells, slanted rib ellipses, a diaphragm
// that is a paraboloid), so no voxels are stored. Scatter glare, detector blur, photon noise and a film curve follow.
// It is a data set without patients: for demonstrations, tests and learning curves, not for clinical conclusions.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/image.h"

namespace querent {

// Positions and radii are fractions of the image side, so they do not depend on the size. `subtlety` is 0 for an
// obvious nodule and 1 for one that can hardly be seen.
struct Nodule {
  double x = 0, y = 0, radius = 0, subtlety = 0;
};

struct PhantomOptions {
  int64_t size = 128;  // pixels a side, 16 to 2048
  uint64_t seed = 1;
  double nodule_fraction = 0.15;      // of patients, the finding is one to three nodules
  double opacity_fraction = 0.35;     // of patients, the finding is a consolidation or infiltrate
  double difficulty = 0.5;            // 0 obvious findings, 1 mostly subtle ones
  double device_fraction = 0.25;      // of images, lines, tubes or leads (whatever the finding)
  double second_image_chance = 0.25;  // that a patient's next image shows the same patient
  std::vector<Nodule> extra_nodules;  // added to every image wherever asked, inside the lungs or not
};

struct Phantom {
  Image image;                    // [size,size,1] in [0,1]; bone bright, air dark, patient's right on the left
  Image lungs, heart, clavicles;  // 0 or 1; lungs end at the heart, the mediastinum and the diaphragm domes
  Image whole_lungs;              // 0 or 1; with what lies behind heart and great vessels, as some data sets draw lungs
  Image opacity;                  // 0 or 1: pixels of lung that a consolidation changes visibly
  std::string label;              // "normal", "nodule" or "opacity"
  std::string group;              // "normal" or "abnormal"
  std::string patient_id;         // images of one patient share anatomy and finding
  std::vector<Nodule> nodules;
};

// Image `index` of the endless series that `options` describes: a pure function of both, same bits for any thread
// count.
Phantom render_phantom(const PhantomOptions& options, int64_t index);

// Patient number of an image: the index of the patient's first image.
int64_t phantom_patient(const PhantomOptions& options, int64_t index);

// Writes `count` phantoms below `dir`: labels.csv, images/, masks/ (lungs), whole_lungs/, heart/, clavicles/,
// opacity/. Every file is written atomically and labels.csv last. `progress(done, count)` is called from one thread at
// a time. `stop`, when given, is asked between batches; when it says true the call returns the number written so far
// without writing labels.csv. Returns the number of images written.
int64_t write_phantom_dataset(const std::filesystem::path& dir, int64_t count, const PhantomOptions& options,
                              const std::function<void(int64_t, int64_t)>& progress = {},
                              const std::function<bool()>& stop = {});
int64_t write_phantom_dataset(const std::filesystem::path& dir, int64_t count, int64_t size, uint64_t seed,
                              const std::function<void(int64_t, int64_t)>& progress = {});

}  // namespace querent
