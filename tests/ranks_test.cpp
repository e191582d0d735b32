// Several ranks train and score as one does: ranks are threads here, and processes of mpirun where there is MPI.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "al/evaluation.h"
#include "al/experiment.h"
#include "al/learner.h"
#include "al/scoring.h"
#include "al/turns.h"
#include "data/layouts.h"
#include "data/phantom.h"
#include "data/split.h"
#include "layers/rank_gradients.h"
#include "models/train.h"
#include "tensor/collective.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"
#include "tensor/ops.h"
#include "tensor/program.h"
#include "tensor/selftest.h"
#include "tests/rank_threads.h"

TEST_SUITE_BEGIN("ranks_test");
using namespace querent;
using namespace querent::test;
namespace fs = std::filesystem;

namespace {

struct Sandbox {
  fs::path root = fs::temp_directory_path() / text("querent_ranks_{}", getpid());
  data::Dataset dataset;
  Sandbox() {
    fs::remove_all(root);
    write_phantom_dataset(root / "ph", 30, 32, 3);
    dataset = data::open_dataset((root / "ph/labels.csv").string(), {});
    data::split_dataset(dataset, {.val = 0.1, .test = 0.2, .seed = 1});
  }
  ~Sandbox() { fs::remove_all(root); }
  data::Loader loader(bool masks) const { return data::Loader(dataset, {.size = 32, .masks = masks}); }
};

ModelOptions small(const std::string& name) {
  ModelOptions m{.name = name, .classes = name == "unet" ? 1 : 3, .width = 4, .depth = 2, .fc = 8, .dropout = 0.2};
  m.log_var = true;
  return m;
}

// Weights and running statistics after three steps on this rank's share of batches of four, in float64. The first
// weights may be off by one rounding, up or down.
std::vector<double> trained(const std::string& name, bool disturbed = false) {
  const int64_t rank = collective().rank, share = 4 / collective().size, first = rank * share;
  Params params(Device::cpu(), 1, DType::f64);
  const Model model = make_model(small(name), params);
  const int64_t n = params.all().total;
  for (int64_t i = 0; disturbed && i < n; ++i) params.all().flat.data<double>()[i] *= 1 + (i % 2 ? 1 : -1) * 0x1p-52;
  Optimizer optimizer(params.all(), {.kind = OptimOptions::sgd, .lr = 0.05});
  TrainingStep step(model, optimizer);
  for (int64_t k = 0; k < 3; ++k) {
    const Tensor x = draw_sample({{4, 32, 32, 1}}, {"x", "[*]"}, DType::f64, Rng(static_cast<uint64_t>(10 + k)));
    std::vector<int64_t> labels(static_cast<size_t>(model.segments ? 4 * 32 * 32 : 4));
    for (size_t i = 0; i < labels.size(); ++i)
      labels[i] = static_cast<int64_t>(i * i + i / 7) % (model.segments ? 2 : 3);
    const Tensor all = Tensor::from(labels, model.segments ? Shape{4, 32, 32} : Shape{4});
    std::vector<int64_t> places;
    for (int64_t i = 0; i < share; ++i) places.push_back(4 * k + first + i);
    step(x.batch(first, share), all.batch(first, share), make_streams(1, places, 0));
  }
  std::vector<double> values = params.all().flat.host_f64();
  for (const Tensor& b : params.buffers()) {
    const std::vector<double> v = b.host_f64();
    values.insert(values.end(), v.begin(), v.end());
  }
  return values;
}

}  // namespace

TEST_CASE("means are added up in the order of ranks, whatever is left over") {
  // 1e16 + 1 is 1e16: the order shows in what is left.
  const std::vector<double> give[] = {{1e16, 1, 1e16, 2}, {1, -1e16, -1e16, 3}, {-1e16, 1e16, 1, 5}};
  const auto means = of_ranks(3, [&](int rank) {
    std::vector<double> y(4);
    mean_of_ranks(std::span(give[rank]), y);
    return y;
  });
  for (const auto& y : means) CHECK(y == std::vector<double>{0, 0, 1. / 3, 10. / 3});
  const auto alone = of_ranks(4, [&](int rank) {
    const float x[] = {static_cast<float>(rank)};
    float y[1];
    mean_of_ranks(std::span<const float>(x), y);
    return y[0];
  });
  CHECK(alone == std::vector<float>{1.5f, 1.5f, 1.5f, 1.5f});
  CHECK(of_ranks(3, [](int rank) { return broadcast(std::string(static_cast<size_t>(rank + 2), 'a')); }) ==
        std::vector<std::string>{"aa", "aa", "aa"});
  CHECK(of_ranks(3, [](int rank) { return int{any_rank(rank == 2)}; }) == std::vector<int>{1, 1, 1});
  CHECK(of_ranks(3, [](int) { return int{any_rank(false)}; }) == std::vector<int>{0, 0, 0});
}

TEST_CASE("ranks train what one trains with the joint batch") {
  const auto distance = [](const std::vector<double>& a, const std::vector<double>& b) {
    REQUIRE(a.size() == b.size());
    double worst = 0;
    for (size_t i = 0; i < a.size(); ++i)
      worst = std::max(worst, std::abs(a[i] - b[i]) / std::max(1.0, std::abs(b[i])));
    return worst;
  };
  for (const auto& [name, size] : {std::pair{"resnet18", 2}, {"unet", 4}, {"vgg16_bn", 2}}) {
    const std::vector<double> one = trained(name);
    const auto all = of_ranks(size, [name = name](int) { return trained(name); });
    for (const auto& values : all) CHECK(values == all[0]);
    // Sums are taken in another order. One rounding of each weight is what three steps and batch norms of few pixels
    // make of it; each of some twenty layers rounds a few times on the way there and back.
    const double rounding = distance(trained(name, true), one), worst = distance(all[0], one);
    MESSAGE(std::string(name), ": ", worst, " with ", size, " ranks, one rounding: ", rounding);
    CHECK(worst < 10 * rounding);
    CHECK(rounding < 1e-10);
  }
}

// The flat gradients of this rank's share of a batch of four: averaged in buckets during backward, or as a whole after
// it (0). Eager, or of a captured step that is replayed with other images than it was captured with.
std::vector<double> averaged(const std::string& name, int64_t bucket, bool captured, bool tuned) {
  const int64_t rank = collective().rank, share = 4 / collective().size;
  Params params(Device::cpu(), 1);
  const Model model = make_model(small(name), params);
  const ParamSet set = tuned ? last_layers(model, params, 2) : params.all();
  const std::vector<int64_t> labels(static_cast<size_t>(model.segments ? share * 32 * 32 : share), 1);
  const Tensor target = Tensor::from(labels, model.segments ? Shape{share, 32, 32} : Shape{share});
  const Targets targets = make_targets(model, target, DType::f32);
  const Tensor streams = make_streams(1, std::vector<int64_t>{2 * rank, 2 * rank + 1}, 0);
  const auto images = [&](uint64_t seed) {
    return draw_sample({{4, 32, 32, 1}}, {"x", "[*]"}, DType::f32, Rng(seed)).batch(rank * share, share);
  };
  const auto step = [&](Inputs in) {
    Tape tape;
    const Tensor loss = task_loss(model, model.forward(in[0], {Pass::train, streams, &set}), targets, streams);
    return Tensors{bucket > 0 ? backward_of_ranks(tape, loss, set, bucket).flat
                              : rank_mean(tape.backward(loss, set).flat)};
  };
  if (!captured) return step(Tensors{images(5)})[0].host_f64();
  Program p = Program::capture(step, {images(6)});
  return p({images(5)})[0].host_f64();
}

TEST_CASE("buckets of gradients have the bits of one mean, eager and captured") {
  for (const auto& [name, tuned] : {std::pair{"resnet18", false}, {"unet", false}, {"unet", true}}) {
    const auto whole = of_ranks(2, [&, name = name, tuned = tuned](int) { return averaged(name, 0, false, tuned); });
    CHECK(whole[0] == whole[1]);
    CHECK(std::any_of(whole[0].begin(), whole[0].end(), [](double g) { return g != 0; }));
    for (const int64_t bucket : {1, 1000, 1 << 20}) {
      for (const bool captured : {false, true}) {
        const auto parts = of_ranks(
            2, [&, name = name, tuned = tuned](int) { return averaged(name, bucket, captured, tuned); });
        CHECK_MESSAGE(parts == whole, name, " in buckets of ", bucket, captured ? ", captured" : "");
      }
    }
  }
}

TEST_CASE("means begin with the last layers, while the first have no gradient yet") {
  std::vector<int64_t> sizes;  // of what is exchanged, by the first rank
  with_ranks(2, [&](int rank) {
    const Collective& threads = collective();
    Collective watched = threads;
    watched.exchange = [&](const std::vector<std::string>& pieces) {
      if (rank == 0) sizes.push_back(static_cast<int64_t>(pieces[0].size() + pieces[1].size()) / 4);
      return threads.exchange(pieces);
    };
    const UseCollective here(watched);
    Params params(Device::cpu(), 1);
    const Tensor first = params.root().parameter("first", {16, 16}, Init::xavier());
    const Tensor last = params.root().parameter("last", {32, 16}, Init::xavier());
    const ParamSet& set = params.all();
    Tape tape;
    const Tensor loss = mean(square(matmul(relu(matmul(Tensor::full({4, 16}, 1), first, {.transpose_b = true})), last,
                                           {.transpose_b = true})));
    backward_of_ranks(tape, loss, set, 100);
  });
  CHECK(sizes == std::vector<int64_t>{512, 512, 256, 256});  // pieces, then sums; last before first
}

TEST_CASE("a learner of two ranks: the same bits in both and every time") {
  const Sandbox s;
  const std::vector<int64_t> cases = data::cases_of(s.dataset, "train");
  const auto run = [&](int) {
    data::Loader loader = s.loader(true);
    al::Learner learner(small("unet"), 7);
    std::vector<double> losses;
    al::TrainHooks hooks;
    hooks.step = [&](int64_t, double loss) { losses.push_back(loss); };
    learner.train(loader, cases, {.steps = 4, .batch = 4}, hooks);
    for (const float v : learner.params().all().flat.host()) losses.push_back(v);
    return losses;
  };
  const auto first = of_ranks(2, run), again = of_ranks(2, run);
  CHECK(first[0].size() > 4);
  CHECK(first[0] == first[1]);
  CHECK(first == again);
  const std::vector<double> alone = run(0);
  CHECK(std::abs(first[0][0] - alone[0]) < 1e3 * 0x1p-23);  // the same images, masks and noise: only rounding differs
  with_ranks(3, [&](int) {
    CHECK_THROWS_WITH_AS(run(0), "train: a batch of 4 images cannot be shared by 3 ranks; use a multiple of 3", Error);
  });
}

TEST_CASE("the pool is scored in turns, with the bits of one rank") {
  const Sandbox s;
  for (const auto& [name, model] :
       {std::pair{"kendall_gal", "unet"}, {"batchbald", "resnet18"}, {"coreset", "resnet18"}}) {
    const data::Loader loader = s.loader(true);
    const al::Learner learner(small(model), 7);
    std::vector<int64_t> pool(19);
    for (size_t i = 0; i < pool.size(); ++i) pool[i] = static_cast<int64_t>(i);
    const auto survey = [&](const data::Loader& l, const al::Learner& asked) {
      al::ScoringOptions o;
      o.passes = 3;
      return al::survey(asked, l, al::find_strategy(name), pool, std::vector<int64_t>{20, 21, 22}, o);
    };
    const al::PoolView one = survey(loader, learner);
    REQUIRE(one.cases.size() == 19);
    const auto views = of_ranks(2, [&](int) { return survey(s.loader(true), al::Learner(small(model), 7)); });
    for (const al::PoolView& view : views) {
      REQUIRE(view.cases.size() == 19);
      CHECK(view.labelled == one.labelled);
      for (size_t i = 0; i < 19; ++i) {
        CHECK(view.cases[i].id == one.cases[i].id);
        CHECK(view.cases[i].score.value == one.cases[i].score.value);
        CHECK(view.cases[i].score.group == one.cases[i].score.group);
        CHECK(view.cases[i].score.parts == one.cases[i].score.parts);
        CHECK(view.cases[i].p == one.cases[i].p);
        CHECK(view.cases[i].feature == one.cases[i].feature);
      }
    }
  }
}

TEST_CASE("test sets are predicted and measured in turns, with the bits of one rank") {
  const Sandbox s;
  for (const char* name : {"unet", "resnet18"}) {
    std::vector<int64_t> cases(30);
    for (size_t i = 0; i < cases.size(); ++i) cases[i] = static_cast<int64_t>(i);
    const auto measured = [&](int) {
      const data::Loader loader = s.loader(true);
      ModelOptions m = small(name);
      if (m.name == "resnet18") m.classes = 2;  // as the phantom has
      const al::Learner learner(m, 7);
      al::ScoringOptions o;
      o.passes = 3;
      return std::tuple(learner.predict(loader, cases), al::evaluate(learner, loader, cases),
                        al::evaluate_each(learner, loader, cases), al::doubts(learner, loader, cases, o).dump());
    };
    const auto one = measured(0);
    CHECK(std::get<0>(one).size() == 30);
    for (const int ranks : {2, 3})
      for (const auto& several : of_ranks(ranks, measured)) CHECK_MESSAGE(several == one, name, " by ", ranks);
  }
}

TEST_CASE("each case is looked at by one rank") {
  std::vector<std::vector<size_t>> looked(3);
  const auto all = of_ranks(3, [&](int rank) {
    return al::in_turns<std::string>(11, 2, {}, [&](size_t first, std::span<std::string> batch) {
      for (size_t i = 0; i < batch.size(); ++i) {
        batch[i] = std::string(first + i, 'x');
        looked[static_cast<size_t>(rank)].push_back(first + i);
      }
    });
  });
  CHECK(looked == std::vector<std::vector<size_t>>{{0, 1, 6, 7}, {2, 3, 8, 9}, {4, 5, 10}});
  for (const std::vector<std::string>& cases : all) {
    REQUIRE(cases.size() == 11);
    for (size_t i = 0; i < 11; ++i) CHECK(cases[i].size() == i);
  }
}

TEST_CASE("the first rank writes, and all see the file or none does") {
  const Sandbox s;
  const auto wrote = of_ranks(3, [&](int rank) {
    int times = 0;
    for (int i = 0; i < 40; ++i) {
      const fs::path file = s.root / text("file{}", i / 2);
      if (fs::exists(file)) continue;
      write_atomically(file, text("{}", rank)), ++times;
      CHECK(read_file(file) == "0");
      if (i % 4 == 0) discard(file);
    }
    return times;
  });
  CHECK(wrote == std::vector<int>{30, 30, 30});
}

TEST_CASE("an experiment of two ranks, stopped and continued") {
  const Sandbox s;
  al::ExperimentConfig c;
  c.size = 32, c.width = 4, c.depth = 2, c.strategies = {"bald"};
  c.seeds = 1, c.start = 6, c.budget = 12, c.steps = 3, c.full_steps = 3, c.batch = 4, c.mc = 3;
  const auto run = [&](const char* out, int stop_after) {
    return of_ranks(2, [&, stop_after](int) {
      int asked = 0;
      al::Hooks hooks;
      hooks.stop = [&] { return stop_after > 0 && ++asked > stop_after; };
      return int{al::run_experiment(c, s.dataset, (s.root / out).string(), hooks)};
    });
  };
  CHECK(run("whole", 0) == std::vector<int>{1, 1});
  CHECK(run("parts", 8) == std::vector<int>{0, 0});
  CHECK(run("parts", 0) == std::vector<int>{1, 1});
  const auto bytes = [&](const char* out) { return read_file(s.root / out / "weights/bald_s1_r1.safetensors"); };
  CHECK(bytes("whole") == bytes("parts"));
  const nlohmann::json results = parse_json(read_file(s.root / "whole/results.json"));
  CHECK(results.at("ranks") == 2);
  CHECK(results.at("config").at("ranks") == 2);
}

#ifdef QUERENT_MPIRUN
namespace {
struct Said {
  int code;
  std::string text;
};
Said shell(const std::string& command) {
  std::string all;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  for (char part[4096]; std::fgets(part, sizeof part, pipe);) all += part;
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, all};
}
std::string mpirun(int ranks) {
  return text("OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 " QUERENT_MPIRUN " --oversubscribe -n {} ",
              ranks);
}
size_t count(const std::string& in, const std::string& what) {
  size_t n = 0;
  for (size_t at = in.find(what); at != std::string::npos; at = in.find(what, at + 1)) ++n;
  return n;
}
}  // namespace

TEST_CASE("mpirun -n 2 querent train") {
  const Sandbox s;
  const auto train = [&](const std::string& out, const std::string& flags) {
    return text(QUERENT_BINARY
                " train --data {}/ph/labels.csv --size 32 --width 4 --depth 2 --threads 1 --steps 6 --out {}/{} {}",
                s.root.string(), s.root.string(), out, flags);
  };
  const auto weights = [&](const std::string& out) { return read_file(s.root / out / "weights/best.safetensors"); };
  const Said first = shell(mpirun(2) + train("a", "--batch 4"));
  REQUIRE_MESSAGE(first.code == 0, first.text);
  CHECK(count(first.text, "dice") == 1);  // one rank speaks
  REQUIRE(shell(mpirun(2) + train("b", "--batch 4")).code == 0);
  CHECK(weights("a") == weights("b"));
  const std::string eval = text(QUERENT_BINARY " eval --json --data {}/ph/labels.csv --weights {}/a/weights/best.safetensors",
                                s.root.string(), s.root.string());
  const Said measured = shell(mpirun(2) + eval);
  CHECK(measured.code == 0);
  CHECK(measured.text == shell(eval).text);
  const auto predict = [&](const std::string& out) {
    return text(QUERENT_BINARY " predict {}/ph/images --weights {}/a/weights/best.safetensors --out {}/{}",
                s.root.string(), s.root.string(), s.root.string(), out);
  };
  REQUIRE(shell(mpirun(2) + predict("p2")).code == 0);
  REQUIRE(shell(predict("p1")).code == 0);
  for (const char* file : {"predictions.csv", "predictions.json", "masks/ph00029.png", "probabilities/ph00029.png"})
    CHECK((read_file(s.root / "p1" / file) == read_file(s.root / "p2" / file)));
  const auto synth = [&](const std::string& out, const std::string& flags) {
    return text(QUERENT_BINARY
                " synth train --data {}/ph/labels.csv --size 32 --width 4 --gan pix2pix --steps 3 "
                "--threads 1 --out {}/{} {}",
                s.root.string(), s.root.string(), out, flags);
  };
  const Said films = shell(mpirun(2) + synth("gan", "--batch 4"));
  CHECK_MESSAGE(films.code == 0, films.text);
  CHECK(count(films.text, "GAN trained in") == 1);
  CHECK(fs::exists(s.root / "gan/weights/generator.safetensors"));
  const Said unshared = shell(mpirun(2) + synth("no", "--batch 1 --force"));
  CHECK(unshared.code == 2);
  CHECK(count(unshared.text,
              "error: synth train: a batch of 1 images cannot be shared by 2 ranks; use a multiple of 2") == 1);
  REQUIRE(shell(train("one", "--batch 4")).code == 0);
  const TensorFile two = read_tensors(s.root / "a/weights/best.safetensors"),
                   one = read_tensors(s.root / "one/weights/best.safetensors");
  double difference = 0, values = 0;
  for (const auto& [name, t] : one.tensors) {
    const std::vector<double> x = t.host_f64(), y = two.at(name).host_f64();
    for (size_t i = 0; i < x.size(); ++i) difference += std::abs(x[i] - y[i]) / std::max(1.0, std::abs(x[i])), ++values;
  }
  // AdamW moves each weight by about lr a step; only where a gradient is nothing but rounding may it go another way,
  // and there are few of these.
  CHECK_MESSAGE(difference / values < 1e-3 * 6 * 3e-3, "the mean difference is ", difference / values);

  const Said refused = shell(mpirun(2) + train("c", "--batch 3"));
  CHECK(refused.code == 2);
  CHECK(count(refused.text, "error: train: a batch of 3 images cannot be shared by 2 ranks") == 1);
  CHECK(!fs::exists(s.root / "c"));
  const Said half =
      shell(mpirun(1) + train("d", "--batch 4") + " : -n 1 " + QUERENT_BINARY " train --data nowhere.csv");
  CHECK(half.code == 2);
  CHECK(count(half.text, "error: rank 1: ") == 1);  // while the other waits
  const Said other = shell(mpirun(2) + QUERENT_BINARY " explain metrics");
  CHECK(other.code == 2);
  CHECK(count(other.text, "error: explain: works in one process; start it without mpirun") == 1);
}
#else
TEST_CASE("mpirun -n 2 querent train") { MESSAGE("skipped: the build has no MPI"); }
#endif
TEST_SUITE_END();
