// cast, assign and reshape.
#include "cuda/kernel.cuh"
#include "tensor/kernels.h"
#include "tensor/visit.h"

namespace querent::cuda {

namespace {
// In the order of the stream, by the copy engine.
void copy(std::string_view op, const Call& c, const Tensor& to, const Tensor& from) {
  if (to.bytes() == 0) return;
  cuda_check(cudaMemcpyAsync(to.raw(), from.raw(), to.bytes(), cudaMemcpyDeviceToDevice, stream(device_of(c))),
             "cudaMemcpyAsync", op, c.in);
}
}  // namespace
void assign(const Call& c) { copy("assign", c, c.in[0], c.in[1]); }
void reshape(const Call& c) { copy("reshape", c, c.out[0], c.in[0]); }

// Each reads x and writes y: one thread for each element, or packs between f32 and bf16, which is how weights and
// gradients go in mixed precision.
template <class To, class From>
void cast_elements(const Call& c) {
  const From* x = c.in[0].data<From>();
  To* y = c.out[0].data<To>();
  for_each("cast", c, c.out[0].numel(), [=] __device__(int64_t i) { y[i] = element_cast<To>(x[i]); });
}
template <class To, class From>
void cast_packs(const Call& c) {
  const From* x = c.in[0].data<From>();
  elementwise(
      "cast", c, c.out[0].numel(), [=] __device__(int64_t, float& to, float from) { to = from; },
      Out<To>{c.out[0].data<To>()}, x);
}
template <class T>
constexpr bool in_packs = std::is_same_v<T, float> || std::is_same_v<T, bf16>;
void cast(const Call& c) {
  visit_dtype(c.in[0].dtype(), [&]<class From>() {
    visit_dtype(c.out[0].dtype(), [&]<class To>() {
      if constexpr (in_packs<To> && in_packs<From>)
        cast_packs<To, From>(c);
      else
        cast_elements<To, From>(c);
    });
  });
}

}  // namespace querent::cuda
