// As much of CUDA C++ as TVM's kernels are written in, for g++ (12 or later: half is _Float16).
// The text of a kernel has passed through compiler.py. Memory accesses become calls of machine.cpp.
#include <cstdint>

#define __global__
#define __device__ inline
#define __launch_bounds__(threads)
#define uint unsigned int
#define uchar unsigned char
#define ushort unsigned short

struct Index {
  unsigned x, y, z;
};

extern "C" {
Index machine_thread(void);
Index machine_block(void);
void machine_barrier(int line);
void machine_shared(void* begin, uint64_t bytes, uint64_t element, const char* name);
}

// What compiler.py writes: of a function that calls a kernel, behind the beginning of a kernel and
// behind an array in shared memory.
#define UNWATCHED __attribute__((no_sanitize("thread")))
#define BEGIN_KERNEL const Index threadIdx = machine_thread(), blockIdx = machine_block();
#define SHARED(array) machine_shared(array, sizeof(array), sizeof(array[0]), #array);
#define __syncthreads() machine_barrier(__LINE__)

using half = _Float16;

// Alignments are those of CUDA C++ Programming Guide, "Built-in Vector Types".
#define VECTORS(type, name)                                                                 \
  struct alignas(2 * sizeof(type)) name##2 {                                                \
    type x, y;                                                                              \
  };                                                                                        \
  struct name##3 {                                                                          \
    type x, y, z;                                                                           \
  };                                                                                        \
  struct alignas(sizeof(type) < 8 ? 4 * sizeof(type) : 16) name##4 {                        \
    type x, y, z, w;                                                                        \
  };                                                                                        \
  inline name##2 make_##name##2(type x, type y) { return {x, y}; }                          \
  inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }               \
  inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }

VECTORS(half, half)
VECTORS(float, float)
VECTORS(double, double)
VECTORS(short, short)
VECTORS(ushort, ushort)
VECTORS(int, int)
VECTORS(uint, uint)
VECTORS(int64_t, longlong)
VECTORS(uint64_t, ulonglong)

template <class T>
inline T max(T a, T b) {
  return a > b ? a : b;
}
template <class T>
inline T min(T a, T b) {
  return a < b ? a : b;
}
// CUDA's drop a NaN.
inline float max(float a, float b) { return __builtin_fmaxf(a, b); }
inline float min(float a, float b) { return __builtin_fminf(a, b); }

inline half __float2half_rn(float x) { return half(x); }
inline half __float2half(float x) { return half(x); }
inline float __half2float(half x) { return x; }
inline half __habs(half x) { return half(__builtin_fabsf(x)); }

// Declared here, because <cmath> takes longer to compile than a kernel.
#define FUNCTION(name)                    \
  extern "C" float name##f(float);        \
  inline half h##name(half x) { return half(name##f(x)); }

FUNCTION(ceil)
FUNCTION(floor)
FUNCTION(trunc)
FUNCTION(rint)
FUNCTION(sqrt)
FUNCTION(exp)
FUNCTION(log)
FUNCTION(log2)
FUNCTION(sin)
FUNCTION(cos)
FUNCTION(tan)
FUNCTION(atan)
FUNCTION(tanh)
FUNCTION(erf)
extern "C" float fabsf(float);
extern "C" float powf(float, float);
inline half hpow(half x, half y) { return half(powf(x, y)); }
inline float __expf(float x) { return expf(x); }

// CUDA C++ Programming Guide, "Integer Intrinsics": products of bytes, and of int16 and the lower two
// bytes, added to a sum.
inline int __dp4a(int a, int b, int sum) {
  for (int i = 0; i < 4; i++) sum += int8_t(a >> 8 * i) * int8_t(b >> 8 * i);
  return sum;
}
inline int __dp2a_lo(int a, int b, int sum) {
  for (int i = 0; i < 2; i++) sum += int16_t(a >> 16 * i) * int8_t(b >> 8 * i);
  return sum;
}
