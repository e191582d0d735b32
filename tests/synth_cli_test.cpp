// querent synth as a user meets it: what it writes, its errors, Ctrl-C and SIGKILL.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "data/csv.h"
#include "data/decode.h"
#include "data/phantom.h"
#include "tensor/files.h"

namespace {
namespace fs = std::filesystem;
using nlohmann::json;

struct Sandbox {
  fs::path root = fs::temp_directory_path() / ("querent_synth_" + std::to_string(::getpid()));
  Sandbox() {
    fs::remove_all(root);
    fs::create_directories(root);
    querent::write_phantom_dataset(root / "ph", 20, 32, 3);
  }
  ~Sandbox() { fs::remove_all(root); }
  pid_t start(const std::string& arguments) const {
    const pid_t child = fork();
    if (child != 0) return child;
    if (chdir(root.c_str()) != 0) _exit(99);
    for (const auto& [file, fd] : {std::pair{"stdout", 1}, {"stderr", 2}}) {
      dup2(open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644), fd);
    }
    execl("/bin/sh", "sh", "-c", ("exec " QUERENT_BINARY " synth " + arguments).c_str(), nullptr);
    _exit(99);
  }
  int finish(pid_t child) const {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  int run(const std::string& arguments) const { return finish(start(arguments)); }
  std::string contents(const std::string& name) const { return querent::read_file(root / name); }
  void write(const std::string& name, const std::string& text) const { querent::write_atomically(root / name, text); }
  bool wait_for(const std::string& name) const {
    for (int i = 0; i < 3000 && !fs::exists(root / name); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return fs::exists(root / name);
  }
};

const std::string tiny = "train --data ph/labels.csv --size 32 --width 4 --blocks 1 --latent 8 --batch 2 ";

}  // namespace

TEST_SUITE("synth_cli_test") {
  TEST_CASE("both verbs teach with --help") {
    const Sandbox s;
    for (const char* verb : {"train", "sample"}) {
      CHECK(s.run(std::string(verb) + " --help") == 0);
      CHECK(s.contents("stdout").find("Example:") != std::string::npos);
    }
  }

  TEST_CASE("train, then sample: films, masks and a table that is a data set") {
    const Sandbox s;
    REQUIRE(s.run(tiny + "--gan pix2pix --steps 8 --out gan") == 0);
    CHECK(s.contents("stdout").find("next: querent synth sample --gan-dir gan --data ph/labels.csv") !=
          std::string::npos);
    std::set<std::string> trained;
    const std::string films = s.contents("gan/films.txt");
    for (size_t at = 0; at < films.size(); at = films.find('\n', at) + 1) {
      trained.insert(films.substr(at, films.find('\n', at) - at));
    }
    CHECK(trained.size() < 20);  // some are held out

    REQUIRE(s.run("sample --gan-dir gan --data ph/labels.csv --count 17 --out films") == 0);
    CHECK(s.contents("stdout").find("next: querent data check --data films/labels.csv") != std::string::npos);
    const querent::data::Csv table = querent::data::read_csv(s.root / "films/labels.csv");
    CHECK(table.header == std::vector<std::string>{"id", "image", "mask", "label", "patient_id", "base", "variant",
                                                   "edit", "synthetic"});
    REQUIRE(table.rows.size() == 17);
    const querent::data::Csv real = querent::data::read_csv(s.root / "ph/labels.csv");
    std::set<std::string> ids;
    for (const auto& row : table.rows) {
      CHECK(ids.insert(row[0]).second);
      CHECK(trained.contains(row[5]));
      CHECK(row[0] == row[5] + "+" + row[6]);
      CHECK(row[8] == "1");
      const json edit = json::parse(row[7]);
      CHECK(edit.at("base") == row[5]);
      const auto of_base =
          std::find_if(real.rows.begin(), real.rows.end(), [&](const auto& r) { return r[0] == row[5]; });
      REQUIRE(of_base != real.rows.end());
      CHECK(row[3] == (*of_base)[static_cast<size_t>(real.column({"label"}))]);
      CHECK(row[4] == (*of_base)[static_cast<size_t>(real.column({"patient_id"}))]);
      for (const size_t column : {1, 2}) {
        CHECK(querent::data::image_info(s.root / "films" / row[column]).width == 32);
      }
    }
    CHECK(querent::data::image_info(s.root / "films/grid.png").width == 3 * 32 + 2 * 2);
    // The same seed draws the same films, for any number of threads; the file of the weights does as well as the
    // folder.
    REQUIRE(s.run("sample --weights gan/weights/generator.safetensors --data ph/labels.csv --count 3 --threads 2 "
                  "--out again") == 0);
    for (const char* file : {"images/film_00003.png", "masks/film_00003.png"}) {
      CHECK((s.contents(std::string("films/") + file) == s.contents(std::string("again/") + file)));
    }
  }

  TEST_CASE(
      "told the mask alone: films from the masks of another data set, of nobody, which the checks compare with all") {
    const Sandbox s;
    querent::write_phantom_dataset(s.root / "others", 3, 32, 8);
    std::string list = "id,image,mask\n";
    for (const std::string i : {"0", "1", "2"})
      list += "other" + i + ",others/images/ph0000" + i + ".png,others/masks/ph0000" + i + ".png\n";
    s.write("others.csv", list);
    REQUIRE(s.run(tiny + "--gan pix2pix --condition mask --steps 4 --out gan") == 0);
    REQUIRE(s.run("sample --gan-dir gan --data others.csv --count 6 --out films") == 0);
    const querent::data::Csv table = querent::data::read_csv(s.root / "films/labels.csv");
    REQUIRE(table.rows.size() == 6);
    for (const auto& row : table.rows) {
      CHECK(row[3] == "");  // of no class and no patient's
      CHECK(row[5] == "");
      CHECK(json::parse(row[7]).at("base").get<std::string>().starts_with("other"));
    }
    CHECK(querent::data::image_info(s.root / "films/grid.png").width == 2 * 32 + 2);  // mask | film
    CHECK(s.run("check --data ph/labels.csv --samples films --size 32 --out check") == 0);
    const json checked = json::parse(s.contents("check/check.json"));
    CHECK(checked.at("films").at("samples") == 6);
    CHECK(checked.at("films").at("bases") == 0);  // so that no training film is left out of the search for copies

    REQUIRE(s.run("sample --gan-dir gan --data ph/labels.csv --count 2 --out own") == 0);
    const std::string first = s.contents("gan/films.txt").substr(0, 7);  // of the films it has learnt from
    CHECK(querent::data::read_csv(s.root / "own/labels.csv").rows[0][0] == first + "+0");
  }

  TEST_CASE("bad input: one line that names the file and the fix, exit code 2, nothing written") {
    const Sandbox s;
    s.write("unknown.txt", "ph00000\nph99999\n");
    s.write("empty.txt", "\n");
    s.write("no_masks.csv", "image\nph/images/ph00000.png\nph/images/ph00001.png\n");
    REQUIRE(s.run(tiny + "--gan pix2pix --steps 1 --out gan") == 0);
    const std::string films = s.contents("gan/films.txt");
    std::string held_out;
    for (int i = 0; i < 20 && held_out.empty(); ++i) {
      const std::string id = "ph000" + std::string(i < 10 ? "0" : "") + std::to_string(i);
      if (films.find(id) == std::string::npos) held_out = id;
    }
    s.write("held_out.txt", held_out + "\n");
    fs::create_directories(s.root / "cut/weights");
    s.write("cut/weights/generator.safetensors", s.contents("gan/weights/generator.safetensors").substr(0, 5000));
    fs::create_directories(s.root / "text/weights");
    s.write("text/weights/generator.safetensors", "hello");
    struct BadInput {
      std::string arguments, message;
    };
    const BadInput table[] = {
        {"train --data ph/labels.csv --size 50 --out made", "must be a multiple of 16, at least 32; use 64"},
        {"train --data ph/labels.csv --size 16 --out made", "use 32"},
        {"train --data no_masks.csv --size 32 --out made", "has no mask"},
        {"train --data gone.csv --out made", "gone.csv: no such file"},
        {"train --data ph/labels.csv --gan stylegan --out made", "--gan"},
        {"train --data ph/labels.csv --gan paper --condition mask --out made", "needs --gan pix2pix"},
        {"train --data ph/labels.csv --nmi 0 --mse 0 --out made", "no term of the content loss is left"},
        {"train --data ph/labels.csv --vgg-weights gone.safetensors --out made", "gone.safetensors: no such file"},
        {"train --data ph/labels.csv --cases unknown.txt --out made",
         "unknown.txt: the data set has no case 'ph99999'"},
        {"train --data ph/labels.csv --cases held_out.txt --out made", "is held out"},
        {"train --data ph/labels.csv --cases empty.txt --out made", "empty.txt: no case id"},
        {tiny + "--steps 1 --out gan", "already trained; use --force"},
        {"sample --gan-dir gone --data ph/labels.csv --count 2 --out made", "gone"},
        {"sample --gan-dir ph --data ph/labels.csv --count 2 --out made", "the training is not finished"},
        {"sample --gan-dir cut --data ph/labels.csv --count 2 --out made", "cut/weights/generator.safetensors"},
        {"sample --gan-dir text --data ph/labels.csv --count 2 --out made", "not a safetensors file"},
        {"sample --gan-dir gan --data ph/labels.csv --count 2 --out ph", "'ph' holds a data set"},
        {"sample --gan-dir gan --data no_masks.csv --count 2 --out made", "films.txt: the data set has no case"},
    };
    for (const BadInput& b : table) {
      INFO(b.arguments);
      CHECK(s.run(b.arguments) == 2);
      const std::string said = s.contents("stderr");
      CAPTURE(said);
      CHECK(said.find(b.message) != std::string::npos);
      CHECK(std::count(said.begin(), said.end(), '\n') <= 2);  // CLI11 adds one line: where to find help
      CHECK_FALSE(fs::exists(s.root / "made"));
    }
  }

  TEST_CASE("Ctrl-C stops with a checkpoint, other flags may not go on, the same command ends with the same bytes") {
    const Sandbox s;
    const std::string flags = tiny + "--steps 50 --autoencoder-steps 5 ";
    REQUIRE(s.run(flags + "--out whole") == 0);
    pid_t child = s.start(flags + "--out parts");
    REQUIRE(s.wait_for("parts/samples/epoch_001.png"));
    kill(child, SIGINT);
    CHECK(s.finish(child) == 130);
    CHECK(s.contents("stderr").find("the same command continues") != std::string::npos);
    CHECK(fs::exists(s.root / "parts/checkpoint.safetensors"));
    CHECK(s.run(tiny + "--steps 51 --autoencoder-steps 5 --out parts") == 2);
    CHECK(s.contents("stderr").find("other flags") != std::string::npos);
    child = s.start(flags + "--threads 2 --out parts");
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    kill(child, SIGKILL);
    s.finish(child);
    CHECK(s.run(flags + "--out parts") == 0);
    for (const char* file : {"weights/generator.safetensors", "weights/discriminator.safetensors",
                             "weights/autoencoder.safetensors", "losses.jsonl"}) {
      INFO(file);
      CHECK((s.contents(std::string("whole/") + file) == s.contents(std::string("parts/") + file)));
    }
  }
}
