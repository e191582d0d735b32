// ChestX-ray8: the weighted cross-entropy, log-sum-exp pooling, heat maps, boxes and their measures by hand; then the
// experiment on a few phantoms.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "al/chestxray8.h"
#include "al/findings.h"
#include "data/layouts.h"
#include "data/phantom.h"
#include "data/split.h"
#include "layers/pool.h"
#include "models/chestxray8.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"
#include "tensor/rng.h"

TEST_SUITE_BEGIN("chestxray8_test");
using namespace querent;
using namespace querent::al;
using doctest::Approx;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

Tensor tensor(std::vector<double> v, Shape shape, DType dtype = DType::f64) {
  return Tensor::from(std::span<const double>(v), shape, dtype);
}
Tensor drawn(Shape shape, uint64_t seed) {
  Rng rng(seed);
  std::vector<double> v(static_cast<size_t>(shape.numel()));
  for (double& x : v) x = rng.normal();
  return tensor(v, shape);
}
Image map_of(std::vector<std::string> rows) {  // digits, in tenths
  Image m(static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows[0].size()));
  for (int64_t y = 0; y < m.height; ++y)
    for (int64_t x = 0; x < m.width; ++x)
      m.at(y, x) = static_cast<float>(rows[static_cast<size_t>(y)][static_cast<size_t>(x)] - '0') / 10;
  return m;
}

struct Sandbox {
  fs::path root = fs::temp_directory_path() / text("querent_chestxray8_{}", getpid());
  data::Dataset dataset;
  Sandbox() {
    fs::remove_all(root);
    PhantomOptions o;
    o.size = 32, o.seed = 3, o.nodule_fraction = 0.4, o.opacity_fraction = 0.3;
    write_phantom_dataset(root / "ph", 24, o);
    dataset = data::open_dataset(root / "ph/labels.csv");
    data::split_dataset(dataset, {.val = 0.2, .test = 0.4, .seed = 1});
  }
  ~Sandbox() { fs::remove_all(root); }
};
ChestXray8Config tiny() {
  ChestXray8Config c;
  c.poolings = {"lse", "max"}, c.size = 32, c.width = 2, c.steps = 3, c.batch = 4, c.gallery = 1;
  return c;
}
json read(const fs::path& path) { return parse_json(read_file(path)); }

}  // namespace

TEST_CASE("log-sum-exp pooling by hand; between the average and the maximum; no overflow") {
  const Tensor x = tensor({1, 2, 3, 4}, {1, 2, 2, 1});
  const double e = std::exp(1.0);
  CHECK(log_sum_exp_pool(x, 1).item() == Approx(std::log((e + e * e + e * e * e + e * e * e * e) / 4)));
  CHECK(log_sum_exp_pool(x, 1).item() == Approx(3.05389).epsilon(1e-5));  // by pocket calculator
  CHECK(log_sum_exp_pool(x, 1e-6).item() == Approx(2.5).epsilon(1e-6));
  CHECK(log_sum_exp_pool(x, 1e3).item() == Approx(4 - std::log(4.0) / 1e3).epsilon(1e-12));
  CHECK(global_max_pool(x).item() == 4);
  CHECK(log_sum_exp_pool(scale(x, 1e4), 10).item() == Approx(4e4 - std::log(4.0) / 10));
  CHECK(log_sum_exp_pool(scale(x, -1e4), 10).item() == Approx(-1e4 - std::log(4.0) / 10));
  const Tensor large = drawn({1, 17, 33, 2}, 5);  // more than one window of max_pool2d may have
  const std::vector<double> v = large.host_f64();
  double top[2] = {-INFINITY, -INFINITY};
  for (size_t i = 0; i < v.size(); ++i) top[i % 2] = std::max(top[i % 2], v[i]);
  CHECK(global_max_pool(large).host_f64() == std::vector<double>{top[0], top[1]});
  CHECK(log_sum_exp_pool(large, 1e4).host_f64()[1] == Approx(top[1]).epsilon(1e-3));
  const Tensor two = tensor({0, 5, 0, 7}, {2, 1, 1, 2});  // of one pixel: the pixel
  CHECK(log_sum_exp_pool(two, 10).host_f64() == std::vector<double>{0, 5, 0, 7});
  CHECK_THROWS_WITH_AS(log_sum_exp_pool(x, 0), doctest::Contains("r must be positive, got 0"), Error);
}

TEST_CASE("the gradient of log-sum-exp pooling, in f64, against central differences; it adds up to 1") {
  const Tensor x = drawn({2, 3, 4, 3}, 1), direction = drawn({2, 3, 4, 3}, 2);
  for (const double r : {0.1, 1.0, 10.0}) {
    Tape tape;
    tape.watch(x);
    const Tensor g = tape.backward(sum(log_sum_exp_pool(x, r)), {}, Tensors{x})[0];
    const double analytic = sum(mul(g, direction)).item(), step = 1e-5;
    const auto at = [&](double s) { return sum(log_sum_exp_pool(add(x, scale(direction, s)), r)).item(); };
    // The third derivative is at most r^2 |direction|^3 a pooled value: 6 of them, |direction| <= 4.
    const double truncation = 6 * r * r * 64 * step * step / 6, rounding = 6 * 10 * 2.3e-16 / step;
    CHECK(std::abs(analytic - (at(step) - at(-step)) / (2 * step)) <= truncation + rounding);
    for (const double total : sum(g, {1, 2}).host_f64()) CHECK(total == Approx(1));
  }
}

TEST_CASE("the weighted cross-entropy by hand") {
  const Tensor target = tensor({1, 0, 0, 0, 0, 1}, {2, 3});
  const Tensor weights = balanced_weights(target);  // beta_P = 6/2, beta_N = 6/4
  CHECK(weights.host_f64() == std::vector<double>{3, 1.5, 1.5, 1.5, 1.5, 3});
  // p = 1/2 everywhere: as much for the two ones as for the four zeros, 6 ln 2 each, and the mean over 6 elements.
  CHECK(bce_with_logits(tensor({0, 0, 0, 0, 0, 0}, {2, 3}), target, weights).item() == Approx(2 * std::log(2.0)));
  // p = 0.8 for a one and 0.2 for a zero.
  const double z = std::log(4.0);
  CHECK(bce_with_logits(tensor({z, 0, 0, 0, -z, 0}, {2, 3}), target, weights).item() ==
        Approx((3 * (-std::log(0.8) + std::log(2.0)) + 1.5 * (-std::log(0.8) + 3 * std::log(2.0))) / 6));
  for (const double one : {0.0, 1.0})  // nothing to balance
    CHECK(balanced_weights(Tensor::full({2, 3}, one, DType::f64)).host_f64() == std::vector<double>(6, 1));
}

TEST_CASE("a heat map is what the last layer adds up: with average pooling its mean and the bias are the logit") {
  Params params(Device::cpu(), 3, DType::f64);
  const ChestXray8 net(params.root(),
                       {.findings = 2, .width = 2, .small_stem = true, .pooling = parse_pooling("average")});
  params.all();
  const Tensor a = net.activations(drawn({2, 32, 32, 1}, 4), {}), heat = net.heat_maps(a);
  CHECK(heat.shape() == Shape{2, 4, 4, 2});
  const std::vector<double> logits = net.logits(a).host_f64(),
                            means = add(mean(heat, {1, 2}), params.find("fc.bias")).host_f64();
  for (size_t i = 0; i < 4; ++i) CHECK(logits[i] == Approx(means[i]).epsilon(1e-12));
  CHECK_THROWS_WITH_AS(parse_pooling("mean"), doctest::Contains("use lse, average or max"), Error);
}

TEST_CASE("IoU and IoBB by hand") {
  const Box truth{0.2, 0.2, 0.6, 0.6}, detected{0.4, 0.4, 0.6, 0.8};  // areas 0.16 and 0.08, in common 0.04
  CHECK(intersection(truth, detected) == Approx(0.04));
  CHECK(iobb(detected, truth) == Approx(0.5));
  CHECK(iobb(truth, detected) == Approx(0.25));
  CHECK(iou(detected, truth) == Approx(0.2));
  CHECK(iobb({0.3, 0.3, 0.4, 0.4}, truth) == Approx(1));  // inside
  CHECK(intersection(truth, {0.7, 0.7, 0.9, 0.9}) == 0);
  CHECK(intersection(truth, {0.6, 0.2, 0.9, 0.6}) == 0);  // side by side
}

TEST_CASE("boxes round the regions of a map") {
  const Image m = map_of({"0990000000",  //
                          "0090000008",  //
                          "0009000008",  //
                          "0000000000"});
  // Corners touch: one region. The other lies at the border.
  CHECK(boxes_of(m, 0.5) == std::vector<Box>{{0.1, 0, 0.4, 0.75}, {0.9, 0.25, 1, 0.75}});
  CHECK(boxes_of(m, 0.85).size() == 1);
  CHECK(boxes_of(m, 0.95).empty());
  CHECK(boxes_of(map_of({"9009", "0990"}), 0.5) == std::vector<Box>{{0, 0, 1, 1}});  // its end lies above its middle
  CHECK(boxes_of(Image(), 0.5).empty());
  // Heat from -1 to 1: 60/255 of the range is at -0.53, 180/255 at 0.41.
  Image heat(1, 4);
  heat.pixels = {-1, -0.5f, 0.45f, 1};
  CHECK(boxes_of_heat_map(heat) == std::vector<Box>{{0.25, 0, 1, 1}, {0.5, 0, 1, 1}});
  heat.pixels = {-1, -0.6f, 0.45f, 1};  // both cuts give one box
  CHECK(boxes_of_heat_map(heat) == std::vector<Box>{{0.5, 0, 1, 1}});
  heat.pixels = {3, 3, 3, 3};
  CHECK(boxes_of_heat_map(heat).empty());
}

TEST_CASE("hits and false boxes of a film") {
  const std::vector<Box> truth = {{0, 0, 0.5, 0.5}, {0.8, 0.8, 0.9, 0.9}},
                         detected = {{0.25, 0, 0.75, 0.5}, {0.6, 0, 0.7, 0.1}, {0, 0, 1, 1}};
  // IoBB with the first truth 0.5, 0, 0.25; with the second 0, 0, 0.01.
  Localization r = compare(detected, truth, iobb, 0.1);
  CHECK(r.hits == 1);
  CHECK(r.false_boxes == 1);
  r += compare(detected, truth, iobb, 0.5);  // "more than", so 0.5 does not
  CHECK(r.films == 2);
  CHECK(r.boxes == 4);
  CHECK(r.hits == 1);
  CHECK(r.accuracy() == 0.25);
  CHECK(r.false_per_film() == 2);
  // Of three films the first two found their own box, the third that of the first.
  const Box a{0, 0, 0.2, 0.2}, b{0.4, 0.4, 0.6, 0.6}, c{0.8, 0.8, 1, 1};
  const std::vector<FilmBoxes> films = {{{a}, {a}}, {{b}, {b}}, {{c}, {a}}};
  CHECK(compare(films, iou, 0.5).hits == 2);
  CHECK(compare(films, iou, 0.5, 1).hits == 0);
  CHECK(compare(films, iou, 0.5, 2).hits == 1);
  CHECK(compare(films, iou, 0.5, 2).boxes == 3);
}

TEST_CASE("findings and true boxes: columns of the phantom, NIH's list") {
  data::Case c;
  c.id = "p", c.label = "abnormal",
  c.extra = {{"finding", "nodule"}, {"nodules", "0.5 0.25 0.125 0.3;0.75 0.75 0.25 1"}};
  CHECK(findings_of(c) == std::vector<std::string>{"nodule"});
  const fs::path root = fs::temp_directory_path() / text("querent_chestxray8_nih_{}", getpid());
  fs::create_directories(root);
  data::Dataset d;
  d.root = root.string(), d.cases = {c};
  const std::vector<int64_t> first = {0}, both = {0, 1};
  CHECK(true_boxes(d, first)[0].at("nodule") == std::vector<Box>{{0.375, 0.125, 0.625, 0.375}, {0.5, 0.5, 1, 1}});
  d.cases[0].extra["nodules"] = "0.5 a";
  CHECK_THROWS_WITH_AS(true_boxes(d, first), doctest::Contains("p: nodules must be"), Error);

  c.id = "00000001_000", c.label = "Infiltration|Mass", c.extra = {};
  d.layout = "nih", d.cases = {c, c};
  d.cases[1].id = "00000002_000", d.cases[1].label = "No Finding";
  CHECK(findings_of(d.cases[1]).empty());
  CHECK(all_findings(d) == std::vector<std::string>{"Infiltration", "Mass"});
  CHECK(true_boxes(d, both)[0].empty());  // no list
  write_atomically(root / "BBox_List_2017.csv",
                   "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
                   "00000001_000.png,Infiltrate,256,512,128.0,64,,,\n00000001_000.png,Mass,0,0,512,512,,,\n");
  const auto boxes = true_boxes(d, both);
  CHECK(boxes[0].at("Infiltration") == std::vector<Box>{{0.25, 0.5, 0.375, 0.5625}});
  CHECK(boxes[0].at("Mass") == std::vector<Box>{{0, 0, 0.5, 0.5}});
  CHECK(boxes[1].empty());
  fs::remove_all(root);
}

TEST_CASE("the experiment on 24 phantoms; stopped inside a network and continued to the same bits") {
  const Sandbox s;
  REQUIRE(run_chestxray8(tiny(), s.dataset, (s.root / "whole").string(), {}));
  const json results = read(s.root / "whole/chestxray8.json");
  CHECK(results.at("findings") == json{"nodule", "opacity"});
  REQUIRE(results.at("poolings").size() == 2);
  const auto test = data::cases_of(s.dataset, "test");
  size_t nodules = 0;
  for (const FindingBoxes& b : true_boxes(s.dataset, test)) nodules += b.contains("nodule") ? b.at("nodule").size() : 0;
  REQUIRE(nodules > 0);
  for (const json& p : results.at("poolings")) {
    size_t rows = 0;
    double before = 1;
    for (const json& row : p.at("boxes")) {
      if (row.at("finding") != "nodule" || row.at("criterion") != "iobb") continue;
      CHECK(row.at("boxes") == nodules);
      CHECK(row.at("accuracy") <= before);  // a higher threshold is met by no more boxes
      CHECK((row.at("chance").is_null() || (row.at("chance") >= 0 && row.at("chance") <= 1)));
      before = row.at("accuracy"), ++rows;
    }
    CHECK(rows == 5);
    CHECK(p.at("gallery").size() == 2);
    for (const json& film : p.at("gallery")) CHECK(fs::exists(s.root / "whole" / film.at("heat").get<std::string>()));
  }
  // Pooling is all that differs, and it does.
  CHECK(results.at("poolings")[0].at("gallery")[0].at("id") == results.at("poolings")[1].at("gallery")[0].at("id"));
  CHECK(results.at("poolings")[0].at("gallery")[0].at("probability") !=
        results.at("poolings")[1].at("gallery")[0].at("probability"));

  Hooks hooks;
  int64_t steps = 0;
  hooks.progress = [&](const Progress& p) { steps += p.what == Progress::step; };
  hooks.stop = [&] { return steps == 5; };  // in the middle of the second network
  const std::string parts = (s.root / "parts").string();
  CHECK_FALSE(run_chestxray8(tiny(), s.dataset, parts, hooks));
  steps = 0, hooks.stop = [] { return false; };
  REQUIRE(run_chestxray8(tiny(), s.dataset, parts, hooks));
  CHECK(steps == 1);
  CHECK(read_file(s.root / "parts/chestxray8.json") == read_file(s.root / "whole/chestxray8.json"));
  CHECK(read_file(s.root / "parts/weights/max.safetensors") == read_file(s.root / "whole/weights/max.safetensors"));

  ChestXray8Config c = tiny();
  c.findings = {"mass"};
  CHECK_THROWS_WITH_AS(run_chestxray8(c, s.dataset, (s.root / "no").string(), {}),
                       doctest::Contains("no film has the finding 'mass'; there are [\"nodule\",\"opacity\"]"), Error);
}

TEST_CASE("the command writes a page with the tables and the films") {
  const Sandbox s;
  const std::string out = (s.root / "out").string(),
                    command = std::string(QUERENT_BINARY) + " experiment chestxray8 --data " +
                              (s.root / "ph/labels.csv").string() + " --out " + out +
                              " --size 32 --width 2 --steps 2 --batch 4 --pooling lse,average --test 0.4 --gallery 1 "
                              "--json --threads 1 > " +
                              (s.root / "said").string();
  REQUIRE(std::system(command.c_str()) == 0);
  CHECK(read(s.root / "said") == read(s.root / "out/chestxray8.json"));
  const std::string page = read_file(s.root / "out/report/chestxray8.html");
  for (const char* part : {"log-sum-exp", "average", "T(IoBB)", "T(IoU)", "outline truth", "data:image/png;base64,"})
    CHECK_MESSAGE(page.find(part) != std::string::npos, part);
}
TEST_SUITE_END();
