// Variants of a labelled radiograph: the mask edits that drive sample generation (Mahapatra et al., MICCAI 2018). A
// variant takes one or more of three families, in this order:
//
//   boundary   stretches of each region's outline move (boundary.h); the picture follows or is filled (infill.h)
//   intensity  the intensities inside the mask change (intensity.h)
//   rigid      the whole film, with its mask and protected region, is flipped, turned, shifted and scaled
//
// A region of disease is protected: boundary and intensity edits leave its pixels and its part of the mask as they are
// byte for byte, and rigid edits never push any of it out of the picture, so the base image's label stays true.
//
// A variant is a pure function of (base, seed, options, variant number); random numbers depend on (seed, id, variant)
// only, so any variant can be made again by itself, on any number of threads.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "al/synthesis/boundary.h"
#include "al/synthesis/infill.h"
#include "al/synthesis/intensity.h"
#include "data/image.h"
#include "data/transform.h"

namespace querent::al {

struct RigidOptions {
  double flip = 0;  // probability; 0 because a mirrored chest has its heart on the wrong side
  double rotate_deg = 10, shift = 0.10, scale = 0.10;  // as in data::Augmentation
  double max_lost = 0.05;                              // of the mask's pixels may leave the picture
  int64_t attempts = 20;
};

struct EditOptions {
  // How often a variant takes each family. When the draw says none, it takes the likeliest.
  double boundary_share = 0.8, intensity_share = 0.5, rigid_share = 0.5;
  BoundaryOptions boundary;
  InfillOptions infill;
  IntensityOptions intensity;
  RigidOptions rigid;
};
// The ranges as printed: literal intensities, a distance for each point, changed pixels sampled, flips half of the
// time.
EditOptions paper_edits();

// What is edited. Sizes must agree; mask and protected_region hold 0 and 1.
struct EditBase {
  std::string id;            // of the case
  Image image;               // [H,W,1] in [0,1]; empty: masks only, and no intensity edits
  Image mask;                // [H,W,1]
  Image protected_region;    // [H,W,1]; empty: nothing is protected
  IntensityHistogram donor;  // of an image with the same label; needed by IntensityMode::histogram
};

// What was done, for the manifest and the report.
struct EditRecord {
  std::string base;  // id of the base case
  int64_t variant = 0;
  std::vector<RegionEdit> boundary;        // empty: not taken; a region that could not be edited says why
  std::optional<IntensityEdit> intensity;  // none: not taken
  std::optional<data::AugmentParams> rigid;
  bool rigid_refused = false;  // taken, but every draw cut the protected region or too much of the mask
  double dice = 1;             // of the mask before and after the boundary edit
  bool edited() const;         // false: every family it took was refused and the variant equals its base
};
std::string to_json(const EditRecord& r);

struct EditedMask {
  Image image, mask, protected_region;
  EditRecord record;
};

// Errors: an empty mask, sizes that differ, values other than 0 and 1, options out of range. An edit that the guards
// make impossible is no error: the record says so.
EditedMask edit_mask(const EditBase& base, int64_t variant, uint64_t seed, const EditOptions& o = {});
// Variants 0 .. count-1, in parallel.
std::vector<EditedMask> edit_masks(const EditBase& base, int64_t count, uint64_t seed, const EditOptions& o = {});

}  // namespace querent::al
