// Sources of synthetic films, and what of a film is protected.
#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>

#include "al/synthesis/source.h"
#include "data/layouts.h"
#include "data/phantom.h"
#include "tensor/error.h"

TEST_SUITE_BEGIN("al_source_test");
using namespace querent;
using namespace querent::al;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / text("querent-source-{}", ::getpid());
  Folder() { fs::remove_all(path); }
  ~Folder() { fs::remove_all(path); }
};

data::Loader loader_of(const data::Dataset& d) { return data::Loader(d, {.size = 64, .masks = true}); }

}  // namespace

TEST_CASE("the disease of a phantom is protected where it is") {
  const Folder folder;
  PhantomOptions o;
  o.size = 64, o.nodule_fraction = o.opacity_fraction = 0.4;
  write_phantom_dataset(folder.path, 24, o);
  const data::Loader loader = loader_of(data::open_dataset(folder.path.string(), {}));
  int64_t nodules = 0, opacities = 0, normal = 0;
  for (int64_t i = 0; i < loader.count(); ++i) {
    const Phantom p = render_phantom(o, i);
    const EditBase base = edit_base(loader, i);
    const Image& region = base.protected_region;
    if (p.label == "normal") {
      CHECK(region.pixels.empty());
      ++normal;
      continue;
    }
    REQUIRE_FALSE(region.pixels.empty());
    for (const Nodule& n : p.nodules) {
      const auto at = [](double v) { return static_cast<int64_t>(v * 64); };
      CHECK(region.at(at(n.y), at(n.x)) == 1);
      if (p.nodules.size() == 1 && p.label == "nodule") {
        double sum = 0;
        for (const float v : region.pixels) sum += v;
        const double r = 1.3 * n.radius * 64;
        CHECK(sum <= 3.1416 * (r + 1) * (r + 1));
      }
      ++nodules;
    }
    if (p.label == "opacity") {
      for (size_t k = 0; k < region.pixels.size(); ++k) CHECK(region.pixels[k] >= p.opacity.pixels[k]);
      ++opacities;
    }
  }
  CHECK(nodules > 0);
  CHECK(opacities > 0);
  CHECK(normal > 0);
}

TEST_CASE("a film of a source does not depend on which others are made with it") {
  PhantomOptions o;
  o.size = 64;
  const Phantom p = render_phantom(o, 0);
  const EditBase base{"a", p.image, p.lungs, {}, {}};
  const FilmSource source = edited_films(5);
  const auto all = source(base, 0, 6), part = source(base, 4, 2), other = edited_films(6)(base, 4, 1);
  CHECK(all[4].id == "a+4");
  CHECK(all[4].image.pixels == part[0].image.pixels);
  CHECK(all[5].mask.pixels == part[1].mask.pixels);
  CHECK(all[4].image.pixels != all[5].image.pixels);
  CHECK(all[4].image.pixels != other[0].image.pixels);
}

TEST_CASE("a damaged column of nodules names the case") {
  data::Dataset d;
  const Folder folder;
  write_phantom_dataset(folder.path, 1, 64, 1);
  d = data::open_dataset(folder.path.string(), {});
  d.cases[0].extra["nodules"] = "0.5 oops";
  CHECK_THROWS_WITH_AS(edit_base(loader_of(d), 0), doctest::Contains("ph00000: nodules must be 'x y radius"), Error);
}
TEST_SUITE_END();
