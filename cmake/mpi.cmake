# Training by several processes: mpi/ fills the table of tensor/collective.h. The command names it weakly, so that nothing
# else is compiled differently with it.
set(with_mpi ${QUERENT_MPI})
if(NOT QUERENT_MPI STREQUAL "OFF")
  set(MPI_CXX_SKIP_MPICXX ON)
  if(QUERENT_MPI STREQUAL "ON")
    find_package(MPI REQUIRED COMPONENTS CXX)
  else()
    find_package(MPI QUIET COMPONENTS CXX)
    set(with_mpi ${MPI_CXX_FOUND})
  endif()
endif()
message(STATUS "MPI: ${with_mpi}")
