// The loader's promise: a row of a batch is a pure function of (seed, epoch, case), image and mask move together.
#include "data/loader.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "data_files.h"

TEST_SUITE_BEGIN("data_loader_test");
using namespace querent;
using namespace querent::data;
using namespace querent::test;

namespace {

using Values = std::vector<float>;
using Drawing = std::function<int(int, int)>;

Values values(const Tensor& t) { return {t.data<float>(), t.data<float>() + t.numel()}; }
std::vector<int64_t> labels(const Batch& b) {
  return {b.label.data<int64_t>(), b.label.data<int64_t>() + b.label.numel()};
}
std::vector<int64_t> first(int64_t n) {
  std::vector<int64_t> all(static_cast<size_t>(n));
  std::iota(all.begin(), all.end(), 0);
  return all;
}
int round_disc(int y, int x, int cy, int cx, int r) {
  return (y - cy) * (y - cy) + (x - cx) * (x - cx) <= r * r ? 255 : 0;
}

// A folder of cases, each an image and, where asked, a mask.
struct Cases {
  TempFolder folder;
  Dataset d;
  void add(int height, int width, const Drawing& image, const std::string& label = "", const std::string& mask = "") {
    Case c;
    c.id = text("c{}", d.cases.size());
    c.image = folder.put(c.id + ".png", grey_png(height, width, image));
    if (!mask.empty()) c.mask = folder.put(c.id + "_mask.png", mask);
    c.label = label;
    d.cases.push_back(c);
    refresh_classes(d);
  }
  // Films that differ everywhere, with a disc that differs from case to case.
  void add_films(int n, int side = 32) {
    for (int k = 0; k < n; ++k) {
      const auto disc = [=](int y, int x) { return round_disc(y, x, side / 2 - 3, side / 2 + k % 5, side / 4); };
      add(
          side, side, [=](int y, int x) { return (disc(y, x) / 2 + 13 * k + 3 * y + 5 * x) & 255; },
          k % 2 ? "odd" : "even", grey_png(side, side, disc));
    }
  }
};

Augmentation everything() {
  Augmentation a = chest_augmentation();
  a.flip = 0.5;
  return a;
}
struct Threads {
  int before = omp_get_max_threads();
  explicit Threads(int n) { omp_set_num_threads(n); }
  ~Threads() { omp_set_num_threads(before); }
};

struct Row {
  Values x, mask;
  int64_t label = 0;
  bool operator==(const Row&) const = default;
};
using Rows = std::map<std::pair<int64_t, int64_t>, Row>;  // by (case, epoch)

// Every row of the steps [0, steps), by case and epoch.
Rows rows_of(const Loader& l, const std::vector<int64_t>& cases, int64_t steps, int64_t batch_size) {
  Rows out;
  for (int64_t step = 0; step < steps; ++step) {
    const Batch b = l.train_batch(cases, step, batch_size);
    const std::vector<Draw> draws = l.draws(cases, step, batch_size);
    const Values x = values(b.x), mask = values(b.mask);
    const int64_t pixels = l.options().size * l.options().size;
    for (int64_t i = 0; i < batch_size; ++i) {
      const Draw& d = draws[static_cast<size_t>(i)];
      CHECK(b.index[static_cast<size_t>(i)] == d.index);
      Row row{{x.begin() + i * pixels, x.begin() + (i + 1) * pixels},
              {mask.begin() + i * pixels, mask.begin() + (i + 1) * pixels},
              b.label.data<int64_t>()[i]};
      CHECK(out.emplace(std::pair{d.index, d.epoch}, std::move(row)).second);  // no case twice in one epoch
    }
  }
  return out;
}

}  // namespace

TEST_CASE("a row depends on seed, epoch and case; not on threads, batch, list order or cache") {
  Cases c;
  c.add_films(6);
  const LoaderOptions o{
      .size = 16, .masks = true, .normalization = {0.4f, 0.2f}, .augmentation = everything(), .seed = 7};
  const auto rows = [&](const LoaderOptions& options, const std::vector<int64_t>& cases, int64_t steps, int64_t n) {
    return rows_of(Loader(c.d, options), cases, steps, n);
  };
  const std::vector<int64_t> cases = first(6);
  Rows one, two;
  {
    const Threads t(1);
    one = rows(o, cases, 6, 3);  // three epochs
  }
  {
    const Threads t(2);
    two = rows(o, cases, 6, 3);
  }
  REQUIRE(one.size() == 18);
  CHECK(one == two);
  CHECK(one == rows(o, cases, 2, 9));  // batches across the border of two epochs
  CHECK(one == rows(o, cases, 18, 1));
  CHECK(one == rows(o, {5, 2, 0, 4, 1, 3}, 6, 3));
  LoaderOptions forgetful = o;
  forgetful.cache_bytes = 0;
  CHECK(one == rows(forgetful, cases, 6, 3));

  // A case looks the same whatever other cases it is trained with: a growing labelled set changes nothing for it.
  for (const auto& [key, row] : rows(o, {1, 4}, 3, 2)) CHECK(one.at(key) == row);

  // And it does depend on the three it should depend on.
  std::set<Values> different;
  for (const auto& [key, row] : one) different.insert(row.x);
  CHECK(different.size() == 18);
  LoaderOptions other = o;
  other.seed = 8;
  for (const auto& [key, row] : rows(other, cases, 6, 3)) CHECK(row.x != one.at(key).x);
  Loader reseeded(c.d, other);
  reseeded.preload(cases);
  reseeded.set_seed(7);
  CHECK(one == rows_of(reseeded, cases, 6, 3));
}

TEST_CASE("each epoch visits every case once, in an order of its own that any step can be asked for") {
  Cases c;
  c.add_films(5);
  const Loader l(c.d, {.size = 16, .seed = 2});
  std::vector<Draw> all;
  for (int64_t step = 0; step < 10; ++step) {
    for (const Draw& d : l.draws(first(5), step, 3)) all.push_back(d);
  }
  std::set<std::vector<int64_t>> orders;
  for (size_t epoch = 0; epoch < 6; ++epoch) {
    std::vector<int64_t> order;
    for (size_t i = 0; i < 5; ++i) {
      CHECK(all[epoch * 5 + i].epoch == static_cast<int64_t>(epoch));
      order.push_back(all[epoch * 5 + i].index);
    }
    orders.insert(order);
    std::sort(order.begin(), order.end());
    CHECK(order == first(5));
  }
  CHECK(orders.size() > 3);  // of 120 orders, six epochs hit fewer than four with probability below 1e-5
  CHECK(l.draws(first(5), 7, 3) == std::vector<Draw>(all.begin() + 21, all.begin() + 24));
  CHECK(l.draws(std::vector<int64_t>{4, 2, 0, 3, 1}, 7, 3) == l.draws(first(5), 7, 3));
}

TEST_CASE("without augmentation a case is the same picture in every epoch and in batch()") {
  Cases c;
  c.add_films(4);
  const Loader l(c.d, {.size = 24, .masks = true, .seed = 3});
  const Rows rows = rows_of(l, first(4), 6, 2);
  CHECK(rows.size() == 12);
  const Batch plain = l.batch(first(4));
  const Values x = values(plain.x), mask = values(plain.mask);
  for (const auto& [key, row] : rows) {
    const int64_t from = key.first * 24 * 24;
    CHECK(row.x == Values(x.begin() + from, x.begin() + from + 24 * 24));
    CHECK(row.mask == Values(mask.begin() + from, mask.begin() + from + 24 * 24));
    CHECK(l.augmented(key.first, key.second).first.pixels == l.image(key.first).pixels);
  }
  // Scoring must see the films as they are, whatever training does to them.
  const Loader trained(c.d, {.size = 24, .masks = true, .augmentation = everything()});
  CHECK(values(trained.batch(first(4)).x) == x);
  CHECK(values(trained.batch(first(4)).mask) == mask);
  CHECK(values(trained.train_batch(first(4), 0, 4).x) != x);
}

TEST_CASE("image and mask move together, and the mask stays 0 or 1") {
  Cases c;
  const auto disc = [](int y, int x) { return round_disc(y, x, 24, 38, 12) | round_disc(y, x, 46, 14, 5); };
  c.add(64, 64, disc, "", grey_png(64, 64, disc));
  Augmentation a;
  a.flip = 0.5;
  a.rotate_deg = 25;
  a.shift = 0.1;
  a.scale = 0.2;
  a.elastic_alpha = 0.03;
  const Loader l(c.d, {.size = 64, .masks = true, .augmentation = a, .seed = 5});
  const Image still = l.mask(0);
  CHECK(still.pixels == l.image(0).pixels);
  int flipped = 0;
  for (int64_t epoch = 0; epoch < 40; ++epoch) {
    const auto [image, mask] = l.augmented(0, epoch);
    // The nearest of the four pixels that bilinear interpolation mixes weighs at least a quarter.
    float least_inside = 1, most_outside = 0;
    double inside = 0, left = 0, moved = 0, other = 0;
    for (int64_t y = 0; y < 64; ++y) {
      for (int64_t x = 0; x < 64; ++x) {
        const float m = mask.at(y, x), v = image.at(y, x);
        other += m != 0.0f && m != 1.0f;
        if (m == 1.0f) least_inside = std::min(least_inside, v);
        if (m == 0.0f) most_outside = std::max(most_outside, v);
        inside += static_cast<double>(m);
        left += x < 32 ? static_cast<double>(m) : 0;
        moved += m != still.at(y, x);
      }
    }
    CHECK(other == 0);
    CHECK(least_inside > 0.2499f);
    CHECK(most_outside < 0.7501f);
    CHECK(inside > 250);  // of 530, zoomed out by 1.2 in each axis and bent: it did not leave the picture
    CHECK(moved > 0);
    flipped += left > inside / 2;
  }
  CHECK(flipped > 8);  // 20 expected, standard deviation 3.2
  CHECK(flipped < 32);

  // Brightness and noise are the image's alone.
  a = {};
  a.gain = 0.3;
  a.offset = 0.1;
  a.noise = 0.05;
  const Loader bright(c.d, {.size = 64, .masks = true, .augmentation = a});
  const auto [image, mask] = bright.augmented(0, 1);
  CHECK(mask.pixels == still.pixels);
  CHECK(image.pixels != still.pixels);
}

TEST_CASE("normalisation: the mean and deviation of the cases asked for, and of no others") {
  Cases c;
  for (int k = 0; k < 2; ++k)
    c.add(
        16, 16, [k](int, int x) { return x < 8 ? 0 : 255 * k; }, "a");
  for (int k = 0; k < 2; ++k)
    c.add(
        16, 16, [k](int, int) { return k ? 255 : 90; }, "b");
  Loader l(c.d, {.size = 16});
  const Normalization train = l.measure(std::vector<int64_t>{0, 1});  // a quarter of the pixels is 1, the others 0
  CHECK(train.mean == doctest::Approx(0.25));
  CHECK(train.std == doctest::Approx(std::sqrt(0.25 - 0.0625)));
  CHECK(l.measure(std::vector<int64_t>{1, 0}).mean == train.mean);
  CHECK(l.measure(first(4)).mean > 0.4f);
  // Other labels, and other pixels in the cases left out, change nothing.
  c.d.cases[0].label = c.d.cases[1].label = "";
  c.add(
      16, 16, [](int y, int) { return y; }, "z");
  c.d.cases[3].image = c.d.cases[4].image;
  const Normalization again = Loader(c.d, {.size = 16}).measure(std::vector<int64_t>{0, 1});
  CHECK(again.mean == train.mean);
  CHECK(again.std == train.std);

  l.set_normalization({0.5f, 0.25f});
  const Values x = values(l.batch(std::vector<int64_t>{1}).x);
  CHECK(x[0] == -2.0f);
  CHECK(x[15] == 2.0f);
  CHECK(l.image(1).pixels[15] == 1.0f);                    // pictures to look at are not normalised
  CHECK(l.measure(std::vector<int64_t>{2}).std == 1e-3f);  // a blank film must not divide by zero
  CHECK(contains(message([&] { l.measure({}); }), "an empty list of cases has no mean"));
}

TEST_CASE("images and masks of any size come out at SIZE, aligned; masks of another scale too") {
  Cases c;
  const auto right = [](int width) { return [width](int, int x) { return x < width / 2 ? 0 : 255; }; };
  c.add(32, 48, right(48), "", grey_png(32, 48, right(48)));  // shrunk
  c.add(32, 48, right(48), "", grey_png(64, 96, right(96)));  // the mask at twice the image's size
  c.add(96, 64, right(64), "", grey_png(48, 32, [](int, int x) { return x < 16 ? 0 : 1; }));  // 0/1, half the size
  c.add(
      32, 32, [](int y, int x) { return (y + x) % 2 * 255; }, "", grey_png(32, 32, right(32)));
  for (const int64_t size : {16, 24, 40}) {
    const Loader l(c.d, {.size = size, .channels = 3, .masks = true});
    const Batch b = l.batch(first(4));
    CHECK(b.x.shape() == Shape({4, size, size, 3}));
    CHECK(b.mask.shape() == Shape({4, size, size, 1}));
    for (int64_t k = 0; k < 3; ++k) {
      const Image image = l.image(k), mask = l.mask(k);
      int64_t astray = 0;
      for (int64_t y = 0; y < size; ++y) {
        for (int64_t x = 0; x < size; ++x) {
          const float want = x < size / 2 ? 0.0f : 1.0f;
          astray += mask.at(y, x) != want || (image.at(y, x) >= 0.5f ? 1.0f : 0.0f) != want;
        }
      }
      CHECK(astray == 0);
      CHECK(image.at(0, 0) == 0.0f);
      CHECK(image.at(size - 1, size - 1) == 1.0f);
    }
    const float* x = b.x.data<float>();
    CHECK(x[3 * (size - 1)] == 1.0f);
    CHECK(x[3 * (size - 1) + 1] == 1.0f);
    CHECK(x[3 * (size - 1) + 2] == 1.0f);
    const Tensor classes = b.mask_labels();
    CHECK(classes.shape() == Shape({4, size, size}));
    CHECK(classes.data<int64_t>()[0] == 0);
    CHECK(classes.data<int64_t>()[size - 1] == 1);
  }
  // Shrinking averages areas: a fine chequered pattern becomes grey and not whatever pixel was hit.
  for (const float v : Loader(c.d, {.size = 16}).image(3).pixels) CHECK(v == doctest::Approx(0.5).epsilon(1e-4));

  // By hand: two pixels to four, between pixel centres; three to two, by area; masks cut at one half.
  Image two(1, 2), three(1, 3);
  two.pixels = {0, 1};
  three.pixels = {1, 0.75f, 0};
  CHECK(resize(two, 1, 4).pixels == Values{0, 0.25f, 0.75f, 1});
  CHECK(resize_mask(two, 1, 4).pixels == Values{0, 0, 1, 1});
  CHECK(resize(three, 1, 2).pixels[0] == doctest::Approx((1 + 0.375) / 1.5));
  CHECK(resize(three, 1, 2).pixels[1] == doctest::Approx(0.375 / 1.5));
  CHECK(resize(three, 1, 3).pixels == three.pixels);
}

TEST_CASE("labels are positions in Dataset::classes, in its order; -1 without a label") {
  Cases c;
  for (const char* label : {"normal", "ill", "", "ill"})
    c.add(
        16, 16, [](int y, int x) { return y * x; }, label);
  CHECK(labels(Loader(c.d, {.size = 16}).batch(first(4))) == std::vector<int64_t>{1, 0, -1, 0});
  c.d.classes = {"normal", "ill"};  // as --classes may order them
  const Loader l(c.d, {.size = 16});
  CHECK(labels(l.batch(first(4))) == std::vector<int64_t>{0, 1, -1, 1});
  CHECK(labels(l.batch(std::vector<int64_t>{3, 0, 3})) == std::vector<int64_t>{1, 0, 1});  // a case may come twice
  CHECK_FALSE(bool{l.batch(first(4)).mask});
}

TEST_CASE("what cannot be a batch is an error that names the file") {
  Cases c;
  const auto film = [](int y, int x) { return y * 5 + x; };
  const auto all = [](int, int) { return 255; };
  c.add(32, 32, film);                                                                       // no mask
  c.add(32, 32, film, "", grey_png(32, 20, all));                                            // another field
  c.add(32, 32, film, "", grey_png(32, 32, [](int, int) { return 0; }));                     // empty
  c.add(15, 32, film, "", grey_png(15, 32, all));                                            // too small
  c.add(32, 32, film, "", grey_png(32, 32, [](int y, int x) { return y == 9 && x == 9; }));  // one pixel
  const auto said = [&](int64_t k, LoaderOptions o = {.size = 16, .masks = true}) {
    return message([&] { Loader(c.d, o).batch(std::vector<int64_t>{k}); });
  };
  CHECK(contains(said(0), "c0.png: case c0 has no mask"));
  CHECK(contains(said(1), "c1_mask.png: 20x32 pixels, but its image"));
  CHECK(contains(said(2), "c2_mask.png: the mask is empty"));
  CHECK(said(2, {.size = 16, .masks = true, .allow_empty_masks = true}) == "no error");
  CHECK(contains(said(3), "c3.png: 32x15 pixels are too few"));
  CHECK(said(3, {.size = 16, .masks = true, .smallest_side = 15}) == "no error");
  CHECK(said(4) == "no error");  // it vanishes at this size, which the check warns of
  CHECK(said(0, {.size = 16}) == "no error");
  CHECK(contains(said(9), "case 9 of 5 does not exist"));
  CHECK(contains(said(-1), "case -1 of 5 does not exist"));
  CHECK(contains(said(0, {.size = 0}), "size 0 is not between"));
  CHECK(contains(said(0, {.size = 16, .channels = 2}), "channels must be 1 or 3, not 2"));
  CHECK(contains(said(0, {.size = 16, .normalization = {0, 0}}), "must be positive"));
  CHECK(contains(message([] { Loader({}, {.size = 16}); }), "has no cases"));
  const Loader l(c.d, {.size = 16});
  CHECK(contains(message([&] { l.batch({}); }), "an empty list of cases"));
  CHECK(contains(message([&] { l.train_batch({}, 0, 4); }), "an empty list of cases"));
  CHECK(contains(message([&] { l.train_batch(first(2), -1, 4); }), "step -1"));
  CHECK(contains(message([&] { l.mask(0); }), "set LoaderOptions::masks"));
  CHECK(contains(message([&] { l.batch(first(1)).mask_labels(); }), "the batch has no masks"));

  // Of several bad cases the first is named, on any number of threads.
  for (const int n : {1, 2}) {
    const Threads t(n);
    CHECK(contains(message([&] { Loader(c.d, {.size = 16, .masks = true}).preload(first(5)); }), "c0.png"));
  }
  std::vector<int64_t> seen;
  l.preload(first(3), [&](int64_t done, int64_t total) {
    CHECK(total == 3);
    seen.push_back(done);
  });
  CHECK(seen == std::vector<int64_t>{3});
}

TEST_SUITE_END();
