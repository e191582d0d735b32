#include "tensor/module.h"

#include <dlfcn.h>

namespace querent {

Module open_module(const std::string& file, const char* entry) {
  // Global, as if the program had been linked to what the module brings: some libraries load parts of their own.
  void* const module = dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL);
  Module m;
  if (module) m.entry = dlsym(module, entry);
  if (m.entry) return m;
  m.missing = dlerror();
  m.built = !m.missing.starts_with(file + ": cannot open");
  return m;
}

}  // namespace querent
