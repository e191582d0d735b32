# cuBLASLt as CUBLASLT::cublasLt, of the toolkit or of Python packages: some machines have nvcc without it.
include(${CMAKE_CURRENT_LIST_DIR}/nvidia_folders.cmake)
find_path(CUBLASLT_INCLUDE_DIR cublasLt.h HINTS ${NVIDIA_FOLDERS} PATH_SUFFIXES include)
find_library(CUBLASLT_LIBRARY NAMES cublasLt libcublasLt.so.13 libcublasLt.so.12 HINTS ${NVIDIA_FOLDERS}
  PATH_SUFFIXES lib64 lib)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CUBLASLT REQUIRED_VARS CUBLASLT_LIBRARY CUBLASLT_INCLUDE_DIR)
if(CUBLASLT_FOUND AND NOT TARGET CUBLASLT::cublasLt)
  add_library(CUBLASLT::cublasLt UNKNOWN IMPORTED)
  set_target_properties(CUBLASLT::cublasLt PROPERTIES
    IMPORTED_LOCATION ${CUBLASLT_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${CUBLASLT_INCLUDE_DIR})
endif()
