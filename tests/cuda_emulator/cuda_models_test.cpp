// Whole networks on the emulated GPU: cuDNN's stand-in, cuBLAS's, our kernels, captured and not. What cuda_test does on a
// real one, with fewer runs of the same.
#include "tests/cuda_gradients.h"
#include "tests/cuda_networks.h"

#include "tests/cuda_emulator/cuda_runtime.h"

TEST_SUITE_BEGIN("cuda_models_test");
using namespace querent;
using namespace querent::test;
using cuda_emulator::Order;

namespace {
// Each run has its threads and blocks in another order.
void in_another_order(int run) {
  constexpr Order orders[] = {Order::forward, Order::backward, Order::shuffled};
  cuda_emulator::set_order(orders[run % 3]);
}
}  // namespace

TEST_CASE("three training steps of a U-Net: eager, captured, and as on the CPU") { check_training(Device::cuda()); }

TEST_CASE("images and labels may lie anywhere") { check_places(Device::cuda()); }

TEST_CASE("runs of a training, and of rows in bf16, have the same bits in any order of threads") {
  check_training_repeats(Device::cuda(), 3, in_another_order);
  check_repeats(Device::cuda(), DType::bf16, 2, in_another_order);
  cuda_emulator::set_order(Order::forward);
}

TEST_CASE("gradients by the tape agree with the f64 reference") {
  for (const DType dtype : {DType::f32, DType::bf16}) check_gradients(Device::cuda(), dtype);
}

TEST_CASE("each kernel once, for tools that slow it down") { check_selection(Device::cuda()); }

TEST_CASE("the golden fixtures of all networks equal PyTorch") { check_golden(Device::cuda(), 1); }

TEST_CASE("active learning asks for the same images as on the CPU") {
  check_active_learning(Device::cuda(), {"random", "bald", "coreset"}, {"random", "kendall_gal"});
}
TEST_SUITE_END();
