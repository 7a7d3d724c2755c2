/* Parallel loops of a library, on threads of its own.
 *
 * TVM's generated code starts a parallel loop by a call through __TVMBackendParallelLaunch, with a
 * function that computes the task_id-th of env->num_task shares. TVM's own pool waits until each
 * share's worker has had its turn, and yields the processor (sched_yield) meanwhile: beside other
 * busy processes both cost a time slice of the scheduler, some milliseconds, in each loop. Here
 *   - who has nothing to do takes a share that nobody has begun, the caller too, so nobody waits
 *     for a worker that does not get a processor;
 *   - waiting is spinning without yielding for a moment, then sleep, after which the scheduler
 *     lets a thread run soon.
 * The shares are TVM's, one for each thread, so a kernel's loops are what they were tuned as.
 * Barriers between shares, which no kernel here has, cannot be: shares need not run together.
 *
 * One caller at a time has the workers. Callers from other threads meanwhile use TVM's pool, or
 * none where that has no threads, after a fork.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* These have another version since glibc 2.34. The older one is in each glibc, so a library that
 * was linked here can be loaded on a board whose system is older. */
#ifdef __GLIBC__
#if defined(__x86_64__)
#define OLDEST "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define OLDEST "GLIBC_2.17"
#elif defined(__arm__)
#define OLDEST "GLIBC_2.4"
#endif
#endif
#ifdef OLDEST
__asm__(".symver pthread_create, pthread_create@" OLDEST);
__asm__(".symver pthread_join, pthread_join@" OLDEST);
#endif

enum { MOST_THREADS = 256, SPIN_NS = 200 * 1000, SPINS_BETWEEN_LOOKS = 16 };
enum { LARGE_BYTES = 64 << 20 };

/* As in tvm/runtime/c_backend_api.h. */
typedef struct {
  void *sync_handle;
  int32_t num_task;
} TVMParallelGroupEnv;
typedef int (*FTVMParallelLambda)(int task_id, TVMParallelGroupEnv *env, void *cdata);
typedef int (*Launch)(FTVMParallelLambda share, void *cdata, int num_task);

/* Of the generated code. Being hidden, TVM's loader does not find it, and leaves what it holds. A
 * library without kernels has none. */
extern Launch __TVMBackendParallelLaunch __attribute__((weak, visibility("hidden")));

typedef void *(*Allocate)(int type, int id, uint64_t bytes, int code, int bits);
extern Allocate __TVMBackendAllocWorkspace __attribute__((weak, visibility("hidden")));

/* Of the process that loads the library, where they can be seen from here. */
extern int TVMBackendParallelLaunch(FTVMParallelLambda, void *, int) __attribute__((weak));
extern void *TVMBackendAllocWorkspace(int, int, uint64_t, int, int) __attribute__((weak));
extern void TVMFFIErrorSetRaisedFromCStr(const char *kind, const char *message)
    __attribute__((weak));
extern int tvm_most_threads(void) __asm__("_ZN3tvm7runtime9threading14MaxConcurrencyEv")
    __attribute__((weak));
extern int32_t tvm_threads(void) __asm__("_ZN3tvm7runtime9threading10NumThreadsEv")
    __attribute__((weak));
extern void TVMFFIErrorMoveFromRaised(void **error) __attribute__((weak));
extern void TVMFFIErrorSetRaised(void *error) __attribute__((weak));
extern int TVMFFIObjectDecRef(void *object) __attribute__((weak));

static struct {
  FTVMParallelLambda share;
  void *cdata;
  TVMParallelGroupEnv env;
  atomic_char taken[MOST_THREADS];
  _Atomic int failed;
  void *error; /* of the share that failed first */
} loop;

/* Odd while shares of a loop can be taken; counts on at its begin and end. */
static _Atomic uint32_t phase;
/* Workers that may be at a share. What `loop` holds changes only while there is none. */
static _Atomic uint32_t inside;
static _Atomic int asleep, caller_asleep, stopping;

static atomic_flag in_use = ATOMIC_FLAG_INIT;
static pthread_t workers[MOST_THREADS];
static int begun; /* workers[1] to workers[begun] */
static int wanted; /* as many as were asked for: what the system refused is not tried again */
/* The thread that a fork has begun with: those of its TVM pool are in the process before. */
static pthread_t survivor;
static _Atomic int is_fork;

static void pause_a_moment(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || (defined(__arm__) && __ARM_ARCH >= 7)
  __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* Spin while *word is `value`. Returns what it is in the end; `value` if that took too long. */
static uint32_t spin(_Atomic uint32_t *word, uint32_t value) {
  int64_t end = 0;
  for (uint32_t n = 1;; ++n) {
    uint32_t found = atomic_load(word);
    if (found != value) return found;
    pause_a_moment();
    if (n % SPINS_BETWEEN_LOOKS == 0) {
      int64_t now = now_ns();
      if (end == 0) end = now + SPIN_NS;
      if (now > end) return value;
    }
  }
}

static void sleep_while(_Atomic uint32_t *word, uint32_t value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake(_Atomic uint32_t *word, int threads) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, threads, NULL, NULL, 0);
}

static void forget(void *error) {
  if (error && TVMFFIObjectDecRef) TVMFFIObjectDecRef(error);
}

/* Compute shares that nobody has taken, from one's own on: each thread has the same rows in each
 * loop, as long as all keep up. */
static void take_shares(int own) {
  int count = loop.env.num_task;
  int share = own < count ? own : 0;
  for (int n = 0; n < count; ++n, share = share + 1 < count ? share + 1 : 0) {
    if (atomic_exchange(&loop.taken[share], 1)) continue;
    if (loop.share(share, &loop.env, loop.cdata) == 0) continue;
    /* An error is the thread's own that met it: the caller gets it in the end. */
    void *error = NULL;
    if (TVMFFIErrorMoveFromRaised) TVMFFIErrorMoveFromRaised(&error);
    if (atomic_exchange(&loop.failed, 1) == 0) loop.error = error;
    else forget(error);
  }
}

static void *work(void *number) {
  uint32_t seen = 0;
  for (;;) {
    uint32_t found = atomic_load(&phase);
    /* Read in this order: who stops the workers changes `phase` afterwards, so nobody who has not
     * seen `stopping` falls asleep. */
    if (atomic_load(&stopping)) return NULL;
    if (found == seen || found % 2 == 0) {
      if (spin(&phase, found) != found) continue;
      atomic_fetch_add(&asleep, 1);
      sleep_while(&phase, found);
      atomic_fetch_sub(&asleep, 1);
      continue;
    }
    atomic_fetch_add(&inside, 1);
    /* Else the loop has ended, and its caller need not know of this thread. */
    if (atomic_load(&phase) == found) take_shares((int)(intptr_t)number);
    seen = found;
    if (atomic_fetch_sub(&inside, 1) == 1 && atomic_load(&caller_asleep)) wake(&inside, 1);
  }
}

/* Have `count` - 1 workers, or as many as can be. */
static void begin_workers(int count) {
  if (wanted >= count - 1) return;
  wanted = count - 1;
  /* Signals are for the program's threads, but for faults of the worker's own, which no other
   * thread could be told of. (pthread_sigmask does the same, and is of a newer glibc.) */
  static const int faults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (size_t n = 0; n < sizeof faults / sizeof *faults; ++n) sigdelset(&blocked, faults[n]);
  sigprocmask(SIG_BLOCK, &blocked, &before);
  while (begun < count - 1) {
    if (pthread_create(&workers[begun + 1], NULL, work, (void *)(intptr_t)(begun + 1))) break;
    ++begun;
  }
  sigprocmask(SIG_SETMASK, &before, NULL);
}

static int thread_count(void) {
  /* To ask for its threads begins TVM's pool, which narrows this thread to their processors. */
  if (tvm_most_threads && tvm_most_threads() == 1) return 1;
  if (tvm_threads) return tvm_threads();
  const char *threads = getenv("TVM_NUM_THREADS");
  if (threads && atoi(threads) > 0) return atoi(threads);
  cpu_set_t processors;
  return sched_getaffinity(0, sizeof processors, &processors) ? 1 : CPU_COUNT(&processors);
}

static int all_here(FTVMParallelLambda share, void *cdata, int num_task) {
  TVMParallelGroupEnv env = {NULL, num_task > 0 ? num_task : 1};
  for (int n = 0; n < env.num_task; ++n)
    if (share(n, &env, cdata)) return -1;
  return 0;
}

static int launch(FTVMParallelLambda share, void *cdata, int num_task) {
  int count = num_task > 0 ? num_task : thread_count();
  if (count > MOST_THREADS) count = MOST_THREADS;
  if (count <= 1) return all_here(share, cdata, num_task);
  if (atomic_flag_test_and_set(&in_use)) {
    int has_pool = !is_fork || !pthread_equal(survivor, pthread_self());
    if (TVMBackendParallelLaunch && has_pool)
      return TVMBackendParallelLaunch(share, cdata, num_task);
    return all_here(share, cdata, num_task);
  }
  begin_workers(count);
  loop.share = share;
  loop.cdata = cdata;
  loop.env.num_task = count;
  loop.failed = 0;
  for (int n = 0; n < count; ++n) atomic_store_explicit(&loop.taken[n], 0, memory_order_relaxed);
  atomic_fetch_add(&phase, 1);
  if (atomic_load(&asleep)) wake(&phase, count - 1);
  take_shares(0);
  atomic_fetch_add(&phase, 1);
  for (uint32_t others; (others = atomic_load(&inside)) != 0;) {
    if (spin(&inside, others) != others) continue;
    atomic_store(&caller_asleep, 1);
    sleep_while(&inside, others);
    atomic_store(&caller_asleep, 0);
  }
  int failed = loop.failed;
  void *error = loop.error;
  atomic_flag_clear(&in_use);
  if (failed && error && TVMFFIErrorSetRaised) TVMFFIErrorSetRaised(error);
  if (failed) forget(error);
  return failed ? -1 : 0;
}

/* A fork has one thread, and none of the workers. */
static void forget_workers(void) {
  begun = wanted = 0;
  survivor = pthread_self();
  atomic_store(&is_fork, 1);
  atomic_store(&inside, 0);
  atomic_store(&asleep, 0);
  atomic_store(&caller_asleep, 0);
  atomic_store(&phase, (atomic_load(&phase) + 1) & ~UINT32_C(1));
  atomic_flag_clear(&in_use);
}

/* TVM's function throws where there is no memory, through generated code that nothing can be thrown
 * through: the process would be aborted. This returns NULL there, which the code takes for an error.
 * What was there once is not asked for again: TVM keeps it. */
static void *allocate(int type, int id, uint64_t bytes, int code, int bits) {
  static _Atomic uint64_t granted = LARGE_BYTES;
  if (bytes > atomic_load(&granted)) {
    void *trial = bytes <= SIZE_MAX ? malloc((size_t)bytes) : NULL;
    if (trial == NULL) {
      char message[96];
      snprintf(message, sizeof message, "a layer asks for %.1f GB of memory, more than there is",
               (double)bytes / 1e9);
      if (TVMFFIErrorSetRaisedFromCStr) TVMFFIErrorSetRaisedFromCStr("MemoryError", message);
      return NULL;
    }
    free(trial);
    atomic_store(&granted, bytes);
  }
  return TVMBackendAllocWorkspace(type, id, bytes, code, bits);
}

__attribute__((constructor)) static void be_called(void) {
  pthread_atfork(NULL, NULL, forget_workers);
  if (&__TVMBackendParallelLaunch) __TVMBackendParallelLaunch = launch;
  if (&__TVMBackendAllocWorkspace && TVMBackendAllocWorkspace) __TVMBackendAllocWorkspace = allocate;
}

/* Before the code of the workers goes away. */
__attribute__((destructor)) static void end_workers(void) {
  if (begun == 0) return;
  atomic_store(&stopping, 1);
  atomic_fetch_add(&phase, 2);
  wake(&phase, MOST_THREADS);
  for (int n = 1; n <= begun; ++n) pthread_join(workers[n], NULL);
}
