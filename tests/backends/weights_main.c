/* Writes the weights of a library, by the layout of TVM's own headers: type, bytes, sizes and strides
 * on a line, then the elements.
 *
 *     weights_main ./NETWORK.so
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <tvm/ffi/c_api.h>

typedef int (*Function)(void *, const TVMFFIAny *, int32_t, TVMFFIAny *);

static void fail(const char *why) {
  fprintf(stderr, "%s\n", why);
  exit(1);
}

static void write_weight(const TVMFFIAny *weight) {
  static const char *const kinds[] = {"int", "uint", "float"};
  if (weight->type_index != kTVMFFITensor || weight->zero_padding) fail("no tensor");
  if (weight->v_obj->type_index != kTVMFFITensor) fail("no object of a tensor");
  /* As TVMFFITensorGetDLTensorPtr has it for C++. */
  const DLTensor *tensor = (const DLTensor *)(weight->v_obj + 1);
  if (tensor->device.device_type != kDLCPU || tensor->device.device_id) fail("not here");
  if (tensor->dtype.lanes != 1 || tensor->byte_offset) fail("of vectors, or with an offset");
  if ((uintptr_t)tensor->data % 64) fail("not aligned");
  long bytes = tensor->dtype.bits / 8;
  for (int n = 0; n < tensor->ndim; ++n) bytes *= tensor->shape[n];
  printf("%s%d %ld", kinds[tensor->dtype.code], tensor->dtype.bits, bytes);
  for (int n = 0; n < tensor->ndim; ++n) printf(" %d", (int)tensor->shape[n]);
  for (int n = 0; n < tensor->ndim; ++n) printf(" %d", (int)tensor->strides[n]);
  printf("\n");
  fwrite(tensor->data, 1, bytes, stdout);
}

int main(int count, char **words) {
  void *library = count == 2 ? dlopen(words[1], RTLD_NOW) : NULL;
  void *symbol = library ? dlsym(library, "__tvm_ffi_tvm_deconv_weights") : NULL;
  if (!symbol) fail(dlerror());
  Function weight = (Function)symbol;
  for (int n = 0;; ++n) {
    TVMFFIAny number = {.type_index = kTVMFFIInt, .v_int64 = n}, first, second;
    if (weight(NULL, &number, 1, &first) || weight(NULL, &number, 1, &second)) fail("an error");
    if (first.type_index == kTVMFFINone) return 0;
    write_weight(&first);
    /* The library's own reference, and two that were given. */
    if (first.v_obj != second.v_obj) fail("two tensors");
    if (first.v_obj->combined_ref_count != (UINT64_C(1) << 32) + 3) fail("references");
  }
}
