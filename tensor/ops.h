// The table of contents: every op a user may call, one declaration and one line each. Formulas, checks, gradients and
// reference kernels are in tensor/ops/<file>.cpp. Images are [N,H,W,C], filters [O,Kh,Kw,C/groups]; "*" is any axes.
#pragma once
#include <utility>
#include <vector>

#include "tensor/op_attrs.h"
#include "tensor/tensor.h"

namespace querent {

// ---- conv2d.cpp
// y [N,H',W',O] = b + sum_{u,v,c} w[o,u,v,c] x[n, i*s+u*d-p, j*s+v*d-p, c]
Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& b, const Conv2dAttrs& a = {});
Tensor conv2d_grad_input(const Tensor& dy, const Tensor& w, const Conv2dGradInputAttrs& a);    // dx [N,H,W,C]
Tensor conv2d_grad_weight(const Tensor& x, const Tensor& dy, const Conv2dGradWeightAttrs& a);  // dw [O,Kh,Kw,C/groups]
// ---- conv_transpose2d.cpp
// The adjoint of conv2d in x: x [N,H,W,C], w [C,Kh,Kw,O/groups], y [N,(H-1)s-2p+d(Kh-1)+1+op, ..., O]
Tensor conv_transpose2d(const Tensor& x, const Tensor& w, const Tensor& b, const ConvTranspose2dAttrs& a = {});
// ---- matmul.cpp
Tensor matmul(const Tensor& a, const Tensor& b, const MatmulAttrs& attrs = {});  // [M,K][K,N] -> [M,N]
Tensor matmul(const Tensor& a, const Tensor& b, const Tensor& bias, const MatmulAttrs& attrs = {});  // + bias [N]
// ---- pool2d.cpp
Tensor max_pool2d(const Tensor& x, const Pool2dAttrs& a);  // -inf outside x
Tensor avg_pool2d(const Tensor& x, const Pool2dAttrs& a);
Tensor adaptive_avg_pool2d(const Tensor& x, Pair size);  // bins floor(i*H/H') .. ceil((i+1)*H/H')
Tensor global_avg_pool(const Tensor& x);                 // [N,H,W,C] -> [N,C]
// ---- upsample.cpp
Tensor upsample_nearest(const Tensor& x, Pair factor);
Tensor upsample_bilinear(const Tensor& x, Pair size, bool align_corners = false);
// ---- pad.cpp
Tensor pad(const Tensor& x, const PadAttrs& a);    // constant border round any axes
Tensor crop(const Tensor& x, const CropAttrs& a);  // the block [start, start+size) of every axis
// ---- concat.cpp
Tensor concat(const Tensors& parts, int64_t axis = -1);
// ---- reshape.cpp
Tensor reshape(const Tensor& x, const Shape& shape);  // recorded; one -1 is not allowed: say the size
// ---- copy.cpp
Tensor cast(const Tensor& x, DType to);            // x itself where it is none or of that type
void assign(const Tensor& into, const Tensor& x);  // into = x, in place
// ---- batch_norm.cpp, running_stats.cpp, instance_norm.cpp.  x is [N,H,W,C] or [N,C]; gamma, beta [C]
struct NormResult {
  Tensor y, mean, var;  // var is the biased variance; [C] for batch norm, [N,C] for instance norm
};
NormResult batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta, const NormAttrs& a = {});
Tensor batch_norm_eval(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean, const Tensor& var,
                       const NormAttrs& a = {});
NormResult instance_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                         const NormAttrs& a = {});  // gamma, beta may be none
// running = (1-momentum)*running + momentum*batch, with the unbiased batch variance (count/(count-1)); in place;
// `batches` i64 [], when given, is counted up
void update_running_stats(const Tensor& running_mean, const Tensor& running_var, const Tensor& mean, const Tensor& var,
                          const RunningStatsAttrs& a, const Tensor& batches = {});
// ---- dropout.cpp
// y = x * keep / (1-p). streams i64 [N,2] = (key, counter) of each row of axis 0: bits depend on the row's stream, the
// site and the element alone, never on the batch.
Tensor dropout(const Tensor& x, const Tensor& streams, const DropoutAttrs& a);
// ---- pointwise.cpp
Tensor relu(const Tensor& x);
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
Tensor sigmoid(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor softplus(const Tensor& x);  // log(1 + e^x)
Tensor square(const Tensor& x);
Tensor sqrt(const Tensor& x);
// ---- arithmetic.cpp: shapes broadcast from the right, as in NumPy
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor scale(const Tensor& x, double factor, double shift = 0);  // factor*x + shift
Tensor bias_add(const Tensor& x, const Tensor& b);               // x [*,C] + b [C]
// ---- reduce.cpp
Tensor sum(const Tensor& x, const Shape& axes, bool keep_axes = false);  // over the listed axes; {} in axes = all
Tensor mean(const Tensor& x, const Shape& axes, bool keep_axes = false);
Tensor sum(const Tensor& x);   // all elements -> []
Tensor mean(const Tensor& x);  // all elements -> []
Tensor broadcast_to(const Tensor& x, const Shape& shape);
// ---- rank_mean.cpp
Tensor rank_mean(const Tensor& x);  // the mean over the ranks of a training (collective.h); x itself where there is one
void begin_rank_mean(const Tensor& x);  // in place; nobody may look at x before end_rank_mean(x), or of what holds x
void end_rank_mean(const Tensor& x);
// ---- softmax.cpp: over the last axis
Tensor softmax(const Tensor& x);
Tensor log_softmax(const Tensor& x);
// ---- cross_entropy.cpp, losses.cpp, soft_dice_loss.cpp: each returns a scalar []
Tensor cross_entropy(const Tensor& logits, const Tensor& labels,
                     const Tensor& class_weights = {});  // [R,C], i64 [R] (-1: ignored)
Tensor bce_with_logits(const Tensor& logits, const Tensor& target, const Tensor& weight = {});  // mean of weight*loss
Tensor soft_dice_loss(const Tensor& probability, const Tensor& target,
                      const DiceAttrs& a = {});  // [N,*,C]: mean over n, c
Tensor l1_loss(const Tensor& a, const Tensor& b);
Tensor mse_loss(const Tensor& a, const Tensor& b);
// ---- normalized_mutual_information.cpp: x, y [N,H,W,1] -> [], the mean over images of 2 I(X;Y)/(H(X)+H(Y)) in [0,1]
Tensor normalized_mutual_information(const Tensor& x, const Tensor& y, const NmiAttrs& a = {});
// ---- gaussian_nll.cpp, sampled_cross_entropy.cpp (Kendall and Gal, NeurIPS 2017)
Tensor gaussian_nll(const Tensor& mean, const Tensor& log_var,
                    const Tensor& target);  // eq. 5: mean(exp(-s)(y-m)^2/2 + s/2)
// eq. 12: -mean log (1/T) sum_t softmax(f + exp(s/2) eps_t)[label]. logits [N,*,C], log_var [N,*,C] or [N,*,1], labels
// i64 [N,*]; C = 1 means a binary problem with sigmoid. eps from streams i64 [N,2].
Tensor sampled_cross_entropy(const Tensor& logits, const Tensor& log_var, const Tensor& labels, const Tensor& streams,
                             const SampledLogitsAttrs& a);
// ---- optim.cpp: in place over flat arenas; step-varying scalars are tensors, so that a captured step can replay
// hyper f32 [4] = {lr, momentum, weight_decay, nesterov}; velocity [n]
void sgd_update(const Tensor& p, const Tensor& g, const Tensor& velocity, const Tensor& hyper);
// hyper f32 [7] = {lr, 1-beta1, 1-beta2, eps, weight_decay, 1-beta1^t, 1-beta2^t}; decoupled = AdamW
void adam_update(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const Tensor& hyper,
                 const AdamAttrs& a = {});
void accumulate(const Tensor& into, const Tensor& x);  // into += x

}  // namespace querent
