// Parameters, their names and files: the arena, initial values, loading, and safetensors that must be refused.
#include "layers/params.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "layers/conv.h"
#include "layers/init.h"
#include "layers/linear.h"
#include "layers/tensor_file.h"
#include "tensor/rng.h"
#include "tensor/safetensors.h"

using namespace querent;

namespace {

struct TempFile {
  std::filesystem::path path;
  explicit TempFile(const std::string& name)
      : path(std::filesystem::temp_directory_path() / ("querent_layers_" + std::to_string(::getpid()) + name)) {}
  ~TempFile() { std::filesystem::remove(path); }
};

}  // namespace

TEST_SUITE_BEGIN("params_test");

TEST_CASE("parameters live in one arena, and their values depend on the seed and the name alone") {
  Params a(Device::cpu(), 9), b(Device::cpu(), 9), c(Device::cpu(), 10);
  const Conv2d early(a.root().sub("x"), 2, 3);
  const Linear first(a.root().sub("y"), 3, 2);
  const Linear second(b.root().sub("y"), 3, 2);
  const Linear other(c.root().sub("y"), 3, 2);
  CHECK(first.weight.host() == second.weight.host());
  CHECK(first.weight.host() != other.weight.host());
  const std::vector<float> before = early.weight.host();
  const ParamSet& all = a.all();
  CHECK(early.weight.host() == before);
  CHECK(a.count() == 3 * 3 * 3 * 2 + 3 + 2 * 3 + 2);
  all.flat.fill(7);
  CHECK(first.weight.host()[0] == 7);  // the handle moved with its bytes
  const ParamSet head = a.under("y");
  CHECK(head.tensors.size() == 2);
  REQUIRE(bool{head.flat});
  head.flat.fill(8);
  CHECK(first.bias.host()[1] == 8);
  CHECK(early.bias.host()[0] == 7);
  CHECK_THROWS_WITH_AS(a.under("z"), doctest::Contains("'z'"), Error);
}

TEST_CASE("weights that are not drawn get their bytes when a file is loaded, also in several pieces") {
  const TempFile file("pieces.safetensors");
  const auto build = [](Params& p) {
    Conv2d(p.root().sub("conv"), 70, 130, {.kernel = 7});  // 1.7 MiB
    Linear(p.root().sub("flat"), 60 * 49, 100, {.area = 49});
    Linear(p.root().sub("plain"), 60, 7);
  };
  Params from(Device::cpu(), 1), to(Device::cpu(), 2);
  build(from);
  {
    const NoDraws of_the_file;
    build(to);
  }
  CHECK(!to.find("conv.weight").has_data());
  from.save(file.path);
  CHECK(to.load(file.path).complete());
  for (const std::string& name : from.names()) CHECK_MESSAGE(to.find(name).host() == from.find(name).host(), name);
  // In the file they lie as PyTorch has them.
  const std::vector<float> filters = SafetensorsReader(file.path).floats("conv.weight"), ours = from.find("conv.weight").host();
  CHECK(filters[(129 * 70 + 3) * 49 + 20] == ours[(129 * 49 + 20) * 70 + 3]);
  {
    const NoDraws of_the_file;
    Params zeros;
    const Linear l(zeros.root().sub("l"), 3, 2);
    zeros.all();
    CHECK(l.weight.host() == std::vector<float>(6, 0));
  }
}

TEST_CASE("initial values have the promised spread") {
  Params p(Device::cpu(), 3);
  const Tensor k = p.root().parameter("k", {64, 3, 3, 32}, Init::kaiming(), {FileLayout::conv});
  const Tensor u = p.root().parameter("u", {64, 3, 3, 32}, Init::torch_default(), {FileLayout::conv});
  double sum = 0, squares = 0, largest = 0;
  for (const float v : k.host()) sum += v, squares += v * v;
  for (const float v : u.host()) largest = std::max(largest, std::abs(static_cast<double>(v)));
  const auto n = static_cast<double>(k.numel());
  CHECK(std::abs(sum / n) < 4 * std::sqrt(2.0 / 288 / n));
  CHECK(squares / n == doctest::Approx(2.0 / 288).epsilon(4 * std::sqrt(2 / n)));
  CHECK(largest <= 1 / std::sqrt(288.0));
  CHECK(largest > 0.99 / std::sqrt(288.0));
}

TEST_CASE("loading says clearly what does not fit, and changes nothing then") {
  const TempFile file("load.safetensors");
  Params from(Device::cpu(), 1), to(Device::cpu(), 2);
  Linear(from.root().sub("a"), 3, 2);
  Linear(from.root().sub("b"), 3, 2);
  const Linear a(to.root().sub("a"), 3, 2);
  Linear(to.root().sub("c"), 3, 2);
  from.save(file.path);
  const std::vector<float> before = a.weight.host();
  CHECK_THROWS_WITH_AS(
      to.load(file.path),
      doctest::Contains("2 missing from the file (c.weight, c.bias); 2 unknown to the model (b.bias, b.weight)"),
      Error);
  CHECK(a.weight.host() == before);
  const LoadReport report = to.load(file.path, {.strict = false});
  CHECK(report.matched.size() == 2);
  CHECK(a.weight.host() == from.find("a.weight").host());

  Params wide(Device::cpu(), 1);
  Linear(wide.root().sub("a"), 4, 2);
  Linear(wide.root().sub("b"), 3, 2);
  CHECK_THROWS_WITH_AS(wide.load(file.path), doctest::Contains("'a.weight' is [2,3], the model needs [2,4]"), Error);
  CHECK_THROWS_WITH_AS(wide.load("no/such/file.safetensors"), doctest::Contains("cannot open"), Error);

  Params wrapped(Device::cpu(), 4), plain(Device::cpu(), 5);
  Linear(wrapped.root().sub("module.net.a"), 3, 2);
  const Linear bare(plain.root().sub("a"), 3, 2);
  wrapped.save(file.path);
  CHECK(plain.load(file.path).matched.size() == 2);
  CHECK(bare.weight.host() == wrapped.find("module.net.a.weight").host());
}

TEST_CASE("hostile safetensors headers are refused") {
  const auto refuse = [](const std::string& json, uint64_t size, const std::string& why) {
    CAPTURE(json);
    CHECK_THROWS_WITH_AS(parse_safetensors_header(json, size, "f"), doctest::Contains(why.c_str()), Error);
  };
  const auto entry = [](const std::string& name, const std::string& shape, const std::string& offsets,
                        const std::string& dtype = "F32") {
    return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
  };
  CHECK(parse_safetensors_header("{" + entry("a", "[2]", "[0,8]") + "," + entry("b", "[]", "[8,12]") + "}", 12, "f")
            .entries.size() == 2);
  refuse("", 0, "no JSON header");
  refuse("{" + entry("a", "[2]", "[0,8]"), 8, "not valid JSON");
  refuse("{" + entry("a", "[2]", "[0,8]") + "," + entry("a", "[2]", "[8,16]") + "}", 16, "occurs twice");
  refuse("{" + entry("a", "[2]", "[0,8]") + "," + entry("b", "[2]", "[4,12]") + "}", 12, "overlap");
  refuse("{" + entry("a", "[2]", "[0,8]") + "," + entry("b", "[2]", "[12,20]") + "}", 20, "hole");
  refuse("{" + entry("a", "[2]", "[0,8]") + "}", 12, "belong to nothing");
  refuse("{" + entry("a", "[2]", "[0,8]") + "}", 4, "outside the file");
  refuse("{" + entry("a", "[2]", "[8,0]") + "}", 8, "outside the file");
  refuse("{" + entry("a", "[3]", "[0,8]") + "}", 8, "needs 12 bytes");
  refuse("{" + entry("a", "[4294967296,4294967296,4]", "[0,8]") + "}", 8, "too large");
  refuse("{" + entry("a", "[-1]", "[0,8]") + "}", 8, "non-negative");
  refuse("{" + entry("a", "[2.5]", "[0,8]") + "}", 8, "non-negative");
  refuse("{" + entry("a", "[2]", "[0,8]", "F8_E4M3") + "}", 8, "not supported");
  refuse("{\"a\":{\"dtype\":\"F32\"}}", 8, "exactly");
  refuse("{\"__metadata__\":{\"k\":1}}", 0, "must be a string");
  refuse("{\"a\":{\"b\":{\"c\":{\"d\":{}}}}}", 0, "nested");
  refuse("{\"a\":" + std::string(100000, '['), 0, "nested");

  const TempFile file("bad.safetensors");
  const auto write = [&](const std::string& bytes) { std::ofstream(file.path, std::ios::binary) << bytes; };
  write("PK\3\4");
  CHECK_THROWS_WITH_AS(SafetensorsReader(file.path), doctest::Contains("safetensors.torch"), Error);
  write(std::string(8, '\xff') + "{}");
  CHECK_THROWS_AS(SafetensorsReader(file.path), Error);
  write(std::string("\2\0\0\0\0\0\0\0{}", 10));
  CHECK(SafetensorsReader(file.path).entries().empty());
}

TEST_CASE("damaged headers are parsed or refused, never worse") {
  const std::string json =
      R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"I64","shape":[],"data_offsets":[24,32]}})";
  Rng rng(1);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string damaged = json;
    for (int64_t n = 1 + rng.below(3); n > 0; --n) {
      damaged[static_cast<size_t>(rng.below(static_cast<int64_t>(damaged.size())))] = static_cast<char>(rng.below(256));
    }
    try {
      parse_safetensors_header(damaged, 32, "f");
    } catch (const Error& e) {
      refused += e.kind() == ErrorKind::bad_input;
    }
  }
  CHECK(refused > 2000);
}

TEST_CASE("tensors of every element type survive a file") {
  const TempFile file("types.safetensors");
  Tensors out;
  for (const DType d : {DType::f32, DType::bf16, DType::f64, DType::i32, DType::i64, DType::u8}) {
    out.push_back(Tensor::full({2, 3}, 5, d).named(dtype_name(d)));
  }
  out.push_back(Tensor::full({}, 3).named("scalar"));
  out.push_back(Tensor::zeros({0, 4}).named("nothing"));
  write_tensors(file.path, out, {{"note", "a \"quoted\" note"}});
  const TensorFile in = read_tensors(file.path);
  CHECK(in.metadata.at("note") == "a \"quoted\" note");
  CHECK(in.tensors.size() == out.size());
  for (const Tensor& t : out) {
    CAPTURE(t);
    CHECK(in.at(t.name()).shape() == t.shape());
    CHECK(in.at(t.name()).dtype() == t.dtype());
    CHECK(in.at(t.name()).host() == t.host());
  }
  CHECK_THROWS_WITH_AS(in.at("f16"), doctest::Contains("no tensor 'f16'"), Error);
}

TEST_SUITE_END();
