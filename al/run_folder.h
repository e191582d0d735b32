// What a run leaves on disk, and how it finds its way back after being stopped. All files are replaced atomically.
//
//   OUT/config.json          what determines the results; another configuration may not be mixed in
//   OUT/manifest.jsonl       every case with its split and the sha256 of its files
//   OUT/units/*.json         one per finished unit
//   OUT/queries/*.csv        what was asked after each round, with scores and reasons
//   OUT/weights/*.safetensors
//   OUT/metrics.jsonl        one line per unit, in the order of the experiment
//   OUT/results.json, results.csv
//   OUT/plans.json           on a GPU: which kernels its libraries chose (tensor/plans.h)
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "al/experiment.h"
#include "data/manifest.h"
#include "tensor/files.h"

namespace querent::al {

class RunFolder {
 public:
  // Creates or reopens the folder and holds it for this process; `config` is what determines the results, as JSON.
  // Errors: it holds a run with another configuration (named), another process works in it, or it cannot be written.
  RunFolder(std::string path, const std::string& config);

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  std::string weights(const std::string& name) const { return file("weights/" + name + ".safetensors"); }
  std::string checkpoint() const { return file("checkpoint.safetensors"); }  // of the unit under way

  bool has_unit(const std::string& name) const;
  nlohmann::json read_unit(const std::string& name) const;
  void write_unit(const std::string& name, const nlohmann::json& unit) const;  // also removes the checkpoint

  void write_json(const std::string& name, const nlohmann::json& j) const;
  void write_text(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
  std::unique_ptr<FolderLock> lock_;
};

// What of the process, besides the flags of a verb, determines results: adds "device" and "tf32" unless it is the CPU,
// "bf16" where networks compute in it, and "ranks" where there are several. Belongs to every configuration.
void add_process(nlohmann::json& config);
// The same for results, and "plans", the hash of the kernels that were chosen for a GPU (tensor/plans.h).
void add_process_and_plans(nlohmann::json& results);
// On a GPU: from now on the kernels are those in FOLDER/plans.json, and new choices are added to it.
void keep_plans(const std::string& folder);

// Writes the manifest of a new run; a continued one must have the same images in the same splits.
void keep_manifest(data::Dataset listed, const RunFolder& folder);

// results.json, results.csv, metrics.jsonl and queries/ from the units that exist so far, in the order of the experiment.
void write_results(const RunFolder& folder, const ExperimentConfig& config, const data::Dataset& dataset,
                   const std::vector<std::string>& unit_names);

nlohmann::json to_json(const Point& p);
Point point_from_json(const nlohmann::json& j);

}  // namespace querent::al
