// The command as one of several ranks (tensor/collective.h), started by mpirun: the first speaks for all.
#pragma once
#include <string>

namespace querent::app {

// Silences all ranks but the first.
void join_ranks();
// An Error when there are several ranks and the verb has no work for them, or the build no MPI to join them.
void check_ranks(const std::string& verb);
// Prints "error: MESSAGE" and ends all ranks with the exit code, which it returns where there is only one.
int fail_ranks(int exit_code, const std::string& message);

}  // namespace querent::app
