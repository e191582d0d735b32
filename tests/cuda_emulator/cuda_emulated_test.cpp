// cuda/*.cu and cuda/runtime.cpp, compiled for the host against the emulator: what a GPU would run.
#include "tests/cuda_checks.h"

#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "cuda/runtime.h"
#include "tensor/backend.h"
#include "tensor/transfer.h"
#include "tests/cuda_emulator/cuda_runtime.h"
#include "tests/cuda_program.h"

TEST_SUITE_BEGIN("cuda_emulated_test");
using namespace querent;
using namespace querent::test;
using cuda_emulator::Order;

TEST_CASE("every kernel agrees with the f64 reference, and no bit depends on the order of threads or blocks") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    std::map<std::pair<const Op*, std::string>, Tensors> first;
    for (const Order order : {Order::forward, Order::backward, Order::shuffled}) {
      if (dtype == DType::bf16 && order == Order::shuffled) continue;  // the sums are those of f32
      cuda_emulator::set_order(order);
      const DeviceChecks done = check_kernels(
          Device::cuda(), dtype, order == Order::forward, [&](const Op& op, const Case& c, const Tensors& results) {
            const auto [it, is_new] = first.try_emplace({&op, c.name}, results);
            CHECK_MESSAGE((is_new || same_bytes(it->second, results)), op.name, " / ", c.name, " depends on the order");
          });
      if (order != Order::forward) continue;
      MESSAGE(done.kernels.size(), " kernels in ", std::string(dtype_name(dtype)), ", largest error ", done.worst,
              " of its bound");
    }
  }
  cuda_emulator::set_order(Order::forward);
}

TEST_CASE("losses and optimizers take no bf16") {
  for (const Op* op : op_table()) {
    if (!op->kernel.cuda || takes_bf16(*op, Device::Kind::cuda)) continue;
    CHECK_THROWS_AS_MESSAGE(run_on(Device::cuda(), *op, op->cases()[0], false, DType::bf16), Error, op->name);
  }
}

TEST_CASE("every row has a kernel but those that rules put in for the CPU") {
  const std::set<std::string_view> of_the_cpu = {"conv2d_epilogue", "winograd_filters", "matmul_update"};
  for (const Op* op : op_table()) {
    const bool there = op->kernel.cuda != nullptr;
    CHECK_MESSAGE(there == !of_the_cpu.contains(op->name), op->name);
  }
}

TEST_CASE("bad cases throw what they promise") { check_bad_cases(Device::cuda()); }

TEST_CASE("labels out of range are reported once") {
  const int64_t labels[] = {0, 7, 1};
  const Tensor logits = Tensor::zeros({3, 2}).to(Device::cuda());
  const Tensor loss = cross_entropy(logits, Tensor::from(std::span<const int64_t>(labels), {3}).to(Device::cuda()));
  CHECK_THROWS_WITH_AS(loss.item(), "cross_entropy: label 7 at position 1 is not in 0..1, nor -1 for 'ignored'", Error);
  CHECK(loss.item() == doctest::Approx(std::log(2.0)));
}

TEST_CASE("dropout masks are those of the CPU") { check_dropout(Device::cuda()); }

TEST_CASE("a captured step has the bits of the eager one") { check_program(Device::cuda()); }

TEST_CASE("a captured step: fused norms, sums and ReLUs have the bits of the ops one by one") {
  check_fused_norms(Device::cuda());
}

TEST_CASE("a replay waits for nothing but the loss") {
  const Tensor x = Tensor::full({3, 5}, 2.0).to(Device::cuda()), other = Tensor::full({3, 5}, 3.0);
  Program p = Program::capture([](Inputs in) { return Tensors{sum(square(in[0]))}; }, {x});
  const int64_t before = cuda::synchronisations();
  for (int i = 0; i < 10; ++i) p({other});
  CHECK(cuda::synchronisations() == before);
  CHECK(p.results()[0].item() == 15 * 9);
  CHECK(cuda::synchronisations() == before + 1);
}

TEST_CASE("what a recording writes to while it runs belongs to no tensor, as long as it lives") {
  const Device gpu = Device::cuda();
  release_free_memory();
  std::optional<Program> p = Program::capture([](Inputs in) { return Tensors{sum(square(in[0]))}; },
                                              {Tensor::full({3, 5}, 2.0).to(gpu)});
  Tensors kept;  // of the size of what a sum keeps its pieces in
  for (int i = 0; i < 20; ++i) kept.push_back(Tensor::full({3}, i, DType::f32, gpu));
  (*p)({Tensor::full({3, 5}, 3.0)});
  for (int i = 0; i < 20; ++i) CHECK(kept[static_cast<size_t>(i)].host() == std::vector<float>(3, static_cast<float>(i)));
  // Another recording shares it; the pool gets it back with the last of them.
  const size_t held = memory_stats(gpu).held;
  {
    const Program q = Program::capture([](Inputs in) { return Tensors{sum(square(in[0]))}; }, {kept[7]});
    CHECK(q.results()[0].item() == 3 * 49);
    CHECK((*p)({Tensor::full({3, 5}, 3.0)})[0].item() == 15 * 9);
    CHECK(memory_stats(gpu).held <= held + 1024);  // its input and its arena
  }
  p.reset();
  kept.clear();
  release_free_memory();
  CHECK(memory_stats(gpu).held < held);
}

TEST_CASE("tensors on their way: sent by another thread, also while work is recorded, and received in any order") {
  const auto filled = [](double value) { return Tensor::full({1000}, value); };
  const Device gpu = Device::cuda();
  const Transfer kept(filled(1), gpu);
  std::vector<Transfer> sent(3);
  backend(gpu).record(
      [&] {
        std::thread([&] {
          for (size_t i = 0; i < 3; ++i) sent[i] = Transfer(filled(2.0 + static_cast<double>(i)), gpu);
        }).join();
      },
      gpu.index);
  for (const size_t i : {2, 0, 1}) CHECK(sent[i].receive().host() == filled(2.0 + static_cast<double>(i)).host());
  // Memory on the way serves the next ones, the tensor of one that was dropped included.
  sent.clear();
  for (int i = 0; i < 5; ++i) {
    const Transfer dropped(filled(50), gpu), next(filled(10 + i), gpu);
    const Tensor x = next.receive();
    CHECK(x.device() == gpu);
    CHECK(x.host() == filled(10 + i).host());
  }
  CHECK(kept.receive().host() == filled(1).host());

  const Tensor here = filled(3), there = here.to(gpu);
  CHECK(Transfer(here, Device::cpu()).receive().raw() == here.raw());
  CHECK(Transfer(there, gpu).receive().raw() == there.raw());
  CHECK(Transfer(there, Device::cpu()).receive().host() == here.host());
  CHECK(Transfer(Tensor::zeros({0, 3}), gpu).receive().shape() == Shape{0, 3});
  CHECK_FALSE(Transfer({}, gpu).receive());
  CHECK_FALSE(Transfer().receive());
}

TEST_CASE("copies of every kind keep the bytes") {
  std::vector<float> values(3'000'001);  // three pieces of staging
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 1000003);
  const Tensor x = Tensor::from(std::span<const float>(values), {3'000'001}).named("x");
  const Tensor there = x.to(Device::cuda(0));
  CHECK(there.name() == "x");
  CHECK(there.device() == Device::cuda(0));
  CHECK(there.host() == values);
  CHECK(there.clone().host() == values);
  CHECK(there.batch(5, 3).host() == std::vector<float>{5, 6, 7});
  CHECK(there.to(Device::cuda(0)).raw() == there.raw());
  CHECK(Tensor::full({3}, 2.5, DType::bf16, Device::cuda()).host() == std::vector<float>{2.5, 2.5, 2.5});
  CHECK(Tensor::zeros({2}, DType::f32, Device::cuda()).host() == std::vector<float>{0, 0});
  REQUIRE(devices().size() == 3);
  const Tensor second = there.to(Device::cuda(1));
  CHECK(second.device() == Device::cuda(1));
  CHECK(scale(second, 2).batch(5, 2).host() == std::vector<float>{10, 12});
  CHECK(there.batch(5, 1).item() == 5);
  CHECK_THROWS_WITH_AS(add(second, there), doctest::Contains("'x' f32[3000001] on cuda:0; move one with to()"), Error);
}

TEST_CASE("what a device lacks is an error that says so") {
  const Tensor x = Tensor::zeros({3, 5}).to(Device::cuda());
  CHECK_THROWS_WITH_AS(matmul(x, x), doctest::Contains("matmul: "), Error);
  {
    const ReferenceKernels only;
    CHECK_THROWS_WITH_AS(add(x, x), "add: has no reference kernel for cuda:0; move the inputs to the CPU with to()",
                         Error);
  }
  CHECK_THROWS_WITH_AS(add(x, Tensor::zeros({3, 5})),
                       "add: inputs lie on different devices: f32[3,5] on cuda:0, f32[3,5] on cpu; move one with to()",
                       Error);
  CHECK_THROWS_WITH_AS(Tensor::zeros({1}, DType::f32, Device::cuda(7)), doctest::Contains("cuda:7 does not exist"),
                       Error);
  CHECK_THROWS_WITH_AS(parse_device("gpu"), "device: 'gpu' is not a device; valid: cpu, cuda, cuda:N, auto", Error);
  CHECK_THROWS_WITH_AS(parse_device("cuda:x"), doctest::Contains("'cuda:x' is not a device"), Error);
  CHECK(parse_device("cuda:0") == Device::cuda(0));
  CHECK(parse_device("cpu") == Device::cpu());
  const ReferenceKernels reference;
  CHECK_THROWS_WITH_AS(relu(x), doctest::Contains("relu: has no reference kernel for cuda:0"), Error);
}

TEST_CASE("memory is counted, used again and, when it runs out, told") {
  const Device gpu = Device::cuda();
  release_free_memory();
  const MemoryStats before = memory_stats(gpu);
  const void* place = nullptr;
  {
    const Tensor x = Tensor::empty({1'000'000}, DType::f32, gpu);
    place = x.raw();
    CHECK(memory_stats(gpu).live == before.live + 4'000'000);
    CHECK(memory_stats(gpu).held > before.held);
  }
  CHECK(memory_stats(gpu).live == before.live);
  CHECK(Tensor::empty({1'000'000}, DType::f32, gpu).raw() == place);
  const DeviceMemory now = backend(gpu).memory(gpu.index);  // what transfers keep for themselves counts as well
  const size_t limit = cuda_emulator::memory_limit(now.total - now.free + (size_t{8} << 20));
  // Fits only when the pool's unused block goes back first.
  CHECK(Tensor::empty({2'900'000}, DType::f32, gpu).has_data());
  CHECK_THROWS_WITH_AS(Tensor::empty({9'000'000}, DType::f32, gpu),
                       doctest::Contains("memory: cuda:0 cannot give 36 MiB: "), Error);
  // So it is for what is sent.
  { const Tensor used = Tensor::empty({2'500'000}, DType::f32, gpu); }
  CHECK(Transfer(Tensor::zeros({750'001}), gpu).receive().has_data());
  cuda_emulator::memory_limit(limit);
}

TEST_CASE("what is not finite stays so in a variance, as in the reference") {
  for (const Device device : {Device::cpu(), Device::cuda()}) {
    for (const float bad : {NAN, INFINITY}) {
      const float values[] = {1, 2, bad, 4};
      const Tensor x = Tensor::from(std::span<const float>(values), {1, 4, 1, 1}).to(device),
                   one = Tensor::full({1}, 1.0).to(device);
      CHECK(std::isnan(batch_norm_train(x, one, one).var.item()));
      CHECK(std::isnan(instance_norm(x, {}, {}).var.item()));
    }
  }
}

TEST_CASE("more images than a grid has rows") {  // recorded and not run: only the launches are looked at
  const Tensor x = Tensor::zeros({65537, 1, 2, 1}, DType::f32, Device::cuda());
  backend(x.device()).record([&] {
    instance_norm(x, {}, {});
    normalized_mutual_information(x, x, {.bins = 2});
  }, x.device().index);
}

TEST_CASE("a launch that no GPU takes names the op and its tensors") {
  const Tensor x = Tensor::zeros({3, 5}).to(Device::cuda());
  const Tensors in{x};
  CHECK_THROWS_WITH_AS(cuda::cuda_check(cudaErrorInvalidValue, "cudaLaunchKernel", "relu", in),
                       doctest::Contains("cuda: relu: cudaLaunchKernel: invalid argument (1); on f32[3,5]"), Error);
  void (*const nothing)() = [] {};
  const Attrs none;
  CHECK_THROWS_AS(cuda::launch("relu", {in, in, none}, nothing, dim3(1, 65536), 32), Error);
  CHECK(cudaGetLastError() == cudaSuccess);  // no library finds it later and takes it for its own
}
TEST_SUITE_END();
