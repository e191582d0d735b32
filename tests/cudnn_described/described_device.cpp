// Lets the real cuDNN plan for an H100 on a machine that has none. cuDNN 9.8 plans "deviceless": every descriptor that
// would be told a handle is told a description of the device. This does so in place of cuda/cudnn_graph.cpp, which says
// what it says on a GPU: the program's own cudnnBackendSetAttribute is found before the library's. Only running a plan
// is impossible here.
#include <cudnn_graph.h>
#include <dlfcn.h>

#include <string_view>

namespace {

constexpr std::string_view h100 =
    R"({"deviceVer":900,"driverVer":13000,"deviceName":"NVIDIA H100 80GB HBM3","cudaDeviceId":0,)"
    R"("maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],"regsPerBlock":65536,)"
    R"("multiProcessorCount":132,"smClockRateKHz":1980000,"memClockRateKHz":2619000,"l2CacheSize":52428800,)"
    R"("warpSize":32,"maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":232448,)"
    R"("reservedSharedMemoryPerBlock":1024,"maxRegistersPerSM":65536,"pciDeviceId":0,"maxCtasPerSM":32,)"
    R"("maxThreadsPerBlock":1024,"maxThreadsPerSM":2048,"isTccDriver":0,"supportCoopLaunch":1,)"
    R"("totalGlobalMem":85000000000})";

using SetAttribute = cudnnStatus_t(cudnnBackendDescriptor_t, cudnnBackendAttributeName_t, cudnnBackendAttributeType_t,
                                   int64_t, const void*);
SetAttribute* real() {
  static auto* const f = reinterpret_cast<SetAttribute*>(dlsym(RTLD_NEXT, "cudnnBackendSetAttribute"));
  return f;
}
cudnnBackendDescriptor_t device() {
  static const cudnnBackendDescriptor_t made = [] {
    cudnnBackendDescriptor_t d = nullptr;
    cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &d);
    real()(d, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, static_cast<int64_t>(h100.size()),
           h100.data());
    cudnnBackendFinalize(d);
    return d;
  }();
  return made;
}

}  // namespace

extern "C" cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                                  cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  const auto with_device = [&](cudnnBackendAttributeName_t where) {
    const cudnnStatus_t status = real()(descriptor, name, type, count, values);
    const cudnnBackendDescriptor_t d = device();
    return status != CUDNN_STATUS_SUCCESS ? status : real()(descriptor, where, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &d);
  };
  switch (name) {
    case CUDNN_ATTR_OPERATIONGRAPH_HANDLE:
    case CUDNN_ATTR_EXECUTION_PLAN_HANDLE:
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH:
      return with_device(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP);
    case CUDNN_ATTR_ENGINE_OPERATION_GRAPH:
      return with_device(CUDNN_ATTR_ENGINE_DEVICEPROP);
    case CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG:
      return with_device(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
    default:
      return real()(descriptor, name, type, count, values);
  }
}
