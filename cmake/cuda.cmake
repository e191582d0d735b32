# The CUDA backend, querent_cuda. The engine names its kernels weakly (tensor/kernels.h): nothing else is compiled
# differently with it, and a program that does not link it runs on the CPU.
find_program(QUERENT_NVCC nvcc HINTS ${CUDAToolkit_ROOT}/bin $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
list(APPEND CMAKE_MODULE_PATH ${CMAKE_SOURCE_DIR}/cmake)
set(with_cuda ${QUERENT_CUDA})
if(QUERENT_CUDA STREQUAL "AUTO")
  set(with_cuda OFF)
  if(QUERENT_NVCC AND NOT QUERENT_SANITIZE)
    execute_process(COMMAND ${QUERENT_NVCC} --version OUTPUT_VARIABLE nvcc_version)
    if(nvcc_version MATCHES "release ([0-9]+)" AND CMAKE_MATCH_1 GREATER_EQUAL 12)
      set(ENV{CUDACXX} ${QUERENT_NVCC})
      include(CheckLanguage)
      check_language(CUDA)  # an nvcc that does not work with this compiler is as good as none
      find_package(CUDAToolkit QUIET)
      find_package(CUDNN 9.8 QUIET)
      find_package(CUBLASLT QUIET)
      if(CMAKE_CUDA_COMPILER AND CUDNN_FOUND AND CUBLASLT_FOUND)
        set(with_cuda ON)
      endif()
    endif()
  endif()
endif()
if(with_cuda AND NOT QUERENT_NVCC)
  message(FATAL_ERROR "QUERENT_CUDA=ON: nvcc was not found; install the CUDA toolkit (12 or newer) or set CUDAToolkit_ROOT")
endif()
if(with_cuda)
  set(CMAKE_CUDA_COMPILER ${QUERENT_NVCC})
  set(CMAKE_CUDA_ARCHITECTURES "90" CACHE STRING "GPU architectures to compile for, e.g. 80;90")
  set(CMAKE_CUDA_FLAGS_RELEASE "-O2")
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # before CMake 3.26
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  endif()
  find_package(CUDAToolkit REQUIRED)

  # All kernels are one unit: the headers are read once, which is most of the time that nvcc takes.
  file(GLOB CUDA_KERNELS CONFIGURE_DEPENDS cuda/*.cu)
  set(unit "")
  foreach(source ${CUDA_KERNELS})
    string(APPEND unit "#include \"${source}\"\n")
  endforeach()
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/cuda/kernels.cu CONTENT "${unit}")
  file(GLOB CUDA_HOST CONFIGURE_DEPENDS cuda/*.cpp)
  add_library(querent_cuda STATIC ${CUDA_HOST} ${CMAKE_BINARY_DIR}/cuda/kernels.cu)
  target_include_directories(querent_cuda PUBLIC ${CMAKE_SOURCE_DIR})
  target_compile_options(querent_cuda PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr --extended-lambda -Xcompiler=-Wall,-Wextra,-Wno-subobject-linkage>)
  target_link_libraries(querent_cuda PUBLIC CUDA::cudart_static)

  find_package(CUDNN 9.8 REQUIRED)
  find_package(CUBLASLT REQUIRED)
  target_link_libraries(querent_cuda PUBLIC CUDNN::cudnn CUBLASLT::cublasLt)

  # Ranks with a GPU each need NCCL besides MPI.
  include(${CMAKE_SOURCE_DIR}/cmake/nvidia_folders.cmake)
  find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${NVIDIA_FOLDERS} PATH_SUFFIXES include)
  find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS ${NVIDIA_FOLDERS} PATH_SUFFIXES lib64 lib)
  if(with_mpi AND NCCL_INCLUDE_DIR AND NCCL_LIBRARY)
    target_compile_definitions(querent_cuda PRIVATE QUERENT_NCCL)
    target_include_directories(querent_cuda SYSTEM PRIVATE ${NCCL_INCLUDE_DIR})
    target_link_libraries(querent_cuda PUBLIC ${NCCL_LIBRARY})
  endif()

  # Weak names do not pull a file out of an archive, so all of it is linked, and after it the engine again: some of what
  # it needs of the engine nothing else does.
  target_link_libraries(querent_tensor PUBLIC $<LINK_LIBRARY:WHOLE_ARCHIVE,querent_cuda>)
  target_link_libraries(querent_tensor INTERFACE $<TARGET_FILE:querent_tensor>)
endif()
message(STATUS "CUDA backend: ${with_cuda}")
