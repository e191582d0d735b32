// Do two ways of measuring the same quantity agree? (Bland and Altman, Lancet 1986)
#pragma once
#include <span>

#include "al/statistics.h"

namespace querent::al {

struct Agreement {
  Summary difference;  // measured - reference: n, the bias with its interval, its standard deviation (n - 1)
  Interval limits;     // of agreement: bias -+ 1.96 standard deviations; 95 % of differences, if they are normal
};
// Pairs; an Error when there are fewer than two, or sizes differ.
Agreement bland_altman(std::span<const double> measured, std::span<const double> reference);

}  // namespace querent::al
