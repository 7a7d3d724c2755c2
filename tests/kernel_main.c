/* Runs a compiled kernel without TVM's runtime, which has no wheel for armv7.
 *
 *     kernel_main KERNEL.so X.bin 1x3x8x8 WEIGHT.bin 4x4 Y.bin 1x3x16x16
 *
 * Each tensor is a file of raw numbers, float32 or what stands behind its shape (1x3x8x8u8, s8, s16,
 * s32 or f16); the last one is written. What a kernel takes from the runtime is here in its plainest
 * form: the parallel loop runs one task after the other.
 *
 * With -DTVM_BEFORE_FFI the library is of TVM up to 0.19, and its kernel is called `kernel`. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef TVM_BEFORE_FFI
#include <tvm/runtime/c_runtime_api.h>
#else
#include <tvm/ffi/c_api.h>
#endif

enum { MOST_TENSORS = 8, MOST_DIMS = 12, TASKS = 3 };

typedef struct {
  void *sync;
  int32_t count;
} Group;

static int launch(int (*task)(int, Group *, void *), void *data, int count) {
  Group group = {NULL, count ? count : TASKS};
  for (int i = 0; i < group.count; ++i)
    if (task(i, &group, data)) return -1;
  return 0;
}

static void *allocate(int type, int id, uint64_t size, int code, int bits) {
  void *memory = NULL;
  return posix_memalign(&memory, 64, size) ? NULL : memory;
}

static int release(int type, int id, void *memory) {
  free(memory);
  return 0;
}

#ifdef TVM_BEFORE_FFI
typedef int (*Kernel)(TVMValue *, int *, int, TVMValue *, int *, void *);

static void say(const char *message) { fprintf(stderr, "%s\n", message); }

static int call(Kernel kernel, DLTensor *tensors, int count) {
  TVMValue arguments[MOST_TENSORS], result;
  int types[MOST_TENSORS], result_type;
  for (int i = 0; i < count; ++i) {
    types[i] = kTVMDLTensorHandle;
    arguments[i].v_handle = &tensors[i];
  }
  return kernel(arguments, types, count, &result, &result_type, NULL);
}
#else
typedef TVMFFISafeCallType Kernel;

static int call(Kernel kernel, DLTensor *tensors, int count) {
  TVMFFIAny arguments[MOST_TENSORS] = {0}, result = {0};
  for (int i = 0; i < count; ++i) {
    arguments[i].type_index = kTVMFFIDLTensorPtr;
    arguments[i].v_ptr = &tensors[i];
  }
  return kernel(NULL, arguments, count, &result);
}

void TVMFFIErrorSetRaisedFromCStrParts(const char *kind, const char **parts, int32_t count) {
  fprintf(stderr, "%s: ", kind);
  for (int i = 0; i < count; ++i)
    if (parts[i]) fputs(parts[i], stderr);
  fputc('\n', stderr);
}
#endif

static void die(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static void provide(void *library, const char *name, void *function) {
  void **place = dlsym(library, name);
  if (place) *place = function;
}

static size_t parse(char *text, DLTensor *tensor) {
  size_t elements = 1;
  for (tensor->ndim = 0; tensor->ndim < MOST_DIMS; ++text) {
    int64_t extent = strtol(text, &text, 10);
    tensor->shape[tensor->ndim++] = extent;
    elements *= extent;
    if (*text != 'x') break;
  }
  tensor->dtype = (DLDataType){kDLFloat, 32, 1};
  if (*text) {
    tensor->dtype.code = *text == 'u' ? kDLUInt : *text == 'f' ? kDLFloat : kDLInt;
    tensor->dtype.bits = strtol(text + 1, &text, 10);
  }
  return elements;
}

static void transfer(const char *path, const char *mode, DLTensor *tensor, size_t elements) {
  FILE *file = fopen(path, mode);
  if (!file) die(path);
  size_t size = tensor->dtype.bits / 8;
  size_t done = *mode == 'r' ? fread(tensor->data, size, elements, file)
                             : fwrite(tensor->data, size, elements, file);
  if (fclose(file) || done != elements) die(path);
}

int main(int argc, char **argv) {
  int count = (argc - 2) / 2;
  if (count < 1 || count > MOST_TENSORS) die("give a library, and files with their shapes");
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!library) die(dlerror());
  provide(library, "__TVMBackendParallelLaunch", launch);
  provide(library, "__TVMBackendAllocWorkspace", allocate);
  provide(library, "__TVMBackendFreeWorkspace", release);
#ifdef TVM_BEFORE_FFI
  provide(library, "__TVMAPISetLastError", say);
  const char *name = "kernel";
#else
  const char *name = "__tvm_ffi_main";
#endif
  Kernel kernel = (Kernel)dlsym(library, name);
  if (!kernel) die("the library has no kernel");

  int64_t shapes[MOST_TENSORS][MOST_DIMS];
  size_t elements[MOST_TENSORS];
  DLTensor tensors[MOST_TENSORS] = {0};
  for (int i = 0; i < count; ++i) {
    tensors[i].shape = shapes[i];
    tensors[i].device = (DLDevice){kDLCPU, 0};
    elements[i] = parse(argv[3 + 2 * i], &tensors[i]);
    tensors[i].data = allocate(0, 0, 4 * elements[i], 0, 0);
    transfer(argv[2 + 2 * i], "r", &tensors[i], elements[i]);
  }
  if (call(kernel, tensors, count)) die("the kernel failed");
  transfer(argv[2 * count], "w", &tensors[count - 1], elements[count - 1]);
  return 0;
}
