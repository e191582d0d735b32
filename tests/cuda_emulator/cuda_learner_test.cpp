// What `--device cuda` does, on the emulated GPU: training, predictions, scores, checkpoints and films of the networks
// of the command, by the code of the command.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "al/learner.h"
#include "al/scoring.h"
#include "al/synthesis/gan_session.h"
#include "al/synthesis/synthesizer.h"
#include "data/layouts.h"
#include "data/phantom.h"
#include "models/train.h"
#include "tensor/backend.h"
#include "tensor/collective.h"
#include "tensor/files.h"
#include "tensor/ops.h"
#include "tensor/plans.h"

TEST_SUITE_BEGIN("cuda_learner_test");
using namespace querent;
namespace fs = std::filesystem;

namespace {

struct Sandbox {
  fs::path root = fs::temp_directory_path() / text("querent_cuda_learner_{}", getpid());
  Sandbox() {
    fs::remove_all(root);
    write_phantom_dataset(root / "ph", 8, 32, 3);
  }
  ~Sandbox() {
    PlanBook::of_process().open({});  // writes to no file from now on
    fs::remove_all(root);
  }
  data::Loader loader() const {
    return {data::open_dataset((root / "ph/labels.csv").string(), {}), {.size = 32, .masks = true}};
  }
};
const std::vector<int64_t> some = {0, 1, 2, 3, 4};

ModelOptions small(const std::string& name) {
  ModelOptions m{.name = name, .classes = name == "unet" ? 1 : 3, .width = 2, .depth = 2, .dropout = 0.2};
  m.log_var = true;
  return m;
}

struct Trained {
  std::vector<double> values;  // losses, predictions, scores
  std::vector<float> weights;
};
// Three steps; stopped before the third and continued from the checkpoint if wanted.
Trained train(const Sandbox& s, const std::string& name, Device device, bool stopped = false) {
  Trained t;
  data::Loader loader = s.loader();
  al::TrainOptions o{.steps = 3, .batch = 2, .lr = 1e-4, .checkpoint = (s.root / "checkpoint").string()};
  std::optional<al::Learner> learner;
  for (int part = stopped ? 0 : 1; part < 2; ++part) {
    learner.emplace(small(name), 7, device);
    int asked = 0;
    al::TrainHooks hooks;
    hooks.step = [&](int64_t, double loss) { t.values.push_back(loss); };
    hooks.stop = [&] { return part == 0 && ++asked > 2; };
    CHECK(learner->train(loader, some, o, hooks) == (part == 1));
  }
  fs::remove(o.checkpoint);
  const std::string file = (s.root / "weights").string();
  learner->save(file, {});
  al::Learner again(small(name), 1, device);
  again.load(file);
  for (const auto& p : again.predict(loader, some)) t.values.insert(t.values.end(), p.begin(), p.end());
  al::ScoringOptions scoring;
  scoring.passes = 2;
  for (const char* strategy : {"bald", name[0] == 'u' ? "kendall_gal" : "coreset"}) {
    const al::PoolView view =
        al::survey(again, loader, al::find_strategy(strategy), some, std::vector<int64_t>{6}, scoring);
    for (const al::PoolCase& c : view.cases) {
      t.values.push_back(c.score.value);
      t.values.insert(t.values.end(), c.feature.begin(), c.feature.end());
    }
  }
  t.weights = learner->params().all().flat.host();
  return t;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]) / std::max(1.0, std::abs(b[i])));
  return worst;
}

}  // namespace

TEST_CASE("a learner on a GPU: as on the CPU, and the same bits after a stop") {
  const Sandbox s;
  for (const char* name : {"unet", "resnet18"}) {
    const Trained gpu = train(s, name, Device::cuda()), cpu = train(s, name, Device::cpu());
    // As in cuda_models_test; besides, AdamW moves a weight whose gradient is nothing but rounding by up to lr a step.
    const double worst = largest_difference(gpu.values, cpu.values), most = 1e3 * 0x1p-23 + 3 * 1e-4;
    CHECK_MESSAGE(worst < most, name, " differs by ", worst);
    CHECK(train(s, name, Device::cuda(), true).weights == gpu.weights);
  }
}

TEST_CASE("the plan of a training on a GPU is that of its step") {
  for (const char* name : {"unet", "resnet18"}) {
    const TrainingMemory plan = plan_training(small(name), 32, 2, {}, 0, {.device = Device::cuda()});
    Params params(Device::cuda(), 1);
    const Model model = make_model(small(name), params);
    Optimizer optimizer(params.all(), {.kind = OptimOptions::adamw});
    TrainingStep step(model, optimizer);
    step(Tensor::zeros({2, 32, 32, 1}), Tensor::zeros(model.segments ? Shape{2, 32, 32} : Shape{2}, DType::i64),
         make_streams(1, std::vector<int64_t>{0, 1}, 0));
    CHECK(plan.arena == step.program()->arena_bytes());
    CHECK(plan.widened == 0);
  }
}

// The two devices differ in f32 by rounding, as above. Where that takes a value over the middle between two neighbours
// in bf16, it is stored 2^-7 of itself apart: few values, whose effect on the next layer is a share of its sums, and
// logits.
constexpr double neighbours = 0x1p-7;

TEST_CASE("a learner in bf16 on a GPU: as on the CPU, and the same bits after a stop") {
  const Sandbox s;
  set_compute_dtype(DType::bf16);
  for (const char* name : {"unet", "resnet18"}) {
    const Trained gpu = train(s, name, Device::cuda()), cpu = train(s, name, Device::cpu());
    const double worst = largest_difference(gpu.values, cpu.values);
    CHECK_MESSAGE(worst < neighbours, name, " differs by ", worst);
    CHECK(train(s, name, Device::cuda(), true).weights == gpu.weights);
  }
  set_compute_dtype(DType::f32);
}

TEST_CASE("a GAN trained on a GPU") {
  const Sandbox s;
  al::SynthesisOptions o;
  o.size = 32, o.width = 2, o.blocks = 1, o.latent = 4, o.steps = 2, o.batch = 1, o.autoencoder_steps = 1, o.lr = 1e-4;
  for (const auto& [gan, type] : {std::pair("paper", DType::f32), {"pix2pix", DType::f32}, {"pix2pix", DType::bf16}}) {
    set_compute_dtype(type);
    o.gan = gan, o.steps = gan[1] == 'a' ? 1 : 2;  // a step, and one that is replayed
    std::vector<double> values[2];
    for (const Device device : {Device::cpu(), Device::cuda()}) {
      set_compute_device(device);
      data::Loader loader = s.loader();
      const std::string out = (s.root / text("{}{}{}", gan, type, device)).string();
      al::SynthesisHooks hooks;
      std::vector<double>& here = values[device == Device::cuda()];
      hooks.step = [&](const std::string&, int64_t, int64_t, double loss) { here.push_back(loss); };
      CHECK(al::train_synthesizer(out, loader, std::span(some).first(2), o, hooks));
      const bool gpu = device == Device::cuda();
      CHECK((read_file(out + "/config.json").find("\"device\"") != std::string::npos) == gpu);
      CHECK((read_file(out + "/config.json").find("\"bf16\"") != std::string::npos) == (type == DType::bf16));
      CHECK(fs::exists(out + "/plans.json") == gpu);
      const Image film = al::Synthesizer::open(out)->generate(loader.image(0), loader.mask(1), 5);
      here.insert(here.end(), film.pixels.begin(), film.pixels.end());
    }
    set_compute_device(Device::cpu());
    const double most = type == DType::bf16 ? neighbours : 1e3 * 0x1p-23 + 2 * 1e-4;  // as above
    const double worst = largest_difference(values[1], values[0]);
    CHECK_MESSAGE(worst < most, gan, " differs by ", worst);
  }
  set_compute_dtype(DType::f32);
}

TEST_CASE("ranks share GPUs by NCCL alone") {
  const Collective first_of_two{0, 2, {}, {}};
  const UseCollective here(first_of_two);
  CHECK_THROWS_WITH_AS(rank_mean(Tensor::zeros({3}, DType::f32, Device::cuda())),
                       "rank_mean: this build has no NCCL, so 2 ranks cannot share GPUs; use --device cpu, or one rank",
                       Error);
}
TEST_SUITE_END();
