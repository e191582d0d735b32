// Phantoms as a data set on disk: what `data phantom` leaves behind.
#include <algorithm>

#include "data/encode.h"
#include "data/parallel.h"
#include "data/phantom.h"
#include "tensor/error.h"
#include "tensor/files.h"

namespace querent {

namespace {

struct Row {
  std::string label, group, patient;
  std::vector<Nodule> nodules;
};

std::string number(int64_t index) {
  std::string digits = text("{}", index);
  return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
}

// "x y radius subtlety" of each nodule, joined by ';'.
std::string nodule_text(const std::vector<Nodule>& nodules) {
  std::string out;
  for (const Nodule& q : nodules) out += text("{}{} {} {} {}", out.empty() ? "" : ";", q.x, q.y, q.radius, q.subtlety);
  return out;
}

}  // namespace

int64_t write_phantom_dataset(const std::filesystem::path& dir, int64_t count, const PhantomOptions& options,
                              const std::function<void(int64_t, int64_t)>& progress,
                              const std::function<bool()>& stop) {
  check(count >= 1 && count <= 1000000, "data phantom: count must lie in 1..1000000, got {}", count);
  for (const char* folder : {"", "images", "masks", "whole_lungs", "heart", "clavicles", "opacity"})
    make_folder(dir / folder);
  std::vector<Row> rows(static_cast<size_t>(count));
  constexpr int64_t batch = 32;
  for (int64_t first = 0; first < count; first += batch) {
    if (stop && stop()) return first;
    const int64_t many = std::min(batch, count - first);
    data::parallel_for(many, [&](int64_t i) {
      const int64_t index = first + i;
      const Phantom p = render_phantom(options, index);
      const std::string file = text("ph{}.png", number(index));
      data::write_png(dir / "images" / file, p.image);
      data::write_png(dir / "masks" / file, p.lungs);
      data::write_png(dir / "whole_lungs" / file, p.whole_lungs);
      data::write_png(dir / "heart" / file, p.heart);
      data::write_png(dir / "clavicles" / file, p.clavicles);
      data::write_png(dir / "opacity" / file, p.opacity);
      rows[static_cast<size_t>(index)] = {p.label, p.group, p.patient_id, p.nodules};
    });
    if (progress) progress(first + many, count);
  }
  std::string csv =
      "id,image,mask,width,height,label,finding,patient_id,heart_mask,clavicle_mask,opacity_mask,whole_lung_mask,"
      "nodules\n";
  for (int64_t i = 0; i < count; ++i) {
    const Row& r = rows[static_cast<size_t>(i)];
    const std::string id = "ph" + number(i);
    csv += text("{},images/{}.png,masks/{}.png,{},{},{},{},{},", id, id, id, options.size, options.size, r.group,
                r.label, r.patient);
    csv += text("heart/{}.png,clavicles/{}.png,opacity/{}.png,whole_lungs/{}.png,{}\n", id, id, id, id,
                nodule_text(r.nodules));
  }
  write_atomically(dir / "labels.csv", csv);
  return count;
}

int64_t write_phantom_dataset(const std::filesystem::path& dir, int64_t count, int64_t size, uint64_t seed,
                              const std::function<void(int64_t, int64_t)>& progress) {
  PhantomOptions options;
  options.size = size;
  options.seed = seed;
  return write_phantom_dataset(dir, count, options, progress);
}

}  // namespace querent
