// What the stand-in of cuDNN computes: by the reference loops, in the stream's order.
#include <array>
#include <bit>
#include <cmath>
#include <span>

#include "tensor/op.h"
#include "tensor/op_attrs.h"
#include "tensor/run.h"
#include "tests/cuda_emulator/cudnn_objects.h"

using namespace querent;
using namespace cuda_emulator;
namespace querent {
extern const Op conv2d_op, conv2d_grad_input_op, conv2d_grad_weight_op, batch_norm_train_op, batch_norm_relu_op,
    batch_norm_grad_op;
}

namespace {

size_t norms = 0;

struct Operand {
  Shape shape;  // [N,H,W,C]
  std::byte* device = nullptr;
  Tensor host;
  Tensor channels() const { return host.reshaped({host.numel()}); }
};
float to_tf32(float x) { return std::bit_cast<float>((std::bit_cast<uint32_t>(x) + 0x1000u) & 0xffffe000u); }

struct Execution {
  const std::vector<int64_t> ids;
  const std::vector<std::byte*> pointers;
  int64_t index, workspace;  // of the engine
  std::byte* scratch;
  std::string error = {};

  void spoil_workspace() const {
    if (workspace > 0) cudaMemsetAsync(scratch, 0xee, static_cast<size_t>(workspace), nullptr);
  }
  void check_channels(std::initializer_list<const Operand*> operands, const Operand& x) {
    for (const Operand* o : operands) {
      if (!(o->shape == Shape{1, 1, 1, x.shape[3]}) || o->host.dtype() != DType::f32)
        error = "what belongs to channels is f32 [1,C,1,1]";
    }
  }

  Operand operand(const Descriptor& tensor) {
    const auto nchw = list<int64_t>(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS),
               strides = list<int64_t>(tensor, CUDNN_ATTR_TENSOR_STRIDES);
    const Shape s{nchw[0], nchw[2], nchw[3], nchw[1]};
    if (strides != std::vector<int64_t>{s[1] * s[2] * s[3], 1, s[2] * s[3], s[3]}) error = "strides are not NHWC";
    const int type = one<int>(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE);
    if (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_BFLOAT16 && type != CUDNN_DATA_BOOLEAN)
      error = "only f32, bf16 and bits are emulated";
    Operand o{s, nullptr,
              type == CUDNN_DATA_BOOLEAN ? Tensor::empty({(s.numel() + 7) / 8}, DType::u8)
                                         : Tensor::empty(s, type == CUDNN_DATA_FLOAT ? DType::f32 : DType::bf16)};
    if (one<bool>(tensor, CUDNN_ATTR_TENSOR_IS_VIRTUAL)) return o;
    const auto at = std::find(ids.begin(), ids.end(), one<int64_t>(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID));
    if (at == ids.end()) {
      error = "the variant pack lacks a tensor of the graph";
      return o;
    }
    o.device = pointers[static_cast<size_t>(at - ids.begin())];
    const auto alignment = static_cast<uintptr_t>(one<int64_t>(tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT));
    if (reinterpret_cast<uintptr_t>(o.device) % alignment != 0)
      error = "a pointer is less aligned than its tensor says";
    if (!one<bool>(tensor, CUDNN_ATTR_TENSOR_IS_BY_VALUE)) return o;
    std::memcpy(o.host.raw(), o.device, o.host.bytes());  // now, from the host
    o.device = nullptr;
    return o;
  }
};

// What an engine does besides what it is asked for.
void disturb(int64_t index, Operand& result) {
  if (index == computes_else) {
    for (int64_t i = 0; i < result.host.numel(); ++i) {
      if (result.host.dtype() == DType::f32)
        result.host.data<float>()[i] += 0.25f;
      else
        result.host.data<bf16>()[i] = bf16(static_cast<float>(result.host.data<bf16>()[i]) + 0.25f);
    }
  }
  if (index == admits_disorder || index == hides_disorder) {
    static bool up = false;
    up = !up;
    auto& first = *static_cast<uint8_t*>(result.host.raw());  // the last bits of the first element
    if (up) ++first;
  }
}
void fetch(std::initializer_list<Operand*> operands) {
  for (const Operand* o : operands) {
    if (o->device) cudaMemcpyAsync(o->host.raw(), o->device, o->host.bytes(), cudaMemcpyDeviceToHost, nullptr);
  }
}
void give_back(const Operand& o) {
  cudaMemcpyAsync(o.device, o.host.raw(), o.host.bytes(), cudaMemcpyHostToDevice, nullptr);
}
void reference(const Op& row, const Tensors& in, const Tensors& out, const Attrs& attrs) {
  compute(row, KernelKind::ref, {in, out, attrs});
}

cudnnStatus_t convolution(Execution& e, const std::vector<Descriptor*>& ops) {
  const Descriptor& op = *ops[0];
  // The attributes of the three directions lie at equal distances.
  const bool forward = op.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
             data = op.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
  const Name x_name = forward ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X
                      : data  ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX
                              : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
             w_name = forward ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W
                      : data  ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W
                              : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
             y_name = forward ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y
                      : data  ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY
                              : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
             alpha = forward ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA
                     : data  ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA
                             : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA;
  const auto beta = static_cast<Name>(alpha + 1), conv_name = static_cast<Name>(alpha + 2);
  if (one<double>(op, alpha) != 1 || one<double>(op, beta) != 0) e.error = "alpha is not 1 or beta not 0";
  Operand x = e.operand(child(op, x_name)), w = e.operand(child(op, w_name)), y = e.operand(child(op, y_name)), bias;
  if (ops.size() > 1) {
    const Descriptor& add = *ops[1];
    if (&child(add, CUDNN_ATTR_OPERATION_POINTWISE_XDESC) != &child(op, y_name))
      e.error = "the bias is not added to the result of the convolution";
    bias = e.operand(child(add, CUDNN_ATTR_OPERATION_POINTWISE_BDESC));
    y = e.operand(child(add, CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
  }
  const Descriptor& conv = child(op, conv_name);
  const auto pair = [&](Name name) {
    const auto v = list<int64_t>(conv, name);
    return Pair(v[0], v[1]);
  };
  const Conv2dAttrs a{pair(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), pair(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS),
                      pair(CUDNN_ATTR_CONVOLUTION_DILATIONS), x.shape[3] / w.shape[3]};
  if (!(pair(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS) == a.padding)) e.error = "only equal paddings are emulated";
  if (one<int>(conv, CUDNN_ATTR_CONVOLUTION_CONV_MODE) != CUDNN_CROSS_CORRELATION)
    e.error = "the filter is turned round";
  if (!e.error.empty()) return refuse(e.error);
  give([=]() mutable {
    fetch({&x, &w, &y, &bias});
    Operand& result = forward ? y : data ? x : w;
    e.spoil_workspace();
    if (e.index == on_tensor_cores) {
      for (Operand* o : {&x, &w, &y}) {
        if (o == &result || o->host.dtype() != DType::f32) continue;
        float* v = o->host.data<float>();
        std::transform(v, v + o->host.numel(), v, to_tf32);
      }
    }
    const Tensor b = bias.device ? bias.host.reshaped({bias.host.numel()}) : Tensor{};
    if (forward)
      reference(conv2d_op, {x.host, w.host, b}, {y.host}, a);
    else if (data)
      reference(conv2d_grad_input_op, {y.host, w.host}, {x.host}, Conv2dGradInputAttrs{a, {x.shape[1], x.shape[2]}});
    else
      reference(conv2d_grad_weight_op, {x.host, y.host}, {w.host}, Conv2dGradWeightAttrs{a, {w.shape[1], w.shape[2]}});
    disturb(e.index, result);
    give_back(result);
  });
  return CUDNN_STATUS_SUCCESS;
}

// Forward y = norm(x), relu(norm(x)), relu(norm(x) + z); what lies between is f32.
cudnnStatus_t norm_forward(Execution& e, const std::vector<Descriptor*>& ops) {
  const Descriptor& op = *ops[0];
  Operand x = e.operand(child(op, CUDNN_ATTR_OPERATION_NORM_FWD_XDESC)),
          mean = e.operand(child(op, CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC)),
          inv_std = e.operand(child(op, CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC)),
          gamma = e.operand(child(op, CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC)),
          beta = e.operand(child(op, CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC)),
          eps = e.operand(child(op, CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC)), z;
  const Descriptor* last = &child(op, CUDNN_ATTR_OPERATION_NORM_FWD_YDESC);
  for (size_t i = 1; i < ops.size(); ++i) {
    if (&child(*ops[i], CUDNN_ATTR_OPERATION_POINTWISE_XDESC) != last ||
        !one<bool>(*last, CUDNN_ATTR_TENSOR_IS_VIRTUAL))
      e.error = "what follows a norm does not take its result inside the graph";
    if (ops.size() == 3 && i == 1) z = e.operand(child(*ops[i], CUDNN_ATTR_OPERATION_POINTWISE_BDESC));
    last = &child(*ops[i], CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
  }
  Operand y = e.operand(*last);
  if (one<int>(op, CUDNN_ATTR_OPERATION_NORM_FWD_MODE) != CUDNN_BATCH_NORM ||
      one<int>(op, CUDNN_ATTR_OPERATION_NORM_FWD_PHASE) != CUDNN_NORM_FWD_TRAINING)
    e.error = "only batch norms in training are emulated";
  if (eps.device) e.error = "eps is no value";
  if (!(y.shape == x.shape) || (z.device && !(z.shape == x.shape))) e.error = "shapes differ";
  e.check_channels({&mean, &inv_std, &gamma, &beta}, x);
  if (!e.error.empty()) return refuse(e.error);
  const bool followed = ops.size() > 1;
  give([=]() mutable {
    fetch({&x, &gamma, &beta, &z});
    e.spoil_workspace();
    const double epsilon = eps.host.data<float>()[0];
    const Tensors in{x.host, gamma.channels(), beta.channels(), z.device ? z.host : Tensor{}},
        out{y.host, mean.channels(), inv_std.channels()};
    reference(followed ? batch_norm_relu_op : batch_norm_train_op, in, out, NormAttrs{epsilon});
    for (float& v : std::span(inv_std.host.data<float>(), static_cast<size_t>(inv_std.host.numel())))
      v = static_cast<float>(1 / std::sqrt(static_cast<double>(v) + epsilon));
    disturb(e.index, y);
    for (const Operand* o : {&y, &mean, &inv_std}) give_back(*o);
  });
  return CUDNN_STATUS_SUCCESS;
}

// Backward, where dy may be multiplied by bits before.
cudnnStatus_t norm_backward(Execution& e, const std::vector<Descriptor*>& ops) {
  const Descriptor &op = *ops.back(), &dy_of_norm = child(op, CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC);
  Operand x = e.operand(child(op, CUDNN_ATTR_OPERATION_NORM_BWD_XDESC)),
          mean = e.operand(child(op, CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC)),
          inv_std = e.operand(child(op, CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC)),
          gamma = e.operand(child(op, CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC)),
          dgamma = e.operand(child(op, CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC)),
          dbeta = e.operand(child(op, CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC)),
          dx = e.operand(child(op, CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC)), dy, mask;
  if (ops.size() == 1) {
    dy = e.operand(dy_of_norm);
  } else {
    dy = e.operand(child(*ops[0], CUDNN_ATTR_OPERATION_POINTWISE_XDESC));
    mask = e.operand(child(*ops[0], CUDNN_ATTR_OPERATION_POINTWISE_BDESC));
    if (&child(*ops[0], CUDNN_ATTR_OPERATION_POINTWISE_YDESC) != &dy_of_norm) e.error = "the norm takes another dy";
    if (mask.host.dtype() != DType::u8 || !(mask.shape == x.shape))
      e.error = "the mask is not of bits, one for each dy";
  }
  if (one<int>(op, CUDNN_ATTR_OPERATION_NORM_BWD_MODE) != CUDNN_BATCH_NORM) e.error = "only batch norms are emulated";
  if (!(dy.shape == x.shape) || !(dx.shape == x.shape)) e.error = "shapes differ";
  e.check_channels({&mean, &inv_std, &gamma, &dgamma, &dbeta}, x);
  if (!e.error.empty()) return refuse(e.error);
  give([=]() mutable {
    fetch({&x, &mean, &inv_std, &gamma, &dy, &mask});
    e.spoil_workspace();
    Tensor y;  // positive where the bit is set
    if (mask.device) {
      y = Tensor::zeros(x.shape, x.host.dtype());
      for (int64_t i = 0; i < y.numel(); ++i) {
        const bool passes = mask.host.data<uint8_t>()[i / 8] >> (i % 8) & 1;
        if (y.dtype() == DType::f32)
          y.data<float>()[i] = passes;
        else
          y.data<bf16>()[i] = bf16(passes ? 1.0f : 0.0f);
      }
    }
    const NormAttrs attrs;
    const Tensor var = Tensor::empty({inv_std.host.numel()});
    for (int64_t k = 0; k < var.numel(); ++k) {
      const double inverse = inv_std.host.data<float>()[k];
      var.data<float>()[k] = static_cast<float>(1 / (inverse * inverse) - attrs.eps);
    }
    reference(batch_norm_grad_op, {x.host, gamma.channels(), dy.host, mean.channels(), var, y},
              {dx.host, dgamma.channels(), dbeta.channels()}, attrs);
    disturb(e.index, dx);
    for (const Operand* o : {&dx, &dgamma, &dbeta}) give_back(*o);
  });
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

size_t cuda_emulator::norms_computed() { return norms; }

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack_) {
  const auto& pack = *static_cast<Descriptor*>(pack_);
  const Descriptor& config = child(*static_cast<Descriptor*>(plan), CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  const Descriptor& engine = child(config, CUDNN_ATTR_ENGINECFG_ENGINE);
  const auto ops = list<Descriptor*>(child(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH), CUDNN_ATTR_OPERATIONGRAPH_OPS);
  for (const Descriptor* op : ops) {
    if (!living.contains(const_cast<Descriptor*>(op))) return refuse("the graph of the plan was destroyed");
  }
  Execution e{list<int64_t>(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS),
              list<std::byte*>(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS), kind_of(engine).index,
              kind_of(engine).workspace, one<std::byte*>(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE)};
  if (e.workspace > 0 && !e.scratch) e.error = "no workspace";
  const bool is_norm = ops[0]->type == CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR,
             is_gradient = ops.back()->type == CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR;
  norms += is_norm || is_gradient;
  return is_norm ? norm_forward(e, ops) : is_gradient ? norm_backward(e, ops) : convolution(e, ops);
}
