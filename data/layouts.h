// Opening a data set: one function that recognises the common layouts of chest X-ray collections.
//
//   csv       labels.csv or any CSV: image|path, mask, label|class, patient_id|patient, split, id, width, height,
//             spacing_mm; other columns are kept in Case::extra; paths are relative to the CSV. Masks of the heart and
//             the clavicles: heart_mask, clavicle_mask
//   folders   ROOT/CLASS/*.png, or ROOT/{train,val,test}/CLASS/*.png
//   pairs     images/ beside masks/ (also imgs, CXR_png; mask, labels, ManualMask), matched by name; "_mask" suffixes;
//             several masks of one image (Montgomery: left and right lung) are united
//   jsrt      JSRT films (.IMG) with the SCR masks and the clinical text
//   nih       NIH ChestX-ray14: Data_Entry_2017.csv and its images
//   chexpert  CheXpert: train.csv or valid.csv
//   mnist     idx files, plain or .gz
//   images    a folder of images without labels, or one image
#pragma once
#include <filesystem>
#include <string>

#include "data/manifest.h"

namespace querent::data {

struct Layout {
  std::string name = "auto";    // or one of the names above
  std::string organ = "lungs";  // lungs, heart or clavicles: what `mask` means in csv and jsrt; elsewhere only lungs
};

// `path`: a folder, a CSV, a saved manifest (.jsonl) or an image. Reads tables and folder listings, not the images.
// Cases come in an order that depends on the names only. Throws an Error that says what was found and what is needed.
Dataset open_dataset(const std::filesystem::path& path, const Layout& layout = {});

// "training", "valid", "dev" ... -> "train", "val", "test"; "" when it is none of these.
std::string split_name(std::string_view name);

}  // namespace querent::data
