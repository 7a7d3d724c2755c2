// CUDA's runtime and driver as far as TVM's own runtime needs them, without a GPU: memory is the
// processor's, kernels are not executed, and machine code that is loaded is told on stderr.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUCCEEDS(name) \
  int name() { return 0; }

#ifdef DRIVER

SUCCEEDS(cuDeviceGetName)
SUCCEEDS(cuFuncSetAttribute)
SUCCEEDS(cuGetErrorName)
SUCCEEDS(cuGetErrorString)
SUCCEEDS(cuLaunchKernelEx)
SUCCEEDS(cuModuleUnload)
SUCCEEDS(cuTensorMapEncodeTiled)

int cuModuleLoadData(void** module, const unsigned char* image) {
  fprintf(stderr, "loaded ELF %d, machine %d, architecture %d\n", !memcmp(image, "\x7f" "ELF", 4),
          image[18] | image[19] << 8, image[48]);
  *module = (void*)1;
  return 0;
}

int cuModuleGetFunction(void** function, void* module, const char* name) {
  fprintf(stderr, "found %s\n", name);
  *function = (void*)1;
  return 0;
}

#else

SUCCEEDS(cudaDeviceSynchronize)
SUCCEEDS(cudaEventCreate)
SUCCEEDS(cudaEventDestroy)
SUCCEEDS(cudaEventRecord)
SUCCEEDS(cudaEventSynchronize)
SUCCEEDS(cudaFreeHost)
SUCCEEDS(cudaGetErrorName)
SUCCEEDS(cudaGetErrorString)
SUCCEEDS(cudaGetLastError)
SUCCEEDS(cudaGraphDestroy)
SUCCEEDS(cudaGraphExecDestroy)
SUCCEEDS(cudaGraphInstantiate)
SUCCEEDS(cudaGraphLaunch)
SUCCEEDS(cudaMallocHost)
SUCCEEDS(cudaMemcpyPeerAsync)
SUCCEEDS(cudaPeekAtLastError)
SUCCEEDS(cudaSetDevice)
SUCCEEDS(cudaStreamBeginCapture)
SUCCEEDS(cudaStreamCreateWithFlags)
SUCCEEDS(cudaStreamDestroy)
SUCCEEDS(cudaStreamEndCapture)
SUCCEEDS(cudaStreamSynchronize)
SUCCEEDS(cudaStreamWaitEvent)

int cudaGetDevice(int* device) { return *device = 0, 0; }
int cudaGetDeviceCount(int* count) { return *count = 1, 0; }
int cudaDeviceGetAttribute(int* value, int attribute) { return *value = 1024, 0; }
int cudaGetDeviceProperties(char* properties) { return strcpy(properties, "a fake"), 0; }
int cudaEventElapsedTime(float* milliseconds) { return *milliseconds = 1, 0; }
int cudaStreamCreate(void** stream) { return *stream = (void*)4096, 0; }
int cudaMemGetInfo(size_t* free, size_t* total) { return *free = *total = 1 << 28, 0; }
int cudaMalloc(void** at, size_t size) { return *at = aligned_alloc(256, (size | 255) + 1), 0; }
int cudaFree(void* at) { return free(at), 0; }
int cudaMemcpyAsync(void* to, const void* from, size_t size) { return memmove(to, from, size), 0; }
int cudaMemsetAsync(void* at, int value, size_t size) { return memset(at, value, size), 0; }

#endif
