// A part of the program in a file of its own, loaded when it is first needed: the libraries that it brings cost time at
// every start, and a machine may lack them.
#pragma once
#include <string>

namespace querent {

struct Module {
  void* entry = nullptr;  // the function it was opened for; null: it cannot be used
  std::string missing;    // then why: "libcudnn.so.9: cannot open shared object file: No such file or directory"
  bool built = true;      // false: there is no such file where the program looks (its RUNPATH)
};
// `file` is e.g. "libquerent_cuda.so"; `entry` the name of an extern "C" function in it. Never unloaded.
Module open_module(const std::string& file, const char* entry);

}  // namespace querent
