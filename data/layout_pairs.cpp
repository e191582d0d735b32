// images/ beside masks/, matched by name.
#include <map>
#include <set>

#include "data/decode.h"
#include "data/layout_readers.h"
#include "data/pattern.h"
#include "tensor/error.h"

namespace querent::data {
namespace {

const std::set<std::string> image_folders = {"images", "imgs", "image", "img", "cxr_png"};
const std::set<std::string> mask_folders = {"masks", "mask", "labels", "label", "manualmask", "manual_masks"};

// "a_mask" -> "a"
std::string without_suffix(const std::string& stem) {
  static const Pattern suffix(R"([_-](mask|masks|seg|label)$)", true);
  return suffix.replace(stem, "");
}
struct Place {
  std::string parent, below;  // what comes before and after the folder that is named like `names`
  bool found = false;
};
Place place_of(const std::string& file, const std::set<std::string>& names) {
  const std::vector<std::string> path = components(file);
  Place p;
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    if (!p.found && names.contains(lower(path[i])))
      p.found = true;
    else
      (p.found ? p.below : p.parent) += path[i] + "/";
  }
  return p;
}

void name_tuberculosis(Case& c, const std::string& stem) {
  static const Pattern known(R"(^(MCUCXR|CHNCXR)_\d+_([01])$)");
  const auto m = known.find(stem);
  if (m.empty()) return;
  c.label = m[2] == "1" ? "tuberculosis" : "normal";
  if (m[1] != "MCUCXR") return;
  std::error_code error;
  if (!std::filesystem::exists(c.image, error)) return;
  const ImageInfo info = image_info(c.image);  // Montgomery scans: 0.0875 mm at 4020 x 4892 or 4892 x 4020
  c.spacing_mm = 0.0875 * 4892.0 / static_cast<double>(std::max(info.width, info.height));
}

}  // namespace

bool read_pairs(const Listing& l, const Layout&, Dataset& d) {
  struct Mask {
    std::string file, below;
  };
  std::map<std::string, std::vector<Mask>> masks;  // by parent folder and name
  struct Picture {
    std::string file;
    Place place;
  };
  std::vector<Picture> pictures;
  std::set<std::string> loose;
  for (const std::string& file : l.images()) {
    const Place mask = place_of(file, mask_folders), image = place_of(file, image_folders);
    if (mask.found && !image.found)
      masks[mask.parent + without_suffix(stem_of(file))].push_back({file, mask.below});
    else if (image.found)
      pictures.push_back({file, image});
    else
      loose.insert(file);
  }
  if (masks.empty()) {  // a.png beside a_mask.png
    std::set<std::string> stems;
    for (const std::string& f : loose) stems.insert(f.substr(0, f.find_last_of('.')));
    for (const std::string& f : loose) {
      const std::string stem = f.substr(0, f.find_last_of('.')), bare = without_suffix(stem);
      const Place place{f.substr(0, f.find_last_of('/') + 1), "", true};
      if (bare != stem && stems.contains(bare))
        masks[bare].push_back({f, ""});
      else
        pictures.push_back({f, place});
    }
  }
  if (masks.empty() || pictures.empty()) return false;

  size_t without = 0, with = 0;
  for (const auto& [file, place] : pictures) {
    Case c;
    c.image = l.full(file);
    c.id = place.parent + place.below + stem_of(file);
    c.patient = guess_patient(stem_of(file));
    for (const std::string& part : components(place.parent + place.below)) {
      if (!split_name(part).empty()) c.split = split_name(part);
    }
    const auto found = masks.find(place.parent + stem_of(file));
    std::string same_folder, any;
    if (found != masks.end()) {
      for (const Mask& m : found->second) {
        any += (any.empty() ? "" : "|") + l.full(m.file);
        if (m.below == place.below) same_folder += (same_folder.empty() ? "" : "|") + l.full(m.file);
      }
    }
    c.mask = same_folder.empty() ? any : same_folder;
    ++(c.mask.empty() ? without : with);
    name_tuberculosis(c, stem_of(file));
    d.cases.push_back(std::move(c));
  }
  check(with > 0, "{}: none of {} masks has the name of an image; masks must be named like their image, or with _mask",
        l.root.string(), masks.size());
  if (without) d.notes.push_back(text("{} of {} images have no mask", without, d.cases.size()));
  if (with < masks.size()) d.notes.push_back(text("{} masks have no image and were skipped", masks.size() - with));
  d.layout = "pairs";
  return true;
}

}  // namespace querent::data
