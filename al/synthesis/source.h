// Where synthetic films come from. A source makes variants of one real film; what uses them (selection, checks, the
// experiment) does not know whether a network or plain editing made them.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "al/synthesis/mask_edit.h"
#include "data/loader.h"

namespace querent::al {

struct SyntheticFilm {
  std::string id;      // "<base id>+<variant>"
  Image image, mask;   // [size,size,1]; the image in [0,1], the mask of 0 and 1
  EditRecord record;   // of which base, which variant, and what was done
  double realism = 0;  // higher: more like a real film, in the eyes of a discriminator (synthesizer.h); 0: not asked
};

// Variants first .. first+count-1 of one base: a pure function of its arguments, so that any one can be made again.
using FilmSource = std::function<std::vector<SyntheticFilm>(const EditBase& base, int64_t first, int64_t count)>;

// The edited films as they are, without a network.
FilmSource edited_films(uint64_t seed, const EditOptions& o = {});

// A case as what is edited, at the loader's size; the loader must read masks. Its disease is protected where the data
// set says where it is: columns "nodules" ("x y radius subtlety;...", fractions of the side), "opacity_mask" (a file),
// or JSRT's nodule_x, nodule_y (of 2048) and size_mm (0.175 mm a pixel).
EditBase edit_base(const data::Loader& loader, int64_t index);

}  // namespace querent::al
