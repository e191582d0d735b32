// What follows a convolution on each value that it would store: y = relu((y - shift) factor + offset), in vectors of
// output channels. The bits are those of batch_norm_eval and relu on the stored value. Included once per SIMD target.
#if defined(QUERENT_TENSOR_CPU_EPILOGUE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERENT_TENSOR_CPU_EPILOGUE_INL_H
#undef QUERENT_TENSOR_CPU_EPILOGUE_INL_H
#else
#define QUERENT_TENSOR_CPU_EPILOGUE_INL_H
#endif

#include <hwy/highway.h>

#include "tensor/cpu/conv_job.h"

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {

struct Finish {  // for `left` channels from c on
  using D = hwy::HWY_NAMESPACE::ScalableTag<float>;
  using V = hwy::HWY_NAMESPACE::Vec<D>;
  V shift, factor, offset;
  bool norm, relu;
  Finish(const Epilogue& e, int64_t c, int64_t left) : norm(e.factor != nullptr), relu(e.relu) {
    namespace hn = hwy::HWY_NAMESPACE;
    const auto some = hn::FirstN(D(), static_cast<size_t>(left > 0 ? left : 0));
    const auto load = [&](const float* from)
                          HWY_ATTR { return norm ? hn::MaskedLoad(some, D(), from + c) : hn::Zero(D()); };
    shift = load(e.shift), factor = load(e.factor), offset = load(e.offset);
  }
  HWY_INLINE V operator()(V v) const {
    namespace hn = hwy::HWY_NAMESPACE;
    if (norm) v = hn::MulAdd(hn::Sub(v, shift), factor, offset);
    return relu ? hn::IfThenElse(hn::Lt(v, hn::Zero(D())), hn::Zero(D()), v) : v;
  }
};

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
