// querent synth check as a user meets it: the files it writes, what it refuses, what --strict says.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "al/synthesis/source.h"
#include "data/encode.h"
#include "data/layouts.h"
#include "data/phantom.h"
#include "data/split.h"
#include "tensor/error.h"

TEST_SUITE_BEGIN("synth_check_test");
using namespace querent;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

constexpr int64_t side = 32;

// Edited films of every training film, as `querent synth sample` leaves them.
void write_samples(const data::Dataset& d, const fs::path& to, int64_t variants, const std::string& header,
                   const std::function<std::string(const data::Case&, const al::SyntheticFilm&)>& row) {
  fs::create_directories(to / "images");
  fs::create_directories(to / "masks");
  const data::Loader loader(d, {.size = side, .masks = true});
  const al::FilmSource source = al::edited_films(1);
  std::string table = header + "\n";
  for (int64_t i = 0; i < loader.count(); ++i) {
    const data::Case& c = d.cases[static_cast<size_t>(i)];
    if (c.split != "train") continue;
    for (const al::SyntheticFilm& film : source(al::edit_base(loader, i), 0, variants)) {
      data::write_png(to / "images" / (film.id + ".png"), film.image);
      data::write_png(to / "masks" / (film.id + ".png"), film.mask);
      table += row(c, film) + "\n";
    }
  }
  std::ofstream(to / "labels.csv") << table;
}

struct Sandbox {
  fs::path root = fs::temp_directory_path() / text("querent-synth-check-{}", ::getpid());
  data::Dataset real;
  Sandbox() {
    fs::remove_all(root);
    write_phantom_dataset(root / "real", 48, side, 3);
    real = data::open_dataset((root / "real").string());
    data::split_dataset(real, {.val = 0.1, .test = 0.2, .seed = 1});
  }
  ~Sandbox() { fs::remove_all(root); }
  int run(const std::string& arguments) const { return querent("synth check " + arguments); }
  int querent(const std::string& arguments) const {
    const std::string line = "cd " + root.string() + " && " QUERENT_BINARY " " + arguments + " >stdout 2>stderr";
    const int status = std::system(line.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string err() const { return contents(root / "stderr"); }
  json result(const std::string& folder) const { return json::parse(contents(root / folder / "check.json")); }
  static json figure(const json& result, const std::string& name) {
    for (const json& f : result["figures"])
      if (f["name"] == name) return f;
    return {};
  }
};

const std::string full_header = "id,image,mask,label,patient_id,base,variant,synthetic";
std::string full_row(const data::Case& c, const al::SyntheticFilm& f) {
  return text("{},images/{}.png,masks/{}.png,{},{},{},{},1", f.id, f.id, f.id, c.label, data::patient_key(c), c.id,
              f.record.variant);
}

}  // namespace

TEST_CASE("edited films: figures, page, the same bits again, and leaks") {
  const Sandbox s;
  write_samples(s.real, s.root / "samples", 2, full_header, full_row);
  REQUIRE(s.run("--data real --samples samples --out a --size 32") == 0);
  const json a = s.result("a");
  CHECK(a["films"]["samples"] == 2 * a["films"]["bases"].get<int>());
  CHECK(a["films"]["held_out"].get<int>() >= 8);
  CHECK(a["features"].get<std::string>().find("no network") != std::string::npos);
  CHECK(s.figure(a, "frechet_distance")["samples"]["value"].is_number());
  CHECK(s.figure(a, "memorised")["outcome"] == "passed");
  CHECK(s.figure(a, "held_out_bases")["samples"]["value"] == 0);
  CHECK(s.figure(a, "mask_response")["verdict"] == "give a segmenter with --weights");
  CHECK(a["samples"][0]["nearest"]["pixels"]["id"] != a["samples"][0]["base"]);
  const std::string page = contents(s.root / "a/index.html");
  CHECK(page.find("</html>") != std::string::npos);
  CHECK(page.find("http") == std::string::npos);  // self-contained

  REQUIRE(s.run("--data real --samples samples --out b --size 32 --threads 2") == 0);
  json b = s.result("b"), same = a;
  b.erase("command"), same.erase("command");
  CHECK((b == same));

  // Another split than that of the samples: some bases are now held out.
  CHECK(s.run("--data real --samples samples --out c --size 32 --seed 2 --strict") == 3);
  CHECK(s.figure(s.result("c"), "held_out_bases")["outcome"] == "failed");
  CHECK(s.run("--data real --samples samples --out c --size 32 --seed 2") == 0);
}

TEST_CASE("training films handed in as samples of others fail --strict; without bases the checks say so") {
  const Sandbox s;
  write_samples(s.real, s.root / "samples", 1, "image,label", [&](const data::Case& c, const al::SyntheticFilm& f) {
    fs::copy_file(c.image, s.root / "samples/images" / (f.id + ".png"), fs::copy_options::overwrite_existing);
    return text("images/{}.png,{}", f.id, c.label);
  });
  CHECK(s.run("--data real --samples samples --out o --size 32 --strict") == 3);
  const json r = s.result("o");
  CHECK(s.figure(r, "memorised")["outcome"] == "failed");
  CHECK(s.figure(r, "memorised")["samples"]["value"] == r["films"]["train"]);
  CHECK(s.figure(r, "base_distance")["outcome"] == "not measured");
  CHECK(r["notes"][0].get<std::string>().find("column base") != std::string::npos);
}

TEST_CASE("networks judge masks and classes beside real films, and the first one's features are compared") {
  const Sandbox s;
  write_samples(s.real, s.root / "samples", 1, full_header, full_row);
  const std::string tiny = "train --data real --size 32 --width 4 --steps 2 --batch 4 ";
  REQUIRE(s.querent(tiny + "--task seg --depth 2 --out seg") == 0);
  REQUIRE(s.querent(tiny + "--task cls --out cls") == 0);
  const std::string seg = "seg/weights/best.safetensors", cls = "cls/weights/best.safetensors";
  REQUIRE(s.run("--data real --samples samples --out o --weights " + cls + "," + seg) == 0);
  const json r = s.result("o");
  CHECK(r["features"].get<std::string>().starts_with("classifier resnet18 at 32 x 32"));
  for (const char* name : {"mask_response", "class_consistency"}) {
    CHECK(s.figure(r, name)["samples"]["n"] == r["films"]["samples"]);
    CHECK(s.figure(r, name)["reference"]["n"] == r["films"]["held_out"]);
  }
  CHECK(s.figure(r, "mask_response")["outcome"] == "failed");  // two steps teach nothing
  CHECK(s.figure(r, "mask_contrast")["samples"]["value"].is_number());
  CHECK(r["samples"][0]["dice"].is_number());
  CHECK(s.run("--data real --samples samples --out o --strict --weights " + seg) == 3);
  CHECK(s.run("--data real --samples samples --out o --weights " + seg + "," + seg) == 2);
  CHECK(s.err().find("give at most one segmenter and one classifier") != std::string::npos);
}

TEST_CASE("bad input is one line, exit code 2, and nothing is written") {
  const Sandbox s;
  CHECK(s.run("--help") == 0);
  CHECK(contents(s.root / "stdout").find("--strict") != std::string::npos);
  CHECK(s.run("--data real") == 2);
  CHECK(s.run("--data real --samples nowhere --out o") == 2);
  CHECK(s.err().find("nowhere") != std::string::npos);
  write_samples(s.real, s.root / "samples", 1, full_header, [](const data::Case& c, const al::SyntheticFilm& f) {
    return text("{},images/{}.png,masks/{}.png,{},p,stranger,0,1", f.id, f.id, f.id, c.label);
  });
  CHECK(s.run("--data real --samples samples --out o") == 2);
  CHECK(s.err().find("names the base 'stranger', which is not in 'real'") != std::string::npos);
  CHECK(s.run("--data real --samples samples --weights real/labels.csv --out o") == 2);
  CHECK_FALSE(fs::exists(s.root / "o"));
}
TEST_SUITE_END();
