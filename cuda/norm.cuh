// What norms compute with at each element: numbers of a channel, made once for a thread (channelwise).
#pragma once

namespace querent::cuda {

struct Scaling {  // y = (x - mean) factor + offset
  float mean, factor, offset;
};
struct Slope {  // dx = factor (dy - mean_dy - (x - mean) through_var)
  float mean, factor, mean_dy, through_var;
};

}  // namespace querent::cuda
