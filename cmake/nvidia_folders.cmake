# Where NVIDIA's libraries may lie: the CUDA toolkit, the system, and the packages of a Python that has PyTorch
# (site-packages/nvidia/cudnn, nvidia/cublas, nvidia/nccl, and nvidia/cu13 since CUDA 13). Sets NVIDIA_FOLDERS.
set(NVIDIA_FOLDERS ${CUDAToolkit_LIBRARY_ROOT} ${CUDAToolkit_TARGET_DIR} ${CUDAToolkit_BIN_DIR}/..)
find_program(QUERENT_PYTHON NAMES python3 python DOC "Python whose packages may hold cuDNN")
if(QUERENT_PYTHON)
  execute_process(
    COMMAND ${QUERENT_PYTHON} -c
      "import importlib.util as u; s = u.find_spec('nvidia'); print(*(s.submodule_search_locations if s else []), sep=';')"
    OUTPUT_VARIABLE packages OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  foreach(folder ${packages})
    list(APPEND NVIDIA_FOLDERS ${folder}/cudnn ${folder}/cublas ${folder}/nccl ${folder}/cu13)
  endforeach()
endif()
