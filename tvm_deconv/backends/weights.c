/* Weights of a library, used where the system maps its file.
 *
 * TVM's loader copies what a virtual machine holds twice, and makes tensors of it. Large weights are
 * not among that: they follow it in the file, behind a table, and a network gets each by a call, as
 * a tensor of the pages of the file. These are read when a kernel wants them, shared by all
 * processes, and dropped where memory is short.
 *
 * Tensors and references to them are TVM's, by the layout that its libraries and generated code have
 * compiled in, so nothing of TVM has to be found from here. They are the library's own: kernels,
 * which alone get them, keep none beyond a call.
 */
#include <stdint.h>

/* As in tvm/ffi/c_api.h and dlpack/dlpack.h. */
enum { NONE = 0, INTEGER = 1, TENSOR = 70, CPU = 1 };
typedef struct {
  int32_t type, padding;
  union {
    int64_t integer;
    void *object;
    uint64_t all;
  } value;
} Any;
typedef struct {
  uint64_t references; /* strong ones, and in the upper half weak ones */
  int32_t type;
  uint32_t padding;
  union {
    void (*deleter)(void *, int); /* never called: the library has a reference */
    int64_t all;
  } end;
  struct {
    void *data;
    int32_t device, device_number, axes;
    uint8_t kind, bits;
    uint16_t lanes;
    int64_t *sizes, *strides;
    uint64_t offset;
  } tensor;
} Tensor;

/* Begins where TVM's loader looks (packing.py): a length, and so many bytes for it. */
extern const unsigned char content[] __asm__("tvm_deconv_content")
    __attribute__((visibility("hidden")));

/* Then, at a multiple of 8 bytes, for each weight: this, its sizes and its strides. */
typedef struct {
  uint64_t offset; /* from `content` */
  int32_t axes;
  uint8_t kind, bits;
  uint16_t lanes;
  int64_t sizes[];
} Entry;

static Tensor weights[WEIGHTS];

__attribute__((constructor)) static void find_weights(void) {
  uint64_t length = *(const uint64_t *)content;
  const Entry *entry = (const Entry *)(content + (8 + length + 7) / 8 * 8);
  for (int n = 0; n < WEIGHTS; ++n) {
    Tensor *weight = &weights[n];
    weight->references = (UINT64_C(1) << 32) + 1;
    weight->type = TENSOR;
    weight->tensor.data = (void *)(content + entry->offset);
    weight->tensor.device = CPU;
    weight->tensor.axes = entry->axes;
    weight->tensor.kind = entry->kind;
    weight->tensor.bits = entry->bits;
    weight->tensor.lanes = entry->lanes;
    weight->tensor.sizes = (int64_t *)entry->sizes;
    weight->tensor.strides = weight->tensor.sizes + entry->axes;
    entry = (const Entry *)(entry->sizes + 2 * entry->axes);
  }
}

/* A weight by its number; None where there is none. A function by the convention of tvm-ffi. */
__attribute__((visibility("default"))) int __tvm_ffi_tvm_deconv_weights(
    void *self, const Any *arguments, int32_t count, Any *result) {
  (void)self;
  *result = (Any){.type = NONE};
  if (count != 1 || arguments->type != INTEGER) return 0;
  int64_t number = arguments->value.integer;
  if (number < 0 || number >= WEIGHTS) return 0;
  Tensor *weight = &weights[number];
  /* By this name it needs no library on ARM processors without such an instruction. */
  __sync_fetch_and_add(&weight->references, 1);
  result->type = TENSOR;
  result->value.all = 0;
  result->value.object = weight;
  return 0;
}
