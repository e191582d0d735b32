// Who answers when an image is asked: a person, a file, or, in a simulation, the ground truth.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "data/image.h"

namespace querent::al {

struct Label {
  std::string id = {};
  int64_t class_index = -1;  // -1: not a classification label
  Image mask = {};           // [H,W,1] in {0,1}; empty: not a segmentation label
  std::string by = {};       // who answered: "ground_truth", a user name
  double seconds = 0;        // time it took; 0 when unknown
};

class Oracle {
 public:
  virtual ~Oracle() = default;
  // Answers for some or all of `ids`, in that order. An id without an answer was skipped or is still open.
  virtual std::vector<Label> label(const std::vector<std::string>& ids) = 0;
};

// Looks every label up in the data set. `truth` throws for a case that has none.
class SimulatedOracle : public Oracle {
 public:
  explicit SimulatedOracle(std::function<Label(const std::string& id)> truth) : truth_(std::move(truth)) {}
  std::vector<Label> label(const std::vector<std::string>& ids) override {
    std::vector<Label> answers;
    for (const auto& id : ids) {
      answers.push_back(truth_(id));
      answers.back().id = id;
      answers.back().by = "ground_truth";
    }
    asked_ += static_cast<int64_t>(ids.size());
    return answers;
  }
  int64_t asked() const { return asked_; }  // what the labels cost so far

 private:
  std::function<Label(const std::string& id)> truth_;
  int64_t asked_ = 0;
};

}  // namespace querent::al
