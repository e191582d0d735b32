#include "layers/schedule.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tensor/error.h"

namespace querent {

ScheduleOptions::Kind parse_schedule(const std::string& name) {
  using S = ScheduleOptions;
  for (const auto& [known, kind] : {std::pair{"constant", S::constant},
                                    {"step", S::step},
                                    {"cosine", S::cosine},
                                    {"linear", S::linear},
                                    {"plateau", S::plateau}}) {
    if (name == known) return kind;
  }
  fail("schedule: '{}' is unknown; use constant, step, cosine, linear or plateau", name);
}

Schedule::Schedule(const ScheduleOptions& options) : options_(options) {
  check(options.warmup >= 0 && options.period > 0 && options.total > 0,
        "schedule: warmup {} must not be negative, period {} and total {} must be positive", options.warmup,
        options.period, options.total);
}

double Schedule::rate(int64_t step) const {
  const auto& o = options_;
  if (step < o.warmup) return o.lr * static_cast<double>(step + 1) / static_cast<double>(o.warmup);
  const int64_t t = step - o.warmup;
  const double done =
      std::min(1.0, static_cast<double>(t) / static_cast<double>(std::max<int64_t>(1, o.total - o.warmup)));
  switch (o.kind) {
    case ScheduleOptions::constant:
      return o.lr;
    case ScheduleOptions::step:
      return std::max(o.min_lr, o.lr * std::pow(o.factor, static_cast<double>(t / o.period)));
    case ScheduleOptions::cosine:  // Loshchilov and Hutter 2017, one cycle
      return o.min_lr + (o.lr - o.min_lr) * 0.5 * (1 + std::cos(3.14159265358979323846 * done));
    case ScheduleOptions::linear:
      return o.min_lr + (o.lr - o.min_lr) * (1 - done);
    case ScheduleOptions::plateau:
      return std::max(o.min_lr, o.lr * state_.scale);
  }
  return o.lr;
}

void Schedule::observe(double loss) {
  if (options_.kind != ScheduleOptions::plateau) return;
  if (loss < state_.best - options_.threshold) {
    state_.best = loss, state_.bad = 0;
  } else if (++state_.bad > options_.patience) {
    state_.scale *= options_.factor, state_.bad = 0;
  }
}

}  // namespace querent
