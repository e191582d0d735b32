// Data-set layouts with their traps, filters, the manifest file, mask conventions.
#include "data/layouts.h"

#include <doctest/doctest.h>

#include "data/csv.h"
#include "data/decode.h"
#include "data/masks.h"
#include "data_files.h"

TEST_SUITE_BEGIN("data_layouts_test");
using namespace querent;
using namespace querent::data;
using namespace querent::test;

namespace {

std::string small_png(int seed = 0) {
  return grey_png(4, 4, [seed](int y, int x) { return (seed * 37 + y * 16 + x) & 255; });
}
const Case& find(const Dataset& d, const std::string& id) {
  for (const Case& c : d.cases) {
    if (c.id == id) return c;
  }
  FAIL("no case " << id);
  return d.cases[0];
}

}  // namespace

TEST_CASE("CSV: quotes, line ends, byte order mark, and rows that do not fit") {
  const Csv a = parse_csv("\xEF\xBB\xBFid, image ,note\r\n1,a.png,\"x, \"\"y\"\"\nz\"\r\n\r\n2,b.png,\r", "a.csv");
  CHECK(a.header == std::vector<std::string>{"id", "image", "note"});
  REQUIRE(a.rows.size() == 2);
  CHECK(a.rows[0][2] == "x, \"y\"\nz");
  CHECK(a.rows[1] == std::vector<std::string>{"2", "b.png", ""});
  CHECK(a.column({"path", "IMAGE"}) == 1);
  CHECK(a.column({"mask"}) == -1);
  CHECK(contains(message([] { parse_csv("a,b\n1,2\n3\n", "x.csv"); }), "x.csv: line 3 has 1 fields, the header has 2"));
  CHECK(contains(message([] { parse_csv("a,b\n1,\"2\n", "x.csv"); }), "never closed"));
  CHECK(contains(message([] { parse_csv("", "x.csv"); }), "the CSV is empty"));
}

TEST_CASE("a table: columns, splits, extras, and clear errors for wrong ones") {
  const TempFolder t;
  t.put("images/a.png", small_png(1));
  t.put("images/b.png", small_png(2));
  t.put("masks/a.png", small_png(3));
  const std::string csv =
      t.put("labels.csv",
            "id,image,mask,label,patient_id,split,view,spacing_mm\n"
            "A,images/a.png,masks/a.png,normal,p1,Training,AP,0.2\nB,images/b.png,,ill,p2,TEST,,\n");
  for (const fs::path& path : {fs::path(csv), t.path}) {  // the table or its folder
    const Dataset d = open_dataset(path);
    CHECK(d.layout == "csv");
    REQUIRE(d.cases.size() == 2);
    CHECK(d.classes == std::vector<std::string>{"ill", "normal"});
    CHECK(find(d, "A").mask == (t.path / "masks/a.png").string());
    CHECK(find(d, "A").spacing_mm == 0.2);
    CHECK(find(d, "A").split == "train");
    CHECK(find(d, "A").extra.at("view") == "AP");
    CHECK(find(d, "B").split == "test");
    CHECK(find(d, "B").mask.empty());
    CHECK(class_index(d, find(d, "A")) == 1);
  }
  const std::string wrong = t.put("w/x.csv", "picture,diagnosis\na.png,ill\n");
  const std::string said = message([&] { open_dataset(wrong); });
  CHECK(contains(said, "found: picture, diagnosis"));
  CHECK(contains(said, "needed: image, and label or mask"));
  CHECK(contains(message([&] { open_dataset(t.put("x.csv", "image,split\nimages/a.png,fold3\n")); }),
                 "row 1 has the split 'fold3'"));
  CHECK(contains(message([&] { open_dataset(t.put("y.csv", "id,image\n1,images/a.png\n1,images/b.png\n")); }),
                 "two cases have the id '1'"));
  CHECK(contains(message([&] { open_dataset(t.put("z.csv", "image\nnone.png\n")); }), "none of its 1 images exists"));
  CHECK(contains(message([&] { open_dataset(t.put("e.csv", "image\n")); }), "no rows"));
  CHECK(contains(message([&] { open_dataset(t.path / "none"); }), "no such file or folder"));
  CHECK(contains(message([&] { open_dataset(t.put("f/readme.md", "x")); }), "not a data set"));
  CHECK(contains(message([&] { open_dataset(t.path / "f"); }), "no data set found (1 files, 0 of them images)"));
  CHECK(contains(message([&] { open_dataset(t.path, {.name = "dicom"}); }), "'dicom' is unknown"));
}

TEST_CASE("one folder per class, with and without split folders, patients from known file names") {
  const TempFolder t;
  t.put("train/NORMAL/IM-0115-0001.png", small_png());
  t.put("train/PNEUMONIA/person7_virus_1.png", small_png());
  t.put("train/PNEUMONIA/person7_virus_2.png", small_png());
  t.put("test/NORMAL/NORMAL2-IM-0115-0001.png", small_png());
  t.put("test/.DS_Store", "x");
  t.put("__MACOSX/train/NORMAL/x.png", small_png());
  const Dataset d = open_dataset(t.path);
  CHECK(d.layout == "folders");
  REQUIRE(d.cases.size() == 4);
  CHECK(d.classes == std::vector<std::string>{"NORMAL", "PNEUMONIA"});
  CHECK(find(d, "train/PNEUMONIA/person7_virus_1").patient == "person7");
  CHECK(find(d, "train/NORMAL/IM-0115-0001").patient == "IM-0115");
  CHECK(find(d, "test/NORMAL/NORMAL2-IM-0115-0001").patient == "NORMAL2-IM-0115");
  CHECK(find(d, "test/NORMAL/NORMAL2-IM-0115-0001").split == "test");
  const TempFolder plain;
  plain.put("a/1.png", small_png());
  plain.put("b/1.png", small_png());
  CHECK(open_dataset(plain.path).cases.size() == 2);
  CHECK(open_dataset(plain.path / "a").layout == "images");
  CHECK(open_dataset(plain.path / "a" / "1.png").cases[0].id == "1");
}

TEST_CASE("images beside masks: suffixes, split folders, Montgomery's two lungs") {
  const TempFolder t;
  t.put("imgs/a.png", small_png());
  t.put("imgs/b.jpg", small_png());
  t.put("imgs/c.png", small_png());
  t.put("masks/a_mask.gif", "x");
  t.put("masks/b.png", "x");
  Dataset d = open_dataset(t.path);
  CHECK(d.layout == "pairs");
  CHECK(find(d, "a").mask == (t.path / "masks/a_mask.gif").string());
  CHECK(find(d, "b").mask == (t.path / "masks/b.png").string());
  CHECK(find(d, "c").mask.empty());
  CHECK(d.notes == std::vector<std::string>{"1 of 3 images have no mask"});

  const TempFolder s;
  for (const char* part : {"train", "val"}) {
    s.put(fs::path(part) / "images/x.png", small_png());
    s.put(fs::path(part) / "masks/x.png", small_png());
  }
  d = open_dataset(s.path);
  CHECK(find(d, "val/x").mask == (s.path / "val/masks/x.png").string());
  CHECK(find(d, "val/x").split == "val");

  const TempFolder m;
  m.put("MontgomerySet/CXR_png/MCUCXR_0001_0.png", grey_png(4, 4, [](int, int) { return 9; }));
  m.put("MontgomerySet/CXR_png/MCUCXR_0104_1.png", small_png());
  const auto left = [](int, int x) { return x == 0 ? 255 : 0; };
  const auto right = [](int, int x) { return x == 3 ? 255 : 0; };
  for (const char* name : {"MCUCXR_0001_0.png", "MCUCXR_0104_1.png"}) {
    m.put(fs::path("MontgomerySet/ManualMask/leftMask") / name, grey_png(4, 4, left));
    m.put(fs::path("MontgomerySet/ManualMask/rightMask") / name, grey_png(4, 4, right));
  }
  d = open_dataset(m.path);
  REQUIRE(d.cases.size() == 2);
  CHECK(d.cases[0].label == "normal");
  CHECK(d.cases[1].label == "tuberculosis");
  CHECK(d.cases[1].patient == "MCUCXR_0104");
  const Mask both = load_mask(d.cases[0].mask);
  CHECK(both.info.foreground == 0.5);
  CHECK(both.image.at(2, 0) == 1.0f);
  CHECK(both.image.at(2, 1) == 0.0f);
  CHECK(both.image.at(2, 3) == 1.0f);

  const TempFolder flat;
  flat.put("a.png", small_png());
  flat.put("a_mask.png", small_png());
  d = open_dataset(flat.path);
  REQUIRE(d.cases.size() == 1);
  CHECK(d.cases[0].mask == (flat.path / "a_mask.png").string());
  const TempFolder none;
  none.put("images/a.png", small_png());
  none.put("masks/zzz.png", small_png());
  CHECK(contains(message([&] { open_dataset(none.path); }), "none of 1 masks has the name of an image"));
}

TEST_CASE("JSRT and SCR: bare CR, unknown age, extra tabs, folders with blanks, palette GIF masks") {
  const TempFolder t;
  t.put("All247images/JPCLN001.IMG", "raw");
  t.put("All247images/JPCNN002.IMG", "raw");
  t.put("Clinical_Information/CLNDAT_EN.txt",
        "JPCLN001.IMG\t5\t15\t?\tFemale\t1634\t692\tmalignant\tl.upper lobe\tlung\tcancer\r\r");
  t.put("Clinical_Information/CNNDAT_EN.TXT", "JPCNN002.IMG   42  Male    non-nodule\r\n");
  for (const char* organ : {"left lung", "right lung", "heart"}) {
    t.put(fs::path("scratch/fold1/masks") / organ / "JPCLN001.gif",
          gif(8, 8, grey_palette, [&](int, int x) { return (*organ == 'l') == (x < 4) ? 3 : 0; }));
  }
  const Dataset d = open_dataset(t.path);
  CHECK(d.layout == "jsrt");
  REQUIRE(d.cases.size() == 2);
  const Case &nodule = find(d, "JPCLN001"), &normal = find(d, "JPCNN002");
  CHECK(nodule.label == "nodule");
  CHECK(normal.label == "non_nodule");
  CHECK(nodule.extra.at("age") == "?");
  CHECK(nodule.extra.at("nodule_x") == "1634");
  CHECK(nodule.extra.at("diagnosis") == "lung cancer");
  CHECK(nodule.extra.at("fold") == "1");
  CHECK(normal.extra.at("age") == "42");
  CHECK(normal.extra.at("sex") == "Male");
  CHECK(nodule.spacing_mm == doctest::Approx(0.175));
  const Mask lungs = load_mask(nodule.mask);
  CHECK(lungs.info.foreground == 1.0);
  CHECK(lungs.info.palette);
  CHECK(sizes_match(image_info(nodule.image), 8, 8));
  CHECK(normal.mask.empty());
  const Dataset heart = open_dataset(t.path, {.name = "jsrt", .organ = "heart"});
  CHECK(load_mask(find(heart, "JPCLN001").mask).info.foreground == 0.5);
  CHECK(contains(message([&] { open_dataset(t.path, {.name = "jsrt", .organ = "liver"}); }), "'liver' is unknown"));
}

TEST_CASE("NIH ChestX-ray14: commas inside brackets, a 12th column, findings joined with |") {
  const TempFolder t;
  t.put("Data_Entry_2017.csv",
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
        "00000001_000.png,Cardiomegaly,0,1,58,M,PA,2682,2749,0.143,0.143,\n"
        "00000001_001.png,Cardiomegaly|Nodule,1,1,058Y,M,PA,2894,2729,0.143,0.143\n"
        "00000002_000.png,No Finding,0,2,81,M,PA,2500,2048,0.171,0.171\n"
        "00000003_000.png,No Finding,0,3,81,F,PA,2500,2048,0.171,0.171\n");
  t.put("images_001/images/00000001_000.png", small_png());
  t.put("images_001/images/00000001_001.png", small_png());
  t.put("images_002/images/00000002_000.png", small_png());
  t.put("train_val_list.txt", "00000001_000.png\n00000001_001.png\n");
  t.put("test_list.txt", "00000002_000.png\r\n");
  Dataset d = open_dataset(t.path);
  CHECK(d.layout == "nih");
  REQUIRE(d.cases.size() == 3);
  CHECK(d.notes == std::vector<std::string>{"1 of 4 images of the table are not here and were skipped"});
  CHECK(d.cases[1].patient == "1");
  CHECK(d.cases[1].spacing_mm == doctest::Approx(0.143 * 2894 / 1024));
  CHECK(d.cases[1].split == "train");
  CHECK(d.cases[2].split == "test");
  CHECK(d.cases[1].extra.at("age") == "058Y");
  apply_filters(d, {.classes = {"No Finding", "Nodule"}, .merge = {}, .exclude = {}});
  REQUIRE(d.cases.size() == 2);
  CHECK(d.cases[0].label == "Nodule");
  CHECK(d.classes == std::vector<std::string>{"No Finding", "Nodule"});
}

TEST_CASE("CheXpert's table and MNIST's idx files") {
  const TempFolder t;
  t.put("train/patient00001/study1/view1_frontal.png", small_png());
  t.put("train.csv",
        "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Edema,Fracture\n"
        "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.png,Male,68,Frontal,AP,,1.0,1.0\n");
  const Dataset chexpert = open_dataset(t.path);
  CHECK(chexpert.layout == "chexpert");
  CHECK(chexpert.cases[0].patient == "patient00001");
  CHECK(chexpert.cases[0].label == "Edema|Fracture");

  const TempFolder m;
  m.put("train-images-idx3-ubyte.gz",
        gzipped(std::string("\0\0\x8\3", 4) + big(2, 4) + big(1, 4) + big(2, 4) + "abcd"));
  m.put("train-labels-idx1-ubyte.gz", gzipped(std::string("\0\0\x8\1", 4) + big(2, 4) + std::string("\7\3", 2)));
  m.put("t10k-images-idx3-ubyte", std::string("\0\0\x8\3", 4) + big(1, 4) + big(1, 4) + big(2, 4) + "ef");
  m.put("t10k-labels-idx1-ubyte", std::string("\0\0\x8\1", 4) + big(1, 4) + "\1");
  const Dataset d = open_dataset(m.path);
  CHECK(d.layout == "mnist");
  REQUIRE(d.cases.size() == 3);
  CHECK(find(d, "train-00001").label == "3");
  CHECK(find(d, "t10k-00000").split == "test");
  CHECK(decode_image(find(d, "train-00001").image).pixels == std::vector<float>{'c' / 255.0f, 'd' / 255.0f});
  m.put("t10k-labels-idx1-ubyte", std::string("\0\0\x8\1", 4) + big(2, 4) + "\1\1");
  CHECK(contains(message([&] { open_dataset(m.path); }), "holds 1 images"));
}

TEST_CASE("filters: merge, exclude, keep, and names that do not exist") {
  Dataset d;
  for (const char* label : {"normal", "bacterial", "viral", "covid19"})
  {
    Case c;
    c.id = c.label = label;
    c.image = "x";
    d.cases.push_back(c);
  }
  refresh_classes(d);
  Filters f;
  add_merge(f, "pneumonia=bacterial+viral");
  f.exclude = {"covid19"};
  Dataset two = d;
  apply_filters(two, f);
  CHECK(two.classes == std::vector<std::string>{"normal", "pneumonia"});
  CHECK(two.cases.size() == 3);
  Dataset kept = d;
  apply_filters(kept, {.classes = {"viral", "normal"}, .merge = {}, .exclude = {}});
  CHECK(kept.classes == std::vector<std::string>{"viral", "normal"});  // in the order asked for
  CHECK(contains(message([&] {
                   apply_filters(d, {.classes = {"viral", "flu"}, .merge = {}, .exclude = {}});
                 }),
                 "classes: no case has the label 'flu'; the labels are: bacterial, covid19, normal, viral"));
  CHECK(contains(message([&] { add_merge(f, "pneumonia"); }), "not of the form new=old1+old2"));
}

TEST_CASE("a manifest keeps everything, with hashes, relative to its root") {
  const TempFolder t;
  t.put("images/a.png", small_png(1));
  t.put("m1.png", small_png(2));
  t.put("m2.png", small_png(3));
  t.put("labels.csv", "id,image,mask,label,patient,split,view\na,images/a.png,m1.png|m2.png,x|y,p,val,PA\n");
  Dataset d = open_dataset(t.path);
  save_manifest(d, t.path / "manifest.jsonl");
  CHECK(d.cases[0].image_sha256 == sha256_file(t.path / "images/a.png"));
  CHECK(contains(read_file(t.path / "manifest.jsonl"), "\"image\":\"images/a.png\""));
  const Dataset back = open_dataset(t.path / "manifest.jsonl");
  CHECK(back.cases == d.cases);
  CHECK(back.classes == d.classes);
  CHECK(contains(message([&] {
                   load_manifest(t.put(
                       "bad.jsonl", "{\"querent_manifest\":1,\"root\":\"\",\"layout\":\"\",\"classes\":[]}\n{oops\n"));
                 }),
                 "line 2 is not a line of a manifest"));
}

TEST_CASE("mask conventions are recognised and mean what they should") {
  const TempFolder t;
  const auto kind_of = [&](const std::string& bytes) { return to_mask(decode_raster(t.put("m.png", bytes))); };
  const auto values = [](std::vector<int> v) {
    return grey_png(1, static_cast<int>(v.size()), [v](int, int x) { return v[static_cast<size_t>(x)]; });
  };
  using Pixels = std::vector<float>;
  Mask m = kind_of(values({0, 255, 0}));
  CHECK(m.info.kind == MaskKind::binary);
  CHECK(m.image.pixels == Pixels{0, 1, 0});
  CHECK(m.info.describe() == "0/255");
  CHECK(kind_of(values({0, 1, 1})).image.pixels == Pixels{0, 1, 1});
  m = kind_of(values({0, 127, 255}));
  CHECK(m.info.kind == MaskKind::ignore);
  CHECK(m.image.pixels == Pixels{0, 0, 1});
  m = kind_of(values({0, 1, 2, 3}));
  CHECK(m.info.kind == MaskKind::labels);
  CHECK(m.image.pixels == Pixels{0, 1, 1, 1});
  m = kind_of(values({0, 40, 120, 140, 255}));
  CHECK(m.info.kind == MaskKind::antialiased);
  CHECK(m.image.pixels == Pixels{0, 0, 0, 1, 1});
  CHECK(kind_of(values({0, 0})).info.kind == MaskKind::empty);
  CHECK(kind_of(values({0, 0})).info.foreground == 0);
  CHECK(kind_of(values({255, 255})).info.kind == MaskKind::full);
  m = kind_of(png(3, 1, 8, 2, {std::string("\0\0\0\xFF\0\0\0\xFF\0", 9)}));  // black, red, green
  CHECK(m.info.colour);
  CHECK(m.image.pixels == Pixels{0, 1, 1});
  m = kind_of(png(3, 1, 8, 3, {std::string("\0\1\0", 3)}, std::string("\0\0\xFF\xFF\0\0", 6)));  // blue, red: no black
  CHECK(m.info.palette);
  CHECK(m.image.pixels == Pixels{0, 1, 0});
  t.put("s1.png", values({0, 255}));
  t.put("s2.png", values({0, 255, 0}));
  CHECK(contains(message([&] { load_mask((t.path / "s1.png").string() + "|" + (t.path / "s2.png").string()); }),
                 "the parts of a mask must have one size"));
  CHECK(sizes_match({2048, 2048}, 1024, 1024));
  CHECK(sizes_match({4020, 4892}, 512, 623));
  CHECK_FALSE(sizes_match({224, 224}, 224, 200));
}

TEST_SUITE_END();
