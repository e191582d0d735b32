// Parts of batch selectors against other implementations: tests/golden/make_selection_fixtures.py says which.
#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "al/selection/family.h"
#include "layers/tensor_file.h"
#include "models/loss_prediction.h"
#include "tensor/tape.h"

TEST_SUITE_BEGIN("selection_golden_test");
using namespace querent;
using namespace querent::al;

namespace {

const TensorFile& fixture() {
  static const TensorFile file = read_tensors(std::string(QUERENT_SOURCE_DIR) + "/tests/golden/selection.safetensors");
  return file;
}
std::vector<double> doubles(const std::string& name) { return fixture().at(name).host_f64(); }
Points points(const std::string& name) {
  const Tensor& t = fixture().at(name);
  return {t.dim(0), t.dim(1), t.host_f64()};
}
void check_equal(const std::vector<double>& got, const std::string& name) {
  const std::vector<double> want = doubles(name);
  CAPTURE(name);
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < want.size(); ++i) CHECK(std::abs(got[i] - want[i]) <= 1e-6 * std::max(1.0, std::abs(want[i])));
}

}  // namespace

TEST_CASE("suggestive annotation: the cover and its gains equal apricot's facility location") {
  const Points features = points("cover/features");
  std::vector<size_t> all(static_cast<size_t>(features.n));
  std::iota(all.begin(), all.end(), size_t{0});
  std::vector<double> picks, gains;
  for (const Representative& r : maximum_cover(features, all, 8))
    picks.push_back(static_cast<double>(r.index)), gains.push_back(r.gain);
  check_equal(picks, "cover/picks");
  check_equal(gains, "cover/gains");
}

TEST_CASE("adaptive: variances given the rest equal scikit-learn's Gaussian process") {
  const Points x = points("process/points");
  const std::vector<double> inverse = inverse_of(gaussian_kernel(x, 2.5), x.n);
  std::vector<double> variance;  // the process has no noise at the image that it is asked about
  for (int64_t i = 0; i < x.n; ++i) variance.push_back(1 / inverse[static_cast<size_t>(i * x.n + i)] - 1e-6);
  check_equal(variance, "process/variance");
}

TEST_CASE("adaptive: probabilities of the logistic regression equal scikit-learn's") {
  const Points x = points("logistic/features"), asked = points("logistic/asked");
  std::vector<double> targets;
  for (const double y : doubles("logistic/labels"))
    for (int c = 0; c < 3; ++c) targets.push_back(c == static_cast<int>(y));
  LogisticRegression regression{3, {}};
  regression.fit(x, targets);
  std::vector<double> p;
  for (int64_t i = 0; i < asked.n; ++i)
    for (const double v : regression.probabilities(asked.row(i))) p.push_back(v);
  check_equal(p, "logistic/probabilities");
}

TEST_CASE("learning loss: the ranking loss and its gradients equal torch.nn.MarginRankingLoss") {
  const Tensor first = fixture().at("ranking/first"), second = fixture().at("ranking/second");
  Tape tape;
  tape.watch(first), tape.watch(second);
  const Tensor loss = ranking_loss(first, second, fixture().at("ranking/order"), 0.75);
  const Tensors wanted{first, second}, grad = tape.backward(loss, {}, wanted);
  check_equal(loss.host_f64(), "ranking/loss");
  std::vector<double> both = grad[0].host_f64();
  for (const double v : grad[1].host_f64()) both.push_back(v);
  check_equal(both, "ranking/grad");
}
TEST_SUITE_END();
