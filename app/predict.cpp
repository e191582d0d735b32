// querent predict: masks, probabilities and uncertainty maps for new images.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <nlohmann/json.hpp>

#include "al/scoring.h"
#include "al/uncertainty.h"
#include "app/model_file.h"
#include "app/options.h"
#include "app/setup.h"
#include "app/terminal.h"
#include "data/decode.h"
#include "data/encode.h"
#include "data/layouts.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

// A map at the network's size, scaled to the size of the image it belongs to.
void write_map(const std::string& path, const std::vector<double>& map, int64_t side, const Image& original, double white,
               bool binary) {
  Image small(side, side);
  for (size_t i = 0; i < map.size(); ++i) small.pixels[i] = static_cast<float>(std::clamp(map[i] / white, 0.0, 1.0));
  Image full = data::resize(small, original.height, original.width);
  if (binary) {
    for (float& p : full.pixels) p = p >= 0.5f ? 1.0f : 0.0f;
  }
  data::write_png(path, full);
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

constexpr int64_t together = 8;  // images in a batch

struct Predicted {
  std::vector<std::vector<float>> p;
  std::vector<al::Moments> moments;  // of T passes, when asked for
};

// A batch of images from `first` on.
Predicted predicted(const al::Learner& learner, const data::Loader& loader, int64_t first, int64_t T, uint64_t seed) {
  std::vector<int64_t> cases(static_cast<size_t>(std::min(together, loader.count() - first)));
  std::iota(cases.begin(), cases.end(), first);
  Predicted batch{learner.predict(loader, cases), {}};
  if (T == 0) return batch;
  const bool segments = learner.model().segments;
  for (const std::vector<float>& p : batch.p) {
    const auto values = static_cast<int64_t>(p.size());
    batch.moments.emplace_back(segments ? values : 1, segments ? 1 : values);
  }
  al::each_pass(learner, loader, cases, T, seed, [&](size_t i, const al::CasePasses& one) {
    batch.moments[i].add(one.p, one.log_variance);
  });
  return batch;
}

}  // namespace

int predict(const Options& o) {
  const TrainedModel model = open_model(o.weights);
  const data::Dataset dataset = data::open_dataset(o.data);
  const std::string out = o.out.empty() ? "querent-predict" : o.out;
  const bool segments = model.learner->model().segments;
  for (const char* sub : {"masks", "probabilities", "epistemic", "aleatoric"}) {
    if (segments && (o.uncertainty || sub[0] == 'm' || sub[0] == 'p')) make_folder(out + "/" + sub);
  }
  make_folder(out);
  const data::Loader loader(dataset, model.loader_options(false));
  const int64_t T = o.uncertainty ? (o.mc > 0 ? o.mc : 20) : 0;
  Predicted batch;
  Terminal terminal(o.quiet || o.json, o.no_color);
  nlohmann::json all = nlohmann::json::array();
  std::string csv = segments ? "id,foreground" : "id";
  for (const std::string& c : model.classes) csv += segments ? "" : ",p_" + c;
  csv += o.uncertainty ? ",epistemic,aleatoric,total\n" : "\n";
  for (int64_t i = 0; i < loader.count(); ++i) {
    const data::Case& c = dataset.cases[static_cast<size_t>(i)];
    if (i % together == 0) batch = predicted(*model.learner, loader, i, T, o.seed);
    const std::vector<float>& p = batch.p[static_cast<size_t>(i % together)];
    nlohmann::json item = {{"id", c.id}, {"image", c.image}};
    std::vector<double> mean(p.begin(), p.end());
    al::UncertaintyMaps maps;
    if (o.uncertainty) {
      maps = batch.moments[static_cast<size_t>(i % together)].maps();
      item["epistemic"] = al::mean_of(maps.epistemic);
      item["aleatoric"] = al::mean_of(maps.aleatoric);
      item["total"] = al::mean_of(maps.total);
    }
    csv += c.id;
    if (segments) {
      const Image original = data::to_grey(data::decode_image(c.image));
      const std::string name = safe_name(c.id) + ".png";
      double foreground = 0;
      for (const double v : mean) foreground += v >= 0.5 ? 1.0 / static_cast<double>(mean.size()) : 0.0;
      write_map(out + "/masks/" + name, mean, model.size, original, 1, true);
      write_map(out + "/probabilities/" + name, mean, model.size, original, 1, false);
      item["mask"] = "masks/" + name;
      item["foreground"] = foreground;
      csv += text(",{}", foreground);
      if (o.uncertainty) {
        // Standard deviations; 0.5, the largest a probability can have, is white.
        write_map(out + "/epistemic/" + name, root(maps.epistemic), model.size, original, 0.5, false);
        write_map(out + "/aleatoric/" + name, root(maps.aleatoric), model.size, original, 0.5, false);
      }
    } else {
      for (size_t k = 0; k < mean.size(); ++k) {
        item["probabilities"][model.classes.at(k)] = mean[k];
        csv += text(",{}", mean[k]);
      }
    }
    if (o.uncertainty) csv += text(",{},{},{}", dump_json(item["epistemic"]), dump_json(item["aleatoric"]), dump_json(item["total"]));
    csv += "\n";
    all.push_back(item);
    terminal.progress("predicting", i + 1, loader.count(), c.id);
  }
  terminal.end();
  write_atomically(out + "/predictions.csv", csv);
  write_atomically(out + "/predictions.json", dump_json(all, 1) + "\n");
  if (o.json) {
    std::printf("%s\n", dump_json(all).c_str());
  } else if (!o.quiet) {
    std::printf("%ld images: %s/predictions.csv%s\n", static_cast<long>(loader.count()), out.c_str(),
                segments ? ", masks/, probabilities/" : "");
    std::printf("next: querent eval --weights %s --data LABELS.csv\n", o.weights.c_str());
  }
  return 0;
}

}  // namespace querent::app
