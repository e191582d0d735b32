// Decoding and encoding: every supported kind of file, and files that are missing, cut short, damaged or hostile.
#include "data/decode.h"

#include <doctest/doctest.h>

#include "data/encode.h"
#include "data_files.h"

TEST_SUITE_BEGIN("data_decode_test");
using namespace querent;
using namespace querent::data;
using namespace querent::test;

TEST_CASE("an 8-bit grey PNG comes back as it was written") {
  const TempFolder t;
  const std::string path = t.put("a.png", grey_png(3, 5, [](int y, int x) { return y * 50 + x; }));
  const Image im = decode_image(path);
  REQUIRE(im.height == 3);
  REQUIRE(im.width == 5);
  REQUIRE(im.channels == 1);
  for (int y = 0; y < 3; ++y) {
    for (int x = 0; x < 5; ++x) CHECK(im.at(y, x) == static_cast<float>(y * 50 + x) / 255.0f);
  }
  write_png(t.path / "b.png", im);
  CHECK(decode_image(t.path / "b.png").pixels == im.pixels);
}

TEST_CASE("a 16-bit PNG keeps its full depth") {
  const TempFolder t;
  const std::string path = t.put("a.png", png(2, 1, 16, 0, {big(258, 2) + big(65535, 2)}));
  CHECK(image_info(path).depth == 16);
  const Image im = decode_image(path);
  CHECK(im.at(0, 0) == 258.0f / 65535.0f);
  CHECK(im.at(0, 1) == 1.0f);
}

TEST_CASE("palette, RGB and RGBA PNG") {
  const TempFolder t;
  const std::string indexed =
      t.put("p.png", png(3, 1, 8, 3, {std::string("\1\0\1", 3)}, std::string("\0\0\0\xC8\xC8\xC8", 6)));
  CHECK(image_info(indexed).palette);
  CHECK(to_grey(decode_image(indexed)).pixels == std::vector<float>{200 / 255.0f, 0, 200 / 255.0f});
  const std::string rgb = t.put("rgb.png", png(1, 1, 8, 2, {"\xFF" + std::string(2, '\0')}));
  CHECK(decode_image(rgb).channels == 3);
  CHECK(to_grey(decode_image(rgb)).at(0, 0) == doctest::Approx(0.299));
  const std::string rgba = t.put("rgba.png", png(2, 1, 8, 6, {std::string("\x40\x40\x40\xFF\x80\x80\x80\x00", 8)}));
  CHECK(to_grey(decode_image(rgba)).pixels == std::vector<float>{64 / 255.0f, 128 / 255.0f});  // alpha is dropped
}

TEST_CASE("GIF with a palette, binary PNM of 8 and 16 bits, JSRT .IMG, idx item") {
  const TempFolder t;
  const Image g =
      to_grey(decode_image(t.put("m.gif", gif(4, 6, grey_palette, [](int y, int x) { return (y + x) % 4; }))));
  CHECK(g.height == 4);
  CHECK(g.at(1, 4) == 85 / 255.0f);
  CHECK(g.at(3, 4) == 1.0f);
  CHECK(decode_image(t.put("a.pgm", "P5\n2 1\n255\n\x0A\x14")).pixels == std::vector<float>{10 / 255.0f, 20 / 255.0f});
  CHECK(decode_image(t.put("b.pgm", "P5\n1 1\n65535\n\x01\x02")).at(0, 0) == doctest::Approx(258 / 65535.0));
  std::string film;
  for (unsigned i = 0; i < 2048u * 2048u; ++i) film += big(i % 4096, 2);
  const Image im = decode_image(t.put("JPCLN001.IMG", film));
  CHECK(im.width == 2048);
  CHECK(im.at(0, 0) == 1.0f);  // stored inverted
  CHECK(im.at(1, 2047) == 0.0f);
  CHECK(im.at(0, 1024) == doctest::Approx(1 - 1024 / 4095.0));
  const std::string idx = std::string("\0\0\x8\3", 4) + big(2, 4) + big(1, 4) + big(3, 4) + "\1\2\3\4\5\6";
  for (const std::string& path : {t.put("a-images-idx3-ubyte", idx), t.put("b-images-idx3-ubyte.gz", gzipped(idx))}) {
    CHECK(decode_image(path + "#1").pixels == std::vector<float>{4 / 255.0f, 5 / 255.0f, 6 / 255.0f});
    CHECK(image_sha256(path + "#0") == sha256_hex("\1\2\3"));
    CHECK(contains(message([&] { decode_image(path + "#2"); }), "does not exist"));
  }
}

TEST_CASE("every truncation of every format is an error that names the file, and decodes nothing") {
  const TempFolder t;
  const std::vector<std::pair<std::string, std::string>> files = {
      {"a.png", grey_png(9, 9, [](int y, int x) { return y * x; })},
      {"a.gif", gif(5, 5, grey_palette, [](int y, int) { return y % 4; })},
      {"a.pgm", "P5\n3 3\n255\n123456789"},
      {"a-images-idx3-ubyte.gz", gzipped(std::string("\0\0\x8\3", 4) + big(1, 4) + big(2, 4) + big(2, 4) + "abcd")}};
  for (const auto& [name, bytes] : files) {
    const std::string end = contains(name, "idx") ? "#0" : "";
    CHECK(message([&] { decode_image(t.put(name, bytes) + end); }) == "no error");
    const size_t tail = name == "a.gif" ? 1 : 0;  // a GIF without its last byte is whole for us
    for (size_t keep = 0; keep + tail < bytes.size(); ++keep) {
      const std::string path = t.put(text("{}_{}", keep, name), bytes.substr(0, keep));
      const std::string said = message([&] { decode_image(path + end); });
      CAPTURE(said);
      CAPTURE(keep);
      CHECK(contains(said, path + ": "));
    }
  }
}

TEST_CASE("damaged and hostile files give one clean error") {
  const TempFolder t;
  std::string damaged = grey_png(9, 9, [](int y, int x) { return y * x; });
  damaged[50] ^= 1;
  CHECK(contains(message([&] { decode_image(t.put("d.png", damaged)); }), "checksum"));
  const std::string huge = "\x89PNG\r\n\x1a\n" +
                           png_chunk("IHDR", big(100000, 4) + big(100000, 4) + std::string("\x8\0\0\0\0", 5)) +
                           png_chunk("IDAT", deflated("x")) + png_chunk("IEND", "");
  CHECK(contains(message([&] { decode_image(t.put("h.png", huge)); }), "h.png: the image is 100000x100000 pixels"));
  const std::string wide = png(16384, 16384, 8, 0, {"x"});
  CHECK(contains(message([&] { decode_image(t.put("w.png", wide)); }), "67108864 in all"));
  const std::string bomb = "\x89PNG\r\n\x1a\n" +
                           png_chunk("IHDR", big(8, 4) + big(8, 4) + std::string("\x8\0\0\0\0", 5)) +
                           png_chunk("IDAT", deflated(std::string(50000000, 'a'))) + png_chunk("IEND", "");
  CHECK(contains(message([&] { decode_image(t.put("b.png", bomb)); }), "cannot be inflated"));
  CHECK(contains(message([&] { decode_image(t.put("t.png", "hello, I am a text")); }), "not an image Querent reads"));
  CHECK(contains(message([&] { decode_image(t.path / "none.png"); }), "no such image file"));
  CHECK(contains(message([&] { decode_image(t.put("e.png", "")); }), "the file is empty"));
  CHECK(contains(message([&] {
                   decode_image(t.put("j.jpg", "\xFF\xD8\xFF\xE0" + big(4, 2) + "ab\xFF\xDA" + big(4, 2) + "ab12345"));
                 }),
                 "JPEG is truncated"));
  CHECK(contains(message([&] { decode_image(t.put("s.IMG", "short")); }), "8388608 bytes"));
  CHECK(contains(message([&] {
                   decode_image(t.put("big-images-idx3-ubyte", std::string("\0\0\x8\3", 4) + std::string(12, '\xff')) +
                                "#0");
                 }),
                 "too many values"));
  Image bad(2, 2, 2);
  CHECK(contains(message([&] { encode_png(bad); }), "needs 1 or 3 channels"));
}

TEST_SUITE_END();
