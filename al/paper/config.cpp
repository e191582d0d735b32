#include "al/paper/config.h"

#include <nlohmann/json.hpp>

#include "al/synthesis/synthesizer.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::al {

ModelOptions PaperConfig::model_options(int64_t classes) const {
  ModelOptions m;
  m.name = run.model;
  m.classes = run.task == "seg" ? 1 : classes;
  m.width = run.width;
  m.depth = run.depth;
  m.dropout = run.dropout;
  m.log_var = run.log_var;
  return m;
}

std::string PaperConfig::json() const {
  nlohmann::json j = parse_json(run.json());
  for (const char* unused : {"start", "growth", "full_steps", "reduction", "cold_start", "ensemble"}) j.erase(unused);
  j["films"] = films;
  j["gan"] = films == "gan" ? sha256_file(gan_dir + "/" + generator_file) : "";
  j["edits_as_printed"] = edits_as_printed;
  j["variants"] = variants;
  j["per_class"] = per_class;
  j["per_base"] = per_base;
  j["realism_percentile"] = realism_percentile;
  j["budget"] = budget;
  j["patience"] = patience;
  j["tolerance"] = tolerance;
  j["strict_masks"] = strict_masks;
  j["films_per_label"] = films_per_label;
  j["paper_stop"] = paper_stop;
  j["tune_depth"] = tune_depth;
  j["weights"] = weights.empty() ? "" : sha256_file(weights);
  return dump_json(j, 2);
}

}  // namespace querent::al
