// querent experiment strategies and its kin: runs with the strategies of a publication.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "al/acquisition.h"
#include "app/options.h"
#include "data/phantom.h"
#include "tensor/files.h"
#include "tensor/json.h"

TEST_SUITE_BEGIN("published_test");
using namespace querent;
namespace fs = std::filesystem;

TEST_CASE("every strategy of a published comparison exists, is named once and fits its task") {
  for (const app::Published& p : app::published()) {
    CAPTURE(p.name);
    CHECK(p.seg.size() + p.cls.size() >= 4);
    for (const auto* list : {&p.seg, &p.cls}) {
      for (size_t i = 0; i < list->size(); ++i) {
        const al::Strategy& s = al::find_strategy(list->at(i));
        CHECK(s.name == list->at(i));
        CHECK_FALSE((list == &p.seg ? s.needs.classification_only : s.needs.segmentation_only));
        for (size_t j = 0; j < i; ++j) CHECK(list->at(i) != list->at(j));
      }
    }
  }
}

TEST_CASE("experiment strategies: both tasks, a folder and a report for each, five seeds unless told otherwise") {
  const fs::path root = fs::temp_directory_path() / ("querent_published_" + std::to_string(getpid()));
  fs::remove_all(root);
  write_phantom_dataset(root / "ph", 36, 32, 3);
  const std::string command = std::string(QUERENT_BINARY) + " experiment strategies --data " + (root / "ph").string() +
                              "/labels.csv --size 32 --width 4 --depth 2 --start 4 --budget 8 --steps 2 --full-steps 2 "
                              "--mc 2 --pool-limit 8 --batch 4 --out " + (root / "out").string() + " --seeds ";
  REQUIRE(std::system((command + "1 --json > " + (root / "json").string()).c_str()) == 0);
  const auto said = parse_json(read_file((root / "json").string(), 1 << 26));
  for (const std::string task : {"seg", "cls"}) {
    const size_t strategies = task == "seg" ? app::published()[0].seg.size() : app::published()[0].cls.size();
    CHECK(said.at(task).at("curves").size() == strategies);
    CHECK(fs::exists(root / "out" / task / "report/index.html"));
  }
  CHECK(std::system((command + "1 --task cls -q").c_str()) == 0);  // what is there is not done again, and nothing is said
  CHECK(std::system((command + "1 --task boxes -q 2> /dev/null").c_str()) != 0);
  fs::remove_all(root);
}
