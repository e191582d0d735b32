// querent predict: masks, probabilities and uncertainty maps for new images.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "al/scoring.h"
#include "al/turns.h"
#include "al/uncertainty.h"
#include "app/model_file.h"
#include "app/options.h"
#include "app/setup.h"
#include "app/stop.h"
#include "app/terminal.h"
#include "data/decode.h"
#include "data/encode.h"
#include "data/layouts.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

// A map at the network's size as a PNG, scaled to the size of the image it belongs to.
std::string map_png(const std::vector<double>& map, int64_t side, const Image& original, double white, bool binary) {
  Image small(side, side);
  for (size_t i = 0; i < map.size(); ++i) small.pixels[i] = static_cast<float>(std::clamp(map[i] / white, 0.0, 1.0));
  Image full = data::resize(small, original.height, original.width);
  if (binary) {
    for (float& p : full.pixels) p = p >= 0.5f ? 1.0f : 0.0f;
  }
  return data::encode_png(full);
}

std::vector<double> root(std::vector<double> variance) {
  for (double& v : variance) v = std::sqrt(v);
  return variance;
}

// A file name from a case id: no separators, nothing hidden.
std::string safe_name(const std::string& id) {
  std::string s;
  for (const char c : id) s += std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' ? c : '_';
  return s.empty() || s[0] == '.' ? "_" + s : s;
}

constexpr size_t together = 8;  // images in a batch
constexpr std::array folders = {"masks", "probabilities", "epistemic", "aleatoric"};

// What is written of one image.
struct Predicted {
  std::string row, item;                          // of predictions.csv and .json
  std::array<std::string, folders.size()> files;  // PNGs, of segmenters
};
void put(std::string& to, const Predicted& p) {
  for (const std::string* part : {&p.row, &p.item}) al::put(to, *part);
  for (const std::string& png : p.files) al::put(to, png);
}
void take(std::string_view& from, Predicted& p) {
  for (std::string* part : {&p.row, &p.item}) al::take(from, *part);
  for (std::string& png : p.files) al::take(from, png);
}

class Predictor {
 public:
  Predictor(const TrainedModel& model, const data::Loader& loader, int64_t passes, uint64_t seed)
      : model_(model), loader_(loader), passes_(passes), seed_(seed) {}

  // Images first, first + 1, ...: one batch.
  void look(int64_t first, std::span<Predicted> batch) const {
    const al::Learner& learner = *model_.learner;
    std::vector<int64_t> cases(batch.size());
    std::iota(cases.begin(), cases.end(), first);
    const std::vector<std::vector<float>> p = learner.answers(loader_, cases);
    std::vector<al::Moments> moments;  // of all passes
    for (size_t i = 0; passes_ > 0 && i < p.size(); ++i) {
      const auto values = static_cast<int64_t>(p[i].size());
      moments.emplace_back(segments() ? values : 1, segments() ? 1 : values);
    }
    if (passes_ > 0)
      al::each_pass(learner, loader_, cases, passes_, seed_,
                    [&](size_t i, const al::CasePasses& one) { moments[i].add(one.p, one.log_variance); });
    for (size_t i = 0; i < batch.size(); ++i)
      batch[i] = predicted(loader_.dataset().cases[static_cast<size_t>(cases[i])], {p[i].begin(), p[i].end()},
                           passes_ > 0 ? moments[i].maps() : al::UncertaintyMaps{});
  }

 private:
  bool segments() const { return model_.learner->model().segments; }

  Predicted predicted(const data::Case& c, const std::vector<double>& mean, const al::UncertaintyMaps& maps) const {
    Predicted to;
    nlohmann::json item = {{"id", c.id}, {"image", c.image}};
    if (passes_ > 0) {
      item["epistemic"] = al::mean_of(maps.epistemic);
      item["aleatoric"] = al::mean_of(maps.aleatoric);
      item["total"] = al::mean_of(maps.total);
    }
    to.row = c.id;
    if (segments()) {
      const Image original = data::to_grey(data::decode_image(c.image));
      const auto drawn = [&](const std::vector<double>& map, double white, bool binary) {
        return map_png(map, model_.size, original, white, binary);
      };
      double foreground = 0;
      for (const double v : mean) foreground += v >= 0.5 ? 1.0 / static_cast<double>(mean.size()) : 0.0;
      to.files = {drawn(mean, 1, true), drawn(mean, 1, false), "", ""};
      item["mask"] = "masks/" + safe_name(c.id) + ".png";
      item["foreground"] = foreground;
      to.row += text(",{}", foreground);
      if (passes_ > 0) {
        // Standard deviations; 0.5, the largest a probability can have, is white.
        to.files[2] = drawn(root(maps.epistemic), 0.5, false);
        to.files[3] = drawn(root(maps.aleatoric), 0.5, false);
      }
    } else {
      for (size_t k = 0; k < mean.size(); ++k) {
        item["probabilities"][model_.classes.at(k)] = mean[k];
        to.row += text(",{}", mean[k]);
      }
    }
    if (passes_ > 0)
      to.row += text(",{},{},{}", dump_json(item["epistemic"]), dump_json(item["aleatoric"]), dump_json(item["total"]));
    to.row += "\n";
    to.item = dump_json(item);
    return to;
  }

  const TrainedModel& model_;
  const data::Loader& loader_;
  int64_t passes_;
  uint64_t seed_;
};

}  // namespace

int predict(const Options& o) {
  const TrainedModel model = open_model(o.weights);
  const data::Dataset dataset = data::open_dataset(o.data);
  const std::string out = o.out.empty() ? "querent-predict" : o.out;
  const bool segments = model.learner->model().segments;
  for (size_t k = 0; segments && k < (o.uncertainty ? folders.size() : 2); ++k) make_folder(out + "/" + folders[k]);
  make_folder(out);
  const data::Loader loader(dataset, model.loader_options(false));
  const Predictor predictor(model, loader, o.uncertainty ? (o.mc > 0 ? o.mc : 20) : 0, o.seed);
  Terminal terminal(o.quiet || o.json, o.no_color);
  nlohmann::json all = nlohmann::json::array();
  std::string csv = segments ? "id,foreground" : "id";
  for (const std::string& c : model.classes) csv += segments ? "" : ",p_" + c;
  csv += o.uncertainty ? ",epistemic,aleatoric,total\n" : "\n";
  // A turn at a time, so that the pictures of few images are in memory.
  const size_t count = dataset.cases.size(), turn = together * static_cast<size_t>(collective().size);
  for (size_t begin = 0; begin < count; begin += turn) {
    if (should_stop("")) {
      terminal.end();
      std::fprintf(stderr, "stopped after %zu of %zu images\n", begin, count);
      return 130;
    }
    const std::vector<Predicted> images = al::in_turns<Predicted>(
        std::min(turn, count - begin), together, {},
        [&](size_t first, std::span<Predicted> batch) { predictor.look(static_cast<int64_t>(begin + first), batch); });
    for (size_t i = 0; i < images.size(); ++i) {
      const std::string& id = dataset.cases[begin + i].id;
      for (size_t k = 0; k < folders.size(); ++k)
        if (!images[i].files[k].empty())
          write_atomically(out + "/" + folders[k] + "/" + safe_name(id) + ".png", images[i].files[k]);
      csv += images[i].row;
      all.push_back(parse_json(images[i].item));
      terminal.progress("predicting", static_cast<int64_t>(begin + i + 1), static_cast<int64_t>(count), id);
    }
  }
  terminal.end();
  write_atomically(out + "/predictions.csv", csv);
  write_atomically(out + "/predictions.json", dump_json(all, 1) + "\n");
  if (o.json) {
    std::printf("%s\n", dump_json(all).c_str());
  } else if (!o.quiet) {
    std::printf("%ld images: %s/predictions.csv%s\n", static_cast<long>(count), out.c_str(),
                segments ? ", masks/, probabilities/" : "");
    std::printf("next: querent eval --weights %s --data LABELS.csv\n", o.weights.c_str());
  }
  return 0;
}

}  // namespace querent::app
