// Ctrl-C once: stop at the next safe point. Twice: stop now.
#pragma once
#include <string>

namespace querent::app {

void watch_for_interrupts();
bool interrupted();
// True when the user interrupted or a file named STOP lies in the run folder. Ranks (tensor/collective.h) ask together
// and get one answer.
bool should_stop(const std::string& run_folder);
// Says that an experiment was stopped and how it continues; the exit code.
int stopped(const std::string& run_folder, const std::string& command_line);

}  // namespace querent::app
