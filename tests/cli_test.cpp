// The command as a user meets it: errors, exit codes, resuming after SIGKILL and Ctrl-C, any number of threads.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "data/encode.h"
#include "data/phantom.h"
#include "tensor/files.h"

namespace {
namespace fs = std::filesystem;
using nlohmann::json;

std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}
void write(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

// A folder for one test, with phantoms that all tests share.
struct Sandbox {
  fs::path root;
  explicit Sandbox(const std::string& name)
      : root(fs::temp_directory_path() / ("querent_cli_" + std::to_string(::getpid()) + name)) {
    fs::remove_all(root);
    fs::create_directories(root);
    querent::write_phantom_dataset(root / "ph", 24, 32, 3);
  }
  ~Sandbox() { fs::remove_all(root); }
  std::string labels() const { return contents(root / "ph/labels.csv"); }
  // labels.csv with one cell of the first case replaced, under another name.
  void spoil(const std::string& name, size_t column, const std::string& value) const {
    std::stringstream all(labels());
    std::string line, out;
    for (int row = 0; std::getline(all, line); ++row) {
      std::vector<std::string> cells;
      std::stringstream cell(line);
      for (std::string c; std::getline(cell, c, ',');) cells.push_back(c);
      if (line.ends_with(',')) cells.push_back("");
      if (row == 1) cells.at(column) = value;
      for (size_t i = 0; i < cells.size(); ++i) out += (i ? "," : "") + cells[i];
      out += "\n";
    }
    write(root / "ph" / name, out);
  }

  pid_t start(const std::string& arguments) const {
    const pid_t child = fork();
    if (child != 0) return child;
    if (chdir(root.c_str()) != 0) _exit(99);
    for (const auto& [file, fd] : {std::pair{"stdout", 1}, {"stderr", 2}}) {
      dup2(open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644), fd);
    }
    execl("/bin/sh", "sh", "-c", ("exec " QUERENT_BINARY " " + arguments).c_str(), nullptr);
    _exit(99);
  }
  int finish(pid_t child) const {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  int run(const std::string& arguments) const { return finish(start(arguments)); }
  std::string out() const { return contents(root / "stdout"); }
  std::string err() const { return contents(root / "stderr"); }
  bool wait_for(const std::function<bool()>& condition) const {
    for (int i = 0; i < 30000; ++i) {  // five minutes: a busy machine is no failure
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
};

querent::Image white(int64_t height, int64_t width) {
  querent::Image image(height, width);
  std::fill(image.pixels.begin(), image.pixels.end(), 1.0f);
  return image;
}

std::string tiny(const std::string& task) {
  return "--data ph/labels.csv --size 32 --depth 2 --width 4 --task " + task + " ";
}

// Everything a run leaves behind that must not depend on when or how fast it ran: file -> contents.
std::map<std::string, std::string> results_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = fs::relative(entry.path(), folder).string();
    if (name.starts_with("report") || name == "metrics.jsonl" || name == "results.csv") continue;
    std::string text = contents(entry.path());
    if (name.ends_with(".json")) {
      const std::function<void(json&)> scrub = [&](json& j) {
        if (j.is_object()) j.erase("seconds"), j.erase("stall_share"), j.erase("command"), j.erase("threads");
        for (json& child : j) {
          if (child.is_structured()) scrub(child);
        }
      };
      json j = json::parse(text);
      scrub(j);
      text = j.dump();
    }
    files[name] = text;
  }
  return files;
}
void check_same(const fs::path& a, const fs::path& b) {
  const auto left = results_of(a), right = results_of(b);
  CHECK(left.size() > 10);
  for (const auto& [name, text] : left) {
    INFO(name);
    REQUIRE(right.contains(name));
    CHECK((text == right.at(name)));  // in brackets: a failure shows the name, not the bytes
  }
  CHECK(left.size() == right.size());
}

}  // namespace

TEST_SUITE("cli_test") {
  TEST_CASE("a batch that does not fit is refused before the run, and auto takes one that fits") {
    const Sandbox s("batch");
    CHECK(s.run("train " + tiny("seg") + "--batch 1000000 --out a") == 2);
    CHECK(s.err().find("train: a batch of 1000000 at 32 pixels needs ") != std::string::npos);
    CHECK(s.err().find(" would fit") != std::string::npos);
    CHECK(!fs::exists(s.root / "a"));
    CHECK(s.run("train " + tiny("seg") + "--batch -3 --out a") == 2);
    CHECK(s.err().find("--batch must be at least 1, or auto, got -3") != std::string::npos);
    CHECK(s.run("train " + tiny("seg") + "--batch auto --steps 1 --out a") == 0);
    CHECK(s.out().find("1 steps of 32") != std::string::npos);  // half a machine holds more than 32 such images
    CHECK(s.out().find(" % waiting for images") != std::string::npos);
    const json results = json::parse(contents(s.root / "a/results.json"));
    CHECK(results.at("stall_share") > 0);  // of the first batch at least
    CHECK(results.at("stall_share") < 1);
  }

  TEST_CASE("levels that are computed again change no bit of what is trained") {
    const Sandbox s("recompute");
    const std::string weights = "weights/best.safetensors";
    REQUIRE(s.run("train " + tiny("seg") + "--steps 2 --out a") == 0);
    REQUIRE(s.run("train " + tiny("seg") + "--steps 2 --recompute-levels 2 --out b") == 0);
    CHECK(contents(s.root / "a" / weights) == contents(s.root / "b" / weights));
  }

  TEST_CASE("--device: the CPU by default; a GPU that is not there is one line that names what is missing") {
    const Sandbox s("device");
    CHECK(s.run("explain metrics --device auto --tf32 --tune") == 0);
    CHECK(s.run("explain metrics --device gpu") == 2);
    CHECK(s.err() == "error: device: 'gpu' is not a device; valid: cpu, cuda, cuda:N, auto\n");
    if (s.run("explain metrics --device cuda") == 0) {
      MESSAGE("skipped: there is a GPU");
      return;
    }
    CHECK(s.run("explain metrics --device cuda") == 2);
    const std::string said = s.err();
    CHECK(std::count(said.begin(), said.end(), '\n') == 1);
    CHECK(said.starts_with("error: device: cuda:0 is not available: "));
    CHECK(said.find("'querent doctor'") != std::string::npos);
  }

  TEST_CASE("--bf16: other bits, the same on every run and thread; a run is not continued in another precision") {
    const Sandbox s("bf16");
    const std::string train = "train " + tiny("cls") + "--steps 2 ";
    CHECK(s.run(train + "--bf16 --threads 1 --out a") == 0);
    CHECK(s.run(train + "--bf16 --threads 3 --out b") == 0);
    CHECK(s.run(train + "--out c") == 0);
    const auto weights = [&](const char* out) { return contents(s.root / out / "weights/best.safetensors"); };
    CHECK(weights("a") == weights("b"));
    CHECK(weights("a") != weights("c"));
    CHECK(json::parse(contents(s.root / "a/results.json")).at("bf16") == true);
    CHECK(!json::parse(contents(s.root / "c/results.json")).contains("bf16"));
    const std::string run = "run " + tiny("cls") + "--mc 2 --steps 1 --full-steps 1 --start 2 --budget 4 --seeds 1 --strategy random --out r ";
    CHECK(s.run(run + "--bf16") == 0);
    CHECK(s.run(run) == 2);
    CHECK(s.err().find("holds another run: bf16 (true, now null); use --force") != std::string::npos);
  }

  TEST_CASE("every verb teaches with --help") {
    const Sandbox s("help");
    CHECK(s.run("") == 0);
    CHECK(s.out().find("querent demo") != std::string::npos);
    for (const char* verb : {"demo", "run", "train", "eval", "predict", "report", "advise", "doctor", "explain", "data check", "data phantom",
                             "experiment paper", "experiment mahapatra2013", "experiment tajbakhsh2016",
                             "experiment goodfellow2014", "experiment pathak2016"}) {
      INFO(verb);
      CHECK(s.run(std::string(verb) + " --help") == 0);
      CHECK(s.out().find("--threads") != std::string::npos);
      CHECK(s.out().find("--json") != std::string::npos);
    }
    CHECK(s.run("--version") == 0);
    CHECK(s.out().starts_with("querent "));
  }

  TEST_CASE("explain counts the published numbers of parameters") {
    const Sandbox s("explain");
    for (const auto& [model, total] : {std::pair{"resnet18", "11,689,512"}, {"vgg16", "138,357,544"}, {"vgg16_bn", "138,365,992"}}) {
      CHECK(s.run(std::string("explain ") + model) == 0);
      CHECK(s.out().find(total) != std::string::npos);
    }
    CHECK(s.run("explain bald") == 0);
    CHECK(s.out().find("Houlsby") != std::string::npos);
  }

  TEST_CASE("bad input: one line that names the file and the fix, exit code 2, nothing written") {
    const Sandbox s("bad");
    write(s.root / "columns.csv", "a,b\n1,2\n");
    write(s.root / "empty.csv", "");
    write(s.root / "text.safetensors", "hello");
    write(s.root / "file", "");
    fs::create_directories(s.root / "nothing");
    const std::string png = contents(s.root / "ph/images/ph00000.png");
    write(s.root / "ph/cut.png", png.substr(0, 200));
    std::string huge = png;
    huge[16] = huge[20] = 0x7f;  // width and height of two thousand million pixels
    write(s.root / "ph/huge.png", huge);
    querent::data::write_png(s.root / "ph/black.png", querent::Image(32, 32));
    querent::data::write_png(s.root / "ph/wide.png", white(32, 48));
    querent::data::write_png(s.root / "ph/tiny.png", white(8, 8));
    s.spoil("cut.csv", 1, "cut.png");
    s.spoil("huge.csv", 1, "huge.png");
    s.spoil("tiny.csv", 1, "tiny.png");
    s.spoil("gone.csv", 1, "gone.png");
    s.spoil("black.csv", 2, "black.png");
    s.spoil("wide.csv", 2, "wide.png");
    REQUIRE(s.run("train " + tiny("seg") + "--steps 1 --out trained") == 0);

    struct BadInput {
      std::string arguments, message;
    };
    const BadInput table[] = {
        {"run --data gone.csv", "gone.csv: no such file or folder"},
        {"run --data columns.csv", "columns.csv: no column named image or path"},
        {"run --data empty.csv", "empty.csv: the CSV is empty"},
        {"run --data nothing", "nothing: no data set found"},
        {"run --data ph/gone.csv", "gone.png"},
        {"run --data ph/cut.csv", "cut.png: PNG is truncated"},
        {"run --data ph/huge.csv", "huge.png: the image is "},
        {"run --data ph/tiny.csv --size 32 --depth 2", "tiny.png: 8x8 pixels are too few"},
        {"run --data ph/black.csv", "black.png: the mask is empty"},
        {"run --data ph/wide.csv", "wide.png: 48x32 pixels, but its image"},
        {"train --data ph/black.csv", "black.png: the mask is empty"},
        {"run --data ph/labels.csv --task cls --classes normal", "needs at least two"},
        {"run --data ph/labels.csv --task cls --merge x", "merge: 'x' is not of the form"},
        {"run --data ph/labels.csv --exclude normal,abnormal --task cls", "no case is left"},
        {"run --data ph/labels.csv --size 50", "must be a multiple of 16;"},
        {"train --data ph/labels.csv --size 32 --depth 2 --recompute-levels 3", "--model unet --depth 2 has 2"},
        {"run --data ph/labels.csv --task cls --recompute-levels 1", "--model resnet18"},
        {"run --data ph/labels.csv --start 1000 --budget 2000", "only 17 training images"},
        {"run --data ph/labels.csv --start 8 --budget 4", "more than --budget 4"},
        {"run --data ph/labels.csv --strategy bold", "did you mean 'bald'"},
        {"run --data ph/labels.csv --task cls --strategy foreground_random", "needs --task seg"},
        {"run --data ph/labels.csv --model resnet18", "does not do --task seg"},
        {"run --data ph/labels.csv --no-such-flag", "--no-such-flag"},
        {"run", "--data is required"},
        {"run --data ph/labels.csv --out file/x --size 32 --depth 2", "file/x"},
        {"train --data ph/labels.csv --out file/x --size 32 --depth 2", "file/x"},
        {"eval --data ph/labels.csv --weights gone.safetensors", "gone.safetensors: cannot open"},
        {"eval --data ph/labels.csv --weights text.safetensors", "text.safetensors: not a safetensors file"},
        {"eval --data ph/black.csv --weights trained/weights/best.safetensors", "black.png: the mask is empty"},
        {"predict ph/cut.png --weights trained/weights/best.safetensors", "cut.png: PNG is truncated"},
        {"predict gone.png --weights trained/weights/best.safetensors", "gone.png: no such file"},
        {"train --data ph/labels.csv --task cls --weights trained/weights/best.safetensors", "the weights do not fit the model"},
        {"train " + tiny("seg") + "--out trained", "already trained; use --force"},
        {"report nothing", "there is no 'nothing/results.json'"},
        {"explain resnet19", "unknown subject 'resnet19'"},
        {"data phantom --out ph --count 2", "holds a data set"},
    };
    for (const BadInput& b : table) {
      const bool own_out = b.arguments.find("--out") != std::string::npos;
      const bool writes = b.arguments.starts_with("run") || b.arguments.starts_with("train") || b.arguments.starts_with("predict");
      const std::string arguments = b.arguments + (writes && !own_out ? " --out made" : "");
      INFO(arguments);
      CHECK(s.run(arguments) == 2);
      const std::string said = s.err();
      CAPTURE(said);
      CHECK(said.find(b.message) != std::string::npos);
      CHECK(std::count(said.begin(), said.end(), '\n') <= 2);  // CLI11 adds one line: where to find help
      CHECK_FALSE(fs::exists(s.root / "made/config.json"));
      CHECK_FALSE(fs::exists(s.root / "made/weights"));
    }
    CHECK(s.run("data check --task seg --data ph/black.csv") == 3);
    CHECK(s.out().find("the mask is empty") != std::string::npos);
    CHECK(s.run("data check --task seg --data ph/black.csv --allow-empty-masks") == 0);
  }

  TEST_CASE("a full disk is an error that names the file, and leaves the old one") {
    const Sandbox s("full");
    // A limit on the size of a file refuses bytes as a full disk does.
    CHECK(s.finish([&] {
      const pid_t child = fork();
      if (child != 0) return child;
      if (chdir(s.root.c_str()) != 0) _exit(99);
      execl("/bin/sh", "sh", "-c",
            "trap '' XFSZ; ulimit -f 40; exec " QUERENT_BINARY " train --data ph/labels.csv --size 32 --depth 2"
            " --width 16 --steps 1 --out o >stdout 2>stderr",
            nullptr);
      _exit(99);
    }()) == 2);
    CHECK(s.err().find("o/weights/best.safetensors") != std::string::npos);
    CHECK_FALSE(fs::exists(s.root / "o/weights/best.safetensors"));
    for (const auto& entry : fs::recursive_directory_iterator(s.root / "o")) CHECK_FALSE(entry.is_regular_file());
  }

  TEST_CASE("train, eval, predict and report work without further flags") {
    const Sandbox s("verbs");
    CHECK(s.run("train " + tiny("seg") + "--steps 20 --out seg") == 0);
    CHECK(s.out().find("next: querent predict") != std::string::npos);
    CHECK(s.run("eval --weights seg/weights/best.safetensors --data ph/labels.csv --json") == 0);
    const double dice = json::parse(s.out()).at("metrics").at("dice");
    CHECK(dice > 0);
    CHECK(dice <= 1);
    CHECK(s.run("predict ph/images/ph00001.png --weights seg/weights/best.safetensors --uncertainty --out p") == 0);
    for (const char* map : {"masks", "probabilities", "epistemic", "aleatoric"}) {
      CHECK(fs::exists(s.root / "p" / map / "ph00001.png"));
    }
    CHECK(s.run("train " + tiny("cls") + "--steps 20 --out cls") == 0);
    CHECK(s.run("eval --weights cls/weights/best.safetensors --data ph/labels.csv --json") == 0);
    CHECK(json::parse(s.out()).at("metrics").contains("auc"));
    CHECK(s.run("predict ph/images --weights cls/weights/best.safetensors --out q --json") == 0);
    CHECK(json::parse(s.out()).size() == 24);
  }

  TEST_CASE("flags may come from a TOML file, and those on the command line win") {
    const Sandbox s("toml");
    write(s.root / "run.toml", "[train]\ndata = \"ph/labels.csv\"\ntask = \"seg\"\nsize = 32\ndepth = 2\nwidth = 4\nsteps = 9\n");
    CHECK(s.run("--config run.toml train --steps 3 --out o") == 0);
    CHECK(s.out().find("3 steps") != std::string::npos);
  }

  TEST_CASE("a run writes what its users read") {
    const Sandbox s("run");
    CHECK(s.run("run " + tiny("cls") + "--mc 3 --steps 4 --start 2 --budget 8 --seeds 2 --strategy random,bald --minutes-per-label 2 --out r") == 0);
    const json results = json::parse(contents(s.root / "r/results.json"));
    CHECK(results.at("task") == "cls");
    CHECK(results.at("full_data").contains("auc"));
    REQUIRE(results.at("curves").size() == 4);
    for (const json& curve : results.at("curves")) {
      REQUIRE(curve.at("points").size() == 3);
      CHECK(curve.at("points").at(2).at("labelled") == 8);
      CHECK(curve.at("points").at(2).at("metrics").contains("auc"));
      for (const json& point : curve.at("points")) CHECK(point.at("stall_share") > 0);
    }
    const json& last = results.at("curves").at(0).at("points").at(2);
    CHECK(last.at("work").at("labels") == 8);
    CHECK(last.at("work").at("minutes") == 16);
    CHECK(last.at("agreement").get<double>() <= 1);
    REQUIRE(results.at("test_cases").size() == 6);
    CHECK(results.at("test_cases").at(0).at("cases").size() == results.at("data").at("test"));
    CHECK(results.at("calibration").at(0).at("temperature").get<double>() > 0);
    int64_t asked_for = 0;
    for (const json& n : results.at("selection").at(0).at("groups").at("class")) asked_for += n.at("asked").get<int64_t>();
    CHECK(asked_for == 6);
    CHECK(s.run("advise r --cost-per-label 3 --json") == 0);
    const json advice = json::parse(s.out());
    REQUIRE(advice.at("strategies").size() == 2);
    CHECK(advice.at("strategies").at(0).at("refused") == "3 rounds are measured by every seed; a forecast needs 4");
    CHECK(advice.at("strategies").at(0).at("cost").at("money") == 24);
    CHECK(s.run("advise r --worth 5") == 2);  // nothing says what a label costs in money
    CHECK(s.err().find("--cost-per-label") != std::string::npos);
    CHECK(s.run("advise ph") == 2);
    for (const char* file : {"metrics.jsonl", "results.csv", "manifest.jsonl", "report/index.html", "weights/full_s1.safetensors"}) {
      CHECK(fs::exists(s.root / "r" / file));
    }
    const std::string page = contents(s.root / "r/report/index.html");
    CHECK(page.find("src=\"http") == std::string::npos);
    CHECK(page.find("href=\"http") == std::string::npos);
    // Nobody may be asked about the same image twice, or about an image that is held out.
    std::set<std::string> asked;
    for (const int round : {0, 1}) {
      const json unit = json::parse(contents(s.root / ("r/units/bald_s1_r" + std::to_string(round) + ".json")));
      for (const json& item : unit.at("asked")) {
        CHECK(asked.insert(item.at("id")).second);
        CHECK(!item.at("reason").get<std::string>().empty());
      }
    }
    CHECK(asked.size() == 6);
  }

  TEST_CASE("killed, interrupted and resumed, with another number of threads: the same bits") {
    const Sandbox s("resume");
    const std::string flags = "run " + tiny("seg") + "--mc 3 --steps 60 --full-steps 400 --start 2 --budget 8 --seeds 1 --strategy random,bald ";
    REQUIRE(s.run(flags + "--threads 1 --out whole") == 0);

    // Ctrl-C in the middle of a training: stops with a checkpoint.
    pid_t child = s.start(flags + "--threads 2 --out parts");
    REQUIRE(s.wait_for([&] { return fs::exists(s.root / "parts/manifest.jsonl"); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    kill(child, SIGINT);
    CHECK(s.finish(child) == 130);
    CHECK(s.err().find("continues") != std::string::npos);
    CHECK(fs::exists(s.root / "parts/checkpoint.safetensors"));
    CHECK_FALSE(fs::exists(s.root / "parts/units/full_s1.json"));

    // Another configuration may not continue it.
    CHECK(s.run(flags + "--lr 0.5 --out parts") == 2);
    CHECK(s.err().find("holds another run") != std::string::npos);

    // Nor may changed images.
    const std::string film = contents(s.root / "ph/images/ph00003.png");
    fs::copy_file(s.root / "ph/images/ph00004.png", s.root / "ph/images/ph00003.png", fs::copy_options::overwrite_existing);
    CHECK(s.run(flags + "--out parts") == 2);
    CHECK(s.err().find("have changed since") != std::string::npos);
    write(s.root / "ph/images/ph00003.png", film);

    // Nor may two processes work in one folder.
    {
      const querent::FolderLock held(s.root / "parts");
      CHECK(s.run(flags + "--out parts") == 2);
      CHECK(s.err().find("another process is working") != std::string::npos);
    }

    // SIGKILL between two units.
    child = s.start(flags + "--threads 2 --out parts");
    REQUIRE(s.wait_for([&] { return fs::exists(s.root / "parts/units/random_s1_r0.json"); }));
    kill(child, SIGKILL);
    CHECK(s.finish(child) == 128 + SIGKILL);
    CHECK_FALSE(fs::exists(s.root / "parts/units/bald_s1_r2.json"));

    CHECK(s.run(flags + "--threads 2 --resume --out parts") == 0);
    check_same(s.root / "whole", s.root / "parts");
  }

  TEST_CASE("experiment paper: killed and continued to the same bits; a table and a page") {
    const Sandbox s("paper");
    const std::string flags = "experiment paper " + tiny("seg") +
                              "--mc 2 --steps 40 --batch 4 --variants 2 --pool-limit 4 --per-class 2 --fractions 0.35 --seeds 1 ";
    REQUIRE(s.run(flags + "--threads 1 --out whole") == 0);
    CHECK(s.out().find("random 35 %") != std::string::npos);
    CHECK(s.out().find("note: Labels are the distinct real films") != std::string::npos);
    const std::string page = contents(s.root / "whole/report/paper.html");
    CHECK(page.find("What the labels bought") != std::string::npos);
    CHECK(page.find("data:image/png;base64,") != std::string::npos);
    CHECK(page.find("src=\"http") == std::string::npos);
    fs::remove_all(s.root / "whole/report");
    CHECK(s.run("report whole") == 0);
    CHECK((contents(s.root / "whole/report/paper.html") == page));

    const pid_t child = s.start(flags + "--threads 2 --out parts");
    REQUIRE(s.wait_for([&] { return fs::exists(s.root / "parts/units/first_f35_s1.json"); }));
    kill(child, SIGKILL);
    CHECK(s.finish(child) == 128 + SIGKILL);
    CHECK_FALSE(fs::exists(s.root / "parts/units/random_f35_s1_r1.json"));
    CHECK(s.run(flags + "--threads 2 --resume --out parts --json") == 0);
    CHECK(json::parse(s.out()).at("table").size() == 2);
    check_same(s.root / "whole", s.root / "parts");

    CHECK(s.run(flags + "--out other --ablation no_vgg") == 2);
    CHECK(s.err().find("needs films of a network; --films edits has none") != std::string::npos);
    CHECK(s.run(flags + "--out other --films dreams") == 2);
    CHECK_FALSE(fs::exists(s.root / "other"));

    // Films of a network, which must not have learnt from films that are held out here.
    const std::string gan = "synth train --data ph/labels.csv --gan pix2pix --size 32 --width 4 --steps 2 --batch 2 --threads 1 ";
    REQUIRE(s.run(gan + "--out gan") == 0);
    CHECK(s.run(flags + "--threads 1 --out films --films gan --gan-dir gan --ablation no_gan") == 0);
    REQUIRE(s.run(gan + "--seed 7 --out other_gan") == 0);
    CHECK(s.run(flags + "--out other --films gan --gan-dir other_gan") == 2);
    CHECK(s.err().find("which is not a training film here; train it with the same --data, --seed") != std::string::npos);
    REQUIRE(s.run(gan + "--condition mask --out masks") == 0);
    CHECK(s.run("experiment paper " + tiny("cls") + "--out other --films gan --gan-dir masks") == 2);
    CHECK(s.err().find("makes films of masks alone, which show no class") != std::string::npos);
    CHECK(s.run(flags + "--out other --films gan") == 2);
    CHECK(s.err().find("--films gan needs --gan-dir") != std::string::npos);
    CHECK(s.run(flags + "--out other --films gan --gan-dir gan --ablation no_nmi") == 2);
    CHECK(s.err().find("gan-no_nmi") != std::string::npos);
    CHECK_FALSE(fs::exists(s.root / "other"));
  }

  TEST_CASE("an interrupted training continues to the same weights") {
    const Sandbox s("train");
    const std::string flags = "train " + tiny("seg") + "--steps 400 ";
    REQUIRE(s.run(flags + "--out whole") == 0);
    const pid_t child = s.start(flags + "--out parts");
    REQUIRE(s.wait_for([&] { return fs::exists(s.root / "parts/weights"); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    kill(child, SIGINT);
    CHECK(s.finish(child) == 130);
    CHECK(fs::exists(s.root / "parts/checkpoint.safetensors"));
    CHECK(s.run(flags + "--lr 0.5 --out parts") == 2);
    CHECK(s.err().find("other flags") != std::string::npos);
    CHECK(s.run(flags + "--out parts") == 0);
    CHECK(contents(s.root / "whole/weights/best.safetensors") == contents(s.root / "parts/weights/best.safetensors"));
  }
}
