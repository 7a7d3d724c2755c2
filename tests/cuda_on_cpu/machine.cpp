// A multiprocessor for kernels that g++ compiled with the calls of ThreadSanitizer: it runs blocks
// one after the other, the threads of a block in turns, each to its next barrier, and sees every
// memory access before it happens. It stops at the first that a GPU would not do as it was meant:
//
// - at an address that is no multiple of its size;
// - beyond the buffers of the kernel and the shared arrays of the block;
// - to what another thread accesses with no barrier between them, one of the two writing.
//
// The order of the threads does not matter to the last: it is judged by who did what since the
// barrier. Shared memory holds NaN when a block begins.
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

struct Index {
  unsigned x, y, z;
};

// Who accessed an element last, and when. Times count the barriers of all launches.
struct Element {
  uint32_t write_time, writer, read_time, reader;
};
constexpr uint32_t kSeveral = ~0u;

struct Memory {
  uintptr_t begin;
  uint64_t bytes, element;
  const char* name;
  bool shared;
  Element* elements;
};

struct Thread {
  ucontext_t context;
  Index index;
  int barrier;  // the line it waits at, or one of the states
};
constexpr int kReady = 0, kDone = -1;

constexpr size_t kStack = 1 << 20, kGuard = 4096;

void (*kernel)(void**);
void** arguments;
ucontext_t scheduler;
std::vector<Thread> threads;
std::vector<Memory> memories;
Memory* latest;
char* stacks;
size_t stack_count;
uint32_t now, launch_time, block_time, current;
Index block;
char failure[400];

void release() {
  for (Memory& memory : memories) free(memory.elements);
  memories.clear();
  latest = nullptr;
}

// Ends the launch; to be called in a thread of the kernel.
[[noreturn]] __attribute__((format(printf, 1, 2))) void fail(const char* format, ...) {
  const Index& at = threads[current].index;
  int length = snprintf(failure, sizeof failure, "block (%u, %u, %u), thread (%u, %u, %u): ",
                        block.x, block.y, block.z, at.x, at.y, at.z);
  va_list values;
  va_start(values, format);
  vsnprintf(failure + length, sizeof failure - length, format, values);
  va_end(values);
  setcontext(&scheduler);
  abort();
}

void add(uintptr_t begin, uint64_t bytes, uint64_t element, const char* name, bool shared) {
  void* elements = calloc(bytes / element + 1, sizeof(Element));
  memories.push_back({begin, bytes, element, name, shared, static_cast<Element*>(elements)});
  latest = nullptr;
}

// Whether an access at `time` is of this launch and with no barrier between it and the current
// thread: in this block since the last one, or, of a buffer, in another block.
bool unordered(const Memory& memory, uint32_t time, uint32_t thread) {
  if (time >= block_time) return time == now && thread != current;
  return time >= launch_time && !memory.shared;
}

const char* verb(bool writes) { return writes ? "writes to" : "reads"; }

// An access that is in no memory: the nearest is what was meant, most likely.
[[noreturn]] void stray(uintptr_t address, bool writes) {
  const Memory* near = nullptr;
  uint64_t nearest = UINT64_MAX;
  for (const Memory& memory : memories) {
    const uintptr_t end = memory.begin + memory.bytes;
    const uint64_t away = address < memory.begin ? memory.begin - address : address - end + 1;
    if (away < nearest) nearest = away, near = &memory;
  }
  if (!near) fail("%s memory, of which it was given none", verb(writes));
  fail("%s byte %lld of %s, which has %llu", verb(writes),
       static_cast<long long>(address - near->begin), near->name,
       static_cast<unsigned long long>(near->bytes));
}

void access(uintptr_t address, uint64_t size, bool writes) {
  const char* stack = stacks + current * kStack;
  if (address - reinterpret_cast<uintptr_t>(stack) < kStack) return;
  if (!latest || address - latest->begin >= latest->bytes) {
    Memory* found = nullptr;
    for (Memory& memory : memories) {
      if (address - memory.begin < memory.bytes) found = &memory;
    }
    if (!found) stray(address, writes);
    latest = found;
  }
  const uint64_t offset = address - latest->begin;
  const auto byte = static_cast<unsigned long long>(offset);
  const auto count = static_cast<unsigned long long>(size);
  const uint64_t alignment = size & -size;
  if (address % (alignment < 16 ? alignment : 16)) {
    fail("%s %llu bytes at byte %llu of %s: misaligned", verb(writes), count, byte, latest->name);
  }
  if (offset + size > latest->bytes) {
    fail("%s %llu bytes at byte %llu of %s, which has %llu", verb(writes), count, byte,
         latest->name, static_cast<unsigned long long>(latest->bytes));
  }
  const uint64_t end = (offset + size - 1) / latest->element;
  for (uint64_t i = offset / latest->element; i <= end; ++i) {
    Element& one = latest->elements[i];
    if (unordered(*latest, one.write_time, one.writer)) {
      fail("%s byte %llu of %s, and another thread writes to it without a barrier between",
           verb(writes), byte, latest->name);
    }
    if (writes) {
      if (unordered(*latest, one.read_time, one.reader)) {
        fail("writes to byte %llu of %s, and another thread reads it without a barrier between",
             byte, latest->name);
      }
      one.write_time = now, one.writer = current;
    } else {
      const bool same = one.read_time != now || one.reader == current;
      one.read_time = now, one.reader = same ? current : kSeveral;
    }
  }
}

void start() {
  kernel(arguments);
  threads[current].barrier = kDone;
  setcontext(&scheduler);
}

void make_stacks(size_t count) {
  if (count <= stack_count) return;
  if (stacks) munmap(stacks, stack_count * kStack);
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* memory = mmap(nullptr, count * kStack, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) abort();
  stacks = static_cast<char*>(memory);
  stack_count = count;
  // What overflows a stack stops the process instead of changing its neighbour.
  for (size_t i = 0; i < count; ++i) mprotect(stacks + i * kStack, kGuard, PROT_NONE);
}

// Each thread to its next barrier; whether any has more to do.
bool turn() {
  ++now;
  int reached = kReady;
  for (current = 0; current < threads.size(); ++current) {
    Thread& thread = threads[current];
    if (swapcontext(&scheduler, &thread.context)) abort();
    if (failure[0]) return false;
    if (current == 0) reached = thread.barrier;
    if (thread.barrier != reached) {
      const unsigned waits = thread.barrier == kDone ? 0 : current, other = waits ? 0 : current;
      snprintf(failure, sizeof failure,
               "block (%u, %u, %u): thread %u of it waits at a barrier and thread %u does not",
               block.x, block.y, block.z, waits, other);
      return false;
    }
  }
  return reached != kDone;
}

void run_block(Index size) {
  block_time = now + 1;
  size_t kept = 0;
  for (Memory& memory : memories) {
    if (memory.shared) free(memory.elements);
    else memories[kept++] = memory;
  }
  memories.resize(kept);
  latest = nullptr;
  for (size_t i = 0; i < threads.size(); ++i) {
    Thread& thread = threads[i];
    const unsigned n = i;
    thread.index = {n % size.x, n / size.x % size.y, n / size.x / size.y};
    thread.barrier = kReady;
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = stacks + i * kStack + kGuard;
    thread.context.uc_stack.ss_size = kStack - kGuard;
    makecontext(&thread.context, start, 0);
  }
  while (turn()) {}
}

}  // namespace

extern "C" {

struct Buffer {
  uintptr_t begin;
  uint64_t bytes, element;
  const char* name;
};

// Runs a kernel to its end: "" or what it did wrong. `entry` calls the kernel with the arguments
// whose addresses it is given. Nothing but `buffers` may be accessed.
const char* machine_launch(void (*entry)(void**), void** values, const Index* of_grid,
                           const Index* of_block, const Buffer* buffers, uint64_t count) {
  const Index grid = *of_grid, size = *of_block;
  kernel = entry;
  arguments = values;
  failure[0] = 0;
  launch_time = now + 1;
  make_stacks(static_cast<size_t>(size.x) * size.y * size.z);
  threads.resize(static_cast<size_t>(size.x) * size.y * size.z);
  release();
  for (uint64_t i = 0; i < count; ++i) {
    add(buffers[i].begin, buffers[i].bytes, buffers[i].element, buffers[i].name, false);
  }
  for (block.z = 0; block.z < grid.z && !failure[0]; ++block.z) {
    for (block.y = 0; block.y < grid.y && !failure[0]; ++block.y) {
      for (block.x = 0; block.x < grid.x && !failure[0]; ++block.x) run_block(size);
    }
  }
  release();
  return failure;
}

Index machine_thread(void) { return threads[current].index; }
Index machine_block(void) { return block; }

void machine_barrier(int line) {
  threads[current].barrier = line;
  if (swapcontext(&threads[current].context, &scheduler)) abort();
}

void machine_shared(void* begin, uint64_t bytes, uint64_t element, const char* name) {
  const auto address = reinterpret_cast<uintptr_t>(begin);
  for (const Memory& memory : memories) {
    if (memory.begin == address) return;
  }
  add(address, bytes, element, name, true);
  memset(begin, 0xFF, bytes);
}

void __tsan_init() {}
#define ACCESS(size)                                                                    \
  void __tsan_read##size(void* p) { access(reinterpret_cast<uintptr_t>(p), size, false); } \
  void __tsan_write##size(void* p) { access(reinterpret_cast<uintptr_t>(p), size, true); }
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)
void __tsan_read_range(void* p, uint64_t n) { access(reinterpret_cast<uintptr_t>(p), n, false); }
void __tsan_write_range(void* p, uint64_t n) { access(reinterpret_cast<uintptr_t>(p), n, true); }

// Of arrays whose size the compiler knows, registers among them.
void __ubsan_handle_out_of_bounds(void*, uint64_t index) {
  fail("element %lld of an array that does not have it", static_cast<long long>(index));
}
}
