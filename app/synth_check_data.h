// What `querent synth check` reads: real films, samples, the networks that judge; and the films as numbers.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "al/realism/report.h"
#include "app/model_file.h"
#include "app/options.h"
#include "data/loader.h"

namespace querent::app {

struct CheckedData {
  data::Dataset real, samples;           // real: split as for training
  std::vector<int64_t> bases;            // of each sample, the real case it was made from; -1 unknown
  std::vector<int64_t> train, held_out;  // real cases
  std::vector<std::string> notes;        // what the checks could not use, one line each
};
// Errors: no samples, a base that --data does not hold.
CheckedData open_checked_data(const Options& o);

struct CheckNetworks {
  std::optional<TrainedModel> segmenter, classifier;
  std::string segmenter_path, classifier_path;
  const TrainedModel* features = nullptr;  // the first one given; none: plain statistics
  std::string features_name;
  CheckNetworks() = default;
  CheckNetworks(const CheckNetworks&) = delete;
};
// Errors: two networks for one task.
void open_networks(const std::vector<std::string>& paths, CheckNetworks& networks);

// Called between batches, in all ranks (tensor/collective.h), which share them out; false: the user asked to stop, and
// the result is not complete.
using CheckProgress = std::function<bool(const std::string& what, int64_t done, int64_t total)>;

struct FilmNumbers {
  al::FeatureMatrix features, pixels;
};
FilmNumbers film_numbers(const data::Loader& loader, const CheckNetworks& networks, const std::string& what,
                         const CheckProgress& progress);
al::Judges ask_networks(const CheckedData& d, const CheckNetworks& networks, const Options& o,
                        const CheckProgress& progress);

}  // namespace querent::app
