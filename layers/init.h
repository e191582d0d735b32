// Initial values of a parameter: a pure function of (key, element index), the same for any thread count and order.
#pragma once
#include "layers/params.h"

namespace querent {

// Fills `t` (f32 or f64). fan_in = numel / axis 0, fan_out = numel / channel axis, counted as PyTorch counts them on
// its own axis order; `channels` is the size of PyTorch's axis 1.
void initialise(const Tensor& t, const Init& init, int64_t channels, uint64_t key);

// While one lives, parameters made in its thread are not drawn, because their values come from a file: they have no bytes
// until Params::all() or load() gives them their place, and are zero then.
class NoDraws {
 public:
  NoDraws();
  ~NoDraws();
  NoDraws(const NoDraws&) = delete;
  NoDraws& operator=(const NoDraws&) = delete;
  static bool active();

 private:
  bool before_;
};

}  // namespace querent
